//! One sleeping thread and what it waits for.
//!
//! - WAIT-1 `DONE` is set once, by whoever counts the last object down; it is never cleared while the thread looks.
//! - WAIT-2 who sets a bit of the word and then finds `parked` wakes; who parks sets `parked` and then looks at the
//!   word: sequentially consistent on both sides, so one of them sees the other.
use rustix::thread::futex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

const DONE: u32 = 1;
const LEAD: u32 = 2;

/// Counts objects down to zero and wakes its thread.
#[derive(Debug, Default)]
pub struct Waiter {
    word: AtomicU32,
    left: AtomicUsize,
    parked: AtomicBool,
    pub(crate) leading: AtomicBool,
}

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

impl Waiter {
    /// Waits for `left` objects.
    pub fn new(left: usize) -> Self {
        let waiter = Self::default();
        waiter.left.store(left, SeqCst);
        if left == 0 {
            waiter.word.store(DONE, SeqCst);
        }
        waiter
    }

    /// Whether all are there.
    pub fn done(&self) -> bool {
        self.word.load(SeqCst) & DONE != 0
    }

    /// One more is there. True when it was the last one.
    pub(crate) fn count_down(&self) -> bool {
        let before = self.left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1));
        before == Ok(1) && {
            self.finish();
            true
        }
    }

    /// Ends the wait whatever is missing.
    pub(crate) fn finish(&self) {
        self.set(DONE);
    }

    /// Makes it ready for the next wait of its thread: of the executor, which waits again and again.
    pub(crate) fn rearm(&self) {
        self.left.store(1, SeqCst);
        self.word.store(0, SeqCst);
    }

    /// Tells the thread to take the lead.
    pub(crate) fn call_to_lead(&self) {
        self.set(LEAD);
    }

    fn set(&self, bit: u32) {
        self.word.fetch_or(bit, SeqCst);
        if self.parked.load(SeqCst) {
            let _ = futex::wake(&self.word, futex::Flags::PRIVATE, 1);
        }
    }

    /// Sleeps as a follower until done, called to lead, time or a signal.
    pub(crate) fn park(&self, timeout: Option<Duration>) -> Unparked {
        self.parked.store(true, SeqCst);
        let seen = self.word.load(SeqCst);
        let result = if seen & (DONE | LEAD) == 0 {
            let timeout = timeout.map(|t| rustix::time::Timespec::try_from(t).unwrap_or(LONG));
            futex::wait(&self.word, futex::Flags::PRIVATE, seen, timeout.as_ref())
        } else {
            Ok(())
        };
        self.parked.store(false, SeqCst);
        self.word.fetch_and(!LEAD, SeqCst);
        match result {
            Err(rustix::io::Errno::TIMEDOUT) => Unparked::Timeout,
            Err(rustix::io::Errno::INTR) => Unparked::Interrupted,
            _ => Unparked::Look,
        }
    }
}

const LONG: rustix::time::Timespec = rustix::time::Timespec { tv_sec: 1 << 30, tv_nsec: 0 };
