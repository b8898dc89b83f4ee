//! Looking inside the instance.
use crate::errors;
use crate::session::runtime;
use pyo3::prelude::*;
use shoal_proto::control::{Request, Response};
use shoal_proto::look::{ClientLook, NodeLook, Report, Wish};

/// What every node and its clients tell, as JSON: `[{"node": {…}, "clients": [{…, "report": {…} or null}]}]`. With
/// none of the four wishes clients are not asked. `timeout` in seconds: who is silent until then is named.
#[pyfunction]
pub(crate) fn look(
    py: Python<'_>,
    tasks: bool,
    ended: bool,
    ran: bool,
    objects: bool,
    limit: u32,
    timeout: f64,
) -> PyResult<String> {
    let runtime = runtime(py)?;
    let any = tasks || ended || ran || objects;
    let wish = any.then_some(Wish { tasks, ended, ran, objects, limit });
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
