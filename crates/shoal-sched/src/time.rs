//! What time alone brings: idle workers end, requests that never fit are told, and those that wait for long.
use crate::entry::{Asker, Entry, Role};
use crate::{Order, Sched};
use shoal_types::WorkerId;

/// Idle workers beyond two a CPU end after so long …
const SURPLUS: u64 = 5_000_000;
/// … the others after so long.
const SPARE: u64 = 60_000_000;

impl Sched {
    /// When [`Event::Ticked`](crate::Event::Ticked) is due; `None`: only something else can change anything (SCHED-6).
    pub fn next_deadline(&self) -> Option<u64> {
        let idle = self.idle_until().into_iter().map(|(until, _)| until).min();
        let infeasible = self.waiting.iter().filter_map(|a| self.infeasible_at(&self.entries[a])).min();
        let warn = self.waiting.iter().filter_map(|a| self.warn_at(&self.entries[a])).min();
        [idle, infeasible, warn, self.look_again].into_iter().flatten().min()
    }

    pub(crate) fn on_ticked(&mut self, now: u64, out: &mut Vec<Order>) {
        for (until, worker) in self.idle_until() {
            if until <= now {
                self.workers.get_mut(&worker).expect("listed above").role = Role::Retiring;
                out.push(Order::Retire(worker));
            }
        }
        let late = |a: &&Asker| self.infeasible_at(&self.entries[*a]).is_some_and(|at| at <= now);
        let late: Vec<_> = self.waiting.iter().filter(late).copied().collect();
        for asker in late {
            let error = self.infeasible_error(asker);
            self.refuse(asker, error, out);
        }
        self.warn(now, out);
    }

    /// SCHED-7.
    fn warn(&mut self, now: u64, out: &mut Vec<Order>) {
        let Some(after) = self.config.warn_after else { return };
        let due = |a: &&Asker| self.warn_at(&self.entries[*a]).is_some_and(|at| at <= now);
        let due: Vec<_> = self.waiting.iter().filter(due).copied().collect();
        for asker in due {
            let lasting = self.is_lasting(&self.entries[&asker]);
            let entry = self.entries.get_mut(&asker).expect("who waits is known");
            (entry.warned, entry.quiet_until) = (lasting, now + after);
            if lasting {
                out.push(Order::Warn(asker.waiter()));
            }
        }
    }

    /// When it is to be looked whether the asker waits for what running work will not release.
    fn warn_at(&self, entry: &Entry) -> Option<u64> {
        let after = self.config.warn_after.filter(|_| !entry.warned)?;
        Some((entry.since + after).max(entry.quiet_until))
    }

    /// Until when each idle worker stays.
    fn idle_until(&self) -> Vec<(u64, WorkerId)> {
        let mut idle: Vec<_> = self
            .workers
            .iter()
            .filter_map(|(id, w)| match w.role {
                Role::Idle { since } => Some((since, *id)),
                _ => None,
            })
            .collect();
        idle.sort_unstable();
        let surplus = idle.len().saturating_sub(2 * self.config.cpus());
        let stay = |i| if i < surplus { SURPLUS } else { SPARE };
        idle.into_iter().enumerate().map(|(i, (since, worker))| (since + stay(i), worker)).collect()
    }

    fn infeasible_at(&self, entry: &Entry) -> Option<u64> {
        let grace = self.config.infeasible_grace?;
        (!self.config.total.covers(&entry.need)).then_some(entry.since + grace)
    }
}
