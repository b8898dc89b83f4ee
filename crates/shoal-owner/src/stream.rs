//! Generators: their items as they come, who reads them, how far the producer may run ahead.
//!
//! | a stream is | when | leaves by |
//! |---|---|---|
//! | open | its task or call is not over | the reply, failure or cancel of the task: over; its last holder goes: closed |
//! | over | the number of its items is known | its last holder goes: the record goes too |
//! | closed | nobody can read it, its producer was told to stop | the end of the task: the record goes |
//!
//! Its handle, (task, [`ObjectId::STREAM_INDEX`]), is an object like others: counted, lent, passed on; it has a value
//! when the stream is over. The owner keeps the place of reading, so that all who hold the handle share it.
//!
//! - STREAM-1 item *i* is (task, *i*). Items are made in order without gaps; each has an entry from its report on, which
//!   the stream holds by one local count until it is read; that count goes to the Python ref then.
//! - STREAM-2 an item that was reported before, by an earlier attempt, is let go of, unless it is missing (LIN-10).
//! - STREAM-3 after the end nothing is added. A failure adds one item, the error; who retries and yields fewer fails.
//! - STREAM-4 each item is read once, in order: by this process, or by a process that asked (a fetch of
//!   [`ObjectId::NEXT_INDEX`], whose answer holds the item's ref), in the order of asking.
//! - STREAM-5 the producer hears of what was read before it has to wait for longer than that takes: at an eighth of its
//!   window of items, or half of [`WINDOW_BYTES`].
//! - STREAM-6 a closed stream keeps no item, and is not tried again but for items that are missing (LIN-11).
use crate::{
    Order, Owner,
    calls::CallState,
    cancel::cancelled,
    look::Next,
    objects::{Count, Entry, lost},
    tasks::{Answer, Cancel, TaskState},
    transfer::{Lent, Way},
};
use rustc_hash::FxHashMap;
use shoal_proto::{flat, peer::PeerMsg};
use shoal_types::{Address, DYNAMIC, ErrorKind, ErrorValue, ObjectId, RefWire, TaskId, Value, WorkerId, is_stream};
use std::{collections::VecDeque, sync::Arc};

/// Unread bytes after which a producer waits.
pub const WINDOW_BYTES: u64 = 64 << 20;
/// What an item counts besides its value's bytes.
pub const ITEM_BYTES: u64 = 512;
/// A window without any limit.
const UNLIMITED: u32 = u32::MAX;

pub(crate) type Streams = FxHashMap<TaskId, Stream>;

/// A report of the producer's.
pub(crate) struct Report {
    pub task: TaskId,
    pub attempt: u16,
    pub index: u32,
    pub value: Value,
    pub worker: WorkerId,
}

pub(crate) struct Stream {
    /// How many items there are.
    pub made: u32,
    /// How many of them were read.
    pub read: u32,
    pub over: bool,
    pub closed: bool,
    /// Processes that wait for an item.
    askers: VecDeque<Address>,
    pub pace: Pace,
}

/// What the present attempt has reported, and what its producer was told of.
#[derive(Default)]
pub(crate) struct Pace {
    window: u32,
    attempt: Option<u16>,
    pub items: u32,
    /// How many of those were read: here, or by an earlier attempt's reader.
    read: u32,
    told: u32,
    /// Bytes of those that were read and not told.
    bytes: u64,
    /// Of each that was not read.
    sizes: VecDeque<u64>,
    /// Who was told that it may stop: no more of this attempt is wanted.
    pub stopped: Option<Address>,
}

impl Stream {
    fn new(window: u32) -> Self {
        Self { made: 0, read: 0, over: false, closed: false, askers: VecDeque::new(), pace: Pace::new(window) }
    }
}

impl Pace {
    pub fn new(window: u32) -> Self {
        Self { window, ..Self::default() }
    }

    /// Forgets what it has of another attempt.
    pub fn begin(&mut self, attempt: u16) {
        if !self.is_of(attempt) {
            *self = Self { attempt: Some(attempt), ..Self::new(self.window) };
        }
    }

