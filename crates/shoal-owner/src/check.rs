//! Every index recomputed from what it indexes. For tests: it looks at everything.
use crate::{Owner, calls::CallState, tasks::TaskState};
use rustc_hash::{FxHashMap, FxHashSet};
use shoal_types::{ActorId, Args, LeaseId, ObjectId};

impl Owner {
    /// Recomputes every index and count between events.
    ///
    /// # Panics
    /// With the code of the invariant that does not hold.
    pub fn sanity_check(&self) {
        assert!(
            self.objects.ready.is_empty()
                && self.objects.doomed.is_empty()
                && self.objects.closed.is_empty()
                && self.objects.unmade.is_empty(),
            "COUNT-3: work is left"
        );
        assert!(self.dirty_keys.is_empty() && self.dirty_actors.is_empty(), "LEASE: work is left");
        assert!(self.objects.outbox.is_empty(), "XFER-4: messages are left");
        self.check_counts();
        self.check_objects();
        self.check_tasks();
        self.check_calls();
        self.check_streams();
        self.check_resting();
        self.check_lineage();
    }

    fn check_counts(&self) {
        let (mut lent, mut contained, mut executing) = (Counts::default(), Counts::default(), Counts::default());
        self.tasks.values().for_each(|t| lent.args(&t.spec.args));
        for call in self.calls.values() {
            lent.args(&call.spec.args);
            call.spec.handle.iter().for_each(|h| lent.one(h.id));
        }
        self.actors.values().filter_map(|a| a.creation.as_ref()).for_each(|c| lent.args(&c.args));
        self.executing.values().flatten().for_each(|r| executing.one(r.id));
        let mut lineage = Counts::default();
        self.held_by_lineage().for_each(|id| lineage.one(id));
        for entry in self.objects.map.values() {
            entry.inside().for_each(|r| contained.one(r.id));
        }
        for (id, entry) in &self.objects.map {
            assert_eq!(entry.lent, lent.take(id), "COUNT-1: lent of {id}");
            assert_eq!(entry.contained, contained.take(id), "COUNT-1: contained of {id}");
            assert_eq!(entry.executing, executing.take(id), "COUNT-1: executing of {id}");
            assert_eq!(entry.lineage, lineage.take(id), "COUNT-1: lineage of {id}");
        }
        assert!(
            lent.0.is_empty() && contained.0.is_empty() && executing.0.is_empty() && lineage.0.is_empty(),
            "COUNT-1: a count without entry"
        );
    }

    fn check_objects(&self) {
        let (mut borrowed, mut held) = (0, 0);
        for (id, entry) in &self.objects.map {
            assert!(entry.wanted() || entry.pending, "COUNT-1: {id} should be gone");
            assert!(!(entry.pending && entry.value.is_some()), "TASK-1: {id} has a value and waits for one");
            let has_task = self.tasks.contains_key(&id.task) || self.calls.contains_key(&id.task);
            assert!(!entry.pending || has_task, "TASK-1: nobody makes {id}");
            let mine = entry.owner.worker == self.me.worker;
            assert!(mine || self.objects.by_owner.get(&entry.owner.worker).is_some_and(|s| s.contains(id)), "by_owner");
            borrowed += usize::from(!mine);
            for ((holder, flow), n) in entry.shared.iter().flat_map(|s| &s.holders) {
                assert!(mine && *n != 0, "XFER-2: {holder} {flow:?} {n} of {id}");
                let listed = self.objects.by_holder.get(holder).is_some_and(|s| s.contains(&(*id, *flow)));
                assert!(listed, "by_holder of {id}");
                held += 1;
            }
            let waits = !entry.pending && mine && entry.shared.as_ref().is_some_and(|s| !s.fetchers.is_empty());
            assert!(!waits, "XFER-1: {id} is ready and was not sent");
        }
        assert_eq!(borrowed, self.objects.by_owner.values().map(|s| s.len()).sum::<usize>(), "by_owner");
        assert_eq!(held, self.objects.by_holder.values().map(|s| s.len()).sum::<usize>(), "by_holder");
    }

