//! Read-only looks at the core, for the I/O layer's hot path and for tests.
use crate::{
    Owner,
    objects::{Entry, Flow},
};
use shoal_types::{
    ActorId, Address, ArenaLoc, Args, CallSpec, ErrorKind, ErrorValue, LaneId, ObjectId, RefWire, TaskId, TaskSpec,
    Value, WorkerId,
};
use std::sync::Arc;

/// What is counted for one object, for tests and `shoal why`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectState {
    /// The object and its owner.
    pub object: RefWire,
    /// Python refs.
    pub local: u32,
    /// Pending tasks and calls of this process that take it.
    pub lent: u32,
    /// Values kept here that contain it.
    pub contained: u32,
    /// Calls running here that were lent it.
    pub executing: u32,
    /// Borrowed: how many the owner counts, or will count, for this process.
    pub credits: u32,
    /// Owned: what it counts for other processes, in the order of their ids.
    pub holders: Vec<(WorkerId, i64)>,
    /// Owned: refs that others announced to send back, less those that came.
    pub returning: Vec<(WorkerId, i64)>,
    /// Whether there is a value.
    pub ready: bool,
}

/// What a reader of a generator gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing is there yet.
    NotYet,
    /// This.
    Item(RefWire),
    /// There are no more.
    End,
    /// Its owner can't be asked.
    Error(Arc<ErrorValue>),
}

impl Owner {
    /// This process.
    pub fn me(&self) -> Address {
        self.me
    }

    /// The value of an object that is known here and has one.
    pub fn value(&self, id: &ObjectId) -> Option<&Value> {
        self.objects.map.get(id)?.value.as_ref()
    }

    /// Where a value of this process's lies, if it is in the arena and has no refs inside, which would have to be passed
    /// on with it.
    pub fn place(&self, id: &ObjectId) -> Option<ArenaLoc> {
        let entry = self.objects.map.get(id).filter(|entry| entry.owner.worker == self.me.worker)?;
        match entry.value.as_ref()? {
            Value::Stored { loc, refs } if refs.is_empty() => Some(*loc),
            _ => None,
        }
    }

    /// Whether [`Owner::value`] has one; of a generator's next item, whether there is one or no more will come.
    pub fn is_ready(&self, id: &ObjectId) -> bool {
        self.value(id).is_some()
            || (id.index == ObjectId::NEXT_INDEX
                && self.streams.get(&id.task).is_some_and(|s| s.over || s.read < s.made))
    }

    /// What a reader of the generator with this handle gets next. [`Event::StreamRead`](crate::Event::StreamRead)
    /// takes it.
    pub fn next_item(&self, handle: &RefWire) -> Next {
        let task = handle.id.task;
        if handle.owner.worker == self.me.worker {
            return match self.streams.get(&task) {
                Some(s) if s.read < s.made => {
                    Next::Item(RefWire { id: ObjectId::new(task, s.read), owner: handle.owner })
                }
                Some(s) if !s.over => Next::NotYet,
                Some(_) | None => Next::End,
            };
        }
        match self.value(&ObjectId::new(task, ObjectId::NEXT_INDEX)) {
            None => Next::NotYet,
            Some(Value::Error(e)) if e.kind == ErrorKind::EndOfStream => Next::End,
            Some(Value::Error(e)) => Next::Error(e.clone()),
            Some(value) => value.refs().first().map_or(Next::End, |r| Next::Item(*r)),
        }
    }

    /// What objects of that process are since it died; `None` while it lives.
    pub fn owner_death(&self, owner: &WorkerId) -> Option<ErrorValue> {
        self.objects.dead.why(owner).map(|error| crate::objects::owner_died(&error))
    }

    /// Whether there is an entry.
    pub fn knows(&self, id: &ObjectId) -> bool {
        self.objects.map.contains_key(id)
    }

    /// Whether this process owns it; `None` when it isn't known.
    pub fn owner_of(&self, id: &ObjectId) -> Option<Address> {
        self.objects.map.get(id).map(|e| e.owner)
    }

