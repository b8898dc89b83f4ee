//! The state and its one door.
use crate::entry::{Asker, Entry, Lease, Role, Start, Worker};
use crate::pool::{Pool, signed};
use crate::{Config, Event, Order, Shape};
use shoal_types::{JobId, LeaseId, LeaseKey, Resources, UNIT, WorkerId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A job's place in the order of turns.
#[derive(Clone, Default, Debug)]
pub(crate) struct Job {
    pub turn: u64,
    pub leases: usize,
    pub ended: bool,
}

/// Starts of one shape that failed in a row.
#[derive(Clone, Debug)]
pub(crate) struct Failing {
    pub count: u32,
    pub until: u64,
}

/// One node's scheduler.
#[derive(Clone, Debug)]
pub struct Sched {
    pub(crate) config: Config,
    pub(crate) pool: Pool,
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) clients: BTreeMap<WorkerId, JobId>,
    pub(crate) entries: BTreeMap<Asker, Entry>,
    pub(crate) waiting: BTreeSet<Asker>,
    pub(crate) workers: BTreeMap<WorkerId, Worker>,
    pub(crate) starts: BTreeMap<u64, Start>,
    pub(crate) leases: BTreeMap<LeaseId, Lease>,
    pub(crate) failing: BTreeMap<Arc<Shape>, Failing>,
    pub(crate) last_start: u64,
    pub(crate) last_lease: u64,
    pub(crate) last_turn: u64,
    /// When the pass before may come to something else by time alone.
    pub(crate) look_again: Option<u64>,
    /// Since when all workers are blocked at the cap.
    pub(crate) stuck: Option<u64>,
}

impl Sched {
    /// A node that runs nothing yet.
    pub fn new(config: Config) -> Self {
        Self {
            pool: Pool::new(&config.total),
            config,
            jobs: BTreeMap::new(),
            clients: BTreeMap::new(),
            entries: BTreeMap::new(),
            waiting: BTreeSet::new(),
            workers: BTreeMap::new(),
            starts: BTreeMap::new(),
            leases: BTreeMap::new(),
            failing: BTreeMap::new(),
            last_start: 0,
            last_lease: 0,
            last_turn: 0,
            look_again: None,
            stuck: None,
        }
    }

    /// Takes one event and appends what is to be done.
    pub fn handle(&mut self, now: u64, event: Event, out: &mut Vec<Order>) {
        match event {
            Event::ClientJoined { client, job, driver } => self.on_client_joined(client, job, driver, out),
            Event::ClientLost(client) => self.on_client_lost(client, out),
            Event::Demand { client, key, spec, want, seen, depth } => {
                self.on_demand(now, (client, key), spec, (want, seen, depth));
            }
            Event::LeaseReturned(lease) => self.on_lease_returned(now, lease),
            Event::Blocked(worker) => self.on_blocked(worker, true),
            Event::Unblocked(worker) => self.on_blocked(worker, false),
            Event::WorkerReady { start, worker } => self.on_worker_ready(now, start, worker, out),
            Event::WorkerLost(worker) => self.on_worker_lost(worker),
            Event::WorkerLingers(worker) => self.on_worker_lingers(worker, out),
            Event::StartLost(start) => drop(self.starts.remove(&start)),
            Event::StartFailed { start, reason } => self.on_start_failed(now, start, &reason, out),
            Event::ActorWanted { .. } => self.on_actor_wanted(now, event),
            Event::ActorGone(actor) => self.forget(Asker::Actor(actor)),
            Event::RetireRefused(worker) => self.on_retire_refused(now, worker),
            Event::JobEnded(job) => self.on_job_ended(job, out),
            Event::Ticked => self.on_ticked(now, out),
        }
        self.pump(now, out);
        debug_assert!(self.pool.get("CPU") >= -(signed(UNIT) * 1_000_000), "SCHED-1");
    }

    /// What is free now.
    pub fn available(&self) -> Resources {
        self.pool.available()
    }

    /// What the node has.
    pub fn total(&self) -> &Resources {
        &self.config.total
    }

    /// Whether any worker is leased or an actor.
    pub fn is_busy(&self) -> bool {
        !self.leases.is_empty() || self.workers.values().any(|w| matches!(w.role, Role::Actor { .. }))
    }

    /// (task workers idle, leased, actors, starting).
    pub fn counts(&self) -> (usize, usize, usize, usize) {
        let count = |f: fn(&Role) -> bool| self.workers.values().filter(|w| f(&w.role)).count();
        let actors = count(|r| matches!(r, Role::Actor { .. }));
        let idle = count(|r| matches!(r, Role::Idle { .. }));
        (idle, self.leases.len(), actors, self.starts.len())
    }

