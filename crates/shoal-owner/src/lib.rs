//! The sans-IO core of one process: what it owns and borrows, the tasks and actor calls that it has submitted.
//!
//! One door: [`Owner::handle`] takes a past fact and appends orders; whoever runs the core carries the orders out in
//! their order and feeds what comes of them back. No clock, socket, thread or random source: `now` is an argument, in
//! microseconds of any monotonic clock. Equal events give equal orders.
//!
//! Each event is handled in two steps: the change itself, then [`Owner`] settles: values wake their dependents, leases
//! and actors are given what may go, what nothing counts is freed, and what was gathered for other processes leaves.
//! Every chain (failing dependants, nested values) is a work list, so no depth of user data needs stack.
//!
//! | module | owns |
//! |---|---|
//! | `objects` | entries, counts, freeing (COUNT) |
//! | `transfer` | refs that cross processes: credits, releases, fetches (XFER) |
//! | `tasks` | tasks from submission to result (TASK) |
//! | `keys`, `leases` | queues, windows, demand, giving back (LEASE) |
//! | `stream` | generators and their items (STREAM) |
//! | `lineage` | tasks that are over and may run again for a value that is lost (LIN) |
//! | `retry` | rests before another try (RETRY) |
//! | `cancel` | cancelling, withdrawing |
//! | `calls`, `actors` | actor calls and their order (CALL), lives of actors (ACTOR) |
//! | `death` | processes that are gone (DEATH) |
//! | `check` | every invariant, recomputed |
//! | `look` | read-only looks for the I/O layer |
//! | `history`, `rows` | what is told to who looks inside: tasks that are over, tables as rows (HIST) |
//!
//! ```
//! use shoal_owner::{Event, Order, Owner};
//! use shoal_types::{Address, ObjectId, TaskId, Value};
//!
//! let mut owner = Owner::new(Address::default());
//! let (id, mut orders) = (ObjectId::new(TaskId::new([7; 8], 1), 0), Vec::new());
//! owner.handle(0, Event::ValuePut { id, value: Value::Inline { bytes: [1, 2][..].into(), refs: vec![] } }, &mut orders);
//! assert!(owner.is_ready(&id));
//! owner.handle(5, Event::RefsDropped(vec![id]), &mut orders);
//! assert!(!owner.knows(&id) && orders.is_empty());
//! ```
#![deny(missing_docs)]

mod actors;
mod api;
mod calls;
mod cancel;
mod check;
mod death;
mod history;
mod keys;
mod leases;
mod lineage;
mod look;
mod objects;
mod retry;
mod rows;
mod stream;
mod tasks;
mod transfer;

pub use api::*;
pub use lineage::LINEAGE_BYTES;
pub use look::{Next, ObjectState};
pub use stream::{ITEM_BYTES, WINDOW_BYTES, item_bytes};

use calls::Call;
use lineage::ArgumentsLost;
use objects::{Count, Dependent, Objects};
use rustc_hash::{FxHashMap, FxHashSet};
use shoal_proto::peer::PeerMsg;
use shoal_types::{ActorId, Address, Args, LeaseId, ObjectId, RefWire, TaskId, Value, WorkerId};
use tasks::{Answer, Cancel, Task};
use transfer::{Lent, Way};

/// The core. See the crate's page.
pub struct Owner {
    me: Address,
    objects: Objects,
    tasks: FxHashMap<TaskId, Task>,
    calls: FxHashMap<TaskId, Call>,
    streams: stream::Streams,
    keys: FxHashMap<u32, keys::Key>,
    lease_keys: FxHashMap<LeaseId, u32>,
    lengths: keys::Lengths,
    resting: retry::Resting,
    lineage: lineage::Lineage,
    actors: FxHashMap<ActorId, actors::Actor>,
    /// Which actor's present life is in that process, or a dead one's last life, as long as that is dying.
    actor_of: FxHashMap<WorkerId, ActorId>,
    /// Calls that run here and what they were lent; those lent nothing are not listed.
    executing: FxHashMap<TaskId, Vec<RefWire>>,
    /// The actor that this process was has ended (DEATH-8).
    ended: bool,
    /// Last number seen from each sender.
    seen: FxHashMap<WorkerId, u64>,
    /// Processes of whose deaths the daemon was asked to tell (DEATH-6).
    watched: FxHashSet<WorkerId>,
    /// Not later than when the first lease is due.
    deadline: u64,
    dirty_keys: Vec<u32>,
    dirty_actors: Vec<ActorId>,
    /// Time of the event at hand.
    now: u64,
    history: history::History,
}

