//! Carries out what the core orders.
use crate::control::Control;
use crate::lanes::{CallerEnd, Pushed, Waiting};
use crate::runtime::Runtime;
use crate::state::State;
use parking_lot::MutexGuard;
use shoal_crash::crash_point;
use shoal_owner::{Event, Order};
use shoal_proto::Writer;
use shoal_proto::control::ToNode;
use shoal_proto::lane::{self, RequestHead, Target};
use shoal_proto::peer::{PeerFrame, PeerMsg};
use shoal_ring::Withdrawal;
use shoal_types::{ActorId, Address, ArenaLoc, Args, ErrorValue, LaneId, ObjectId, RefWire, TaskId, Value, WorkerId};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// How many tasks are submitted from one reading of answers to the next.
const READ_EVERY: u32 = 16;

impl Runtime {
    /// Hands an event to the core and carries out what it orders (RUN-1).
    pub(crate) fn feed(&self, state: &mut State, event: Event) {
        let before = state.owner.next_deadline();
        self.feed_or_die(state, event);
        if state.owner.next_deadline().is_some_and(|at| before.is_none_or(|b| at < b)) {
            self.activity();
        }
    }

    pub(crate) fn carry_out(&self, state: &mut State) {
        let (mut told, mut at) = (false, 0);
        while at < state.orders.len() {
            let order = std::mem::replace(&mut state.orders[at], Order::Ready(ObjectId::default()));
            told |= self.order(state, order);
            at += 1;
        }
        state.orders.clear();
        if !state.to_free.is_empty() {
            self.control.queue(&ToNode::Free(std::mem::take(&mut state.to_free)));
            told = true;
        }
        if told {
            self.control.flush();
            if self.control.full.load(SeqCst) {
                self.kick.kick();
            }
        }
    }

    /// True when something was queued for the daemon.
    fn order(&self, state: &mut State, order: Order) -> bool {
        match order {
            Order::Push { lane, task, attempt } => self.push(state, lane, task, attempt),
            Order::Withdraw { lane, task } => self.withdraw(state, lane, task),
            Order::Ready(id) => self.ready(state, id),
            Order::Unready(_) => self.unready(),
            Order::Reply { task, kept } => {
                state.kept.insert(task, kept);
            }
            Order::Free { id, loc } => state.to_free.push((id, loc)),
            order => {
                self.tell_daemon(state, order);
                return true;
            }
        }
        false
    }

    fn tell_daemon(&self, state: &mut State, order: Order) {
        let control = &self.control;
        match order {
            Order::Demand { key, want, seen, depth } => {
                let spec = state.keys.told.insert(key).then(|| state.keys.specs[key as usize].clone());
                crash_point!(31, "lease.demand");
                control.queue(&ToNode::Demand { key, spec, want, seen, depth });
            }
            Order::ReturnLease(lease) => {
                crash_point!(32, "lease.return");
                control.queue(&ToNode::ReturnLease(lease));
            }
            Order::Send { to, seq, msg } => relay(control, to, seq, msg),
            Order::WatchActor(actor) => control.queue(&ToNode::WatchActor(actor)),
            Order::StartActor { actor, error } => start_actor(control, state, actor, error),
            Order::ActorOutOfScope(actor) => control.queue(&ToNode::ActorOutOfScope(actor)),
            Order::KillWorker(worker) => control.queue(&ToNode::KillWorker(worker)),
            Order::WatchProcess(worker) => control.queue(&ToNode::WatchProcess(worker)),
            order => unreachable!("{order:?} is carried out without the daemon"),
        }
    }

    fn ready(&self, state: &mut State, id: ObjectId) {
        let failed = state.owner.value(&id).is_some_and(Value::is_error);
        for watcher in state.watchers.remove(&id).into_iter().flatten() {
            self.tell(state, watcher, failed);
        }
    }

    fn push(&self, state: &mut State, lane: LaneId, task: TaskId, attempt: u16) {
        let mut frame = std::mem::take(&mut state.frame);
        frame.clear();
        let function = encode_request(state, task, attempt, &mut frame);
        if let Some(end) = state.lanes.get_mut(&lane) {
            if let Some(id) = function
                && !end.functions.contains(&id)
                && let Some(bytes) = state.functions.get(&id)
            {
                push_function(end, id, bytes);
            }
            let sent = end.push(Some(task), &frame);
            self.outstanding.fetch_add(1, SeqCst);
            if end.ring() {
                state.owed_rings.insert(lane);
                self.owes_rings.store(true, Relaxed);
            }
            let status = end.lane.status();
            status.set_caller_cpu(rustix::thread::sched_getcpu() as u32);
            status.set_caller_goes_on(self.burst.push());
            self.executor.set_spin_hint(status);
            if sent == Pushed::Waits {
                self.flush_lane(state, lane);
            }
        }
        state.frame = frame;
    }

