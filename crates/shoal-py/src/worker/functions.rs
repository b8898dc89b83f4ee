//! Calls of functions.
use super::Worker;
use super::arguments::{NoArguments, WhenLost, arguments, refuse};
use super::ticket::{Ticket, run_on_main};
use crate::current;
use crate::errors;
use crate::hooks::{call, end_output, hooks};
use crate::title;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use shoal_proto::control::ToNode;
use shoal_proto::lane::ArgsFrame;
use shoal_types::FunctionId;
use shoal_worker::Runtime;
use std::rc::Rc;
use std::sync::Arc;

/// A loaded function and which of its exceptions may be tried again.
pub(super) struct Function {
    callable: Py<PyAny>,
    retry: Option<Py<PyAny>>,
}

impl Worker {
    pub(super) fn run_function(
        &mut self,
        py: Python<'_>,
        ticket: Ticket,
        id: FunctionId,
        args: &ArgsFrame<'_>,
    ) -> PyResult<()> {
        self.show_title(py, &ticket.name);
        let runtime = Arc::clone(&self.runtime);
        let arguments = match current::handle(ticket.task, || arguments(py, &runtime, args, WhenLost::Refuse)) {
            Err(NoArguments::Lost(lost)) => {
                refuse(&runtime, &ticket, lost);
                return Ok(());
            }
            Err(NoArguments::Raised(error)) => Err(error),
            Ok(arguments) => Ok(arguments),
        };
        let function = self.function(py, id);
        let retry = function.as_ref().ok().and_then(|f| f.retry.as_ref()).map(|r| r.bind(py).clone());
        let result = function.and_then(|function| {
            let (args, kwargs) = arguments?;
            let callable = function.callable.bind(py);
            run_on_main(&runtime, &ticket, None, || callable.call(args, kwargs.as_ref()))
        });
        if title::has_written() {
            end_output(py, false);
        }
        self.settle(py, &ticket, result, retry.as_ref());
        self.count_call(id);
        Ok(())
    }

    fn function(&mut self, py: Python<'_>, id: FunctionId) -> PyResult<Rc<Function>> {
        if let Some(function) = self.functions.get(&id) {
            return Ok(Rc::clone(function));
        }
        let blob = self
            .blobs
            .get(&id)
            .ok_or_else(|| errors::local(py, "System", "a function was called before it was sent"))?;
        let (callable, retry) = call(py, &hooks(py)?.load_function, (PyBytes::new(py, blob),))?
            .extract::<(Py<PyAny>, Option<Py<PyAny>>)>()?;
        let function = Rc::new(Function { callable, retry });
        self.functions.insert(id, Rc::clone(&function));
        Ok(function)
    }

    /// With `max_calls` the worker ends after so many calls of the function.
    fn count_call(&mut self, id: FunctionId) {
        let Some(limit) = max_calls(&self.runtime) else { return };
        let left = self.calls_left.entry(id).or_insert(limit);
        *left = left.saturating_sub(1);
        if *left == 0 && self.exit.is_none() {
            self.runtime.tell_node(&ToNode::Leaving { reason: None });
            self.exit = Some(0);
        }
    }
}

fn max_calls(runtime: &Runtime) -> Option<u32> {
    let session = runtime.session();
    session.max_calls
}
