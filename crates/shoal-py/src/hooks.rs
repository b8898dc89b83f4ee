//! What Rust asks of Python: the methods of the object given to `set_hooks`.
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// The methods by name, bound once.
pub(crate) struct Hooks {
    pub(crate) serialize: Py<PyAny>,
    pub(crate) deserialize: Py<PyAny>,
    pub(crate) make_exception: Py<PyAny>,
    pub(crate) pack_error: Py<PyAny>,
    pub(crate) load_function: Py<PyAny>,
    pub(crate) unserializable: Py<PyAny>,
    pub(crate) await_ref: Py<PyAny>,
    pub(crate) future_of: Py<PyAny>,
    pub(crate) become_actor: Py<PyAny>,
    pub(crate) finish_actor: Py<PyAny>,
    pub(crate) cancel_call: Py<PyAny>,
    pub(crate) raise_pending: Py<PyAny>,
    pub(crate) coroutine_call: Py<PyAny>,
    pub(crate) system_exit_text: Py<PyAny>,
    pub(crate) name_taken: Py<PyAny>,
    pub(crate) ref_pickled: Py<PyAny>,
    pub(crate) make_generator: Py<PyAny>,
    pub(crate) make_dynamic: Py<PyAny>,
    /// `pickle.dumps` and `pickle.loads` themselves, for what needs no more.
    pub(crate) dumps: Py<PyAny>,
    pub(crate) loads: Py<PyAny>,
    pub(crate) call_site: Py<PyAny>,
    pub(crate) end_output: Py<PyAny>,
}

static HOOKS: PyOnceLock<Hooks> = PyOnceLock::new();

/// Gives Rust the Python side's functions. Once a process; later calls change nothing.
#[pyfunction]
pub(crate) fn set_hooks(hooks: &Bound<'_, PyAny>) -> PyResult<()> {
    let get = |name: &str| hooks.getattr(name).map(Bound::unbind);
    let pickle = |name: &str| hooks.py().import("pickle")?.getattr(name).map(Bound::unbind);
    let bound = Hooks {
        serialize: get("serialize")?,
        deserialize: get("deserialize")?,
        make_exception: get("make_exception")?,
        pack_error: get("pack_error")?,
        load_function: get("load_function")?,
        unserializable: get("unserializable")?,
        await_ref: get("await_ref")?,
        future_of: get("future_of")?,
        become_actor: get("become_actor")?,
        finish_actor: get("finish_actor")?,
        cancel_call: get("cancel_call")?,
        raise_pending: get("raise_pending")?,
        coroutine_call: get("coroutine_call")?,
        system_exit_text: get("system_exit_text")?,
        name_taken: get("name_taken")?,
        ref_pickled: get("ref_pickled")?,
        make_generator: get("make_generator")?,
        make_dynamic: get("make_dynamic")?,
        dumps: pickle("dumps")?,
        loads: pickle("loads")?,
        call_site: get("call_site")?,
        end_output: get("end_output")?,
    };
    let _ = HOOKS.set(hooks.py(), bound);
    Ok(())
}

/// The hooks; an error before `set_hooks`.
pub(crate) fn hooks(py: Python<'_>) -> PyResult<&'static Hooks> {
    HOOKS.get(py).ok_or_else(|| pyo3::exceptions::PyRuntimeError::new_err("shoal._core is used without shoal"))
}

/// Calls a hook.
pub(crate) fn call<'py, A>(py: Python<'py>, hook: &Py<PyAny>, args: A) -> PyResult<Bound<'py, PyAny>>
where
    A: pyo3::call::PyCallArgs<'py>,
{
    hook.bind(py).call1(args)
}

/// What was written until now is told from what follows; `renamed`: that has another name.
pub(crate) fn end_output(py: Python<'_>, renamed: bool) {
    if let Err(error) = hooks(py).and_then(|hooks| call(py, &hooks.end_output, (renamed,))) {
        error.write_unraisable(py, None);
    }
}
