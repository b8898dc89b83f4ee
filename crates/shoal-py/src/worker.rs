//! The worker's main loop: takes work, runs it, answers.
use crate::codec::{decode, decode_slice, encode};
use crate::current::{self, Current, Run};
use crate::errors;
use crate::hooks::{Hooks, call, hooks};
use crate::session::runtime;
use crate::stream::{self, Sender};
use parking_lot::Mutex;
use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use rustc_hash::FxHashMap;
use shoal_proto::Reader;
use shoal_proto::control::ToNode;
use shoal_proto::lane::{ArgsFrame, Request, Slot, Target};
use shoal_types::{
    ActorId, ActorSpec, Address, ArenaLoc, ErrorKind, ErrorValue, FunctionId, LaneId, ObjectId, RefWire, TaskId, Value,
    is_stream,
};
use shoal_worker::{Answer, CallFrame, Room, Runtime, ValueBytes, Work};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Instant;

const MOST_IN_A_ROW: u32 = 64;

/// What has to be known of a call to answer it.
#[derive(Clone)]
pub(crate) struct Ticket {
    pub(crate) task: TaskId,
    pub(crate) attempt: u16,
    pub(crate) lane: LaneId,
    pub(crate) caller: Address,
    num_returns: u32,
    pub(crate) window: u32,
    lent: bool,
    pub(crate) name: Arc<str>,
    depth: u32,
    retry_exceptions: bool,
    started: Instant,
}

/// A loaded function and which of its exceptions may be tried again.
struct Function {
    callable: Py<PyAny>,
    retry: Option<Py<PyAny>>,
}

struct Actor {
    id: ActorId,
    runtime: Py<PyAny>,
    /// Methods run here, on the main thread, one after the other.
    instance: Option<Py<PyAny>>,
    depth: u32,
}

/// The worker's state on its main thread.
struct Worker {
    runtime: Arc<Runtime>,
    blobs: FxHashMap<FunctionId, Vec<u8>>,
    functions: FxHashMap<FunctionId, Rc<Function>>,
    actor: Option<Actor>,
    title: Arc<str>,
    calls_left: FxHashMap<FunctionId, u32>,
    /// Calls since the GIL was let go of.
    in_a_row: u32,
    exit: Option<i32>,
    /// It ends by `sys.exit` in a task: what it owned goes with it.
    crashed: bool,
}

/// Runs until the worker's job is done; the exit code.
#[pyfunction]
pub(crate) fn run_worker(py: Python<'_>) -> PyResult<i32> {
    let runtime = runtime(py)?;
    // SAFETY: pthread_self has no preconditions.
    let main = unsafe { libc::pthread_self() };
    runtime.on_cancel(Box::new(move |task| {
        if current::want_interrupt(task) {
            // SAFETY: the main thread lives as long as the process.
            unsafe { libc::pthread_kill(main, libc::SIGINT) };
        } else if let Some(runtime) = crate::session::try_runtime() {
            runtime.notice_cancel(task);
            // Its arguments may be fetched just now, or its result stored.
            runtime.call_all();
        }
    }));
    runtime.on_look(Box::new(current::running));
    let mut worker = Worker {
        runtime,
        blobs: FxHashMap::default(),
        functions: FxHashMap::default(),
        actor: None,
        title: "".into(),
        calls_left: FxHashMap::default(),
        in_a_row: 0,
        exit: None,
        crashed: false,
    };
    worker.run(py)
}

impl Worker {
    fn run(&mut self, py: Python<'_>) -> PyResult<i32> {
        loop {
            if let Some(code) = self.exit {
                let runtime = Arc::clone(&self.runtime);
                // Before it lingers: others may need what it owns for as long as they live.
                call(py, &hooks(py)?.finish_actor, ())?;
                if !self.crashed {
                    py.detach(move || runtime.linger());
                }
                return Ok(code);
            }
            match self.next_work(py) {
                Work::Function(id, pickled) => {
                    self.blobs.entry(id).or_insert(pickled);
                }
                Work::Call(frame) => self.call(py, &frame)?,
                Work::Become(spec, incarnation, args) => self.become_actor(py, &spec, incarnation, &args)?,
                Work::End => self.exit = Some(0),
                Work::Stop => return Ok(0),
                // A late signal of a cancel whose task has ended.
                Work::Interrupted => py.check_signals().or_else(|e| {
                    if e.is_instance_of::<pyo3::exceptions::PyKeyboardInterrupt>(py) { Ok(()) } else { Err(e) }
                })?,
            }
        }
    }

