//! What must be true of a run, kept apart from the cores: who ran how often, what was freed, what may be lost.
use crate::{
    process::{News, Pid, Running, owner_of, pid_of},
    world::{Relayed, World},
};
use shoal_owner::ObjectState;
use shoal_proto::peer::PeerMsg;
use shoal_types::{ActorId, ArenaLoc, DYNAMIC, ObjectId, RefWire, TaskId, Value, is_stream};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(crate) struct Audit {
    /// How often it may begin; how often it did.
    runs: BTreeMap<TaskId, (i64, i64)>,
    freed: BTreeSet<u64>,
    /// Places in the arena where nothing is any more, though nobody has freed it.
    lost: BTreeSet<u64>,
    /// Objects of which a value was lost.
    lost_objects: BTreeSet<ObjectId>,
    /// What was put into the arena for whose object, by whom.
    sealed: BTreeMap<u64, (Pid, ObjectId, ArenaLoc)>,
    /// Which life each call without retries was sent to.
    lives: BTreeMap<TaskId, Pid>,
    /// Last call that began, of each ordered actor's life and caller.
    order: BTreeMap<(ActorId, u32, Pid), TaskId>,
    /// Items that were read, and the last by each process.
    items: BTreeSet<ObjectId>,
    places: BTreeMap<(TaskId, Pid), u32>,
    /// Generators; those whose items are one value.
    streams: BTreeSet<TaskId>,
    pub dynamic: BTreeSet<TaskId>,
    /// Those that had to end though they waited for a reader.
    pub cut: BTreeSet<TaskId>,
    /// Objects for which a count was lost with a killed process (AUDIT-1).
    tainted: BTreeSet<ObjectId>,
    /// Who was submitted by which call.
    children: BTreeMap<TaskId, Vec<TaskId>>,
    /// Cancelled with the call that submitted them.
    cancelled: BTreeSet<TaskId>,
    deaths: usize,
    pub replied: usize,
    pub made_again: usize,
}

