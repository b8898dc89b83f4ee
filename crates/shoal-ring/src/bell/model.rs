//! The bell's words as loom sees them, with a futex made of a lock and a condition.

use loom::sync::{Condvar, Mutex};

use super::state::{Sleep, Wake};
use crate::sync::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Two words of ready bits are enough for a model.
const WORDS: usize = 2;

pub(super) struct Page {
    sleeper: AtomicU32,
    summary: AtomicU64,
    ready: [AtomicU64; WORDS],
    lock: Mutex<()>,
    woken: Condvar,
}

impl Page {
    pub(super) fn new() -> Self {
        Page {
            sleeper: AtomicU32::new(0),
            summary: AtomicU64::new(0),
            ready: std::array::from_fn(|_| AtomicU64::new(0)),
            lock: Mutex::new(()),
            woken: Condvar::new(),
        }
    }

    pub(super) fn sleeper(&self) -> &AtomicU32 {
        &self.sleeper
    }

    pub(super) fn summary(&self) -> &AtomicU64 {
        &self.summary
    }

    pub(super) fn ready(&self, word: u32) -> &AtomicU64 {
        &self.ready[word as usize]
    }

    pub(super) fn futex_wake(&self) {
        let _held = self.lock.lock().unwrap();
        self.woken.notify_all();
    }

    /// As the kernel does: looks at the word under the lock of its queue, then sleeps.
    pub(super) fn futex_wait(&self, kind: Sleep) -> Wake {
        let held = self.lock.lock().unwrap();
        if self.sleeper.load(Relaxed) == kind as u32 {
            drop(self.woken.wait(held).unwrap());
        }
        Wake::Woken
    }
}
