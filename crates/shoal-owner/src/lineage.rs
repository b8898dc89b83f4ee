//! Making lost values again: what is kept of tasks that are over, and running them once more.
//! `docs/design/lineage.md` has the argument.
//!
//! - LIN-1 the spec of a task that ended well is kept while an object that it gave to the arena is counted here, or
//!   another kept task takes one of its returns; not when the task may not be tried again.
//! - LIN-2 a kept spec holds the small values among its arguments that hold no refs themselves, and pins the specs that
//!   make the large ones. It holds no value in the arena, and nothing of other owners.
//! - LIN-3 kept specs with what they hold take [`LINEAGE_BYTES`] at most, or what was set; the oldest goes first.
//! - LIN-4 a value is lost at a place: what is said of another place than its present one is ignored.
//! - LIN-5 a lost value is made again by its task, as one try more of it; arguments that are lost or were let go are made
//!   before it. What is still there is not replaced.
//! - LIN-6 who waits for a value waits on while it is made again; a task or call whose argument was lost has not begun
//!   and spends no retry. An ordered actor's call with others behind it can't have its turn again: it fails.
//! - LIN-7 what can't be made again is an error that says why. Puts and what actors' calls gave never can.
//! - LIN-8 work lists, never recursion: a chain of any length needs no stack.
//! - LIN-9 a value that held refs may hold others when it is made again. Those of the lost one stay counted as long as
//!   the object: calls that were sent that value are lent them. Which refs a task or call was lent inside its values is
//!   noted when it is pushed, not looked up when it replies.
//!
//! LIN-10 and on, of the items of generators, are in the head of `lineage::items`.
mod items;

use crate::{
    Order, Owner,
    calls::CallState,
    history::End,
    objects::{Count, Dependent, Entry},
    stream::Pace,
    tasks::{Answer, Task, TaskState, may_retry},
};
use rustc_hash::FxHashMap;
use shoal_proto::peer::PeerMsg;
use shoal_types::{
    Address, ArenaLoc, Args, ErrorKind, ErrorValue, ObjectId, RefWire, TaskId, TaskSpec, Value, WorkerId, is_stream,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Bytes of kept specs of one process, unless it is told otherwise.
pub const LINEAGE_BYTES: u64 = 256 << 20;
/// What a record takes besides the variable parts of its spec.
const RECORD_BYTES: usize = size_of::<TaskSpec>() + size_of::<Record>() + 64;
/// The window of a generator that runs for missing items: only their bytes count (LIN-13).
const BY_BYTES: u32 = 0;

/// Where the value of an object of ours came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Made {
    /// It was put.
    #[default]
    Put,
    /// By a call of an actor.
    ByCall,
    /// By a task with `max_retries=0`.
    Once,
    /// By a task that has no try left.
    Spent,
    /// By a task that has failed or was cancelled since.
    Failed,
    /// By a task whose spec is kept, or was, or which still runs and is a generator.
    ByTask,
    /// It was freed, and nothing is known of how it was made.
    Freed,
}

/// Why a task is not run again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Refusal {
    /// Nothing is kept of it.
    NoRecord,
    /// It has no try left.
    Spent,
    /// It runs again and was cancelled.
    Cancelled,
    /// This argument can't be had any more.
    LetGo(ObjectId),
}

/// A task that is over and may be run again, or runs again; a generator that has given a large item (LIN-10).
#[derive(Default)]
struct Record {
    /// `None` while it runs: the task has it then.
    spec: Option<Box<TaskSpec>>,
    retries: u32,
    pushes: u16,
    /// How many of its returns have an entry that counts it.
    live: u32,
    /// How often other records take one of its returns.
    users: u32,
    bytes: usize,
    age: u64,
    /// Arguments whose values it holds.
    held: Vec<ObjectId>,
    /// Tasks whose records it pins.
    pins: Vec<TaskId>,
    /// Of a generator: how many items there are up to the last large one, and those that are lost and awaited.
    items: u32,
    missing: BTreeSet<u32>,
    /// Of a generator that runs for missing items alone.
    pace: Option<Box<Pace>>,
}

