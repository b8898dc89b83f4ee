//! What runs in a process: taking a request, the refs of its arguments, ending it with values.
use crate::{
    process::{Lane, News, Pid, Reply, Request, Role, Running, address},
    schedule::Source,
    world::{Habit, World},
};
use shoal_owner::Event;
use shoal_types::{ArenaLoc, ErrorKind, ErrorValue, ObjectId, RefWire, TaskId, Value, is_stream};
use std::sync::Arc;

/// One in so many calls of an actor ends it.
const EXITS: usize = 20;

impl World {
    /// Some process takes a request or ends a call. False when there is none.
    pub(crate) fn execute_one(&mut self, may_linger: bool) -> bool {
        let busy: Vec<(Pid, usize)> = self.movable();
        let takers = self.takers();
        if !takers.is_empty() && (busy.is_empty() || self.choices.one_in(2)) {
            let (caller, worker) = self.choices.pick(&takers).expect("not empty");
            self.take(caller, worker);
            return true;
        }
        let Some((pid, at)) = self.choices.pick(&busy) else { return false };
        self.run_on(pid, at, may_linger);
        true
    }

    /// A call goes on, or ends.
    pub(crate) fn run_on(&mut self, pid: Pid, at: usize, may_linger: bool) {
        if is_stream(self.processes[pid].running[at].num_returns) {
            return self.stream_moves(pid, at);
        }
        let lingers = may_linger && self.options.habit != Habit::Lending;
        if lingers && !self.choices.one_in(4) {
            return;
        }
        let process = &self.processes[pid];
        let waits = process.running[at].children.iter().any(|t| process.owner.task(t).is_some());
        if !(may_linger && waits) {
            self.end(pid, at);
        }
    }

    /// Lanes whose worker may take a request now.
    pub(crate) fn takers(&self) -> Vec<(Pid, Pid)> {
        let may = |pid: Pid, lane: &Lane| {
            let process = &self.processes[pid];
            let limit = match process.role {
                Role::Actor(id) if self.daemon.is_unordered(&id) => 3,
                Role::Actor(_) | Role::Free | Role::Leased(_) => 1,
                Role::Lingers => 0,
            };
            let up = !process.running.iter().any(|r| r.constructs.is_some());
            process.alive && up && process.running.len() < limit && lane.requests.iter().any(|r| !r.taken)
        };
        let lanes = self.lanes.iter().filter(|((_, worker), lane)| may(*worker, lane)).map(|(ends, _)| *ends);
        lanes.filter(|(caller, worker)| !self.scheduler.holds(Source::Requests(*caller, *worker))).collect()
    }

    /// SIM-3: the first that is not taken.
    pub(crate) fn take(&mut self, caller: Pid, worker: Pid) {
        let lane = self.lanes.get_mut(&(caller, worker)).expect("just seen");
        let request = lane.requests.iter_mut().find(|r| !r.taken).expect("just seen");
        request.taken = true;
        let request = request.clone();
        let lost = self.audit.lost_among(&request.stored);
        if !lost.is_empty() {
            return self.refuse((caller, worker), request, lost);
        }
        if let Some(actor) = request.actor {
            self.audit.call_began(actor, self.daemon.life(&actor), caller, request.task);
        }
        self.audit.began(request.task);
        let running = Running {
            caller,
            task: request.task,
            attempt: request.attempt,
            num_returns: request.num_returns,
            retry_exceptions: request.retry_exceptions,
            window: request.window,
            yielded: 0,
            args: request.refs.clone(),
            children: Vec::new(),
            constructs: None,
            cancelled: false,
        };
        self.begin(worker, running);
    }

    /// An argument is not where it should lie: the call does not begin.
    fn refuse(&mut self, (caller, worker): (Pid, Pid), request: Request, lost: Vec<(RefWire, ArenaLoc)>) {
        let Request { task, attempt, refs, .. } = request;
        self.audit.call_refused(&task);
        self.feed(worker, Event::CallTaken { task, refs });
        self.feed(worker, Event::CallDone { task, caller: address(caller), refs: Vec::new() });
        let Some(kept) = self.processes[worker].kept.take() else { return };
        let reply = Reply { item: None, task, attempt, retryable: false, kept, values: Vec::new(), lost };
        self.send_reply((caller, worker), reply);
    }

    pub(crate) fn begin(&mut self, pid: Pid, running: Running) {
        let (task, refs) = (running.task, running.args.clone());
        let places = self.places(running.caller, &refs);
        self.feed(pid, Event::CallTaken { task, refs: refs.clone() });
        if !places.is_empty() {
            self.feed(pid, Event::Placed(places));
        }
        refs.iter().for_each(|r| self.take_ref(pid, r));
        self.processes[pid].running.push(running);
    }

