//! Processes come and go: clients, workers, starts, jobs.
use crate::entry::{Asker, Entry, Role, Start, Worker};
use crate::{Order, Sched, Shape};
use shoal_types::{ErrorKind, ErrorValue, JobId, Resources, UNIT, WorkerId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Starts of one shape that fail in a row before who waits for it is told.
const TRIES: u32 = 3;
/// Most workers started ahead of a driver's first call.
const AHEAD: usize = 32;

impl Sched {
    pub(crate) fn on_client_joined(&mut self, client: WorkerId, job: JobId, driver: bool, out: &mut Vec<Order>) {
        self.clients.insert(client, job);
        self.jobs.entry(job).or_default();
        let plain = Resources::from_pairs([("CPU", UNIT)]);
        let room = self.config.max_workers.saturating_sub(self.task_workers());
        if !driver || !self.pool.fits(&plain) {
            return;
        }
        let shape = Arc::new(Shape { job, runtime_env: String::new(), resources: plain, function: None });
        for _ in 0..self.config.cpus().min(AHEAD).min(room) {
            self.start(shape.clone(), Vec::new(), out);
        }
    }

    pub(crate) fn start(&mut self, shape: Arc<Shape>, gpus: Vec<u32>, out: &mut Vec<Order>) -> u64 {
        self.last_start += 1;
        self.starts.insert(self.last_start, Start { shape: shape.clone(), gpus: gpus.clone() });
        out.push(Order::StartWorker { start: self.last_start, shape, gpus });
        self.last_start
    }

    pub(crate) fn on_client_lost(&mut self, client: WorkerId, out: &mut Vec<Order>) {
        self.clients.remove(&client);
        let held: Vec<_> = self.leases.iter().filter(|(_, l)| l.client == client).map(|(id, _)| *id).collect();
        for lease in held {
            let worker = self.drop_lease(lease).expect("listed above");
            self.doom(worker, "the process that it ran tasks for is gone", out);
        }
        let asked: Vec<_> = self.asked_by(client).collect();
        asked.into_iter().for_each(|asker| self.forget(asker));
    }

    fn asked_by(&self, client: WorkerId) -> impl Iterator<Item = Asker> {
        self.entries.range(Asker::Lease(client, 0)..=Asker::Lease(client, u32::MAX)).map(|(asker, _)| *asker)
    }

    /// Orders the worker's death; what it holds stays held until it is gone.
    pub(crate) fn doom(&mut self, worker: WorkerId, why: &str, out: &mut Vec<Order>) {
        if let Some(w) = self.workers.get_mut(&worker)
            && w.role != Role::Doomed
        {
            w.role = Role::Doomed;
            out.push(Order::KillWorker { worker, why: why.into() });
        }
    }

    pub(crate) fn on_worker_ready(&mut self, now: u64, start: u64, worker: WorkerId, out: &mut Vec<Order>) {
        let Some(Start { shape, gpus }) = self.starts.remove(&start) else {
            out.push(Order::KillWorker { worker, why: "nobody waits for it any more".into() });
            return;
        };
        self.failing.remove(&shape);
        let (hold, role) = (Resources::new(), Role::Idle { since: now });
        self.workers.insert(worker, Worker { shape, gpus, fresh: true, role, hold, blocked: false });
    }

    pub(crate) fn on_worker_lost(&mut self, worker: WorkerId) {
        self.release(worker);
        let Some(gone) = self.workers.remove(&worker) else { return };
        if let Role::Leased(lease) = gone.role {
            self.drop_lease(lease);
        }
    }

    pub(crate) fn on_worker_lingers(&mut self, worker: WorkerId, out: &mut Vec<Order>) {
        if let Some(Role::Leased(id)) = self.workers.get(&worker).map(|w| w.role)
            && let Some(lease) = self.leases.get(&id)
        {
            out.push(Order::Recall { client: lease.client, lease: id });
        }
        self.on_worker_lost(worker);
    }

    pub(crate) fn on_start_failed(&mut self, now: u64, start: u64, reason: &str, out: &mut Vec<Order>) {
        let Some(Start { shape, .. }) = self.starts.remove(&start) else { return };
        let failing = self.failing.entry(shape.clone()).or_insert(crate::core::Failing { count: 0, until: 0 });
        failing.count += 1;
        failing.until = now + (100_000 << failing.count.min(6));
        if failing.count < TRIES {
            return;
        }
        self.failing.remove(&shape);
        let error = ErrorValue::new(ErrorKind::RuntimeEnv, format!("a worker process could not be started: {reason}"));
        let waits: Vec<_> = self.waiting.iter().copied().filter(|a| self.entries[a].shape == shape).collect();
        waits.into_iter().for_each(|asker| self.refuse(asker, error.clone(), out));
    }

    /// Tells the asker that it won't be served; it waits no more.
    pub(crate) fn refuse(&mut self, asker: Asker, error: ErrorValue, out: &mut Vec<Order>) {
        self.waiting.remove(&asker);
        match asker {
            Asker::Actor(actor) => {
                self.entries.remove(&asker);
                out.push(Order::ActorUnschedulable { actor, error });
            }
            Asker::Lease(client, key) => {
                self.entries.get_mut(&asker).expect("who waits is known").want = 0;
                out.push(Order::Unschedulable { client, key, error });
            }
        }
    }

    pub(crate) fn on_retire_refused(&mut self, now: u64, worker: WorkerId) {
        if let Some(w) = self.workers.get_mut(&worker)
            && w.role == Role::Retiring
        {
            w.role = Role::Idle { since: now };
        }
    }

    /// Everything of the job ends but detached actors, and what runs for them.
    pub(crate) fn on_job_ended(&mut self, job: JobId, out: &mut Vec<Order>) {
        let survivors = self.survivors(job);
        let ends = |asker: &Asker, e: &Entry| match asker {
            Asker::Actor(_) => !e.detached,
            Asker::Lease(client, _) => !survivors.contains(client),
        };
        let gone: Vec<_> =
            self.entries.iter().filter(|(a, e)| e.shape.job == job && ends(a, e)).map(|(a, _)| *a).collect();
        gone.into_iter().for_each(|asker| self.forget(asker));
        let keeps = self.entries.values().any(|e| e.shape.job == job && e.outstanding() > 0);
        let workers: Vec<_> = self.workers.iter().filter(|(_, w)| w.shape.job == job).map(|(id, _)| *id).collect();
        for worker in workers.into_iter().filter(|w| !survivors.contains(w)) {
            if let Role::Leased(lease) = self.workers[&worker].role {
                self.drop_lease(lease);
            }
            self.doom(worker, "its job is over", out);
        }
        if !keeps {
            let starts: Vec<_> = self.starts.iter().filter(|(_, s)| s.shape.job == job).map(|(id, _)| *id).collect();
            for start in starts {
                self.starts.remove(&start);
                out.push(Order::KillStart(start));
            }
        }
        self.failing.retain(|shape, _| shape.job != job);
        if let Some(j) = self.jobs.get_mut(&job) {
            j.ended = true;
        }
        if survivors.is_empty() && !keeps && self.clients.values().all(|j| *j != job) {
            self.jobs.remove(&job);
        }
    }

    fn is_detached(&self, worker: WorkerId) -> bool {
        self.workers.get(&worker).is_some_and(|w| matches!(w.role, Role::Actor { detached: true, .. }))
    }

    /// Workers of the job that outlive it: detached actors, and whom they lease, to any depth.
    fn survivors(&self, job: JobId) -> BTreeSet<WorkerId> {
        let mut out: BTreeSet<_> = self
            .workers
            .iter()
            .filter(|(id, w)| w.shape.job == job && self.is_detached(**id))
            .map(|(id, _)| *id)
            .collect();
        loop {
            let more: Vec<_> = self
                .leases
                .values()
                .filter(|l| out.contains(&l.client) && !out.contains(&l.worker))
                .map(|l| l.worker)
                .collect();
            if more.is_empty() {
                return out;
            }
            out.extend(more);
        }
    }

    /// Processes that count for the cap.
    pub(crate) fn task_workers(&self) -> usize {
        let actors = self.workers.values().filter(|w| matches!(w.role, Role::Actor { .. })).count();
        self.workers.len() - actors + self.starts.len()
    }
}