    /// Work that lies at hand is taken with the GIL: letting go of it between two calls costs a switch interval where
    /// another thread computes. Now and then it is let go of, for calls that never pass through Python's own loop.
    fn next_work(&mut self, py: Python<'_>) -> Work {
        self.in_a_row += 1;
        if self.in_a_row < MOST_IN_A_ROW
            && let Some(work) = self.runtime.work_now()
        {
            return work;
        }
        self.in_a_row = 0;
        let runtime = Arc::clone(&self.runtime);
        py.detach(move || runtime.next_work())
    }

    fn call(&mut self, py: Python<'_>, frame: &CallFrame) -> PyResult<()> {
        let request = match Request::decode(&frame.bytes) {
            Ok(request) => request,
            Err(error) => {
                shoal_net::say!("a request cannot be read: {error}");
                return Ok(());
            }
        };
        let lent = !request.args.refs.is_empty();
        if lent {
            self.runtime.begin(request.task, request.args.refs.clone(), request.args.places.clone());
        }
        let name: Arc<str> = if *self.title == *request.name { Arc::clone(&self.title) } else { request.name.into() };
        let ticket = Ticket {
            task: request.task,
            attempt: request.attempt,
            lane: frame.lane,
            caller: frame.caller,
            num_returns: request.num_returns,
            window: request.window,
            lent,
            name,
            depth: request.depth,
            retry_exceptions: request.retry_exceptions,
            started: Instant::now(),
        };
        match request.target {
            Target::Function(id) => {
                self.runtime.set_task(request.last_try);
                let ran = self.run_function(py, ticket, id, &request.args);
                self.runtime.end_task();
                ran
            }
            Target::Method(method, group) => self.run_method(py, ticket, method, group, &request.args),
        }
    }

    fn show_title(&mut self, name: &Arc<str>) {
        if *self.title != **name {
            self.title = Arc::clone(name);
            self.runtime.set_title(name);
            crate::title::show(&format!("shoal::{name}"));
        }
    }

    fn run_function(&mut self, py: Python<'_>, ticket: Ticket, id: FunctionId, args: &ArgsFrame<'_>) -> PyResult<()> {
        self.show_title(&ticket.name);
        let runtime = Arc::clone(&self.runtime);
        let arguments = match current::handle(ticket.task, || arguments(py, &runtime, args)) {
            Err(NoArguments::Lost(lost)) => {
                refuse(&runtime, &ticket, lost);
                return Ok(());
            }
            Err(NoArguments::Raised(error)) => Err(error),
            Ok(arguments) => Ok(arguments),
        };
        let function = self.function(py, id);
        let retry = function.as_ref().ok().and_then(|f| f.retry.as_ref()).map(|r| r.bind(py).clone());
        let result = function.and_then(|function| {
            let (args, kwargs) = arguments?;
            let callable = function.callable.bind(py);
            run_on_main(&runtime, &ticket, None, || callable.call(args, kwargs.as_ref()))
        });
        self.settle(py, &ticket, result, retry.as_ref());
        self.count_call(id);
        Ok(())
    }

    fn function(&mut self, py: Python<'_>, id: FunctionId) -> PyResult<Rc<Function>> {
        if let Some(function) = self.functions.get(&id) {
            return Ok(Rc::clone(function));
        }
        let blob = self
            .blobs
            .get(&id)
            .ok_or_else(|| errors::local(py, "System", "a function was called before it was sent"))?;
        let (callable, retry) = call(py, &hooks(py)?.load_function, (PyBytes::new(py, blob),))?
            .extract::<(Py<PyAny>, Option<Py<PyAny>>)>()?;
        let function = Rc::new(Function { callable, retry });
        self.functions.insert(id, Rc::clone(&function));
        Ok(function)
    }

    /// With `max_calls` the worker ends after so many calls of the function.
    fn count_call(&mut self, id: FunctionId) {
        let Some(limit) = max_calls(&self.runtime) else { return };
        let left = self.calls_left.entry(id).or_insert(limit);
        *left = left.saturating_sub(1);
        if *left == 0 && self.exit.is_none() {
            self.runtime.tell_node(&ToNode::Leaving { reason: None });
            self.exit = Some(0);
        }
    }