    /// What the caller says of where the objects of the arguments' refs lie. Some say nothing: those that are made later.
    fn places(&mut self, caller: Pid, refs: &[RefWire]) -> Vec<(ObjectId, ArenaLoc)> {
        let caller = &self.processes[caller];
        let known = |r: &RefWire| Some((r.id, caller.owner.place(&r.id).filter(|_| caller.alive)?));
        let places: Vec<_> = refs.iter().filter_map(known).collect();
        if self.choices.one_in(2) { Vec::new() } else { places }
    }

    /// A Python ref object comes to be.
    pub(crate) fn take_ref(&mut self, pid: Pid, r: &RefWire) {
        self.feed(pid, Event::RefTaken(*r));
        if let Some(next) = self.next_of(pid, r) {
            self.feed(pid, Event::RefTaken(next));
        }
        if r.id.index == ObjectId::ACTOR_INDEX {
            let (actor, unordered) = self.daemon.of_handle(&r.id);
            self.feed(pid, Event::ActorKnown { actor, unordered });
        }
    }

    /// The owner of a call that runs here cancels it.
    pub(crate) fn cancel_heard(&mut self, pid: Pid, task: TaskId, recursive: bool) {
        if !recursive {
            return;
        }
        self.cancel_unfinished(pid, task);
        if let Some(running) = self.processes[pid].running.iter_mut().find(|r| r.task == task) {
            running.cancelled = true;
        }
    }

    fn cancel_unfinished(&mut self, pid: Pid, parent: TaskId) {
        let mut children = self.audit.children_of(pid, parent);
        let owner = &self.processes[pid].owner;
        children.retain(|id| owner.task(id).is_some() || owner.call(id).is_some());
        self.audit.children_cancelled(children);
    }

    pub(crate) fn end(&mut self, pid: Pid, at: usize) {
        let running = &self.processes[pid].running[at];
        if running.cancelled && self.choices.one_in(2) {
            let task = running.task;
            self.cancel_unfinished(pid, task);
            self.feed(pid, Event::Interrupted(task));
            if !self.processes[pid].alive {
                return;
            }
        }
        if let Role::Actor(id) = self.processes[pid].role
            && self.processes[pid].running.iter().all(|r| r.constructs.is_none())
            && self.daemon.is_living(&id)
            && self.choices.one_in(EXITS)
        {
            return self.exits(pid, id);
        }
        let mut running = self.processes[pid].running.remove(at);
        // Some arguments are kept by the user's code: in a global, or in the actor.
        let often = if self.options.habit == Habit::Lending { 2 } else { 3 };
        while self.choices.one_in(often)
            && let Some(r) = running.args.pop()
        {
            self.processes[pid].vars.push(r);
        }
        let values = if running.constructs.is_some() { Vec::new() } else { self.values(pid, &running) };
        let retryable = running.retry_exceptions && matches!(values.first(), Some(Value::Error(_)));
        if !self.is_unheard(pid) {
            self.audit.made(pid, running.task, 0, &values);
        }
        let refs: Vec<RefWire> = values.iter().flat_map(Value::refs).copied().collect();
        let held = self.all_of(pid, &running.args);
        let (task, caller, attempt) = (running.task, running.caller, running.attempt);
        let early = refs.is_empty() && self.choices.one_in(2);
        if early {
            self.feed(pid, Event::RefsDropped(held.clone()));
        }
        if running.constructs.is_some() {
            // Its lender hears of what it keeps by the daemon, which is still to be told.
            self.in_hand = running.args.iter().map(|r| r.id).collect();
        }
        self.feed(pid, Event::CallDone { task, caller: address(caller), refs });
        self.in_hand.clear();
        if !self.processes[pid].alive {
            return;
        }
        let kept = self.processes[pid].kept.take();
        assert_eq!(kept.is_none(), self.is_unheard(pid), "DEATH-8: the answer of {task}");
        match (running.constructs, kept) {
            (Some(life), Some(kept)) => self.actor_started(pid, life, kept),
            (None, Some(kept)) => self.send_reply(
                (caller, pid),
                Reply { item: None, task, attempt, retryable, kept, values, lost: Vec::new() },
            ),
            (_, None) => {}
        }
        if !early {
            self.feed(pid, Event::RefsDropped(held));
        }
    }

    /// Whether what it makes for callers goes to nobody, and is let go of there (DEATH-8).
    pub(crate) fn is_unheard(&self, pid: Pid) -> bool {
        self.processes[pid].role == Role::Lingers
    }

