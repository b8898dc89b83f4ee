//! What a call is called with.
use super::ticket::Ticket;
use crate::codec::{decode, decode_slice};
use crate::errors;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use shoal_proto::lane::{ArgsFrame, Slot};
use shoal_types::{ArenaLoc, ErrorKind, ErrorValue, RefWire, Value};
use shoal_worker::{Answer, Runtime, ValueBytes};
use std::sync::Arc;

type Arguments<'py> = (Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>);

/// Why a call has no arguments.
pub(super) enum NoArguments {
    /// These are not where they should lie: it does not begin.
    Lost(Vec<(RefWire, ArenaLoc)>),
    /// One can't be made.
    Raised(PyErr),
}

impl NoArguments {
    /// For a constructor, which is not tried again for that.
    pub(super) fn raised(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Raised(error) => error,
            Self::Lost(lost) => {
                let ids: Vec<String> = lost.iter().map(|(object, _)| object.id.to_string()).collect();
                errors::local(py, "ObjectLost", &format!("arguments of the constructor are lost: {}", ids.join(", ")))
            }
        }
    }
}

impl From<PyErr> for NoArguments {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

pub(super) fn arguments<'py>(
    py: Python<'py>,
    runtime: &Runtime,
    frame: &ArgsFrame<'_>,
) -> Result<Arguments<'py>, NoArguments> {
    let mut positional = Vec::with_capacity(frame.slots.len());
    let mut keyword = None;
    for (name, slot) in &frame.slots {
        let value = match slot {
            Slot::Value(bytes) => decode_slice(py, bytes)?,
            Slot::Stored(object, loc) => {
                let bytes = match runtime.open_stored(object.id, *loc).map_err(|e| errors::exception(py, &e))? {
                    Ok(bytes) => bytes,
                    Err(place) => py.detach(|| fetch_argument(runtime, *object, place)).map_err(|e| match e {
                        Some(error) => NoArguments::Raised(errors::exception(py, &error)),
                        None => NoArguments::Lost(vec![(*object, *loc)]),
                    })?,
                };
                decode(py, bytes, false)?
            }
        };
        match name {
            None => positional.push(value),
            Some(name) => keyword.get_or_insert_with(|| PyDict::new(py)).set_item(name, value)?,
        }
    }
    Ok((PyTuple::new(py, positional)?, keyword))
}

/// An argument that is not where it was sealed; without an error it is lost.
fn fetch_argument(runtime: &Runtime, object: RefWire, loc: ArenaLoc) -> Result<ValueBytes, Option<ErrorValue>> {
    runtime.fetch(object.id, loc, None).map_err(|why| match ErrorValue::from(why) {
        error if error.kind == ErrorKind::ObjectLost => runtime.argument_lost(object),
        error => Some(error),
    })
}

/// Says that a call has not begun, for these arguments are lost.
pub(super) fn refuse(runtime: &Runtime, ticket: &Ticket, lost: Vec<(RefWire, ArenaLoc)>) {
    let values = lost.into_iter().map(|(object, loc)| Value::Stored { loc, refs: vec![object] });
    runtime.finish(Answer {
        task: ticket.task,
        attempt: ticket.attempt,
        lane: ticket.lane,
        caller: ticket.caller,
        lent: ticket.lent,
        lost: true,
        retryable: false,
        name: Arc::clone(&ticket.name),
        began: ticket.started,
        micros: 0,
        values: values.collect(),
    });
}
