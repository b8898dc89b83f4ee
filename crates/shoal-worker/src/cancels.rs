//! Cancels of calls that run here: from the owner's word to the call's answer.
//!
//! - CANCEL-1 a cancel is noted before anybody is interrupted, and looked at after a call is in hand: registered in
//!   `beside`, or what the main thread runs. So whichever comes second finds the other.
//! - CANCEL-2 it is forgotten when its call is answered. One for a call that was answered before is not kept: it is
//!   told by `beside`, and for the executor's own thread by that thread's asking for work, for a cancel comes only
//!   after its call was taken.
//! - CANCEL-3 who runs the call is interrupted at once, and again each [`AGAIN`] until it is answered.
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use shoal_types::TaskId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How long user code may go on after an interrupt before it gets the next one (DESIGN §4.11).
const AGAIN: Duration = Duration::from_millis(500);

/// What to do, on the I/O thread, to interrupt a call.
pub type OnCancel = Box<dyn Fn(TaskId) + Send>;

struct Wanted {
    task: TaskId,
    again: Instant,
    /// Its children are to be cancelled once more, when it is interrupted.
    children: bool,
}

type Beside = FxHashMap<TaskId, Option<(Arc<str>, Instant)>>;

#[derive(Default)]
struct Table {
    wanted: Vec<Wanted>,
    /// Calls in hand beside the executor's own thread: what of them runs, since when; the rest waits for a thread.
    beside: Beside,
}

#[derive(Default)]
pub(crate) struct Cancels {
    /// Whether `wanted` holds any: most calls look at nothing else.
    any: AtomicBool,
    table: Mutex<Table>,
    interrupt: Mutex<Option<OnCancel>>,
}

impl Cancels {
    pub(crate) fn set_interrupt(&self, f: OnCancel) {
        *self.interrupt.lock() = Some(f);
    }

    /// The owner's word. `idle`: the executor's own thread has no call in hand.
    pub(crate) fn cancel(&self, task: TaskId, children: bool, idle: bool) {
        let mut table = self.table.lock();
        let gone = idle && !table.beside.contains_key(&task);
        if gone || table.wanted.iter().any(|w| w.task == task) {
            return;
        }
        table.wanted.push(Wanted { task, again: Instant::now() + AGAIN, children });
        self.any.store(true, SeqCst);
        drop(table);
        self.interrupt(task);
    }

    fn interrupt(&self, task: TaskId) {
        if let Some(f) = &*self.interrupt.lock() {
            f(task);
        }
    }

    pub(crate) fn any(&self) -> bool {
        self.any.load(SeqCst)
    }

    pub(crate) fn holds(&self, task: &TaskId) -> bool {
        self.any() && self.table.lock().wanted.iter().any(|w| w.task == *task)
    }

    /// The call is being interrupted: whether its children are to be cancelled now. True once.
    pub(crate) fn take_children(&self, task: &TaskId) -> bool {
        let mut table = self.table.lock();
        let wanted = table.wanted.iter_mut().find(|w| w.task == *task);
        wanted.is_some_and(|w| std::mem::take(&mut w.children))
    }

    /// The call is answered.
    pub(crate) fn forget(&self, task: &TaskId) {
        if self.any() {
            self.retain(|t, _| t != task);
        }
    }

    /// The executor's own thread has no call in hand (CANCEL-2).
    pub(crate) fn own_thread_is_free(&self) {
        if self.any() {
            self.retain(|t, beside| beside.contains_key(t));
        }
    }

    fn retain(&self, keep: impl Fn(&TaskId, &Beside) -> bool) {
        let Table { wanted, beside } = &mut *self.table.lock();
        wanted.retain(|w| keep(&w.task, beside));
        self.any.store(!wanted.is_empty(), SeqCst);
    }

    /// A call runs beside the executor's own thread, or does no longer.
    pub(crate) fn set_beside(&self, task: TaskId, runs: bool) {
        let mut table = self.table.lock();
        if runs {
            table.beside.insert(task, None);
        } else {
            table.beside.remove(&task);
        }
    }

