//! One pass over who waits: a picture of what would be free if every start had succeeded and every recall been obeyed.
use crate::Sched;
use crate::entry::Asker;
use crate::pool::Pool;
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
    /// Units that a starting worker is meant for.
    pub promised: usize,
}

/// The picture.
pub(crate) struct Walk {
    /// Free now, less what starting workers are meant for and what is kept for large requests (SCHED-4).
    pub pool: Pool,
    /// The same, as it will be when all recalled leases are back.
    pub soon: Pool,
    pub cands: Vec<Cand>,
    pub turns: BTreeMap<JobId, u64>,
    /// Starts that are meant for somebody.
    pub claimed: BTreeSet<u64>,
    /// When time alone may change the outcome.
    pub look_again: Option<u64>,
}

impl Walk {
    pub fn new(sched: &Sched) -> Self {
        let mut soon = sched.pool.clone();
        for worker in sched.leases.values().filter(|l| l.recalled).filter_map(|l| sched.workers.get(&l.worker)) {
            soon.give(&worker.hold, &worker.gpus);
            soon.add_cpus(-crate::pool::signed(worker.lent()));
        }
        let cands = sched.waiting.iter().map(|asker| {
            let e = &sched.entries[asker];
            let (job, left) = (e.shape.job, e.outstanding());
            Cand { asker: *asker, job, depth: e.depth, turn: e.turn, left, promised: 0 }
        });
        let turns = sched.jobs.iter().map(|(job, state)| (*job, state.turn)).collect();
        let pool = sched.pool.clone();
        Self { pool, soon, cands: cands.collect(), turns, claimed: BTreeSet::new(), look_again: None }
    }

    /// Who is next (SCHED-3): its place in `cands`.
    pub fn next(&self) -> Option<usize> {
        let job_turn = |c: &Cand| (self.turns.get(&c.job).copied().unwrap_or(0), c.job);
        let key = |c: &Cand| (job_turn(c), std::cmp::Reverse(c.depth), c.turn);
        (0..self.cands.len()).min_by_key(|i| key(&self.cands[*i]))
    }

    /// `cands[i]` got one unit: it and its job go to the end of the line.
    pub fn served(&mut self, i: usize, turn: u64, promised: bool) {
        let cand = &mut self.cands[i];
        cand.turn = turn;
        cand.left -= 1;
        cand.promised += usize::from(promised);
        self.turns.insert(cand.job, turn);
        if cand.left == 0 {
            self.cands.swap_remove(i);
        }
    }

    pub fn look_again_at(&mut self, when: u64) {
        self.look_again = Some(self.look_again.map_or(when, |w| w.min(when)));
    }
}
