//! The table of objects: an entry for each one that this process owns or borrows, and what counts it.
//!
//! Owns the counts, the indices by owner and by holder, and freeing. What credits and releases say to other processes
//! is `transfer`'s; who waits for a value is told through [`Objects::ready`].
//!
//! - COUNT-1 an owned entry goes when `local`, `lent`, `contained`, `executing` and `lineage` are zero, every holder's count is
//!   exactly zero and no task of this process is still to give it a value.
//! - COUNT-2 a borrowed entry goes when its four local counts are zero; its credits are released then, all at once.
//! - COUNT-3 entries go only at the end of `handle`: a count that falls to zero and rises in one event frees nothing.
//! - COUNT-4 freeing is a work list, never recursion: a chain of a million nested values needs no stack.
use crate::{Order, death::Dead, lineage::Made, transfer::Outbox};
use rustc_hash::{FxHashMap, FxHashSet};
use shoal_types::{ActorId, Address, ErrorKind, ErrorValue, ObjectId, RefWire, TaskId, Value, WorkerId};
use smallvec::SmallVec;
use std::{collections::VecDeque, sync::Arc};

/// Why an object is held here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Count {
    /// A Python ref object.
    Local,
    /// A pending task or call of ours takes it, or an actor that we made lives on it.
    Lent,
    /// A value that is kept here contains it.
    Contained,
    /// A call that runs here was lent it.
    Executing,
    /// A task that may run again takes it (LIN-2).
    Lineage,
}

/// Who waits for a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dependent {
    Task(TaskId),
    Call(TaskId),
    Actor(ActorId),
}

/// What a count of another process stands for (XFER-2, XFER-3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Flow {
    /// It holds refs.
    Holds,
    /// It sends refs back to us in replies: announced less arrived.
    Returns,
}

/// What other processes have to do with an owned object; most objects have none.
#[derive(Default)]
pub(crate) struct Shared {
    /// Signed: a release may come before the credit that it answers. Never zero.
    pub holders: FxHashMap<(WorkerId, Flow), i64>,
    /// Who asked for the value before there was one.
    pub fetchers: Vec<Address>,
    /// Owned or borrowed: the refs inside values that were lost: calls that were sent them are lent those (LIN-9).
    pub former: Vec<RefWire>,
}

/// One object.
pub(crate) struct Entry {
    pub owner: Address,
    pub local: u32,
    pub lent: u32,
    pub contained: u32,
    pub executing: u32,
    pub lineage: u32,
    /// Borrowed: how many the owner counts, or will count, for this process.
    pub credits: u32,
    /// Borrowed: a credit for another process was sent since the entry came to be (XFER-5).
    pub passed: bool,
    /// Owned: a task or call of ours is still to give the value.
    pub pending: bool,
    /// Borrowed: the owner was asked for the value.
    pub fetching: bool,
    /// Owned, in the arena: where the value came from.
    pub made: Made,
    pub value: Option<Value>,
    /// May name tasks that failed since; they are passed over.
    pub dependents: SmallVec<[Dependent; 1]>,
    pub shared: Option<Box<Shared>>,
}

impl Entry {
    pub fn new(owner: Address) -> Self {
        Self {
            owner,
            local: 0,
            lent: 0,
            contained: 0,
            executing: 0,
            lineage: 0,
            credits: 0,
            passed: false,
            pending: false,
            fetching: false,
            made: Made::Put,
            value: None,
            dependents: SmallVec::new(),
            shared: None,
        }
    }

    /// Whether this process still needs it beyond the calls that run here.
    pub fn kept(&self) -> bool {
        self.local | self.lent | self.contained != 0
    }

    /// Whether anything counts it.
    pub fn wanted(&self) -> bool {
        self.kept() || self.executing | self.lineage != 0 || self.shared.as_ref().is_some_and(|s| !s.holders.is_empty())
    }

    /// The value is gone. The refs inside it stay counted as long as the entry: calls that run were lent them (LIN-9).
    pub fn lose_value(&mut self) {
        if let Some(value) = self.value.take()
            && !value.refs().is_empty()
        {
            self.shared.get_or_insert_default().former.extend_from_slice(value.refs());
        }
    }

