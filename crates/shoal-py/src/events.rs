//! What the one thread of Python's that we own waits for.
use crate::hooks::{call, hooks};
use crate::refs::ObjectRef;
use crate::session::runtime;
use crate::stream::StreamRef;
use crate::worker::Call;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use shoal_worker::Runtime;
use std::collections::HashMap;
use std::sync::Arc;

/// The runtime whose notices are read: it is kept until they are all read, also after the session's end.
static SOURCE: Mutex<Option<Arc<Runtime>>> = Mutex::new(None);
static TOKENS: Mutex<Option<HashMap<u64, Py<PyAny>>>> = Mutex::new(None);

/// Asks for `("ready", token)` from `events` when the ref has a value, the generator an item, or the generator that the
/// call runs may go on.
#[pyfunction]
pub(crate) fn watch(r#ref: &Bound<'_, PyAny>, token: Py<PyAny>) -> PyResult<()> {
    let py = r#ref.py();
    let runtime = runtime(py)?;
    let watched = if let Ok(one) = r#ref.cast::<ObjectRef>() {
        runtime.watch(one.get().id(py)?)
    } else if let Ok(stream) = r#ref.cast::<StreamRef>() {
        runtime.watch(stream.get().next_id(py)?)
    } else {
        runtime.watch_room(r#ref.cast::<Call>()?.get().task())
    };
    let number = watched.map_err(|e| crate::errors::exception(py, &e))?;
    TOKENS.lock().get_or_insert_default().insert(number, token);
    Ok(())
}

/// Blocks until something is due; None when the session has ended. Cancels calls that run beside others by the way.
#[pyfunction]
pub(crate) fn events(py: Python<'_>) -> PyResult<Option<Py<PyList>>> {
    let out = PyList::empty(py);
    let Some(runtime) = SOURCE.lock().clone() else { return Ok(None) };
    let notices = py.detach(|| runtime.notices());
    if notices.is_empty() {
        SOURCE.lock().take_if(|source| Arc::ptr_eq(source, &runtime));
        return Ok(None);
    }
    let cancels = !notices.cancels.is_empty();
    for task in notices.cancels {
        call(py, &hooks(py)?.cancel_call, (PyBytes::new(py, &task.0),))?;
    }
    if cancels {
        // The exception is set: who sleeps goes on to meet it.
        runtime.call_all();
    }
    for number in notices.ready {
        let token = TOKENS.lock().as_mut().and_then(|t| t.remove(&number));
        if let Some(token) = token {
            out.append(("ready", token))?;
        }
    }
    for line in notices.logs {
        let text = String::from_utf8_lossy(&line.line).into_owned();
        out.append(("log", (line.name, line.pid, line.stderr, line.redraw, text)))?;
    }
    for text in notices.warnings {
        out.append(("warning", text))?;
    }
    if notices.stacks {
        out.append(("stacks", py.None()))?;
    }
    if notices.left_out > 0 {
        out.append(("left_out", notices.left_out))?;
    }
    Ok(Some(out.unbind()))
}

/// A session has begun.
pub(crate) fn begin(runtime: &Arc<Runtime>) {
    *SOURCE.lock() = Some(Arc::clone(runtime));
}

/// The session is over: nobody will be told.
pub(crate) fn forget() {
    let tokens = TOKENS.lock().take();
    drop(tokens);
}

/// In a forked child.
pub(crate) fn forked() {
    if TOKENS.is_locked() {
        // SAFETY: this is the only thread of the child; who held the lock does not exist here.
        unsafe { TOKENS.force_unlock() };
    }
    std::mem::forget(TOKENS.lock().take());
    if SOURCE.is_locked() {
        // SAFETY: as above.
        unsafe { SOURCE.force_unlock() };
    }
    std::mem::forget(SOURCE.lock().take());
}
