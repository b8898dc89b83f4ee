//! What the user's code does in a process: any program is a list of these.
use crate::{
    process::{Pid, Running, address, owner_of, pid_of},
    world::{Habit, World},
};
use shoal_owner::Event;
use shoal_types::{
    ActorId, Args, CallSpec, DYNAMIC, FunctionId, ObjectId, RefWire, STREAMING, TaskId, TaskSpec, Value,
};

const MAX_ACTORS: usize = 4;

impl World {
    pub(crate) fn user_acts(&mut self) {
        let busy: Vec<Pid> = self.alive().into_iter().filter(|p| !self.processes[*p].running.is_empty()).collect();
        let any = self.choices.pick(&self.alive());
        // Once in so many times a process that runs nothing may act.
        let seldom = if matches!(self.options.habit, Habit::Lending | Habit::Nesting) { 4 } else { 2 };
        let Some(pid) = self.choices.pick(&busy).filter(|_| self.choices.below(seldom) > 0).or(any) else { return };
        match self.options.habit {
            Habit::Mixed => self.mixes(pid),
            Habit::Lending => self.lends(pid),
            Habit::Actors => self.calls(pid),
            Habit::Nesting => self.nests(pid),
            Habit::Items => self.generates(pid),
        }
    }

    fn mixes(&mut self, pid: Pid) {
        match self.choices.below(20) {
            0 | 1 => self.put(pid),
            2..=6 => self.submit(pid),
            7 | 8 => self.drop_one(pid),
            9 => self.read_one(pid),
            10 => self.copy_one(pid),
            11 | 12 => self.want_one(pid),
            13 | 14 => self.unpack_one(pid),
            15 => self.cancel_one(pid),
            16 if self.options.actors && self.daemon.living_actors() < MAX_ACTORS => self.create_actor(pid),
            17..=19 if self.options.actors => self.call(pid),
            _ => {}
        }
    }

    fn lends(&mut self, pid: Pid) {
        match self.choices.below(20) {
            0 | 1 => self.put(pid),
            2 => self.want_one(pid),
            3..=8 => self.lend_on(pid),
            9..=15 => self.drop_one(pid),
            _ => {}
        }
    }

    fn calls(&mut self, pid: Pid) {
        match self.choices.below(20) {
            0 => self.put(pid),
            1..=3 => self.submit(pid),
            4..=6 => self.drop_one(pid),
            7 => self.want_one(pid),
            8 => self.unpack_one(pid),
            9 => self.cancel_one(pid),
            10 | 11 if self.daemon.living_actors() < MAX_ACTORS => self.create_actor(pid),
            _ => self.call(pid),
        }
    }

    fn nests(&mut self, pid: Pid) {
        match self.choices.below(20) {
            0 => self.put(pid),
            1..=4 => self.wrap_one(pid),
            5..=12 => self.submit_nested(pid),
            13..=16 => self.let_go(pid),
            17 if self.options.actors && self.daemon.living_actors() < MAX_ACTORS => self.create_actor(pid),
            17 | 18 if self.options.actors => self.call(pid),
            _ => self.unpack_one(pid),
        }
    }

    /// A value that this process holds: mostly one that a call which runs here was given, else another's, else any.
    fn given(&mut self, pid: Pid) -> Option<RefWire> {
        let process = &self.processes[pid];
        let is_value = |r: &&RefWire| r.id.index < ObjectId::NEXT_INDEX;
        let lent: Vec<RefWire> = process.running.iter().flat_map(|r| &r.args).filter(is_value).copied().collect();
        let vars = process.vars.iter().filter(is_value).copied();
        let (foreign, own): (Vec<_>, Vec<_>) = vars.partition(|r| pid_of(&r.owner.worker) != pid);
        let lent = self.choices.pick(&lent).filter(|_| !self.choices.one_in(4));
        lent.or_else(|| self.choices.pick(&foreign)).or_else(|| self.choices.pick(&own))
    }

    /// A value in the arena that holds a ref, which this process lets go of.
    fn wrap_one(&mut self, pid: Pid) {
        let Some(inner) = self.given(pid) else { return self.put(pid) };
        let id = ObjectId::new(self.next_task(pid), 0);
        let value = Value::Stored { loc: self.next_loc(), refs: vec![inner] };
        self.audit.made(pid, id.task, 0, std::slice::from_ref(&value));
        self.feed(pid, Event::ValuePut { id, value });
        self.processes[pid].vars.push(RefWire { id, owner: address(pid) });
        self.drop_all(pid, inner.id);
    }

    /// Every ref of one object goes.
    fn let_go(&mut self, pid: Pid) {
        if let Some(r) = self.choices.pick(&self.processes[pid].vars) {
            self.drop_all(pid, r.id);
        }
    }