    /// A task of this process that is not over.
    pub fn task(&self, id: &TaskId) -> Option<&TaskSpec> {
        self.tasks.get(id).map(|t| &*t.spec)
    }

    /// Whether a task of this process is lost if the process that runs it dies.
    pub fn is_last_try(&self, id: &TaskId) -> bool {
        self.tasks.get(id).is_some_and(|t| !t.may_retry())
    }

    /// An actor call of this process that is not over.
    pub fn call(&self, id: &TaskId) -> Option<&CallSpec> {
        self.calls.get(id).map(|c| &*c.spec)
    }

    /// Whether an actor's method makes this object and is not over.
    pub fn is_of_call(&self, id: &ObjectId) -> bool {
        self.calls.contains_key(&id.task)
    }

    /// Dependency `index` of a task or call that was ordered to be pushed: it has a value and that is no error.
    ///
    /// # Panics
    /// TASK-2: with an index out of range, or a dependency without a value.
    pub fn dep_value<'a>(&'a self, args: &Args, index: u32) -> (RefWire, &'a Value) {
        let object = args.deps[index as usize];
        (object, self.value(&object.id).expect("TASK-2: a pushed task's dependencies have values"))
    }

    /// Where an actor is reached now.
    pub fn actor_lane(&self, actor: &ActorId) -> Option<LaneId> {
        self.actors.get(actor)?.up().map(|(lane, _)| lane)
    }

    /// How many calls of an actor by this process have no result yet.
    pub fn pending_calls(&self, actor: &ActorId) -> usize {
        self.actors.get(actor).map_or(0, |a| a.calls.len() - a.abandoned)
    }

    /// What an actor died of.
    pub fn actor_error(&self, actor: &ActorId) -> Option<&ErrorValue> {
        self.actors.get(actor)?.dead().map(|e| &**e)
    }

    /// Whether other processes hold objects of this one, or it has unfinished tasks: such a worker must not retire.
    pub fn holds_for_others(&self) -> bool {
        !self.objects.by_holder.is_empty() || !self.tasks.is_empty() || !self.calls.is_empty()
    }

    /// Whether tasks or calls of this process are not done.
    pub fn has_unfinished(&self) -> bool {
        !self.tasks.is_empty() || !self.calls.is_empty()
    }

    /// When [`Event::Ticked`](crate::Event::Ticked) is due; may be early, never late.
    pub fn next_deadline(&self) -> Option<u64> {
        (self.deadline != u64::MAX).then_some(self.deadline)
    }

    /// Every entry, in the order of ids.
    pub fn borrower_state(&self) -> Vec<ObjectState> {
        let mut all: Vec<ObjectState> = self.objects.map.iter().map(|(id, e)| state(*id, e)).collect();
        all.sort_unstable_by_key(|s| s.object.id);
        all
    }

    /// Whether nothing is left: no object, task, call or lease. Dead actors' records don't count.
    pub fn is_empty(&self) -> bool {
        let work = self.tasks.is_empty() && self.calls.is_empty() && self.executing.is_empty();
        work && self.streams.is_empty() && self.objects.map.is_empty() && self.lease_keys.is_empty()
    }
}

fn state(id: ObjectId, e: &Entry) -> ObjectState {
    let counts = |flow: Flow| {
        let of_flow = e.shared.iter().flat_map(|s| &s.holders).filter(|((_, f), _)| *f == flow);
        let mut counts: Vec<(WorkerId, i64)> = of_flow.map(|((w, _), n)| (*w, *n)).collect();
        counts.sort_unstable();
        counts
    };
    let (holders, returning) = (counts(Flow::Holds), counts(Flow::Returns));
    ObjectState {
        object: RefWire { id, owner: e.owner },
        local: e.local,
        lent: e.lent,
        contained: e.contained,
        executing: e.executing,
        credits: e.credits,
        holders,
        returning,
        ready: e.value.is_some(),
    }
}