impl Audit {
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.runs.values().map(|(_, n)| *n as usize).sum(), self.replied, self.deaths)
    }

    pub fn submitted(&mut self, id: TaskId, num_returns: u32, max_retries: i32, parent: Option<TaskId>) {
        self.children.entry(parent.unwrap_or_default()).or_default().push(id);
        if is_stream(num_returns) {
            self.streams.insert(id);
        }
        if num_returns == DYNAMIC {
            self.dynamic.insert(id);
        }
        assert!(max_retries >= 0, "the simulator bounds retries");
        self.runs.insert(id, (i64::from(max_retries) + 1, 0));
    }

    pub fn began(&mut self, id: TaskId) {
        let (may, runs) = self.runs.get_mut(&id).expect("only submitted tasks run");
        *runs += 1;
        assert!(*runs <= *may, "TASK-4: {id} began {runs} times and may {may}");
        assert!(!self.cancelled.contains(&id), "CANCEL-4: {id} began after it was cancelled with its parent");
    }

    /// ACTOR-5: a call without retries is sent to one life only, unless that had found its arguments lost.
    pub fn call_sent(&mut self, call: TaskId, worker: Pid) {
        if self.runs[&call].0 == 1 {
            let life = *self.lives.entry(call).or_insert(worker);
            assert_eq!(life, worker, "ACTOR-5: {call} was made for another life");
        }
    }

    pub fn call_refused(&mut self, call: &TaskId) {
        self.lives.remove(call);
    }

    /// These are cancelled with their parent; one that is over may run again for a value that is lost.
    pub fn children_cancelled(&mut self, children: Vec<TaskId>) {
        self.cancelled.extend(children);
    }

    /// What `parent` has submitted in a process.
    pub fn children_of(&self, pid: Pid, parent: TaskId) -> Vec<TaskId> {
        let own = |id: &&TaskId| owner_of(&ObjectId::new(**id, 0)) == pid;
        self.children.get(&parent).into_iter().flatten().filter(own).copied().collect()
    }

    /// CALL-1: ids of one process rise with submission.
    pub fn call_began(&mut self, actor: ActorId, life: Option<u32>, caller: Pid, call: TaskId) {
        let Some(life) = life else { return };
        let last = self.order.insert((actor, life, caller), call);
        assert!(last.is_none_or(|last| last < call), "CALL-1: {call} began after {last:?}");
    }

    /// STREAM-4.
    pub fn item_read(&mut self, id: ObjectId, pid: Pid, own: bool) {
        assert!(self.items.insert(id), "STREAM-4: {id} was read twice");
        let last = self.places.insert((id.task, pid), id.index);
        assert!(last.is_none_or(|last| last < id.index), "STREAM-4: {pid} read {id} after item {last:?}");
        assert!(!own || self.items.range(..id).next_back().is_none_or(|i| i.task != id.task || i.index < id.index));
    }

    /// Values of a call, the first for this index, were made by a process.
    pub fn made(&mut self, pid: Pid, task: TaskId, first: u32, values: &[Value]) {
        for (index, value) in (first..).zip(values) {
            if let Value::Stored { loc, .. } = value {
                self.sealed(pid, ObjectId::new(task, index), *loc);
            }
        }
    }

    pub fn sealed(&mut self, pid: Pid, id: ObjectId, loc: ArenaLoc) {
        self.sealed.insert(loc.offset, (pid, id, loc));
    }

    /// What lies in the arena for `owner`, put there by `writer`.
    pub fn sealed_for(&self, owner: Pid, writer: Pid) -> Vec<(ObjectId, ArenaLoc)> {
        let lies = |(at, (by, id, _)): &(&u64, &(Pid, ObjectId, ArenaLoc))| {
            *by == writer && owner_of(id) == owner && !self.freed.contains(at)
        };
        self.sealed.iter().filter(lies).map(|(_, (_, id, loc))| (*id, *loc)).collect()
    }

    /// What lies in the arena.
    pub fn lying(&self) -> impl Iterator<Item = (ObjectId, ArenaLoc)> {
        let lies = |at: &u64| !self.freed.contains(at) && !self.lost.contains(at);
        self.sealed.iter().filter(move |(at, _)| lies(at)).map(|(_, (_, id, loc))| (*id, *loc))
    }

    pub fn lose(&mut self, id: &ObjectId, loc: &ArenaLoc) {
        self.lost.insert(loc.offset);
        self.lost_objects.insert(*id);
    }

    /// A count of these may be lost (AUDIT-1).
    pub fn taint(&mut self, ids: Vec<ObjectId>) {
        self.tainted.extend(ids);
    }

    pub fn is_lost(&self, loc: &ArenaLoc) -> bool {
        self.lost.contains(&loc.offset)
    }

    pub fn lost_among(&self, stored: &[(RefWire, ArenaLoc)]) -> Vec<(RefWire, ArenaLoc)> {
        stored.iter().filter(|(_, loc)| self.is_lost(loc)).copied().collect()
    }

    pub fn not_freed(&self, mut sealed: Vec<(ObjectId, ArenaLoc)>) -> Vec<(ObjectId, ArenaLoc)> {
        sealed.retain(|(_, loc)| !self.freed.contains(&loc.offset));
        sealed
    }

    pub fn freed(&mut self, pid: Pid, id: &ObjectId, loc: &ArenaLoc) {
        assert_eq!(owner_of(id), pid, "COUNT-1: {id} was freed by another");
        assert!(self.freed.insert(loc.offset), "COUNT-1: {id} was freed twice");
    }
}

