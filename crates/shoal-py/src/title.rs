//! What `ps` shows: `shoal::NAME`.
use pyo3::prelude::*;
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Something was written since the last task ended (`shoal.runtime.marks`).
static WRITES: AtomicBool = AtomicBool::new(false);
/// The last mark has a name.
static MARKED: AtomicBool = AtomicBool::new(false);

/// Names this process for `ps`, `top` and the prefix of its output.
#[pyfunction]
pub(crate) fn set_title(title: &str) {
    show(title);
    if let Some(runtime) = crate::session::try_runtime() {
        runtime.set_title(title.strip_prefix("shoal::").unwrap_or(title));
    }
}

/// In a worker: a task writes its first text; the name of what runs.
#[pyfunction]
pub(crate) fn begin_output() -> String {
    WRITES.store(true, Relaxed);
    MARKED.store(true, Relaxed);
    crate::session::try_runtime().map(|runtime| runtime.title()).unwrap_or_default()
}

/// Whether something was written since this was asked last.
pub(crate) fn has_written() -> bool {
    WRITES.load(Relaxed) && WRITES.swap(false, Relaxed)
}

/// Whether something was written since the name was another.
pub(crate) fn has_marked() -> bool {
    MARKED.swap(false, Relaxed)
}

/// The kernel's short name of the main thread (15 bytes), and the process's command line.
pub(crate) fn show(title: &str) {
    let Ok(name) = CString::new(title.as_bytes().iter().copied().filter(|b| *b != 0).collect::<Vec<_>>()) else {
        return;
    };
    // SAFETY: the kernel copies at most 16 bytes of a NUL-terminated string.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    write_command_line(name.as_bytes());
}

/// Overwrites the memory that `/proc/PID/cmdline` shows: the arguments that the process was started with. Its bounds
/// are in `/proc/self/stat`, fields 48 and 49.
fn write_command_line(title: &[u8]) {
    let Some((start, end)) = bounds() else { return };
    let room = end - start;
    let n = title.len().min(room.saturating_sub(1));
    // SAFETY: the kernel says that start..end is this process's argument memory, which is writable, and nothing in
    // Python reads it after start-up.
    unsafe {
        std::ptr::copy_nonoverlapping(title.as_ptr(), start as *mut u8, n);
        std::ptr::write_bytes((start + n) as *mut u8, 0, room - n);
    }
}

fn bounds() -> Option<(usize, usize)> {
    static BOUNDS: std::sync::OnceLock<Option<(usize, usize)>> = std::sync::OnceLock::new();
    *BOUNDS.get_or_init(|| {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let start: usize = fields.nth(45)?.parse().ok()?;
        let end: usize = fields.next()?.parse().ok()?;
        (start > 0 && end > start).then_some((start, end))
    })
}