    fn check_tasks(&self) {
        let mut on_lease: FxHashMap<LeaseId, usize> = FxHashMap::default();
        let mut queued: FxHashMap<u32, u32> = FxHashMap::default();
        for (id, task) in &self.tasks {
            if let Some(lease) = task.lease() {
                *on_lease.entry(lease).or_default() += 1;
                assert_eq!(self.lease_keys.get(&lease), Some(&task.spec.key), "LEASE-2: lease of {id}");
            }
            if task.state == TaskState::Queued {
                *queued.entry(task.spec.key).or_default() += 1;
                let queue = &self.keys[&task.spec.key].queue;
                assert!(
                    queue.binary_search_by_key(&task.place, |(p, _)| *p).is_ok(),
                    "LEASE-1: {id} is queued nowhere"
                );
            }
        }
        let mut leases = 0;
        for (id, key) in &self.keys {
            assert!(!key.dirty, "LEASE-4: key {id} was not looked after");
            assert_eq!(key.live, queued.remove(id).unwrap_or(0), "LEASE-1: live of key {id}");
            assert!(key.queue.iter().is_sorted(), "LEASE-1: queue of key {id}");
            for lease in &key.leases {
                leases += 1;
                assert_eq!(self.lease_keys.get(&lease.id), Some(id), "LEASE-5: index");
                assert_eq!(lease.load, lease.in_flight.iter().map(|(_, c)| c).sum::<u32>(), "LEASE-2: load");
                assert_eq!(lease.in_flight.len(), on_lease.remove(&lease.id).unwrap_or(0), "LEASE-2: in flight");
                assert!(lease.deadline().is_none_or(|at| at >= self.deadline), "LEASE-5: a deadline is missed");
                assert!(!(lease.recalled && lease.in_flight.is_empty()), "LEASE-5: an idle lease was called back");
            }
        }
        assert_eq!(leases, self.lease_keys.len(), "LEASE-5: index");
    }

    /// Actors that are dead, and their processes are not gone yet.
    fn check_dying(&self) -> FxHashSet<ActorId> {
        for worker in self.actor_of.keys() {
            assert!(!self.objects.dead.contains(worker), "DEATH-7: {worker} is gone");
        }
        let dying: FxHashSet<ActorId> = self.actor_of.values().copied().collect();
        for (id, actor) in self.actors.iter().filter(|(_, a)| a.dead().is_some()) {
            assert!(
                actor.creation.is_none() || dying.contains(id),
                "DEATH-7: what {id} was made with is lent for ever"
            );
        }
        dying
    }

    fn check_calls(&self) {
        let (mut abandoned, dying) = (0, self.check_dying());
        for (id, call) in &self.calls {
            let actor = &self.actors[&call.spec.actor];
            assert!(actor.calls.contains(id), "CALL-1: {id} is not listed");
            abandoned += usize::from(call.state == CallState::Abandoned);
            let waits = call.state == CallState::Queued;
            assert!(!(waits && actor.unordered && actor.up().is_some()), "CALL-2: {id} should have gone");
            let holds_up = matches!(call.state, CallState::Waiting(_) | CallState::Resting(_));
            let queued = waits || (holds_up && !actor.unordered);
            let listed = actor.queue.binary_search_by_key(&call.place, |(p, _)| *p).is_ok();
            assert!(!queued || listed, "CALL-1: {id} is queued nowhere");
            let dying = call.state == CallState::Abandoned && dying.contains(&call.spec.actor);
            assert!(actor.dead().is_none() || dying, "DEATH-7: {id} outlives its actor");
            let refused = actor.restart().is_some() && waits && !call.may_wait();
            assert!(!refused, "ACTOR-5: {id} waits for a life that it wasn't made for");
        }
        assert_eq!(self.calls.len(), self.actors.values().map(|a| a.calls.len()).sum::<usize>(), "CALL-1: index");
        assert_eq!(abandoned, self.actors.values().map(|a| a.abandoned).sum::<usize>(), "CALL-1: abandoned");
        for actor in self.actors.values() {
            assert!(actor.queue.iter().is_sorted(), "CALL-1: queue");
            assert!(
                actor.queue.back().is_none_or(|(_, id)| self.calls.contains_key(id)),
                "CALL-1: a queue ends in nothing"
            );
        }
    }
}

/// A multiset of objects.
#[derive(Default)]
struct Counts(FxHashMap<ObjectId, u32>);

impl Counts {
    fn one(&mut self, id: ObjectId) {
        *self.0.entry(id).or_default() += 1;
    }

    fn args(&mut self, args: &Args) {
        args.deps.iter().chain(&args.refs).for_each(|r| self.one(r.id));
    }

    fn take(&mut self, id: &ObjectId) -> u32 {
        self.0.remove(id).unwrap_or(0)
    }
}