    fn on_demand(&mut self, now: u64, who: (WorkerId, u32), spec: Option<LeaseKey>, said: (u32, u64, u32)) {
        let asker = Asker::Lease(who.0, who.1);
        let Some(job) = self.clients.get(&who.0).copied() else { return };
        if let (false, Some(spec)) = (self.entries.contains_key(&asker), spec) {
            let turn = self.next_turn();
            self.entries.insert(asker, lease_entry(job, spec, turn, now));
        }
        let Some(entry) = self.entries.get_mut(&asker) else { return };
        let before = entry.outstanding();
        (entry.want, entry.seen, entry.depth) = said;
        let after = entry.outstanding();
        if before == 0 && after > 0 {
            entry.since = now;
            let turn = self.next_turn();
            self.entries.get_mut(&asker).expect("just used").turn = turn;
        }
        self.note_waiting(asker);
    }

    fn on_actor_wanted(&mut self, now: u64, event: Event) {
        let Event::ActorWanted { actor, job, hold, placement, runtime_env, depth, detached } = event else { return };
        self.jobs.entry(job).or_default();
        let shape = Arc::new(Shape { job, runtime_env, resources: placement.clone(), function: None });
        let turn = self.next_turn();
        let (want, seen, granted, leases, since) = (1, 0, 0, 0, now);
        let (quiet_until, warned) = (0, false);
        let entry = Entry {
            shape,
            need: placement,
            hold,
            detached,
            depth,
            want,
            seen,
            granted,
            leases,
            turn,
            since,
            quiet_until,
            warned,
        };
        self.entries.insert(Asker::Actor(actor), entry);
        self.note_waiting(Asker::Actor(actor));
    }

    fn on_lease_returned(&mut self, now: u64, lease: LeaseId) {
        let Some(worker) = self.drop_lease(lease) else { return };
        self.release(worker);
        if let Some(w) = self.workers.get_mut(&worker)
            && w.role == Role::Leased(lease)
        {
            w.role = Role::Idle { since: now };
        }
    }

    fn on_blocked(&mut self, worker: WorkerId, blocked: bool) {
        let Some(w) = self.workers.get_mut(&worker) else { return };
        let before = w.lent();
        w.blocked = blocked && matches!(w.role, Role::Leased(_) | Role::Actor { .. });
        let after = w.lent();
        self.pool.add_cpus(signed(after) - signed(before));
    }

    /// Takes the lease off every index; its worker, if there is one.
    pub(crate) fn drop_lease(&mut self, lease: LeaseId) -> Option<WorkerId> {
        let lease = self.leases.remove(&lease)?;
        if let Some(entry) = self.entries.get_mut(&Asker::Lease(lease.client, lease.key)) {
            entry.leases -= 1;
        }
        if let Some(job) = self.jobs.get_mut(&lease.job) {
            job.leases -= 1;
        }
        Some(lease.worker)
    }

    /// Gives back what the worker holds.
    pub(crate) fn release(&mut self, worker: WorkerId) {
        let Some(w) = self.workers.get_mut(&worker) else { return };
        let (lent, hold) = (w.lent(), std::mem::take(&mut w.hold));
        w.blocked = false;
        self.pool.give(&hold, &w.gpus);
        self.pool.add_cpus(-signed(lent));
    }

    pub(crate) fn forget(&mut self, asker: Asker) {
        self.entries.remove(&asker);
        self.waiting.remove(&asker);
    }

    pub(crate) fn note_waiting(&mut self, asker: Asker) {
        if self.entries.get(&asker).is_some_and(|e| e.outstanding() > 0) {
            self.waiting.insert(asker);
        } else {
            self.waiting.remove(&asker);
        }
    }

    pub(crate) fn next_turn(&mut self) -> u64 {
        self.last_turn += 1;
        self.last_turn
    }
}

fn lease_entry(job: JobId, spec: LeaseKey, turn: u64, now: u64) -> Entry {
    let shape =
        Shape { job, runtime_env: spec.runtime_env, resources: spec.resources.clone(), function: spec.max_calls };
    Entry {
        shape: Arc::new(shape),
        need: spec.resources.clone(),
        hold: spec.resources,
        detached: false,
        depth: 0,
        want: 0,
        seen: 0,
        granted: 0,
        leases: 0,
        turn,
        since: now,
        quiet_until: 0,
        warned: false,
    }
}
