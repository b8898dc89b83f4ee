//! The bell's words in a shared page.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex;

use super::state::{Sleep, Wake};
use crate::error::RingError;
use crate::map::Mapping;
use crate::sync::Ordering::{Acquire, Release};
use crate::sync::{AtomicU32, AtomicU64};

const MAGIC: u64 = u64::from_le_bytes(*b"shoalbel");
const VERSION: u32 = 1;
const AT_VERSION: usize = 8;
const AT_SLEEPER: usize = 64;
const AT_SUMMARY: usize = 128;
const AT_READY: usize = 192;
pub(super) const AT_TITLE: usize = 704;
const AT_BLOCKED: usize = 832;
const AT_TASK: usize = 840;
const LEN: usize = 4096;

/// BELL-6: a wait "without limit" lasts this long and then counts as a wake for nothing.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

/// A mapped bell.
#[derive(Debug)]
pub(super) struct Page(Mapping);

impl Page {
    pub(super) fn create() -> Result<(Self, OwnedFd), RingError> {
        let fd = Mapping::create_file("shoal-bell", LEN)?;
        let map = Mapping::map(&fd, LEN)?;
        map.u32(AT_VERSION).store(VERSION, Release);
        map.u64(0).store(MAGIC, Release);
        Ok((Page(map), fd))
    }

    pub(super) fn map(fd: impl AsFd) -> Result<Self, RingError> {
        let map = Mapping::map(fd, LEN)?;
        let magic = map.u64(0).load(Acquire);
        if magic != MAGIC {
            return Err(RingError::Layout { what: "magic", found: magic, expected: MAGIC });
        }
        let version = map.u32(AT_VERSION).load(Acquire);
        if version != VERSION {
            let (found, expected) = (u64::from(version), u64::from(VERSION));
            return Err(RingError::Layout { what: "version", found, expected });
        }
        Ok(Page(map))
    }

    pub(super) fn sleeper(&self) -> &AtomicU32 {
        self.0.u32(AT_SLEEPER)
    }

    pub(super) fn summary(&self) -> &AtomicU64 {
        self.0.u64(AT_SUMMARY)
    }

    pub(super) fn ready(&self, word: u32) -> &AtomicU64 {
        self.0.u64(AT_READY + 8 * (word as usize % 64))
    }

    pub(super) fn blocked(&self) -> &AtomicU32 {
        self.0.u32(AT_BLOCKED)
    }

    pub(super) fn task(&self) -> &AtomicU64 {
        self.0.u64(AT_TASK)
    }

    pub(super) fn title_sequence(&self) -> &AtomicU32 {
        self.0.u32(AT_TITLE)
    }

    pub(super) fn title_word(&self, word: usize) -> &AtomicU64 {
        self.0.u64(AT_TITLE + 8 + 8 * word)
    }

    /// Wakes whoever sleeps on the sleeper word, in any process.
    pub(super) fn futex_wake(&self) {
        // The only failures are a bad address and a bad flag; both are excluded by construction.
        let _ = futex::wake(self.sleeper(), futex::Flags::empty(), u32::MAX >> 1);
    }

    /// Sleeps while the sleeper word says `kind` (BELL-6).
    pub(super) fn futex_wait(&self, kind: Sleep, timeout: Option<Duration>) -> Wake {
        let limit = timeout.unwrap_or(FOREVER).min(FOREVER);
        let limit = futex::Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
        match futex::wait(self.sleeper(), futex::Flags::empty(), kind as u32, Some(&limit)) {
            Err(Errno::INTR) => Wake::Interrupted,
            Err(Errno::TIMEDOUT) if timeout.is_some() => Wake::Timeout,
            _ => Wake::Woken,
        }
    }
}
