//! Generators: the items that come to this process's own, and those that run here.
//!
//! - FLOW-1 a generator that runs here has one [`Flow`]; it begins with its first line, or with the news that nobody
//!   wants its items, and goes with its end, or with the news that nothing more will be said of it. News of another
//!   attempt change nothing.
//! - FLOW-2 items leave in order, each before the reply, in the caller's lane.
//! - FLOW-3 who waits for room is woken by news of reading, of the end of reading, of a cancel, of the caller's death.
use crate::ending::stored;
use crate::runtime::Runtime;
use crate::state::{State, Watcher};
use shoal_owner::{Event, Next, WINDOW_BYTES, item_bytes};
use shoal_proto::lane;
use shoal_proto::look::UnreadRow;
use shoal_proto::peer::PeerMsg;
use shoal_types::{Address, ErrorValue, LaneId, ObjectId, RefWire, TaskId, Value};
use shoal_wait::Waiter;
use std::collections::VecDeque;
use std::sync::Arc;

/// Stands for the room of a generator among what is watched; no object has this index.
const ROOM_INDEX: u32 = ObjectId::NEXT_INDEX - 1;

/// A generator that runs here.
#[derive(Default)]
pub(crate) struct Flow {
    /// Where its items go, while it runs.
    to: Option<(LaneId, Address)>,
    attempt: u16,
    window: u32,
    made: u32,
    read: u32,
    /// Of the items that are not read: all together, and each.
    bytes: u64,
    sizes: VecDeque<u64>,
    stopped: bool,
}

/// Whether a generator may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// It may.
    Free,
    /// It waits until more was read.
    Full,
    /// Nobody will read its items.
    Stopped,
}

/// A generator's item on its way to the caller.
pub struct NewItem {
    /// The generator's task.
    pub task: TaskId,
    /// Its attempt.
    pub attempt: u16,
    /// The caller's lane.
    pub lane: LaneId,
    /// Who called.
    pub caller: Address,
    /// Which item, from 0.
    pub index: u32,
    /// It.
    pub value: Value,
}

impl Flow {
    fn room(&self) -> Room {
        let full = self.window > 0 && self.made - self.read >= self.window;
        if self.stopped {
            Room::Stopped
        } else if self.window != u32::MAX && (full || self.bytes >= WINDOW_BYTES) {
            Room::Full
        } else {
            Room::Free
        }
    }

    fn add(&mut self, bytes: u64) {
        self.made += 1;
        if self.window != u32::MAX {
            self.bytes += bytes;
            self.sizes.push_back(bytes);
        }
    }

    fn was_read(&mut self, read: u32) {
        while self.read < read.min(self.made) {
            self.read += 1;
            self.bytes -= self.sizes.pop_front().unwrap_or(0);
        }
    }
}

impl State {
    /// Generators here that wait until more is read.
    pub(crate) fn unread(&self) -> impl Iterator<Item = UnreadRow> + '_ {
        let full = self.flows.iter().filter(|(_, flow)| flow.room() == Room::Full);
        full.map(|(task, flow)| UnreadRow { id: *task, items: flow.made - flow.read })
    }
}

impl Runtime {
    /// A generator begins to run here.
    pub fn begin_stream(&self, task: TaskId, attempt: u16, to: (LaneId, Address), window: u32) {
        let mut state = self.lock();
        let told = state.flows.get(&task).is_some_and(|f| f.stopped && f.attempt == attempt);
        let stopped = told || !self.executor.has_lane(to.0);
        state.flows.insert(task, Flow { to: Some(to), attempt, window, stopped, ..Flow::default() });
    }

    /// It is over; its reply comes next.
    pub fn end_stream(&self, task: &TaskId) {
        self.lock().flows.remove(task);
    }

    /// Sends an item to the caller (FLOW-2), unless the actor has ended (END-1), and says whether there is room for
    /// another.
    pub fn send_item(&self, item: NewItem) -> Room {
        let NewItem { task, attempt, lane, caller, index, value } = item;
        let (refs, bytes) = (value.refs().to_vec(), item_bytes(&value));
        let stored = stored(task, index, std::iter::once(&value));
        let mut frame = Vec::with_capacity(128);
        lane::Item { attempt, task, index, value }.encode(&mut frame);
        let mut state = self.lock();
        if self.has_ended() {
            self.let_go(&mut state, stored);
            return Room::Stopped;
        }
        if !refs.is_empty() {
            self.drain_drops(&mut state);
            self.feed(&mut state, Event::Yielded { task, caller, refs });
        }
        let Some(flow) = state.flows.get_mut(&task) else { return Room::Stopped };
        flow.add(bytes);
        flow.stopped |= !self.push_frame(lane, frame);
        flow.room()
    }

    /// Whether the generator may go on.
    pub fn room(&self, task: &TaskId) -> Room {
        let state = self.lock();
        let room = state.flows.get(task).map_or(Room::Stopped, Flow::room);
        if room == Room::Full && state.dead.is_some() { Room::Stopped } else { room }
    }

