//! Items of generators, made again: which are missing, and when a run that was for them has done enough.
//!
//! - LIN-10 a task that is a generator has a record from its first item in the arena on. It knows which items are missing:
//!   lost, and awaited from a run; each is an entry that is pending, and the other way round.
//! - LIN-11 a run takes what is missing and lets go of the rest. One that began when the stream was over, or goes on after
//!   it was closed, is for missing items alone: it adds nothing, it ends when none is ahead, and with none it is not tried
//!   again, whatever ends it.
//! - LIN-12 an attempt that has passed an item which is lost then is followed by another, as one try more of the task.
//!   While the stream is open it is told to stop at once, for its reader may wait for that item before it reads on, and
//!   it for its reader; the next attempt goes on with the stream, too.
//! - LIN-13 a run for missing items alone waits for no reader: what it yields counts as read at once.
//! - LIN-14 who ends of itself and has not yielded what is missing makes that an error. A stop is no end: the reply of an
//!   attempt that was told to stop says nothing about how many items there are.
use super::{Made, Record, Refusal};
use crate::{
    Order, Owner,
    history::End,
    objects::Dependent,
    stream::Pace,
    tasks::{Answer, TaskState},
};
use shoal_types::{ErrorKind, ErrorValue, ObjectId, TaskId, Value, is_stream};
use std::sync::Arc;

impl Owner {
    /// Where a new item comes from. LIN-10: the first that lies in the arena makes the record.
    pub(crate) fn note_item(&mut self, id: &ObjectId, value: &Value) -> Made {
        match (value, self.tasks.get(&id.task)) {
            (Value::Inline { .. } | Value::Error(_), _) => Made::Put,
            (Value::Stored { .. }, None) => Made::ByCall,
            (Value::Stored { .. }, Some(task)) if task.spec.max_retries == 0 => Made::Once,
            (Value::Stored { .. }, Some(_)) => {
                let record = self.lineage.records.entry(id.task).or_default();
                (record.live, record.items) = (record.live + 1, id.index + 1);
                Made::ByTask
            }
        }
    }

    /// Of a run for missing items alone.
    pub(crate) fn pace_again(&mut self, id: &TaskId) -> Option<&mut Pace> {
        self.lineage.records.get_mut(id)?.pace.as_deref_mut()
    }

    fn misses(&self, id: TaskId) -> bool {
        self.lineage.records.get(&id).is_some_and(|r| !r.missing.is_empty())
    }

    /// Whether this item was missing; it is not any more.
    pub(crate) fn is_found(&mut self, id: &ObjectId) -> bool {
        self.lineage.records.get_mut(&id.task).is_some_and(|r| r.missing.remove(&id.index))
    }

    /// An item has no value, and a run is to give it one.
    pub(super) fn miss(&mut self, id: ObjectId) {
        if let (Some(record), Some(entry)) = (self.lineage.records.get_mut(&id.task), self.objects.map.get_mut(&id)) {
            record.missing.insert(id.index);
            entry.pending = true;
        }
    }

    /// An item is missing whose task runs: the attempt in flight will yield it, or one more (LIN-12).
    pub(super) fn await_item(&mut self, id: ObjectId, out: &mut Vec<Order>) -> Result<(), Refusal> {
        let attempt = self.attempt_in_flight(&id.task);
        let passed =
            |pace: &Pace| attempt.is_some_and(|a| pace.is_of(a)) && (id.index < pace.items || pace.stopped.is_some());
        let passed = self.pace(&id.task).is_some_and(|(pace, _)| passed(pace));
        if passed && !self.tasks.get(&id.task).is_some_and(|t| t.may_retry()) {
            return Err(Refusal::Spent);
        }
        self.miss(id);
        self.stop_when_due(id.task, out);
        Ok(())
    }

    /// LIN-11, LIN-12: tells the attempt in flight to stop that has reported all that it is good for.
    pub(crate) fn stop_when_due(&mut self, id: TaskId, out: &mut Vec<Order>) {
        let idle = |r: &Record| r.pace.is_none() && r.missing.is_empty();
        if self.lineage.records.get(&id).is_none_or(idle) {
            return;
        }
        let Some(attempt) = self.attempt_in_flight(&id) else { return };
        let Some(items) = self.pace(&id).filter(|(pace, _)| pace.is_of(attempt)).map(|(pace, _)| pace.items) else {
            return;
        };
        let Some(record) = self.lineage.records.get(&id) else { return };
        let due = match record.pace {
            Some(_) => record.missing.range(items..).next().is_none(),
            None => record.missing.range(..items).next().is_some(),
        };
        if due {
            self.stop_attempt(id, out);
        }
    }

    /// A stream is closed whose items may be needed again: it is over, its task runs for what is missing alone. False for
    /// others.
    pub(crate) fn goes_on_unread(&mut self, id: TaskId, out: &mut Vec<Order>) -> bool {
        let record = self.lineage.records.get_mut(&id).filter(|r| r.is_needed());
        let (Some(record), Some(stream), Some(task)) = (record, self.streams.get_mut(&id), self.tasks.get_mut(&id))
        else {
            return false;
        };
        record.pace = Some(Box::new(std::mem::take(&mut stream.pace)));
        task.again = true;
        let n = task.spec.num_returns;
        self.end_stream(id, n, None, out);
        if self.misses(id) {
            self.tell_read(id, out);
            self.stop_when_due(id, out);
        } else if self.attempt_in_flight(&id).is_some() {
            self.stop_attempt(id, out);
        } else {
            self.put_away(id, out);
        }
        true
    }

