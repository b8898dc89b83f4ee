//! How drivers of different jobs share a node's CPUs: real schedulers and owners, what lies between them takes its time.
//!
//! - SHARE-1 who waits for a lease gets one within a bounded number of HOLDs, and no lease stays when all is over.
//! - SHARE-2 who calls without a pause keeps what it has: drivers that share CPUs do what the CPUs allow, in equal parts,
//!   and seldom speak to the daemon.
use shoal_owner::{Event, Order, Owner};
use shoal_sched::{Config, Event as Fact, Order as Word, Sched};
use shoal_sim::Choices;
use shoal_types::{
    Address, FunctionId, JobId, LaneId, LeaseId, LeaseKey, NodeId, ObjectId, Resources, TaskId, TaskSpec, UNIT, Value,
    WorkerId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const SECOND: u64 = 1_000_000;
const HOLD: u64 = 100_000;
/// From a process to the daemon or back.
const MESSAGE: u64 = 100;
/// From a push to the worker, and from its answer to the caller.
const LANE: u64 = 5;
const FORK: u64 = 5_000;

/// What a driver does, over and over: `batch` calls, a wait for all of them, a pause.
#[derive(Clone, Copy, Debug)]
struct Program {
    pause: u64,
    length: u64,
    batch: usize,
    /// Keys that it uses in turn; key n holds n + 1 CPUs.
    keys: u32,
}

struct Driver {
    owner: Owner,
    program: Program,
    rounds: u64,
    open: BTreeSet<ObjectId>,
    leases: BTreeSet<LeaseId>,
    /// Since when it waits for a lease and has none.
    waits: Option<u64>,
    longest: u64,
    answered: u64,
}

#[derive(Default)]
struct Worker {
    /// (driver, task, attempt); the first runs.
    lane: VecDeque<(usize, TaskId, u16)>,
}

enum Step {
    Begin(usize),
    Tell(usize, Event),
    Fact(Fact),
    Started(u64),
    /// The first in the worker's lane is done.
    Done(usize),
}

struct World {
    now: u64,
    sched: Sched,
    drivers: Vec<Driver>,
    workers: Vec<Worker>,
    steps: BTreeMap<(u64, u64), Step>,
    number: u64,
    /// Messages to and from the daemon.
    messages: u64,
    until: u64,
}

fn id(kind: u8, n: usize) -> WorkerId {
    let mut raw = [kind; 16];
    raw[8..].copy_from_slice(&(n as u64).to_be_bytes());
    WorkerId(raw)
}

fn number(id: WorkerId) -> usize {
    u64::from_be_bytes(id.0[8..].try_into().expect("eight bytes")) as usize
}

fn address(worker: WorkerId) -> Address {
    Address { node: NodeId([1; 16]), worker }
}

fn cpus(n: u64) -> Resources {
    Resources::from_pairs([("CPU", n * UNIT)])
}

impl World {
    fn run(cpus_: u64, programs: &[Program], until: u64) -> Self {
        let (sched, drivers) = (Sched::new(Config::new(cpus(cpus_))), Vec::new());
        let (workers, steps) = (Vec::new(), BTreeMap::new());
        let mut world = Self { now: 1_000, sched, drivers, workers, steps, number: 0, messages: 0, until };
        for (n, program) in programs.iter().enumerate() {
            let (owner, open, leases) = (Owner::new(address(id(1, n))), BTreeSet::new(), BTreeSet::new());
            let (program, rounds, waits, longest, answered) = (*program, 0, None, 0, 0);
            world.drivers.push(Driver { owner, program, rounds, open, leases, waits, longest, answered });
            let joined = Fact::ClientJoined { client: id(1, n), job: JobId(n as u32 + 1), driver: true };
            world.after(MESSAGE, Step::Fact(joined));
            world.after(20_000 + n as u64, Step::Begin(n));
        }
        while world.step() {}
        world
    }

    fn after(&mut self, micros: u64, step: Step) {
        self.number += 1;
        self.steps.insert((self.now + micros, self.number), step);
    }

    /// False when nothing will ever happen any more but idle workers' ends.
    fn step(&mut self) -> bool {
        let owners = self.drivers.iter().filter_map(|d| d.owner.next_deadline()).min();
        let next = self.steps.keys().next().map(|(at, _)| *at);
        let Some(at) = [owners, next, self.sched.next_deadline()].into_iter().flatten().min() else { return false };
        if at > self.until + SECOND {
            return false;
        }
        self.now = self.now.max(at);
        if next == Some(at) {
            let (_, step) = self.steps.pop_first().expect("just seen");
            self.take(step);
        } else if owners == Some(at) {
            let due = |d: &Driver| d.owner.next_deadline().is_some_and(|due| due <= at);
            let due: Vec<usize> = (0..self.drivers.len()).filter(|n| due(&self.drivers[*n])).collect();
            due.into_iter().for_each(|n| self.tell(n, Event::Ticked));
        } else {
            self.fact(Fact::Ticked);
        }
        true
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Begin(n) => self.begin(n),
            Step::Tell(n, event) => self.tell(n, event),
            Step::Fact(fact) => {
                self.messages += 1;
                self.fact(fact);
            }
            Step::Started(start) => {
                self.workers.push(Worker::default());
                let worker = id(2, self.workers.len() - 1);
                self.fact(Fact::WorkerReady { start, worker });
            }
            Step::Done(worker) => self.done(worker),
        }
    }

    fn begin(&mut self, n: usize) {
        if self.now > self.until {
            return;
        }
        let driver = &mut self.drivers[n];
        driver.rounds += 1;
        let key = (driver.rounds % u64::from(driver.program.keys)) as u32;
        let tasks = (0..driver.program.batch as u64).map(|i| driver.rounds << 16 | i);
        let tasks: Vec<TaskId> = tasks.map(|i| TaskId::new((n as u64).to_be_bytes(), i)).collect();
        driver.open = tasks.iter().map(|task| ObjectId::new(*task, 0)).collect();
        for id in tasks {
            let spec = TaskSpec { key, ..TaskSpec::new(id, FunctionId([key as u8; 16]), "f".into()) };
            self.tell(n, Event::TaskSubmitted(Box::new(spec)));
        }
    }

    fn tell(&mut self, n: usize, event: Event) {
        if let Event::Granted { lease, .. } = &event {
            let driver = &mut self.drivers[n];
            driver.leases.insert(*lease);
            driver.longest = driver.longest.max(driver.waits.take().map_or(0, |since| self.now - since));
        }
        let mut orders = Vec::new();
        self.drivers[n].owner.handle(self.now, event, &mut orders);
        if self.number.is_multiple_of(61) {
            self.drivers[n].owner.sanity_check();
        }
        orders.into_iter().for_each(|order| self.order(n, order));
    }

    fn order(&mut self, n: usize, order: Order) {
        let client = id(1, n);
        match order {
            Order::Push { lane, task, attempt } => self.push(n, lane.0 as usize, task, attempt),
            Order::Withdraw { lane, task } => {
                let lane = &mut self.workers[lane.0 as usize].lane;
                let at = lane.iter().position(|(_, t, _)| *t == task).filter(|at| *at > 0);
                let done = at.map(|at| lane.remove(at)).is_some();
                self.after(0, Step::Tell(n, Event::Withdrawn { task, done }));
            }
            Order::Demand { key, want, seen, depth } => {
                let driver = &mut self.drivers[n];
                if want > 0 && driver.leases.is_empty() {
                    driver.waits.get_or_insert(self.now);
                }
                let spec = Some(LeaseKey { resources: cpus(u64::from(key) + 1), ..LeaseKey::default() });
                self.after(MESSAGE, Step::Fact(Fact::Demand { client, key, spec, want, seen, depth }));
            }
            Order::ReturnLease(lease) => {
                self.drivers[n].leases.remove(&lease);
                self.after(MESSAGE, Step::Fact(Fact::LeaseReturned(lease)));
            }
            Order::Ready(id) => self.ready(n, id),
            order => panic!("{order:?}"),
        }
    }

    fn push(&mut self, n: usize, worker: usize, task: TaskId, attempt: u16) {
        self.workers[worker].lane.push_back((n, task, attempt));
        if self.workers[worker].lane.len() == 1 {
            self.after(LANE + self.drivers[n].program.length, Step::Done(worker));
        }
    }

    fn done(&mut self, worker: usize) {
        let lane = &mut self.workers[worker].lane;
        let (n, task, attempt) = lane.pop_front().expect("it ran");
        if let Some((next, ..)) = lane.front() {
            let length = self.drivers[*next].program.length;
            self.after(length, Step::Done(worker));
        }
        let values = vec![Value::Inline { bytes: [1][..].into(), refs: vec![] }];
        let (micros, kept, worker) = (self.drivers[n].program.length as u32, vec![], id(2, worker));
        let reply = Event::Replied { task, attempt, retryable: false, micros, kept, values, worker };
        self.after(LANE, Step::Tell(n, reply));
    }

    fn ready(&mut self, n: usize, id: ObjectId) {
        let driver = &mut self.drivers[n];
        driver.open.remove(&id);
        driver.answered += 1;
        let (over, pause) = (driver.open.is_empty(), driver.program.pause);
        self.after(0, Step::Tell(n, Event::RefsDropped(vec![id])));
        if over {
            self.after(pause, Step::Begin(n));
        }
    }

    fn fact(&mut self, fact: Fact) {
        let mut words = Vec::new();
        self.sched.handle(self.now, fact, &mut words);
        self.sched.sanity_check();
        for word in words {
            let (client, event) = match word {
                Word::StartWorker { start, .. } => {
                    self.after(FORK, Step::Started(start));
                    continue;
                }
                Word::Grant { client, key, lease, worker } => {
                    let lane = LaneId(number(worker) as u64);
                    (client, Event::Granted { key, lease, lane, worker: address(worker) })
                }
                Word::Recall { client, lease } => (client, Event::Recalled(lease)),
                Word::RecallIdle { client, lease } => (client, Event::WantedBack(lease)),
                // A worker that was idle for long: it would end.
                Word::Retire(worker) => {
                    self.after(0, Step::Fact(Fact::RetireRefused(worker)));
                    continue;
                }
                word => panic!("{word:?}"),
            };
            self.messages += 1;
            self.after(MESSAGE, Step::Tell(number(client), event));
        }
    }

    fn answered(&self) -> u64 {
        self.drivers.iter().map(|d| d.answered).sum()
    }

    fn check_rest(&self) {
        for (n, driver) in self.drivers.iter().enumerate() {
            assert!(driver.open.is_empty() && driver.waits.is_none(), "SHARE-1: driver {n} waits at the end");
            assert!(driver.leases.is_empty(), "SHARE-1: driver {n} keeps {:?}", driver.leases);
        }
        assert!(!self.sched.is_busy(), "SHARE-1: a lease is left");
    }
}

