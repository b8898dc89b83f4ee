//! Tasks of this process: from submission to their one result.
//!
//! | state | meaning | held in | leaves by |
//! |---|---|---|---|
//! | `Waiting(n)` | n dependencies have no value yet | dependents of those objects | the last value; an error |
//! | `Queued` | wants a lease | queue of its key | a lease takes it; cancel; unschedulable |
//! | `Pushed` | in the lane of a lease | `in_flight` of the lease | reply; worker's death |
//! | `Withdrawing` | asked back | `in_flight` of the lease | `Withdrawn`; reply; worker's death |
//! | `Abandoned` | cancelled while it ran: has its result, still borrows what it was lent | `in_flight` | reply; worker's death |
//!
//! - TASK-1 every return gets exactly one value; the task leaves the table then, or when an abandoned one is over.
//! - TASK-2 dependencies and nested refs are lent from submission to the end, a retry included (OWN-1).
//! - TASK-3 each push has a new attempt number; a reply to another is balanced and ignored.
//! - TASK-4 only a task that its worker had taken spends a retry.
use crate::{
    Order, Owner,
    history::End,
    lineage::Made,
    objects::{Count, Dependent},
    transfer::Lent,
};
use shoal_types::{
    Args, ErrorKind, ErrorValue, LeaseId, ObjectId, RefWire, TaskId, TaskSpec, Value, WorkerId, is_stream,
};
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TaskState {
    Waiting(u32),
    Queued,
    /// Until this time, before it is tried again.
    Resting(u64),
    Pushed(LeaseId),
    Withdrawing(LeaseId),
    Abandoned(LeaseId),
}

/// The user wants it gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cancel {
    pub force: bool,
    pub recursive: bool,
}

pub(crate) struct Task {
    pub spec: Box<TaskSpec>,
    pub state: TaskState,
    /// Place in its key's queue, 0 before the first.
    pub place: u64,
    /// How often it was pushed; the last push has this number less one.
    pub pushes: u16,
    pub retries: u32,
    /// Refs inside its arguments' values, as they were sent last (LIN-9).
    pub inside: Box<[ObjectId]>,
    pub cancel: Option<Cancel>,
    /// When it was submitted.
    pub born: u64,
    /// It was over, and runs for a value that was lost (LIN-5).
    pub again: bool,
}

impl Task {
    /// The lease that it is in flight on.
    pub fn lease(&self) -> Option<LeaseId> {
        match self.state {
            TaskState::Pushed(l) | TaskState::Withdrawing(l) | TaskState::Abandoned(l) => Some(l),
            TaskState::Waiting(_) | TaskState::Queued | TaskState::Resting(_) => None,
        }
    }

    pub fn may_retry(&self) -> bool {
        may_retry(self.spec.max_retries, self.retries)
    }
}

/// Whether one try more is allowed after `used`.
pub(crate) fn may_retry(max: i32, used: u32) -> bool {
    max < 0 || used < max as u32
}

/// A reply, as both tasks and calls take it.
pub(crate) struct Answer {
    pub task: TaskId,
    pub attempt: u16,
    pub retryable: bool,
    pub micros: u32,
    pub kept: Vec<RefWire>,
    pub values: Vec<Value>,
    pub worker: WorkerId,
}

impl Owner {
    pub(crate) fn on_task_submitted(&mut self, spec: Box<TaskSpec>, out: &mut Vec<Order>) {
        let id = spec.id;
        let (left, error) = self.lend(&spec.args, Dependent::Task(id), out);
        self.expect_returns(id, spec.num_returns, spec.window);
        let (state, inside, born) = (TaskState::Waiting(left), Box::default(), self.now);
        let task = Task { spec, state, place: 0, pushes: 0, retries: 0, inside, cancel: None, born, again: false };
        self.tasks.insert(id, task);
        match error {
            Some(error) => self.fail_task(id, error, out),
            None if left == 0 => self.enqueue(id),
            None => {}
        }
    }

