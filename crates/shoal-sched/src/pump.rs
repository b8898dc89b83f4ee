//! The pass: grants what can be granted, starts what must be started, recalls what stands in the way.
use crate::entry::{Asker, Entry, Lease, Role, serves};
use crate::place::Walk;
use crate::{Order, Sched};
use shoal_types::{ErrorKind, ErrorValue, LeaseId, Resources, WorkerId};

/// A large request has what becomes free kept for it from here on …
const KEEP_AFTER: u64 = 100_000;
/// … in every other such span, so that what it waits for can itself go on.
const KEEP_SPAN: u64 = 2_000_000;
/// All workers at the cap blocked for so long: nothing else can run.
const STUCK: u64 = 5_000_000;

enum Outcome {
    Granted,
    Promised,
    /// Resources are missing.
    Short,
    /// A process is missing and can't be started now.
    NoProcess,
}

impl Sched {
    pub(crate) fn pump(&mut self, now: u64, out: &mut Vec<Order>) {
        self.look_again = None;
        if self.waiting.is_empty() {
            self.stuck = None;
            return;
        }
        let mut walk = Walk::new(self, now);
        let mut local = self.last_turn;
        while let Some(i) = walk.next() {
            let asker = walk.cands[i].asker;
            match self.attempt(now, &mut walk, asker, out) {
                Outcome::Granted => {
                    local = local.max(self.last_turn) + 1;
                    walk.served(i, local);
                }
                Outcome::Promised => {
                    local += 1;
                    walk.served(i, local);
                }
                Outcome::Short => {
                    self.fall_short(now, &mut walk, i, out);
                    walk.cands.swap_remove(i);
                }
                Outcome::NoProcess => {
                    let like = self.entries[&asker].clone();
                    self.note_stuck(now, &mut walk, asker, out);
                    walk.cands.swap_remove(i);
                    if self.stuck.is_none() && matches!(asker, Asker::Actor(_)) {
                        self.pass_over(&mut walk, &like);
                    }
                }
            }
        }
        self.look_again = walk.look_again;
    }

    fn attempt(&mut self, now: u64, walk: &mut Walk, asker: Asker, out: &mut Vec<Order>) -> Outcome {
        let entry = &self.entries[&asker];
        if !walk.pool.fits(&entry.need) {
            return Outcome::Short;
        }
        if let Some(worker) = self.idle_for(asker, entry, walk) {
            self.grant(now, walk, asker, worker, out);
            return Outcome::Granted;
        }
        let claim = self.starts.iter().find(|(id, s)| {
            let fits = walk.pool.gpus_fit(&s.gpus, &entry.need);
            !walk.claimed.contains(id) && fits && serves(asker, &entry.shape, &s.shape, true)
        });
        let start = match claim {
            Some((start, _)) => Some(*start),
            None => self.start_for(now, walk, asker, out),
        };
        let Some(start) = start else { return Outcome::NoProcess };
        let hold = self.entries[&asker].hold.clone();
        walk.claimed.insert(start);
        walk.pool.take(&hold, &self.starts[&start].gpus);
        walk.soon.take(&hold, &self.starts[&start].gpus);
        Outcome::Promised
    }

    /// The worker that was idle last; for a task one that has run before, for an actor a fresh one (SCHED-5).
    fn idle_for(&self, asker: Asker, entry: &Entry, walk: &Walk) -> Option<WorkerId> {
        let idle = self.workers.iter().filter_map(|(id, w)| match w.role {
            Role::Idle { since } if walk.pool.gpus_fit(&w.gpus, &entry.need) => Some((id, w, since)),
            _ => None,
        });
        let itself = |id: &WorkerId| matches!(asker, Asker::Lease(client, _) if client == *id);
        let fit = idle.filter(|(id, w, _)| !itself(id) && serves(asker, &entry.shape, &w.shape, w.fresh));
        fit.max_by_key(|(_, w, since)| (!w.fresh, *since)).map(|(id, ..)| *id)
    }

