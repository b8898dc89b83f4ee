//! What must be true of a run, kept apart from the cores: who ran how often, what was freed, what may be lost.
use crate::{
    process::{Pid, owner_of, pid_of},
    world::World,
};
use shoal_types::{ActorId, ArenaLoc, ObjectId, TaskId, Value};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(crate) struct Audit {
    /// How often it may begin; how often it did.
    runs: BTreeMap<TaskId, (i64, i64)>,
    freed: BTreeSet<u64>,
    /// Last call that began, of each ordered actor's life and caller.
    order: BTreeMap<(ActorId, u32, Pid), TaskId>,
    /// Objects that a killed process had to do with.
    tainted: BTreeSet<ObjectId>,
    deaths: usize,
    pub replied: usize,
}

impl Audit {
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.runs.values().map(|(_, n)| *n as usize).sum(), self.replied, self.deaths)
    }

    pub fn submitted(&mut self, id: TaskId, max_retries: i32) {
        assert!(max_retries >= 0, "the simulator bounds retries");
        self.runs.insert(id, (i64::from(max_retries) + 1, 0));
    }

    pub fn began(&mut self, id: TaskId) {
        let (may, runs) = self.runs.get_mut(&id).expect("only submitted tasks run");
        *runs += 1;
        assert!(*runs <= *may, "TASK-4: {id} began {runs} times and may {may}");
    }

    /// CALL-1: ids of one process rise with submission.
    pub fn call_began(&mut self, actor: ActorId, life: Option<u32>, caller: Pid, call: TaskId) {
        let Some(life) = life else { return };
        let last = self.order.insert((actor, life, caller), call);
        assert!(last.is_none_or(|last| last < call), "CALL-1: {call} began after {last:?}");
    }

    pub fn freed(&mut self, pid: Pid, id: &ObjectId, loc: &ArenaLoc) {
        assert_eq!(owner_of(id), pid, "COUNT-1: {id} was freed by another");
        assert!(self.freed.insert(loc.offset), "COUNT-1: {id} was freed twice");
    }
}

impl World {
    /// A process is about to die: counts for what it knew may be lost with it.
    pub(crate) fn taint(&mut self, pid: Pid) {
        self.audit.deaths += 1;
        let known = self.processes[pid].owner.borrower_state();
        self.audit.tainted.extend(known.iter().map(|s| s.object.id));
        for ((caller, worker), lane) in &self.lanes {
            if *caller == pid || *worker == pid {
                let asked = lane.requests.iter().flat_map(|r| &r.refs);
                let answered =
                    lane.replies.iter().flat_map(|r| r.kept.iter().chain(r.values.iter().flat_map(Value::refs)));
                self.audit.tainted.extend(asked.chain(answered).map(|r| r.id));
            }
        }
    }

    /// Every object that a live process has an entry for is known to its owner, if that lives.
    pub(crate) fn check_early_frees(&self) {
        for pid in self.alive() {
            for state in self.processes[pid].owner.borrower_state() {
                let (id, owner) = (state.object.id, pid_of(&state.object.owner.worker));
                let safe = owner == pid || !self.processes[owner].alive || self.audit.tainted.contains(&id);
                assert!(safe || self.processes[owner].owner.knows(&id), "OWN-1: {owner} freed {id}; {pid}: {state:?}");
            }
        }
    }

    /// At rest: every ref that is held has its value, for its owner and for who asked.
    pub(crate) fn check_results(&self) {
        for pid in self.alive() {
            let owner = &self.processes[pid].owner;
            for r in self.processes[pid].vars.iter().filter(|r| r.id.index != ObjectId::ACTOR_INDEX) {
                assert!(owner.is_ready(&r.id), "TASK-1: {} has no value in {pid}", r.id);
                if let Some(Value::Error(e)) = owner.value(&r.id) {
                    let lost = e.kind == shoal_types::ErrorKind::ObjectLost;
                    assert!(!lost || !self.audit.tainted.is_empty(), "OWN-1: {} is lost in {pid}", r.id);
                }
            }
        }
    }

    fn who_knows(&self, id: &ObjectId) -> Vec<(Pid, shoal_owner::ObjectState)> {
        let of = |pid: Pid| self.processes[pid].owner.borrower_state().into_iter().map(move |s| (pid, s));
        self.alive().into_iter().flat_map(of).filter(|(_, s)| s.object.id == *id).collect()
    }

    /// After the last drop: nothing, but what a dead process may have left.
    pub(crate) fn check_empty(&self) {
        if std::env::var_os("SHOAL_SIM_LOG").is_some() { for p in self.alive() { eprintln!("ROLE {p} {:?} running {} inbox {} deadline {:?}", self.processes[p].role, self.processes[p].running.len(), self.processes[p].inbox.len(), self.processes[p].owner.next_deadline()); } eprintln!("{:?}", self.daemon.dbg()); }
        for pid in self.alive() {
            let owner = &self.processes[pid].owner;
            let left = owner.borrower_state();
            let mut excused: BTreeSet<ObjectId> = self.audit.tainted.clone();
            for _ in 0..left.len() {
                let held = left.iter().filter(|s| excused.contains(&s.object.id));
                let inside = held.filter_map(|s| owner.value(&s.object.id)).flat_map(Value::refs).map(|r| r.id);
                let inside: Vec<ObjectId> = inside.chain(self.daemon.kept_alive_by(&excused)).collect();
                excused.extend(inside);
            }
            if std::env::var_os("SHOAL_SIM_LOG").is_some() { for s in &left { eprintln!("LEFT {pid} {s:?} excused {}", excused.contains(&s.object.id)); } }
            for state in &left {
                let id = &state.object.id;
                assert!(excused.contains(id), "COUNT-1: left in {pid}: {state:?}; others: {:?}", self.who_knows(id));
            }
            assert!(!left.is_empty() || owner.is_empty(), "LEASE-5: {pid} has work left");
        }
    }
}
