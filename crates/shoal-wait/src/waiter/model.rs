//! The word as loom sees it, with a futex made of a lock and a condition.
use crate::sync::AtomicU32;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use loom::sync::{Condvar, Mutex};
use std::time::Duration;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unparked {
    Look,
    #[allow(dead_code)] // time stands still in a model
    Timeout,
    Interrupted,
}

/// The queue of the kernel: whether the thread is in it, and whether a signal took it out.
#[derive(Debug, Default)]
struct Queue {
    asleep: bool,
    signalled: bool,
}

#[derive(Debug)]
pub(super) struct Word {
    value: AtomicU32,
    queue: Mutex<Queue>,
    woken: Condvar,
}

impl Word {
    pub(super) fn new(value: u32) -> Self {
        Self { value: AtomicU32::new(value), queue: Mutex::new(Queue::default()), woken: Condvar::new() }
    }

    pub(super) fn load(&self) -> u32 {
        self.value.load(Acquire)
    }

    pub(super) fn set(&self, bit: u32) {
        self.value.fetch_or(bit, AcqRel);
    }

    pub(super) fn unset(&self, bit: u32) {
        self.value.fetch_and(!bit, AcqRel);
    }

    pub(super) fn clear(&self) {
        self.value.store(0, Release);
    }

    pub(super) fn wake(&self) {
        let _held = self.queue.lock().unwrap();
        self.woken.notify_all();
    }

    /// As the kernel does: looks at the word under the lock of its queue, then sleeps, until it is woken once.
    pub(super) fn wait(&self, seen: u32, _: Option<Duration>) -> Unparked {
        let mut queue = self.queue.lock().unwrap();
        if self.value.load(Relaxed) != seen {
            return Unparked::Look;
        }
        queue.asleep = true;
        queue = self.woken.wait(queue).unwrap();
        queue.asleep = false;
        if std::mem::take(&mut queue.signalled) { Unparked::Interrupted } else { Unparked::Look }
    }

    pub(super) fn interrupt(&self) {
        let mut queue = self.queue.lock().unwrap();
        if queue.asleep {
            queue.signalled = true;
            self.woken.notify_all();
        }
    }
}