    /// Cancels every such call.
    pub(crate) fn cancel_beside(&self) {
        let mut all: Vec<TaskId> = self.table.lock().beside.keys().copied().collect();
        all.sort_unstable();
        all.into_iter().for_each(|task| self.cancel(task, false, false));
    }

    /// Such a call begins.
    pub(crate) fn begin_beside(&self, task: TaskId, name: Arc<str>, began: Instant) {
        if let Some(call) = self.table.lock().beside.get_mut(&task) {
            *call = Some((name, began));
        }
    }

    /// Such calls that have begun.
    pub(crate) fn beside(&self) -> Vec<(TaskId, Arc<str>, Instant)> {
        let table = self.table.lock();
        let begun = |(task, call): (&TaskId, &Option<_>)| call.clone().map(|(name, began)| (*task, name, began));
        table.beside.iter().filter_map(begun).collect()
    }

    pub(crate) fn none_beside(&self) -> bool {
        self.table.lock().beside.is_empty()
    }

    /// When the next interrupt is due, after those that are due now were made (CANCEL-3).
    pub(crate) fn interrupt_due(&self) -> Option<Duration> {
        if !self.any() {
            return None;
        }
        let (now, mut due, mut next) = (Instant::now(), Vec::new(), None::<Instant>);
        for w in &mut self.table.lock().wanted {
            if w.again <= now {
                w.again = now + AGAIN;
                due.push(w.task);
            }
            next = Some(next.map_or(w.again, |n| n.min(w.again)));
        }
        due.into_iter().for_each(|task| self.interrupt(task));
        next.map(|at| at - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(n: u64) -> TaskId {
        TaskId::new([1; 8], n)
    }

    /// With what was interrupted so far.
    fn cancels() -> (Cancels, Arc<Mutex<Vec<TaskId>>>) {
        let (cancels, heard) = (Cancels::default(), Arc::new(Mutex::new(Vec::new())));
        let told = Arc::clone(&heard);
        cancels.set_interrupt(Box::new(move |task| told.lock().push(task)));
        (cancels, heard)
    }

    #[test]
    fn a_cancel_holds_from_the_owners_word_to_the_answer() {
        let (cancels, heard) = cancels();
        assert!(!cancels.holds(&task(1)));
        cancels.cancel(task(1), true, false);
        cancels.cancel(task(1), true, false);
        assert!(cancels.holds(&task(1)) && !cancels.holds(&task(2)));
        assert_eq!(*heard.lock(), [task(1)]);
        assert!(cancels.take_children(&task(1)) && !cancels.take_children(&task(1)));
        cancels.forget(&task(1));
        assert!(!cancels.holds(&task(1)) && cancels.interrupt_due().is_none());
    }

    #[test]
    fn a_cancel_of_an_answered_call_is_not_kept() {
        let (cancels, heard) = cancels();
        cancels.cancel(task(1), true, true);
        assert!(!cancels.holds(&task(1)) && heard.lock().is_empty());
        // It may be the one that the own thread has in hand; when that thread asks for work, it wasn't.
        cancels.cancel(task(2), true, false);
        assert!(cancels.holds(&task(2)));
        cancels.own_thread_is_free();
        assert!(!cancels.holds(&task(2)));
    }

    #[test]
    fn calls_beside_the_own_thread_keep_theirs() {
        let (cancels, heard) = cancels();
        cancels.set_beside(task(1), true);
        cancels.cancel(task(1), true, true);
        cancels.own_thread_is_free();
        assert!(cancels.holds(&task(1)) && !cancels.none_beside());
        cancels.forget(&task(1));
        cancels.set_beside(task(1), false);
        assert!(!cancels.holds(&task(1)) && cancels.none_beside());
        assert_eq!(*heard.lock(), [task(1)]);
    }

    #[test]
    fn the_next_interrupt_comes_half_a_second_later() {
        let (cancels, heard) = cancels();
        cancels.cancel(task(1), true, false);
        let due = cancels.interrupt_due().unwrap();
        assert!(due <= AGAIN && heard.lock().len() == 1);
        std::thread::sleep(due);
        assert!(cancels.interrupt_due().is_some());
        assert_eq!(*heard.lock(), [task(1), task(1)]);
    }
}