impl Record {
    fn is_needed(&self) -> bool {
        self.live | self.users != 0
    }
}

/// All of them.
pub(crate) struct Lineage {
    records: FxHashMap<TaskId, Record>,
    ages: BTreeMap<u64, TaskId>,
    next_age: u64,
    bytes: usize,
    limit: usize,
}

impl Default for Lineage {
    fn default() -> Self {
        let (records, ages) = Default::default();
        Self { records, ages, next_age: 0, bytes: 0, limit: LINEAGE_BYTES as usize }
    }
}

/// A call's answer: it has not begun, for these arguments are not where they should lie.
pub(crate) struct ArgumentsLost {
    pub task: TaskId,
    pub attempt: u16,
    pub kept: Vec<RefWire>,
    pub lost: Vec<(RefWire, ArenaLoc)>,
    pub worker: WorkerId,
}

/// How the arguments of a task stand that is about to be sent.
pub(crate) enum Deps {
    Ready,
    /// So many have no value: it is among their dependents now.
    Missing(u32),
    Failed(Arc<ErrorValue>),
}

impl Owner {
    /// Bounds what is kept for making values again (LIN-3).
    pub fn set_lineage_limit(&mut self, bytes: u64) {
        self.lineage.limit = usize::try_from(bytes).unwrap_or(usize::MAX);
    }

    /// Tasks that are kept, and the bytes that they take.
    pub fn lineage_size(&self) -> (usize, usize) {
        (self.lineage.records.len(), self.lineage.bytes)
    }

    // ---- keeping

    /// A task has ended well, and a value of it lies in the arena, or it ran again.
    pub(crate) fn keep_task(&mut self, id: &TaskId, end: End) {
        let Some(task) = self.tasks.remove(id) else { return };
        self.remember_task(&task, end);
        let made = match (task.spec.max_retries, task.may_retry()) {
            (0, _) => Made::Once,
            (_, false) => Made::Spent,
            (_, true) => Made::ByTask,
        };
        if made == Made::ByTask {
            self.hold_for(&task);
        }
        self.unlend(&task.spec.args);
        if made == Made::ByTask {
            self.put_to_rest(task);
        } else {
            self.end_for_good(&task.spec, made);
        }
    }

    /// Its record has what it takes to run once more (LIN-2), from its first end on.
    fn hold_for(&mut self, task: &Task) {
        let id = task.spec.id;
        if self.lineage.records.get(&id).is_some_and(|r| r.bytes > 0) {
            return;
        }
        let live = match is_stream(task.spec.num_returns) {
            true => self.lineage.records.get(&id).map_or(0, |r| r.live),
            false => self.objects.mark_made(id, task.spec.num_returns, Made::ByTask),
        };
        let (held, pins, bytes) = self.pin_args(&task.spec.args);
        let bytes = bytes + RECORD_BYTES + task.spec.args.bytes.len() + task.spec.name.len();
        let age = self.lineage.next_age;
        self.lineage.next_age += 1;
        self.lineage.bytes += bytes;
        self.lineage.ages.insert(age, id);
        let record = self.lineage.records.entry(id).or_default();
        *record = Record { live, bytes, age, held, pins, ..std::mem::take(record) };
    }

    fn put_to_rest(&mut self, mut task: Task) {
        let id = task.spec.id;
        task.spec.window = BY_BYTES;
        if let Some(record) = self.lineage.records.get_mut(&id) {
            (record.retries, record.pushes, record.spec) = (task.retries, task.pushes, Some(task.spec));
            record.pace = None;
        }
        self.drop_unused(id);
        self.trim_lineage();
    }

