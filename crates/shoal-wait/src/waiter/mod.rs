//! One sleeping thread and what it waits for (WAIT-1, WAIT-2).
#[cfg(all(loom, test))]
#[path = "model.rs"]
mod word;
#[cfg(not(all(loom, test)))]
mod word;

use crate::leadership::Waited;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::{AtomicBool, AtomicUsize, fence};
use std::time::Duration;
pub(crate) use word::Unparked;
use word::Word;

const DONE: u32 = 1;
const CALLED: u32 = 2;

/// Counts objects down to zero and wakes its thread.
#[derive(Debug)]
pub struct Waiter {
    word: Word,
    left: AtomicUsize,
    parked: AtomicBool,
    leading: AtomicBool,
}

impl Waiter {
    /// Waits for `left` objects.
    pub fn new(left: usize) -> Self {
        Self {
            word: Word::new(if left == 0 { DONE } else { 0 }),
            left: AtomicUsize::new(left),
            parked: AtomicBool::new(false),
            leading: AtomicBool::new(false),
        }
    }

    /// Whether all are there.
    pub fn done(&self) -> bool {
        self.word.load() & DONE != 0
    }

    /// One more is there. True when it was the last one and the thread leads: ring its bell.
    #[must_use = "a leader sleeps on the bell, not on its word"]
    pub fn count_down(&self) -> bool {
        let before = self.left.fetch_update(AcqRel, Acquire, |n| n.checked_sub(1));
        before == Ok(1) && self.finish()
    }

    /// How many were still missing when the wait ended.
    pub fn missing(&self) -> usize {
        self.left.load(Acquire)
    }

    /// Ends the wait whatever is missing. True when the thread leads: ring its bell.
    #[must_use = "a leader sleeps on the bell, not on its word"]
    pub fn finish(&self) -> bool {
        self.set(DONE);
        self.leading.load(Relaxed)
    }

    /// Makes it ready for the next wait of its thread: of the executor, which waits again and again.
    pub fn rearm(&self) {
        self.left.store(1, Release);
        self.word.clear();
    }

    /// Has the thread look around: a follower, whether to take the lead; one in [`Waiter::sleep`], whether to go on.
    pub fn call(&self) {
        self.set(CALLED);
    }

    /// Sleeps alone, whoever leads: for what the I/O thread reads. A call counts as a signal.
    pub fn sleep(&self, timeout: Duration) -> Waited {
        match self.park(Some(timeout)) {
            _ if self.done() => Waited::Done,
            Unparked::Timeout => Waited::Timeout,
            Unparked::Look | Unparked::Interrupted => Waited::Interrupted,
        }
    }

    fn set(&self, bit: u32) {
        self.word.set(bit);
        fence(SeqCst);
        if self.parked.load(Relaxed) {
            self.word.wake();
        }
    }

    /// From here on the thread sleeps on the bell; it looks whether it is done after this.
    pub(crate) fn set_leading(&self, leading: bool) {
        self.leading.store(leading, Relaxed);
        fence(SeqCst);
    }

    /// Sleeps as a follower until done, called, time or a signal.
    pub(crate) fn park(&self, timeout: Option<Duration>) -> Unparked {
        self.parked.store(true, Relaxed);
        fence(SeqCst);
        let seen = self.word.load();
        let end = if seen & (DONE | CALLED) == 0 { self.word.wait(seen, timeout) } else { Unparked::Look };
        self.parked.store(false, Relaxed);
        self.word.unset(CALLED);
        end
    }
}

#[cfg(all(loom, test))]
impl Waiter {
    /// A signal, for models: a thread that is parked goes on.
    pub(crate) fn interrupt(&self) {
        self.word.interrupt();
    }
}
