//! What runs now: on this thread, and in this process.
//!
//! - CUR-1 `RUNNING` is the task that the main thread has taken; the I/O thread reads it to know whom to interrupt.
//! - CUR-2 an interrupt is wanted for one task; the signal's handler raises only while that one runs.
use crate::hooks::{call, hooks};
use crate::worker::Call;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use shoal_proto::control::ToNode;
use shoal_types::{ActorId, TaskId};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

/// A task or call as its thread knows it.
#[derive(Clone)]
pub(crate) struct Current {
    pub(crate) task: TaskId,
    pub(crate) name: Arc<str>,
    pub(crate) depth: u32,
    pub(crate) attempt: u16,
    pub(crate) actor: Option<ActorId>,
}

thread_local! {
    static CURRENT: RefCell<Vec<Current>> = const { RefCell::new(Vec::new()) };
    static HANDLED: Cell<Option<TaskId>> = const { Cell::new(None) };
    static LOOP: Cell<bool> = const { Cell::new(false) };
}

/// What the main thread runs.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) task: TaskId,
    pub(crate) name: Arc<str>,
    pub(crate) began: Instant,
}

static RUNNING: Mutex<Option<Run>> = Mutex::new(None);
static WANTED: Mutex<Option<TaskId>> = Mutex::new(None);

/// How many of this process's calls wait, of how many that run.
struct Blocked {
    running: u32,
    waiting: u32,
    told: bool,
    /// Of what such a call's own threads call.
    child_depth: u32,
    /// The task that such threads belong to; an actor's threads may outlive any call.
    task: Option<TaskId>,
}

static BLOCKED: Mutex<Blocked> = Mutex::new(Blocked::NOTHING);

impl Blocked {
    const NOTHING: Self = Self { running: 0, waiting: 0, told: false, child_depth: 0, task: None };

    /// Tells the daemon when "all that run here wait" has changed. Threads that the user's code has started count as
    /// if they were what runs: it may sit in `join` until they are done.
    fn tell(&mut self) {
        let all = self.running > 0 && self.waiting >= self.running;
        if all == self.told {
            return;
        }
        self.told = all;
        if let Some(runtime) = crate::session::try_runtime() {
            runtime.tell_node(if all { &ToNode::Blocked } else { &ToNode::Unblocked });
        }
    }
}

/// This thread runs `current` from now on.
pub(crate) fn enter(current: Current) {
    let mut blocked = BLOCKED.lock();
    blocked.child_depth = current.depth + 1;
    blocked.task = current.actor.is_none().then_some(current.task);
    blocked.running += 1;
    blocked.tell();
    CURRENT.with_borrow_mut(|stack| stack.push(current));
}

/// It doesn't any more.
pub(crate) fn leave() {
    CURRENT.with_borrow_mut(Vec::pop);
    let mut blocked = BLOCKED.lock();
    blocked.running = blocked.running.saturating_sub(1);
    blocked.task = None;
    blocked.tell();
}

/// The main thread runs this task, or none.
pub(crate) fn set_running(run: Option<Run>) {
    let none = run.is_none();
    *RUNNING.lock() = run;
    if none {
        *WANTED.lock() = None;
    }
}

/// Fetches a call's arguments or stores its results: its code doesn't run, so no interrupt that is meant for that finds
/// it. A question to the daemon looks here whether it is cancelled.
pub(crate) fn handle<T>(task: TaskId, f: impl FnOnce() -> T) -> T {
    HANDLED.set(Some(task));
    let done = f();
    HANDLED.set(None);
    done
}

/// Whether what this thread [`handle`]s is cancelled, or its actor has ended.
pub(crate) fn is_handled_call_cancelled() -> bool {
    let useless = |task, r: &shoal_worker::Runtime| r.is_cancelled(&task) || r.has_ended();
    HANDLED.get().is_some_and(|task| crate::session::try_runtime().is_some_and(|r| useless(task, &r)))
}

