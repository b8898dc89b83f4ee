//! `ActorRef`: an actor as a process knows it; making, finding and ending actors.
use crate::errors;
use crate::hooks::{call, hooks};
use crate::refs::meet;
use crate::session::{epoch, runtime, runtime_of, try_runtime};
use crate::stream;
use crate::template::{encode_args, handle_of, id16, resources, returns};
use parking_lot::Mutex;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use shoal_proto::control::{Request, Response};
use shoal_types::{ActorId, ActorSpec, Args, CallSpec, FunctionId, RefWire, TaskId};
use std::collections::HashMap;
use std::sync::Arc;

/// What a handle is made of, as it travels.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Wire {
    actor: ActorId,
    handle: Option<RefWire>,
    class_name: String,
    meta: String,
    unordered: bool,
    max_pending_calls: i32,
}

impl Wire {
    fn of_spec(spec: &ActorSpec, weak: bool) -> Self {
        Self {
            actor: spec.id,
            handle: (!weak).then_some(spec.handle),
            class_name: spec.class_name.clone(),
            meta: spec.meta.clone(),
            unordered: spec.unordered,
            max_pending_calls: spec.max_pending_calls,
        }
    }
}

/// An actor as a process knows it; counted while it lives unless `weak`.
#[pyclass(frozen, module = "shoal._core")]
pub(crate) struct ActorRef {
    wire: Wire,
    epoch: u32,
    methods: Mutex<HashMap<String, Arc<str>>>,
}

impl ActorRef {
    fn new(wire: Wire) -> Self {
        Self { wire, epoch: epoch(), methods: Mutex::default() }
    }

    fn interned(&self, method: &str) -> Arc<str> {
        let mut methods = self.methods.lock();
        if let Some(name) = methods.get(method) {
            return Arc::clone(name);
        }
        let name: Arc<str> = method.into();
        methods.insert(method.to_owned(), Arc::clone(&name));
        name
    }
}

impl ActorRef {
    fn submit<'py>(
        &self,
        method: &str,
        group: &str,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        (num_returns, window): (u32, u32),
        (max_retries, retry_exceptions): (i32, bool),
    ) -> PyResult<Py<PyAny>> {
        let py = args.py();
        let runtime = runtime_of(py, self.epoch, "actor handle")?;
        let (args, _held) = encode_args(py, &runtime, args, kwargs, method)?;
        let id = runtime.next_task();
        let spec = CallSpec {
            id,
            actor: self.wire.actor,
            handle: self.wire.handle,
            method: self.interned(method),
            group: if group.is_empty() { Arc::from("") } else { self.interned(group) },
            num_returns,
            window,
            max_retries,
            retry_exceptions,
            parent: crate::current::ancestry(py)?.1,
            args,
        };
        let called = runtime.call(spec, self.wire.unordered, self.wire.max_pending_calls);
        called.map_err(|e| errors::exception(py, &e))?;
        returns(py, &runtime, id, num_returns)
    }
}

impl Drop for ActorRef {
    fn drop(&mut self) {
        if self.epoch == epoch()
            && let (Some(handle), Some(runtime)) = (self.wire.handle, try_runtime())
        {
            runtime.drop_ref(handle.id);
        }
    }
}

#[pymethods]
impl ActorRef {
    #[getter]
    fn actor_id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.wire.actor.0)
    }

    #[getter]
    fn class_name(&self) -> &str {
        &self.wire.class_name
    }

    #[getter]
    fn meta(&self) -> &str {
        &self.wire.meta
    }

    #[getter]
    fn weak(&self) -> bool {
        self.wire.handle.is_none()
    }

    /// Calls a method: one ref, a list of refs, or None for no returns.
    #[allow(clippy::too_many_arguments)] // what a call is made of
    fn call<'py>(
        &self,
        method: &str,
        group: &str,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        num_returns: u32,
        max_retries: i32,
        retry_exceptions: bool,
    ) -> PyResult<Py<PyAny>> {
        self.submit(method, group, args, kwargs, (num_returns, 0), (max_retries, retry_exceptions))
    }

    /// Calls a method that is a generator; `num_returns` is -1 for "streaming", -2 for "dynamic".
    #[allow(clippy::too_many_arguments)] // what a call is made of
    fn stream<'py>(
        &self,
        method: &str,
        group: &str,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        num_returns: i64,
        max_retries: i32,
        retry_exceptions: bool,
        backpressure: i64,
    ) -> PyResult<Py<PyAny>> {
        let n = stream::num_returns(num_returns);
        let window = stream::window(n, backpressure);
        self.submit(method, group, args, kwargs, (n, window), (max_retries, retry_exceptions))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let this = slf.get();
        runtime_of(py, this.epoch, "actor handle")?;
        if let Some(handle) = this.wire.handle {
            meet(py, handle)?;
        }
        let bytes = serde_bytes(&this.wire)?;
        let make = py.import("shoal._core")?.getattr("actor_from_bytes")?;
        (make, (PyBytes::new(py, &bytes),)).into_pyobject(py)
    }

    fn __hash__(&self) -> u64 {
        u64::from_le_bytes(self.wire.actor.0[8..].try_into().expect("eight bytes"))
            ^ u64::from_le_bytes(self.wire.actor.0[..8].try_into().expect("eight bytes"))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|o| o.get().wire.actor == self.wire.actor)
    }
}

