//! `put`, `get`, `wait`, `cancel`.
use crate::codec::{decode, encode};
use crate::current::Blocking;
use crate::errors;
use crate::hold;
use crate::refs::ObjectRef;
use crate::session::{raise_pending, runtime};
use crate::sites::{is_stored, note_put};
use crate::stream::StreamRef;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PySequence, PyTuple};
use shoal_types::{ErrorKind, ObjectId, RefWire, Value};
use shoal_worker::{Runtime, Unanswered, Waited, Waiter};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Stores a value.
#[pyfunction]
pub(crate) fn put(value: &Bound<'_, PyAny>) -> PyResult<ObjectRef> {
    let py = value.py();
    let runtime = runtime(py)?;
    let wire = runtime.new_object();
    let value = encode(value, "shoal.put()")?.into_value(py, &runtime, wire.id, wire.owner.worker)?;
    let stored = is_stored(&value);
    runtime.put(wire.id, value).map_err(|e| errors::exception(py, &e))?;
    let made = ObjectRef::owned(wire);
    note_put(py, &runtime, wire, stored)?;
    Ok(made)
}

/// The value of one ref or the list of values of several.
#[pyfunction]
pub(crate) fn get<'py>(refs: &Bound<'py, PyAny>, timeout: Option<f64>, copy: bool) -> PyResult<Bound<'py, PyAny>> {
    let py = refs.py();
    let limit = Limit::new(timeout);
    // The refs first: those of a session that has ended say so.
    if let Ok(one) = refs.cast::<ObjectRef>() {
        let (id, runtime) = (one.get().id(py)?, runtime(py)?);
        let value = match runtime.value(&id) {
            Some(value) => value,
            None => {
                if runtime.waits_in_turn(&id) {
                    py.detach(|| runtime.hint_together(&id));
                }
                value_of(py, &runtime, id, &limit)?
            }
        };
        return open(py, &runtime, id, value, &limit, copy);
    }
    let (mut ids, runtime) = (ids_of(refs)?, runtime(py)?);
    let values = values_of(py, &runtime, &mut ids, &limit)?;
    let out = PyList::empty(py);
    for (id, value) in ids.iter().zip(values) {
        out.append(open(py, &runtime, *id, value, &limit, copy)?)?;
    }
    Ok(out.into_any())
}

/// The value of an object that this process was given and that is lost where it lay: waits until it is made again.
pub(crate) fn get_again<'py>(py: Python<'py>, runtime: &Runtime, object: RefWire) -> PyResult<Bound<'py, PyAny>> {
    runtime.take_ref(object);
    let held = ObjectRef::another(object);
    let limit = Limit::new(None);
    let value = value_of(py, runtime, held.wire.id, &limit)?;
    open(py, runtime, held.wire.id, value, &limit, false)
}

/// Waits until the object has a value. One that is lost as soon as it is there is awaited once more.
fn value_of(py: Python<'_>, runtime: &Runtime, id: ObjectId, limit: &Limit) -> PyResult<Value> {
    loop {
        wait_for(py, runtime, &[id], limit)?;
        if let Some(value) = runtime.value(&id) {
            return Ok(value);
        }
        alive(py, runtime)?;
    }
}

/// The values of several. When one of them is an error, only it is left: it is what `get` raises.
fn values_of(py: Python<'_>, runtime: &Runtime, ids: &mut Vec<ObjectId>, limit: &Limit) -> PyResult<Vec<Value>> {
    let mut waited = false;
    loop {
        let values = runtime.values(ids);
        if let Some(at) = values.iter().position(|value| value.as_ref().is_some_and(Value::is_error)) {
            *ids = vec![ids[at]];
            return Ok(values.into_iter().nth(at).flatten().into_iter().collect());
        }
        if let Some(all) = values.into_iter().collect() {
            return Ok(all);
        }
        if std::mem::replace(&mut waited, true) {
            alive(py, runtime)?;
        }
        wait_for(py, runtime, ids, limit)?;
    }
}

/// Raises what the session died of, if it did.
fn alive(py: Python<'_>, runtime: &Runtime) -> PyResult<()> {
    runtime.dead().map_or(Ok(()), |error| Err(errors::exception(py, &error)))
}