/// What the main thread runs. Called by the I/O thread.
pub(crate) fn running() -> Option<(TaskId, Arc<str>, Instant)> {
    RUNNING.lock().clone().map(|run| (run.task, run.name, run.began))
}

/// Asks for an interrupt of `task` if the main thread runs it. Called by the I/O thread.
pub(crate) fn want_interrupt(task: TaskId) -> bool {
    let running = RUNNING.lock();
    let hit = running.as_ref().is_some_and(|run| run.task == task);
    if hit {
        *WANTED.lock() = Some(task);
    }
    hit
}

/// Nesting depth and parent of what this thread submits; 0 and none in a driver.
pub(crate) fn ancestry(py: Python<'_>) -> PyResult<(u32, Option<TaskId>)> {
    if let Some(own) = CURRENT.with_borrow(|stack| stack.last().map(|c| (c.depth + 1, Some(c.task)))) {
        return Ok(own);
    }
    if LOOP.get() {
        // A task that a call's coroutine has started: its context knows the call.
        let found = call(py, &hooks(py)?.coroutine_call, ())?;
        if let Ok(found) = found.cast::<Call>() {
            return Ok(found.get().ancestry());
        }
    }
    let blocked = BLOCKED.lock();
    Ok((blocked.child_depth, blocked.task))
}

/// This thread runs the event loop of an async actor.
#[pyfunction]
pub(crate) fn runs_loop() {
    LOOP.set(true);
}

/// In a worker's signal handler: whether the running task is the one to interrupt. Answers yes once a signal.
#[pyfunction]
pub(crate) fn interrupt_wanted() -> bool {
    let Some(running) = RUNNING.lock().as_ref().map(|run| run.task) else { return false };
    if WANTED.lock().take_if(|task| *task == running).is_none() {
        return false;
    }
    if let Some(runtime) = crate::session::try_runtime() {
        runtime.interrupting(running);
    }
    true
}

/// The task or call that this thread runs; None in a driver.
#[pyfunction]
pub(crate) fn current(py: Python<'_>) -> PyResult<Option<Py<PyDict>>> {
    let Some(current) = CURRENT.with_borrow(|stack| stack.last().cloned()) else { return Ok(None) };
    let out = PyDict::new(py);
    out.set_item("task_id", PyBytes::new(py, &current.task.0))?;
    out.set_item("name", &*current.name)?;
    out.set_item("depth", current.depth)?;
    out.set_item("attempt", current.attempt)?;
    out.set_item("cancelled", crate::session::try_runtime().is_some_and(|r| r.is_cancelled(&current.task)))?;
    out.set_item("actor_id", current.actor.map(|a| PyBytes::new(py, &a.0).unbind()))?;
    Ok(Some(out.unbind()))
}

/// While it lives, this thread's task waits; when all that run here wait, the daemon lends their CPUs.
pub(crate) struct Blocking(());

impl Blocking {
    pub(crate) fn begin() -> Self {
        let mut blocked = BLOCKED.lock();
        blocked.waiting += 1;
        blocked.tell();
        Self(())
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        let mut blocked = BLOCKED.lock();
        blocked.waiting = blocked.waiting.saturating_sub(1);
        blocked.tell();
    }
}

/// In a forked child: nothing runs.
pub(crate) fn forked() {
    CURRENT.with_borrow_mut(Vec::clear);
    if RUNNING.is_locked() {
        // SAFETY: this is the only thread of the child; who held the lock does not exist here.
        unsafe { RUNNING.force_unlock() };
    }
    *RUNNING.lock() = None;
    if WANTED.is_locked() {
        // SAFETY: as above.
        unsafe { WANTED.force_unlock() };
    }
    *WANTED.lock() = None;
    if BLOCKED.is_locked() {
        // SAFETY: as above.
        unsafe { BLOCKED.force_unlock() };
    }
    *BLOCKED.lock() = Blocked::NOTHING;
}