    /// Waits for room, for [`Runtime::wait`].
    pub fn want_room(&self, task: TaskId) -> Arc<Waiter> {
        let mut state = self.lock();
        let waiter = Arc::new(Waiter::new(1));
        if state.dead.is_some() || !self.is_full(&state, &task) {
            let _ = waiter.finish();
        } else {
            let watchers = state.watchers.entry(room_of(task)).or_default();
            watchers.push(Watcher::Thread(Arc::clone(&waiter)));
        }
        waiter
    }

    /// The thread waits no longer.
    pub fn unwant_room(&self, task: TaskId, waiter: &Arc<Waiter>) {
        self.unwant(&[room_of(task)], waiter);
    }

    /// As [`Runtime::watch`], for room.
    pub fn watch_room(&self, task: TaskId) -> Result<u64, ErrorValue> {
        let mut state = self.lock();
        if let Some(dead) = &state.dead {
            return Err(dead.clone());
        }
        let token = self.next_token();
        // Who awaits is cancelled by other means.
        if state.flows.get(&task).is_some_and(|f| f.room() == Room::Full) {
            state.watchers.entry(room_of(task)).or_default().push(Watcher::Token(token));
        } else {
            drop(state);
            self.notice_ready(token);
        }
        Ok(token)
    }

    fn is_full(&self, state: &State, task: &TaskId) -> bool {
        let full = state.flows.get(task).is_some_and(|f| f.room() == Room::Full);
        full && !self.is_cancelled(task)
    }

    /// FLOW-3.
    fn wake_producer(&self, state: &mut State, task: TaskId) {
        for watcher in state.watchers.remove(&room_of(task)).into_iter().flatten() {
            self.tell(state, watcher, false);
        }
    }

    /// What a caller says of a generator that runs here, or is to.
    pub(crate) fn on_stream_message(&self, state: &mut State, from: Address, msg: &PeerMsg) {
        match *msg {
            PeerMsg::StreamRead { task, attempt, read } => {
                if let Some(flow) = state.flows.get_mut(&task).filter(|f| f.to.is_some() && f.attempt == attempt) {
                    flow.was_read(read);
                    self.wake_producer(state, task);
                }
            }
            PeerMsg::StreamStop { task, attempt } => {
                let flow = state.flows.entry(task).or_default();
                if flow.to.is_none() {
                    flow.attempt = attempt;
                    state.stopped_by.push((from, task));
                } else if flow.attempt != attempt {
                    return;
                }
                flow.stopped = true;
                self.wake_producer(state, task);
            }
            PeerMsg::StreamOver(task) => {
                if state.flows.get(&task).is_some_and(|f| f.to.is_none()) {
                    state.flows.remove(&task);
                }
                state.stopped_by.retain(|(_, t)| *t != task);
            }
            PeerMsg::CancelTask { task, .. } => self.wake_producer(state, task),
            _ => {}
        }
    }

    /// The caller at the other end of a lane is gone.
    pub(crate) fn stop_streams_to(&self, lane: LaneId) {
        let mut state = self.lock();
        let gone = |f: &Flow| f.to.is_some_and(|(l, _)| l == lane);
        let tasks: Vec<TaskId> = state.flows.iter().filter(|(_, f)| gone(f)).map(|(t, _)| *t).collect();
        for task in tasks {
            if let Some(flow) = state.flows.get_mut(&task) {
                flow.stopped = true;
            }
            self.wake_producer(&mut state, task);
        }
    }

    /// A process is gone: what it said of generators that have not begun is forgotten.
    pub(crate) fn forget_stops(&self, state: &mut State, from: Address) {
        for (_, task) in state.stopped_by.extract_if(.., |(by, _)| *by == from) {
            if state.flows.get(&task).is_some_and(|f| f.to.is_none()) {
                state.flows.remove(&task);
            }
        }
    }

    /// Takes the next item of a generator: its ref has one local count then.
    pub fn read_item(&self, handle: RefWire) -> Next {
        let mut state = self.lock();
        let next = state.owner.next_item(&handle);
        if let Next::Item(_) = &next {
            self.feed(&mut state, Event::StreamRead(handle));
        }
        drop(state);
        self.activity();
        next
    }

    /// What a reader would get.
    pub fn peek_item(&self, handle: &RefWire) -> Next {
        self.lock().owner.next_item(handle)
    }

    /// An item of a generator of ours came in a lane.
    pub(crate) fn on_item(&self, state: &mut State, worker: shoal_types::WorkerId, frame: &[u8]) -> Result<(), String> {
        let lane::Item { attempt, task, index, value } = lane::Item::decode(frame).map_err(|e| e.to_string())?;
        self.feed(state, Event::Item { task, attempt, index, value, worker });
        Ok(())
    }
}

/// Whether what is watched is a generator's room, and no object.
pub(crate) fn is_room(id: &ObjectId) -> bool {
    id.index == ROOM_INDEX
}

fn room_of(task: TaskId) -> ObjectId {
    ObjectId::new(task, ROOM_INDEX)
}