    /// A task that is over won't run again: what it has made says why.
    pub(crate) fn end_for_good(&mut self, spec: &TaskSpec, made: Made) {
        let items = || self.lineage.records.get(&spec.id).map_or(0, |r| r.items);
        let n = if is_stream(spec.num_returns) { items() } else { spec.num_returns };
        self.objects.mark_made(spec.id, n, made);
        self.drop_record(spec.id);
    }

    /// LIN-2: what it holds, what it pins, and the bytes of that.
    fn pin_args(&mut self, args: &Args) -> (Vec<ObjectId>, Vec<TaskId>, usize) {
        let (mut held, mut pins) = (Vec::new(), Vec::new());
        let all = args.deps.iter().chain(&args.refs);
        let mut bytes = size_of::<RefWire>() * (args.deps.len() + args.refs.len());
        let me = self.me.worker;
        for r in all.filter(|r| r.owner.worker == me && r.id.index < ObjectId::NEXT_INDEX) {
            match self.value(&r.id) {
                Some(Value::Inline { bytes: flat, refs }) if refs.is_empty() => {
                    bytes += flat.len();
                    held.push(r.id);
                    self.objects.add(r, Count::Lineage);
                }
                Some(Value::Stored { .. }) => {
                    if let Some(record) = self.lineage.records.get_mut(&r.id.task) {
                        record.users += 1;
                        pins.push(r.id.task);
                    }
                }
                Some(Value::Inline { .. } | Value::Error(_)) | None => {}
            }
        }
        (held, pins, bytes)
    }

    /// LIN-3.
    fn trim_lineage(&mut self) {
        while self.lineage.bytes > self.lineage.limit {
            let at_rest = |id: &&TaskId| self.lineage.records.get(id).is_some_and(|r| r.spec.is_some());
            let Some(&oldest) = self.lineage.ages.values().find(at_rest) else { return };
            self.drop_record(oldest);
        }
    }

    /// An object that counts its task's record is freed.
    pub(crate) fn return_freed(&mut self, task: TaskId) {
        if let Some(record) = self.lineage.records.get_mut(&task) {
            record.live -= 1;
            self.drop_unused(task);
        }
    }

    /// LIN-1.
    fn drop_unused(&mut self, id: TaskId) {
        let unused = |r: &Record| !r.is_needed() && r.spec.is_some();
        if self.lineage.records.get(&id).is_some_and(unused) {
            self.drop_record(id);
        }
    }

    /// Forgets a task; those that only it pinned, too.
    pub(crate) fn drop_record(&mut self, id: TaskId) {
        let mut dropped = vec![id];
        while let Some(id) = dropped.pop() {
            let Some(record) = self.lineage.records.remove(&id) else { continue };
            if record.bytes > 0 {
                self.lineage.ages.remove(&record.age);
            }
            self.lineage.bytes -= record.bytes;
            record.held.iter().for_each(|id| self.objects.sub(id, Count::Lineage));
            for pin in record.pins {
                let Some(pinned) = self.lineage.records.get_mut(&pin) else { continue };
                pinned.users -= 1;
                if !pinned.is_needed() && pinned.spec.is_some() {
                    dropped.push(pin);
                }
            }
        }
    }

    // ---- losing

    /// Where a value was sealed there is nothing any more.
    pub(crate) fn on_value_lost(&mut self, id: ObjectId, loc: &ArenaLoc, why: &str, out: &mut Vec<Order>) {
        let is_it = |e: &&mut Entry| matches!(&e.value, Some(Value::Stored { loc: known, .. }) if known == loc);
        let Some(entry) = self.objects.map.get_mut(&id).filter(is_it) else { return };
        let owner = entry.owner;
        entry.lose_value();
        if owner.worker == self.me.worker {
            out.push(Order::Free { id, loc: *loc });
            self.make_again(id, why, out);
        } else {
            self.objects.send(owner, PeerMsg::Lost { id, loc: *loc }, out);
            self.objects.fetch(&id, out);
        }
        if !self.is_ready(&id) {
            out.push(Order::Unready(id));
        }
    }

