//! What the user's code does: call, cancel, make and end actors; and what the daemon says of it.
use crate::asking::SIGN;
use crate::dead::Place;
use crate::lanes::{CallerEnd, Peer};
use crate::objects::ASYNC_CHUNK;
use crate::runtime::Runtime;
use crate::state::{ActorLane, State};
use crate::unmapped;
use shoal_crash::crash_point;
use shoal_owner::Event;
use shoal_proto::control::{Request, Response, ToClient};
use shoal_proto::peer::PeerFrame;
use shoal_ring::{CallerLane, PeerBell, WorkerLane};
use shoal_types::{
    ActorId, ActorSpec, Address, Args, CallSpec, ErrorKind, ErrorValue, FunctionId, LaneId, LeaseKey, ObjectId,
    RefWire, TaskId, TaskSpec,
};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

impl Runtime {
    /// Numbers a scheduling key.
    pub fn intern(&self, key: &LeaseKey) -> u32 {
        self.lock().keys.intern(key)
    }

    /// Makes a function known, to travel with its first call on a lane.
    pub fn export(&self, id: FunctionId, pickled: Arc<[u8]>) {
        self.lock().functions.entry(id).or_insert(pickled);
    }

    /// Submits a call of a remote function. Its returns have one local ref each.
    pub fn submit(&self, spec: TaskSpec) -> Result<(), ErrorValue> {
        self.submit_event(Event::TaskSubmitted(Box::new(spec)))
    }

    /// Submits a call of an actor's method; `limit` is how many may be pending (-1: any number).
    pub fn call(&self, spec: CallSpec, unordered: bool, limit: i32) -> Result<(), ErrorValue> {
        let mut state = self.lock();
        let actor = spec.actor;
        if limit >= 0 && state.owner.pending_calls(&actor) >= limit as usize {
            let text = format!("actor {actor} has {limit} calls pending, its max_pending_calls");
            return Err(ErrorValue { actor: Some(actor), ..ErrorValue::new(ErrorKind::PendingCalls, text) });
        }
        self.feed_alive(&mut state, Event::ActorKnown { actor, unordered })?;
        self.drain_drops(&mut state);
        self.feed(&mut state, Event::CallSubmitted(Box::new(spec)));
        drop(state);
        self.activity();
        Ok(())
    }

    fn submit_event(&self, event: Event) -> Result<(), ErrorValue> {
        let mut state = self.lock();
        self.feed_alive(&mut state, event)?;
        self.drain_drops(&mut state);
        self.poll_between(&mut state);
        drop(state);
        self.activity();
        Ok(())
    }

    fn feed_alive(&self, state: &mut State, event: Event) -> Result<(), ErrorValue> {
        if let Some(dead) = &state.dead {
            return Err(dead.clone());
        }
        self.feed(state, event);
        state.dead.clone().map_or(Ok(()), Err)
    }

    /// Whether an actor's method makes this object and is not over.
    pub fn is_of_call(&self, id: &ObjectId) -> bool {
        self.lock().owner.is_of_call(id)
    }

    /// Cancels the task that makes this object.
    pub fn cancel(&self, id: ObjectId, force: bool, recursive: bool) {
        let mut state = self.lock();
        self.feed(&mut state, Event::Cancelled { id, force, recursive });
    }

    /// Registers an actor with the GCS; its start follows when its arguments are there. `Ok(Some(other))` when the
    /// name is another's.
    pub fn create_actor(&self, mut spec: ActorSpec) -> Result<Option<Box<ActorSpec>>, ErrorValue> {
        let args = std::mem::take(&mut spec.args);
        let (actor, handle, unordered) = (spec.id, spec.handle.id, spec.unordered);
        crash_point!(33, "actor.register");
        match self.ask(Request::RegisterActor(Box::new(spec)))? {
            Response::Registered(Ok(())) => {}
            Response::Registered(Err(taken)) => return Ok(Some(taken.by)),
            _ => return Err(ErrorValue::new(ErrorKind::System, "the daemon answered out of turn")),
        }
        let mut state = self.lock();
        let Args { deps, refs, .. } = args.clone();
        state.actor_args.insert(actor, args);
        self.feed_alive(&mut state, Event::ActorCreated { actor, handle, deps, refs, unordered })?;
        Ok(None)
    }

