//! Cancelling, and what comes of withdrawing.
//!
//! | the task or call is | then |
//! |---|---|
//! | waiting, queued, resting | its returns are `Cancelled` at once |
//! | pushed | it is withdrawn: `Cancelled` in any case once that is answered; if it was taken, its worker is told to interrupt it, or with `force` killed, and its late reply is balanced and ignored |
//! | done | nothing |
//! | not ours | its owner is asked |
//!
//! - CANCEL-4 a cancelled call's worker cancels what the call submitted, children of children included: each owner does
//!   it for its own when `CancelTask` comes, and again when the call is interrupted. What the call submits after that,
//!   to clean up, runs.
//! - CANCEL-5 a worker is killed for a task that it has taken, and for nothing else: what waits behind in its lane is
//!   withdrawn first; if any of that was taken, the task is over and the worker lives.
use crate::{
    Order, Owner,
    calls::CallState,
    tasks::{Cancel, TaskState},
};
use shoal_proto::peer::PeerMsg;
use shoal_types::{ErrorKind, ErrorValue, LeaseId, ObjectId, TaskId};
use std::sync::Arc;

impl Owner {
    pub(crate) fn on_cancelled(&mut self, id: ObjectId, cancel: Cancel, out: &mut Vec<Order>) {
        let Cancel { force, recursive } = cancel;
        match self.objects.map.get(&id) {
            Some(entry) if entry.owner.worker != self.me.worker => {
                let owner = entry.owner;
                self.objects.send(owner, PeerMsg::CancelObject { id, force, recursive }, out);
            }
            _ if self.tasks.contains_key(&id.task) => self.cancel_task(id.task, cancel, out),
            _ if self.calls.contains_key(&id.task) => self.cancel_call(id.task, cancel, out),
            _ => {}
        }
    }

    /// CANCEL-4, in the order of submission.
    pub(crate) fn cancel_children(&mut self, parent: TaskId, out: &mut Vec<Order>) {
        let tasks = self.tasks.iter().filter(|(_, t)| t.spec.parent == Some(parent)).map(|(id, _)| *id);
        let calls = self.calls.iter().filter(|(_, c)| c.spec.parent == Some(parent)).map(|(id, _)| *id);
        let mut children: Vec<TaskId> = tasks.chain(calls).collect();
        children.sort_unstable();
        let cancel = Cancel { force: false, recursive: true };
        for child in children {
            if self.tasks.contains_key(&child) {
                self.cancel_task(child, cancel, out);
            } else {
                self.cancel_call(child, cancel, out);
            }
        }
    }

    fn cancel_task(&mut self, id: TaskId, cancel: Cancel, out: &mut Vec<Order>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let key = task.spec.key;
        match task.state {
            TaskState::Waiting(_) | TaskState::Queued | TaskState::Resting(_) => self.fail_task(id, cancelled(), out),
            TaskState::Pushed(lease) => {
                task.state = TaskState::Withdrawing(lease);
                task.cancel = Some(cancel);
                if let Some(lease) = self.keys.get_mut(&key).and_then(|k| k.lease(lease)) {
                    out.push(Order::Withdraw { lane: lease.lane, task: id });
                }
            }
            TaskState::Withdrawing(_) => task.cancel = Some(cancel),
            TaskState::Abandoned(lease) if cancel.force => self.kill_worker_of(id, key, lease, out),
            TaskState::Abandoned(_) => {}
        }
    }

    fn cancel_call(&mut self, id: TaskId, cancel: Cancel, out: &mut Vec<Order>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let lane = self.actors.get(&call.spec.actor).and_then(|a| a.up()).map(|(lane, _)| lane);
        match (call.state, lane) {
            (CallState::Waiting(_) | CallState::Queued | CallState::Resting(_), _)
            | (CallState::Pushed | CallState::Withdrawing, None) => {
                self.fail_call(id, cancelled(), out);
            }
            (CallState::Pushed, Some(lane)) => {
                call.state = CallState::Withdrawing;
                call.cancel = Some(cancel);
                out.push(Order::Withdraw { lane, task: id });
            }
            (CallState::Withdrawing, Some(_)) => call.cancel = Some(cancel),
            (CallState::Abandoned, _) => {}
        }
    }