    /// Lends arguments, and asks for the values of dependencies that have none: how many those are, and the first
    /// error among the others.
    pub(crate) fn lend(&mut self, args: &Args, who: Dependent, out: &mut Vec<Order>) -> (u32, Option<Arc<ErrorValue>>) {
        let (mut left, mut error) = (0, None);
        for r in &args.deps {
            let entry = self.objects.entry(r);
            entry.lent += 1;
            match &entry.value {
                None => {
                    left += 1;
                    entry.dependents.push(who);
                    self.objects.fetch(&r.id, out);
                }
                Some(Value::Error(e)) => error = error.or_else(|| Some(e.clone())),
                Some(Value::Inline { .. } | Value::Stored { .. }) => {}
            }
        }
        for r in &args.refs {
            self.objects.add(r, Count::Lent);
        }
        (left, error)
    }

    /// What was lent is back.
    pub(crate) fn unlend(&mut self, args: &Args) {
        for r in args.deps.iter().chain(&args.refs) {
            self.objects.sub(&r.id, Count::Lent);
        }
    }

    /// A dependency of a waiting task has a value.
    pub(crate) fn task_dep_ready(&mut self, id: TaskId, error: Option<&Arc<ErrorValue>>, out: &mut Vec<Order>) {
        let Some(Task { state: TaskState::Waiting(left), .. }) = self.tasks.get_mut(&id) else { return };
        *left -= 1;
        match (error, *left) {
            (Some(error), _) => self.fail_task(id, error.clone(), out),
            (None, 0) => self.enqueue(id),
            (None, _) => {}
        }
    }

    /// To the queue of its key: to the end, or to the place that it had (LEASE-1).
    pub(crate) fn enqueue(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        task.state = TaskState::Queued;
        let key = self.keys.entry(task.spec.key).or_default();
        key.note_pause(self.now);
        if task.place == 0 {
            task.place = key.append(id, task.spec.depth);
        } else {
            key.put_back(task.place, id, task.spec.depth);
        }
        mark(&mut self.dirty_keys, key, task.spec.key);
    }

    /// Every return is this error; nothing of it is in flight.
    pub(crate) fn fail_task(&mut self, id: TaskId, error: Arc<ErrorValue>, out: &mut Vec<Order>) {
        let Some(task) = self.tasks.remove(&id) else { return };
        self.unqueue(&task);
        self.fail_returns(id, task.spec.num_returns, &error, out);
        self.over(&task, End::failed(&error));
    }

    /// It waits for no lease and no time any more.
    pub(crate) fn unqueue(&mut self, task: &Task) {
        if let TaskState::Resting(until) = task.state {
            self.stop_resting(until, task.spec.id);
        }
        if task.state == TaskState::Queued
            && let Some(key) = self.keys.get_mut(&task.spec.key)
        {
            key.count(task.spec.depth, -1);
            mark(&mut self.dirty_keys, key, task.spec.key);
        }
    }

    pub(crate) fn fail_returns(&mut self, id: TaskId, n: u32, error: &Arc<ErrorValue>, out: &mut Vec<Order>) {
        if is_stream(n) {
            self.fail_missing(id, |_| error.clone(), out);
            return self.fail_stream(id, n, error, out);
        }
        // One that runs again still has some of its values.
        for id in (0..n).map(|index| ObjectId::new(id, index)) {
            if self.objects.map.get(&id).is_some_and(|e| e.pending) {
                self.objects.set_value(id, Value::Error(error.clone()), out);
            }
        }
    }

    pub(crate) fn on_replied(&mut self, now: u64, answer: Answer, out: &mut Vec<Order>) {
        for r in &answer.kept {
            self.objects.credit_kept(r, answer.worker);
        }
        let current = |pushes: u16| pushes.wrapping_sub(1) == answer.attempt;
        if let Some(task) = self.tasks.get(&answer.task)
            && let Some(lease) = task.lease()
            && current(task.pushes)
        {
            let (key, function) = (task.spec.key, task.spec.function);
            self.lengths.measured(function, answer.micros);
            let id = answer.task;
            self.task_replied(answer, out);
            self.detach(now, key, lease, &id, true, out);
        } else if self.calls.get(&answer.task).is_some_and(|c| c.is_in_flight() && current(c.pushes)) {
            self.call_replied(answer, out);
        } else {
            self.discard_all(&answer, out);
        }
    }