const LOOP: Program = Program { pause: 10, length: 10, batch: 1, keys: 1 };

#[test]
fn four_drivers_that_call_without_a_pause_do_what_two_do() {
    let two = World::run(2, &[LOOP; 2], 2 * SECOND);
    let four = World::run(2, &[LOOP; 4], 2 * SECOND);
    four.check_rest();
    let (most, sum) = (two.answered(), four.answered());
    assert!(sum * 100 >= most * 97, "SHARE-2: {sum} calls of four, {most} of two");
    assert!(four.messages * 200 < sum, "SHARE-2: {} messages for {sum} calls", four.messages);
    for (n, driver) in four.drivers.iter().enumerate() {
        assert!(driver.answered * 100 >= sum * 20, "SHARE-2: driver {n} made {} of {sum}", driver.answered);
        assert!(driver.longest <= HOLD + HOLD / 10, "SHARE-1: driver {n} waited for {}", driver.longest);
    }
}

#[test]
fn who_calls_now_and_then_costs_the_others_little_and_gets_its_turn() {
    let rare = Program { pause: 20_000, length: 10, batch: 1, keys: 1 };
    let world = World::run(2, &[LOOP, LOOP, rare, rare], 2 * SECOND);
    world.check_rest();
    let alone = World::run(2, &[LOOP, LOOP], 2 * SECOND);
    assert!(world.answered() * 100 >= alone.answered() * 90, "SHARE-2: {} of {}", world.answered(), alone.answered());
    for (n, driver) in world.drivers.iter().enumerate() {
        assert!(driver.longest <= 2 * HOLD, "SHARE-1: driver {n} waited for {}", driver.longest);
    }
}