    /// The refs that it contains: inside its value, and inside one that was lost.
    pub fn inside(&self) -> impl Iterator<Item = &RefWire> {
        let former = self.shared.iter().flat_map(|s| &s.former);
        self.value.iter().flat_map(Value::refs).chain(former)
    }

    pub fn count(&mut self, which: Count) -> &mut u32 {
        match which {
            Count::Local => &mut self.local,
            Count::Lent => &mut self.lent,
            Count::Contained => &mut self.contained,
            Count::Executing => &mut self.executing,
            Count::Lineage => &mut self.lineage,
        }
    }
}

/// All of them.
pub(crate) struct Objects {
    pub me: Address,
    pub map: FxHashMap<ObjectId, Entry>,
    /// Borrowed ones by their owner.
    pub by_owner: FxHashMap<WorkerId, FxHashSet<ObjectId>>,
    /// Owned ones by each process with a count that is not zero.
    pub by_holder: FxHashMap<WorkerId, FxHashSet<(ObjectId, Flow)>>,
    /// Processes that are gone, and how.
    pub dead: Dead,
    /// The objects that count the handles of the actors made or called here.
    pub handles: FxHashMap<ObjectId, ActorId>,
    /// Actors whose last handle here went in this event.
    pub unhandled: Vec<ActorId>,
    /// Got a value in this event and have dependents.
    pub ready: VecDeque<ObjectId>,
    /// Generators whose last holder went in this event.
    pub closed: Vec<TaskId>,
    /// Tasks of which a return was freed in this event that counts their record.
    pub unmade: Vec<TaskId>,
    /// May be free to go at the end of this event.
    pub doomed: Vec<ObjectId>,
    pub outbox: Outbox,
}

impl Objects {
    pub fn new(me: Address) -> Self {
        Self {
            me,
            map: FxHashMap::default(),
            by_owner: FxHashMap::default(),
            by_holder: FxHashMap::default(),
            dead: Dead::default(),
            handles: FxHashMap::default(),
            unhandled: Vec::new(),
            ready: VecDeque::new(),
            closed: Vec::new(),
            unmade: Vec::new(),
            doomed: Vec::new(),
            outbox: Outbox::default(),
        }
    }

    pub fn is_mine(&self, r: &RefWire) -> bool {
        r.owner.worker == self.me.worker
    }

    /// The entry of `r`, made if it is not known: a foreign one begins with zero credits. One of ours that is unknown
    /// was freed before: it is lost; one of a dead owner died with it.
    pub fn entry(&mut self, r: &RefWire) -> &mut Entry {
        self.map.entry(r.id).or_insert_with(|| {
            let mut entry = Entry::new(r.owner);
            let is_value = r.id.index != ObjectId::ACTOR_INDEX;
            if r.owner.worker == self.me.worker {
                entry.value = is_value.then(|| Value::Error(Arc::new(lost(&r.id))));
            } else {
                self.by_owner.entry(r.owner.worker).or_default().insert(r.id);
                let death = self.dead.why(&r.owner.worker).filter(|_| is_value);
                entry.value = death.map(|why| Value::Error(Arc::new(owner_died(&why))));
            }
            entry
        })
    }

    /// One more reason to keep `r`.
    pub fn add(&mut self, r: &RefWire, which: Count) {
        *self.entry(r).count(which) += 1;
    }

    /// One less.
    pub fn sub(&mut self, id: &ObjectId, which: Count) {
        let Some(entry) = self.map.get_mut(id) else {
            debug_assert!(false, "COUNT-1: {which:?} of unknown {id} falls");
            return;
        };
        let count = entry.count(which);
        debug_assert!(*count > 0, "COUNT-1: {which:?} of {id} falls below zero");
        *count = count.saturating_sub(1);
        if !entry.wanted() {
            self.doomed.push(*id);
        }
    }

    /// A fresh return of a task of ours: one local ref, a value to come.
    pub fn expect(&mut self, id: ObjectId) {
        let mut entry = Entry::new(self.me);
        (entry.local, entry.pending) = (1, true);
        let old = self.map.insert(id, entry);
        debug_assert!(old.is_none(), "COUNT-1: {id} was made twice");
    }