    /// LIN-5: the value, and what is missing before it.
    fn make_again(&mut self, lost: ObjectId, why: &str, out: &mut Vec<Order>) {
        let mut missing = vec![lost];
        while let Some(id) = missing.pop() {
            let missed = |e: &&Entry| e.value.is_none() && !e.pending && e.owner.worker == self.me.worker;
            let Some(made) = self.objects.map.get(&id).filter(missed).map(|e| e.made) else { continue };
            if let Err(refusal) = self.run_again(id, &mut missing, out) {
                let why = if id == lost { why } else { "it was freed, and what depends on it is to be made again" };
                let error = self.cannot(id, made, refusal, why);
                self.objects.set_value(id, Value::Error(Arc::new(error)), out);
            }
        }
    }

    /// Every return of the task that has no value waits for it, if it can run again; of a generator the lost item.
    fn run_again(&mut self, lost: ObjectId, missing: &mut Vec<ObjectId>, out: &mut Vec<Order>) -> Result<(), Refusal> {
        let id = lost.task;
        let Some(record) = self.lineage.records.get(&id) else { return Err(Refusal::NoRecord) };
        if record.spec.is_none() {
            // It runs already: for another of its returns; a generator for the first time, too.
            let Some(task) = self.tasks.get(&id).filter(|t| !matches!(t.state, TaskState::Abandoned(_))) else {
                return Err(Refusal::Cancelled);
            };
            if is_stream(task.spec.num_returns) {
                return self.await_item(lost, out);
            }
            let returns = task.spec.returns();
            self.await_returns(returns);
            return Ok(());
        }
        if !record.spec.as_ref().is_some_and(|spec| may_retry(spec.max_retries, record.retries)) {
            return Err(Refusal::Spent);
        }
        if let Some(gone) = record.spec.as_ref().and_then(|spec| self.let_go_by_others(&spec.args)) {
            return Err(Refusal::LetGo(gone));
        }
        let record = self.lineage.records.get_mut(&id);
        let Some((record, spec)) = record.and_then(|r| r.spec.take().map(|spec| (r, spec))) else {
            return Err(Refusal::NoRecord);
        };
        let (retries, pushes) = (record.retries + 1, record.pushes);
        if is_stream(spec.num_returns) {
            record.pace = Some(Box::new(Pace::new(BY_BYTES)));
            self.miss(lost);
        } else {
            self.await_returns(spec.returns());
        }
        for r in spec.args.deps.iter().chain(&spec.args.refs) {
            self.revive(r, missing);
        }
        let (left, error) = self.lend(&spec.args, Dependent::Task(id), out);
        let (state, cancel, born) = (TaskState::Waiting(left), None, self.now);
        let (inside, again) = (Box::default(), true);
        self.tasks.insert(id, Task { spec, state, place: 0, pushes, retries, inside, cancel, born, again });
        match error {
            Some(error) => self.fail_task(id, error, out),
            None if left == 0 => self.enqueue(id),
            None => {}
        }
        Ok(())
    }

    /// An argument that this process can't bring back: another's, or what counts handles, that is not counted here.
    fn let_go_by_others(&self, args: &Args) -> Option<ObjectId> {
        let lacks = |r: &&RefWire| !self.objects.is_mine(r) || r.id.index >= ObjectId::NEXT_INDEX;
        let all = args.deps.iter().chain(&args.refs);
        all.filter(lacks).find(|r| !self.objects.map.contains_key(&r.id)).map(|r| r.id)
    }

    /// Those that have no value get one from the task that runs again.
    fn await_returns(&mut self, returns: impl Iterator<Item = ObjectId>) {
        for id in returns {
            if let Some(entry) = self.objects.map.get_mut(&id).filter(|e| e.value.is_none()) {
                entry.pending = true;
            }
        }
    }