    /// Rings those that were left asleep (PUSH-4). Not under the state lock.
    pub(crate) fn pay_rings(&self) {
        if !self.owes_rings.load(Relaxed) {
            return;
        }
        let state = &mut *self.state.lock();
        self.owes_rings.store(false, Relaxed);
        for lane in state.owed_rings.drain() {
            if let Some(end) = state.lanes.get_mut(&lane) {
                end.pay_ring();
            }
        }
    }

    /// Sends what waits in a lane; what is too large for its ring goes through the arena.
    pub(crate) fn flush_lane(&self, state: &mut State, lane: LaneId) {
        loop {
            let Some(end) = state.lanes.get_mut(&lane) else { return };
            if !end.flush() {
                state.starved.remove(&lane);
                return;
            }
            let Some(front) = end.backlog.pop_front() else { return };
            match self.far_frame(&front.frame, end.peer.address.worker) {
                Ok(frame) => end.backlog.push_front(Waiting { task: front.task, frame }),
                Err(needed) => {
                    end.backlog.push_front(front);
                    if state.starved.insert(lane) {
                        self.ask_for_chunk(needed);
                    }
                    return;
                }
            }
        }
    }

    fn withdraw(&self, state: &mut State, lane: LaneId, task: TaskId) {
        let taken_back = state.lanes.get_mut(&lane).map(|end| take_back(end, task));
        if taken_back == Some(true) {
            self.outstanding.fetch_sub(1, SeqCst);
        }
        let done = taken_back.unwrap_or(true);
        let now = self.now();
        state.handle(now, Event::Withdrawn { task, done });
    }

    /// Reads what came, by a thread that leads: replies to this process's calls; requests are left for the executor.
    pub(crate) fn poll_lanes(&self) {
        self.bell.take_ring();
        self.poll_beside();
    }

    /// The same by one that doesn't: a ring from inside is not for it (LEAD-4).
    pub(crate) fn poll_beside(&self) {
        let slots = self.rung();
        if !slots.is_empty() {
            self.read_slots(&mut self.state.lock(), slots);
        }
    }

    /// The same now and then while a thread submits task after task: what is answered is no load any more (LEASE-8).
    pub(crate) fn poll_between(&self, state: &mut State) {
        state.submitted = state.submitted.wrapping_add(1);
        if !state.submitted.is_multiple_of(READ_EVERY) {
            return;
        }
        let slots = self.rung();
        self.read_slots(state, slots);
    }

    /// The slots of lanes that have something.
    fn rung(&self) -> Vec<u32> {
        let mut slots = Vec::new();
        self.bell.drain_lanes(|slot| slots.push(slot));
        slots
    }

    fn read_slots(&self, state: &mut State, slots: Vec<u32>) {
        for slot in slots {
            match self.executor.on_bell(self, slot) {
                Some(lane) => self.read_lane(state, lane),
                None => self.executor.wake(self),
            }
        }
    }

