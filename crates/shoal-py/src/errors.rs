//! Rust's errors as Python's exceptions: one place, by way of one hook.
use crate::hooks::{call, hooks};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use shoal_types::{ErrorKind, ErrorValue};
use std::cell::RefCell;

/// The name that `make_exception` knows it by.
pub(crate) fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Task => "Task",
        ErrorKind::WorkerCrashed => "WorkerCrashed",
        ErrorKind::ActorDied => "ActorDied",
        ErrorKind::ActorUnavailable => "ActorUnavailable",
        ErrorKind::Cancelled => "Cancelled",
        ErrorKind::OwnerDied => "OwnerDied",
        ErrorKind::ObjectLost => "ObjectLost",
        ErrorKind::Reconstruction => "Reconstruction",
        ErrorKind::RetriesSpent => "RetriesSpent",
        ErrorKind::LineageEvicted => "LineageEvicted",
        ErrorKind::StoreFull => "StoreFull",
        ErrorKind::NodeDied => "NodeDied",
        ErrorKind::Unschedulable => "Unschedulable",
        ErrorKind::ActorUnschedulable => "ActorUnschedulable",
        ErrorKind::PendingCalls => "PendingCalls",
        ErrorKind::RuntimeEnv => "RuntimeEnv",
        ErrorKind::System => "System",
        ErrorKind::EndOfStream => "EndOfStream",
        ErrorKind::ReplayInconsistent => "ReplayInconsistent",
        ErrorKind::OutOfMemory => "OutOfMemory",
    }
}

thread_local! {
    /// What a signal's handler raised while this thread asked the daemon.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Keeps what this thread's question ends with.
pub(crate) fn set_raised(error: PyErr) {
    RAISED.with_borrow_mut(|raised| *raised = Some(error));
}

/// What ended this thread's last question, if nobody has raised it yet.
pub(crate) fn take_raised() -> PyResult<()> {
    RAISED.take().map_or(Ok(()), Err)
}

/// The exception that stands for an error of the runtime or of a task.
pub(crate) fn exception(py: Python<'_>, error: &ErrorValue) -> PyErr {
    if let Some(raised) = RAISED.take() {
        return raised;
    }
    let actor = error.actor.map(|a| PyBytes::new(py, &a.0).unbind());
    make(py, kind_name(error.kind), &error.message, &error.pickled, actor)
}

/// An exception that has no error value: `GetTimeout`, `NotConnected`.
pub(crate) fn local(py: Python<'_>, kind: &str, message: &str) -> PyErr {
    make(py, kind, message, &[], None)
}

fn make(py: Python<'_>, kind: &str, message: &str, pickled: &[u8], actor: Option<Py<PyBytes>>) -> PyErr {
    let made = hooks(py).and_then(|h| call(py, &h.make_exception, (kind, message, PyBytes::new(py, pickled), actor)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// What the user's exception is to others: its text, which always arrives, and its pickle when it has one. `name` is
/// the task's or method's.
pub(crate) fn pack(py: Python<'_>, error: &PyErr, name: &str, retry: Option<&Bound<'_, PyAny>>) -> (ErrorValue, bool) {
    let name = &crate::actor::full_name(name);
    let packed = hooks(py).and_then(|h| {
        // A fetched error keeps its traceback beside the exception.
        if let Some(traceback) = error.traceback(py) {
            error.value(py).setattr("__traceback__", traceback)?;
        }
        let out = call(py, &h.pack_error, (error.value(py), name, retry))?;
        out.extract::<(String, Vec<u8>, bool)>()
    });
    match packed {
        Ok((message, pickled, retryable)) => {
            (ErrorValue { kind: ErrorKind::Task, message, pickled, actor: None }, retryable)
        }
        Err(second) => {
            (ErrorValue::new(ErrorKind::Task, format!("{name} raised {error}, and packing it raised {second}")), false)
        }
    }
}
