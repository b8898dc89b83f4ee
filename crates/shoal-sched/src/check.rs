//! Recomputes every index from scratch; for tests.
use crate::Sched;
use crate::entry::{Asker, Role};
use crate::pool::{Pool, signed};

impl Sched {
    /// Panics with the invariant's code when an index disagrees with what it summarises.
    pub fn sanity_check(&self) {
        let mut pool = Pool::new(&self.config.total);
        for w in self.workers.values() {
            pool.take(&w.hold, &w.gpus);
            pool.add_cpus(signed(w.lent()));
            let holds = matches!(w.role, Role::Leased(_) | Role::Actor { .. } | Role::Doomed);
            assert!(holds || w.hold.is_empty(), "SCHED-1: an idle worker holds {:?}", w.hold);
        }
        for name in self.config.total.iter().map(|(name, _)| name) {
            assert_eq!(pool.get(name), self.pool.get(name), "SCHED-1: {name}");
        }
        for (asker, entry) in &self.entries {
            assert_eq!(self.waiting.contains(asker), entry.outstanding() > 0, "SCHED-2: {asker:?}");
            if let Asker::Lease(client, key) = asker {
                let held = self.leases.values().filter(|l| (l.client, l.key) == (*client, *key)).count();
                assert_eq!(held, entry.leases, "SCHED-3: leases of {asker:?}");
            }
        }
        assert!(self.waiting.iter().all(|a| self.entries.contains_key(a)), "SCHED-2: a stranger waits");
        for (job, state) in &self.jobs {
            assert_eq!(self.leases.values().filter(|l| l.job == *job).count(), state.leases, "SCHED-3: {job:?}");
        }
        for (id, lease) in &self.leases {
            let role = self.workers.get(&lease.worker).map(|w| w.role);
            assert_eq!(role, Some(Role::Leased(*id)), "SCHED-5: worker of {id:?}");
        }
        let leased = self.workers.values().filter(|w| matches!(w.role, Role::Leased(_))).count();
        assert_eq!(leased, self.leases.len(), "SCHED-5");
    }
}
