//! Looking inside the instance.
use crate::errors;
use crate::session::runtime;
use pyo3::prelude::*;
use shoal_proto::control::{Request, Response};
use shoal_proto::look::{ClientLook, NodeLook, Report, Wish};
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What every node and its clients tell, as JSON: `[{"node": {…}, "clients": [{…, "report": {…} or null}]}]`. `wishes`
/// are names of `Wish`'s switches; without any, clients are not asked. `only`: the one process that is asked. `timeout`
/// in seconds: who is silent until then is named.
#[pyfunction]
pub(crate) fn look(
    py: Python<'_>,
    wishes: Vec<String>,
    only: Option<u32>,
    limit: u32,
    timeout: f64,
) -> PyResult<String> {
    let runtime = runtime(py)?;
    let has = |name: &str| wishes.iter().any(|wish| wish == name);
    let wish = Wish {
        tasks: has("tasks"),
        ended: has("ended"),
        ran: has("ran"),
        objects: has("objects"),
        stacks: has("stacks"),
        only,
        limit,
    };
    let wish = (!wishes.is_empty()).then_some(wish);
    let patience = (timeout.clamp(0.0, 1e6) * 1e6) as u64;
    let answer = py.detach(|| runtime.ask(Request::Look { wish, patience }));
    match answer.map_err(|e| errors::exception(py, &e))? {
        Response::Looks(nodes) => {
            Ok(py.detach(|| format!("[{}]", nodes.iter().map(node).collect::<Vec<_>>().join(","))))
        }
        _ => Err(errors::local(py, "System", "the daemon answered out of turn")),
    }
}

fn node(look: &NodeLook) -> String {
    let clients: Vec<String> = look.clients.iter().map(client).collect();
    format!(r#"{{"node":{},"clients":[{}]}}"#, String::from_utf8_lossy(&look.node), clients.join(","))
}

/// A report that can't be read counts as none.
fn client(look: &ClientLook) -> String {
    let report = look.report.as_deref().and_then(|bytes| postcard::from_bytes::<Report>(bytes).ok());
    let ClientLook { worker, pid, job, kind, silent, .. } = look;
    let row = serde_json::json!({
        "worker": worker, "pid": pid, "job": job, "kind": kind, "silent": silent, "report": report,
    });
    row.to_string()
}

/// A descriptor that is readable when a file in `folder` was made, written or renamed. Close it with `os.close`.
#[pyfunction]
pub(crate) fn watch_folder(folder: PathBuf) -> PyResult<i32> {
    let path = CString::new(folder.into_os_string().into_vec())?;
    // SAFETY: no pointers are involved.
    let fd = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    // SAFETY: the descriptor is new, and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the path ends in NUL and outlives the call.
    let watch = unsafe {
        libc::inotify_add_watch(fd.as_raw_fd(), path.as_ptr(), libc::IN_MODIFY | libc::IN_CREATE | libc::IN_MOVED_TO)
    };
    if watch < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(fd.into_raw_fd())
}

/// `faulthandler` writes a worker's stacks into `file`, which is given away, on this signal (STACK-1).
#[pyfunction]
pub(crate) fn tell_stacks_on(py: Python<'_>, signal: i32, file: i32) -> PyResult<()> {
    // SAFETY: the caller gives the descriptor away.
    let file = unsafe { OwnedFd::from_raw_fd(file) };
    Ok(runtime(py)?.tell_stacks_on(signal, file)?)
}

/// The stacks of this process's threads, for who has asked by the event "stacks".
#[pyfunction]
pub(crate) fn tell_stacks(py: Python<'_>, text: String) -> PyResult<()> {
    let runtime = runtime(py)?;
    py.detach(|| runtime.tell_stacks(text));
    Ok(())
}