/// The value of a ref that has one, in a tuple; `None` when it has none, or turns out to be lost. Waits for no task.
#[pyfunction]
pub(crate) fn get_now<'py>(r#ref: &Bound<'py, ObjectRef>) -> PyResult<Option<(Bound<'py, PyAny>,)>> {
    let py = r#ref.py();
    let (runtime, id) = (runtime(py)?, r#ref.get().id(py)?);
    match runtime.value(&id) {
        Some(value) => Ok(read(py, &runtime, id, &value, &Limit::new(None), false)?.map(|value| (value,))),
        None => alive(py, &runtime).map(|()| None),
    }
}

/// The object of a value; one that is lost is awaited.
fn open<'py>(
    py: Python<'py>,
    runtime: &Runtime,
    id: ObjectId,
    mut value: Value,
    limit: &Limit,
    copy: bool,
) -> PyResult<Bound<'py, PyAny>> {
    loop {
        match read(py, runtime, id, &value, limit, copy)? {
            Some(object) => return Ok(object),
            None => value = value_of(py, runtime, id, limit)?,
        }
    }
}

/// The object of a value; `None` when that is lost, which the core knows then.
fn read<'py>(
    py: Python<'py>,
    runtime: &Runtime,
    id: ObjectId,
    value: &Value,
    limit: &Limit,
    copy: bool,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let loc = match runtime.open(id, value).map_err(|e| errors::exception(py, &e))? {
        Ok(bytes) => return decode(py, bytes, copy).map(Some),
        Err(loc) => loc,
    };
    let until = limit.until_fetched;
    match py.detach(|| runtime.fetch(id, loc, until)) {
        Ok(bytes) => decode(py, bytes, copy).map(Some),
        Err(Unanswered::Error(error)) if error.kind == ErrorKind::ObjectLost => {
            py.detach(|| runtime.value_lost(id, loc, error, until));
            Ok(None)
        }
        Err(Unanswered::Error(error)) => Err(errors::exception(py, &error)),
        Err(Unanswered::Late) => {
            let timeout = limit.timeout.unwrap_or(0.0);
            let text = format!("object {id} is ready, but was not read from disk within {timeout} s: ask again");
            Err(errors::local(py, "GetTimeout", &text))
        }
    }
}

fn ids_of(refs: &Bound<'_, PyAny>) -> PyResult<Vec<ObjectId>> {
    let py = refs.py();
    let list = refs.cast::<PySequence>()?;
    let mut ids = Vec::with_capacity(list.len()?);
    for item in list.try_iter()? {
        let item = item?;
        let Ok(one) = item.cast::<ObjectRef>() else {
            if let Ok(stream) = item.cast::<StreamRef>() {
                ids.push(stream.get().next_id(py)?);
                continue;
            }
            let text = format!(
                "a list of ObjectRefs is needed; it holds {} of type {}",
                item.repr()?,
                item.get_type().name()?
            );
            return Err(PyTypeError::new_err(text));
        };
        ids.push(one.get().id(py)?);
    }
    Ok(ids)
}

/// Until when a call waits: one time, however often it sleeps.
pub(crate) struct Limit {
    timeout: Option<f64>,
    until: Option<Instant>,
    /// The same for a value that there is, and that has to be fetched.
    until_fetched: Option<Instant>,
}

/// The daemon says at once where a value lies that is not on disk alone: there is time for that in any case, or `get` with no
/// time at all would never have one that was brought back to another place.
const PROMPT: Duration = Duration::from_millis(20);

impl Limit {
    /// From now on, in seconds.
    pub fn new(timeout: Option<f64>) -> Self {
        let Some(seconds) = timeout else { return Self { timeout, until: None, until_fetched: None } };
        let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(1 << 30));
        let now = Instant::now();
        Self { timeout, until: Some(now + time), until_fetched: Some(now + time.max(PROMPT)) }
    }
}

