//! Calls of methods that run beside the main thread: on threads, or as coroutines.
use super::answers::{answer, packed};
use super::ticket::Ticket;
use crate::current;
use crate::session::runtime;
use crate::stream::Sender;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use shoal_types::{ActorId, TaskId, is_stream};
use shoal_worker::{Answer, Room};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Instant;

/// An answer that is made and not sent yet: what it says can't change any more.
struct Held {
    ticket: Ticket,
    answer: Answer,
    value: Option<Py<PyAny>>,
}

/// A call of an actor's method in hand (threaded and async actors): answered once, from any thread.
#[pyclass(frozen, module = "shoal._core")]
pub(crate) struct Call {
    ticket: Mutex<Option<Ticket>>,
    held: Mutex<Option<Held>>,
    name: Arc<str>,
    task: TaskId,
    depth: u32,
    actor: ActorId,
    /// The exceptions that the caller wants it to be tried again for.
    retry: Option<Py<PyAny>>,
    begun: AtomicBool,
    /// How many items its generator has sent.
    items: AtomicU32,
}

#[pymethods]
impl Call {
    #[getter]
    fn task_id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.task.0)
    }

    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    #[getter]
    fn cancelled(&self) -> bool {
        crate::session::try_runtime().is_some_and(|runtime| runtime.is_cancelled(&self.task))
    }

    fn done(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.answer(value.py(), Ok(value.clone()))
    }

    fn failed(&self, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        self.answer(exception.py(), Err(PyErr::from_value(exception.clone())))
    }

    /// Makes the answer of what the method returned, for `release` to send.
    fn hold(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.keep(value.py(), Ok(value.clone()))
    }

    /// The same of what it raised.
    fn hold_failed(&self, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        self.keep(exception.py(), Err(PyErr::from_value(exception.clone())))
    }

    /// Sends what is held; with an exception that instead.
    #[pyo3(signature = (exception=None))]
    fn release(&self, py: Python<'_>, exception: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let Some(held) = self.held.lock().take() else { return Ok(()) };
        let runtime = runtime(py)?;
        match exception {
            None => runtime.finish(held.answer),
            Some(exception) => {
                let error = PyErr::from_value(exception.clone());
                answer(py, &runtime, &held.ticket, Err(error), self.retry(py));
            }
        }
        drop(held.value);
        runtime.runs_beside(held.ticket.task, false);
        Ok(())
    }

    /// Whether it is a generator whose items are sent as they come.
    #[getter]
    fn streaming(&self) -> bool {
        self.ticket.lock().as_ref().is_some_and(|ticket| is_stream(ticket.num_returns))
    }

    /// Sends the items of a sync generator to its end, waiting on this thread while too many are unread. `quiet` is called
    /// before a cancelled one is closed.
    fn run(&self, generator: &Bound<'_, PyAny>, quiet: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(ticket) = self.ticket.lock().clone() else { return Ok(()) };
        Sender::begin(&*runtime(generator.py())?, &ticket).run(generator, Some(quiet))
    }

    /// A generator that is run elsewhere begins: then come `room` and `item` by turns.
    fn begin(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(ticket) = self.ticket.lock().clone() {
            Sender::begin(&*runtime(py)?, &ticket);
        }
        Ok(())
    }

    /// Sends one item of it.
    fn item(&self, item: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(ticket) = self.ticket.lock().clone() else { return Ok(()) };
        let runtime = runtime(item.py())?;
        Sender::at(&runtime, &ticket, self.items.load(SeqCst)).send(item.py(), item)?;
        self.items.fetch_add(1, SeqCst);
        Ok(())
    }

    /// True: it may go on; False: nobody reads it any more; None: it is to wait (`watch`).
    fn room(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        Ok(match runtime(py)?.room(&self.task) {
            Room::Free => Some(true),
            Room::Stopped => Some(false),
            Room::Full => None,
        })
    }

    /// What this thread runs is the call's from here on. With the first time it has begun.
    fn enter(&self) {
        if let Some(ticket) = &mut *self.ticket.lock() {
            if !self.begun.swap(true, Relaxed) {
                ticket.started = Instant::now();
                if let Some(runtime) = crate::session::try_runtime() {
                    runtime.begins_beside(ticket.task, &ticket.name, ticket.started);
                }
            }
            current::enter(ticket.current(Some(self.actor)));
        }
    }

    fn leave(&self) {
        current::leave();
    }
}

impl Call {
    pub(super) fn new(ticket: Ticket, actor: ActorId, retry: Option<Py<PyAny>>) -> Self {
        Self {
            name: Arc::clone(&ticket.name),
            task: ticket.task,
            depth: ticket.depth,
            ticket: Mutex::new(Some(ticket)),
            held: Mutex::new(None),
            actor,
            retry,
            begun: AtomicBool::new(false),
            items: AtomicU32::new(0),
        }
    }

    /// Nobody is to answer it any more; whether it was not answered yet.
    pub(super) fn withdraw(&self) -> bool {
        self.ticket.lock().take().is_some()
    }

    pub(crate) fn task(&self) -> TaskId {
        self.task
    }

    /// Depth and parent of what it submits.
    pub(crate) fn ancestry(&self) -> (u32, Option<TaskId>) {
        (self.depth + 1, Some(self.task))
    }

    fn retry<'py>(&'py self, py: Python<'py>) -> Option<&'py Bound<'py, PyAny>> {
        self.retry.as_ref().map(|types| types.bind(py))
    }

    fn keep(&self, py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) -> PyResult<()> {
        let Some(ticket) = self.ticket.lock().take() else { return Ok(()) };
        let runtime = runtime(py)?;
        let (answer, value) = packed(py, &runtime, &ticket, result, self.retry(py));
        *self.held.lock() = Some(Held { ticket, answer, value: value.map(Bound::unbind) });
        Ok(())
    }

    fn answer(&self, py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) -> PyResult<()> {
        let Some(ticket) = self.ticket.lock().take() else { return Ok(()) };
        let runtime = runtime(py)?;
        answer(py, &runtime, &ticket, result, self.retry(py));
        runtime.runs_beside(ticket.task, false);
        Ok(())
    }
}
