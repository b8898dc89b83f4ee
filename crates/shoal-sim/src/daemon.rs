//! A daemon of a page: leases, actors' lives, deaths. It does what `shoal-node` promises its clients, no more.
use crate::{
    process::{Lane, News, Pid, Role, Running, owner_of},
    world::{Habit, Relayed, World},
};
use shoal_owner::Event;
use shoal_types::{ActorId, Args, ErrorKind, ErrorValue, LeaseId, ObjectId, RefWire, TaskId};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
struct Wish {
    want: u32,
    seen: u64,
    granted: u64,
}

struct Actor {
    creator: Pid,
    handle: ObjectId,
    unordered: bool,
    restarts: u32,
    /// Given by the creator until it starts.
    args: Args,
    /// As the daemon keeps them for each life.
    refs: Option<Vec<RefWire>>,
    worker: Option<Pid>,
    /// The process of the life before this one.
    before: Option<Pid>,
    up: bool,
    /// It is dead, and this process of its last life is not gone yet.
    dying: Option<Pid>,
    incarnation: u32,
    watchers: BTreeSet<Pid>,
    told: BTreeSet<(Pid, u32)>,
    dead: Option<ErrorValue>,
    unwanted: bool,
}

/// What becomes of the process of an actor that is dead.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It is killed.
    Killed,
    /// It lives on for what it owns.
    Exits,
}

#[derive(Default)]
pub(crate) struct Daemon {
    wishes: BTreeMap<(Pid, u32), Wish>,
    leases: BTreeMap<LeaseId, (Pid, Pid)>,
    next_lease: u64,
    actors: BTreeMap<ActorId, Actor>,
    handles: BTreeMap<ObjectId, ActorId>,
}

impl Daemon {
    pub fn demand(&mut self, pid: Pid, key: u32, want: u32, seen: u64) {
        let wish = self.wishes.entry((pid, key)).or_default();
        (wish.want, wish.seen) = (want, seen);
    }

    pub fn is_unordered(&self, id: &ActorId) -> bool {
        self.actors[id].unordered
    }

    /// Number of the present life; 0 for unordered actors, whose calls may overtake each other.
    pub fn life(&self, id: &ActorId) -> Option<u32> {
        let actor = &self.actors[id];
        (!actor.unordered).then_some(actor.incarnation)
    }

    pub fn of_handle(&self, handle: &ObjectId) -> (ActorId, bool) {
        let id = self.handles[handle];
        (id, self.actors[&id].unordered)
    }

    pub fn register(
        &mut self,
        id: ActorId,
        creator: Pid,
        handle: ObjectId,
        args: Args,
        (unordered, restarts): (bool, u32),
    ) {
        self.handles.insert(handle, id);
        let actor = Actor {
            creator,
            handle,
            unordered,
            restarts,
            args,
            refs: None,
            worker: None,
            before: None,
            up: false,
            dying: None,
            incarnation: 0,
            watchers: BTreeSet::new(),
            told: BTreeSet::new(),
            dead: None,
            unwanted: false,
        };
        self.actors.insert(id, actor);
    }

    pub fn is_living(&self, id: &ActorId) -> bool {
        self.actors[id].dead.is_none()
    }

    pub fn living_actors(&self) -> usize {
        self.actors.values().filter(|a| a.dead.is_none()).count()
    }

    /// What living actors were made with whose handles are among these.
    pub fn kept_alive_by(&self, handles: &BTreeSet<ObjectId>) -> Vec<ObjectId> {
        let kept = self.actors.values().filter(|a| a.dead.is_none() && handles.contains(&a.handle));
        kept.flat_map(|a| a.args.deps.iter().chain(&a.args.refs)).map(|r| r.id).collect()
    }

