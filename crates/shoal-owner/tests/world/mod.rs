//! The builder that table tests share: a core, a clock, names for ids, and "these orders and nothing else".
#![allow(dead_code)]
use shoal_owner::{Event, Order, Owner};
use shoal_proto::peer::PeerMsg;
use shoal_types::{
    ActorId, Address, ArenaLoc, Args, CallSpec, ErrorKind, ErrorValue, FunctionId, LaneId, LeaseId, NodeId, ObjectId,
    RefWire, TaskId, TaskSpec, Value, WorkerId,
};
use std::collections::HashMap;

pub fn address(n: u8) -> Address {
    Address { node: NodeId([1; 16]), worker: WorkerId([n; 16]) }
}

/// The process under test is number 1; workers are 10 and up, other owners 2 and up.
pub const ME: u8 = 1;

pub struct World {
    pub owner: Owner,
    pub now: u64,
    next: u64,
    seqs: HashMap<u8, u64>,
}

/// The `n`-th task of this process.
pub fn task(n: u64) -> TaskId {
    TaskId::new([ME; 8], n)
}

pub fn object(n: u64) -> ObjectId {
    ObjectId::new(task(n), 0)
}

/// An object of this process.
pub fn mine(n: u64) -> RefWire {
    RefWire { id: object(n), owner: address(ME) }
}

/// An object of process `owner`.
pub fn foreign(owner: u8, n: u64) -> RefWire {
    RefWire { id: ObjectId::new(TaskId::new([owner; 8], n), 0), owner: address(owner) }
}

pub fn actor(n: u8) -> ActorId {
    ActorId([n; 16])
}

pub fn handle_of(n: u64) -> ObjectId {
    ObjectId::new(task(n), ObjectId::ACTOR_INDEX)
}

pub fn inline(refs: &[RefWire]) -> Value {
    Value::Inline { bytes: [1, 2, 3][..].into(), refs: refs.to_vec() }
}

pub fn loc(n: u64) -> ArenaLoc {
    ArenaLoc { chunk: n, entry: 0, generation: 1, offset: n, len: 1 << 20 }
}

pub fn stored(n: u64, refs: &[RefWire]) -> Value {
    Value::Stored { loc: loc(n), refs: refs.to_vec() }
}

pub fn error(kind: ErrorKind) -> ErrorValue {
    ErrorValue::new(kind, "as told")
}

pub fn failed(kind: ErrorKind) -> Value {
    Value::Error(std::sync::Arc::new(error(kind)))
}

/// A task of function 1 and key 0 with one return and no retries; fields are set by the test.
pub fn spec(n: u64, deps: &[RefWire], refs: &[RefWire]) -> TaskSpec {
    let args = Args { bytes: vec![], deps: deps.to_vec(), refs: refs.to_vec() };
    TaskSpec { args, ..TaskSpec::new(task(n), FunctionId([1; 16]), "f".into()) }
}

pub fn call(n: u64, to: u8, handle: Option<RefWire>, deps: &[RefWire]) -> CallSpec {
    CallSpec {
        id: task(n),
        actor: actor(to),
        handle,
        method: "m".into(),
        group: "".into(),
        num_returns: 1,
        window: 0,
        max_retries: 0,
        retry_exceptions: false,
        parent: None,
        args: Args { bytes: vec![], deps: deps.to_vec(), refs: vec![] },
    }
}

impl Default for World {
    fn default() -> Self {
        Self { owner: Owner::new(address(ME)), now: 1_000, next: 0, seqs: HashMap::new() }
    }
}

impl World {
    /// Feeds one event, expects exactly these orders, checks every index.
    #[track_caller]
    pub fn on(&mut self, event: Event, expect: &[Order]) {
        let got = self.feed(event);
        assert_eq!(got, expect);
    }

    /// Feeds one event and checks every index.
    #[track_caller]
    pub fn feed(&mut self, event: Event) -> Vec<Order> {
        let mut out = Vec::new();
        self.owner.handle(self.now, event, &mut out);
        self.owner.sanity_check();
        out
    }

    /// An event that does nothing outside.
    #[track_caller]
    pub fn quiet(&mut self, event: Event) {
        self.on(event, &[]);
    }