    /// A message of the daemon's.
    pub(crate) fn on_message(&self, msg: ToClient, fds: Vec<OwnedFd>) {
        match msg {
            ToClient::Response { req, body } if req & ASYNC_CHUNK != 0 => self.on_chunk(body),
            ToClient::Response { req, .. } if req & SIGN != 0 => {}
            ToClient::Response { req, body } => self.on_answer(req, body, fds),
            ToClient::LaneOpened { lane, caller, peer, wake, my_slot, peer_slot } => {
                self.break_point(Place::Io);
                self.open_lane(lane, caller, peer, (wake, my_slot, peer_slot), fds);
            }
            ToClient::LaneRefused { lane, error } => drop(self.lock().unmapped.insert(lane, error)),
            ToClient::LaneClosed(lane) => {
                self.executor.close_lane(self, lane);
                self.lock().unmapped.remove(&lane);
                self.stop_streams_to(lane);
            }
            ToClient::Relayed { from, body } => self.on_relayed(from, &body),
            ToClient::WorkerDied { worker, error, intended } => self.on_worker_died(worker, error, intended),
            ToClient::Logs(lines) => {
                self.notices.lock().waiting.extend(lines);
                self.noticed.notify_all();
            }
            ToClient::BecomeActor { spec, incarnation, args } => {
                self.executor.become_actor(self, *spec, incarnation, args)
            }
            ToClient::EndActor => self.executor.end(self),
            ToClient::ReturnChunks => self.return_open_chunks(),
            ToClient::Retire => self.executor.retire(self),
            ToClient::Exit => self.executor.exit(self),
            ToClient::Look { look, wish } => self.look(look, wish),
            ToClient::Waits { key, text } => self.warn_of_key(key, &text),
            ToClient::Warning(text) => self.warn(text),
            msg => self.on_core_message(msg),
        }
    }

    /// Messages that are events of the core.
    fn on_core_message(&self, msg: ToClient) {
        let mut state = self.lock();
        let event = match msg {
            ToClient::Granted { key, lease, lane, worker } => Event::Granted { key, lease, lane, worker },
            ToClient::Unschedulable { key, error } => Event::KeyUnschedulable { key, error },
            ToClient::Recall(lease) => Event::Recalled(lease),
            ToClient::RecallIdle(lease) => Event::WantedBack(lease),
            ToClient::Sealed(objects) => Event::Sealed(objects),
            ToClient::StoredLost { id, loc, why } => Event::StoredLost { id, loc, why },
            ToClient::ActorUp { actor, incarnation, lane, worker, kept } => {
                state.actors.insert(actor, ActorLane { incarnation, lane });
                Event::ActorUp { actor, incarnation, lane, worker, kept }
            }
            ToClient::ActorRestarting { actor, incarnation, error, rest } => {
                let taken = self.taken_of_actor(&mut state, actor, incarnation);
                Event::ActorRestarting { actor, incarnation, error, rest, taken }
            }
            ToClient::ActorDead { actor, error, dying, lingers } => {
                if let Some(ActorLane { lane, .. }) = state.actors.remove(&actor) {
                    self.read_lane(&mut state, lane);
                }
                Event::ActorDead { actor, error, dying, lingers }
            }
            msg => {
                shoal_net::say!("the daemon said {msg:?} out of turn");
                return;
            }
        };
        for event in unmapped::instead(&mut state, event).into_iter().flatten() {
            self.feed(&mut state, event);
        }
        drop(state);
        self.activity();
    }