    /// The life is up: who is told, with what the creator has to credit. Of one that was killed meanwhile its creator
    /// alone hears, for that.
    pub fn started(&mut self, (id, incarnation): (ActorId, u32), kept: Vec<RefWire>) -> Vec<(Pid, Vec<RefWire>)> {
        let Some(actor) = self.actors.get_mut(&id).filter(|a| a.incarnation == incarnation) else { return Vec::new() };
        let creator = actor.creator;
        if actor.dying.is_some() {
            return vec![(creator, kept)];
        }
        actor.up = true;
        actor.told.extend(actor.watchers.iter().map(|w| (*w, incarnation)));
        actor.watchers.iter().map(|w| (*w, if *w == creator { kept.clone() } else { Vec::new() })).collect()
    }
}

impl World {
    /// The daemon grants a lease or begins an actor's life. False when nothing can be done.
    pub(crate) fn daemon_acts(&mut self) -> bool {
        let live = |pid: &Pid| self.processes[*pid].alive;
        let open = |w: &Wish| u64::from(w.want) > w.granted - w.seen;
        let wishes: Vec<(Pid, u32)> =
            self.daemon.wishes.iter().filter(|((p, _), w)| live(p) && open(w)).map(|(at, _)| *at).collect();
        let waits = |a: &Actor| a.dead.is_none() && a.worker.is_none() && a.refs.is_some();
        let actors: Vec<ActorId> = self.daemon.actors.iter().filter(|(_, a)| waits(a)).map(|(id, _)| *id).collect();
        if !actors.is_empty() && (wishes.is_empty() || self.choices.one_in(2)) {
            let actor = self.choices.pick(&actors).expect("not empty");
            return self.begin_life(actor);
        }
        match self.choices.pick(&wishes) {
            Some((pid, key)) => self.grant(pid, key),
            None => false,
        }
    }

    fn free_worker(&mut self, not: Pid) -> Option<Pid> {
        let idle = |p: Pid| p != not && self.processes[p].role == Role::Free && self.processes[p].running.is_empty();
        let free: Vec<Pid> = self.alive().into_iter().filter(|p| idle(*p)).collect();
        self.choices.pick(&free).or_else(|| self.spawn())
    }

    fn grant(&mut self, pid: Pid, key: u32) -> bool {
        let Some(worker) = self.free_worker(pid) else { return false };
        self.daemon.next_lease += 1;
        let lease = LeaseId(self.daemon.next_lease);
        self.daemon.leases.insert(lease, (pid, worker));
        self.daemon.wishes.entry((pid, key)).or_default().granted += 1;
        self.processes[worker].role = Role::Leased(lease);
        self.acquaint(pid, worker);
        self.processes[pid].inbox.push_back(News::Granted { key, lease, worker });
        true
    }

    pub(crate) fn return_lease(&mut self, pid: Pid, lease: LeaseId) {
        if let Some((holder, worker)) = self.daemon.leases.remove(&lease) {
            assert_eq!(holder, pid, "LEASE-5: {lease:?} is not its own");
            let lane = self.lanes.get(&(holder, worker));
            assert!(lane.is_none_or(|l| l.requests.is_empty()), "LEASE-5: {lease:?} is busy");
            self.processes[worker].role = Role::Free;
        }
    }

    pub(crate) fn recall_one(&mut self) {
        let leases: Vec<(LeaseId, Pid)> = self.daemon.leases.iter().map(|(l, (p, _))| (*l, *p)).collect();
        if let Some((lease, pid)) = self.choices.pick(&leases) {
            let news = if self.choices.one_in(2) { News::Recalled(lease) } else { News::WantedBack(lease) };
            self.processes[pid].inbox.push_back(news);
        }
    }