impl Owner {
    /// The core of the process `me`.
    pub fn new(me: Address) -> Self {
        Self {
            me,
            objects: Objects::new(me),
            tasks: FxHashMap::default(),
            calls: FxHashMap::default(),
            streams: FxHashMap::default(),
            keys: FxHashMap::default(),
            lease_keys: FxHashMap::default(),
            lengths: keys::Lengths::default(),
            resting: retry::Resting::new(),
            lineage: lineage::Lineage::default(),
            actors: FxHashMap::default(),
            actor_of: FxHashMap::default(),
            executing: FxHashMap::default(),
            ended: false,
            seen: FxHashMap::default(),
            watched: FxHashSet::default(),
            deadline: u64::MAX,
            dirty_keys: Vec::new(),
            dirty_actors: Vec::new(),
            now: 0,
            history: history::History::default(),
        }
    }

    /// Takes one event at time `now`, in microseconds; appends what is to be done, in order.
    pub fn handle(&mut self, now: u64, event: Event, orders: &mut Vec<Order>) {
        self.now = now;
        match event {
            Event::TaskSubmitted(spec) => self.on_task_submitted(spec, orders),
            Event::CallSubmitted(spec) => self.on_call_submitted(spec, orders),
            Event::RefTaken(r) => self.objects.add(&r, Count::Local),
            Event::RefsDropped(ids) => ids.iter().for_each(|id| self.objects.sub(id, Count::Local)),
            Event::ValuePut { id, value } => self.on_value_put(id, value),
            Event::Wanted(ids) => ids.into_iter().for_each(|id| self.on_wanted(id, orders)),
            Event::Cancelled { id, force, recursive } => self.on_cancelled(id, Cancel { force, recursive }, orders),
            Event::Interrupted(task) => self.cancel_children(task, orders),
            Event::CallTaken { task, refs } => self.on_call_taken(task, refs),
            Event::Placed(places) => places.into_iter().for_each(|(id, loc)| self.objects.on_placed(id, loc, orders)),
            Event::CallDone { task, caller, refs } => self.on_call_done(task, caller, &refs, orders),
            Event::Replied { task, attempt, retryable, micros, kept, values, worker } => {
                self.on_replied(now, Answer { task, attempt, retryable, micros, kept, values, worker }, orders);
            }
            Event::Item { task, attempt, index, value, worker } => {
                self.on_item(stream::Report { task, attempt, index, value, worker }, orders);
            }
            Event::StreamRead(handle) => self.on_stream_read(handle, orders),
            Event::Ended => self.on_ended(),
            Event::Yielded { task, caller, refs } => self.on_yielded(task, caller, &refs, orders),
            Event::Withdrawn { task, done } => self.on_withdrawn(now, task, done, orders),
            Event::Granted { key, lease, lane, worker } => self.on_granted(now, key, lease, lane, worker, orders),
            Event::WantedBack(lease) => self.on_wanted_back(lease),
            Event::Recalled(lease) => self.on_recalled(lease, orders),
            Event::KeyUnschedulable { key, error } => self.on_unschedulable(key, error, orders),
            Event::Peer { from, seq, msg } => self.on_peer(from, seq, msg, orders),
            Event::WorkerLost { worker, error, intended, taken } => {
                self.on_worker_lost(worker, error, intended, taken, orders);
            }
            Event::StoredLost { id, loc, why } => self.on_value_lost(id, &loc, &why, orders),
            Event::ArgumentsLost { task, attempt, kept, lost, worker } => {
                self.on_arguments_lost(now, ArgumentsLost { task, attempt, kept, lost, worker }, orders);
            }
            Event::Sealed(objects) => self.on_sealed(&objects, orders),
            Event::Ticked => self.on_ticked(now, orders),
            Event::ActorCreated { .. }
            | Event::ActorKnown { .. }
            | Event::ActorUp { .. }
            | Event::ActorRestarting { .. }
            | Event::ActorDead { .. } => self.on_actor_event(event, orders),
        }
        self.settle(now, orders);
    }

    fn on_actor_event(&mut self, event: Event, orders: &mut Vec<Order>) {
        match event {
            Event::ActorCreated { actor, handle, deps, refs, unordered } => {
                let args = Args { bytes: Vec::new(), deps, refs };
                self.on_actor_created(actor, handle, args, unordered, orders);
            }
            Event::ActorKnown { actor, unordered } => {
                self.watch(actor, Some(unordered), orders);
            }
            Event::ActorUp { actor, incarnation, lane, worker, kept } => {
                self.on_actor_up(actor, incarnation, lane, worker, &kept, orders);
            }
            Event::ActorRestarting { actor, incarnation, error, rest, taken } => {
                self.on_actor_restarting(actor, incarnation, (error, rest), &taken, orders);
            }
            Event::ActorDead { actor, error, dying, lingers } => {
                self.on_actor_dead(actor, error, (dying, lingers), orders);
            }
            _ => unreachable!("handle sends only actors' events here"),
        }
    }