    /// The attempt that was in flight has ended without a reply: whether there is nothing that another would be for.
    pub(crate) fn rests(&mut self, id: TaskId, out: &mut Vec<Order>) -> bool {
        let Some(task) = self.tasks.get(&id).filter(|t| is_stream(t.spec.num_returns)) else { return false };
        let again = task.again;
        self.attempt_over(id, out);
        let rests = again && !self.misses(id);
        if rests {
            self.put_away(id, out);
        }
        rests
    }

    /// A task that is not in flight runs for nothing.
    fn put_away(&mut self, id: TaskId, out: &mut Vec<Order>) {
        self.attempt_over(id, out);
        let Some(task) = self.tasks.remove(&id) else { return };
        self.unqueue(&task);
        if let TaskState::Waiting(_) = task.state {
            for r in &task.spec.args.deps {
                let Some(entry) = self.objects.map.get_mut(&r.id) else { continue };
                entry.dependents.retain(|d| *d != Dependent::Task(id));
            }
        }
        self.tasks.insert(id, task);
        self.keep_task(&id, End::failed(&crate::cancel::cancelled()));
    }

    /// The reply of a generator's task that is no actor's.
    pub(crate) fn generator_replied(&mut self, answer: Answer, out: &mut Vec<Order>) {
        let id = answer.task;
        let stopped = self.attempt_over(id, out);
        let (misses, end) = (self.misses(id), End::of(&answer));
        let Some(task) = self.tasks.get(&id) else { return };
        let (n, again, cancel) = (task.spec.num_returns, task.again, task.cancel);
        let raised = answer.retryable && task.spec.retry_exceptions && task.may_retry() && (misses || !again);
        if stopped && misses && cancel.is_some() {
            return self.fail_task(id, crate::cancel::cancelled(), out);
        }
        if cancel.is_none() && (raised || (stopped && misses)) {
            self.discard_all(&answer, out);
            return if raised { self.retry_task(id) } else { self.run_once_more(id) };
        }
        if misses {
            let items = self.pace(&id).filter(|(pace, _)| pace.is_of(answer.attempt)).map_or(0, |(pace, _)| pace.items);
            self.fail_missing(id, |index| not_yielded(ObjectId::new(id, index), items, &answer), out);
        }
        if !again {
            self.settle_stream(n, answer, out);
        }
        match self.lineage.records.get(&id).is_some_and(|r| r.is_needed()) {
            true => self.keep_task(&id, end),
            false => self.forget_task(&id, end),
        }
    }

    /// LIN-12: it spends a retry; nothing has failed, so it does not rest.
    fn run_once_more(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(&id) {
            task.retries += 1;
            self.enqueue(id);
        }
    }

    /// What is missing is an error, and what runs is for nothing any more.
    pub(crate) fn fail_missing(&mut self, id: TaskId, error: impl Fn(u32) -> Arc<ErrorValue>, out: &mut Vec<Order>) {
        self.attempt_over(id, out);
        let Some(record) = self.lineage.records.get_mut(&id) else { return };
        record.pace = None;
        for index in std::mem::take(&mut record.missing) {
            self.objects.set_value(ObjectId::new(id, index), Value::Error(error(index)), out);
        }
    }

    pub(super) fn check_items(&self) {
        let is_item = |id: &ObjectId| id.index < ObjectId::NEXT_INDEX;
        let of_generator = |id: &ObjectId| self.tasks.get(&id.task).is_some_and(|t| is_stream(t.spec.num_returns));
        let pending = self.objects.map.iter().filter(|(id, e)| e.pending && is_item(id) && of_generator(id)).count();
        let mut missing = 0;
        for (id, record) in &self.lineage.records {
            missing += record.missing.len();
            for index in &record.missing {
                let entry = self.objects.map.get(&ObjectId::new(*id, *index));
                assert!(entry.is_some_and(|e| e.pending), "LIN-10: nobody awaits item {index} of {id}");
            }
            assert!(record.missing.is_empty() || record.spec.is_none(), "LIN-10: nobody makes items of {id}");
            let again = self.tasks.get(id).is_some_and(|t| t.again);
            assert!(record.pace.is_none() || again, "LIN-11: {id} has a pace and does not run again");
        }
        assert_eq!(pending, missing, "LIN-10: items that are awaited");
    }
}

/// LIN-14.
fn not_yielded(id: ObjectId, items: u32, answer: &Answer) -> Arc<ErrorValue> {
    let how = match &answer.values[..] {
        [Value::Error(error)] if error.kind != ErrorKind::Task => return error.clone(),
        [Value::Error(error)] => format!("raised after {items} items ({})", last_line(&error.message)),
        _ => format!("ended after {items} items"),
    };
    let text = format!(
        "object {id}, item {} of a generator, was lost; run again to make it, the generator {how}. It can be made again only \
         when the generator yields the same each time",
        id.index
    );
    Arc::new(ErrorValue::new(ErrorKind::ReplayInconsistent, text))
}

/// Of a traceback: what was raised.
fn last_line(text: &str) -> &str {
    text.trim_end().lines().next_back().unwrap_or_default()
}