    pub(crate) fn watch_actor(&mut self, pid: Pid, id: ActorId) {
        let Some(actor) = self.daemon.actors.get_mut(&id) else { return };
        if let Some(error) = &actor.dead {
            let news = News::ActorDead { actor: id, worker: None, dying: false, lingers: false, error: error.clone() };
            self.processes[pid].inbox.push_back(news);
            return;
        }
        actor.watchers.insert(pid);
        let (incarnation, up) = (actor.incarnation, actor.up);
        if let Some(worker) = actor.before.filter(|_| !up) {
            let news = News::ActorRestarting { actor: id, incarnation: incarnation - 1, worker };
            self.processes[pid].inbox.push_back(news);
        }
        if let Some(worker) = actor.worker.filter(|_| up && actor.told.insert((pid, incarnation))) {
            let news = News::ActorUp { actor: id, incarnation, worker, kept: Vec::new() };
            self.acquaint(pid, worker);
            self.processes[pid].inbox.push_back(news);
        }
    }

    pub(crate) fn start_actor(&mut self, pid: Pid, id: ActorId, error: Option<ErrorValue>) {
        let Some(actor) = self.daemon.actors.get(&id).filter(|a| a.dead.is_none()) else { return };
        match error {
            Some(error) => self.bury(id, End::Killed, error),
            None => {
                let refs = self.resolved(pid, &actor.args);
                self.daemon.actors.get_mut(&id).expect("just seen").refs = Some(refs);
                self.end_unwanted(id);
            }
        }
    }

    fn begin_life(&mut self, id: ActorId) -> bool {
        let creator = self.daemon.actors[&id].creator;
        let Some(worker) = self.free_worker(creator) else { return false };
        // They are of one job.
        self.acquaint(creator, worker);
        let actor = self.daemon.actors.get_mut(&id).expect("just seen");
        actor.worker = Some(worker);
        let (args, life) = (actor.refs.clone().unwrap_or_default(), (id, actor.incarnation));
        self.processes[worker].role = Role::Actor(id);
        let task: TaskId = actor.handle.task;
        let (caller, constructs) = (creator, Some(life));
        let running = Running {
            caller,
            task,
            attempt: 0,
            num_returns: 0,
            retry_exceptions: false,
            window: 0,
            yielded: 0,
            args,
            children: Vec::new(),
            constructs,
            cancelled: false,
        };
        self.begin(worker, running);
        true
    }

    pub(crate) fn actor_out_of_scope(&mut self, id: ActorId) {
        if let Some(actor) = self.daemon.actors.get_mut(&id) {
            actor.unwanted = true;
        }
        self.end_unwanted(id);
    }

    /// Ends an actor without handles, not while it is constructed.
    pub(crate) fn end_unwanted(&mut self, id: ActorId) {
        let Some(actor) = self.daemon.actors.get(&id) else { return };
        let constructing = actor.worker.is_some() && !actor.up;
        if !actor.unwanted || constructing || actor.dead.is_some() {
            return;
        }
        // Where a death has cost its handle a count, there are still calls.
        match actor.worker.filter(|w| self.processes[*w].alive) {
            Some(worker) => self.exits(worker, id),
            None => self.bury(id, End::Killed, ErrorValue::new(ErrorKind::ActorDied, "no handle is left")),
        }
    }

    /// The actor is dead for good; of its process, if it lives, `end` says what becomes.
    fn bury(&mut self, id: ActorId, end: End, error: ErrorValue) {
        let Some(actor) = self.daemon.actors.get_mut(&id).filter(|a| a.dead.is_none()) else { return };
        actor.dead = Some(error.clone());
        actor.refs = None;
        let worker = actor.worker.take();
        let dying = worker.is_some_and(|w| self.processes[w].alive);
        let lingers = dying && end == End::Exits;
        actor.dying = worker.filter(|_| dying);
        for pid in std::mem::take(&mut actor.watchers) {
            if self.processes[pid].alive {
                let error = error.clone();
                self.processes[pid].inbox.push_back(News::ActorDead { actor: id, worker, dying, lingers, error });
            }
        }
        match worker.filter(|w| self.processes[*w].alive) {
            Some(worker) if lingers => self.processes[worker].role = Role::Lingers,
            Some(worker) => self.doom(worker),
            None => {}
        }
    }

