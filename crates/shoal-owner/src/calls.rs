//! Calls of actors: from submission to their one result. `actors` says how the actor lives.
//!
//! | state | meaning | in the actor's queue | leaves by |
//! |---|---|---|---|
//! | `Waiting(n)` | n dependencies have no value yet | ordered actors: yes | the last value; an error; cancel |
//! | `Queued` | may go when its turn comes and the actor is up | yes | push; cancel; end of a life (ACTOR-5) |
//! | `Resting` | raised, and is tried again after a rest (RETRY-1) | ordered actors: yes | its time; cancel |
//! | `Pushed` | in the actor's lane | no | reply; end of that life |
//! | `Withdrawing` | asked back by a cancel | no | `Withdrawn`; reply; end of that life |
//! | `Abandoned` | cancelled while it ran, or its actor is dead (DEATH-7): has its result, still borrows what it was lent | no | reply; `Withdrawn`; end of its process |
//!
//! - CALL-1 to an ordered actor calls are pushed in the order of submission; one that waits holds up all later ones;
//!   one that failed or was cancelled has had its turn.
//! - CALL-2 to an unordered actor a call is pushed when its dependencies have values; the queue is still in the order
//!   of submission while the actor is down.
//! - CALL-3 arguments and the actor's handle are lent until the call is over.
use crate::{
    Order, Owner,
    history::End,
    lineage::{Deps, Made},
    objects::{Count, Dependent},
    tasks::{Answer, Cancel, may_retry},
};
use shoal_types::{ActorId, CallSpec, ErrorValue, LaneId, ObjectId, RefWire, TaskId, Value};
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CallState {
    Waiting(u32),
    Queued,
    /// Until this time, before it is tried again.
    Resting(u64),
    Pushed,
    Withdrawing,
    Abandoned,
}

pub(crate) struct Call {
    pub spec: Box<CallSpec>,
    pub state: CallState,
    /// Place among the calls of its actor by this process.
    pub place: u64,
    /// How often it was pushed.
    pub pushes: u16,
    pub retries: u32,
    /// As of a task.
    pub inside: Box<[ObjectId]>,
    pub cancel: Option<Cancel>,
    /// When it was submitted.
    pub born: u64,
}

impl CallState {
    pub fn is_in_flight(self) -> bool {
        match self {
            CallState::Pushed | CallState::Withdrawing | CallState::Abandoned => true,
            CallState::Waiting(_) | CallState::Queued | CallState::Resting(_) => false,
        }
    }
}

impl Call {
    pub fn is_in_flight(&self) -> bool {
        self.state.is_in_flight()
    }

    pub fn may_retry(&self) -> bool {
        may_retry(self.spec.max_retries, self.retries)
    }

    /// For another life of its actor than the one that it was made for (ACTOR-5).
    pub fn may_wait(&self) -> bool {
        self.spec.max_retries != 0
    }
}

impl Owner {
    pub(crate) fn on_call_submitted(&mut self, spec: Box<CallSpec>, out: &mut Vec<Order>) {
        let (id, actor_id) = (spec.id, spec.actor);
        let (left, error) = self.lend(&spec.args, Dependent::Call(id), out);
        if let Some(handle) = &spec.handle {
            self.objects.add(handle, Count::Lent);
        }
        self.expect_returns(id, spec.num_returns, spec.window);
        let handle = spec.handle.map(|h| h.id);
        let actor = self.watch(actor_id, None, out);
        if let (None, Some(handle)) = (actor.handle, handle) {
            actor.handle = Some(handle);
            self.objects.handles.insert(handle, actor_id);
        }
        let Some(actor) = self.actors.get_mut(&actor_id) else { return };
        let error = actor.dead().cloned().or(error);
        let place = actor.next_place();
        actor.calls.insert(id);
        if !actor.unordered {
            actor.queue.push_back((place, id));
        }
        let (state, inside, born) = (CallState::Waiting(left), Box::default(), self.now);
        self.calls.insert(id, Call { spec, state, place, pushes: 0, retries: 0, inside, cancel: None, born });
        match error {
            Some(error) => self.fail_call(id, error, out),
            None if left == 0 => self.call_ready(id, out),
            None => {}
        }
    }

