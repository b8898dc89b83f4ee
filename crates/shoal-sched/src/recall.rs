//! Which leases to ask back for somebody who waits (SCHED-4). Whether a lease is used only its holder knows, so it is asked
//! in two ways. At once for every lease that would help, for when it is not used: a holder whose tasks follow one another
//! keeps it. After [`HOLD`] for one that fairness allows, used or not: it goes at the next task boundary. A deeper one of the
//! same job is not interrupted, but asked for again after [`HOLD`], for its first idle moment: else a task that polls for what
//! a shallower one does would keep it from that for ever. A lease that is not back after one more [`HOLD`] has a long task:
//! it is counted on no longer, and another one is recalled.
use crate::entry::{Asker, Lease};
use crate::place::{Cand, Walk};
use crate::pool::Pool;
use crate::{Order, Sched};
use shoal_types::{LeaseId, Resources};

/// A holder keeps a lease so long while it uses it, so that those that compete don't switch at every task.
pub(crate) const HOLD: u64 = 100_000;

impl Sched {
    /// Asks back what `cands[i]` needs, unit by unit, as long as that is fair.
    pub(crate) fn recall_for(&mut self, now: u64, walk: &mut Walk, i: usize, out: &mut Vec<Order>) {
        let need = self.entries[&walk.cands[i].asker].need.clone();
        for unit in 0..walk.cands[i].left as usize {
            if !walk.soon.fits(&need) && !self.recall_unit(now, walk, i, unit, &need, out) {
                return;
            }
            walk.soon.take(&need, &[]);
        }
    }

    /// Recalls leases until one more unit fits. `false`: it can't be done now, nothing was recalled.
    fn recall_unit(
        &mut self,
        now: u64,
        walk: &mut Walk,
        i: usize,
        unit: usize,
        need: &Resources,
        out: &mut Vec<Order>,
    ) -> bool {
        let (mut soon, mut chosen, mut later) = (walk.soon.clone(), Vec::new(), None);
        while !soon.fits(need) {
            let lacking = lacking(&soon, need);
            let found = self.victim(now, &walk.cands[i], unit, &chosen, &lacking);
            let Some((lease, ready)) = found else {
                self.want_idle(now, walk, i, out);
                return false;
            };
            if ready > now {
                later = later.max(Some(ready));
            }
            let w = &self.workers[&self.leases[&lease].worker];
            soon.give(&w.hold, &w.gpus);
            chosen.push(lease);
        }
        if let Some(ready) = later {
            walk.look_again_at(ready);
            self.want_idle(now, walk, i, out);
            return false;
        }
        walk.soon = soon;
        for id in chosen {
            let lease = self.leases.get_mut(&id).expect("chosen from the leases");
            lease.recalled = Some(now);
            out.push(Order::Recall { client: lease.client, lease: id });
        }
        true
    }

    /// Asks for what others hold of what `cands[i]` lacks, for when they don't use it.
    fn want_idle(&mut self, now: u64, walk: &mut Walk, i: usize, out: &mut Vec<Order>) {
        let (asker, job, depth) = (walk.cands[i].asker, walk.cands[i].job, walk.cands[i].depth);
        let lacking = lacking(&walk.soon, &self.entries[&asker].need);
        for (id, lease) in
            self.leases.iter_mut().filter(|(_, l)| l.recalled.is_none() && asker != Asker::Lease(l.client, l.key))
        {
            let again = lease.wanted == 1 && lease.job == job && lease.depth > depth;
            let ready = if lease.wanted == 0 { now } else { lease.since + HOLD };
            let w = self.workers.get(&lease.worker);
            let helps = w.is_some_and(|w| !w.blocked && lacking.iter().any(|name| w.hold.get(name) > 0));
            if !helps || (lease.wanted > 0 && !again) {
                continue;
            }
            if ready > now {
                walk.look_again_at(ready);
                continue;
            }
            lease.wanted += 1;
            out.push(Order::RecallIdle { client: lease.client, lease: *id });
        }
    }

    /// The lease that goes first, and from when on: one that has been held for long enough, of the entry that has most of
    /// those, the oldest.
    fn victim(
        &self,
        now: u64,
        cand: &Cand,
        unit: usize,
        chosen: &[LeaseId],
        lacking: &[String],
    ) -> Option<(LeaseId, u64)> {
        let fair = self.leases.iter().filter(|(id, l)| {
            let w = self.workers.get(&l.worker);
            let helps = w.is_some_and(|w| !w.blocked && lacking.iter().any(|name| w.hold.get(name) > 0));
            l.recalled.is_none() && helps && !chosen.contains(id) && self.may_recall(cand, unit, l, chosen)
        });
        let ready = |l: &Lease| (l.since + HOLD).max(now);
        let ranked = fair.map(|(id, l)| (ready(l), usize::MAX - self.leases_of(l, chosen), l.since, *id));
        ranked.min().map(|(ready, .., id)| (id, ready))
    }

    fn leases_of(&self, lease: &Lease, chosen: &[LeaseId]) -> usize {
        let same = |id: &&LeaseId| (self.leases[*id].client, self.leases[*id].key) == (lease.client, lease.key);
        let all = self.entries.get(&Asker::Lease(lease.client, lease.key)).map_or(1, |e| e.leases);
        all.saturating_sub(chosen.iter().filter(same).count())
    }

    /// Whether taking `lease` away for `cand`, who was promised `unit` leases in this pass, is fair: jobs have equal
    /// shares, inside a job the deeper go first and equals have equal shares. Who has nothing may always ask.
    fn may_recall(&self, cand: &Cand, unit: usize, lease: &Lease, chosen: &[LeaseId]) -> bool {
        let more = |theirs: usize, mine: usize| mine == 0 || theirs > mine + 1;
        if lease.job != cand.job {
            let of = |job| self.jobs.get(&job).map_or(0, |j: &crate::core::Job| j.leases);
            let taken = chosen.iter().filter(|id| self.leases[*id].job == lease.job).count();
            let coming = cand.leases - self.entries[&cand.asker].leases;
            return more(of(lease.job).saturating_sub(taken), of(cand.job) + coming + unit);
        }
        let mine = cand.leases + unit;
        let own = matches!(cand.asker, Asker::Lease(c, k) if (c, k) == (lease.client, lease.key));
        let shallower = lease.depth < cand.depth;
        !own && (shallower || (lease.depth == cand.depth && more(self.leases_of(lease, chosen), mine)))
    }
}

/// Resources of which there is not enough; if there is enough in all, it lies in parts of several GPUs.
fn lacking(soon: &Pool, need: &Resources) -> Vec<String> {
    let mut names: Vec<_> = soon.lacking(need).map(str::to_owned).collect();
    if names.is_empty() {
        names.push("GPU".into());
    }
    names
}
