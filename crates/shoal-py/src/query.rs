//! Questions to the daemon.
use crate::errors;
use crate::session::runtime;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use shoal_proto::control::{Request, Response};
use shoal_types::{Resources, UNIT};

fn ask(py: Python<'_>, request: Request) -> PyResult<Response> {
    let runtime = runtime(py)?;
    py.detach(|| runtime.ask(request)).map_err(|e| errors::exception(py, &e))
}

fn out_of_turn(py: Python<'_>) -> PyErr {
    errors::local(py, "System", "the daemon answered out of turn")
}

/// (namespace, name) of every named actor.
#[pyfunction]
pub(crate) fn named_actors(py: Python<'_>) -> PyResult<Vec<(String, String)>> {
    match ask(py, Request::NamedActors)? {
        Response::NamedActors(list) => Ok(list),
        _ => Err(out_of_turn(py)),
    }
}

fn amounts(py: Python<'_>, resources: &Resources) -> PyResult<Py<PyDict>> {
    let out = PyDict::new(py);
    for (name, amount) in resources.iter() {
        out.set_item(name, amount as f64 / UNIT as f64)?;
    }
    Ok(out.unbind())
}

/// Every node: `id`, `alive`, `hostname`, `address`, `total`, `available`.
#[pyfunction]
pub(crate) fn nodes(py: Python<'_>) -> PyResult<Vec<Py<PyDict>>> {
    let Response::Nodes(nodes) = ask(py, Request::Nodes)? else { return Err(out_of_turn(py)) };
    let one = |node: &shoal_proto::control::NodeInfo| {
        let out = PyDict::new(py);
        out.set_item("id", node.id.to_string())?;
        out.set_item("alive", node.alive)?;
        out.set_item("hostname", &node.hostname)?;
        out.set_item("address", &node.address)?;
        out.set_item("total", amounts(py, &node.total)?)?;
        out.set_item("available", amounts(py, &node.available)?)?;
        Ok(out.unbind())
    };
    nodes.iter().map(one).collect()
}

/// What the instance holds and does, as JSON.
#[pyfunction]
pub(crate) fn status(py: Python<'_>) -> PyResult<String> {
    match ask(py, Request::Status)? {
        Response::Value(Some(json)) => Ok(String::from_utf8_lossy(&json).into_owned()),
        _ => Err(out_of_turn(py)),
    }
}

/// Ends the instance.
#[pyfunction]
pub(crate) fn stop_instance(py: Python<'_>) -> PyResult<()> {
    ask(py, Request::Stop).map(|_| ())
}

/// The bytes of a key.
#[pyfunction]
pub(crate) fn kv_get(py: Python<'_>, key: Vec<u8>) -> PyResult<Option<Py<PyBytes>>> {
    match ask(py, Request::KvGet(key))? {
        Response::Value(value) => Ok(value.map(|v| PyBytes::new(py, &v).unbind())),
        _ => Err(out_of_turn(py)),
    }
}

/// Sets the bytes of a key.
#[pyfunction]
pub(crate) fn kv_put(py: Python<'_>, key: Vec<u8>, value: Vec<u8>) -> PyResult<()> {
    ask(py, Request::KvPut(key, value)).map(|_| ())
}