    /// An argument of ours that was let go of has an entry again, to be made; one that is there stays as it is.
    fn revive(&mut self, r: &RefWire, missing: &mut Vec<ObjectId>) {
        if !self.objects.is_mine(r) || r.id.index >= ObjectId::NEXT_INDEX {
            return;
        }
        if !self.objects.map.contains_key(&r.id) {
            let mut entry = Entry::new(self.me);
            entry.made = Made::Freed;
            if let Some(record) = self.lineage.records.get_mut(&r.id.task) {
                record.live += 1;
                entry.made = Made::ByTask;
            }
            self.objects.map.insert(r.id, entry);
        }
        missing.push(r.id);
    }

    /// LIN-7.
    fn cannot(&self, id: ObjectId, made: Made, refusal: Refusal, why: &str) -> ErrorValue {
        let (kind, because) = match made {
            Made::Put => (ErrorKind::Reconstruction, "it was put, and nothing says how it was made".to_owned()),
            Made::ByCall => (ErrorKind::Reconstruction, "a method of an actor made it".into()),
            Made::Failed => (ErrorKind::Reconstruction, "its task has failed or was cancelled since".into()),
            Made::Once => (ErrorKind::Reconstruction, "its task has max_retries=0".into()),
            Made::Freed => (ErrorKind::Reconstruction, "nothing is kept of how it was made".into()),
            Made::Spent => (ErrorKind::RetriesSpent, "its task has used up its max_retries".into()),
            Made::ByTask => match refusal {
                Refusal::Spent => (ErrorKind::RetriesSpent, "its task has used up its max_retries".into()),
                Refusal::Cancelled => (ErrorKind::Reconstruction, "its task was cancelled while it ran again".into()),
                Refusal::LetGo(argument) => {
                    let text = "was let go of, and this process can't have it back";
                    (ErrorKind::Reconstruction, format!("its task's argument {argument} {text}"))
                }
                Refusal::NoRecord => {
                    let limit = self.lineage.limit;
                    let text = "what was kept of its task was let go of, to stay within";
                    (ErrorKind::LineageEvicted, format!("{text} {limit} bytes (SHOAL_MAX_LINEAGE_BYTES)"))
                }
            },
        };
        ErrorValue::new(kind, format!("object {id} was lost ({why}) and can't be made again: {because}"))
    }

    // ---- running again

    /// LIN-5: values for those returns that wait for one.
    pub(crate) fn settle_again(&mut self, n: u32, answer: Answer, out: &mut Vec<Order>) {
        let lent = self.lent_with(&answer.task, &answer.values);
        let Answer { task, values, worker, .. } = answer;
        if let [Value::Error(error)] = &values[..] {
            return self.fail_returns(task, n, error, out);
        }
        for (index, value) in (0..).zip(values) {
            let id = ObjectId::new(task, index);
            if self.objects.map.get(&id).is_some_and(|e| e.pending) {
                self.objects.returned(&value, worker, &lent);
                self.objects.set_value(id, value, out);
            } else {
                self.objects.discard(&value, worker, id, &lent, out);
            }
        }
        self.fail_returns(task, n, &Arc::new(crate::tasks::too_few()), out);
    }

    /// How the arguments stand of what is about to be sent; `who` waits for those that are lost. If there are none, what
    /// they hold is lent from now on (LIN-9).
    pub(crate) fn deps_now(&mut self, who: Dependent, out: &mut Vec<Order>) -> Deps {
        let args = match who {
            Dependent::Task(id) => self.tasks.get(&id).map(|t| &t.spec.args),
            Dependent::Call(id) => self.calls.get(&id).map(|c| &c.spec.args),
            Dependent::Actor(id) => self.actors.get(&id).and_then(|a| a.creation.as_ref()).map(|c| &c.args),
        };
        let Some(args) = args else { return Deps::Ready };
        let (mut missing, mut inside) = (Vec::new(), Vec::new());
        for r in &args.deps {
            match self.value(&r.id) {
                Some(Value::Error(error)) => return Deps::Failed(error.clone()),
                Some(value) => inside.extend(value.refs().iter().map(|r| r.id)),
                None => missing.push(r.id),
            }
        }
        if missing.is_empty() {
            self.lend_inside(who, inside);
            return Deps::Ready;
        }
        for id in &missing {
            if let Some(entry) = self.objects.map.get_mut(id) {
                entry.dependents.push(who);
                self.objects.fetch(id, out);
            }
        }
        Deps::Missing(missing.len() as u32)
    }

