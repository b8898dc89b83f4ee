//! What the one lock protects: the core, the lanes to executors, who waits for what.
use crate::lanes::CallerEnd;
use crate::sight::Watch;
use crate::sites::Sites;
use crate::stream::Flow;
use crate::trace::Trace;
use rustc_hash::{FxHashMap, FxHashSet};
use shoal_owner::{Event, Order, Owner};
use shoal_types::{ActorId, Address, Args, ErrorValue, FunctionId, LaneId, LeaseKey, ObjectId, RefWire, TaskId};
use shoal_wait::Waiter;
use smallvec::SmallVec;
use std::sync::Arc;

pub use shoal_proto::control::Welcome as Session;

/// Somebody who wants to hear of an object.
pub(crate) enum Watcher {
    /// A thread in `wait`.
    Thread(Arc<Waiter>),
    /// A thread in `get`: an error among what it waits for ends its wait.
    Every(Arc<Waiter>),
    /// A ref that a thread has looked at in vain.
    Ref(Arc<Watch>),
    /// A number that goes to the `ready` queue.
    Token(u64),
}

/// The key table of this process: interned lease keys and what of them the daemon knows.
#[derive(Default)]
pub(crate) struct Keys {
    ids: FxHashMap<LeaseKey, u32>,
    pub(crate) specs: Vec<LeaseKey>,
    pub(crate) told: FxHashSet<u32>,
}

impl Keys {
    pub(crate) fn intern(&mut self, key: &LeaseKey) -> u32 {
        if let Some(id) = self.ids.get(key) {
            return *id;
        }
        let id = self.specs.len() as u32;
        self.specs.push(key.clone());
        self.ids.insert(key.clone(), id);
        id
    }
}

/// Where an actor's calls go, and its life.
#[derive(Clone, Copy)]
pub(crate) struct ActorLane {
    pub(crate) incarnation: u32,
    pub(crate) lane: LaneId,
}

pub(crate) struct State {
    pub(crate) owner: Owner,
    pub(crate) orders: Vec<Order>,
    pub(crate) lanes: FxHashMap<LaneId, CallerEnd>,
    pub(crate) by_worker: FxHashMap<Address, LaneId>,
    pub(crate) watchers: FxHashMap<ObjectId, SmallVec<[Watcher; 1]>>,
    /// Calls of `wait` that sleep, by their numbers.
    pub(crate) rounds: SmallVec<[(u64, Arc<Waiter>); 1]>,
    /// Generators that run here (FLOW-1).
    pub(crate) flows: FxHashMap<TaskId, Flow>,
    /// Those that were told to stop before they began, and by whom.
    pub(crate) stopped_by: Vec<(Address, TaskId)>,
    pub(crate) keys: Keys,
    pub(crate) functions: FxHashMap<FunctionId, Arc<[u8]>>,
    pub(crate) actors: FxHashMap<ActorId, ActorLane>,
    /// Constructors' arguments until they are sent.
    pub(crate) actor_args: FxHashMap<ActorId, Args>,
    /// Refs that the executor keeps of a call's arguments: between `CallDone` and its `Reply`.
    pub(crate) kept: FxHashMap<TaskId, Vec<RefWire>>,
    pub(crate) to_free: Vec<(ObjectId, shoal_types::ArenaLoc)>,
    /// Lanes that could not be mapped, or opened (UNMAPPED-1).
    pub(crate) unmapped: FxHashMap<LaneId, ErrorValue>,
    /// Values whose frames wait for space in the arena.
    pub(crate) starved: FxHashSet<LaneId>,
    /// Whose workers were left asleep (PUSH-4).
    pub(crate) owed_rings: FxHashSet<LaneId>,
    pub(crate) sites: Sites,
    pub(crate) trace: Option<Trace>,
    pub(crate) frame: Vec<u8>,
    /// How many tasks this process has submitted, or so.
    pub(crate) submitted: u32,
    pub(crate) dead: Option<ErrorValue>,
}

impl State {
    pub(crate) fn new(me: Address) -> Self {
        Self {
            owner: Owner::new(me),
            orders: Vec::new(),
            lanes: FxHashMap::default(),
            by_worker: FxHashMap::default(),
            watchers: FxHashMap::default(),
            rounds: SmallVec::new(),
            flows: FxHashMap::default(),
            stopped_by: Vec::new(),
            keys: Keys::default(),
            functions: FxHashMap::default(),
            actors: FxHashMap::default(),
            actor_args: FxHashMap::default(),
            kept: FxHashMap::default(),
            to_free: Vec::new(),
            unmapped: FxHashMap::default(),
            starved: FxHashSet::default(),
            owed_rings: FxHashSet::default(),
            sites: Sites::default(),
            trace: Trace::from_environment(me),
            frame: Vec::new(),
            submitted: 0,
            dead: None,
        }
    }

    /// Hands an event to the core; its orders are in `self.orders`.
    pub(crate) fn handle(&mut self, now: u64, event: Event) {
        let Some(trace) = &mut self.trace else {
            return self.owner.handle(now, event, &mut self.orders);
        };
        trace.event(now, &event);
        let before = self.orders.len();
        self.owner.handle(now, event, &mut self.orders);
        trace.orders(&self.orders[before..]);
    }

    /// Forgets that this thread waits for these.
    pub(crate) fn unwatch(&mut self, ids: &[ObjectId], waiter: &Arc<Waiter>) {
        for id in ids {
            let own = |w: &Watcher| matches!(w, Watcher::Thread(w) | Watcher::Every(w) if Arc::ptr_eq(w, waiter));
            self.keep_watchers(id, |w| !own(w));
        }
    }

    /// Forgets all watchers of an object but these.
    pub(crate) fn keep_watchers(&mut self, id: &ObjectId, keep: impl Fn(&Watcher) -> bool) {
        let Some(list) = self.watchers.get_mut(id) else { return };
        list.retain(|watcher| keep(watcher));
        if list.is_empty() {
            self.watchers.remove(id);
        }
    }

    /// Whether somebody waits for an object now.
    pub(crate) fn is_awaited(&self, watchers: &[Watcher]) -> bool {
        watchers.iter().any(|watcher| !matches!(watcher, Watcher::Ref(watch) if self.round_of(watch).is_none()))
    }
}
