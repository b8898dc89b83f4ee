//! Readiness: epoll, an event to end its wait from another thread, and a wait for one descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

use crate::error::NetError;

/// Events that one wait gives at most; more come with the next.
const BATCH: usize = 64;

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Bytes to read, connections to accept, an end.
    Read,
    /// Room to write.
    Write,
    /// Either.
    ReadWrite,
    /// Only the end of the peer, which is always told.
    Closed,
    /// What the kernel has to say of a file of its own (`POLLPRI`).
    Notice,
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        match self {
            Interest::Read => epoll::EventFlags::IN,
            Interest::Write => epoll::EventFlags::OUT,
            Interest::ReadWrite => epoll::EventFlags::IN | epoll::EventFlags::OUT,
            Interest::Closed => epoll::EventFlags::empty(),
            Interest::Notice => epoll::EventFlags::PRI,
        }
    }
}

/// What happened to one descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The number under which it was added.
    pub token: u64,
    /// A read won't wait (it may give end-of-file or an error).
    pub readable: bool,
    /// A write won't wait (it may give an error).
    pub writable: bool,
    /// Both directions are closed, or there is an error.
    pub closed: bool,
}

impl From<epoll::Event> for Event {
    fn from(event: epoll::Event) -> Self {
        let flags = event.flags;
        Event {
            token: event.data.u64(),
            readable: flags.contains(epoll::EventFlags::IN),
            writable: flags.contains(epoll::EventFlags::OUT),
            closed: flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR),
        }
    }
}

/// A level-triggered epoll.
#[derive(Debug)]
pub struct Poller(OwnedFd);

impl Poller {
    /// Makes one that watches nothing.
    pub fn new() -> Result<Self, NetError> {
        epoll::create(epoll::CreateFlags::CLOEXEC).map(Poller).map_err(NetError::os("epoll_create1"))
    }

    /// Watches `fd` under `token`. Closing the descriptor doesn't end that where copies of it are open: delete it.
    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<(), NetError> {
        let data = epoll::EventData::new_u64(token);
        epoll::add(&self.0, fd, data, interest.flags()).map_err(NetError::os("epoll_ctl(ADD)"))
    }

    /// Changes token and interest of a watched `fd`.
    pub fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<(), NetError> {
        let data = epoll::EventData::new_u64(token);
        epoll::modify(&self.0, fd, data, interest.flags()).map_err(NetError::os("epoll_ctl(MOD)"))
    }

    /// Ends watching `fd`.
    pub fn delete(&self, fd: impl AsFd) -> Result<(), NetError> {
        epoll::delete(&self.0, fd).map_err(NetError::os("epoll_ctl(DEL)"))
    }

    /// Waits for events, replacing those in `events`; none after `timeout` (`None`: no limit) or a signal.
    pub fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> Result<(), NetError> {
        events.clear();
        match self.wait_raw(timeout) {
            Ok(raw) => events.extend(raw.into_iter().map(Event::from)),
            Err(Errno::INTR) => {}
            Err(source) => return Err(NetError::Os { what: "epoll_wait", source }),
        }
        Ok(())
    }

    fn wait_raw(&self, timeout: Option<Duration>) -> rustix::io::Result<Vec<epoll::Event>> {
        let mut raw = Vec::with_capacity(BATCH);
        let limit = match timeout {
            // `epoll_wait` knows milliseconds only, and `epoll_pwait2` needs Linux 5.11: `ppoll` waits finely.
            Some(limit) if limit.subsec_micros() % 1000 != 0 => {
                poll_once(self.0.as_fd(), PollFlags::IN, Some(limit))?;
                Some(Duration::ZERO)
            }
            limit => limit,
        };
        epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut raw), limit.map(timespec).as_ref())?;
        Ok(raw)
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Ends a [`Poller`]'s wait from any thread. Kicks before a drain count once.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// Makes one that wasn't kicked.
    pub fn new() -> Result<Self, NetError> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        eventfd(0, flags).map(EventFd).map_err(NetError::os("eventfd"))
    }

    /// Makes it readable.
    pub fn kick(&self) {
        // Fails only when 2^64 − 1 kicks weren't drained: then it is readable already.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Makes it unreadable; true if it had been kicked.
    pub fn drain(&self) -> bool {
        rustix::io::read(&self.0, &mut [0; 8]).is_ok()
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until `fd` has one of `flags`, its end or an error.
pub(crate) fn wait_for(fd: BorrowedFd<'_>, flags: PollFlags, deadline: Option<Instant>) -> Result<(), NetError> {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    match poll_once(fd, flags, left) {
        Ok(true) => Ok(()),
        Ok(false) => Err(NetError::TimedOut),
        Err(Errno::INTR) => Err(NetError::Interrupted),
        Err(source) => Err(NetError::Os { what: "poll", source }),
    }
}

/// One `ppoll`; false if the time passed.
pub(crate) fn poll_once(fd: BorrowedFd<'_>, flags: PollFlags, limit: Option<Duration>) -> rustix::io::Result<bool> {
    let mut fds = [PollFd::from_borrowed_fd(fd, flags)];
    Ok(rustix::event::poll(&mut fds, limit.map(timespec).as_ref())? != 0)
}

/// Saturates at the largest time, which is forever.
fn timespec(limit: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX), tv_nsec: limit.subsec_nanos().into() }
}
