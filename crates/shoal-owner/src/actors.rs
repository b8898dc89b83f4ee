//! Actors as their creator or a caller knows them: where they are, which life they live.
//!
//! | phase | meaning | calls |
//! |---|---|---|
//! | `Pending` | not up yet | queue |
//! | `Up` | this life's lane is there | are pushed |
//! | `Down` | its process is gone, nobody has said yet whether another comes | queue; those in flight wait for the word |
//! | `Restarting` | between two lives | queue, if they have retries; else fail (ACTOR-5) |
//! | `Dead` | for good | fail at once |
//!
//! - ACTOR-1 a life ends once: whichever of `WorkerLost`, `ActorRestarting` and `ActorDead` comes first takes its calls
//!   out of flight; the others find none. Calls that had begun spend a retry or fail, the others go back to their
//!   places; those that fail do so before anything is pushed again.
//! - ACTOR-2 news of a life that is over is ignored.
//! - ACTOR-3 the constructor's arguments are lent by the creator from creation until the actor is dead and its process
//!   gone (DEATH-7): each life needs them again.
//! - ACTOR-4 the record of an actor goes when it is dead, nothing is lent to it, and no handle of it is left here.
//! - ACTOR-5 a call without retries is meant for the life that it was made for: one that is in flight or ready when that
//!   ends, or gets ready before the next is up, fails as `ActorUnavailable`, and says whether it had begun. One that
//!   still waits for a dependency, and one with retries, waits.
//! - ACTOR-6 its creator hears of an actor like anybody else: it asks for the news when it knows the actor, and before it
//!   has it started. Others may find it by its name as soon as it is registered, and have killed it by then.
use crate::{
    Order, Owner,
    calls::CallState,
    lineage::Deps,
    objects::{Dependent, Entry},
};
use rustc_hash::FxHashSet;
use shoal_types::{ActorId, Address, Args, ErrorKind, ErrorValue, LaneId, ObjectId, RefWire, TaskId, WorkerId};
use std::{collections::VecDeque, sync::Arc};

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Phase {
    Pending,
    Up(LaneId, Address),
    Down,
    Restarting(Restart),
    Dead(Arc<ErrorValue>),
}

/// Between two lives.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Restart {
    /// How the last one ended.
    why: Arc<ErrorValue>,
    /// Until then it rests before the next.
    until: u64,
}

/// What its creator keeps for its constructor.
pub(crate) struct Creation {
    /// `bytes` is empty: the worker keeps those.
    pub args: Args,
    /// Dependencies without a value.
    left: u32,
    /// [`Order::StartActor`] was made.
    started: bool,
}

pub(crate) struct Actor {
    pub unordered: bool,
    pub phase: Phase,
    /// What counts its handles, once it is known here; a weak handle tells nothing.
    pub handle: Option<ObjectId>,
    /// The life of `Up` or `Down`, else the last that ended.
    incarnation: Option<u32>,
    /// The last life whose constructor's kept refs were credited.
    credited: Option<u32>,
    /// While `Down`: calls that had begun.
    taken: FxHashSet<TaskId>,
    /// (place, call): all that wait of an ordered actor, those that are ready of an unordered one.
    pub queue: VecDeque<(u64, TaskId)>,
    /// Every call that is not over.
    pub calls: FxHashSet<TaskId>,
    /// How many of them are abandoned.
    pub abandoned: usize,
    /// It is dead, and lives on there for what it owns (DEATH-8).
    pub lingers: Option<WorkerId>,
    places: u64,
    /// To be pumped at the end of this event.
    pub dirty: bool,
    pub creation: Option<Creation>,
}

impl Actor {
    fn new(unordered: bool) -> Self {
        Self {
            unordered,
            phase: Phase::Pending,
            handle: None,
            incarnation: None,
            credited: None,
            taken: FxHashSet::default(),
            queue: VecDeque::new(),
            calls: FxHashSet::default(),
            abandoned: 0,
            lingers: None,
            places: 0,
            dirty: false,
            creation: None,
        }
    }