    fn run_method(
        &mut self,
        py: Python<'_>,
        mut ticket: Ticket,
        method: &str,
        group: &str,
        args: &ArgsFrame<'_>,
    ) -> PyResult<()> {
        let Some(actor) = &self.actor else {
            let error = errors::local(py, "System", "a method was called before the actor was made");
            self.settle(py, &ticket, Err(error), None);
            return Ok(());
        };
        ticket.depth = actor.depth;
        let (id, runtime) = (actor.id, Arc::clone(&self.runtime));
        let decoded = current::handle(ticket.task, || arguments(py, &runtime, args));
        let mut retry = None;
        let result = match (&actor.instance, decoded) {
            (_, Err(NoArguments::Lost(lost))) => {
                refuse(&runtime, &ticket, lost);
                return Ok(());
            }
            (_, Err(NoArguments::Raised(error))) => Err(error),
            (Some(instance), Ok((args, kwargs))) => {
                retry = take_retry_types(kwargs.as_ref())?;
                let target = instance.bind(py).getattr(PyString::new(py, method));
                target
                    .and_then(|target| run_on_main(&runtime, &ticket, Some(id), || target.call(args, kwargs.as_ref())))
            }
            (None, Ok((args, kwargs))) => {
                let retry = take_retry_types(kwargs.as_ref())?.map(Bound::unbind);
                let kwargs = kwargs.unwrap_or_else(|| PyDict::new(py));
                // From here on a cancel finds the call, or the call finds the cancel where it is queued (CANCEL-1).
                runtime.runs_beside(ticket.task, true);
                let handle = Bound::new(
                    py,
                    Call {
                        ticket: Mutex::new(Some(ticket.clone())),
                        held: Mutex::new(None),
                        name: Arc::clone(&ticket.name),
                        task: ticket.task,
                        depth: ticket.depth,
                        actor: id,
                        retry,
                        begun: AtomicBool::new(false),
                        items: AtomicU32::new(0),
                    },
                )?;
                let dispatch = actor.runtime.bind(py);
                let sent = dispatch.call_method1("dispatch", (&handle, method, group, args, kwargs));
                match sent {
                    Ok(_) => return Ok(()),
                    Err(error) if handle.get().ticket.lock().take().is_some() => {
                        runtime.runs_beside(ticket.task, false);
                        Err(error)
                    }
                    Err(_) => return Ok(()),
                }
            }
        };
        self.settle(py, &ticket, result, retry.as_ref());
        Ok(())
    }

    /// Answers a call that ran on the main thread.
    fn settle(
        &mut self,
        py: Python<'_>,
        ticket: &Ticket,
        result: PyResult<Bound<'_, PyAny>>,
        retry: Option<&Bound<'_, PyAny>>,
    ) {
        if let Err(error) = &result
            && error.is_instance_of::<PySystemExit>(py)
        {
            self.system_exit(py, error);
            return;
        }
        answer(py, &self.runtime, ticket, result, retry);
    }

    /// `sys.exit(code)`: the process ends with that code; whoever waits hears of it from the daemon.
    fn system_exit(&mut self, py: Python<'_>, error: &PyErr) {
        let code = exit_code(py, error);
        let text = hooks(py).and_then(|h| call(py, &h.system_exit_text, (error.value(py),))?.extract::<String>());
        let text = text.unwrap_or_else(|_| format!("sys.exit({code})"));
        match &self.actor {
            Some(actor) => self.runtime.tell_node(&ToNode::ActorExit { actor: actor.id, reason: text }),
            None => {
                self.crashed = true;
                self.runtime.tell_node(&ToNode::Leaving { reason: Some(text) });
            }
        }
        self.exit = Some(code);
    }

    fn become_actor(&mut self, py: Python<'_>, spec: &ActorSpec, incarnation: u32, args: &[u8]) -> PyResult<()> {
        self.show_title(&Arc::from(spec.class_name.as_str()));
        crate::actor::set_own(spec);
        let frame = ArgsFrame::decode(&mut Reader::new(args));
        let frame = frame
            .map_err(|e| errors::local(py, "System", &format!("a constructor's arguments cannot be read: {e}")))?;
        let creator = spec.handle.owner;
        let task = spec.handle.id.task;
        self.runtime.begin(task, frame.refs.clone(), frame.places.clone());
        let current = Current {
            task,
            name: Arc::clone(&self.title),
            depth: spec.depth,
            attempt: incarnation as u16,
            actor: Some(spec.id),
        };
        let made = arguments(py, &self.runtime, &frame).map_err(|e| e.raised(py)).and_then(|(args, kwargs)| {
            current::enter(current);
            let made = construct(py, hooks(py)?, spec, args, kwargs);
            current::leave();
            made
        });
        drop(frame);
        let (error, code) = match made {
            Ok(actor) => {
                self.actor = Some(actor);
                (None, None)
            }
            Err(error) => {
                let (mut packed, _) = errors::pack(py, &error, "__init__", None);
                packed.kind = ErrorKind::ActorDied;
                packed.actor = Some(spec.id);
                (Some(packed), Some(0))
            }
        };
        let kept = self.runtime.constructed(task, creator);
        self.runtime.actor_started(spec.id, incarnation, error, kept);
        self.exit = code;
        Ok(())
    }
}

