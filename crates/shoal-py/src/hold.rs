//! Waits until something is done: mostly without the GIL (`shoal_worker::Hold`).
//!
//! - GIL-1 the record of the last waits is touched only with the GIL, so no fork finds it locked.
use parking_lot::Mutex;
use pyo3::prelude::*;
use shoal_worker::{Hold, Runtime, Waited, Waiter};
use std::sync::Arc;
use std::time::Instant;

static LAST: Mutex<Hold> = Mutex::new(Hold::new());

/// Until the waiter is done, the deadline or a signal.
pub(crate) fn wait(py: Python<'_>, runtime: &Runtime, waiter: &Arc<Waiter>, deadline: Option<Instant>) -> Waited {
    let begin = Instant::now();
    let held = LAST.lock().until(begin);
    if let Some(until) = held.filter(|_| !runtime.has_notices()) {
        let end = runtime.wait_with_gil(waiter, deadline.map_or(until, |deadline| deadline.min(until)));
        LAST.lock().kept(begin, Instant::now());
        if end != Waited::Timeout || deadline.is_some_and(|deadline| deadline <= until) {
            return end;
        }
    }
    let (end, woke) = py.detach(|| (runtime.wait(waiter, deadline), Instant::now()));
    LAST.lock().let_go(begin, woke, Instant::now());
    end
}