    pub fn up(&self) -> Option<(LaneId, Address)> {
        match self.phase {
            Phase::Up(lane, worker) => Some((lane, worker)),
            Phase::Pending | Phase::Down | Phase::Restarting(_) | Phase::Dead(_) => None,
        }
    }

    pub fn restart(&self) -> Option<&Restart> {
        match &self.phase {
            Phase::Restarting(restart) => Some(restart),
            Phase::Pending | Phase::Up(..) | Phase::Down | Phase::Dead(_) => None,
        }
    }

    pub fn dead(&self) -> Option<&Arc<ErrorValue>> {
        match &self.phase {
            Phase::Dead(error) => Some(error),
            Phase::Pending | Phase::Up(..) | Phase::Down | Phase::Restarting(_) => None,
        }
    }

    /// Whether something is lent to it.
    fn is_lent(&self) -> bool {
        !self.calls.is_empty() || self.creation.is_some()
    }

    pub fn next_place(&mut self) -> u64 {
        self.places += 1;
        self.places
    }

    pub fn put_back(&mut self, place: u64, id: TaskId) {
        let at = self.queue.partition_point(|(p, _)| *p < place);
        self.queue.insert(at, (place, id));
    }
}

impl Owner {
    /// The record of an actor, made and watched with its first use here.
    pub(crate) fn watch(&mut self, id: ActorId, unordered: Option<bool>, out: &mut Vec<Order>) -> &mut Actor {
        self.actors.entry(id).or_insert_with(|| {
            out.push(Order::WatchActor(id));
            Actor::new(unordered.unwrap_or(false))
        })
    }

    pub(crate) fn on_actor_created(
        &mut self,
        id: ActorId,
        handle: ObjectId,
        args: Args,
        unordered: bool,
        out: &mut Vec<Order>,
    ) {
        let mut entry = Entry::new(self.me);
        entry.local = 1;
        self.objects.map.insert(handle, entry);
        self.objects.handles.insert(handle, id);
        let dead = self.watch(id, Some(unordered), out).dead().cloned();
        let (left, error) = self.lend(&args, Dependent::Actor(id), out);
        if let Some(actor) = self.actors.get_mut(&id) {
            actor.creation = Some(Creation { args, left, started: false });
            actor.handle = Some(handle);
        }
        if let Some(dead) = dead {
            return self.bury(id, &dead, out);
        }
        if left == 0 || error.is_some() {
            self.start_actor(id, error.as_ref(), out);
        }
    }

    pub(crate) fn actor_dep_ready(&mut self, id: ActorId, error: Option<&Arc<ErrorValue>>, out: &mut Vec<Order>) {
        let Some(creation) = self.actors.get_mut(&id).and_then(|a| a.creation.as_mut()) else { return };
        creation.left -= 1;
        if creation.left == 0 || error.is_some() {
            self.start_actor(id, error, out);
        }
    }

    fn start_actor(&mut self, id: ActorId, error: Option<&Arc<ErrorValue>>, out: &mut Vec<Order>) {
        let Some(creation) = self.actors.get_mut(&id).and_then(|a| a.creation.as_mut()) else { return };
        if creation.started {
            return;
        }
        // One may have been lost while the others were awaited.
        let (left, error) = match self.deps_now(Dependent::Actor(id), out) {
            Deps::Ready => (0, error.cloned()),
            Deps::Missing(left) => (left, error.cloned()),
            Deps::Failed(other) => (0, Some(error.cloned().unwrap_or(other))),
        };
        let Some(creation) = self.actors.get_mut(&id).and_then(|a| a.creation.as_mut()) else { return };
        if left > 0 && error.is_none() {
            creation.left = left;
            return;
        }
        creation.started = true;
        out.push(Order::StartActor { actor: id, error: error.map(|e| (*e).clone()) });
    }