    pub fn is_of(&self, attempt: u16) -> bool {
        self.attempt == Some(attempt)
    }

    fn reported(&mut self, attempt: u16, bytes: u64) {
        self.begin(attempt);
        self.items += 1;
        if self.window != UNLIMITED {
            self.sizes.push_back(bytes);
        }
    }

    /// STREAM-5: how many items of which attempt were read, when it is time to say so; `read` were in all.
    fn news(&mut self, read: u32) -> Option<(u16, u32)> {
        if self.window == UNLIMITED {
            return None;
        }
        while self.read < read.min(self.items) {
            self.read += 1;
            self.bytes += self.sizes.pop_front().unwrap_or(0);
        }
        let items = u64::from(self.read - self.told);
        let due = (self.window > 0 && items * 8 >= u64::from(self.window)) || self.bytes * 2 >= WINDOW_BYTES;
        if items == 0 || !due {
            return None;
        }
        (self.told, self.bytes) = (self.read, 0);
        self.attempt.map(|attempt| (attempt, self.told))
    }
}

/// What an item counts for against [`WINDOW_BYTES`].
pub fn item_bytes(value: &Value) -> u64 {
    ITEM_BYTES
        + match value {
            Value::Inline { bytes, .. } => bytes.len() as u64,
            Value::Stored { loc, .. } => loc.len,
            Value::Error(error) => (error.message.len() + error.pickled.len()) as u64,
        }
}

impl Owner {
    /// Fresh returns: `n` values to come, or a generator.
    pub(crate) fn expect_returns(&mut self, id: TaskId, n: u32, window: u32) {
        if is_stream(n) {
            self.streams.insert(id, Stream::new(window));
            return self.objects.expect(ObjectId::new(id, ObjectId::STREAM_INDEX));
        }
        for index in 0..n {
            self.objects.expect(ObjectId::new(id, index));
        }
    }

    pub(crate) fn on_item(&mut self, report: Report, out: &mut Vec<Order>) {
        let Report { task, attempt, index, value, worker } = report;
        let lent = self.lent_with(&task, std::slice::from_ref(&value));
        let id = ObjectId::new(task, index);
        let open = |s: &&mut Stream| !s.over && !s.closed;
        let closed = self.streams.get(&task).is_some_and(|s| s.closed && !s.over);
        let current = self.attempt_in_flight(&task) == Some(attempt);
        let Some((pace, _)) = self.pace(&task).filter(|_| current && !closed) else {
            return self.objects.discard(&value, worker, id, &lent, out);
        };
        pace.reported(attempt, item_bytes(&value));
        if self.is_found(&id) {
            self.objects.returned(&value, worker, &lent);
            self.objects.set_value(id, value, out);
        } else if let Some(stream) = self.streams.get_mut(&task).filter(open).filter(|s| s.made == index) {
            stream.made += 1;
            self.objects.returned(&value, worker, &lent);
            self.add_item(id, value);
            self.offer(task, out);
        } else {
            self.objects.discard(&value, worker, id, &lent, out);
        }
        self.tell_read(task, out);
        self.stop_when_due(task, out);
    }

    /// An item, held by its stream. The refs inside were counted before.
    fn add_item(&mut self, id: ObjectId, value: Value) {
        let mut entry = Entry::new(self.me);
        entry.made = self.note_item(&id, &value);
        (entry.local, entry.value) = (1, Some(value));
        let old = self.objects.map.insert(id, entry);
        debug_assert!(old.is_none(), "STREAM-1: {id} was made twice");
    }

    /// Of the run whose reports count now, and how many items were read of it.
    pub(crate) fn pace(&mut self, id: &TaskId) -> Option<(&mut Pace, u32)> {
        if self.streams.get(id).is_some_and(|s| !s.over) {
            return self.streams.get_mut(id).map(|s| (&mut s.pace, s.read));
        }
        self.pace_again(id).map(|pace| (pace, u32::MAX))
    }

