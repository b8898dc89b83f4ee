//! An actor and the calls of its methods.
use super::Worker;
use super::arguments::{NoArguments, WhenLost, arguments, refuse};
use super::calls::Call;
use super::ticket::{Ticket, run_on_main};
use crate::current::{self, Current};
use crate::errors;
use crate::hooks::{Hooks, call, hooks};
use crate::session::runtime;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use shoal_proto::Reader;
use shoal_proto::control::ToNode;
use shoal_proto::lane::ArgsFrame;
use shoal_types::{ActorId, ActorSpec, ErrorKind};
use std::sync::Arc;

pub(super) struct Actor {
    pub(super) id: ActorId,
    pub(super) runtime: Py<PyAny>,
    /// Methods run here, on the main thread, one after the other.
    pub(super) instance: Option<Py<PyAny>>,
    pub(super) depth: u32,
}

impl Worker {
    pub(super) fn run_method(
        &mut self,
        py: Python<'_>,
        mut ticket: Ticket,
        method: &str,
        group: &str,
        args: &ArgsFrame<'_>,
    ) -> PyResult<()> {
        let Some(actor) = &self.actor else {
            let error = errors::local(py, "System", "a method was called before the actor was made");
            self.settle(py, &ticket, Err(error), None);
            return Ok(());
        };
        ticket.depth = actor.depth;
        let (id, runtime) = (actor.id, Arc::clone(&self.runtime));
        let decoded = current::handle(ticket.task, || arguments(py, &runtime, args, WhenLost::Refuse));
        let mut retry = None;
        let result = match (&actor.instance, decoded) {
            (_, Err(NoArguments::Lost(lost))) => {
                refuse(&runtime, &ticket, lost);
                return Ok(());
            }
            (_, Err(NoArguments::Raised(error))) => Err(error),
            (Some(instance), Ok((args, kwargs))) => {
                retry = take_retry_types(kwargs.as_ref())?;
                let target = instance.bind(py).getattr(PyString::new(py, method));
                target
                    .and_then(|target| run_on_main(&runtime, &ticket, Some(id), || target.call(args, kwargs.as_ref())))
            }
            (None, Ok((args, kwargs))) => {
                let retry = take_retry_types(kwargs.as_ref())?.map(Bound::unbind);
                let kwargs = kwargs.unwrap_or_else(|| PyDict::new(py));
                // From here on a cancel finds the call, or the call finds the cancel where it is queued (CANCEL-1).
                runtime.runs_beside(ticket.task, true);
                let handle = Bound::new(py, Call::new(ticket.clone(), id, retry))?;
                let dispatch = actor.runtime.bind(py);
                let sent = dispatch.call_method1("dispatch", (&handle, method, group, args, kwargs));
                match sent {
                    Ok(_) => return Ok(()),
                    Err(error) if handle.get().withdraw() => {
                        runtime.runs_beside(ticket.task, false);
                        Err(error)
                    }
                    Err(_) => return Ok(()),
                }
            }
        };
        self.settle(py, &ticket, result, retry.as_ref());
        Ok(())
    }

    pub(super) fn become_actor(
        &mut self,
        py: Python<'_>,
        spec: &ActorSpec,
        incarnation: u32,
        args: &[u8],
    ) -> PyResult<()> {
        self.show_title(py, &Arc::from(spec.class_name.as_str()));
        crate::actor::set_own(spec);
        let frame = ArgsFrame::decode(&mut Reader::new(args));
        let frame = frame
            .map_err(|e| errors::local(py, "System", &format!("a constructor's arguments cannot be read: {e}")))?;
        let creator = spec.handle.owner;
        let task = spec.handle.id.task;
        self.runtime.begin(task, frame.refs.clone(), frame.places.clone());
        let current = Current {
            task,
            name: Arc::clone(&self.title),
            depth: spec.depth,
            attempt: incarnation as u16,
            actor: Some(spec.id),
        };
        // The wait for an argument that is made again lends the CPU, as one of the constructor's own.
        current::enter(current);
        let made = match arguments(py, &self.runtime, &frame, WhenLost::Await) {
            Ok((args, kwargs)) => hooks(py).and_then(|hooks| construct(py, hooks, spec, args, kwargs)),
            Err(NoArguments::Raised(error)) => Err(error),
            Err(NoArguments::Lost(_)) => unreachable!("lost arguments were awaited"),
        };
        current::leave();
        drop(frame);
        let (error, code) = match made {
            Ok(actor) => {
                self.actor = Some(actor);
                (None, None)
            }
            Err(error) => {
                let (mut packed, _) = errors::pack(py, &error, "__init__", None);
                packed.kind = ErrorKind::ActorDied;
                packed.actor = Some(spec.id);
                (Some(packed), Some(0))
            }
        };
        let kept = self.runtime.constructed(task, creator);
        self.runtime.actor_started(spec.id, incarnation, error, kept);
        self.exit = code;
        Ok(())
    }
}

fn construct<'py>(
    py: Python<'py>,
    hooks: &Hooks,
    spec: &ActorSpec,
    args: Bound<'py, PyTuple>,
    kwargs: Option<Bound<'py, PyDict>>,
) -> PyResult<Actor> {
    let kwargs = kwargs.unwrap_or_else(|| PyDict::new(py));
    let made = call(py, &hooks.become_actor, (PyBytes::new(py, &spec.class_bytes), &spec.meta, args, kwargs))?;
    let sync: bool = made.getattr("sync")?.extract()?;
    let instance = if sync { Some(made.getattr("instance")?.unbind()) } else { None };
    Ok(Actor { id: spec.id, runtime: made.unbind(), instance, depth: spec.depth })
}

/// `RETRY_TYPES` of `actor_handle.py`: what a caller's `.options(retry_exceptions=[...])` of a method lists.
fn take_retry_types<'py>(kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(kwargs) = kwargs else { return Ok(None) };
    let name = pyo3::intern!(kwargs.py(), "__shoal_retry_types__");
    let types = kwargs.get_item(name)?;
    if types.is_some() {
        kwargs.del_item(name)?;
    }
    Ok(types)
}

/// In an actor: it is to be asked to end, and waited for, when its job or instance ends.
#[pyfunction]
pub(crate) fn saves_at_end(py: Python<'_>) -> PyResult<()> {
    runtime(py)?.tell_node(&ToNode::SavesAtEnd);
    Ok(())
}

/// In an actor, on any thread: it ends on its own wish, without restart. None of its calls is answered any more.
#[pyfunction]
pub(crate) fn exit_actor(py: Python<'_>, reason: String) -> PyResult<()> {
    let runtime = runtime(py)?;
    let actor = crate::actor::own().ok_or_else(|| PyValueError::new_err("exit_actor() works only in an actor"))?;
    py.detach(|| runtime.exit_actor(actor, reason));
    Ok(())
}