    /// Until nothing moves: values wake, leases and actors take, what nothing counts goes; then what was gathered for
    /// other processes leaves.
    fn settle(&mut self, now: u64, orders: &mut Vec<Order>) {
        let mut asked = 0;
        loop {
            if let Some(id) = self.objects.ready.pop_front() {
                self.wake(id, orders);
            } else if let Some(&key) = self.dirty_keys.get(asked) {
                asked += 1;
                self.fill(now, key, orders);
            } else if let Some(actor) = self.dirty_actors.pop() {
                self.actors.get_mut(&actor).expect("marked above").dirty = false;
                self.pump(actor, orders);
            } else if !self.objects.doomed.is_empty() {
                self.objects.collect(orders);
            } else if let Some(task) = self.objects.closed.pop() {
                self.close_stream(task, orders);
            } else if let Some(task) = self.objects.unmade.pop() {
                self.return_freed(task);
            } else {
                break;
            }
        }
        for key in std::mem::take(&mut self.dirty_keys) {
            self.ask(now, key, orders);
        }
        if !self.objects.unhandled.is_empty() {
            self.forget_dead_actors();
        }
        self.objects.flush(orders);
    }

    fn wake(&mut self, id: ObjectId, orders: &mut Vec<Order>) {
        let Some(entry) = self.objects.map.get_mut(&id) else { return };
        let dependents = std::mem::take(&mut entry.dependents);
        let error = match &entry.value {
            Some(Value::Error(error)) => Some(error.clone()),
            Some(Value::Inline { .. } | Value::Stored { .. }) | None => None,
        };
        for dependent in dependents {
            match dependent {
                Dependent::Task(task) => self.task_dep_ready(task, error.as_ref(), orders),
                Dependent::Call(call) => self.call_dep_ready(call, error.as_ref(), orders),
                Dependent::Actor(actor) => self.actor_dep_ready(actor, error.as_ref(), orders),
            }
        }
    }

    fn on_value_put(&mut self, id: ObjectId, value: Value) {
        value.refs().iter().for_each(|r| self.objects.add(r, Count::Contained));
        let mut entry = objects::Entry::new(self.me);
        (entry.local, entry.value) = (1, Some(value));
        let old = self.objects.map.insert(id, entry);
        debug_assert!(old.is_none(), "COUNT-1: {id} was put twice");
    }

    fn on_wanted(&mut self, id: ObjectId, orders: &mut Vec<Order>) {
        if self.is_ready(&id) {
            orders.push(Order::Ready(id));
        } else {
            self.objects.fetch(&id, orders);
        }
    }

    fn on_call_taken(&mut self, task: TaskId, refs: Vec<RefWire>) {
        if !refs.is_empty() {
            refs.iter().for_each(|r| self.objects.add(r, Count::Executing));
            self.executing.entry(task).or_default().extend(refs);
        }
    }

    fn on_call_done(&mut self, task: TaskId, caller: Address, refs: &[RefWire], orders: &mut Vec<Order>) {
        let lent = self.executing.remove(&task).unwrap_or_default();
        if self.ended {
            return self.objects.keep_all(&lent);
        }
        let with_call = Lent(lent.iter().map(|r| r.id).collect());
        for r in refs.iter().filter(|r| !with_call.0.contains(&r.id)) {
            self.objects.pass_on(r, caller, Way::Reply);
        }
        self.objects.flush_credits(orders);
        let kept = self.objects.keep(&lent, caller);
        orders.push(Order::Reply { task, kept });
    }

    /// DEATH-8.
    fn on_ended(&mut self) {
        self.ended = true;
        let mut unanswered: Vec<(TaskId, Vec<RefWire>)> = self.executing.drain().collect();
        unanswered.sort_unstable_by_key(|(task, _)| *task);
        unanswered.iter().for_each(|(_, lent)| self.objects.keep_all(lent));
    }

    fn on_peer(&mut self, from: Address, seq: u64, msg: PeerMsg, orders: &mut Vec<Order>) {
        if self.objects.dead.contains(&from.worker) {
            return;
        }
        let last = self.seen.entry(from.worker).or_insert(0);
        if seq <= *last {
            return;
        }
        *last = seq;
        match msg {
            PeerMsg::Credit(list) => {
                self.objects.on_credits(&list, from.worker);
                self.watch_holders(&list, orders);
            }
            PeerMsg::Release(list) => self.objects.on_releases(&list, from.worker),
            PeerMsg::Fetch(id) if id.index == ObjectId::NEXT_INDEX => self.on_next_asked(id, from, orders),
            PeerMsg::Fetch(id) => self.objects.on_fetch(id, from, orders),
            PeerMsg::Fetched { id, value } => self.objects.on_fetched(id, value, from.worker, orders),
            PeerMsg::Lost { id, loc } => self.on_told_lost(id, &loc, from, orders),
            PeerMsg::CancelObject { id, force, recursive } => {
                self.on_cancelled(id, Cancel { force, recursive }, orders);
            }
            // The interrupt is the worker's own affair.
            PeerMsg::CancelTask { task, recursive } => {
                if recursive {
                    self.cancel_children(task, orders);
                }
            }
            PeerMsg::StreamRead { .. } | PeerMsg::StreamStop { .. } | PeerMsg::StreamOver(_) => {}
        }
    }
}