    pub(crate) fn call_dep_ready(&mut self, id: TaskId, error: Option<&Arc<ErrorValue>>, out: &mut Vec<Order>) {
        let Some(Call { state: CallState::Waiting(left), .. }) = self.calls.get_mut(&id) else { return };
        *left -= 1;
        match (error, *left) {
            (Some(error), _) => self.fail_call(id, error.clone(), out),
            (None, 0) => self.call_ready(id, out),
            (None, _) => {}
        }
    }

    fn call_ready(&mut self, id: TaskId, out: &mut Vec<Order>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (place, actor_id) = (call.place, call.spec.actor);
        let Some(actor) = self.actors.get_mut(&actor_id) else { return };
        if let Some(restart) = actor.restart().filter(|_| !call.may_wait()) {
            let error = restart.error(false, self.now);
            return self.fail_call(id, error, out);
        }
        call.state = CallState::Queued;
        if actor.unordered {
            actor.put_back(place, id);
        }
        self.mark_actor(actor_id);
    }

    /// Takes its place in the queue again.
    pub(crate) fn requeue_call(&mut self, id: TaskId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.state = CallState::Queued;
        let (place, actor_id) = (call.place, call.spec.actor);
        if let Some(actor) = self.actors.get_mut(&actor_id) {
            actor.put_back(place, id);
        }
        self.mark_actor(actor_id);
    }

    pub(crate) fn mark_actor(&mut self, id: ActorId) {
        if let Some(actor) = self.actors.get_mut(&id)
            && !std::mem::replace(&mut actor.dirty, true)
        {
            self.dirty_actors.push(id);
        }
    }

    /// Every return is this error, unless they have one already; the call is over.
    pub(crate) fn fail_call(&mut self, id: TaskId, error: Arc<ErrorValue>, out: &mut Vec<Order>) {
        if let Some(call) = self.remove_call(&id) {
            if call.state != CallState::Abandoned {
                self.fail_returns(id, call.spec.num_returns, &error, out);
            }
            self.unlend_call(&call);
            self.remember_call(&call, End::failed(&error));
        }
    }

    pub(crate) fn is_call_in_flight(&self, id: &TaskId) -> bool {
        self.calls.get(id).is_some_and(Call::is_in_flight)
    }

    /// Its actor is dead, whose process may go on with it: it has its result, and is asked back.
    pub(crate) fn leave_call(&mut self, id: TaskId, lane: LaneId, error: &Arc<ErrorValue>, out: &mut Vec<Order>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        match call.state {
            CallState::Pushed => out.push(Order::Withdraw { lane, task: id }),
            CallState::Abandoned => return self.unanswered(id, out),
            CallState::Waiting(_) | CallState::Queued | CallState::Resting(_) | CallState::Withdrawing => {}
        }
        self.abandon(id, error, out);
    }

    /// The process of its dead actor has taken it. If that lingers, it keeps what it was lent, and the call is over
    /// (DEATH-8).
    pub(crate) fn unanswered(&mut self, id: TaskId, out: &mut Vec<Order>) {
        let Some(call) = self.calls.get(&id) else { return };
        let Some(executor) = self.actors.get(&call.spec.actor).and_then(|a| a.lingers) else { return };
        let owner_of = |id: &ObjectId| self.objects.map.get(id).map(|entry| entry.owner);
        let inside = call.inside.iter().filter_map(|id| Some(RefWire { id: *id, owner: owner_of(id)? }));
        let mut lent: Vec<RefWire> = call.spec.args.refs.iter().copied().chain(inside).collect();
        lent.sort_unstable_by_key(|r| r.id);
        lent.dedup_by_key(|r| r.id);
        lent.iter().for_each(|r| self.objects.credit_kept(r, executor));
        self.end_abandoned(id, out);
    }

    /// The user has the result; what was lent to the call stays lent until it is over.
    pub(crate) fn abandon(&mut self, id: TaskId, error: &Arc<ErrorValue>, out: &mut Vec<Order>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.state = CallState::Abandoned;
        let n = call.spec.num_returns;
        if let Some(actor) = self.actors.get_mut(&call.spec.actor) {
            actor.abandoned += 1;
        }
        self.fail_returns(id, n, error, out);
    }