    fn drop_all(&mut self, pid: Pid, id: ObjectId) {
        let vars = std::mem::take(&mut self.processes[pid].vars);
        let (gone, rest): (Vec<_>, Vec<_>) = vars.into_iter().partition(|r| r.id == id);
        self.processes[pid].vars = rest;
        let ids = self.all_of(pid, &gone);
        self.feed(pid, Event::RefsDropped(ids));
    }

    /// A task that is given a value of another's, or its ref; mostly this process lets go of it.
    fn submit_nested(&mut self, pid: Pid) {
        let Some(r) = self.given(pid) else { return self.submit(pid) };
        let (deps, refs) = if self.choices.one_in(2) { (vec![r], Vec::new()) } else { (Vec::new(), vec![r]) };
        self.submit_with(pid, Args { bytes: Vec::new(), deps, refs });
        if !self.choices.one_in(3) {
            self.drop_all(pid, r.id);
        }
    }

    fn generates(&mut self, pid: Pid) {
        match self.choices.below(20) {
            0 => self.put(pid),
            1..=4 => self.submit(pid),
            5..=9 => self.read_one(pid),
            10 => self.drop_one(pid),
            11..=14 => self.unpack_one(pid),
            15 if self.choices.one_in(4) => self.cancel_one(pid),
            16 | 17 if self.options.losses => self.lose_one(),
            _ => {}
        }
    }

    /// A task with one ref: of the arguments of a call that runs here and waits for it, else one that is borrowed, else
    /// any.
    fn lend_on(&mut self, pid: Pid) {
        let process = &self.processes[pid];
        // Half of the calls lend on, once: else each waits for the next, and none ever ends.
        let lends = |r: &Running| !r.args.is_empty() && r.children.is_empty() && self.ages[&r.task].is_multiple_of(2);
        let running: Vec<usize> = (0..process.running.len()).filter(|i| lends(&process.running[*i])).collect();
        let mut from = process.vars.clone();
        let parent = self.choices.pick(&running);
        if let Some(at) = parent {
            from.clone_from(&process.running[at].args);
        } else if from.iter().any(|r| pid_of(&r.owner.worker) != pid) {
            from.retain(|r| pid_of(&r.owner.worker) != pid);
        } else if self.alive().iter().filter(|p| !self.processes[**p].running.is_empty()).count() >= 4 {
            return;
        }
        let refs: Vec<RefWire> = self.choices.pick(&from).into_iter().collect();
        let child = self.submit_with(pid, Args { bytes: Vec::new(), deps: Vec::new(), refs });
        if let Some(at) = parent {
            // It may have died of it.
            self.processes[pid].running.get_mut(at).into_iter().for_each(|r| r.children.push(child));
        }
    }

    /// Some refs that this process holds: values, and handles too when they are only passed on.
    fn some(&mut self, pid: Pid, handles: bool, most: usize) -> Vec<RefWire> {
        let mut held = self.processes[pid].held();
        held.retain(|r| handles || r.id.index < ObjectId::NEXT_INDEX);
        let mut some = Vec::new();
        while some.len() < most && self.choices.one_in(2) {
            some.extend(self.choices.pick(&held));
        }
        some
    }

    fn args(&mut self, pid: Pid) -> Args {
        Args { bytes: Vec::new(), deps: self.some(pid, false, 3), refs: self.some(pid, true, 3) }
    }

    fn put(&mut self, pid: Pid) {
        let id = ObjectId::new(self.next_task(pid), 0);
        let held = self.processes[pid].held();
        let value = self.value(&held);
        self.audit.made(pid, id.task, 0, std::slice::from_ref(&value));
        self.feed(pid, Event::ValuePut { id, value });
        self.processes[pid].vars.push(RefWire { id, owner: address(pid) });
    }

    /// Which of the calls that run here submits something; none, too.
    fn parent(&mut self, pid: Pid) -> Option<TaskId> {
        let running: Vec<TaskId> = self.processes[pid].running.iter().map(|r| r.task).collect();
        self.choices.pick(&running).filter(|_| !self.choices.one_in(4))
    }

    fn submit(&mut self, pid: Pid) {
        let args = self.args(pid);
        self.submit_with(pid, args);
    }

    fn submit_with(&mut self, pid: Pid, args: Args) -> TaskId {
        let kinds = if self.options.habit == Habit::Lending { (1, 1) } else { (3, 2) };
        let tries = if self.options.habit == Habit::Items { 8 } else { 3 };
        let (num_returns, window) = self.returns(&[1, 1, 0, 2]);
        let spec = TaskSpec {
            id: self.next_task(pid),
            function: FunctionId([self.choices.below(kinds.0) as u8; 16]),
            name: "f".into(),
            key: self.choices.below(kinds.1) as u32,
            num_returns,
            window,
            max_retries: self.choices.below(tries) as i32,
            retry_exceptions: self.choices.one_in(4),
            depth: 0,
            parent: self.parent(pid),
            args,
        };
        let task = spec.id;
        self.audit.submitted(task, spec.num_returns, spec.max_retries, spec.parent);
        let returns: Vec<ObjectId> = spec.returns().collect();
        self.feed(pid, Event::TaskSubmitted(Box::new(spec)));
        self.processes[pid].vars.extend(returns.iter().map(|id| RefWire { id: *id, owner: address(pid) }));
        task
    }

