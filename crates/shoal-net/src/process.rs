//! Handles of processes: to hear of their end, and to be sure who is meant.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::error::NetError;
use crate::poll::poll_once;

/// A process, whoever gets its number later. Becomes readable when it ends.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens the process that has the number `pid` now.
    pub fn open(pid: u32) -> Result<Self, NetError> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(NetError::NoProcess { pid })?;
        match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(fd) => Ok(PidFd(fd)),
            Err(Errno::SRCH) => Err(NetError::NoProcess { pid }),
            Err(source) => Err(NetError::Os { what: "pidfd_open", source }),
        }
    }

    /// Opens the process `pid` that started at `start_time` (see [`process_start_time`]), and no later one.
    pub fn open_started(pid: u32, start_time: u64) -> Result<Self, NetError> {
        let this = Self::open(pid)?;
        // Asked after opening: if the number was reused before that, the start differs.
        if process_start_time(pid)? == start_time { Ok(this) } else { Err(NetError::NoProcess { pid }) }
    }

    /// Whether the process has ended (reaped or not).
    pub fn has_exited(&self) -> bool {
        poll_once(self.0.as_fd(), PollFlags::IN, Some(Duration::ZERO)).unwrap_or(false)
    }

    /// Sends a signal; false if the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<bool, NetError> {
        match pidfd_send_signal(&self.0, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(source) => Err(NetError::Os { what: "pidfd_send_signal", source }),
        }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// When a process started, in clock ticks since the machine did: with the number it names a process for good.
pub fn process_start_time(pid: u32) -> Result<u64, NetError> {
    let gone = || NetError::NoProcess { pid };
    let stat = std::fs::read(format!("/proc/{pid}/stat")).map_err(|_| gone())?;
    // A process may call itself anything, UTF-8 or not.
    parse_start_time(&String::from_utf8_lossy(&stat)).ok_or_else(gone)
}

/// Field 22. The second field is a name in parentheses that may hold spaces and parentheses.
fn parse_start_time(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Instant;

    use super::*;
    use crate::poll::wait_for;

    #[test]
    fn a_name_with_parentheses_doesnt_confuse() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1000 9";
        assert_eq!(parse_start_time(stat), Some(4242));
        assert_eq!(parse_start_time("7 (a"), None);
    }

    #[test]
    fn an_end_is_heard_and_a_signal_comes_through() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let start = process_start_time(child.id()).unwrap();
        let process = PidFd::open_started(child.id(), start).unwrap();
        assert!(matches!(PidFd::open_started(child.id(), start + 1), Err(NetError::NoProcess { .. })));
        assert!(!process.has_exited());
        assert!(process.signal(Signal::KILL).unwrap());
        let deadline = Instant::now() + Duration::from_secs(20);
        wait_for(process.as_fd(), PollFlags::IN, Some(deadline)).unwrap();
        assert!(process.has_exited());
        child.wait().unwrap();
        assert!(process.has_exited() && !process.signal(Signal::TERM).unwrap());
        assert!(matches!(process_start_time(child.id()), Err(NetError::NoProcess { .. })));
    }

    #[test]
    fn no_process_has_the_number_zero() {
        assert!(matches!(PidFd::open(0), Err(NetError::NoProcess { pid: 0 })));
        assert!(matches!(PidFd::open(u32::MAX), Err(NetError::NoProcess { .. })));
    }
}