    /// An actor ends in a call, which is never answered, nor are the others that run there; it lives on for what it
    /// owns. Some of the others go on, and of the rest some arguments are kept.
    pub(crate) fn exits(&mut self, pid: Pid, id: ActorId) {
        self.feed(pid, Event::Ended);
        let before = self.processes[pid].running.len();
        self.takes_another(pid);
        if !self.processes[pid].alive {
            return;
        }
        self.bury(id, End::Exits, ErrorValue::new(ErrorKind::ActorDied, "it has ended itself"));
        let mut running = std::mem::take(&mut self.processes[pid].running);
        let (mut go_on, mut over) = (running.split_off(before), Vec::new());
        for call in running {
            if self.choices.one_in(2) { go_on.push(call) } else { over.push(call) }
        }
        self.processes[pid].running = go_on;
        let (mut dropped, refs) = (Vec::new(), over.into_iter().flat_map(|r| r.args));
        for r in refs.collect::<Vec<_>>() {
            let kept = self.choices.one_in(2);
            if kept { self.processes[pid].vars.push(r) } else { dropped.push(r) }
        }
        let ids = self.all_of(pid, &dropped);
        self.feed(pid, Event::RefsDropped(ids));
    }

    /// Its main thread, which takes calls, hears of the end from another thread, and may be at it just now.
    fn takes_another(&mut self, pid: Pid) {
        let waits =
            |((_, worker), lane): &(&(Pid, Pid), &Lane)| *worker == pid && lane.requests.iter().any(|r| !r.taken);
        let callers: Vec<Pid> = self.lanes.iter().filter(waits).map(|((caller, _), _)| *caller).collect();
        if self.processes[pid].alive
            && self.choices.one_in(2)
            && let Some(caller) = self.choices.pick(&callers)
        {
            self.take(caller, pid);
        }
    }

    /// `shoal.kill()` of an actor: for good, or this life.
    pub(crate) fn kill_actor(&mut self, id: ActorId) {
        let actor = &self.daemon.actors[&id];
        if actor.restarts > 0 && self.choices.one_in(2) {
            actor.worker.into_iter().for_each(|worker| self.doom(worker));
        } else {
            self.bury(id, End::Killed, ErrorValue::new(ErrorKind::ActorDied, "killed by shoal.kill()"));
        }
    }

    /// SIGKILL is sent. Until it is gone it may go on with whatever it does.
    pub(crate) fn doom(&mut self, pid: Pid) {
        self.processes[pid].doomed = true;
    }

    /// Processes that are about to be gone.
    pub(crate) fn doomed(&self) -> Vec<Pid> {
        self.alive().into_iter().filter(|p| self.processes[*p].doomed).collect()
    }

    /// One of them is gone. False when there is none.
    pub(crate) fn doomed_dies(&mut self) -> bool {
        let doomed = self.doomed();
        self.choices.pick(&doomed).is_some_and(|pid| {
            self.kill(pid, false);
            true
        })
    }

    pub(crate) fn kill_one(&mut self) {
        let alive = self.alive();
        let living = |a: &&Actor| a.dead.is_none() && a.worker.is_some();
        let actors: Vec<ActorId> = self.daemon.actors.iter().filter(|(_, a)| living(a)).map(|(id, _)| *id).collect();
        if alive.len() > 2 && !actors.is_empty() && self.choices.one_in(2) {
            let actor = self.choices.pick(&actors).expect("not empty");
            return self.kill_actor(actor);
        }
        let aimed: Vec<Pid> = match self.options.habit {
            Habit::Actors => {
                let is_actor = |p: &Pid| matches!(self.processes[*p].role, Role::Actor(_));
                alive.iter().copied().filter(is_actor).collect()
            }
            Habit::Nesting => self.lenders_of_nested(&alive),
            Habit::Mixed | Habit::Lending | Habit::Items => Vec::new(),
        };
        let often = !aimed.is_empty() && !self.choices.one_in(4);
        if alive.len() > 2
            && let Some(pid) = self.choices.pick(if often { &aimed } else { &alive })
        {
            let intended = self.choices.one_in(4);
            self.kill(pid, intended);
        }
    }