    /// How many returns a call has: one of these, or it is a generator with some window.
    fn returns(&mut self, plain: &[u32]) -> (u32, u32) {
        let often = if self.options.habit == Habit::Items { 1 } else { 3 };
        if self.options.streams && self.choices.one_in(often) {
            let n = if self.choices.one_in(4) { DYNAMIC } else { STREAMING };
            return (n, if n == DYNAMIC { u32::MAX } else { self.choices.below(4) as u32 });
        }
        (self.choices.pick(plain).expect("some choices"), 0)
    }

    fn drop_one(&mut self, pid: Pid) {
        let vars = &mut self.processes[pid].vars;
        if !vars.is_empty() {
            let r = vars.swap_remove(self.choices.below(vars.len()));
            let ids = self.all_of(pid, &[r]);
            self.feed(pid, Event::RefsDropped(ids));
        }
    }

    fn copy_one(&mut self, pid: Pid) {
        if let Some(r) = self.choices.pick(&self.processes[pid].vars) {
            self.take_ref(pid, &r);
            self.processes[pid].vars.push(r);
        }
    }

    fn want_one(&mut self, pid: Pid) {
        if let Some(r) = self.choices.pick(&self.processes[pid].vars) {
            self.feed(pid, Event::Wanted(vec![r.id]));
        }
    }

    /// Gets a value that is there: its refs become Python objects.
    fn unpack_one(&mut self, pid: Pid) {
        let process = &self.processes[pid];
        let Some(r) = self.choices.pick(&process.vars) else { return };
        if !self.reads(pid, r.id) {
            return;
        }
        let process = &self.processes[pid];
        let inside = process.owner.value(&r.id).map(|v| v.refs().to_vec()).unwrap_or_default();
        for r in &inside {
            self.take_ref(pid, r);
        }
        self.processes[pid].vars.extend(inside);
    }

    fn cancel_one(&mut self, pid: Pid) {
        let Some(r) = self.choices.pick(&self.processes[pid].vars) else { return };
        let force = self.options.kills && self.choices.one_in(4);
        let recursive = !self.choices.one_in(4);
        self.feed(pid, Event::Cancelled { id: r.id, force, recursive });
    }

    fn create_actor(&mut self, pid: Pid) {
        let args = self.args(pid);
        let handle = ObjectId::new(self.next_task(pid), ObjectId::ACTOR_INDEX);
        let id = ActorId(handle.task.0);
        let (unordered, restarts) = (self.choices.one_in(3), self.choices.below(3) as u32);
        self.daemon.register(id, pid, handle, args.clone(), (unordered, restarts));
        if self.options.kills && self.processes[pid].inbox.is_empty() && self.choices.one_in(20) {
            // By somebody who found its name. Its creator hears that before it hears that it is registered.
            self.kill_actor(id);
            self.news_to(pid);
        }
        self.actor_event(pid, id, handle, &args, unordered);
        self.processes[pid].vars.push(RefWire { id: handle, owner: address(pid) });
    }

    fn call(&mut self, pid: Pid) {
        let is_handle = |r: &&RefWire| r.id.index == ObjectId::ACTOR_INDEX;
        let handles: Vec<RefWire> = self.processes[pid].vars.iter().filter(is_handle).copied().collect();
        let Some(handle) = self.choices.pick(&handles) else { return };
        let (actor, unordered) = self.daemon.of_handle(&handle.id);
        let args = self.args(pid);
        let (num_returns, window) = self.returns(&[1, 1, 1]);
        let spec = CallSpec {
            id: self.next_task(pid),
            actor,
            handle: Some(handle),
            method: "m".into(),
            group: "".into(),
            num_returns,
            window,
            max_retries: self.choices.below(3) as i32,
            retry_exceptions: false,
            parent: self.parent(pid),
            args,
        };
        self.audit.submitted(spec.id, spec.num_returns, spec.max_retries, spec.parent);
        let id = spec.returns().next().expect("a call has returns");
        self.feed(pid, Event::ActorKnown { actor, unordered });
        self.feed(pid, Event::CallSubmitted(Box::new(spec)));
        assert_eq!(owner_of(&id), pid, "ids begin with their process");
        self.processes[pid].vars.push(RefWire { id, owner: address(pid) });
    }
}
