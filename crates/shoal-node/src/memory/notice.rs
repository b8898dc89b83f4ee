//! The kernel's own notices that memory runs short.
//!
//! - A v1 group tells when its use, files included, passes a number of bytes: an eventfd. Reliable, so no look is due below it.
//! - Stalls for lack of memory (PSI), of the group (v2) or of the machine. That is often too late: a process that fills a
//!   group without a file to drop is killed by the kernel before anybody has stalled for long. So it comes on top of looks.
use super::reader::{Group, Reader, Version};
use rustix::event::{EventfdFlags, eventfd};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// 150 ms without progress for some process in 2 s; users without privileges may have multiples of 2 s only.
const STALL: &[u8] = b"some 150000 2000000\0";

/// A group that tells.
struct Armed {
    folder: PathBuf,
    limit: u64,
    event: OwnedFd,
    /// Whose number it is that passes.
    _usage: File,
}

/// What is waited for.
#[derive(Default)]
pub(super) struct Notices {
    armed: Vec<Armed>,
    pressure: Option<File>,
}

impl Notices {
    /// Asks for every notice that there is. What can't be had is done without.
    pub fn ask(reader: &Reader, threshold: f64) -> Self {
        let groups = reader.groups().iter().filter(|g| g.version == Version::V1);
        let armed = groups.filter_map(|g| arm(g, threshold).ok().flatten()).collect();
        Self { armed, pressure: stalls(&reader.pressure_file()).ok() }
    }

    /// Whether the kernel tells when the group comes near this limit.
    pub fn tells(&self, group: &Group, limit: u64) -> bool {
        self.armed.iter().any(|a| a.folder == group.folder && a.limit == limit)
    }

    /// Eventfds, each with its number.
    pub fn events(&self) -> impl Iterator<Item = (u64, &OwnedFd)> {
        self.armed.iter().enumerate().map(|(n, armed)| (n as u64 + 1, &armed.event))
    }

    /// The file of stalls; its number is 0.
    pub fn pressure(&self) -> Option<&File> {
        self.pressure.as_ref()
    }

    /// Takes what the eventfd of this number holds.
    pub fn take(&self, number: u64) {
        if let Some((_, fd)) = self.events().find(|(n, _)| *n == number) {
            // Nothing there is as good.
            let _ = rustix::io::read(fd, &mut [0; 8]);
        }
    }

    /// The kernel has given up on it.
    pub fn drop_pressure(&mut self) -> Option<File> {
        self.pressure.take()
    }
}

fn arm(group: &Group, threshold: f64) -> std::io::Result<Option<Armed>> {
    let Some(limit) = group.limit() else { return Ok(None) };
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let usage = File::open(group.usage_file())?;
    let at = (limit as f64 * threshold) as u64;
    let line = format!("{} {} {at}", event.as_raw_fd(), usage.as_raw_fd());
    OpenOptions::new().write(true).open(group.folder.join("cgroup.event_control"))?.write_all(line.as_bytes())?;
    Ok(Some(Armed { folder: group.folder.clone(), limit, event, _usage: usage }))
}

fn stalls(path: &Path) -> std::io::Result<File> {
    let mut file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    file.write_all(STALL)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
