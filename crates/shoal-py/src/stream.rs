//! Generators: `StreamRef`, what their callers hold; and how one is run here, item by item.
//!
//! - GEN-1 an item is encoded and sent before the generator goes on; then it waits while its caller has too much unread.
//! - GEN-2 a generator that nobody reads any more is closed at its `yield` (`GeneratorExit`), one that is cancelled
//!   there as well; its `finally` clauses run.
//! - GEN-3 they run undisturbed: the cancel that closes a generator interrupts it no more.
use crate::codec::encode;
use crate::current::{Blocking, set_running};
use crate::errors;
use crate::hooks::{call, hooks};
use crate::objects::{Limit, sleep};
use crate::refs::{ObjectRef, meet};
use crate::session::{epoch, runtime, runtime_of, try_runtime};
use crate::worker::{Failed, Ticket};
use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PyStopIteration, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use shoal_types::{DYNAMIC, ObjectId, RefWire, STREAMING, TaskId};
use shoal_worker::{NewItem, Next, Room, Runtime, Waited};
use std::sync::Arc;

/// `num_returns` as Python says it: -1 for "streaming", -2 for "dynamic".
pub(crate) fn num_returns(n: i64) -> u32 {
    match n {
        -1 => STREAMING,
        -2 => DYNAMIC,
        n => u32::try_from(n).unwrap_or(0),
    }
}

/// The limit of unread items as the core takes it: -1 is without limit, 0 is not given.
pub(crate) fn window(n: u32, limit: i64) -> u32 {
    match limit {
        _ if n == DYNAMIC => u32::MAX,
        -1 => u32::MAX,
        limit => u32::try_from(limit).unwrap_or(u32::MAX - 1).min(u32::MAX - 1),
    }
}

/// What a call that streams gives: a generator of Python's around a `StreamRef`, or one ref.
pub(crate) fn returned(py: Python<'_>, runtime: &Runtime, task: TaskId, n: u32) -> PyResult<Py<PyAny>> {
    let handle = runtime.return_of(task, ObjectId::STREAM_INDEX);
    if n == DYNAMIC {
        return Ok(Bound::new(py, ObjectRef::owned(handle))?.into_any().unbind());
    }
    let stream = Bound::new(py, StreamRef { handle, epoch: epoch() })?;
    Ok(call(py, &hooks(py)?.make_generator, (stream,))?.unbind())
}

/// A counted name of a generator: whoever holds one may take items, in its owner's process and in others.
#[pyclass(frozen, module = "shoal._core")]
pub(crate) struct StreamRef {
    handle: RefWire,
    epoch: u32,
}

impl StreamRef {
    fn runtime(&self, py: Python<'_>) -> PyResult<Arc<Runtime>> {
        runtime_of(py, self.epoch, "generator")
    }

    /// What stands for its next item among what is waited for.
    pub(crate) fn next_id(&self, py: Python<'_>) -> PyResult<ObjectId> {
        self.runtime(py)?;
        Ok(ObjectId::new(self.handle.id.task, ObjectId::NEXT_INDEX))
    }

    fn next_wire(&self) -> RefWire {
        RefWire { id: ObjectId::new(self.handle.id.task, ObjectId::NEXT_INDEX), owner: self.handle.owner }
    }
}

impl Drop for StreamRef {
    fn drop(&mut self) {
        if self.epoch == epoch()
            && let Some(runtime) = try_runtime()
        {
            if self.handle.owner != runtime.address() {
                runtime.drop_ref(self.next_wire().id);
            }
            runtime.drop_ref(self.handle.id);
        }
    }
}

#[pymethods]
impl StreamRef {
    #[getter]
    fn task_id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.handle.id.task.0)
    }

    /// The next item's ref; None when there is none within `timeout` seconds; StopIteration after the last.
    fn next(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<ObjectRef>> {
        let (runtime, limit) = (self.runtime(py)?, Limit::new(timeout));
        loop {
            match runtime.read_item(self.handle) {
                Next::Item(wire) => return Ok(Some(ObjectRef::owned(wire))),
                Next::End => return Err(PyStopIteration::new_err(())),
                Next::Error(error) => return Err(errors::exception(py, &error)),
                Next::NotYet => {}
            }
            if let Some(error) = runtime.dead() {
                return Err(errors::exception(py, &error));
            }
            let id = [self.next_id(py)?];
            let waiter = runtime.want(&id, 1);
            let waited = sleep(py, &runtime, &waiter, &limit);
            runtime.unwant(&id, &waiter);
            if !waited? {
                return Ok(None);
            }
        }
    }

    /// Whether `next` would not wait for an item: there is one.
    fn ready(&self, py: Python<'_>) -> PyResult<bool> {
        let runtime = self.runtime(py)?;
        // Another process's has to be asked for.
        runtime.want(&[self.next_id(py)?], 0);
        Ok(matches!(runtime.peek_item(&self.handle), Next::Item(_) | Next::Error(_)))
    }

    /// Whether every item was taken and no more will come.
    fn finished(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.runtime(py)?.peek_item(&self.handle) == Next::End)
    }

    /// A ref that has a value, None or an error, when the generator's task is over.
    fn completed(&self, py: Python<'_>) -> PyResult<ObjectRef> {
        self.runtime(py)?.take_ref(self.handle);
        Ok(ObjectRef::another(self.handle))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let this = slf.get();
        this.runtime(py)?;
        meet(py, this.handle)?;
        let make = py.import("shoal._core")?.getattr("stream_from_bytes")?;
        (make, (PyBytes::new(py, &this.handle.to_bytes()),)).into_pyobject(py)
    }
}

