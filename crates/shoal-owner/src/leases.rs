//! Leases: asking for them, filling them, giving them back.
//!
//! - LEASE-4 the daemon is told of demand when it begins, ends, more than doubles, or differs from what it can know
//!   after a grant; a loop of one task at a time on a kept lease says nothing.
//! - LEASE-5 a lease without work goes back after [`IDLE_MICROS`](crate::keys::IDLE_MICROS), at once when it is
//!   called back or was granted with nothing queued. One that somebody was said to wait for goes at once when that was
//!   said twice, when another key of this process waits, or when no next task is to be expected (LEASE-7); else after
//!   [`REST_MICROS`](crate::keys::REST_MICROS).
//! - LEASE-6 when the first of several tasks in a lane has made no progress for 2 ms, the others are withdrawn, the
//!   newest first, and wait in the queue for any lease.
use crate::{
    Order, Owner,
    keys::{Lease, WINDOW_MICROS, Wanted},
    lineage::Deps,
    objects::Dependent,
    tasks::{TaskState, mark},
};
use shoal_types::{Address, ErrorValue, LaneId, LeaseId, TaskId};
use std::{collections::VecDeque, sync::Arc};

impl Owner {
    pub(crate) fn on_granted(
        &mut self,
        now: u64,
        key_id: u32,
        lease: LeaseId,
        lane: LaneId,
        worker: Address,
        out: &mut Vec<Order>,
    ) {
        let key = self.keys.entry(key_id).or_default();
        key.seen += 1;
        key.told = key.told.saturating_sub(1);
        key.granted = true;
        mark(&mut self.dirty_keys, key, key_id);
        if key.live == 0 || self.objects.dead.contains(&worker.worker) {
            out.push(Order::ReturnLease(lease));
            return;
        }
        key.leases.push(Lease {
            id: lease,
            lane,
            worker,
            in_flight: VecDeque::new(),
            load: 0,
            since: now,
            stalled: false,
            recalled: false,
            wanted: Wanted::No,
            kill_for: None,
        });
        self.deadline = self.deadline.min(now + crate::keys::IDLE_MICROS);
        self.lease_keys.insert(lease, key_id);
    }

    pub(crate) fn on_recalled(&mut self, lease_id: LeaseId, out: &mut Vec<Order>) {
        let Some(&key_id) = self.lease_keys.get(&lease_id) else { return };
        let Some(lease) = self.keys.get_mut(&key_id).and_then(|k| k.lease(lease_id)) else { return };
        lease.recalled = true;
        if lease.in_flight.is_empty() {
            self.return_lease(key_id, lease_id, out);
        } else {
            self.withdraw(key_id, lease_id, 0, out);
        }
    }

    pub(crate) fn on_wanted_back(&mut self, lease_id: LeaseId) {
        let Some(&key_id) = self.lease_keys.get(&lease_id) else { return };
        let Some(key) = self.keys.get_mut(&key_id) else { return };
        if let Some(lease) = key.lease(lease_id) {
            lease.wanted = if lease.wanted == Wanted::No { Wanted::Unused } else { Wanted::Idle };
            self.deadline = self.deadline.min(lease.deadline().unwrap_or(u64::MAX));
        }
        mark(&mut self.dirty_keys, key, key_id);
    }

    pub(crate) fn on_unschedulable(&mut self, key_id: u32, error: ErrorValue, out: &mut Vec<Order>) {
        let Some(key) = self.keys.get_mut(&key_id) else { return };
        let error = Arc::new(error);
        let queue = std::mem::take(&mut key.queue);
        for (_, task) in queue {
            self.fail_task(task, error.clone(), out);
        }
    }