impl World {
    /// A process is about to die. AUDIT-1: a count can be lost with it for these objects alone, until their owner dies:
    /// - what it lent to calls that others run for it: its reply would have said who keeps it;
    /// - what replies that it has not read say is kept, and the daemon's words for constructors: nobody will credit that;
    /// - what it was lent by a call that it still runs and had credited to others by messages still under way: its reply
    ///   would have held the lender back. Not with one daemon: those are heard before the death is.
    /// - of one that dies amid its orders: what it had to credit, and what it had credited for a value that did not leave.
    pub(crate) fn taint(&mut self, dead: Pid) {
        self.audit.deaths += 1;
        let mut lost: Vec<ObjectId> = Vec::new();
        for ((_, worker), lane) in self.lanes.iter().filter(|((caller, _), _)| *caller == dead) {
            let lent = lane.requests.iter().filter(|r| r.taken).flat_map(|r| &r.refs);
            let kept = lane.replies.iter().flat_map(|r| &r.kept);
            let others = |r: &&RefWire| pid_of(&r.owner.worker) != *worker;
            lost.extend(lent.chain(kept).filter(others).map(|r| r.id));
        }
        // A constructor's reply goes by the daemon.
        let constructs = |r: &&Running| r.caller == dead && r.constructs.is_some();
        let running = self.alive().into_iter().flat_map(|p| self.processes[p].running.iter());
        lost.extend(running.filter(constructs).flat_map(|r| &r.args).map(|r| r.id));
        let ups = self.processes[dead].inbox.iter().filter_map(|news| match news {
            News::ActorUp { kept, .. } => Some(kept),
            _ => None,
        });
        lost.extend(ups.flatten().map(|r| r.id));
        if !self.options.one_daemon {
            lost.extend(self.lent_and_credited(dead));
        }
        self.audit.tainted.extend(lost);
    }

    /// What a process was lent, and has credited by messages that are under way.
    fn lent_and_credited(&self, dead: Pid) -> Vec<ObjectId> {
        let mut credited = Vec::new();
        let lent_to_it = |s: &ObjectState| s.executing > 0;
        let known = self.processes[dead].owner.borrower_state();
        let mut lent: BTreeSet<ObjectId> = known.iter().filter(|s| lent_to_it(s)).map(|s| s.object.id).collect();
        // Also when it is done and has not replied.
        let sent = self.lanes.iter().filter(|((_, worker), _)| *worker == dead).flat_map(|(_, lane)| &lane.requests);
        lent.extend(sent.filter(|r| r.taken).flat_map(|r| &r.refs).map(|r| r.id));
        for (_, queue) in self.relay.iter().filter(|((from, _), _)| *from == dead) {
            for message in queue {
                if let Relayed::Message(_, PeerMsg::Credit(list)) = message {
                    credited.extend(list.iter().map(|c| c.id).filter(|id| lent.contains(id)));
                }
            }
        }
        credited
    }