    fn lend_inside(&mut self, who: Dependent, inside: Vec<ObjectId>) {
        let noted = match who {
            Dependent::Task(id) => self.tasks.get_mut(&id).map(|t| &mut t.inside),
            Dependent::Call(id) => self.calls.get_mut(&id).map(|c| &mut c.inside),
            Dependent::Actor(_) => None,
        };
        if let Some(noted) = noted {
            *noted = inside.into();
        }
    }

    /// LIN-6.
    pub(crate) fn on_arguments_lost(&mut self, now: u64, answer: ArgumentsLost, out: &mut Vec<Order>) {
        let ArgumentsLost { task: id, attempt, kept, lost, worker } = answer;
        kept.iter().for_each(|r| self.objects.credit_kept(r, worker));
        for (r, loc) in &lost {
            self.on_value_lost(r.id, loc, "a worker found nothing where it was", out);
        }
        let current = |pushes: u16| pushes.wrapping_sub(1) == attempt;
        if let Some(task) = self.tasks.get(&id)
            && let Some(lease) = task.lease()
            && current(task.pushes)
        {
            let key = task.spec.key;
            self.task_to_wait(id, out);
            self.detach(now, key, lease, &id, true, out);
        } else if self.calls.get(&id).is_some_and(|c| c.is_in_flight() && current(c.pushes)) {
            self.call_to_wait(id, out);
        }
    }

    /// A task has not begun: it waits for its arguments again.
    fn task_to_wait(&mut self, id: TaskId, out: &mut Vec<Order>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        if matches!(task.state, TaskState::Abandoned(_)) {
            return self.forget_task(&id, End::failed(&crate::cancel::cancelled()));
        }
        task.state = TaskState::Waiting(0);
        if task.cancel.is_some() {
            return self.fail_task(id, crate::cancel::cancelled(), out);
        }
        if self.rests(id, out) {
            return;
        }
        match self.deps_now(Dependent::Task(id), out) {
            Deps::Ready => self.enqueue(id),
            Deps::Missing(left) => {
                if let Some(task) = self.tasks.get_mut(&id) {
                    task.state = TaskState::Waiting(left);
                }
            }
            Deps::Failed(error) => self.fail_task(id, error, out),
        }
    }

    /// The same of an actor's call: to its place, where it waits.
    fn call_to_wait(&mut self, id: TaskId, out: &mut Vec<Order>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if call.state == CallState::Abandoned {
            return self.end_abandoned(id, out);
        }
        if call.cancel.is_some() {
            return self.fail_call(id, crate::cancel::cancelled(), out);
        }
        if self.is_followed(id) {
            let text = "an argument of the call was lost when it was about to begin; calls behind it have begun since, so it \
                        took its turn as this error";
            return self.fail_call(id, Arc::new(ErrorValue::new(ErrorKind::ObjectLost, text)), out);
        }
        match self.deps_now(Dependent::Call(id), out) {
            Deps::Ready => self.requeue_call(id),
            Deps::Missing(left) => self.call_waits(id, left),
            Deps::Failed(error) => self.fail_call(id, error, out),
        }
    }

    /// Whether an ordered actor was sent calls behind this one: it can't have its turn again.
    fn is_followed(&self, id: TaskId) -> bool {
        let Some(call) = self.calls.get(&id) else { return false };
        let Some(actor) = self.actors.get(&call.spec.actor).filter(|a| !a.unordered) else { return false };
        let later = |other: &TaskId| self.calls.get(other).is_some_and(|c| c.place > call.place && c.is_in_flight());
        actor.calls.iter().any(later)
    }