    fn taken_of_actor(&self, state: &mut State, actor: ActorId, incarnation: u32) -> Vec<TaskId> {
        match state.actors.get(&actor).copied() {
            Some(at) if at.incarnation == incarnation => self.last_words(state, at.lane),
            _ => Vec::new(),
        }
    }

    /// Reads the last replies of a dead worker's lane (RUN-4), then says which calls it had begun.
    fn last_words(&self, state: &mut State, lane: LaneId) -> Vec<TaskId> {
        self.read_lane(state, lane);
        let Some(end) = state.lanes.get(&lane) else { return Vec::new() };
        let taken = |at| end.lane.requests.is_taken(at);
        end.sent.iter().filter(|(_, at)| taken(**at)).map(|(task, _)| *task).collect()
    }

    fn on_worker_died(&self, worker: Address, error: ErrorValue, intended: bool) {
        let mut state = self.lock();
        let mut taken = Vec::new();
        if let Some(lane) = state.by_worker.remove(&worker) {
            taken = self.last_words(&mut state, lane);
            if let Some(end) = state.lanes.remove(&lane) {
                self.executor.forget_slot(end.my_slot);
                let gone = end.sent.len() + end.backlog.iter().filter(|w| w.task.is_some()).count();
                self.outstanding.fetch_sub(gone as u64, SeqCst);
            }
            state.starved.remove(&lane);
        }
        self.forget_stops(&mut state, worker);
        self.feed(&mut state, Event::WorkerLost { worker, error, intended, taken });
        drop(state);
        // It may have died between clearing our sleeper word and waking us (BELL-5).
        self.wake_leader();
        self.activity();
    }

    fn on_relayed(&self, from: Address, body: &[u8]) {
        let Ok(PeerFrame { seq, msg }) = postcard::from_bytes(body) else {
            shoal_net::say!("process {} sent something that cannot be read", from.worker);
            return;
        };
        if let shoal_proto::peer::PeerMsg::CancelTask { task, recursive } = &msg {
            self.executor.cancel(*task, *recursive);
        }
        let mut state = self.lock();
        self.on_stream_message(&mut state, from, &msg);
        self.feed(&mut state, Event::Peer { from, seq, msg });
    }

    fn open_lane(&self, lane: LaneId, caller: bool, peer: Address, how: ([u8; 16], u32, u32), fds: Vec<OwnedFd>) {
        let (wake, my_slot, peer_slot) = how;
        if let Err(error) = self.map_lane(lane, caller, peer, (wake, my_slot, peer_slot), &fds) {
            self.cannot_map(lane, caller, peer, &error);
        }
    }

    fn map_lane(
        &self,
        lane: LaneId,
        caller: bool,
        address: Address,
        (wake, my_slot, slot): ([u8; 16], u32, u32),
        fds: &[OwnedFd],
    ) -> Result<(), shoal_ring::RingError> {
        let [lane_fd, bell_fd] = fds else {
            shoal_net::say!("lane {} came with {} descriptors, not 2", lane.0, fds.len());
            return Ok(());
        };
        let peer = Peer { address, bell: PeerBell::map(bell_fd)?, wake, waker: Arc::clone(&self.wake), slot };
        if !caller {
            self.executor.open_lane(self, lane, WorkerLane::map(lane_fd)?, peer, my_slot);
            return Ok(());
        }
        let end = CallerEnd {
            lane: CallerLane::map(lane_fd)?,
            peer,
            my_slot,
            sent: Default::default(),
            functions: Default::default(),
            backlog: Default::default(),
            unheard: 0,
        };
        self.executor.set_slot(my_slot, lane);
        let mut state = self.lock();
        state.lanes.insert(lane, end);
        state.by_worker.insert(address, lane);
        Ok(())
    }

    /// The handle's ref of an actor, counted here.
    pub fn take_handle(&self, wire: RefWire, actor: ActorId, unordered: bool) {
        let mut state = self.lock();
        self.feed(&mut state, Event::RefTaken(wire));
        self.feed(&mut state, Event::ActorKnown { actor, unordered });
    }
}
