//! The process's one runtime, and the sessions that it has been through.
use crate::errors;
use crate::hooks::{call, hooks};
use parking_lot::RwLock;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use shoal_net::broken;
use shoal_proto::control::{LogsWanted, Role};
use shoal_worker::{Greeting, Runtime};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

static RUNTIME: RwLock<Option<Arc<Runtime>>> = RwLock::new(None);
/// Changes with every session and every fork; objects remember theirs (PY-3).
static EPOCH: AtomicU32 = AtomicU32::new(0);

/// The session's number.
pub(crate) fn epoch() -> u32 {
    EPOCH.load(SeqCst)
}

/// The runtime, if there is a session.
pub(crate) fn try_runtime() -> Option<Arc<Runtime>> {
    RUNTIME.read().clone()
}

/// The runtime, or the exception that says that there is none.
pub(crate) fn runtime(py: Python<'_>) -> PyResult<Arc<Runtime>> {
    let runtime = try_runtime().ok_or_else(|| {
        errors::local(py, "NotConnected", "shoal is not initialised in this process: call shoal.init()")
    })?;
    match runtime.broken() {
        Some(error) => Err(errors::exception(py, error)),
        None => Ok(runtime),
    }
}

/// The runtime of an object made in session `epoch`.
pub(crate) fn runtime_of(py: Python<'_>, epoch: u32, what: &str) -> PyResult<Arc<Runtime>> {
    if epoch != self::epoch() {
        let text = format!("this {what} belongs to a session that has ended (or to the parent process): make it anew");
        return Err(errors::local(py, "NotConnected", &text));
    }
    runtime(py)
}

/// A driver lives on without its session (DESIGN §8).
fn tell_runtime(line: &str, stack: &str) {
    let runtime = RUNTIME.try_read().and_then(|runtime| runtime.clone());
    match runtime {
        Some(runtime) => runtime.broke(line, stack),
        None => shoal_net::say!("{line}\n{stack}"),
    }
}

/// Whether the thread that asks the daemon something is to stop waiting: a signal's handler has raised, or the call that it
/// is at work for is cancelled. [`errors::exception`] has what to raise then.
fn interrupted() -> bool {
    Python::attach(|py| match raise_pending(py) {
        Ok(()) => false,
        Err(raised) => {
            errors::set_raised(raised);
            true
        }
    })
}

/// Raises what a signal's handler raises, or a cancel has in store for this thread.
pub(crate) fn raise_pending(py: Python<'_>) -> PyResult<()> {
    py.check_signals()?;
    if crate::current::is_handled_call_cancelled() {
        return Err(PyKeyboardInterrupt::new_err(()));
    }
    call(py, &hooks(py)?.raise_pending, ()).map(drop)
}

fn begin(py: Python<'_>, socket: OwnedFd, role: Role) -> PyResult<Py<PyDict>> {
    let version = py.version_info();
    match role {
        Role::Worker { .. } => broken::on_panic(broken::log_and_exit),
        Role::Driver { .. } | Role::Tool => broken::on_panic(tell_runtime),
    }
    let greeting = Greeting { python: format!("{}.{}", version.major, version.minor), role };
    let connected = py.detach(|| Runtime::connect(socket, greeting));
    let runtime = connected.map_err(|e| pyo3::exceptions::PyConnectionError::new_err(e.to_string()))?;
    EPOCH.fetch_add(1, SeqCst);
    runtime.on_interrupt(interrupted);
    crate::events::begin(&runtime);
    *RUNTIME.write() = Some(runtime);
    session(py)
}

/// Begins a driver's session over a connected socket, which it takes. `logs` says what of its workers' output it wants:
/// "none", "lines", "live"; `fold` whether equal lines of several workers are told once.
#[pyfunction]
pub(crate) fn connect_driver(
    py: Python<'_>,
    sock_fd: i32,
    namespace: String,
    start: String,
    logs: &str,
    fold: bool,
) -> PyResult<Py<PyDict>> {
    // SAFETY: the caller gives the descriptor away.
    let socket = unsafe { OwnedFd::from_raw_fd(sock_fd) };
    let logs = match logs {
        "live" => LogsWanted::Live,
        "lines" => LogsWanted::Lines,
        _ => LogsWanted::None,
    };
    let session = begin(py, socket, Role::Driver { namespace, start, logs })?;
    if fold {
        runtime(py)?.fold_logs();
    }
    Ok(session)
}

/// Begins a worker's session: connects to the daemon's socket at `address`.
#[pyfunction]
pub(crate) fn connect_worker(py: Python<'_>, address: String, start: u64) -> PyResult<Py<PyDict>> {
    begin(py, reach(&address)?, Role::Worker { start })
}

fn reach(address: &str) -> PyResult<OwnedFd> {
    let path = address.strip_prefix("unix:").unwrap_or(address);
    shoal_net::connect(std::path::Path::new(path)).map_err(|e| {
        pyo3::exceptions::PyConnectionError::new_err(format!("cannot reach the node daemon at {address}: {e}"))
    })
}

/// Begins the session of a process that looks at an instance and submits nothing: connects to the daemon's socket.
#[pyfunction]
pub(crate) fn connect_tool(py: Python<'_>, address: String) -> PyResult<Py<PyDict>> {
    begin(py, reach(&address)?, Role::Tool)
}

/// Ends the session. Idempotent.
#[pyfunction]
pub(crate) fn disconnect(py: Python<'_>, at_exit: bool) {
    let Some(runtime) = RUNTIME.write().take() else { return };
    EPOCH.fetch_add(1, SeqCst);
    py.detach(|| runtime.close(at_exit));
    crate::events::forget();
}

/// Whether there is a session.
#[pyfunction]
pub(crate) fn connected() -> bool {
    RUNTIME.read().is_some()
}

/// What the daemon told at the greeting.
#[pyfunction]
pub(crate) fn session(py: Python<'_>) -> PyResult<Py<PyDict>> {
    let runtime = runtime(py)?;
    let s = runtime.session();
    let out = PyDict::new(py);
    out.set_item("node_id", s.node.to_string())?;
    out.set_item("worker_id", s.worker.to_string())?;
    out.set_item("job_id", format!("{:08x}", s.job.0))?;
    out.set_item("namespace", &s.namespace)?;
    out.set_item("address", &s.address)?;
    out.set_item("session_dir", &s.session)?;
    out.set_item("gpus", s.gpus.clone())?;
    out.set_item("runtime_env", &s.runtime_env)?;
    let resources = PyDict::new(py);
    for (name, amount) in s.resources.iter() {
        resources.set_item(name, amount as f64 / shoal_types::UNIT as f64)?;
    }
    out.set_item("resources", resources)?;
    Ok(out.unbind())
}

/// In a forked child: the parent's runtime is not ours; its memory stays, its threads don't exist here.
#[pyfunction]
pub(crate) fn forked() {
    EPOCH.fetch_add(1, SeqCst);
    if RUNTIME.is_locked() {
        // The thread that held it does not exist here; this one is the only thread.
        // SAFETY: nobody else can touch the lock in this process.
        unsafe { RUNTIME.force_unlock_write() };
    }
    std::mem::forget(RUNTIME.write().take());
    crate::events::forked();
    crate::current::forked();
}

/// Runs the node daemon until its instance ends; the exit code.
#[pyfunction]
pub(crate) fn node_main(py: Python<'_>, config: String, client_fd: i32, zygote_fd: i32, zygote_pid: i32) -> i32 {
    broken::on_panic(broken::log_and_exit);
    py.detach(|| shoal_node::run(&config, client_fd, zygote_fd, zygote_pid))
}