    /// Asks back all that is in flight on a lease but the first `keep`, the newest first.
    pub(crate) fn withdraw(&mut self, key_id: u32, lease_id: LeaseId, keep: usize, out: &mut Vec<Order>) {
        let Some(lease) = self.keys.get_mut(&key_id).and_then(|k| k.lease(lease_id)) else { return };
        for (id, _) in lease.in_flight.iter().skip(keep).rev() {
            let Some(task) = self.tasks.get_mut(id) else { continue };
            if task.state == TaskState::Pushed(lease_id) {
                task.state = TaskState::Withdrawing(lease_id);
                out.push(Order::Withdraw { lane: lease.lane, task: *id });
            }
        }
    }

    pub(crate) fn touch_key(&mut self, key_id: u32) {
        if let Some(key) = self.keys.get_mut(&key_id) {
            mark(&mut self.dirty_keys, key, key_id);
        }
    }

    fn return_lease(&mut self, key_id: u32, lease_id: LeaseId, out: &mut Vec<Order>) {
        self.drop_lease(key_id, lease_id);
        out.push(Order::ReturnLease(lease_id));
    }

    /// Forgets a lease; its tasks are the caller's.
    pub(crate) fn drop_lease(&mut self, key_id: u32, lease_id: LeaseId) -> Option<Lease> {
        self.lease_keys.remove(&lease_id);
        let leases = &mut self.keys.get_mut(&key_id)?.leases;
        let at = leases.iter().position(|l| l.id == lease_id)?;
        Some(leases.remove(at))
    }

    /// A task is no longer in flight on its lease; `progress` when the worker answered.
    pub(crate) fn detach(
        &mut self,
        now: u64,
        key_id: u32,
        lease_id: LeaseId,
        task: &TaskId,
        progress: bool,
        out: &mut Vec<Order>,
    ) {
        let Some(key) = self.keys.get_mut(&key_id) else { return };
        let Some(lease) = key.lease(lease_id) else { return };
        let removed = lease.remove(task);
        debug_assert!(removed, "TASK-1: {task} is not on its lease");
        lease.kill_for.take_if(|t| t == task);
        let idle = lease.in_flight.is_empty();
        if progress || idle {
            (lease.stalled, lease.since) = (false, now);
        }
        let (recalled, due) = (lease.recalled, lease.deadline());
        if idle {
            key.idle_since = now;
        }
        if idle && recalled {
            self.return_lease(key_id, lease_id, out);
            return;
        }
        self.deadline = self.deadline.min(due.unwrap_or(u64::MAX));
        mark(&mut self.dirty_keys, key, key_id);
    }

    /// Pushes what the leases of a key take. Tasks whose dependency was lost meanwhile fail.
    pub(crate) fn fill(&mut self, now: u64, key_id: u32, out: &mut Vec<Order>) {
        while let Some((id, cost)) = self.next_queued(key_id) {
            let has_deps = self.tasks.get(&id).is_some_and(|t| !t.spec.args.deps.is_empty());
            if has_deps && !self.deps_hold(key_id, id, out) {
                continue;
            }
            let (Some(key), Some(task)) = (self.keys.get_mut(&key_id), self.tasks.get_mut(&id)) else { return };
            let Some(lease) = key.best(cost) else { return };
            if lease.in_flight.is_empty() {
                lease.since = now;
            }
            lease.in_flight.push_back((id, cost));
            lease.load += cost;
            if lease.in_flight.len() > 1 {
                self.deadline = self.deadline.min(lease.since + u64::from(WINDOW_MICROS));
            }
            task.state = TaskState::Pushed(lease.id);
            out.push(Order::Push { lane: lease.lane, task: id, attempt: task.pushes });
            task.pushes = task.pushes.wrapping_add(1);
            let depth = task.spec.depth;
            key.queue.pop_front();
            key.count(depth, -1);
        }
    }

    /// Whether its dependencies still have values. If one has none it waits again, if one is an error it fails.
    fn deps_hold(&mut self, key_id: u32, id: TaskId, out: &mut Vec<Order>) -> bool {
        match self.deps_now(Dependent::Task(id), out) {
            Deps::Ready => return true,
            Deps::Failed(error) => self.fail_task(id, error, out),
            Deps::Missing(left) => {
                let (Some(task), Some(key)) = (self.tasks.get_mut(&id), self.keys.get_mut(&key_id)) else {
                    return false;
                };
                task.state = TaskState::Waiting(left);
                key.count(task.spec.depth, -1);
            }
        }
        false
    }

