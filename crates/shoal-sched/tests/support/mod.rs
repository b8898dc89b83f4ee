//! A world for the scheduler: it starts workers, keeps its own account of who holds what, and checks each order
//! against it.
#![allow(dead_code)]
use shoal_sched::{Config, Event, Order, Sched, Shape, Waiter};
use shoal_types::{ActorId, JobId, LeaseId, LeaseKey, Resources, UNIT, WorkerId};
use std::collections::BTreeMap;
use std::sync::Arc;

pub const SECOND: u64 = 1_000_000;

pub fn amounts(pairs: &[(&str, f64)]) -> Resources {
    Resources::from_pairs(pairs.iter().map(|(name, n)| (*name, (n * UNIT as f64) as u64)))
}

pub fn cpus(n: f64) -> Resources {
    amounts(&[("CPU", n)])
}

pub fn id(n: u8) -> WorkerId {
    WorkerId([n; 16])
}

pub fn actor(n: u8) -> ActorId {
    ActorId([n; 16])
}

/// What the world knows of a lease.
#[derive(Clone, Debug)]
pub struct Held {
    pub client: WorkerId,
    pub key: u32,
    pub worker: WorkerId,
    pub recalled: bool,
}

/// What the world knows of a worker.
#[derive(Clone, Debug, Default)]
pub struct Busy {
    pub hold: Resources,
    pub gpus: Vec<u32>,
    pub blocked: bool,
}

pub struct World {
    pub sched: Sched,
    pub now: u64,
    pub total: Resources,
    pub starts: BTreeMap<u64, (Arc<Shape>, Vec<u32>)>,
    pub workers: BTreeMap<WorkerId, Busy>,
    pub shapes: BTreeMap<WorkerId, Arc<Shape>>,
    pub leases: BTreeMap<LeaseId, Held>,
    pub actors: BTreeMap<ActorId, WorkerId>,
    pub needs: BTreeMap<(WorkerId, u32), LeaseKey>,
    pub granted: BTreeMap<(WorkerId, u32), u64>,
    pub actor_needs: BTreeMap<ActorId, (Resources, Resources)>,
    pub doomed: Vec<WorkerId>,
    pub refused: Vec<Order>,
    pub warned: Vec<Waiter>,
    next_worker: u32,
}

impl World {
    pub fn new(total: Resources) -> Self {
        Self::with(Config::new(total))
    }

    pub fn with(config: Config) -> Self {
        Self {
            total: config.total.clone(),
            sched: Sched::new(config),
            now: 0,
            starts: BTreeMap::new(),
            workers: BTreeMap::new(),
            shapes: BTreeMap::new(),
            leases: BTreeMap::new(),
            actors: BTreeMap::new(),
            needs: BTreeMap::new(),
            granted: BTreeMap::new(),
            actor_needs: BTreeMap::new(),
            doomed: Vec::new(),
            refused: Vec::new(),
            warned: Vec::new(),
            next_worker: 0,
        }
    }

    /// Feeds one event, checks every order against the account, and returns them.
    pub fn go(&mut self, event: Event) -> Vec<Order> {
        let mut orders = Vec::new();
        self.sched.handle(self.now, event, &mut orders);
        for order in &orders {
            self.account(order);
        }
        self.sched.sanity_check();
        orders
    }

    fn account(&mut self, order: &Order) {
        match order {
            Order::StartWorker { start, shape, gpus } => {
                self.starts.insert(*start, (shape.clone(), gpus.clone()));
            }
            Order::KillStart(start) => drop(self.starts.remove(start)),
            Order::Grant { client, key, lease, worker } => {
                let need = self.needs[&(*client, *key)].resources.clone();
                self.take(*worker, &need, &need);
                *self.granted.entry((*client, *key)).or_default() += 1;
                let held = Held { client: *client, key: *key, worker: *worker, recalled: false };
                assert!(client != worker, "a process is its own worker");
                assert!(self.leases.insert(*lease, held).is_none(), "a lease is granted twice");
            }
            Order::AssignActor { actor, worker } => {
                let (hold, need) = self.actor_needs[actor].clone();
                self.take(*worker, &need, &hold);
                self.actors.insert(*actor, *worker);
            }
            Order::Recall { client, lease } => {
                let held = self.leases.get_mut(lease).expect("a recall of a lease that is held");
                assert!(held.client == *client && !std::mem::replace(&mut held.recalled, true), "recalled twice");
            }
            Order::RecallIdle { client, lease } => {
                assert_eq!(self.leases[lease].client, *client, "a recall of a lease that is held");
            }
            Order::KillWorker { worker, .. } | Order::Retire(worker) => self.doomed.push(*worker),
            Order::Warn(who) => {
                let wait = self.sched.wait_of(*who).expect("SCHED-7: who is warned waits");
                assert!(wait.lasting && !self.warned.contains(who), "SCHED-7: {wait:?}");
                self.warned.push(*who);
            }
            Order::Unschedulable { .. } | Order::ActorUnschedulable { .. } => self.refused.push(order.clone()),
        }
    }