    /// Changes what an owned object counts for a process; nothing for one that is freed or a process that is dead.
    pub fn count(&mut self, id: &ObjectId, worker: WorkerId, flow: Flow, n: i64) {
        if n == 0 || self.dead.contains(&worker) {
            return;
        }
        let Some(entry) = self.map.get_mut(id).filter(|e| e.owner.worker == self.me.worker) else { return };
        let holders = &mut entry.shared.get_or_insert_default().holders;
        let count = holders.entry((worker, flow)).or_insert(0);
        let before = *count;
        *count += n;
        if *count == 0 {
            if let Some(ids) = self.by_holder.get_mut(&worker) {
                ids.remove(&(*id, flow));
                if ids.is_empty() {
                    self.by_holder.remove(&worker);
                }
            }
            self.drop_count(id, worker, flow);
        } else if before == 0 {
            self.by_holder.entry(worker).or_default().insert((*id, flow));
        }
    }

    /// Takes a count out of the entry alone; the index is the caller's.
    pub fn drop_count(&mut self, id: &ObjectId, worker: WorkerId, flow: Flow) {
        let Some(entry) = self.map.get_mut(id) else { return };
        if let Some(shared) = &mut entry.shared {
            shared.holders.remove(&(worker, flow));
        }
        if !entry.wanted() {
            self.doomed.push(*id);
        }
    }

    /// Gives an entry its value, wakes who waits here and answers who asked. The refs inside were counted before.
    pub fn set_value(&mut self, id: ObjectId, value: Value, out: &mut Vec<Order>) {
        let Some(entry) = self.map.get_mut(&id) else {
            debug_assert!(false, "COUNT-1: a value for unknown {id}");
            return;
        };
        debug_assert!(entry.value.is_none(), "TASK-1: a second value for {id}");
        (entry.pending, entry.fetching) = (false, false);
        entry.value = Some(value);
        if !entry.dependents.is_empty() {
            self.ready.push_back(id);
        }
        if entry.wanted() {
            out.push(Order::Ready(id));
        } else {
            self.doomed.push(id);
        }
        let fetchers = entry.shared.as_mut().map(|s| std::mem::take(&mut s.fetchers)).unwrap_or_default();
        for to in fetchers {
            self.answer(id, to, out);
        }
    }

    /// Frees what nothing counts any more (COUNT-1, COUNT-2).
    pub fn collect(&mut self, out: &mut Vec<Order>) {
        let mut next = 0;
        while let Some(id) = self.doomed.get(next).copied() {
            next += 1;
            match self.map.get(&id) {
                Some(entry) if !entry.wanted() && !entry.pending => self.free(id, out),
                Some(entry) if !entry.wanted() && id.index == ObjectId::STREAM_INDEX => self.closed.push(id.task),
                _ => {}
            }
        }
        self.doomed.clear();
    }

    fn free(&mut self, id: ObjectId, out: &mut Vec<Order>) {
        let Some(entry) = self.map.remove(&id) else { return };
        let mine = entry.owner.worker == self.me.worker;
        if id.index == ObjectId::STREAM_INDEX && mine {
            self.closed.push(id.task);
        }
        if id.index == ObjectId::ACTOR_INDEX
            && let Some(actor) = self.handles.remove(&id)
        {
            self.unhandled.push(actor);
            out.extend(mine.then_some(Order::ActorOutOfScope(actor)));
        }
        if mine {
            if entry.made == Made::ByTask {
                self.unmade.push(id.task);
            }
            if let Some(Value::Stored { loc, .. }) = &entry.value {
                out.push(Order::Free { id, loc: *loc });
            }
        } else {
            if let Some(ids) = self.by_owner.get_mut(&entry.owner.worker) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.by_owner.remove(&entry.owner.worker);
                }
            }
            self.outbox.release(entry.owner, id, entry.credits);
        }
        for r in entry.inside() {
            self.sub(&r.id, Count::Contained);
        }
    }
}

/// The object is not where its ref says.
pub(crate) fn lost(id: &ObjectId) -> ErrorValue {
    ErrorValue::new(ErrorKind::ObjectLost, format!("object {id} is gone: its owner has freed it"))
}

/// The owner died of `why`.
pub(crate) fn owner_died(why: &ErrorValue) -> ErrorValue {
    ErrorValue::new(ErrorKind::OwnerDied, format!("the owner of the object died: {}", why.message))
}