fn serde_bytes(wire: &Wire) -> PyResult<Vec<u8>> {
    postcard::to_stdvec(wire).map_err(|e| pyo3::exceptions::PyRuntimeError::new_err(e.to_string()))
}

/// The other half of `ActorRef.__reduce__`.
#[pyfunction]
pub(crate) fn actor_from_bytes(py: Python<'_>, wire: &[u8]) -> PyResult<ActorRef> {
    let wire: Wire =
        postcard::from_bytes(wire).map_err(|_| errors::local(py, "System", "a pickled actor handle cannot be read"))?;
    if let Some(handle) = wire.handle {
        runtime(py)?.take_handle(handle, wire.actor, wire.unordered);
    }
    Ok(ActorRef::new(wire))
}

/// The actor that this process is, as its weak handles know it.
static OWN: Mutex<Option<Wire>> = Mutex::new(None);

/// This process is this actor from now on.
pub(crate) fn set_own(spec: &ActorSpec) {
    *OWN.lock() = Some(Wire::of_spec(spec, true));
}

/// The actor that this process is.
pub(crate) fn own() -> Option<ActorId> {
    OWN.lock().as_ref().map(|own| own.actor)
}

/// A method as errors name it: `Class.method` in an actor's process, a task's name as it is.
pub(crate) fn full_name(name: &str) -> String {
    OWN.lock().as_ref().map_or_else(|| name.to_owned(), |own| format!("{}.{name}", own.class_name))
}

/// A weak handle of the actor that this process is; None elsewhere.
#[pyfunction]
pub(crate) fn own_actor() -> Option<ActorRef> {
    OWN.lock().clone().map(ActorRef::new)
}

/// Makes an actor. `spec` is documented in `shoal.core.actor`.
#[pyfunction]
pub(crate) fn create_actor<'py>(
    spec: &Bound<'py, PyDict>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<ActorRef> {
    let py = spec.py();
    let runtime = runtime(py)?;
    let class_name: String = field(spec, "class_name")?;
    let (args, _held) = encode_args(py, &runtime, args, kwargs, &class_name)?;
    let task = runtime.next_task();
    let spec_ = actor_spec(spec, handle_of(&runtime, task), task, class_name, args)?;
    let wire = Wire::of_spec(&spec_, false);
    let (name, namespace) = (spec_.name.clone(), spec_.namespace.clone());
    match py.detach(|| runtime.create_actor(spec_)) {
        // From here on the handle has one local count.
        Ok(None) => Ok(ActorRef::new(wire)),
        Ok(Some(other)) if field::<bool>(spec, "get_if_exists")? => Ok(ActorRef::new(Wire::of_spec(&other, true))),
        Ok(Some(_)) => Err(PyErr::from_value(call(py, &hooks(py)?.name_taken, (name, namespace))?)),
        Err(error) => Err(errors::exception(py, &error)),
    }
}

fn field<'py, T>(spec: &Bound<'py, PyDict>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    let value = spec.get_item(name)?.ok_or_else(|| PyKeyError::new_err(name.to_owned()))?;
    value.extract::<T>().map_err(Into::into)
}

fn actor_spec(
    spec: &Bound<'_, PyDict>,
    handle: RefWire,
    task: TaskId,
    class_name: String,
    args: Args,
) -> PyResult<ActorSpec> {
    let amounts = |name| field::<HashMap<String, f64>>(spec, name).map(|m| resources(&m));
    Ok(ActorSpec {
        id: ActorId(task.0),
        handle,
        class: FunctionId(id16(&field::<Vec<u8>>(spec, "class_id")?, "class_id")?),
        class_name,
        class_bytes: field::<Vec<u8>>(spec, "class_bytes")?.into(),
        name: field(spec, "name")?,
        namespace: field(spec, "namespace")?,
        detached: field(spec, "detached")?,
        named_lives_on: field(spec, "named_lives_on")?,
        resources: amounts("resources")?,
        placement: amounts("placement")?,
        runtime_env: field(spec, "runtime_env")?,
        max_restarts: field(spec, "max_restarts")?,
        max_task_retries: field(spec, "max_task_retries")?,
        unordered: field(spec, "unordered")?,
        args,
        meta: field(spec, "meta")?,
        max_pending_calls: field(spec, "max_pending_calls")?,
        depth: crate::current::ancestry(spec.py())?.0,
    })
}

/// A weak handle of the actor of that name, or None.
#[pyfunction]
pub(crate) fn get_actor(py: Python<'_>, name: String, namespace: String) -> PyResult<Option<ActorRef>> {
    let runtime = runtime(py)?;
    match py.detach(|| runtime.ask(Request::GetNamedActor { name, namespace })) {
        Ok(Response::Actor(spec)) => Ok(spec.map(|s| ActorRef::new(Wire::of_spec(&s, true)))),
        Ok(_) => Err(errors::local(py, "System", "the daemon answered out of turn")),
        Err(error) => Err(errors::exception(py, &error)),
    }
}

/// Ends an actor's process; for good, or only this life.
#[pyfunction]
pub(crate) fn kill_actor(py: Python<'_>, actor: &Bound<'_, ActorRef>, no_restart: bool) -> PyResult<()> {
    let this = actor.get();
    let runtime = runtime_of(py, this.epoch, "actor handle")?;
    let id = this.wire.actor;
    let asked = py.detach(|| runtime.ask(Request::KillActor { actor: id, no_restart }));
    asked.map(|_| ()).map_err(|e| errors::exception(py, &e))
}