    fn grant(&mut self, now: u64, walk: &mut Walk, asker: Asker, worker: WorkerId, out: &mut Vec<Order>) {
        let turn = self.next_turn();
        self.stuck = None;
        let entry = self.entries.get_mut(&asker).expect("who waits is known");
        let (hold, job, depth) = (entry.hold.clone(), entry.shape.job, entry.depth);
        let w = self.workers.get_mut(&worker).expect("chosen from the workers");
        for pool in [&mut self.pool, &mut walk.pool, &mut walk.soon] {
            pool.take(&hold, &w.gpus);
        }
        (w.hold, w.fresh) = (hold, false);
        (entry.turn, entry.since) = (turn, now);
        entry.granted += 1;
        self.jobs.entry(job).or_default().turn = turn;
        match asker {
            Asker::Actor(actor) => {
                w.role = Role::Actor { actor, detached: entry.detached };
                self.forget(asker);
                out.push(Order::AssignActor { actor, worker });
            }
            Asker::Lease(client, key) => {
                entry.leases += 1;
                self.jobs.entry(job).or_default().leases += 1;
                self.last_lease += 1;
                let lease = LeaseId(self.last_lease);
                w.role = Role::Leased(lease);
                self.leases
                    .insert(lease, Lease { client, key, job, worker, depth, since: now, recalled: None, wanted: 0 });
                self.note_waiting(asker);
                out.push(Order::Grant { client, key, lease, worker });
            }
        }
    }

    fn start_for(&mut self, now: u64, walk: &mut Walk, asker: Asker, out: &mut Vec<Order>) -> Option<u64> {
        let shape = self.entries[&asker].shape.clone();
        if let Some(until) = self.failing.get(&shape).map(|f| f.until).filter(|until| *until > now) {
            walk.look_again_at(until);
            return None;
        }
        if self.starts.len() >= (2 * self.config.cpus()).max(4) {
            return None;
        }
        if self.task_workers() >= self.config.max_workers && !matches!(asker, Asker::Actor(_)) {
            self.make_room(out);
            return None;
        }
        let gpus = walk.pool.pick_gpus(&shape.resources)?;
        Some(self.start(shape, gpus, out))
    }

    /// Nothing has changed since an actor found no process: those that want the same find none either. Else each of a
    /// thousand that are made together would look through all workers at each event.
    fn pass_over(&self, walk: &mut Walk, like: &Entry) {
        walk.cands.retain(|c| {
            let entry = &self.entries[&c.asker];
            !matches!(c.asker, Asker::Actor(_)) || entry.need != like.need || entry.shape != like.shape
        });
    }

    /// At the cap: the worker that has been idle longest goes, unless one is on its way already.
    fn make_room(&mut self, out: &mut Vec<Order>) {
        let leaving = self.workers.values().any(|w| matches!(w.role, Role::Retiring | Role::Doomed));
        let idle = self.workers.iter().filter_map(|(id, w)| match w.role {
            Role::Idle { since } => Some((since, *id)),
            _ => None,
        });
        if let (false, Some((_, worker))) = (leaving, idle.min()) {
            self.workers.get_mut(&worker).expect("just seen").role = Role::Retiring;
            out.push(Order::Retire(worker));
        }
    }

    /// Resources are missing for `cands[i]`: recall, and keep what is free for it when it has waited (SCHED-4).
    fn fall_short(&mut self, now: u64, walk: &mut Walk, i: usize, out: &mut Vec<Order>) {
        self.recall_for(now, walk, i, out);
        let entry = &self.entries[&walk.cands[i].asker];
        if !self.reachable(&entry.need) {
            return;
        }
        let waited = now.saturating_sub(entry.since);
        if waited < KEEP_AFTER {
            walk.look_again_at(entry.since + KEEP_AFTER);
            return;
        }
        let span = waited / KEEP_SPAN;
        walk.look_again_at(entry.since + (span + 1) * KEEP_SPAN);
        if span.is_multiple_of(2) {
            walk.pool.take(&entry.need, &[]);
        }
    }

    /// Whether running tasks alone stand in the way of `need`.
    pub(crate) fn reachable(&self, need: &Resources) -> bool {
        let mut left = self.config.total.clone();
        for w in self.workers.values().filter(|w| matches!(w.role, Role::Actor { .. })) {
            left.subtract(&w.hold);
        }
        left.covers(need)
    }

    fn note_stuck(&mut self, now: u64, walk: &mut Walk, asker: Asker, out: &mut Vec<Order>) {
        let runs = self.workers.values().any(|w| match w.role {
            Role::Leased(_) => !w.blocked,
            Role::Idle { .. } | Role::Retiring | Role::Doomed => true,
            Role::Actor { .. } => false,
        });
        if runs || !self.starts.is_empty() || self.task_workers() < self.config.max_workers {
            self.stuck = None;
            return;
        }
        let since = *self.stuck.get_or_insert(now);
        if now < since + STUCK {
            walk.look_again_at(since + STUCK);
            return;
        }
        let text = self.chain_text(asker);
        self.refuse(asker, ErrorValue::new(ErrorKind::Unschedulable, text), out);
    }
}
