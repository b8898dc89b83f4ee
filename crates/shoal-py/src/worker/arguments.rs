//! What a call is called with.
use super::ticket::Ticket;
use crate::codec::{decode, decode_slice};
use crate::errors;
use crate::objects::get_again;
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

/// What to do about an argument that is lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenLost {
    /// The call is refused: its caller has it made again, and sends the call once more.
    Refuse,
    /// It is awaited here: a constructor's arguments were sent for every life, so nobody sends them once more.
    Await,
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
    lost: WhenLost,
) -> Result<Arguments<'py>, NoArguments> {
    let mut positional = Vec::with_capacity(frame.slots.len());
    let mut keyword = None;
    for (name, slot) in &frame.slots {
        let value = match slot {
            Slot::Value(bytes) => decode_slice(py, bytes)?,
            Slot::Stored(object, loc) => {
                let there = runtime.open_stored(object.id, *loc).map_err(|e| errors::exception(py, &e))?;
                let found = there.or_else(|place| py.detach(|| fetch_argument(runtime, *object, place)));
                match found {
                    Ok(bytes) => decode(py, bytes, false)?,
                    Err(Some(error)) => return Err(errors::exception(py, &error).into()),
                    Err(None) if lost == WhenLost::Await => get_again(py, runtime, *object)?,
                    Err(None) => return Err(NoArguments::Lost(vec![(*object, *loc)])),
                }
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
