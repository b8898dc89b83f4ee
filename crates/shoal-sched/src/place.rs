//! One pass over who waits: a picture of what would be free if every start had succeeded and every recall been obeyed.
use crate::Sched;
use crate::entry::{Asker, Lease};
use crate::pool::Pool;
use crate::recall::HOLD;
use shoal_types::JobId;
use std::collections::{BTreeMap, BTreeSet};

/// One asker in a pass.
pub(crate) struct Cand {
    pub asker: Asker,
    pub job: JobId,
    pub depth: u32,
    pub turn: u64,
    /// Units still to be served.
    pub left: u32,
    /// Leases that it has or is about to have.
    pub leases: usize,
}

/// The picture.
pub(crate) struct Walk {
    /// Free now, less what starting workers are meant for and what is kept for large requests (SCHED-4).
    pub pool: Pool,
    /// The same, as it will be when the leases that were recalled lately are back.
    pub soon: Pool,
    pub cands: Vec<Cand>,
    /// Of each job: leases that it has or is about to have, and its turn.
    pub jobs: BTreeMap<JobId, (usize, u64)>,
    /// Starts that are meant for somebody.
    pub claimed: BTreeSet<u64>,
    /// When time alone may change the outcome.
    pub look_again: Option<u64>,
}

impl Walk {
    pub fn new(sched: &Sched, now: u64) -> Self {
        let (mut soon, mut look_again) = (sched.pool.clone(), None);
        let recalled = |l: &Lease| Some((l.recalled? + HOLD, sched.workers.get(&l.worker)?));
        for (due, worker) in sched.leases.values().filter_map(recalled).filter(|(due, _)| *due > now) {
            soon.give(&worker.hold, &worker.gpus);
            soon.add_cpus(-crate::pool::signed(worker.lent()));
            look_again = Some(look_again.map_or(due, |at: u64| at.min(due)));
        }
        let cands = sched.waiting.iter().map(|asker| {
            let e = &sched.entries[asker];
            let (job, left) = (e.shape.job, e.outstanding());
            Cand { asker: *asker, job, depth: e.depth, turn: e.turn, left, leases: e.leases }
        });
        let jobs = sched.jobs.iter().map(|(job, state)| (*job, (state.leases, state.turn))).collect();
        let pool = sched.pool.clone();
        Self { pool, soon, cands: cands.collect(), jobs, claimed: BTreeSet::new(), look_again }
    }

    /// Who is next (SCHED-3): its place in `cands`.
    pub fn next(&self) -> Option<usize> {
        let of_job = |c: &Cand| (self.jobs.get(&c.job).copied().unwrap_or_default(), c.job);
        let key = |c: &Cand| (of_job(c), std::cmp::Reverse(c.depth), c.leases, c.turn);
        (0..self.cands.len()).min_by_key(|i| key(&self.cands[*i]))
    }

    /// `cands[i]` got one unit: it and its job go to the end of the line.
    pub fn served(&mut self, i: usize, turn: u64) {
        let cand = &mut self.cands[i];
        let lease = usize::from(matches!(cand.asker, Asker::Lease(..)));
        cand.turn = turn;
        cand.left -= 1;
        cand.leases += lease;
        let job = self.jobs.entry(cand.job).or_default();
        *job = (job.0 + lease, turn);
        if cand.left == 0 {
            self.cands.swap_remove(i);
        }
    }

    pub fn look_again_at(&mut self, when: u64) {
        self.look_again = Some(self.look_again.map_or(when, |w| w.min(when)));
    }
}