    /// Every object that a live process has an entry for is known to its owner, if that lives.
    pub(crate) fn check_early_frees(&self) {
        for pid in self.alive() {
            for state in self.processes[pid].owner.borrower_state() {
                let (id, owner) = (state.object.id, pid_of(&state.object.owner.worker));
                if id.index == ObjectId::NEXT_INDEX {
                    continue;
                }
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
                    // The error goes on to what depends on the lost object, and names that.
                    let excused = || self.audit.tainted.iter().any(|id| e.message.contains(&id.to_string()));
                    let turn = e.message.contains("took its turn as this error");
                    let lost = e.kind == shoal_types::ErrorKind::ObjectLost && !turn;
                    assert!(!lost || excused(), "OWN-1: {} is lost in {pid}: {}", r.id, e.message);
                }
            }
        }
    }

    /// At rest, of generators that yield the same each time: all their items are there, whatever was lost and made again,
    /// unless they failed; and none is said to be another generator.
    pub(crate) fn check_streams(&mut self) {
        let mut made_again = 0;
        for pid in self.alive() {
            let owner = &self.processes[pid].owner;
            for r in self.processes[pid].vars.iter().filter(|r| !self.audit.cut.contains(&r.id.task)) {
                let (own, Some(length)) = (pid_of(&r.owner.worker) == pid, self.length(&r.id.task)) else { continue };
                match owner.value(&r.id) {
                    Some(Value::Error(e)) => {
                        let other = e.kind == shoal_types::ErrorKind::ReplayInconsistent;
                        // It may be an argument's error.
                        let own = e.message.contains(&format!("object {}", r.id.task));
                        assert!(!(other && own), "LIN-14: {} in {pid}: {}", r.id, e.message);
                    }
                    Some(_) if own && r.id.index == ObjectId::STREAM_INDEX => {
                        let (made, _, _) = owner.stream_state(&r.id.task).expect("its handle is held");
                        // An argument that is an error ends it sooner.
                        let last = made.checked_sub(1).and_then(|i| owner.value(&ObjectId::new(r.id.task, i)));
                        let failed = made > 0 && matches!(last, Some(Value::Error(_)) | None);
                        assert!(made >= length || failed, "LIN-14: {} has {made} of {length}", r.id);
                    }
                    Some(_) => made_again += usize::from(own && self.is_item_lost(&r.id)),
                    None => {}
                }
            }
        }
        self.audit.made_again = made_again;
    }

    fn is_item_lost(&self, id: &ObjectId) -> bool {
        self.audit.lost_objects.contains(id) && self.audit.streams.contains(&id.task)
    }

    /// After the last drop: nothing, but what a dead process may have left, what that contains, what its actors were made
    /// with, and what is held to make it again.
    pub(crate) fn check_empty(&self) {
        let alive = self.alive();
        let left: Vec<(Pid, ObjectState)> =
            alive.iter().flat_map(|p| self.processes[*p].owner.borrower_state().into_iter().map(|s| (*p, s))).collect();
        let mut excused = self.audit.tainted.clone();
        loop {
            let held = left.iter().filter(|(_, s)| excused.contains(&s.object.id));
            let refs = held.flat_map(|(p, s)| self.processes[*p].owner.inside(&s.object.id));
            let inside = refs.map(|r| r.id).chain(self.daemon.kept_alive_by(&excused));
            let again = excused.iter().flat_map(|id| {
                let task = id.task;
                alive.iter().flat_map(move |p| self.processes[*p].owner.held_for(task))
            });
            let inside = inside.chain(again);
            let inside: Vec<ObjectId> = inside.chain(held_streams(&alive, &excused, self)).collect();
            let before = excused.len();
            excused.extend(inside);
            if excused.len() == before {
                break;
            }
        }
        let unexcused: Vec<_> = left.iter().filter(|(_, s)| !excused.contains(&s.object.id)).collect();
        assert!(unexcused.is_empty(), "COUNT-1: left: {unexcused:#?}");
        let left_over = |(at, (_, id, _)): &(&u64, &(Pid, ObjectId, ArenaLoc))| {
            self.processes[owner_of(id)].alive && !self.audit.freed.contains(at) && !excused.contains(id)
        };
        let left_over: Vec<_> = self.audit.sealed.iter().filter(left_over).collect();
        assert!(left_over.is_empty(), "DEATH-4: in the arena for ever: {left_over:?}");
        let stops = |p: &Pid| self.processes[*p].stops.iter().map(|(task, _)| owner_of(&ObjectId::new(*task, 0)));
        let told = alive.iter().flat_map(stops).any(|owner| self.processes[owner].alive);
        assert!(!told, "FLOW-1: who was told to stop is not told that it is over");
        let busy = |p: &Pid| !self.processes[*p].owner.is_empty() && left.iter().all(|(q, _)| q != p);
        assert!(!alive.iter().any(busy), "LEASE-5: work is left");
    }
}

/// Items that generators whose handles are among these hold; what a process holds beside such a handle.
fn held_streams(alive: &[Pid], handles: &BTreeSet<ObjectId>, world: &World) -> Vec<ObjectId> {
    let handles = handles.iter().filter(|id| id.index == ObjectId::STREAM_INDEX);
    let of = |id: &ObjectId| {
        let state = alive.iter().find_map(|p| world.processes[*p].owner.stream_state(&id.task));
        let (made, read, _) = state.unwrap_or_default();
        let task = id.task;
        (read..made).chain([ObjectId::NEXT_INDEX]).map(move |i| ObjectId::new(task, i))
    };
    handles.flat_map(of).collect()
}
