//! `wait`: a loop of it over ten thousand refs is a pass of a few nanoseconds a ref each time, no look-up.
use crate::errors;
use crate::objects::{Limit, sleep};
use crate::refs::ObjectRef;
use crate::session::{epoch, runtime};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use pyo3::{Borrowed, PyTypeInfo, ffi};
use shoal_types::ObjectId;
use shoal_worker::{Runtime, Sight};
use std::collections::HashSet;
use std::sync::Arc;

type Split<'py> = (Bound<'py, PyList>, Bound<'py, PyList>);

/// At most `num_returns` that are ready, and the rest, both in the list's order; `None` when the list holds something
/// else than refs.
#[pyfunction]
pub(crate) fn wait<'py>(
    refs: &Bound<'py, PyList>,
    num_returns: usize,
    timeout: Option<f64>,
) -> PyResult<Option<Split<'py>>> {
    let py = refs.py();
    let runtime = runtime_for(refs)?;
    let round = runtime.next_round();
    let Some(mut ready) = look(refs, round, num_returns, runtime.losses())? else { return Ok(None) };
    // While nobody holds the GIL the list itself may change.
    let mut copy = None;
    if ready.len() < num_returns {
        let refs = copy.insert(refs.get_slice(0, refs.len()));
        ready = sleep_round(&runtime, refs, round, num_returns, timeout)?;
    }
    match runtime.dead() {
        Some(error) => Err(errors::exception(py, &error)),
        None => split(copy.as_ref().unwrap_or(refs), &ready).map(Some),
    }
}

/// The process's runtime. Where there is none, refs say that they are of a session that has ended.
fn runtime_for(refs: &Bound<'_, PyList>) -> PyResult<Arc<Runtime>> {
    runtime(refs.py()).or_else(|error| {
        let all = (0..refs.len()).filter_map(|at| item(refs, at));
        all.map(|one| one.get().id(refs.py())).find_map(Result::err).map_or(Err(error), Err)
    })
}

/// One pass without Python code in it: the places of the first `needed` that are known to be ready. Nothing is allowed
/// twice.
fn look(refs: &Bound<'_, PyList>, round: u64, needed: usize, losses: u64) -> PyResult<Option<Vec<usize>>> {
    let (now, len) = (epoch(), refs.len());
    let mut ready = Vec::with_capacity(needed.min(len));
    let mut twins = false;
    for at in 0..len {
        let Some(one) = item(refs, at) else { return Ok(None) };
        let one = one.get();
        if one.epoch != now {
            one.id(refs.py())?;
        }
        twins |= one.twin;
        if !one.sight.meet(round) {
            return Err(twice());
        }
        if ready.len() < needed && one.sight.is_ready(losses) {
            ready.push(at);
        }
    }
    if twins && has_twins(refs) {
        return Err(twice());
    }
    Ok(Some(ready))
}

/// The ref at a place inside of a list that nobody changes while the result is used; `None` when it is something else.
fn item<'a, 'py>(refs: &'a Bound<'py, PyList>, at: usize) -> Option<Borrowed<'a, 'py, ObjectRef>> {
    // SAFETY: the list holds the item. `at` is inside of it.
    let one = unsafe { Borrowed::from_ptr(refs.py(), ffi::PyList_GetItem(refs.as_ptr(), at as ffi::Py_ssize_t)) };
    // SAFETY: it is an ObjectRef, and that class has no subclass.
    std::ptr::eq(one.get_type_ptr(), ObjectRef::type_object_raw(refs.py())).then(|| unsafe { one.cast_unchecked() })
}

/// Whether two of the refs are of one object.
fn has_twins(refs: &Bound<'_, PyList>) -> bool {
    let mut seen = HashSet::with_capacity(refs.len());
    (0..refs.len()).filter_map(|at| item(refs, at)).any(|one| !seen.insert(one.get().wire.id))
}

fn twice() -> PyErr {
    PyValueError::new_err("wait() takes a list of different ObjectRefs, and this one has one twice")
}

/// Sleeps until enough are ready, or the time is over; the places of those that are.
fn sleep_round(
    runtime: &Runtime,
    refs: &Bound<'_, PyList>,
    number: u64,
    needed: usize,
    timeout: Option<f64>,
) -> PyResult<Vec<usize>> {
    let items: Vec<_> = (0..refs.len()).filter_map(|at| item(refs, at)).collect();
    let seen: Vec<(ObjectId, &Sight)> = items.iter().map(|one| (one.get().wire.id, &one.get().sight)).collect();
    let round = runtime.begin_round(number, &seen, needed);
    let slept = sleep(refs.py(), runtime, &round.waiter, &Limit::new(timeout));
    runtime.end_round(&round);
    slept?;
    let ready = |(at, (_, sight)): (usize, &(ObjectId, &Sight))| sight.is_ready(round.losses).then_some(at);
    Ok(seen.iter().enumerate().filter_map(ready).take(needed).collect())
}

/// The items at these places, which ascend, and the others; slice by slice.
fn split<'py>(refs: &Bound<'py, PyList>, chosen: &[usize]) -> PyResult<Split<'py>> {
    let (mut some, mut rest) = (PyList::empty(refs.py()), PyList::empty(refs.py()));
    let mut end = 0;
    for run in chosen.chunk_by(|a, b| a + 1 == *b) {
        append(&mut rest, refs.get_slice(end, run[0]))?;
        end = run[0] + run.len();
        append(&mut some, refs.get_slice(run[0], end))?;
    }
    append(&mut rest, refs.get_slice(end, refs.len()))?;
    Ok((some, rest))
}

fn append<'py>(to: &mut Bound<'py, PyList>, slice: Bound<'py, PyList>) -> PyResult<()> {
    match to.len() {
        0 => *to = slice,
        len => to.set_slice(len, len, &slice)?,
    }
    Ok(())
}