#[test]
fn one_cpu_goes_round() {
    let batches = Program { pause: 0, length: 50, batch: 500, keys: 1 };
    for programs in [[LOOP; 3], [LOOP, batches, LOOP], [batches; 3]] {
        let world = World::run(1, &programs, 2 * SECOND);
        world.check_rest();
        for (n, driver) in world.drivers.iter().enumerate() {
            assert!(driver.longest <= 2 * HOLD + HOLD / 10, "SHARE-1: driver {n} waited for {}", driver.longest);
            assert!(driver.answered > 500, "SHARE-2: driver {n} made {}", driver.answered);
        }
    }
}

#[test]
fn two_keys_of_one_driver_don_t_wait_for_each_other() {
    let two = Program { keys: 2, ..LOOP };
    let world = World::run(2, &[two], SECOND);
    world.check_rest();
    let rounds = world.drivers[0].answered;
    // A round gives a lease back and gets another: four messages, not HOLD.
    assert!(rounds > SECOND / (6 * MESSAGE), "{rounds} calls");
    // The first call of the second key waits for its worker's fork.
    let longest = world.drivers[0].longest;
    assert!(longest < FORK + 10 * MESSAGE, "waited for {longest}");
}

#[test]
fn nobody_waits_for_long_whatever_the_others_do() {
    for seed in 1..=40 {
        let mut choices = Choices::seeded(seed);
        let cpus = 1 + choices.below(4) as u64;
        let programs: Vec<Program> = (0..1 + choices.below(6))
            .map(|_| Program {
                pause: choices.pick(&[20, 100, 400, 1_500, 30_000, 400_000]).expect("some"),
                length: choices.pick(&[20, 300, 3_000, 40_000]).expect("some"),
                batch: choices.pick(&[1, 1, 3, 40]).expect("some"),
                keys: if choices.one_in(4) { cpus.min(2) as u32 } else { 1 },
            })
            .collect();
        let world = World::run(cpus, &programs, SECOND / 2);
        // A long batch that was begun at the end may go on.
        if world.drivers.iter().all(|d| d.open.is_empty()) {
            world.check_rest();
        }
        let slowest = programs.iter().map(|p| p.length).max().unwrap_or(0);
        let turns = programs.len() as u64 * (HOLD + 2 * slowest) + FORK * 4;
        for (n, driver) in world.drivers.iter().enumerate() {
            let waits = driver.waits.map_or(0, |since| world.now - since).max(driver.longest);
            assert!(waits <= turns, "SHARE-1: seed {seed}: driver {n} waited for {waits}: {cpus} CPUs, {programs:?}");
        }
    }
}