/// Waits for all of these, or an error among them.
fn wait_for(py: Python<'_>, runtime: &Runtime, ids: &[ObjectId], limit: &Limit) -> PyResult<()> {
    let distinct = distinct(ids);
    let ids = distinct.as_deref().unwrap_or(ids);
    let waiter = runtime.want_all(ids);
    match sleep(py, runtime, &waiter, limit) {
        Ok(true) => {
            // An error among them ended the wait.
            if waiter.missing() > 0 {
                runtime.unwant(ids, &waiter);
            }
            Ok(())
        }
        Ok(false) => {
            runtime.unwant(ids, &waiter);
            let text = format!(
                "{} of {} objects were not ready after {} s; shoal.util.why(ref) says what one waits for",
                runtime.are_ready(ids).iter().filter(|r| !**r).count(),
                ids.len(),
                limit.timeout.unwrap_or(0.0)
            );
            Err(errors::local(py, "GetTimeout", &text))
        }
        Err(error) => {
            runtime.unwant(ids, &waiter);
            Err(error)
        }
    }
}

/// Without repeats, when there are any.
fn distinct(ids: &[ObjectId]) -> Option<Vec<ObjectId>> {
    let mut seen = std::collections::HashSet::with_capacity(ids.len());
    let once: Vec<ObjectId> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
    (once.len() < ids.len()).then_some(once)
}

/// Waits, mostly without the GIL; a signal, or a cancel of what this thread runs, is looked at with it. False when the time
/// is over.
pub(crate) fn sleep(py: Python<'_>, runtime: &Runtime, waiter: &Arc<Waiter>, limit: &Limit) -> PyResult<bool> {
    errors::take_raised()?;
    if waiter.done() {
        return Ok(true);
    }
    let _blocking = (limit.timeout != Some(0.0)).then(Blocking::begin);
    let mut interrupted = false;
    loop {
        // WAIT-3: a cancel is noted, its exception set, and then all are called.
        let since = runtime.calls();
        if interrupted || runtime.has_cancels() {
            raise_pending(py)?;
        }
        match hold::wait(py, runtime, waiter, limit.until, since) {
            Waited::Done => return Ok(true),
            Waited::Timeout => return Ok(false),
            Waited::Interrupted => interrupted = true,
        }
    }
}

/// What is ready of a list with generators in it, and the rest, both in the list's order.
#[pyfunction]
pub(crate) fn wait_mixed<'py>(
    refs: &Bound<'py, PyAny>,
    num_returns: usize,
    timeout: Option<f64>,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = refs.py();
    let runtime = runtime(py)?;
    let ids = ids_of(refs)?;
    let waiter = runtime.want(&ids, num_returns.min(ids.len()));
    let waited = sleep(py, &runtime, &waiter, &Limit::new(timeout));
    runtime.unwant(&ids, &waiter);
    waited?;
    alive(py, &runtime)?;
    let (ready, rest) = (PyList::empty(py), PyList::empty(py));
    let there = runtime.are_ready(&ids);
    for (item, is_ready) in refs.try_iter()?.zip(there) {
        let list = if is_ready && ready.len() < num_returns { &ready } else { &rest };
        list.append(item?)?;
    }
    (ready, rest).into_pyobject(py)
}

/// Whether the value, or its error, is known here.
#[pyfunction]
pub(crate) fn is_ready(py: Python<'_>, r#ref: &Bound<'_, ObjectRef>) -> PyResult<bool> {
    let id = r#ref.get().id(py)?;
    Ok(runtime(py)?.are_ready(&[id])[0])
}

/// For tests, in the dev profile alone: loses a value of this process's that lies in the object store.
#[pyfunction]
pub(crate) fn lose(py: Python<'_>, r#ref: &Bound<'_, ObjectRef>, tell: bool) -> PyResult<()> {
    let (id, runtime) = (r#ref.get().id(py)?, runtime(py)?);
    py.detach(|| runtime.lose(id, tell)).map_err(|e| errors::exception(py, &e))
}

/// Whether an actor's method, called by this process and not over, makes this object.
#[pyfunction]
pub(crate) fn is_of_call(py: Python<'_>, r#ref: &Bound<'_, ObjectRef>) -> PyResult<bool> {
    let id = r#ref.get().id(py)?;
    Ok(runtime(py)?.is_of_call(&id))
}

/// Cancels the task that makes this object, or the generator of this handle.
#[pyfunction]
pub(crate) fn cancel(py: Python<'_>, r#ref: &Bound<'_, ObjectRef>, force: bool, recursive: bool) -> PyResult<()> {
    let id = r#ref.get().id(py)?;
    runtime(py)?.cancel(id, force, recursive);
    Ok(())
}
