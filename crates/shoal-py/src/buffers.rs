//! A part of a value's bytes as Python's buffer: read-only, and pinned while anything looks at it.
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use shoal_worker::ValueBytes;
use std::mem::ManuallyDrop;
use std::os::raw::{c_int, c_void};
use std::sync::Arc;

/// Read-only bytes in shared memory or in this process's.
#[pyclass(frozen, module = "shoal._core")]
pub(crate) struct BufferView {
    value: ManuallyDrop<Arc<ValueBytes>>,
    start: usize,
    len: usize,
}

impl BufferView {
    pub(crate) fn new(value: Arc<ValueBytes>, range: &std::ops::Range<usize>) -> Self {
        debug_assert!(range.end <= value.as_slice().len());
        Self { value: ManuallyDrop::new(value), start: range.start, len: range.len() }
    }
}

impl Drop for BufferView {
    fn drop(&mut self) {
        // SAFETY: not used after this.
        unsafe { ManuallyDrop::drop(&mut self.value) };
        // The daemon waits for this pin to go: the I/O thread tells it. Waking that for nothing costs a `get` 25 µs.
        if let Some(runtime) = crate::session::try_runtime()
            && runtime.has_let_go()
        {
            runtime.activity();
        }
    }
}

#[pymethods]
impl BufferView {
    fn __len__(&self) -> usize {
        self.len
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view to fill"));
        }
        if flags & ffi::PyBUF_WRITABLE == ffi::PyBUF_WRITABLE {
            return Err(PyBufferError::new_err("a stored object is read-only: use shoal.get(ref, copy=True)"));
        }
        let this = slf.get();
        let data = this.value.as_slice()[this.start..this.start + this.len].as_ptr();
        // SAFETY: `data` stays where it is while `slf`, which PyBuffer_FillInfo counts, is alive.
        let filled = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                data.cast_mut().cast::<c_void>(),
                this.len as ffi::Py_ssize_t,
                1,
                flags,
            )
        };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}
