//! A call that runs on the main thread.
use crate::current::{self, Current, Run};
use crate::stream::{self, Sender};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use shoal_types::{ActorId, Address, LaneId, TaskId, is_stream};
use shoal_worker::Runtime;
use std::sync::Arc;
use std::time::Instant;

/// What has to be known of a call to answer it.
#[derive(Clone)]
pub(crate) struct Ticket {
    pub(crate) task: TaskId,
    pub(crate) attempt: u16,
    pub(crate) lane: LaneId,
    pub(crate) caller: Address,
    pub(super) num_returns: u32,
    pub(crate) window: u32,
    pub(super) lent: bool,
    pub(crate) name: Arc<str>,
    pub(super) depth: u32,
    pub(super) retry_exceptions: bool,
    pub(super) started: Instant,
}

impl Ticket {
    fn run(&self) -> Run {
        Run { task: self.task, name: Arc::clone(&self.name), began: self.started }
    }

    pub(super) fn current(&self, actor: Option<ActorId>) -> Current {
        Current { task: self.task, name: Arc::clone(&self.name), depth: self.depth, attempt: self.attempt, actor }
    }
}

/// Runs user code on the main thread, interruptible by a cancel (CUR-1).
pub(super) fn run_on_main<'py>(
    runtime: &Runtime,
    ticket: &Ticket,
    actor: Option<ActorId>,
    run: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    current::enter(ticket.current(actor));
    current::set_running(Some(ticket.run()));
    // A cancel that came before this line found nothing to interrupt; one that comes after it does.
    let result = if runtime.is_cancelled(&ticket.task) { Err(PyKeyboardInterrupt::new_err(())) } else { run() };
    let result = match result {
        Ok(generator) if is_stream(ticket.num_returns) => {
            Sender::begin(runtime, ticket).run(&generator, None).map(|()| generator)
        }
        Ok(generator) if ticket.num_returns > 1 => stream::collected(generator, &ticket.name, ticket.num_returns),
        result => result,
    };
    current::set_running(None);
    current::leave();
    result
}
