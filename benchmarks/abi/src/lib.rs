//! What a call across the boundary costs, under the stable ABI and under the version's own.
//!
//! `run.py` builds this crate twice and times both files in turn. `call_in` has Rust call a Python function, as a
//! worker does for a task; the rest is called from Python, as a caller's `.remote()` is.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// An object reference as the product has it: an id, and a release when it goes.
#[pyclass(frozen, weakref, module = "abi_bench")]
struct Ref {
    id: [u8; 28],
}

impl Ref {
    fn next() -> Self {
        let mut id = [0; 28];
        id[..8].copy_from_slice(&COUNTER.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        Self { id }
    }
}

impl Drop for Ref {
    fn drop(&mut self) {
        COUNTER.fetch_add(u64::from(black_box(self.id)[27]), Ordering::Relaxed);
    }
}

/// The same, with CPython's allocator spared for up to 1,024 of them.
#[pyclass(frozen, weakref, freelist = 1024, module = "abi_bench")]
struct PooledRef {
    inner: Ref,
}

/// A remote function: `.remote(*args, **kwargs)` looks at its arguments and returns a reference.
#[pyclass(frozen, module = "abi_bench")]
struct Remote {
    calls: AtomicU64,
}

#[pymethods]
impl Remote {
    #[new]
    fn new() -> Self {
        Self { calls: AtomicU64::new(0) }
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn remote(&self, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> Ref {
        let given = args.len() + kwargs.map_or(0, |k| k.len());
        self.calls.fetch_add(given as u64 + 1, Ordering::Relaxed);
        Ref::next()
    }
}

#[pyfunction]
fn f0() {}

#[pyfunction]
fn f1(a: &Bound<'_, PyAny>) {
    black_box(a.as_ptr());
}

#[pyfunction]
fn f3(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>, c: &Bound<'_, PyAny>) {
    black_box((a.as_ptr(), b.as_ptr(), c.as_ptr()));
}

/// Calls `function(*args)` `times` times with the arguments as separate values; nanoseconds a call.
#[pyfunction]
fn call_in(function: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>, times: u32) -> PyResult<f64> {
    let list: Vec<Bound<'_, PyAny>> = args.iter().collect();
    let begin = Instant::now();
    match list.as_slice() {
        [] => (0..times).try_for_each(|_| function.call0().map(drop))?,
        [a] => (0..times).try_for_each(|_| function.call1((a,)).map(drop))?,
        [a, b, c] => (0..times).try_for_each(|_| function.call1((a, b, c)).map(drop))?,
        _ => return Err(pyo3::exceptions::PyValueError::new_err("0, 1 or 3 arguments")),
    }
    Ok(begin.elapsed().as_nanos() as f64 / f64::from(times))
}

/// Calls `function(*args)` with one tuple made before, as when a task's arguments were decoded into one.
#[pyfunction]
fn call_tuple(function: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>, times: u32) -> PyResult<f64> {
    let begin = Instant::now();
    (0..times).try_for_each(|_| function.call1(args).map(drop))?;
    Ok(begin.elapsed().as_nanos() as f64 / f64::from(times))
}

/// Makes and drops `times` references inside Rust; nanoseconds each.
#[pyfunction]
fn refs_in(py: Python<'_>, times: u32) -> PyResult<f64> {
    let begin = Instant::now();
    for _ in 0..times {
        drop(black_box(Py::new(py, Ref::next())?));
    }
    Ok(begin.elapsed().as_nanos() as f64 / f64::from(times))
}

/// As `refs_in`, with the pooled class.
#[pyfunction]
fn pooled_refs_in(py: Python<'_>, times: u32) -> PyResult<f64> {
    let begin = Instant::now();
    for _ in 0..times {
        let made = Py::new(py, PooledRef { inner: Ref::next() })?;
        black_box(made.get().inner.id);
    }
    Ok(begin.elapsed().as_nanos() as f64 / f64::from(times))
}

#[pyfunction]
fn make_ref() -> Ref {
    Ref::next()
}

#[pymodule(gil_used = true)]
mod abi_bench {
    #[pymodule_export]
    use super::{PooledRef, Ref, Remote, call_in, call_tuple, f0, f1, f3, make_ref, pooled_refs_in, refs_in};
}