    #[track_caller]
    pub fn tick(&mut self, at: u64, expect: &[Order]) {
        self.now = at;
        self.on(Event::Ticked, expect);
    }

    /// The next message of process `from`.
    pub fn peer(&mut self, from: u8, msg: PeerMsg) -> Event {
        let seq = self.seqs.entry(from).or_default();
        *seq += 1;
        Event::Peer { from: address(from), seq: *seq, msg }
    }

    /// Grants lease `n` on lane `n` of worker `n`.
    pub fn grant(&self, n: u8) -> Event {
        Event::Granted { key: 0, lease: lease(n), lane: lane(n), worker: address(n) }
    }

    #[track_caller]
    pub fn put(&mut self, n: u64, value: Value) -> RefWire {
        self.quiet(Event::ValuePut { id: object(n), value });
        mine(n)
    }

    /// A lease that is idle now and kept: as after one task.
    #[track_caller]
    pub fn warm(&mut self, n: u8) {
        self.next += 1;
        let id = 1_000_000 + self.next;
        let mut one = spec(id, &[], &[]);
        one.num_returns = 0;
        one.function = FunctionId([99; 16]);
        self.on(submit(&one), &[demand(1, self.next - 1, 0)]);
        let grant = self.grant(n);
        self.on(grant, &[push(n, id, 0)]);
        self.quiet(reply(id, 0, n, vec![]));
    }

    pub fn state(&self, r: &RefWire) -> Option<shoal_owner::ObjectState> {
        self.owner.borrower_state().into_iter().find(|s| s.object.id == r.id)
    }

    #[track_caller]
    pub fn drop_ref(&mut self, r: &RefWire, expect: &[Order]) {
        self.on(Event::RefsDropped(vec![r.id]), expect);
    }
}

pub fn lane(n: u8) -> LaneId {
    LaneId(u64::from(n))
}

pub fn lease(n: u8) -> LeaseId {
    LeaseId(u64::from(n))
}

pub fn submit(spec: &TaskSpec) -> Event {
    Event::TaskSubmitted(Box::new(spec.clone()))
}

pub fn submit_call(spec: &CallSpec) -> Event {
    Event::CallSubmitted(Box::new(spec.clone()))
}

pub fn demand(want: u32, seen: u64, depth: u32) -> Order {
    Order::Demand { key: 0, want, seen, depth }
}

pub fn push(lane_of: u8, n: u64, attempt: u16) -> Order {
    Order::Push { lane: lane(lane_of), task: task(n), attempt }
}

pub fn withdraw(lane_of: u8, n: u64) -> Order {
    Order::Withdraw { lane: lane(lane_of), task: task(n) }
}

pub fn ready(n: u64) -> Order {
    Order::Ready(object(n))
}

pub fn send(to: u8, seq: u64, msg: PeerMsg) -> Order {
    Order::Send { to: address(to), seq, msg }
}

/// A reply that took 10 µs and keeps nothing.
pub fn reply(n: u64, attempt: u16, from: u8, values: Vec<Value>) -> Event {
    reply_kept(n, attempt, from, values, &[])
}

pub fn reply_kept(n: u64, attempt: u16, from: u8, values: Vec<Value>, kept: &[RefWire]) -> Event {
    let worker = address(from).worker;
    Event::Replied { task: task(n), attempt, retryable: false, micros: 10, kept: kept.to_vec(), values, worker }
}

pub fn retryable(n: u64, attempt: u16, from: u8) -> Event {
    let values = vec![failed(ErrorKind::Task)];
    let worker = address(from).worker;
    Event::Replied { task: task(n), attempt, retryable: true, micros: 10, kept: vec![], values, worker }
}

pub fn withdrawn(n: u64, done: bool) -> Event {
    Event::Withdrawn { task: task(n), done }
}

pub fn lost(n: u8, taken: &[u64]) -> Event {
    let error = error(ErrorKind::WorkerCrashed);
    let taken = taken.iter().map(|t| task(*t)).collect();
    Event::WorkerLost { worker: address(n), error, intended: false, taken }
}