    /// What came of [`Order::Withdraw`]. `done` is the worker's word that it won't run there, whatever we think now.
    pub(crate) fn on_withdrawn(&mut self, now: u64, id: TaskId, done: bool, out: &mut Vec<Order>) {
        if let Some(task) = self.tasks.get(&id) {
            match task.state {
                TaskState::Withdrawing(lease) => self.task_withdrawn(now, id, lease, done, out),
                TaskState::Pushed(lease) if done => self.task_withdrawn(now, id, lease, done, out),
                TaskState::Pushed(_) | TaskState::Waiting(_) | TaskState::Queued => {}
                TaskState::Resting(_) | TaskState::Abandoned(_) => {}
            }
        } else if let Some(call) = self.calls.get_mut(&id) {
            match (call.state, call.cancel) {
                (CallState::Withdrawing, None) => call.state = CallState::Pushed,
                (CallState::Withdrawing, Some(_)) if done => self.fail_call(id, cancelled(), out),
                (CallState::Withdrawing, Some(cancel)) => self.abandon_call(id, cancel, out),
                (CallState::Abandoned, _) if done => self.end_abandoned(id, out),
                (CallState::Abandoned, _) => self.unanswered(id, out),
                (CallState::Pushed, _) => {}
                (CallState::Waiting(_) | CallState::Queued | CallState::Resting(_), _) => {}
            }
        }
    }

    fn task_withdrawn(&mut self, now: u64, id: TaskId, lease: LeaseId, done: bool, out: &mut Vec<Order>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let (key, cancel) = (task.spec.key, task.cancel);
        if let Some(lease) = self.keys.get_mut(&key).and_then(|k| k.lease(lease)).filter(|_| !done) {
            // Its worker took this one: who it was to be killed for is over.
            lease.kill_for = None;
        }
        match (done, cancel) {
            (false, None) => task.state = TaskState::Pushed(lease),
            (false, Some(cancel)) => self.abandon_task(id, lease, cancel, out),
            (true, None) => {
                task.state = TaskState::Waiting(0);
                self.detach(now, key, lease, &id, false, out);
                if !self.rests(id, out) {
                    self.enqueue(id);
                }
                self.kill_when_alone(key, lease, out);
            }
            (true, Some(_)) => {
                task.state = TaskState::Waiting(0);
                self.detach(now, key, lease, &id, false, out);
                self.fail_task(id, cancelled(), out);
                self.kill_when_alone(key, lease, out);
            }
        }
    }

    /// The user has the answer; the worker still runs it and borrows its arguments. Nothing is queued behind it.
    fn abandon_task(&mut self, id: TaskId, lease: LeaseId, cancel: Cancel, out: &mut Vec<Order>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        task.state = TaskState::Abandoned(lease);
        let (n, key) = (task.spec.num_returns, task.spec.key);
        let worker = self.keys.get_mut(&key).and_then(|k| k.lease(lease)).map(|l| {
            l.stalled = true;
            l.worker
        });
        self.fail_returns(id, n, &cancelled(), out);
        if cancel.force {
            self.kill_worker_of(id, key, lease, out);
        } else if let Some(worker) = worker {
            let msg = PeerMsg::CancelTask { task: id, recursive: cancel.recursive };
            self.objects.send(worker, msg, out);
        }
    }

    /// CANCEL-5.
    fn kill_worker_of(&mut self, id: TaskId, key: u32, lease_id: LeaseId, out: &mut Vec<Order>) {
        let Some(lease) = self.keys.get_mut(&key).and_then(|k| k.lease(lease_id)) else { return };
        lease.kill_for = Some(id);
        self.withdraw(key, lease_id, 0, out);
        self.kill_when_alone(key, lease_id, out);
    }

    fn kill_when_alone(&mut self, key: u32, lease: LeaseId, out: &mut Vec<Order>) {
        let Some(lease) = self.keys.get_mut(&key).and_then(|k| k.lease(lease)) else { return };
        if let ([(only, _)], Some(task)) = (lease.in_flight.make_contiguous(), lease.kill_for)
            && *only == task
        {
            out.push(Order::KillWorker(lease.worker.worker));
        }
    }

    fn abandon_call(&mut self, id: TaskId, cancel: Cancel, out: &mut Vec<Order>) {
        self.abandon(id, &cancelled(), out);
        let Some(call) = self.calls.get(&id) else { return };
        if let Some((_, worker)) = self.actors.get(&call.spec.actor).and_then(|a| a.up()) {
            self.objects.send(worker, PeerMsg::CancelTask { task: id, recursive: cancel.recursive }, out);
        }
    }
}

/// The user's wish.
pub(crate) fn cancelled() -> Arc<ErrorValue> {
    Arc::new(ErrorValue::new(ErrorKind::Cancelled, "the task was cancelled"))
}
