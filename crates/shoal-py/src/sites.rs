//! Where the user's code makes references; whether it is given hints.
use crate::hooks::{call, hooks};
use pyo3::prelude::*;
use shoal_types::{ObjectId, RefWire, TaskId, Value, is_stream};
use shoal_worker::Runtime;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether hints are given on standard error.
#[pyfunction]
pub(crate) fn give_hints(on: bool) {
    shoal_worker::give_hints(on);
}

static ALL: AtomicBool = AtomicBool::new(false);

/// Whether the place of every reference is recorded, or only that of large values.
#[pyfunction]
pub(crate) fn record_sites(all: bool) {
    ALL.store(all, Relaxed);
}

/// A value was put: for a large one, to know where costs little beside copying it.
pub(crate) fn note_put(py: Python<'_>, runtime: &Runtime, wire: RefWire, stored: bool) -> PyResult<()> {
    if stored || ALL.load(Relaxed) {
        runtime.note_site(wire.id, site(py)?);
    }
    Ok(())
}

/// Whether a value lies in the arena.
pub(crate) fn is_stored(value: &Value) -> bool {
    matches!(value, Value::Stored { .. })
}

/// A call was made, with so many returns.
pub(crate) fn note_call(py: Python<'_>, runtime: &Runtime, task: TaskId, returns: u32) -> PyResult<()> {
    if ALL.load(Relaxed) && !is_stream(returns) {
        let site = site(py)?;
        (0..returns).for_each(|i| runtime.note_site(ObjectId::new(task, i), Arc::clone(&site)));
    }
    Ok(())
}

fn site(py: Python<'_>) -> PyResult<Arc<str>> {
    let text: String = call(py, &hooks(py)?.call_site, ())?.extract()?;
    Ok(text.into())
}
