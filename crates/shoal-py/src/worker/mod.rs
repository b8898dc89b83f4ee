//! The worker's main loop: takes work, runs it, answers.
mod answers;
mod arguments;
mod calls;
mod functions;
mod methods;
mod ticket;

use crate::current;
use crate::hooks::{call, end_output, hooks};
use crate::session::runtime;
use answers::answer;
use functions::Function;
use methods::Actor;
use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use rustc_hash::FxHashMap;
use shoal_proto::control::ToNode;
use shoal_proto::lane::{Request, Target};
use shoal_types::FunctionId;
use shoal_worker::{CallFrame, Runtime, Work};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

pub(crate) use answers::Failed;
pub(crate) use calls::Call;
pub(crate) use methods::{exit_actor, saves_at_end};
pub(crate) use ticket::Ticket;

const MOST_IN_A_ROW: u32 = 64;

/// The worker's state on its main thread.
struct Worker {
    runtime: Arc<Runtime>,
    blobs: FxHashMap<FunctionId, Vec<u8>>,
    functions: FxHashMap<FunctionId, Rc<Function>>,
    actor: Option<Actor>,
    title: Arc<str>,
    calls_left: FxHashMap<FunctionId, u32>,
    /// Calls since the GIL was let go of.
    in_a_row: u32,
    exit: Option<i32>,
    /// It ends by `sys.exit` in a task: what it owned goes with it.
    crashed: bool,
}

/// Runs until the worker's job is done; the exit code.
#[pyfunction]
pub(crate) fn run_worker(py: Python<'_>) -> PyResult<i32> {
    let runtime = runtime(py)?;
    // SAFETY: pthread_self has no preconditions.
    let main = unsafe { libc::pthread_self() };
    runtime.on_cancel(Box::new(move |task| {
        if current::want_interrupt(task) {
            // SAFETY: the main thread lives as long as the process.
            unsafe { libc::pthread_kill(main, libc::SIGINT) };
        } else if let Some(runtime) = crate::session::try_runtime() {
            runtime.notice_cancel(task);
            // Its arguments may be fetched just now, or its result stored.
            runtime.call_all();
        }
    }));
    runtime.on_look(Box::new(current::running));
    let mut worker = Worker {
        runtime,
        blobs: FxHashMap::default(),
        functions: FxHashMap::default(),
        actor: None,
        title: "".into(),
        calls_left: FxHashMap::default(),
        in_a_row: 0,
        exit: None,
        crashed: false,
    };
    worker.run(py)
}

impl Worker {
    fn run(&mut self, py: Python<'_>) -> PyResult<i32> {
        loop {
            if let Some(code) = self.exit {
                let runtime = Arc::clone(&self.runtime);
                // Before it lingers: others may need what it owns for as long as they live.
                call(py, &hooks(py)?.finish_actor, ())?;
                // After that: its last save lets answers go that waited for it.
                py.detach(|| runtime.send_rest());
                if !self.crashed {
                    py.detach(move || runtime.linger());
                }
                return Ok(code);
            }
            match self.next_work(py) {
                Work::Function(id, pickled) => {
                    self.blobs.entry(id).or_insert(pickled);
                }
                Work::Call(frame) => self.call(py, &frame)?,
                Work::Become(spec, incarnation, args) => self.become_actor(py, &spec, incarnation, &args)?,
                Work::End => self.exit = Some(0),
                Work::Stop => return Ok(0),
                // A late signal of a cancel whose task has ended.
                Work::Interrupted => py.check_signals().or_else(|e| {
                    if e.is_instance_of::<pyo3::exceptions::PyKeyboardInterrupt>(py) { Ok(()) } else { Err(e) }
                })?,
            }
        }
    }

    /// Work that lies at hand is taken with the GIL: letting go of it between two calls costs a switch interval where
    /// another thread computes. Now and then it is let go of, for calls that never pass through Python's own loop.
    fn next_work(&mut self, py: Python<'_>) -> Work {
        self.in_a_row += 1;
        if self.in_a_row < MOST_IN_A_ROW
            && let Some(work) = self.runtime.work_now()
        {
            return work;
        }
        self.in_a_row = 0;
        let runtime = Arc::clone(&self.runtime);
        py.detach(move || runtime.next_work())
    }

    fn call(&mut self, py: Python<'_>, frame: &CallFrame) -> PyResult<()> {
        let request = match Request::decode(&frame.bytes) {
            Ok(request) => request,
            Err(error) => {
                shoal_net::say!("a request cannot be read: {error}");
                return Ok(());
            }
        };
        let lent = !request.args.refs.is_empty();
        if lent {
            self.runtime.begin(request.task, request.args.refs.clone(), request.args.places.clone());
        }
        let name: Arc<str> = if *self.title == *request.name { Arc::clone(&self.title) } else { request.name.into() };
        let ticket = Ticket {
            task: request.task,
            attempt: request.attempt,
            lane: frame.lane,
            caller: frame.caller,
            num_returns: request.num_returns,
            window: request.window,
            lent,
            name,
            depth: request.depth,
            retry_exceptions: request.retry_exceptions,
            started: Instant::now(),
        };
        match request.target {
            Target::Function(id) => {
                self.runtime.set_task(request.last_try);
                let ran = self.run_function(py, ticket, id, &request.args);
                self.runtime.end_task();
                ran
            }
            Target::Method(method, group) => self.run_method(py, ticket, method, group, &request.args),
        }
    }

    fn show_title(&mut self, py: Python<'_>, name: &Arc<str>) {
        if *self.title != **name {
            if crate::title::has_marked() {
                end_output(py, true);
            }
            self.title = Arc::clone(name);
            self.runtime.set_title(name);
            crate::title::show(&format!("shoal::{name}"));
        }
    }

    /// Answers a call that ran on the main thread.
    fn settle(
        &mut self,
        py: Python<'_>,
        ticket: &Ticket,
        result: PyResult<Bound<'_, PyAny>>,
        retry: Option<&Bound<'_, PyAny>>,
    ) {
        if let Err(error) = &result
            && error.is_instance_of::<PySystemExit>(py)
        {
            self.system_exit(py, error);
            return;
        }
        answer(py, &self.runtime, ticket, result, retry);
    }

    /// `sys.exit(code)`: the process ends with that code; whoever waits hears of it from the daemon.
    fn system_exit(&mut self, py: Python<'_>, error: &PyErr) {
        let code = exit_code(py, error);
        let text = hooks(py).and_then(|h| call(py, &h.system_exit_text, (error.value(py),))?.extract::<String>());
        let text = text.unwrap_or_else(|_| format!("sys.exit({code})"));
        match &self.actor {
            Some(actor) => self.runtime.tell_node(&ToNode::ActorExit { actor: actor.id, reason: text }),
            None => {
                self.crashed = true;
                self.runtime.tell_node(&ToNode::Leaving { reason: Some(text) });
            }
        }
        self.exit = Some(code);
    }
}

fn exit_code(py: Python<'_>, error: &PyErr) -> i32 {
    let code = error.value(py).getattr("code");
    match code {
        Ok(code) if code.is_none() => 0,
        Ok(code) => code.extract().unwrap_or(1),
        Err(_) => 1,
    }
}

/// In a worker: this process ends now on purpose.
#[pyfunction]
pub(crate) fn leave(py: Python<'_>, reason: Option<String>) -> PyResult<()> {
    runtime(py)?.tell_node(&ToNode::Leaving { reason });
    Ok(())
}
