//! A word that its thread sleeps on.
use crate::sync::AtomicU32;
use crate::sync::Ordering::{AcqRel, Acquire, Release};
use rustix::io::Errno;
use rustix::thread::futex;
use std::time::Duration;

/// Why a parked thread goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unparked {
    /// Its word changed, or nothing in particular: look again.
    Look,
    /// The time is over.
    Timeout,
    /// A signal.
    Interrupted,
}

const LONG: futex::Timespec = futex::Timespec { tv_sec: 1 << 30, tv_nsec: 0 };

#[derive(Debug)]
pub(super) struct Word(AtomicU32);

impl Word {
    pub(super) fn new(value: u32) -> Self {
        Self(AtomicU32::new(value))
    }

    pub(super) fn load(&self) -> u32 {
        self.0.load(Acquire)
    }

    pub(super) fn set(&self, bit: u32) {
        self.0.fetch_or(bit, AcqRel);
    }

    pub(super) fn unset(&self, bit: u32) {
        self.0.fetch_and(!bit, AcqRel);
    }

    pub(super) fn clear(&self) {
        self.0.store(0, Release);
    }

    pub(super) fn wake(&self) {
        // The only failures are a bad address and a bad flag; both are excluded by construction.
        let _ = futex::wake(&self.0, futex::Flags::PRIVATE, 1);
    }

    pub(super) fn wait(&self, seen: u32, timeout: Option<Duration>) -> Unparked {
        let timeout = timeout.map(|t| futex::Timespec::try_from(t).unwrap_or(LONG));
        match futex::wait(&self.0, futex::Flags::PRIVATE, seen, timeout.as_ref()) {
            Err(Errno::TIMEDOUT) => Unparked::Timeout,
            Err(Errno::INTR) => Unparked::Interrupted,
            _ => Unparked::Look,
        }
    }
}