    /// The attempt whose reports count now.
    pub(crate) fn attempt_in_flight(&self, id: &TaskId) -> Option<u16> {
        let pushes = match (self.tasks.get(id), self.calls.get(id)) {
            (Some(task), _) => task.lease().map(|_| task.pushes),
            (None, Some(call)) => call.is_in_flight().then_some(call.pushes),
            (None, None) => None,
        };
        pushes.map(|n| n.wrapping_sub(1))
    }

    /// There is an item, or an end: for who asked, else for who waits here.
    fn offer(&mut self, task: TaskId, out: &mut Vec<Order>) {
        self.serve(task, out);
        let Some(stream) = self.streams.get(&task) else { return };
        if stream.over || stream.read < stream.made {
            out.push(Order::Ready(ObjectId::new(task, ObjectId::NEXT_INDEX)));
        }
    }

    /// STREAM-4, for other processes.
    fn serve(&mut self, task: TaskId, out: &mut Vec<Order>) {
        while let Some(stream) = self.streams.get_mut(&task)
            && let Some(to) = stream.askers.front().copied()
        {
            let there = stream.read < stream.made;
            if !self.objects.dead.contains(&to.worker) {
                if !there && !stream.over {
                    return;
                }
                let index = there.then_some(stream.read);
                stream.read += u32::from(there);
                self.send_item(ObjectId::new(task, ObjectId::NEXT_INDEX), index, to, out);
            }
            if let Some(stream) = self.streams.get_mut(&task) {
                stream.askers.pop_front();
            }
        }
    }

    fn send_item(&mut self, next: ObjectId, index: Option<u32>, to: Address, out: &mut Vec<Order>) {
        let value = match index {
            Some(index) => {
                let item = RefWire { id: ObjectId::new(next.task, index), owner: self.me };
                self.objects.pass_on(&item, to, Way::Fetch);
                self.objects.sub(&item.id, Count::Local);
                Value::Inline { bytes: [flat::NONE][..].into(), refs: vec![item] }
            }
            None => Value::Error(Arc::new(ErrorValue::new(ErrorKind::EndOfStream, "the generator has no more items"))),
        };
        self.objects.send(to, PeerMsg::Fetched { id: next, value }, out);
    }

    /// Another process asks for an item.
    pub(crate) fn on_next_asked(&mut self, next: ObjectId, from: Address, out: &mut Vec<Order>) {
        match self.streams.get_mut(&next.task) {
            Some(stream) if !stream.closed => stream.askers.push_back(from),
            Some(_) | None => {
                let value = Value::Error(Arc::new(lost(&ObjectId::new(next.task, ObjectId::STREAM_INDEX))));
                return self.objects.send(from, PeerMsg::Fetched { id: next, value }, out);
            }
        }
        self.serve(next.task, out);
        self.tell_read(next.task, out);
    }

    /// [`Owner::next_item`] was taken: it is a Python ref now.
    pub(crate) fn on_stream_read(&mut self, handle: RefWire, out: &mut Vec<Order>) {
        let next = ObjectId::new(handle.id.task, ObjectId::NEXT_INDEX);
        if handle.owner.worker == self.me.worker {
            if let Some(stream) = self.streams.get_mut(&next.task).filter(|s| s.read < s.made) {
                stream.read += 1;
                self.tell_read(next.task, out);
            }
        } else if let Next::Item(item) = self.next_item(&handle) {
            self.objects.add(&item, Count::Local);
            if let Some(entry) = self.objects.map.get_mut(&next) {
                (entry.value, entry.fetching) = (None, false);
                self.objects.sub(&item.id, Count::Contained);
            }
        }
    }

    pub(crate) fn tell_read(&mut self, task: TaskId, out: &mut Vec<Order>) {
        let Some((attempt, read)) = self.pace(&task).and_then(|(pace, read)| pace.news(read)) else { return };
        if let Some(worker) = self.executor_of(&task) {
            self.objects.send(worker, PeerMsg::StreamRead { task, attempt, read }, out);
        }
    }

