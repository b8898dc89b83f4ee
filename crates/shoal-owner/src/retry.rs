//! Rests between the tries of a task or call.
//!
//! - RETRY-1 what has failed is tried again at once the first time, then after a rest that doubles up to a limit and
//!   differs from task to task ([`shoal_types::backoff`]). Calls that an actor's death has cost rest with the actor: the
//!   directory decides when it starts again.
//! - RETRY-2 who rests has given its place in a lane back and keeps the one in its queue; to an ordered actor it holds up
//!   all later calls.
use crate::{Owner, calls::CallState, tasks::TaskState};
use shoal_types::{TaskId, backoff};
use std::collections::BTreeSet;

/// Who is tried again when. One that is over or was tried since is not listed.
pub(crate) type Resting = BTreeSet<(u64, TaskId)>;

impl Owner {
    /// Spends a retry of a task that is in no lane any more.
    pub(crate) fn retry_task(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        task.retries += 1;
        match backoff(task.retries, salt(&id)) {
            0 => self.enqueue(id),
            rest => {
                task.state = TaskState::Resting(self.now + rest);
                self.rest(self.now + rest, id);
            }
        }
    }

    /// Spends a retry of a call that has raised.
    pub(crate) fn retry_call(&mut self, id: TaskId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.retries += 1;
        let rest = backoff(call.retries, salt(&id));
        if rest == 0 {
            return self.requeue_call(id);
        }
        call.state = CallState::Resting(self.now + rest);
        let (place, actor_id) = (call.place, call.spec.actor);
        self.rest(self.now + rest, id);
        if let Some(actor) = self.actors.get_mut(&actor_id).filter(|a| !a.unordered) {
            actor.put_back(place, id);
        }
    }

    fn rest(&mut self, until: u64, id: TaskId) {
        self.resting.insert((until, id));
        self.deadline = self.deadline.min(until);
    }

    /// It is over before its time.
    pub(crate) fn stop_resting(&mut self, until: u64, id: TaskId) {
        self.resting.remove(&(until, id));
    }

    /// Those whose time has come go to their queues; when the next is due.
    pub(crate) fn wake_rested(&mut self, now: u64) -> u64 {
        while let Some(&(until, id)) = self.resting.first() {
            if until > now {
                return until;
            }
            self.resting.pop_first();
            if self.tasks.contains_key(&id) {
                self.enqueue(id);
            } else {
                self.call_rested(id);
            }
        }
        u64::MAX
    }

    /// A call of an ordered actor is in its queue already.
    fn call_rested(&mut self, id: TaskId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.state = CallState::Queued;
        let (place, actor_id) = (call.place, call.spec.actor);
        if let Some(actor) = self.actors.get_mut(&actor_id).filter(|a| a.unordered) {
            actor.put_back(place, id);
        }
        self.mark_actor(actor_id);
    }

    pub(crate) fn check_resting(&self) {
        let mut listed = self.resting.clone();
        let tasks = self.tasks.iter().filter_map(|(id, t)| match t.state {
            TaskState::Resting(at) => Some((at, *id)),
            _ => None,
        });
        let calls = self.calls.iter().filter_map(|(id, c)| match c.state {
            CallState::Resting(at) => Some((at, *id)),
            _ => None,
        });
        for one in tasks.chain(calls) {
            assert!(listed.remove(&one), "RETRY-1: {} rests and is not listed", one.1);
        }
        assert!(listed.is_empty(), "RETRY-1: listed and not resting: {listed:?}");
        assert!(self.resting.first().is_none_or(|(at, _)| *at >= self.deadline), "RETRY-1: a deadline is missed");
    }
}

fn salt(id: &TaskId) -> u64 {
    let (a, b) = id.0.split_at(8);
    let half = |x: &[u8]| u64::from_be_bytes(x.try_into().expect("eight of sixteen bytes"));
    half(a) ^ half(b)
}