    /// A call that is in no queue waits for arguments; an ordered actor's at its place.
    pub(crate) fn call_waits(&mut self, id: TaskId, left: u32) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.state = CallState::Waiting(left);
        let (place, actor) = (call.place, call.spec.actor);
        if let Some(actor) = self.actors.get_mut(&actor).filter(|a| !a.unordered) {
            actor.put_back(place, id);
        }
    }

    /// A borrower found nothing where our value should lie.
    pub(crate) fn on_told_lost(&mut self, id: ObjectId, loc: &ArenaLoc, from: Address, out: &mut Vec<Order>) {
        if self.objects.map.get(&id).is_some_and(|e| e.owner.worker == self.me.worker) {
            self.on_value_lost(id, loc, &format!("process {} found nothing where it was", from.worker), out);
        }
    }

    pub(crate) fn check_lineage(&self) {
        self.check_items();
        let (mut live, mut users, mut bytes) = (FxHashMap::<TaskId, u32>::default(), FxHashMap::default(), 0);
        for (id, entry) in self.objects.map.iter().filter(|(_, e)| e.made == Made::ByTask) {
            *live.entry(id.task).or_default() += 1;
            assert_eq!(entry.owner.worker, self.me.worker, "LIN-1: {id} is another's");
        }
        for (id, record) in &self.lineage.records {
            bytes += record.bytes;
            record.pins.iter().for_each(|pin| *users.entry(*pin).or_insert(0) += 1);
            let aged = self.lineage.ages.get(&record.age) == Some(id);
            assert_eq!(aged, record.bytes > 0, "LIN-3: age of {id}");
            let runs = self.tasks.contains_key(id);
            assert_eq!(runs, record.spec.is_none(), "LIN-5: {id} runs again");
            assert_eq!(record.live, live.get(id).copied().unwrap_or(0), "LIN-1: returns of {id}");
            assert!(runs || record.is_needed(), "LIN-1: {id} is kept for nobody");
        }
        for (id, record) in &self.lineage.records {
            assert_eq!(record.users, users.get(id).copied().unwrap_or(0), "LIN-1: users of {id}");
        }
        let sized = self.lineage.records.values().filter(|r| r.bytes > 0).count();
        assert_eq!((bytes, self.lineage.ages.len()), (self.lineage.bytes, sized), "LIN-3: sums");
        assert!(bytes <= self.lineage.limit || self.tasks.values().any(|t| t.again), "LIN-3: {bytes} bytes");
    }

    /// The refs that an object contains: in its value, and in those that were lost (LIN-9). For tests.
    pub fn inside(&self, id: &ObjectId) -> Vec<RefWire> {
        self.objects.map.get(id).into_iter().flat_map(Entry::inside).copied().collect()
    }

    /// What is held so that this task can run again, with what it needs. For tests.
    pub fn held_for(&self, task: TaskId) -> Vec<ObjectId> {
        let (mut held, mut tasks) = (Vec::new(), vec![task]);
        while let Some(task) = tasks.pop() {
            let Some(record) = self.lineage.records.get(&task) else { continue };
            held.extend_from_slice(&record.held);
            tasks.extend_from_slice(&record.pins);
        }
        held
    }

    /// Arguments that kept specs hold.
    pub(crate) fn held_by_lineage(&self) -> impl Iterator<Item = ObjectId> {
        self.lineage.records.values().flat_map(|r| r.held.iter().copied())
    }
}

impl crate::objects::Objects {
    /// Notes where those of `n` returns came from that lie in the arena: how many there are.
    pub(crate) fn mark_made(&mut self, task: TaskId, n: u32, made: Made) -> u32 {
        let mut live = 0;
        for id in (0..n).map(|index| ObjectId::new(task, index)) {
            if let Some(entry) = self.map.get_mut(&id)
                && matches!(entry.value, Some(Value::Stored { .. }))
            {
                entry.made = made;
                live += 1;
            }
        }
        live
    }
}