    /// Handles every reply in a lane, and sends what waited for room.
    pub(crate) fn read_lane(&self, state: &mut State, lane: LaneId) {
        let mut frame = std::mem::take(&mut state.frame);
        while let Some(end) = state.lanes.get_mut(&lane) {
            match end.lane.replies.take(&mut frame) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    let worker = end.peer.address.worker;
                    self.corrupt(worker, &error);
                    break;
                }
            }
            if end.lane.status().worker_starved() {
                end.peer.ring();
            }
            self.on_reply(state, lane, &mut frame);
        }
        state.frame = frame;
        if state.lanes.get(&lane).is_some_and(|end| !end.backlog.is_empty()) {
            self.flush_lane(state, lane);
        }
    }

    fn corrupt(&self, worker: WorkerId, error: &dyn std::fmt::Display) {
        shoal_net::say!("worker {worker} wrote a reply that cannot be read ({error}); it is ended");
        self.control.send(&ToNode::KillWorker(worker));
    }

    fn on_reply(&self, state: &mut State, lane: LaneId, frame: &mut Vec<u8>) {
        let worker = state.lanes[&lane].peer.address.worker;
        let near = self.unfar(state, frame);
        if near.is_ok() && lane::Item::is(frame) {
            if let Err(error) = self.on_item(state, worker, frame) {
                self.corrupt(worker, &error);
            }
            return;
        }
        let reply = near.and_then(|()| lane::Reply::decode(frame).map_err(|e| e.to_string()));
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => return self.corrupt(worker, &error),
        };
        if let Some(end) = state.lanes.get_mut(&lane)
            && end.sent.remove(&reply.task).is_some()
        {
            self.outstanding.fetch_sub(1, SeqCst);
        }
        let lane::Reply { attempt, task, status, micros, kept, values } = reply;
        if status == lane::Status::Lost {
            let lost = values.iter().filter_map(place).collect();
            return self.feed(state, Event::ArgumentsLost { task, attempt, kept, lost, worker });
        }
        let retryable = status == lane::Status::Retryable;
        self.feed(state, Event::Replied { task, attempt, retryable, micros, kept, values, worker });
    }

    /// Replaces a far frame by the one that it names.
    pub(crate) fn unfar(&self, state: &mut State, frame: &mut Vec<u8>) -> Result<(), String> {
        let Some((id, loc)) = lane::far(frame).map_err(|e| e.to_string())? else { return Ok(()) };
        let pinned = self.store.pin(loc, id).map_err(|e| e.to_string())?;
        frame.resize(pinned.len(), 0);
        pinned.read_at(0, frame);
        drop(pinned);
        state.to_free.push((id, loc));
        Ok(())
    }

    /// Hands the releases of Python's refs to the core. True when there were any.
    pub(crate) fn drain_drops(&self, state: &mut State) -> bool {
        let drops = std::mem::take(&mut *self.drops.lock());
        if drops.is_empty() {
            return false;
        }
        state.forget_watches(&drops);
        self.feed(state, Event::RefsDropped(drops));
        true
    }

    /// A Python ref object went. Callable anywhere, also in the garbage collector (OWN-3).
    pub fn drop_ref(&self, id: ObjectId) {
        self.drops.lock().push(id);
        self.activity();
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

fn take_back(end: &mut CallerEnd, task: TaskId) -> bool {
    if let Some(at) = end.backlog.iter().position(|w| w.task == Some(task)) {
        end.backlog.remove(at);
        return true;
    }
    let Some(position) = end.sent.get(&task) else { return false };
    let done = end.lane.requests.withdraw(*position) == Withdrawal::Withdrawn;
    if done {
        end.sent.remove(&task);
    }
    done
}

fn push_function(end: &mut CallerEnd, id: shoal_types::FunctionId, bytes: &[u8]) {
    let mut frame = Vec::with_capacity(bytes.len() + 17);
    lane::put_function(&mut frame, id, bytes);
    end.push(None, &frame);
    end.functions.insert(id);
}

/// Writes the request; the function that it needs, for a task.
fn encode_request(state: &State, task: TaskId, attempt: u16, out: &mut Vec<u8>) -> Option<shoal_types::FunctionId> {
    let mut w = Writer(out);
    if let Some(spec) = state.owner.task(&task) {
        let head = RequestHead {
            attempt,
            task,
            num_returns: spec.num_returns,
            window: spec.window,
            depth: spec.depth,
            name: &spec.name,
            retry_exceptions: spec.retry_exceptions,
            last_try: state.owner.is_last_try(&task),
            target: Target::Function(spec.function),
        };
        head.encode(&mut w);
        encode_args(state, &spec.args, &mut w);
        return Some(spec.function);
    }
    let spec = state.owner.call(&task).expect("a pushed task is a task or a call");
    let head = RequestHead {
        attempt,
        task,
        num_returns: spec.num_returns,
        window: spec.window,
        depth: 0,
        name: &spec.method,
        retry_exceptions: spec.retry_exceptions,
        last_try: false,
        target: Target::Method(&spec.method, &spec.group),
    };
    head.encode(&mut w);
    encode_args(state, &spec.args, &mut w);
    None
}

fn encode_args(state: &State, args: &Args, w: &mut Writer<'_>) {
    let dep = |i: u32| state.owner.dep_value(args, i);
    let place = |r: &RefWire| state.owner.place(&r.id);
    lane::put_args(w, &args.bytes, &args.refs, dep, place).expect("no dependency of a pushed task is an error");
}

fn relay(control: &Control, to: Address, seq: u64, msg: PeerMsg) {
    let body = postcard::to_stdvec(&PeerFrame { seq, msg }).expect("a peer message is plain data");
    control.queue(&ToNode::Relay { to: to.worker, body });
}

fn start_actor(control: &Control, state: &mut State, actor: ActorId, error: Option<ErrorValue>) {
    let mut args = Vec::new();
    if let Some(raw) = state.actor_args.remove(&actor)
        && error.is_none()
    {
        encode_args(state, &raw, &mut Writer(&mut args));
    }
    crash_point!(34, "actor.start");
    control.queue(&ToNode::StartActor { actor, args, error });
}

/// An argument that is not where it should lie, from a reply that says so.
fn place(value: &Value) -> Option<(RefWire, ArenaLoc)> {
    match value {
        Value::Stored { loc, refs } => refs.first().map(|r| (*r, *loc)),
        Value::Inline { .. } | Value::Error(_) => None,
    }
}