    /// Where a task or call in flight was sent.
    fn executor_of(&mut self, id: &TaskId) -> Option<Address> {
        if let Some(task) = self.tasks.get(id) {
            let lease = task.lease()?;
            return self.keys.get_mut(&task.spec.key).and_then(|k| k.lease(lease)).map(|l| l.worker);
        }
        let call = self.calls.get(id).filter(|c| c.is_in_flight())?;
        self.actors.get(&call.spec.actor)?.up().map(|(_, worker)| worker)
    }

    /// The reply of a generator's task: it is done, or raised.
    pub(crate) fn settle_stream(&mut self, n: u32, answer: Answer, out: &mut Vec<Order>) {
        if let [Value::Error(error)] = &answer.values[..] {
            return self.fail_stream(answer.task, n, error, out);
        }
        let Some(stream) = self.streams.get(&answer.task) else { return };
        let items = if stream.pace.is_of(answer.attempt) { stream.pace.items } else { 0 };
        if items < stream.made && !stream.closed {
            let text = format!("a retry of the generator yielded {items} items, an earlier attempt {}", stream.made);
            let error = Arc::new(ErrorValue::new(ErrorKind::ReplayInconsistent, text));
            return self.fail_stream(answer.task, n, &error, out);
        }
        self.end_stream(answer.task, n, None, out);
    }

    /// STREAM-3: the error is the last item. The user's own exception is nothing but that; any other error is the end's,
    /// too, and where all items are one value it stands for all of them.
    pub(crate) fn fail_stream(&mut self, task: TaskId, n: u32, error: &Arc<ErrorValue>, out: &mut Vec<Order>) {
        let Some(stream) = self.streams.get_mut(&task).filter(|s| !s.over) else { return };
        if !stream.closed {
            let id = ObjectId::new(task, stream.made);
            stream.made += 1;
            self.add_item(id, Value::Error(error.clone()));
        }
        self.end_stream(task, n, Some(error), out);
    }

    pub(crate) fn end_stream(&mut self, task: TaskId, n: u32, error: Option<&Arc<ErrorValue>>, out: &mut Vec<Order>) {
        let Some(stream) = self.streams.get_mut(&task) else { return };
        stream.over = true;
        stream.pace.sizes = VecDeque::new();
        let (made, closed, stopped) = (stream.made, stream.closed, stream.pace.stopped.take());
        if let Some(worker) = stopped {
            self.objects.send(worker, PeerMsg::StreamOver(task), out);
        }
        let item = |i| RefWire { id: ObjectId::new(task, i), owner: self.me };
        let value = match error {
            Some(error) if error.kind != ErrorKind::Task => Value::Error(error.clone()),
            _ if n == DYNAMIC => {
                let refs: Vec<RefWire> = (0..if closed { 0 } else { made }).map(item).collect();
                Value::Inline { bytes: flat::refs(&refs).into(), refs }
            }
            _ => Value::Inline { bytes: [flat::NONE][..].into(), refs: Vec::new() },
        };
        if n == DYNAMIC {
            value.refs().iter().for_each(|r| self.objects.add(r, Count::Contained));
            self.drop_unread(task);
        } else if !closed {
            self.offer(task, out);
        }
        self.objects.set_value(ObjectId::new(task, ObjectId::STREAM_INDEX), value, out);
    }

    fn drop_unread(&mut self, task: TaskId) {
        let Some(stream) = self.streams.get_mut(&task) else { return };
        let unread = std::mem::replace(&mut stream.read, stream.made)..stream.made;
        for index in unread {
            self.objects.sub(&ObjectId::new(task, index), Count::Local);
        }
    }

    /// Nobody holds the handle (any more): STREAM-6.
    pub(crate) fn close_stream(&mut self, task: TaskId, out: &mut Vec<Order>) {
        let Some(stream) = self.streams.get_mut(&task) else { return };
        if !std::mem::replace(&mut stream.closed, true) {
            let over = stream.over;
            stream.askers.clear();
            self.drop_unread(task);
            if !over && !self.goes_on_unread(task, out) {
                self.stop_producer(task, out);
            }
        }
        if !self.objects.map.contains_key(&ObjectId::new(task, ObjectId::STREAM_INDEX)) {
            self.streams.remove(&task);
        }
    }