    pub(crate) fn on_actor_up(
        &mut self,
        id: ActorId,
        incarnation: u32,
        lane: LaneId,
        worker: Address,
        kept: &[RefWire],
        out: &mut Vec<Order>,
    ) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        if !kept.is_empty() && actor.credited.is_none_or(|i| i < incarnation) {
            actor.credited = Some(incarnation);
            kept.iter().for_each(|r| self.objects.credit_kept(r, worker.worker));
        }
        if actor.dead().is_some() || actor.incarnation.is_some_and(|i| i >= incarnation) {
            return;
        }
        if matches!(actor.phase, Phase::Up(..) | Phase::Down) {
            let why = ErrorValue::new(ErrorKind::ActorUnavailable, "the actor was restarted");
            self.end_life(id, Restart { why: Arc::new(why), until: 0 }, &[], out);
        }
        let Some(actor) = self.actors.get_mut(&id) else { return };
        actor.incarnation = Some(incarnation);
        let gone = self.objects.dead.contains(&worker.worker);
        actor.phase = if gone { Phase::Down } else { Phase::Up(lane, worker) };
        if !std::mem::replace(&mut actor.dirty, true) {
            self.dirty_actors.push(id);
        }
        if !gone {
            self.actor_of.insert(worker.worker, id);
        }
    }

    /// The next life begins in `rest` microseconds.
    pub(crate) fn on_actor_restarting(
        &mut self,
        id: ActorId,
        incarnation: u32,
        (error, rest): (ErrorValue, u64),
        taken: &[TaskId],
        out: &mut Vec<Order>,
    ) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        if actor.dead().is_some() || actor.incarnation.is_some_and(|i| i > incarnation) {
            return;
        }
        actor.incarnation = Some(incarnation);
        let why = ErrorValue { kind: ErrorKind::ActorUnavailable, actor: Some(id), ..error };
        self.end_life(id, Restart { why: Arc::new(why), until: self.now + rest }, taken, out);
    }

    /// Every call has its error now. What a process that is still `dying` was lent stays lent (DEATH-7).
    pub(crate) fn on_actor_dead(
        &mut self,
        id: ActorId,
        error: ErrorValue,
        (dying, lingers): (Option<Address>, bool),
        out: &mut Vec<Order>,
    ) {
        let Some(actor) = self.actors.get_mut(&id).filter(|a| a.dead().is_none()) else { return };
        let error = Arc::new(error);
        let up = actor.up();
        actor.phase = Phase::Dead(error.clone());
        actor.queue.clear();
        actor.taken.clear();
        if let Some((_, worker)) = up {
            self.actor_of.remove(&worker.worker);
        }
        let dying = dying.filter(|worker| !self.objects.dead.contains(&worker.worker));
        actor.lingers = dying.filter(|_| lingers).map(|worker| worker.worker);
        let made = actor.creation.take_if(|_| lingers && up.is_some());
        let lane = up.filter(|(_, worker)| Some(*worker) == dying).map(|(lane, _)| lane);
        for call in self.calls_in_order(id, |_| true) {
            match lane {
                Some(lane) if self.is_call_in_flight(&call) => self.leave_call(call, lane, &error, out),
                Some(_) | None => self.fail_call(call, error.clone(), out),
            }
        }
        if let Some(creation) = made {
            self.unlend(&creation.args);
        }
        let is_lent = self.actors.get(&id).is_some_and(Actor::is_lent);
        match dying.filter(|_| is_lent) {
            Some(worker) => drop(self.actor_of.insert(worker.worker, id)),
            None => self.bury(id, &error, out),
        }
    }

    /// It is dead, and nothing of it runs any more: nothing is lent to it.
    fn bury(&mut self, id: ActorId, error: &Arc<ErrorValue>, out: &mut Vec<Order>) {
        for call in self.calls_in_order(id, |_| true) {
            self.fail_call(call, error.clone(), out);
        }
        if let Some(creation) = self.actors.get_mut(&id).and_then(|a| a.creation.take()) {
            self.unlend(&creation.args);
        }
        let handle = self.actors.get(&id).and_then(|a| a.handle);
        if handle.is_some_and(|h| !self.objects.map.contains_key(&h)) {
            self.actors.remove(&id);
        }
    }

    /// ACTOR-4.
    pub(crate) fn forget_dead_actors(&mut self) {
        for id in std::mem::take(&mut self.objects.unhandled) {
            match self.actors.get_mut(&id) {
                Some(actor) if actor.dead().is_some() && actor.is_lent() => {}
                Some(actor) if actor.dead().is_some() => drop(self.actors.remove(&id)),
                Some(actor) => actor.handle = actor.creation.as_ref().and(actor.handle),
                None => {}
            }
        }
    }

    /// The actor's process is gone; whether for good, other news will tell, or has told (DEATH-7).
    pub(crate) fn actor_down(&mut self, id: ActorId, taken: &FxHashSet<TaskId>, out: &mut Vec<Order>) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        match &actor.phase {
            Phase::Up(..) => {
                actor.phase = Phase::Down;
                actor.taken.extend(taken.iter().filter(|t| actor.calls.contains(*t)));
            }
            Phase::Dead(error) => {
                let error = error.clone();
                self.bury(id, &error, out);
            }
            Phase::Pending | Phase::Down | Phase::Restarting(_) => {}
        }
    }

    /// ACTOR-1: calls in flight fail or go back to the queue; so do those that are ready (ACTOR-5).
    fn end_life(&mut self, id: ActorId, restart: Restart, taken: &[TaskId], out: &mut Vec<Order>) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        let (begun_error, other_error) = (restart.error(true, self.now), restart.error(false, self.now));
        if let Phase::Up(_, worker) = std::mem::replace(&mut actor.phase, Phase::Restarting(restart)) {
            self.actor_of.remove(&worker.worker);
        }
        let mut begun = std::mem::take(&mut actor.taken);
        begun.extend(taken);
        for task in self.calls_in_order(id, |state| state.is_in_flight() || state == CallState::Queued) {
            let Some(call) = self.calls.get_mut(&task) else { continue };
            let (had_begun, may_wait) = (begun.contains(&task), call.may_wait());
            if call.state == CallState::Abandoned {
                self.fail_call(task, begun_error.clone(), out);
            } else if call.cancel.is_some() {
                self.fail_call(task, crate::cancel::cancelled(), out);
            } else if !may_wait || (had_begun && !call.may_retry()) {
                let error = if had_begun { &begun_error } else { &other_error };
                self.fail_call(task, error.clone(), out);
            } else if call.state.is_in_flight() {
                call.retries += u32::from(had_begun);
                self.requeue_call(task);
            }
        }
    }

    fn calls_in_order(&self, id: ActorId, which: impl Fn(CallState) -> bool) -> Vec<TaskId> {
        let Some(actor) = self.actors.get(&id) else { return Vec::new() };
        let known = actor.calls.iter().filter_map(|t| self.calls.get(t).map(|c| (c.place, *t, c.state)));
        let mut calls: Vec<_> = known.filter(|(_, _, state)| which(*state)).map(|(place, t, _)| (place, t)).collect();
        calls.sort_unstable();
        calls.into_iter().map(|(_, t)| t).collect()
    }
}

impl Restart {
    /// ACTOR-5: for a call that doesn't wait.
    pub fn error(&self, begun: bool, now: u64) -> Arc<ErrorValue> {
        let call = match begun {
            true => "The call had begun, and may have done a part of its work.",
            false => "The call has not run.",
        };
        let next = match self.until.saturating_sub(now) {
            0 => "The actor is being started again".to_owned(),
            rest => format!("The actor is started again in {:.1} s", (rest as f64 / 1e6).max(0.1)),
        };
        let way = "calls with max_task_retries=-1 wait for that, and are made again if they had begun.";
        let message = format!("{}\n{call} {next}; {way}", self.why.message);
        Arc::new(ErrorValue { message, ..(*self.why).clone() })
    }
}