    fn task_replied(&mut self, answer: Answer, out: &mut Vec<Order>) {
        let Some(task) = self.tasks.get_mut(&answer.task) else { return };
        if matches!(task.state, TaskState::Abandoned(_)) {
            self.discard_all(&answer, out);
            self.forget_task(&answer.task, End::late(&answer, &crate::cancel::cancelled()));
        } else if is_stream(task.spec.num_returns) {
            self.generator_replied(answer, out);
        } else if answer.retryable && task.spec.retry_exceptions && task.cancel.is_none() && task.may_retry() {
            self.discard_all(&answer, out);
            self.retry_task(answer.task);
        } else {
            let (id, n, again, end) = (answer.task, task.spec.num_returns, task.again, End::of(&answer));
            let failed = matches!(answer.values[..], [Value::Error(_)]);
            let stored = answer.values.iter().any(|v| matches!(v, Value::Stored { .. }));
            if again {
                self.settle_again(n, answer, out);
            } else {
                self.settle_returns(n, answer, out);
            }
            if (again && !failed) || stored { self.keep_task(&id, end) } else { self.forget_task(&id, end) }
        }
    }

    /// Takes a task out whose returns have their values.
    pub(crate) fn forget_task(&mut self, id: &TaskId, end: End) {
        if let Some(task) = self.tasks.remove(id) {
            self.over(&task, end);
        }
    }

    /// A task that left the table, and is not made again.
    fn over(&mut self, task: &Task, end: End) {
        self.unlend(&task.spec.args);
        self.remember_task(task, end);
        if task.again || is_stream(task.spec.num_returns) {
            self.end_for_good(&task.spec, Made::Failed);
        }
    }

    /// What was lent with the call that gave these values; nothing when none holds a ref, nobody asks then.
    pub(crate) fn lent_with(&self, id: &TaskId, values: &[Value]) -> Lent {
        if values.iter().all(|v| v.refs().is_empty()) {
            return Lent::default();
        }
        let (args, inside) = match (self.tasks.get(id), self.calls.get(id)) {
            (Some(task), _) => (&task.spec.args, &task.inside),
            (None, Some(call)) => (&call.spec.args, &call.inside),
            (None, None) => return Lent::default(),
        };
        Lent(args.refs.iter().map(|r| r.id).chain(inside.iter().copied()).collect())
    }

    pub(crate) fn discard_all(&mut self, answer: &Answer, out: &mut Vec<Order>) {
        let lent = self.lent_with(&answer.task, &answer.values);
        for (index, value) in answer.values.iter().enumerate() {
            let id = ObjectId::new(answer.task, index as u32);
            self.objects.discard(value, answer.worker, id, &lent, out);
        }
    }

    /// A value for each of `n` returns; one error stands for all, what is missing is an error, too many are let go.
    pub(crate) fn settle_returns(&mut self, n: u32, answer: Answer, out: &mut Vec<Order>) {
        if is_stream(n) {
            return self.settle_stream(n, answer, out);
        }
        let lent = self.lent_with(&answer.task, &answer.values);
        let Answer { task, values, worker, .. } = answer;
        if let [Value::Error(error)] = &values[..] {
            self.fail_returns(task, n, error, out);
            return;
        }
        let mut values = values.into_iter();
        for index in 0..n {
            let value = values.next().unwrap_or_else(|| Value::Error(Arc::new(too_few())));
            self.objects.returned(&value, worker, &lent);
            self.objects.set_value(ObjectId::new(task, index), value, out);
        }
        for (index, value) in (n..).zip(values) {
            self.objects.discard(&value, worker, ObjectId::new(task, index), &lent, out);
        }
    }
}

/// Puts a key on the list of those to look after at the end of this event.
pub(crate) fn mark(dirty: &mut Vec<u32>, key: &mut crate::keys::Key, id: u32) {
    if !std::mem::replace(&mut key.dirty, true) {
        dirty.push(id);
    }
}

pub(crate) fn too_few() -> ErrorValue {
    ErrorValue::new(ErrorKind::System, "the reply has fewer values than the task has returns")
}