    /// The first that is alive in the queue of a key that has leases, and its expected length.
    fn next_queued(&mut self, key_id: u32) -> Option<(TaskId, u32)> {
        let key = self.keys.get_mut(&key_id)?;
        if key.leases.is_empty() {
            return None;
        }
        while let Some((place, id)) = key.queue.front() {
            match self.tasks.get(id) {
                Some(t) if t.state == TaskState::Queued && t.place == *place => {
                    return Some((*id, self.lengths.cost(&t.spec.function)));
                }
                _ => key.queue.pop_front(),
            };
        }
        None
    }

    /// LEASE-4, at the end of an event.
    pub(crate) fn ask(&mut self, now: u64, key_id: u32, out: &mut Vec<Order>) {
        self.return_wanted(now, key_id, out);
        let Some(key) = self.keys.get_mut(&key_id) else { return };
        key.dirty = false;
        if let Some(want) = key.ask() {
            out.push(Order::Demand { key: key_id, want, seen: key.seen, depth: key.depth() });
        }
        if key.live == 0 {
            key.queue.clear();
        }
    }

    /// LEASE-5: leases that others wait for, once they have taken what they can.
    fn return_wanted(&mut self, now: u64, key_id: u32, out: &mut Vec<Order>) {
        let Some(key) = self.keys.get(&key_id) else { return };
        let mut idle = key.leases.iter().filter(|l| l.wanted != Wanted::No && l.in_flight.is_empty()).peekable();
        if idle.peek().is_none() {
            return;
        }
        let spare = !key.is_a_loop() || self.keys.iter().any(|(id, k)| *id != key_id && k.told > 0);
        let unused = |l: &&Lease| spare || l.wanted == Wanted::Idle || l.deadline().is_some_and(|at| at <= now);
        for lease in idle.filter(unused).map(|l| l.id).collect::<smallvec::SmallVec<[LeaseId; 4]>>() {
            self.return_lease(key_id, lease, out);
        }
    }

    /// LEASE-5 and LEASE-6. Looks at every lease: there are few.
    pub(crate) fn on_ticked(&mut self, now: u64, out: &mut Vec<Order>) {
        let mut due: Vec<(u32, LeaseId, usize)> = Vec::new();
        self.deadline = self.wake_rested(now);
        for (id, key) in &mut self.keys {
            for lease in &mut key.leases {
                match lease.deadline() {
                    Some(at) if at <= now => due.push((*id, lease.id, lease.in_flight.len())),
                    Some(at) => self.deadline = self.deadline.min(at),
                    None => {}
                }
            }
        }
        due.sort_unstable();
        for (key_id, lease_id, in_flight) in due {
            if in_flight == 0 {
                self.return_unused(key_id, lease_id, out);
            } else {
                self.stall(key_id, lease_id, out);
            }
        }
    }

    fn return_unused(&mut self, key_id: u32, lease_id: LeaseId, out: &mut Vec<Order>) {
        if let Some(key) = self.keys.get_mut(&key_id)
            && key.lease(lease_id).is_some_and(|l| l.wanted != Wanted::No)
        {
            key.kept_in_vain();
        }
        self.return_lease(key_id, lease_id, out);
    }

    fn stall(&mut self, key_id: u32, lease_id: LeaseId, out: &mut Vec<Order>) {
        let Some(lease) = self.keys.get_mut(&key_id).and_then(|k| k.lease(lease_id)) else { return };
        lease.stalled = true;
        let first = lease.in_flight.front().and_then(|(id, _)| self.tasks.get(id));
        if let Some(task) = first {
            self.lengths.stalled(task.spec.function);
        }
        self.withdraw(key_id, lease_id, 1, out);
    }
}