    /// Whose values, with refs inside, others have.
    fn lenders_of_nested(&self, alive: &[Pid]) -> Vec<Pid> {
        let borrowed = |p: &Pid| {
            let owner = &self.processes[*p].owner;
            let holds = |id: &ObjectId| owner.value(id).is_some_and(|v| !v.refs().is_empty());
            let known = owner.borrower_state().into_iter().map(|s| s.object.id);
            known.filter(holds).map(|id| owner_of(&id)).filter(|owner| owner != p).collect::<Vec<Pid>>()
        };
        let lenders: BTreeSet<Pid> = alive.iter().flat_map(borrowed).collect();
        lenders.into_iter().filter(|p| self.processes[*p].alive).collect()
    }

    pub(crate) fn kill(&mut self, dead: Pid, intended: bool) {
        self.taint(dead);
        self.seal_untold(dead);
        self.processes[dead].alive = false;
        self.processes[dead].running.clear();
        self.processes[dead].inbox.clear();
        self.relay.retain(|(_, to), _| *to != dead);
        self.lanes.retain(|(caller, _), _| *caller != dead);
        for pid in self.alive() {
            if self.options.strangers && !self.acquainted.contains(&(pid, dead)) {
                continue;
            }
            let sealed = self.audit.sealed_for(pid, dead);
            self.relay.entry((dead, pid)).or_default().push_back(Relayed::Lost { intended, sealed });
        }
        let processes = &mut self.processes;
        self.daemon.leases.retain(|_, (holder, worker)| {
            if *holder == dead && processes[*worker].alive {
                processes[*worker].role = Role::Free;
            }
            *holder != dead && *worker != dead
        });
        let hit = |a: &Actor| a.dead.is_none() && (a.worker == Some(dead) || a.creator == dead);
        let hit: Vec<ActorId> = self.daemon.actors.iter().filter(|(_, a)| hit(a)).map(|(id, _)| *id).collect();
        hit.into_iter().for_each(|id| self.actor_hit(id, dead));
    }

    /// Some of what runs there has put a value into the arena and not told of it.
    fn seal_untold(&mut self, dead: Pid) {
        let running = self.processes[dead].running.iter().filter(|r| r.constructs.is_none() && r.num_returns > 0);
        let tasks: Vec<TaskId> = running.map(|r| r.task).collect();
        for task in tasks {
            if self.choices.one_in(2) {
                let loc = self.next_loc();
                self.audit.sealed(dead, ObjectId::new(task, 0), loc);
            }
        }
    }

    fn actor_hit(&mut self, id: ActorId, dead: Pid) {
        let actor = self.daemon.actors.get_mut(&id).expect("just listed");
        if actor.creator == dead || actor.restarts == 0 {
            let error = ErrorValue::new(ErrorKind::ActorDied, format!("process {dead} was killed"));
            return self.bury(id, End::Killed, error);
        }
        actor.restarts -= 1;
        let incarnation = actor.incarnation;
        (actor.worker, actor.up, actor.incarnation) = (None, false, incarnation + 1);
        actor.before = Some(dead);
        for pid in actor.watchers.clone() {
            if self.processes[pid].alive {
                let news = News::ActorRestarting { actor: id, incarnation, worker: dead };
                self.processes[pid].inbox.push_back(news);
            }
        }
        self.end_unwanted(id);
    }

    /// The handles and constructors' refs that the daemon keeps for actors of `creator`.
    pub(crate) fn actor_event(&mut self, pid: Pid, id: ActorId, handle: ObjectId, args: &Args, unordered: bool) {
        let (deps, refs) = (args.deps.clone(), args.refs.clone());
        self.feed(pid, Event::ActorCreated { actor: id, handle, deps, refs, unordered });
    }
}