    /// No over-commit: what is needed is free in the world's own account.
    fn take(&mut self, worker: WorkerId, need: &Resources, hold: &Resources) {
        for (name, n) in need.iter() {
            assert!(self.free(name) >= n as i64, "over-commit of {name}: {} free, {n} needed", self.free(name));
        }
        let gpus = self.workers[&worker].gpus.clone();
        let share = hold.get("GPU").min(UNIT);
        for gpu in &gpus {
            let used: u64 =
                self.workers.values().filter(|b| b.gpus.contains(gpu)).map(|b| b.hold.get("GPU").min(UNIT)).sum();
            assert!(used + share <= UNIT, "GPU {gpu} is given out twice");
        }
        let busy = self.workers.get_mut(&worker).expect("a grant of a worker that is there");
        assert!(busy.hold.is_empty() && !busy.blocked, "a worker that is busy is granted");
        busy.hold = hold.clone();
    }

    pub fn free(&self, name: &str) -> i64 {
        let held = |b: &Busy| if b.blocked && name == "CPU" { 0 } else { b.hold.get(name) as i64 };
        self.total.get(name) as i64 - self.workers.values().map(held).sum::<i64>()
    }

    pub fn join(&mut self, client: WorkerId, job: u32, driver: bool) -> Vec<Order> {
        self.go(Event::ClientJoined { client, job: JobId(job), driver })
    }

    pub fn demand(&mut self, client: WorkerId, key: u32, resources: Resources, want: u32, depth: u32) -> Vec<Order> {
        let spec = LeaseKey { resources, ..LeaseKey::default() };
        self.needs.insert((client, key), spec.clone());
        let seen = self.granted.get(&(client, key)).copied().unwrap_or(0);
        self.go(Event::Demand { client, key, spec: Some(spec), want, seen, depth })
    }

    pub fn wants_actor(&mut self, n: u8, job: u32, hold: Resources, placement: Resources) -> Vec<Order> {
        self.actor_needs.insert(actor(n), (hold.clone(), placement.clone()));
        let (runtime_env, depth, detached) = (String::new(), 0, false);
        self.go(Event::ActorWanted { actor: actor(n), job: JobId(job), hold, placement, runtime_env, depth, detached })
    }

    /// The oldest start succeeds.
    pub fn start_one(&mut self) -> Vec<Order> {
        let Some((start, (shape, gpus))) = self.starts.pop_first() else { return Vec::new() };
        self.next_worker += 1;
        let mut raw = [0xee; 16];
        raw[..4].copy_from_slice(&self.next_worker.to_le_bytes());
        let worker = WorkerId(raw);
        self.workers.insert(worker, Busy { gpus, ..Busy::default() });
        self.shapes.insert(worker, shape);
        self.go(Event::WorkerReady { start, worker })
    }

    pub fn start_all(&mut self) -> Vec<Order> {
        let mut out = Vec::new();
        while !self.starts.is_empty() {
            out.extend(self.start_one());
        }
        out
    }

    pub fn give_back(&mut self, lease: LeaseId) -> Vec<Order> {
        let Some(held) = self.leases.remove(&lease) else { return Vec::new() };
        if let Some(busy) = self.workers.get_mut(&held.worker) {
            (busy.hold, busy.blocked) = (Resources::new(), false);
        }
        self.go(Event::LeaseReturned(lease))
    }

    pub fn lose(&mut self, worker: WorkerId) -> Vec<Order> {
        if self.workers.remove(&worker).is_none() {
            return Vec::new();
        }
        self.leases.retain(|_, held| held.worker != worker);
        self.actors.retain(|_, w| *w != worker);
        self.doomed.retain(|w| *w != worker);
        let mut out = self.go(Event::WorkerLost(worker));
        out.extend(self.lose_client(worker));
        out
    }

    pub fn lose_client(&mut self, client: WorkerId) -> Vec<Order> {
        self.leases.retain(|_, held| held.client != client);
        self.granted.retain(|(c, _), _| *c != client);
        self.go(Event::ClientLost(client))
    }

    pub fn block(&mut self, worker: WorkerId, blocked: bool) -> Vec<Order> {
        let leased = self.leases.values().any(|h| h.worker == worker) || self.actors.values().any(|w| *w == worker);
        if let Some(busy) = self.workers.get_mut(&worker).filter(|_| leased) {
            busy.blocked = blocked;
        }
        self.go(if blocked { Event::Blocked(worker) } else { Event::Unblocked(worker) })
    }

    /// Time passes; deadlines on the way are met.
    pub fn sleep(&mut self, micros: u64) -> Vec<Order> {
        let (until, mut out) = (self.now + micros, Vec::new());
        while let Some(due) = self.sched.next_deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            out.extend(self.go(Event::Ticked));
        }
        self.now = until;
        out
    }

    pub fn leases_of(&self, client: WorkerId, key: u32) -> Vec<LeaseId> {
        let of = |(_, h): &(&LeaseId, &Held)| h.client == client && h.key == key;
        self.leases.iter().filter(of).map(|(id, _)| *id).collect()
    }
}

pub fn starts(orders: &[Order]) -> usize {
    orders.iter().filter(|o| matches!(o, Order::StartWorker { .. })).count()
}

pub fn grants(orders: &[Order]) -> usize {
    orders.iter().filter(|o| matches!(o, Order::Grant { .. })).count()
}

pub fn recalls(orders: &[Order]) -> usize {
    orders.iter().filter(|o| matches!(o, Order::Recall { .. })).count()
}