    fn stop_producer(&mut self, id: TaskId, out: &mut Vec<Order>) {
        let gone = Cancel { force: false, recursive: false };
        if let Some(task) = self.tasks.get_mut(&id) {
            match task.state {
                TaskState::Waiting(_) | TaskState::Queued | TaskState::Resting(_) => {
                    return self.fail_task(id, cancelled(), out);
                }
                TaskState::Pushed(_) | TaskState::Withdrawing(_) => task.cancel = task.cancel.or(Some(gone)),
                TaskState::Abandoned(_) => return,
            }
        } else if let Some(call) = self.calls.get_mut(&id) {
            match call.state {
                CallState::Waiting(_) | CallState::Queued | CallState::Resting(_) => {
                    return self.fail_call(id, cancelled(), out);
                }
                CallState::Pushed | CallState::Withdrawing => call.cancel = call.cancel.or(Some(gone)),
                CallState::Abandoned => return,
            }
        }
        self.stop_attempt(id, out);
    }

    /// No more of what is in flight is wanted; it is told once.
    pub(crate) fn stop_attempt(&mut self, task: TaskId, out: &mut Vec<Order>) {
        let (attempt, worker) = (self.attempt_in_flight(&task), self.executor_of(&task));
        if let (Some(attempt), Some(worker), Some((pace, _))) = (attempt, worker, self.pace(&task)) {
            pace.begin(attempt);
            if pace.stopped.replace(worker).is_none() {
                self.objects.send(worker, PeerMsg::StreamStop { task, attempt }, out);
            }
        }
    }

    /// What was in flight has ended: whether it was told to.
    pub(crate) fn attempt_over(&mut self, task: TaskId, out: &mut Vec<Order>) -> bool {
        let Some(worker) = self.pace(&task).and_then(|(pace, _)| pace.stopped.take()) else { return false };
        self.objects.send(worker, PeerMsg::StreamOver(task), out);
        true
    }

    /// An item of a generator that runs here: its refs are credited to the caller before the item leaves. After
    /// [`Event::Ended`](crate::Event::Ended) it doesn't leave.
    pub(crate) fn on_yielded(&mut self, task: TaskId, caller: Address, refs: &[RefWire], out: &mut Vec<Order>) {
        if self.ended {
            return;
        }
        let lent = self.executing.get(&task).into_iter().flatten().map(|r| r.id).collect();
        let lent = Lent(lent);
        for r in refs.iter().filter(|r| !lent.0.contains(&r.id)) {
            self.objects.pass_on(r, caller, Way::Reply);
        }
        self.objects.flush_credits(out);
    }

    /// What a stream holds: how many items, how many of them were read, whether it is over. For tests.
    pub fn stream_state(&self, task: &TaskId) -> Option<(u32, u32, bool)> {
        self.streams.get(task).map(|s| (s.made, s.read, s.over))
    }

    pub(crate) fn check_streams(&self) {
        for (task, stream) in &self.streams {
            let handle = self.objects.map.get(&ObjectId::new(*task, ObjectId::STREAM_INDEX));
            let handle = handle.unwrap_or_else(|| panic!("STREAM-6: the record of {task} outlives its handle"));
            assert_eq!(stream.over, handle.value.is_some(), "STREAM-3: end of {task}");
            assert!(stream.read <= stream.made, "STREAM-4: {task} was read beyond its end");
            assert!(!(stream.closed && stream.read < stream.made), "STREAM-6: {task} keeps items");
            // A count that passed through a dead process may come when it is closed: its holder is told that it is lost.
            assert!(stream.closed || handle.wanted(), "STREAM-6: {task} should be closed");
            let waits = !stream.askers.is_empty() && (stream.over || stream.read < stream.made);
            assert!(!waits, "STREAM-4: {task} has an item and somebody waits");
            for index in stream.read..stream.made {
                let entry = self.objects.map.get(&ObjectId::new(*task, index));
                assert!(entry.is_some_and(|e| e.local > 0), "STREAM-1: item {index} of {task} is held");
            }
        }
    }
}