    pub(crate) fn send_reply(&mut self, (caller, pid): (Pid, Pid), reply: Reply) {
        if let Some(lane) =
            self.lanes.get_mut(&(caller, pid)).filter(|_| self.processes[caller].alive && self.processes[pid].alive)
        {
            if reply.item.is_none() {
                lane.requests.retain(|r| r.task != reply.task);
            }
            lane.replies.push_back(reply);
        }
    }

    fn values(&mut self, pid: Pid, running: &Running) -> Vec<Value> {
        let n = if is_stream(running.num_returns) { 0 } else { running.num_returns };
        if self.options.habit == Habit::Lending && !self.choices.one_in(4) {
            return (0..n).map(|_| self.value(&[])).collect();
        }
        if self.choices.one_in(6) {
            return vec![Value::Error(Arc::new(ErrorValue::new(ErrorKind::Task, "raised")))];
        }
        let held = self.may_return(pid, running);
        (0..n).map(|_| self.value(&held)).collect()
    }

    /// What a call may return. A value that holds a ref of itself, through any number of others, is never freed: counting
    /// can't see cycles.
    pub(crate) fn may_return(&self, pid: Pid, running: &Running) -> Vec<RefWire> {
        let mut held = self.processes[pid].vars.clone();
        held.extend_from_slice(&running.args);
        let (ages, born) = (&self.ages, self.ages[&running.task]);
        held.retain(|r| ages[&r.id.task] < born);
        held
    }

    pub(crate) fn next_loc(&mut self) -> ArenaLoc {
        self.locs += 1;
        ArenaLoc { chunk: 0, entry: 0, generation: 0, offset: self.locs, len: 1 }
    }

    /// A value with a few of these refs.
    pub(crate) fn value(&mut self, held: &[RefWire]) -> Value {
        let mut refs = Vec::new();
        while refs.len() < 4 && self.choices.one_in(2) {
            refs.extend(self.choices.pick(held));
        }
        if self.choices.one_in(2) {
            Value::Stored { loc: self.next_loc(), refs }
        } else {
            Value::Inline { bytes: Arc::from(&b"value"[..]), refs }
        }
    }

    /// Some caller reads a reply. False when there is none.
    pub(crate) fn reply_one(&mut self, may_hold_up: bool) -> bool {
        let full = self.full();
        match self.choices.pick(&full) {
            Some((caller, worker)) if may_hold_up && self.is_held_up(worker + 1, caller) => true,
            Some((caller, worker)) => self.read_reply(caller, worker),
            None => false,
        }
    }

    /// Lanes with replies.
    pub(crate) fn full(&self) -> Vec<(Pid, Pid)> {
        let full = self.lanes.iter().filter(|(_, l)| !l.replies.is_empty()).map(|(ends, _)| *ends);
        full.filter(|(caller, worker)| !self.scheduler.holds(Source::Replies(*caller, *worker))).collect()
    }

    pub(crate) fn read_reply(&mut self, caller: Pid, worker: Pid) -> bool {
        let reply = self.lanes.get_mut(&(caller, worker)).and_then(|l| l.replies.pop_front());
        let Some(Reply { item, task, attempt, retryable, kept, mut values, lost }) = reply else { return false };
        self.in_hand = kept.iter().map(|r| r.id).collect();
        if !lost.is_empty() {
            let worker = address(worker).worker;
            self.feed(caller, Event::ArgumentsLost { task, attempt, kept, lost, worker });
            self.in_hand.clear();
            return true;
        }
        if let Some(index) = item {
            let value = values.pop().expect("an item is one value");
            let worker = address(worker).worker;
            self.feed(caller, Event::Item { task, attempt, index, value, worker });
            return true;
        }
        self.audit.replied += 1;
        let micros = self.choices.pick(&[1, 15, 300, 5_000]).expect("four choices");
        let worker = address(worker).worker;
        self.feed(caller, Event::Replied { task, attempt, retryable, micros, kept, values, worker });
        self.in_hand.clear();
        true
    }

    /// The constructor is done.
    fn actor_started(&mut self, pid: Pid, life: (shoal_types::ActorId, u32), kept: Vec<RefWire>) {
        for (to, kept) in self.daemon.started(life, kept) {
            if self.processes[to].alive {
                let (actor, incarnation) = life;
                self.acquaint(to, pid);
                self.processes[to].inbox.push_back(News::ActorUp { actor, incarnation, worker: pid, kept });
            }
        }
        self.end_unwanted(life.0);
    }
}
