//! Waits until something is done: mostly without the GIL (`shoal_worker::Hold`).
//!
//! - GIL-1 the record of the last waits is touched only with the GIL, so no fork finds it locked.
use parking_lot::Mutex;
use pyo3::prelude::*;
use shoal_worker::{Hold, Runtime, Waited, Waiter};
use std::sync::Arc;
use std::time::Instant;

static LAST: Mutex<Hold> = Mutex::new(Hold::new());

/// Until the waiter is done, the deadline, a signal, or a call after `since` ([`Runtime::calls`]).
pub(crate) fn wait(
    py: Python<'_>,
    runtime: &Runtime,
    waiter: &Arc<Waiter>,
    deadline: Option<Instant>,
    since: u32,
) -> Waited {
    let begin = Instant::now();
    let held = LAST.lock().until(begin);
    if let Some(until) = held.filter(|_| !runtime.has_notices()) {
        let end = runtime.wait_with_gil(waiter, deadline.map_or(until, |deadline| deadline.min(until)), since);
        LAST.lock().kept(begin, Instant::now());
        if end != Waited::Timeout || deadline.is_some_and(|deadline| deadline <= until) {
            return end;
        }
    }
    let (end, woke) = py.detach(|| (runtime.wait(waiter, deadline, since), Instant::now()));
    LAST.lock().let_go(begin, woke, Instant::now());
    end
}