    /// What an abandoned call ended with: the death of its actor, unless it was cancelled before.
    fn error_of_abandoned(&self, id: &TaskId) -> Arc<ErrorValue> {
        let call = self.calls.get(id).filter(|call| call.cancel.is_none());
        let death = call.and_then(|call| self.actors.get(&call.spec.actor)?.dead());
        death.cloned().unwrap_or_else(crate::cancel::cancelled)
    }

    /// An abandoned call is over, and gives no reply.
    pub(crate) fn end_abandoned(&mut self, id: TaskId, out: &mut Vec<Order>) {
        let error = self.error_of_abandoned(&id);
        self.fail_call(id, error, out);
    }

    /// Takes a call out of the tables; it may stay in its actor's queue and is passed over there.
    fn remove_call(&mut self, id: &TaskId) -> Option<Call> {
        let call = self.calls.remove(id)?;
        if let CallState::Resting(until) = call.state {
            self.stop_resting(until, *id);
        }
        if let Some(actor) = self.actors.get_mut(&call.spec.actor) {
            actor.calls.remove(id);
            // Else the queue would grow with all that is refused while the actor restarts.
            while actor.queue.back().is_some_and(|(_, last)| !self.calls.contains_key(last)) {
                actor.queue.pop_back();
            }
            actor.abandoned -= usize::from(call.state == CallState::Abandoned);
        }
        self.mark_actor(call.spec.actor);
        Some(call)
    }

    fn unlend_call(&mut self, call: &Call) {
        self.unlend(&call.spec.args);
        if let Some(handle) = &call.spec.handle {
            self.objects.sub(&handle.id, Count::Lent);
        }
    }

    /// A reply to the last push of a call in flight.
    pub(crate) fn call_replied(&mut self, answer: Answer, out: &mut Vec<Order>) {
        let Some(call) = self.calls.get_mut(&answer.task) else { return };
        let (id, mut end) = (answer.task, End::of(&answer));
        if call.state == CallState::Abandoned {
            end = End::late(&answer, &self.error_of_abandoned(&id));
            self.discard_all(&answer, out);
        } else if answer.retryable && call.spec.retry_exceptions && call.cancel.is_none() && call.may_retry() {
            self.discard_all(&answer, out);
            self.retry_call(id);
            return;
        } else {
            let n = call.spec.num_returns;
            let stored = answer.values.iter().any(|v| matches!(v, Value::Stored { .. }));
            self.settle_returns(n, answer, out);
            if stored {
                self.objects.mark_made(id, n, Made::ByCall);
            }
        }
        if let Some(call) = self.remove_call(&id) {
            self.unlend_call(&call);
            self.remember_call(&call, end);
        }
    }

    /// Pushes what may go (CALL-1, CALL-2).
    pub(crate) fn pump(&mut self, actor_id: ActorId, out: &mut Vec<Order>) {
        while let Some(actor) = self.actors.get_mut(&actor_id)
            && let Some((lane, _)) = actor.up()
            && let Some((place, id)) = actor.queue.front().copied()
        {
            let call = self.calls.get_mut(&id).filter(|c| c.place == place);
            match call.as_ref().map(|c| c.state) {
                Some(CallState::Waiting(_) | CallState::Resting(_)) => return,
                Some(CallState::Queued) => {}
                None | Some(CallState::Pushed | CallState::Withdrawing | CallState::Abandoned) => {
                    actor.queue.pop_front();
                    continue;
                }
            }
            actor.queue.pop_front();
            if call.as_ref().is_some_and(|c| !c.spec.args.deps.is_empty()) {
                match self.deps_now(Dependent::Call(id), out) {
                    Deps::Ready => {}
                    Deps::Missing(left) => {
                        self.call_waits(id, left);
                        continue;
                    }
                    Deps::Failed(error) => {
                        self.fail_call(id, error, out);
                        continue;
                    }
                }
            }
            let Some(call) = self.calls.get_mut(&id) else { continue };
            call.state = CallState::Pushed;
            out.push(Order::Push { lane, task: id, attempt: call.pushes });
            call.pushes = call.pushes.wrapping_add(1);
        }
    }
}
