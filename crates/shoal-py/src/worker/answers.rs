//! What a call gives: values, or an error.
use super::ticket::Ticket;
use crate::codec::encode;
use crate::current;
use crate::errors;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use shoal_types::{ErrorKind, ErrorValue, ObjectId, Value, is_stream};
use shoal_worker::{Answer, Runtime};
use std::sync::Arc;

/// Turns a result into values and pushes the reply.
pub(super) fn answer(
    py: Python<'_>,
    runtime: &Runtime,
    ticket: &Ticket,
    result: PyResult<Bound<'_, PyAny>>,
    retry: Option<&Bound<'_, PyAny>>,
) {
    let (answer, value) = packed(py, runtime, ticket, result, retry);
    runtime.finish(answer);
    drop(value);
}

/// A result as what is sent, and the value that has to live until it was.
pub(super) fn packed<'py>(
    py: Python<'py>,
    runtime: &Runtime,
    ticket: &Ticket,
    result: PyResult<Bound<'py, PyAny>>,
    retry: Option<&Bound<'_, PyAny>>,
) -> (Answer, Option<Bound<'py, PyAny>>) {
    let micros = u32::try_from(ticket.started.elapsed().as_micros()).unwrap_or(u32::MAX);
    // The value is held until the core has credited the caller with the refs inside (OWN-2).
    let (value, outcome) = match result {
        Ok(value) => (Some(value.clone()), current::handle(ticket.task, || values(py, runtime, ticket, &value))),
        Err(error) => (None, Err(error)),
    };
    let (values, retryable) = match outcome {
        Ok(values) => (values, false),
        Err(_) if runtime.is_cancelled(&ticket.task) => {
            (vec![Value::Error(Arc::new(ErrorValue::new(ErrorKind::Cancelled, "the task was cancelled")))], false)
        }
        Err(error) => {
            let (packed, retryable) = errors::pack(py, &error, &ticket.name, retry);
            (vec![Value::Error(Arc::new(packed))], retryable && ticket.retry_exceptions)
        }
    };
    if is_stream(ticket.num_returns) {
        runtime.end_stream(&ticket.task);
    }
    let answer = Answer {
        task: ticket.task,
        attempt: ticket.attempt,
        lane: ticket.lane,
        caller: ticket.caller,
        lent: ticket.lent,
        lost: false,
        retryable,
        name: Arc::clone(&ticket.name),
        began: ticket.started,
        micros,
        values,
    };
    (answer, value)
}

fn values(py: Python<'_>, runtime: &Runtime, ticket: &Ticket, value: &Bound<'_, PyAny>) -> PyResult<Vec<Value>> {
    let one = |i: u32, value: &Bound<'_, PyAny>| {
        if let Ok(failed) = value.cast_exact::<Failed>() {
            return Ok(Value::Error(Arc::clone(&failed.get().0)));
        }
        let id = ObjectId::new(ticket.task, i);
        encode(value, &ticket.name)?.into_value(py, runtime, id, ticket.caller.worker)
    };
    match ticket.num_returns {
        0 => Ok(Vec::new()),
        n if is_stream(n) => Ok(Vec::new()),
        1 => Ok(vec![one(0, value)?]),
        n => {
            let items: Vec<Bound<'_, PyAny>> = value.try_iter()?.collect::<PyResult<_>>()?;
            if items.len() != n as usize {
                let text = format!("{} returned {} values, but num_returns is {n}", ticket.name, items.len());
                return Err(PyValueError::new_err(text));
            }
            items.iter().enumerate().map(|(i, item)| one(i as u32, item)).collect()
        }
    }
}

/// Instead of a returned value: what went wrong with this one.
#[pyclass(frozen, module = "shoal._core")]
pub(crate) struct Failed(pub(crate) Arc<ErrorValue>);

#[pymethods]
impl Failed {
    #[new]
    fn new(message: String, pickled: Vec<u8>) -> Self {
        Self(Arc::new(ErrorValue { kind: ErrorKind::Task, message, pickled, actor: None }))
    }
}
