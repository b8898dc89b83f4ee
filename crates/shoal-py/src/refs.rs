//! `ObjectRef`: a counted name of a value; and which refs travel inside what is pickled now.
use crate::errors;
use crate::hooks::{call, hooks};
use crate::session::{epoch, runtime, runtime_of, try_runtime};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple, PyType};
use shoal_types::{ObjectId, RefWire};
use shoal_worker::Sight;
use std::cell::RefCell;

thread_local! {
    /// For each pickling under way on this thread, the refs met so far.
    static MET: RefCell<Vec<Vec<RefWire>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `pickle` and tells which refs it met.
pub(crate) fn collect<T>(pickle: impl FnOnce() -> PyResult<T>) -> PyResult<(T, Vec<RefWire>)> {
    MET.with_borrow_mut(|stack| stack.push(Vec::new()));
    let result = pickle();
    let met = MET.with_borrow_mut(|stack| stack.pop().unwrap_or_default());
    Ok((result?, met))
}

/// A ref is being pickled: it travels with what is pickled now. Outside of that it is pinned until the session ends:
/// one count that is never given back. A closure's export says so by its nature (OWN-5), the user's own pickle is told
/// with a warning (OWN-4).
pub(crate) fn meet(py: Python<'_>, wire: RefWire) -> PyResult<()> {
    let inside = MET.with_borrow_mut(|stack| stack.last_mut().map(|met| met.push(wire)).is_some());
    if inside {
        return Ok(());
    }
    if let Some(runtime) = try_runtime() {
        runtime.take_ref(wire);
    }
    call(py, &hooks(py)?.ref_pickled, ()).map(drop)
}

/// A value that is or will be somewhere. Made by calls and `put` only.
#[pyclass(frozen, generic, module = "shoal")]
pub(crate) struct ObjectRef {
    pub(crate) wire: RefWire,
    pub(crate) epoch: u32,
    /// Other refs may name the same object; those of a new object know that they are the first.
    pub(crate) twin: bool,
    pub(crate) sight: Sight,
}

impl ObjectRef {
    /// The first ref of an object. Takes over one local count.
    pub(crate) fn owned(wire: RefWire) -> Self {
        Self::new_of(wire, epoch(), false)
    }

    /// One more ref of an object. Takes over one local count.
    pub(crate) fn another(wire: RefWire) -> Self {
        Self::new_of(wire, epoch(), true)
    }

    fn new_of(wire: RefWire, epoch: u32, twin: bool) -> Self {
        Self { wire, epoch, twin, sight: Sight::default() }
    }

    pub(crate) fn id(&self, py: Python<'_>) -> PyResult<ObjectId> {
        if self.epoch == epoch() {
            Ok(self.wire.id)
        } else {
            runtime_of(py, self.epoch, "ObjectRef").map(|_| self.wire.id)
        }
    }
}

impl Drop for ObjectRef {
    fn drop(&mut self) {
        if self.epoch == epoch()
            && let Some(runtime) = try_runtime()
        {
            self.sight.forget();
            runtime.drop_ref(self.wire.id);
        }
    }
}

#[pymethods]
impl ObjectRef {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let _ = py;
        Err(pyo3::exceptions::PyTypeError::new_err("an ObjectRef is made by f.remote() or shoal.put(), not by hand"))
    }

    fn hex(&self) -> String {
        self.wire.id.to_string()
    }

    fn binary<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.wire.id.to_bytes())
    }

    fn is_nil(&self) -> bool {
        self.wire.id.task.is_nil()
    }

    fn owner<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.wire.owner.worker.0)
    }

    fn future<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        call(slf.py(), &hooks(slf.py())?.future_of, (slf,))
    }

    fn __await__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        call(slf.py(), &hooks(slf.py())?.await_ref, (slf,))
    }

    fn __hash__(&self) -> u64 {
        let task = self.wire.id.task.0;
        let low = u64::from_le_bytes(task[8..].try_into().expect("eight bytes"));
        let high = u64::from_le_bytes(task[..8].try_into().expect("eight bytes"));
        (high ^ low.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(self.wire.id.index)
    }

    fn __richcmp__(&self, other: &Bound<'_, PyAny>, op: pyo3::basic::CompareOp) -> Py<PyAny> {
        let py = other.py();
        let Ok(other) = other.cast::<Self>() else { return py.NotImplemented() };
        let same = other.get().wire.id == self.wire.id;
        match op {
            pyo3::basic::CompareOp::Eq => pyo3::types::PyBool::new(py, same).to_owned().into_any().unbind(),
            pyo3::basic::CompareOp::Ne => pyo3::types::PyBool::new(py, !same).to_owned().into_any().unbind(),
            _ => py.NotImplemented(),
        }
    }

    fn __repr__(&self) -> String {
        format!("ObjectRef({})", self.wire.id)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let this = slf.get();
        this.id(py)?;
        meet(py, this.wire)?;
        static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let make =
            MAKE.get_or_try_init(py, || py.import("shoal._core")?.getattr("ref_from_bytes").map(Bound::unbind))?;
        (make.bind(py), (PyBytes::new(py, &this.wire.to_bytes()),)).into_pyobject(py)
    }

    fn __copy__(&self, py: Python<'_>) -> PyResult<Self> {
        self.id(py)?;
        runtime(py)?.take_ref(self.wire);
        Ok(Self::another(self.wire))
    }

    fn __deepcopy__(&self, py: Python<'_>, _memo: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.__copy__(py)
    }

    #[classmethod]
    fn nil(cls: &Bound<'_, PyType>) -> Self {
        let _ = cls;
        let nil = shoal_types::TaskId::NIL;
        Self::new_of(RefWire { id: ObjectId::new(nil, 0), owner: Default::default() }, u32::MAX, true)
    }
}

/// The other half of `ObjectRef.__reduce__`.
#[pyfunction]
pub(crate) fn ref_from_bytes(py: Python<'_>, wire: &[u8]) -> PyResult<ObjectRef> {
    let wire = RefWire::from_bytes(wire)
        .ok_or_else(|| errors::local(py, "System", "a pickled ObjectRef has the wrong length"))?;
    runtime(py)?.take_ref(wire);
    Ok(ObjectRef::another(wire))
}

/// The items of a generator called with `num_returns="dynamic"`, as Python's object of them.
pub(crate) fn dynamic<'py>(py: Python<'py>, items: &[RefWire]) -> PyResult<Bound<'py, PyAny>> {
    let runtime = runtime(py)?;
    let taken = items.iter().map(|wire| {
        runtime.take_ref(*wire);
        Bound::new(py, ObjectRef::another(*wire))
    });
    let refs = pyo3::types::PyList::new(py, taken.collect::<PyResult<Vec<_>>>()?)?;
    call(py, &hooks(py)?.make_dynamic, (refs,))
}