fn construct<'py>(
    py: Python<'py>,
    hooks: &Hooks,
    spec: &ActorSpec,
    args: Bound<'py, PyTuple>,
    kwargs: Option<Bound<'py, PyDict>>,
) -> PyResult<Actor> {
    let kwargs = kwargs.unwrap_or_else(|| PyDict::new(py));
    let made = call(py, &hooks.become_actor, (PyBytes::new(py, &spec.class_bytes), &spec.meta, args, kwargs))?;
    let sync: bool = made.getattr("sync")?.extract()?;
    let instance = if sync { Some(made.getattr("instance")?.unbind()) } else { None };
    Ok(Actor { id: spec.id, runtime: made.unbind(), instance, depth: spec.depth })
}

fn max_calls(runtime: &Runtime) -> Option<u32> {
    let session = runtime.session();
    session.max_calls
}

fn exit_code(py: Python<'_>, error: &PyErr) -> i32 {
    let code = error.value(py).getattr("code");
    match code {
        Ok(code) if code.is_none() => 0,
        Ok(code) => code.extract().unwrap_or(1),
        Err(_) => 1,
    }
}

/// Runs user code on the main thread, interruptible by a cancel (CUR-1).
fn run_on_main<'py>(
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

impl Ticket {
    fn run(&self) -> Run {
        Run { task: self.task, name: Arc::clone(&self.name), began: self.started }
    }

    fn current(&self, actor: Option<ActorId>) -> Current {
        Current { task: self.task, name: Arc::clone(&self.name), depth: self.depth, attempt: self.attempt, actor }
    }
}

/// `RETRY_TYPES` of `actor_handle.py`: what a caller's `.options(retry_exceptions=[...])` of a method lists.
fn take_retry_types<'py>(kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(kwargs) = kwargs else { return Ok(None) };
    let name = pyo3::intern!(kwargs.py(), "__shoal_retry_types__");
    let types = kwargs.get_item(name)?;
    if types.is_some() {
        kwargs.del_item(name)?;
    }
    Ok(types)
}

type Arguments<'py> = (Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>);

/// Why a call has no arguments.
enum NoArguments {
    /// These are not where they should lie: it does not begin.
    Lost(Vec<(RefWire, ArenaLoc)>),
    /// One can't be made.
    Raised(PyErr),
}

impl NoArguments {
    /// For a constructor, which is not tried again for that.
    fn raised(self, py: Python<'_>) -> PyErr {
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

fn arguments<'py>(py: Python<'py>, runtime: &Runtime, frame: &ArgsFrame<'_>) -> Result<Arguments<'py>, NoArguments> {
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
fn refuse(runtime: &Runtime, ticket: &Ticket, lost: Vec<(RefWire, ArenaLoc)>) {
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

/// Turns a result into values and pushes the reply.
fn answer(
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
fn packed<'py>(
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

/// In a worker: this process ends now on purpose.
#[pyfunction]
pub(crate) fn leave(py: Python<'_>, reason: Option<String>) -> PyResult<()> {
    runtime(py)?.tell_node(&ToNode::Leaving { reason });
    Ok(())
}

/// In an actor: it is to be asked to end, and waited for, when its job or instance ends.
#[pyfunction]
pub(crate) fn saves_at_end(py: Python<'_>) -> PyResult<()> {
    runtime(py)?.tell_node(&ToNode::SavesAtEnd);
    Ok(())
}

/// In an actor: it ends on its own wish, without restart.
#[pyfunction]
pub(crate) fn exit_actor(py: Python<'_>, reason: String) -> PyResult<()> {
    let runtime = runtime(py)?;
    let actor =
        current::actor().ok_or_else(|| PyValueError::new_err("exit_actor() works only inside an actor's method"))?;
    runtime.tell_node(&ToNode::ActorExit { actor, reason });
    Ok(())
}
