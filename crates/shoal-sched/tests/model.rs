//! Random histories against the world's own account: no over-commit but by `Unblocked`, nobody starves, everything
//! comes back, and then nothing ticks.
mod support;
use proptest::prelude::*;
use shoal_sched::Event;
use shoal_types::{JobId, Resources, WorkerId};
use support::*;

#[derive(Clone, Debug)]
enum Op {
    Demand { client: usize, key: u32, want: u32, depth: u32 },
    Start,
    StartFails,
    Return(usize),
    Recalled,
    Block(usize, bool),
    Lose(usize),
    Actor(u8),
    ActorGone(u8),
    Refuse(usize),
    Sleep(u64),
}

/// What the keys 0…6 stand for; the last never fits.
fn need(key: u32) -> Resources {
    match key {
        0 => cpus(1.0),
        1 => cpus(0.5),
        2 => cpus(2.0),
        3 => amounts(&[("CPU", 1.0), ("x", 1.0)]),
        4 => amounts(&[("GPU", 0.5)]),
        5 => amounts(&[("CPU", 0.1), ("GPU", 1.0)]),
        _ => cpus(50.0),
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => (any::<usize>(), 0..7u32, 0..5u32, 0..4u32)
            .prop_map(|(client, key, want, depth)| Op::Demand { client, key, want, depth }),
        6 => Just(Op::Start),
        1 => Just(Op::StartFails),
        4 => any::<usize>().prop_map(Op::Return),
        3 => Just(Op::Recalled),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(w, b)| Op::Block(w, b)),
        1 => any::<usize>().prop_map(Op::Lose),
        1 => (0..6u8).prop_map(Op::Actor),
        1 => (0..6u8).prop_map(Op::ActorGone),
        1 => any::<usize>().prop_map(Op::Refuse),
        3 => (1..3_000_000u64).prop_map(Op::Sleep),
    ]
}

const DRIVERS: [(u8, u32); 2] = [(1, 1), (2, 2)];

fn world() -> World {
    let mut w = World::new(amounts(&[("CPU", 3.0), ("GPU", 2.0), ("x", 1.0)]));
    for (driver, job) in DRIVERS {
        w.join(id(driver), job, true);
    }
    w
}

fn nth<T: Copy>(mut all: impl Iterator<Item = T> + Clone, n: usize) -> Option<T> {
    let count = all.clone().count();
    if count == 0 { None } else { all.nth(n % count) }
}

/// Who may ask: drivers and workers that run something.
fn clients(w: &World) -> Vec<WorkerId> {
    let workers = w.leases.values().map(|h| h.worker).chain(w.actors.values().copied());
    DRIVERS.iter().map(|(driver, _)| id(*driver)).chain(workers).collect()
}

fn apply(w: &mut World, op: Op) {
    match op {
        Op::Demand { client, key, want, depth } => {
            let client = nth(clients(w).into_iter(), client).expect("a driver is always there");
            if let Some(shape) = w.shapes.get(&client) {
                let job = shape.job.0;
                w.join(client, job, false);
            }
            w.demand(client, key, need(key), want, depth);
        }
        Op::Start => drop(w.start_one()),
        Op::StartFails => {
            if let Some((start, _)) = w.starts.pop_first() {
                w.go(Event::StartFailed { start, reason: "chance".into() });
            }
        }
        Op::Return(n) => {
            if let Some(lease) = nth(w.leases.clone().keys().copied(), n) {
                w.give_back(lease);
            }
        }
        Op::Recalled => obey(w),
        Op::Block(n, blocked) => {
            if let Some(worker) = nth(w.workers.clone().keys().copied(), n) {
                w.block(worker, blocked);
            }
        }
        Op::Lose(n) => {
            if let Some(worker) = nth(w.workers.clone().keys().copied(), n) {
                w.lose(worker);
            }
        }
        Op::Actor(n) if !w.actor_needs.contains_key(&actor(n)) => {
            let hold = if n < 3 { cpus(0.0) } else { cpus(1.0) };
            w.wants_actor(n, u32::from(n % 2) + 1, hold, cpus(1.0));
        }
        Op::Actor(_) => {}
        Op::ActorGone(n) => {
            w.go(Event::ActorGone(actor(n)));
            if let Some(worker) = w.actors.get(&actor(n)).copied() {
                w.lose(worker);
            }
        }
        Op::Refuse(n) => {
            if let Some(worker) = nth(w.doomed.clone().into_iter(), n) {
                w.go(Event::RetireRefused(worker));
            }
        }
        Op::Sleep(micros) => drop(w.sleep(micros)),
    }
}

/// Every recalled lease comes back, and every process that was to end has ended.
fn obey(w: &mut World) {
    let recalled: Vec<_> = w.leases.iter().filter(|(_, h)| h.recalled).map(|(lease, _)| *lease).collect();
    recalled.into_iter().for_each(|lease| drop(w.give_back(lease)));
    for worker in std::mem::take(&mut w.doomed) {
        w.lose(worker);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever happened: once everybody plays by the rules, every request that fits is served, though all holders
    /// want to keep what they have.
    #[test]
    fn nobody_starves(ops in prop::collection::vec(op(), 1..120)) {
        let mut w = world();
        ops.into_iter().for_each(|op| apply(&mut w, op));
        for n in 0..6 {
            apply(&mut w, Op::ActorGone(n));
        }
        for worker in w.workers.keys().copied().collect::<Vec<_>>() {
            w.block(worker, false);
        }
        for (driver, _) in DRIVERS {
            for key in 0..6 {
                w.demand(id(driver), key, need(key), 3, 0);
            }
        }
        let before = w.granted.clone();
        let mut waits: Vec<_> = DRIVERS.iter().flat_map(|(d, _)| (0..6).map(|key| (id(*d), key))).collect();
        for _ in 0..200 {
            obey(&mut w);
            for (driver, _) in DRIVERS {
                (0..6).for_each(|key| drop(w.demand(id(driver), key, need(key), 3, 0)));
            }
            w.start_all();
            w.sleep(SECOND / 5);
            // Tasks of a lease last at most two seconds, and the holder wants it again at once.
            if w.now % (2 * SECOND) < SECOND / 5 {
                let all: Vec<_> = w.leases.keys().copied().collect();
                for lease in all {
                    let Some(held) = w.leases.get(&lease).cloned() else { continue };
                    w.give_back(lease);
                    w.demand(held.client, held.key, need(held.key), 3, 0);
                }
            }
            waits.retain(|k| w.granted.get(k).unwrap_or(&0) == before.get(k).unwrap_or(&0));
            if waits.is_empty() {
                break;
            }
        }
        prop_assert!(waits.is_empty(), "starved: {:?}; {:?}", waits, w.sched.why_all());
    }

    /// Whatever happened: when all is over, everything is free, and nothing ticks.
    #[test]
    fn everything_comes_back(ops in prop::collection::vec(op(), 1..150)) {
        let mut w = world();
        ops.into_iter().for_each(|op| apply(&mut w, op));
        for (driver, job) in DRIVERS {
            w.lose_client(id(driver));
            w.go(Event::JobEnded(JobId(job)));
        }
        for n in 0..6 {
            apply(&mut w, Op::ActorGone(n));
        }
        for worker in w.workers.keys().copied().collect::<Vec<_>>() {
            w.lose(worker);
        }
        prop_assert_eq!(w.sched.available(), w.total.clone());
        prop_assert!(w.starts.is_empty());
        w.sleep(1);
        prop_assert_eq!(w.sched.next_deadline(), None);
    }
}
