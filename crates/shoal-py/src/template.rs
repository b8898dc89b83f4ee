//! `Template`: a remote function ready to be called; and the arguments of any call.
use crate::codec::encode;
use crate::current::ancestry;
use crate::errors;
use crate::refs::ObjectRef;
use crate::session::{epoch, runtime, runtime_of};
use crate::sites::{note_call, note_put};
use crate::stream;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use shoal_proto::lane::{RawSlot, put_raw_slot};
use shoal_types::{Args, FunctionId, LeaseKey, ObjectId, RefWire, Resources, TaskId, TaskSpec, UNIT, is_stream};
use shoal_worker::{INLINE_LIMIT, Runtime};
use std::collections::HashMap;
use std::sync::Arc;

/// Inline bytes that one call may carry (DESIGN §4.2).
const INLINE_PER_CALL: usize = 1 << 20;

/// Everything that `.remote()` needs besides arguments. Belongs to one session.
#[pyclass(frozen, module = "shoal._core")]
pub(crate) struct Template {
    epoch: u32,
    function: FunctionId,
    name: Arc<str>,
    key: u32,
    num_returns: u32,
    window: u32,
    max_retries: i32,
    retry_exceptions: bool,
}

/// Amounts as users give them, in fixed point.
pub(crate) fn resources(amounts: &HashMap<String, f64>) -> Resources {
    Resources::from_pairs(amounts.iter().map(|(name, amount)| (name.clone(), (amount * UNIT as f64).round() as u64)))
}

/// Sixteen bytes of an id.
pub(crate) fn id16(bytes: &[u8], what: &str) -> PyResult<[u8; 16]> {
    let wrong = |_| pyo3::exceptions::PyValueError::new_err(format!("{what} has {} bytes, not 16", bytes.len()));
    bytes.try_into().map_err(wrong)
}

#[pymethods]
impl Template {
    #[new]
    #[pyo3(signature = (*, function_id, pickled, name, num_returns, max_retries, retry_exceptions, resources, runtime_env, max_calls, backpressure))]
    #[allow(clippy::too_many_arguments)] // Python's keyword arguments
    fn new(
        py: Python<'_>,
        function_id: &[u8],
        pickled: &Bound<'_, PyBytes>,
        name: &str,
        num_returns: i64,
        max_retries: i32,
        retry_exceptions: bool,
        resources: HashMap<String, f64>,
        runtime_env: String,
        max_calls: u32,
        backpressure: i64,
    ) -> PyResult<Self> {
        let runtime = runtime(py)?;
        let function = FunctionId(id16(function_id, "function_id")?);
        runtime.export(function, Arc::from(pickled.as_bytes()));
        let key = LeaseKey {
            resources: self::resources(&resources),
            runtime_env,
            max_calls: (max_calls > 0).then_some((function, max_calls)),
        };
        let key = runtime.intern(&key);
        let num_returns = stream::num_returns(num_returns);
        let (epoch, window) = (epoch(), stream::window(num_returns, backpressure));
        Ok(Self { epoch, function, name: name.into(), key, num_returns, window, max_retries, retry_exceptions })
    }

    /// Calls it: one ref, a list of refs, or None for no returns.
    fn submit<'py>(&self, args: &Bound<'py, PyTuple>, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Py<PyAny>> {
        let py = args.py();
        let runtime = runtime_of(py, self.epoch, "remote function's template")?;
        let (args, _held) = encode_args(py, &runtime, args, kwargs, &self.name)?;
        let id = runtime.next_task();
        let (depth, parent) = ancestry(py)?;
        let spec = TaskSpec {
            id,
            function: self.function,
            name: Arc::clone(&self.name),
            key: self.key,
            num_returns: self.num_returns,
            window: self.window,
            max_retries: self.max_retries,
            retry_exceptions: self.retry_exceptions,
            depth,
            parent,
            args,
        };
        runtime.submit(spec).map_err(|e| errors::exception(py, &e))?;
        returns(py, &runtime, id, self.num_returns)
    }
}

/// The refs of a call's returns, which it has one count of each.
pub(crate) fn returns(py: Python<'_>, runtime: &Runtime, task: TaskId, n: u32) -> PyResult<Py<PyAny>> {
    note_call(py, runtime, task, n)?;
    let make = |i| Bound::new(py, ObjectRef::owned(runtime.return_of(task, i)));
    Ok(match n {
        0 => py.None(),
        1 => make(0)?.into_any().unbind(),
        n if is_stream(n) => stream::returned(py, runtime, task, n)?,
        n => PyList::new(py, (0..n).map(make).collect::<PyResult<Vec<_>>>()?)?.into_any().unbind(),
    })
}

/// Encodes a call's arguments. Large ones go to the arena as objects of their own, held by the refs returned here
/// until the core has taken the call.
pub(crate) fn encode_args<'py>(
    py: Python<'py>,
    runtime: &Runtime,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
    name: &str,
) -> PyResult<(Args, Vec<ObjectRef>)> {
    let mut sink = Sink { py, runtime, name, out: Args::default(), held: Vec::new() };
    for arg in args.iter_borrowed() {
        sink.put(None, &arg)?;
    }
    for (key, arg) in kwargs.into_iter().flatten() {
        sink.put(Some(key.cast::<PyString>()?.to_str()?), &arg)?;
    }
    Ok((sink.out, sink.held))
}

struct Sink<'a, 'py> {
    py: Python<'py>,
    runtime: &'a Runtime,
    name: &'a str,
    out: Args,
    held: Vec<ObjectRef>,
}

impl<'py> Sink<'_, 'py> {
    fn put(&mut self, keyword: Option<&str>, arg: &Bound<'py, PyAny>) -> PyResult<()> {
        if let Ok(one) = arg.cast::<ObjectRef>() {
            one.get().id(self.py)?;
            self.dep(keyword, one.get().wire);
            return Ok(());
        }
        let encoded = encode(arg, self.name)?;
        let len = encoded.len();
        if len <= INLINE_LIMIT && self.out.bytes.len() + len <= INLINE_PER_CALL {
            self.out.refs.extend_from_slice(encoded.refs());
            put_raw_slot(&mut self.out.bytes, keyword, &RawSlot::Value(&encoded.to_vec()));
            return Ok(());
        }
        if len > INLINE_LIMIT {
            self.runtime.hint_copied(arg.as_ptr() as usize, encoded.largest(), self.name);
        }
        let wire = self.runtime.new_object();
        let value = encoded.into_value(self.py, self.runtime, wire.id, wire.owner.worker)?;
        self.runtime.put(wire.id, value).map_err(|e| errors::exception(self.py, &e))?;
        self.held.push(ObjectRef::owned(wire));
        note_put(self.py, self.runtime, wire, true)?;
        self.dep(keyword, wire);
        Ok(())
    }

    fn dep(&mut self, keyword: Option<&str>, wire: RefWire) {
        put_raw_slot(&mut self.out.bytes, keyword, &RawSlot::Dep(self.out.deps.len() as u32));
        self.out.deps.push(wire);
    }
}

/// The object that counts the handles of the actor made by `task`.
pub(crate) fn handle_of(runtime: &Runtime, task: TaskId) -> RefWire {
    RefWire { id: ObjectId::new(task, ObjectId::ACTOR_INDEX), owner: runtime.address() }
}
