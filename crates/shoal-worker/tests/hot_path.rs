//! Guards without a clock: what one task costs between the caller's core and the worker, in allocations, live bytes and
//! instructions. The path is the product's: core, request frame, ring, reply frame, core. A bound has a tenth to spare;
//! who makes the path shorter lowers it.
use shoal_owner::{Event, Order, Owner};
use shoal_proto::Writer;
use shoal_proto::lane::{RawSlot, Reply, Request, RequestHead, Status, Target, put_args, put_raw_slot};
use shoal_ring::{Bell, CallerLane, Lane, PeerBell, WorkerLane};
use shoal_types::{Address, Args, FunctionId, LaneId, LeaseId, NodeId, ObjectId, TaskId, TaskSpec, Value, WorkerId};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::process::Command;
use std::sync::Arc;

const ALLOCATIONS: f64 = 11.0;
const BYTES: i64 = 680;
const INSTRUCTIONS: u64 = 10_700;

thread_local! {
    static MADE: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator; counts what this thread asks of it.
struct Counting;

fn count(made: u64, bytes: i64) {
    MADE.set(MADE.get() + made);
    LIVE.set(LIVE.get() + bytes);
}

// SAFETY: it only counts, in cells that need no destructor; every call goes to `System` as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn address(n: u8) -> Address {
    Address { node: NodeId([1; 16]), worker: WorkerId([n; 16]) }
}

/// A caller and a worker in one thread.
struct Path {
    owner: Owner,
    orders: Vec<Order>,
    caller: CallerLane,
    worker: WorkerLane,
    bell: Bell,
    worker_bell: PeerBell,
    name: Arc<str>,
    next: u64,
    frame: Vec<u8>,
}

impl Path {
    fn new() -> Self {
        let fd = Lane::create(1, 0, 7).unwrap();
        let (bell, bell_fd) = Bell::create().unwrap();
        Self {
            owner: Owner::new(address(1)),
            orders: Vec::new(),
            caller: CallerLane::map(&fd).unwrap(),
            worker: WorkerLane::map(&fd).unwrap(),
            bell,
            worker_bell: PeerBell::map(&bell_fd).unwrap(),
            name: "module::function".into(),
            next: 0,
            frame: Vec::new(),
        }
    }

    /// With a lease on the worker, kept by the tasks that follow.
    fn leased() -> Self {
        let mut path = Self::new();
        path.submit();
        path.on(Event::Granted { key: 0, lease: LeaseId(1), lane: LaneId(1), worker: address(10) });
        path.finish();
        path
    }

    fn on(&mut self, event: Event) {
        self.owner.handle(1_000, event, &mut self.orders);
    }

    fn submit(&mut self) {
        self.next += 1;
        let mut bytes = Vec::with_capacity(16);
        put_raw_slot(&mut bytes, None, &RawSlot::Value(&[3, 1, 0, 0]));
        let spec = TaskSpec {
            max_retries: 3,
            args: Args { bytes, deps: Vec::new(), refs: Vec::new() },
            ..TaskSpec::new(TaskId::new([1; 8], self.next), FunctionId([1; 16]), self.name.clone())
        };
        self.on(Event::TaskSubmitted(Box::new(spec)));
    }

    /// Carries out the push that the core ordered.
    fn push(&mut self) {
        let pushed = self.orders.drain(..).find_map(|order| match order {
            Order::Push { task, attempt, .. } => Some((task, attempt)),
            _ => None,
        });
        let (task, attempt) = pushed.expect("the core orders a push");
        let spec = self.owner.task(&task).expect("a pushed task");
        self.frame.clear();
        let mut w = Writer(&mut self.frame);
        let head = RequestHead {
            attempt,
            task,
            num_returns: spec.num_returns,
            window: spec.window,
            depth: spec.depth,
            name: &spec.name,
            retry_exceptions: spec.retry_exceptions,
            last_try: false,
            target: Target::Function(spec.function),
        };
        head.encode(&mut w);
        put_args(&mut w, &spec.args.bytes, &spec.args.refs, |i| self.owner.dep_value(&spec.args, i), |_| None).unwrap();
        self.caller.requests.push(&[&self.frame]).expect("an empty ring");
        let _ = self.worker_bell.ring(self.caller.worker_slot());
    }

    /// The worker takes the request and answers it.
    fn work(&mut self) {
        self.bell.drain(|_| ());
        self.worker.requests.take(&mut self.frame).unwrap().expect("a request");
        let request = Request::decode(&self.frame).unwrap();
        assert_eq!(request.args.slots.len(), 1);
        let (attempt, task) = (request.attempt, request.task);
        let values = vec![Value::Inline { bytes: [1, 2, 3][..].into(), refs: Vec::new() }];
        self.frame.clear();
        Reply { attempt, task, status: Status::Done, micros: 20, kept: Vec::new(), values }.encode(&mut self.frame);
        self.worker.replies.push(&[&self.frame]).expect("an empty ring");
    }

    /// The caller reads the reply, and its program lets the value go.
    fn read(&mut self) {
        self.caller.replies.take(&mut self.frame).unwrap().expect("a reply");
        let Reply { attempt, task, micros, kept, values, .. } = Reply::decode(&self.frame).unwrap();
        let worker = address(10).worker;
        self.on(Event::Replied { task, attempt, retryable: false, micros, kept, values, worker });
        let id = ObjectId::new(task, 0);
        assert!(self.owner.value(&id).is_some());
        self.on(Event::RefsDropped(vec![id]));
        self.orders.clear();
    }

    fn finish(&mut self) {
        self.push();
        self.work();
        self.read();
    }

    fn call(&mut self) {
        self.submit();
        self.finish();
    }
}

#[test]
fn a_task_allocates_no_more() {
    let mut path = Path::leased();
    (0..100).for_each(|_| path.call());
    let before = MADE.get();
    (0..1000).for_each(|_| path.call());
    let each = (MADE.get() - before) as f64 / 1000.0;
    println!("{each} allocations a task");
    assert!(each <= ALLOCATIONS, "{each} allocations a task, {ALLOCATIONS} at most");
}

#[test]
fn a_queued_task_holds_no_more_memory() {
    let mut path = Path::new();
    let before = LIVE.get();
    (0..10_000).for_each(|_| path.submit());
    path.orders = Vec::new();
    let each = (LIVE.get() - before) / 10_000;
    println!("{each} bytes a queued task");
    assert!(each <= BYTES, "a queued task holds {each} bytes in the core, {BYTES} at most");
}

/// What [`a_task_takes_no_more_instructions`] runs under callgrind; nothing by itself.
#[test]
fn so_many_calls() {
    if let Ok(calls) = std::env::var("HOT_PATH_CALLS") {
        let mut path = Path::leased();
        (0..calls.parse::<u32>().unwrap()).for_each(|_| path.call());
    }
}

#[test]
fn a_task_takes_no_more_instructions() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("no valgrind: instructions are not counted");
        return;
    }
    let each = (instructions(2_200) - instructions(200)) / 2_000;
    println!("{each} instructions a task");
    assert!(each <= INSTRUCTIONS, "{each} instructions a task, {INSTRUCTIONS} at most");
}

/// Instructions of a process that makes so many calls.
fn instructions(calls: u32) -> u64 {
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "so_many_calls", "--test-threads=1"])
        .env("HOT_PATH_CALLS", calls.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    let (_, collected) = said.split_once("Collected : ").expect("callgrind says what it collected");
    collected.split_whitespace().next().unwrap().parse().unwrap()
}