/// The other half of `StreamRef.__reduce__`.
#[pyfunction]
pub(crate) fn stream_from_bytes(py: Python<'_>, wire: &[u8]) -> PyResult<StreamRef> {
    let handle = RefWire::from_bytes(wire)
        .ok_or_else(|| errors::local(py, "System", "a pickled generator has the wrong length"))?;
    let runtime = runtime(py)?;
    runtime.take_ref(handle);
    let stream = StreamRef { handle, epoch: epoch() };
    if handle.owner != runtime.address() {
        runtime.take_ref(stream.next_wire());
    }
    Ok(stream)
}

/// The items of a generator that runs here, on their way to its caller.
pub(crate) struct Sender<'a> {
    runtime: &'a Runtime,
    ticket: &'a Ticket,
    index: u32,
}

impl<'a> Sender<'a> {
    pub(crate) fn begin(runtime: &'a Runtime, ticket: &'a Ticket) -> Self {
        runtime.begin_stream(ticket.task, ticket.attempt, (ticket.lane, ticket.caller), ticket.window);
        Self { runtime, ticket, index: 0 }
    }

    /// The generator of a call of which some items were sent.
    pub(crate) fn at(runtime: &'a Runtime, ticket: &'a Ticket, index: u32) -> Self {
        Self { runtime, ticket, index }
    }

    /// GEN-1: the item's refs are credited before it leaves (OWN-2), while the item is alive.
    pub(crate) fn send(&mut self, py: Python<'_>, item: &Bound<'_, PyAny>) -> PyResult<Room> {
        let id = ObjectId::new(self.ticket.task, self.index);
        let encoded = encode(item, &self.ticket.name)?;
        let Ticket { task, attempt, lane, caller, .. } = *self.ticket;
        let value = encoded.into_value(py, self.runtime, id, caller.worker)?;
        let index = self.index;
        self.index += 1;
        Ok(self.runtime.send_item(NewItem { task, attempt, lane, caller, index, value }))
    }

    /// Runs a sync generator to its end on this thread.
    /// Calls `quiet` before it closes a cancelled one, for an end to what interrupts this thread.
    pub(crate) fn run(mut self, generator: &Bound<'_, PyAny>, quiet: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let py = generator.py();
        let not_one = |_| {
            let text = format!(
                "{} was called with num_returns=\"streaming\" or \"dynamic\" and gave no generator",
                self.ticket.name
            );
            PyTypeError::new_err(text)
        };
        let items = generator.try_iter().map_err(not_one)?;
        let mut room = self.runtime.room(&self.ticket.task);
        loop {
            let sent = match self.wait(py, room) {
                Ok(false) => return close(generator),
                Ok(true) => {
                    let Some(item) = items.clone().next() else { return Ok(()) };
                    self.send(py, &item?)
                }
                Err(error) => Err(error),
            };
            match sent {
                Ok(more) => room = more,
                Err(error) => return Err(self.give_up(generator, quiet, error)),
            }
        }
    }

    /// GEN-2, GEN-3: closes a generator that can't go on because of `error`; one of its own comes before that.
    fn give_up(&self, generator: &Bound<'_, PyAny>, quiet: Option<&Bound<'_, PyAny>>, error: PyErr) -> PyErr {
        let mut last = None;
        if self.runtime.is_cancelled(&self.ticket.task) {
            self.runtime.interrupting(self.ticket.task);
            set_running(None);
            last = quiet.and_then(|quiet| quiet.call0().err());
        }
        close(generator).err().or(last).unwrap_or(error)
    }

    /// Waits for room without the GIL; false when nobody reads any more.
    fn wait(&self, py: Python<'_>, mut room: Room) -> PyResult<bool> {
        let task = self.ticket.task;
        while room == Room::Full {
            let since = self.runtime.calls();
            let waiter = self.runtime.want_room(task);
            let _blocking = Blocking::begin();
            let waited = py.detach(|| self.runtime.wait(&waiter, None, since));
            self.runtime.unwant_room(task, &waiter);
            if waited == Waited::Interrupted {
                py.check_signals()?;
            }
            if self.runtime.is_cancelled(&task) {
                return Err(PyKeyboardInterrupt::new_err(()));
            }
            room = self.runtime.room(&task);
        }
        Ok(room == Room::Free)
    }
}

/// GEN-2.
fn close(generator: &Bound<'_, PyAny>) -> PyResult<()> {
    match generator.getattr_opt("close")? {
        Some(close) => close.call0().map(drop),
        None => Ok(()),
    }
}

/// The returns of a generator with a fixed number of them: where it raises, that and all that follow are its error. What
/// is no generator stays as it is.
pub(crate) fn collected<'py>(value: Bound<'py, PyAny>, name: &str, n: u32) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    if !value.is_instance(&py.import("types")?.getattr("GeneratorType")?)? {
        return Ok(value);
    }
    let out = PyList::empty(py);
    for item in value.try_iter()? {
        match item {
            Ok(item) => out.append(item)?,
            Err(error) if out.is_empty() || !error.is_instance_of::<PyException>(py) => return Err(error),
            Err(error) => {
                let (packed, _) = errors::pack(py, &error, name, None);
                let failed = Bound::new(py, Failed(Arc::new(packed)))?;
                while out.len() < n as usize {
                    out.append(&failed)?;
                }
            }
        }
    }
    Ok(out.into_any())
}
