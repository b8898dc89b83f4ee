//! Nanoseconds of the core alone: one task or call from submission to the drop of its result.
//! `cargo bench -p shoal-owner`; with `--test` it runs once, so that it doesn't rot.
use shoal_owner::{Event, Order, Owner};
use shoal_types::{
    ActorId, Address, Args, CallSpec, FunctionId, LaneId, LeaseId, NodeId, ObjectId, RefWire, TaskId, TaskSpec, Value,
    WorkerId,
};
use std::{sync::Arc, time::Instant};

fn address(n: u8) -> Address {
    Address { node: NodeId([1; 16]), worker: WorkerId([n; 16]) }
}

fn task(n: u64, deps: Vec<RefWire>, name: &Arc<str>) -> Event {
    Event::TaskSubmitted(Box::new(TaskSpec {
        max_retries: 3,
        args: Args { bytes: Vec::new(), deps, refs: Vec::new() },
        ..TaskSpec::new(TaskId::new([1; 8], n), FunctionId([1; 16]), name.clone())
    }))
}

fn call(n: u64, name: &Arc<str>) -> Event {
    Event::CallSubmitted(Box::new(CallSpec {
        id: TaskId::new([1; 8], n),
        actor: ActorId([1; 16]),
        handle: None,
        method: name.clone(),
        group: name.clone(),
        num_returns: 1,
        window: 0,
        max_retries: 0,
        retry_exceptions: false,
        parent: None,
        args: Args::default(),
    }))
}

fn reply(n: u64, bytes: &Arc<[u8]>) -> Event {
    Event::Replied {
        task: TaskId::new([1; 8], n),
        attempt: 0,
        retryable: false,
        micros: 20,
        kept: Vec::new(),
        values: vec![Value::Inline { bytes: bytes.clone(), refs: Vec::new() }],
        worker: address(10).worker,
    }
}

fn object(n: u64) -> ObjectId {
    ObjectId::new(TaskId::new([1; 8], n), 0)
}

struct Bench {
    owner: Owner,
    out: Vec<Order>,
    name: Arc<str>,
    bytes: Arc<[u8]>,
}

impl Bench {
    fn new() -> Self {
        let mut bench =
            Self { owner: Owner::new(address(1)), out: Vec::new(), name: "f".into(), bytes: [1, 2, 3][..].into() };
        let lane = LaneId(1);
        bench.on(task(0, vec![], &"f".into()));
        bench.on(Event::Granted { key: 0, lease: LeaseId(1), lane, worker: address(10) });
        bench.on(reply(0, &bench.bytes.clone()));
        bench.on(Event::ActorKnown { actor: ActorId([1; 16]), unordered: false });
        let (actor, worker) = (ActorId([1; 16]), address(11));
        bench.on(Event::ActorUp { actor, incarnation: 0, lane: LaneId(2), worker, kept: vec![] });
        bench
    }

    fn on(&mut self, event: Event) {
        self.owner.handle(1_000, event, &mut self.out);
        self.out.clear();
    }
}

fn timed(what: &str, n: u64, mut run: impl FnMut(&mut Bench)) {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let mut bench = Bench::new();
        let start = Instant::now();
        run(&mut bench);
        best = best.min(start.elapsed().as_nanos() as f64 / n as f64);
    }
    println!("{what:<44} {best:8.0} ns");
}

fn main() {
    let n: u64 = if std::env::args().any(|a| a == "--test") { 100 } else { 100_000 };
    timed("task: submit, reply, drop, one at a time", n, |b| {
        for i in 1..=n {
            b.on(task(i, vec![], &b.name.clone()));
            b.on(reply(i, &b.bytes.clone()));
            b.on(Event::RefsDropped(vec![object(i)]));
        }
    });
    timed("task: all submitted, then replies, then drops", n, |b| {
        (1..=n).for_each(|i| b.on(task(i, vec![], &b.name.clone())));
        (1..=n).for_each(|i| b.on(reply(i, &b.bytes.clone())));
        b.on(Event::RefsDropped((1..=n).map(object).collect()));
    });
    timed("task: a chain, each on the one before", n, |b| {
        for i in 1..=n {
            let dep = RefWire { id: object(i - 1), owner: address(1) };
            b.on(task(i, vec![dep], &b.name.clone()));
        }
        (1..=n).for_each(|i| b.on(reply(i, &b.bytes.clone())));
    });
    timed("call: submit, reply, drop, one at a time", n, |b| {
        for i in 1..=n {
            b.on(call(i, &b.name.clone()));
            b.on(reply(i, &b.bytes.clone()));
            b.on(Event::RefsDropped(vec![object(i)]));
        }
    });
}
