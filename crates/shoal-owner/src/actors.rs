//! Actors as their creator or a caller knows them: where they are, which life they live.
//!
//! | phase | meaning | calls |
//! |---|---|---|
//! | `Pending` | not up yet, or between two lives | queue |
//! | `Up` | this life's lane is there | are pushed |
//! | `Down` | its process is gone, nobody has said yet whether another comes | queue; those in flight wait for the word |
//! | `Dead` | for good | fail at once |
//!
//! - ACTOR-1 a life ends once: whichever of `WorkerLost`, `ActorRestarting` and `ActorDead` comes first takes its calls
//!   out of flight; the others find none. Calls that had begun spend a retry or fail, the others go back to their
//!   places; those that fail do so before anything is pushed again.
//! - ACTOR-2 news of a life that is over is ignored.
//! - ACTOR-3 the constructor's arguments are lent by the creator from creation to the actor's death: each life needs
//!   them again.
//! - ACTOR-4 the record of an actor goes when it is dead and no handle of it is left here.
use crate::{
    Order, Owner,
    calls::CallState,
    lineage::Deps,
    objects::{Dependent, Entry},
};
use rustc_hash::FxHashSet;
use shoal_types::{ActorId, Address, Args, ErrorKind, ErrorValue, LaneId, ObjectId, RefWire, TaskId};
use std::{collections::VecDeque, sync::Arc};

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Phase {
    Pending,
    Up(LaneId, Address),
    Down,
    Dead(Arc<ErrorValue>),
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
            places: 0,
            dirty: false,
            creation: None,
        }
    }

    pub fn up(&self) -> Option<(LaneId, Address)> {
        match self.phase {
            Phase::Up(lane, worker) => Some((lane, worker)),
            Phase::Pending | Phase::Down | Phase::Dead(_) => None,
        }
    }

    pub fn dead(&self) -> Option<&Arc<ErrorValue>> {
        match &self.phase {
            Phase::Dead(error) => Some(error),
            Phase::Pending | Phase::Up(..) | Phase::Down => None,
        }
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
        // The directory counts a creator among the watchers.
        self.actors.entry(id).or_insert_with(|| Actor::new(unordered));
        let (left, error) = self.lend(&args, Dependent::Actor(id), out);
        if let Some(actor) = self.actors.get_mut(&id) {
            actor.creation = Some(Creation { args, left, started: false });
            actor.handle = Some(handle);
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
            let error = ErrorValue::new(ErrorKind::ActorUnavailable, "the actor was restarted");
            self.end_life(id, &error, &[], out);
        }
        let Some(actor) = self.actors.get_mut(&id) else { return };
        actor.incarnation = Some(incarnation);
        let gone = self.objects.dead.contains(&worker.worker);
        actor.phase = if gone { Phase::Down } else { Phase::Up(lane, worker) };
        if !std::mem::replace(&mut actor.dirty, true) {
            self.dirty_actors.push(id);
        }
        self.actor_of.insert(worker.worker, id);
    }

    pub(crate) fn on_actor_restarting(
        &mut self,
        id: ActorId,
        incarnation: u32,
        error: &ErrorValue,
        taken: &[TaskId],
        out: &mut Vec<Order>,
    ) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        let older = actor.incarnation.is_some_and(|i| i > incarnation);
        match actor.phase {
            Phase::Up(..) | Phase::Down if !older => self.end_life(id, error, taken, out),
            Phase::Pending if !older => actor.incarnation = Some(incarnation),
            Phase::Up(..) | Phase::Down | Phase::Pending | Phase::Dead(_) => {}
        }
    }

    pub(crate) fn on_actor_dead(&mut self, id: ActorId, error: ErrorValue, out: &mut Vec<Order>) {
        let Some(actor) = self.actors.get_mut(&id).filter(|a| a.dead().is_none()) else { return };
        let error = Arc::new(error);
        if let Phase::Up(_, worker) = std::mem::replace(&mut actor.phase, Phase::Dead(error.clone())) {
            self.actor_of.remove(&worker.worker);
        }
        actor.queue.clear();
        actor.taken.clear();
        let creation = actor.creation.take();
        for call in self.calls_in_order(id, |_| true) {
            self.fail_call(call, error.clone(), out);
        }
        if let Some(creation) = creation {
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
                Some(actor) if actor.dead().is_some() => drop(self.actors.remove(&id)),
                Some(actor) => actor.handle = actor.creation.as_ref().and(actor.handle),
                None => {}
            }
        }
    }

    /// The actor's process is gone; whether for good, other news will tell.
    pub(crate) fn actor_down(&mut self, id: ActorId, taken: &FxHashSet<TaskId>) {
        let Some(actor) = self.actors.get_mut(&id).filter(|a| a.up().is_some()) else { return };
        actor.phase = Phase::Down;
        actor.taken.extend(taken.iter().filter(|t| actor.calls.contains(*t)));
    }

    /// ACTOR-1: calls in flight fail or go back to the queue.
    fn end_life(&mut self, id: ActorId, error: &ErrorValue, taken: &[TaskId], out: &mut Vec<Order>) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        if let Phase::Up(_, worker) = std::mem::replace(&mut actor.phase, Phase::Pending) {
            self.actor_of.remove(&worker.worker);
        }
        let mut begun = std::mem::take(&mut actor.taken);
        begun.extend(taken);
        let unavailable = ErrorValue { kind: ErrorKind::ActorUnavailable, actor: Some(id), ..error.clone() };
        let unavailable = Arc::new(unavailable);
        for task in self.calls_in_order(id, |state| state.is_in_flight()) {
            let Some(call) = self.calls.get_mut(&task) else { continue };
            if call.state == CallState::Abandoned {
                self.fail_call(task, unavailable.clone(), out);
            } else if call.cancel.is_some() {
                self.fail_call(task, crate::cancel::cancelled(), out);
            } else if !begun.contains(&task) {
                self.requeue_call(task);
            } else if call.may_retry() {
                call.retries += 1;
                self.requeue_call(task);
            } else {
                self.fail_call(task, unavailable.clone(), out);
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
