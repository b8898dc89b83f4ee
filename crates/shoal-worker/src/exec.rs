//! The executing side: requests from callers' lanes, one at a time to the thread that asks; replies back.
//!
//! - EXEC-1 requests of one lane are handed out in their order.
//! - EXEC-2 the reply of a call is in its ring (or its backlog) before anything that this process tells about the refs
//!   that it let go of.
//! - EXEC-3 replies that carry refs are pushed under the state lock: the order of their `CallDone` events is theirs.
//! - EXEC-4 an executor sleeps in no hurry while its caller goes on (PUSH-5) on the same CPU, the last gaps were short, and
//!   nothing runs beside. Woken for each request it would take the CPU from the caller, run that one, and sleep.
use crate::cancels::{Cancels, OnCancel};
use crate::dead::Place;
use crate::ending::stored;
use crate::lanes::{Peer, Waiting, fits};
use crate::look::{Clock, Ran, RanRing, Running};
use crate::runtime::Runtime;
use crate::spin::{Gaps, LIMIT, elsewhere, spin_while};
use parking_lot::{Mutex, MutexGuard};
use rustc_hash::FxHashMap;
use shoal_owner::Event;
use shoal_proto::control::ToNode;
use shoal_proto::lane::{self, Reply, Status};
use shoal_proto::look::{RanRow, Rows};
use shoal_ring::{LaneStatus, Ring, WorkerLane};
use shoal_types::{
    ActorId, ActorSpec, Address, ArenaLoc, ErrorValue, FunctionId, LaneId, ObjectId, RefWire, TaskId, Value,
};
use shoal_wait::Waiter;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Instant;

/// A call in hand.
pub struct CallFrame {
    /// The lane that it came on.
    pub lane: LaneId,
    /// Who called.
    pub caller: Address,
    /// The request's bytes (`shoal_proto::lane::Request`).
    pub bytes: Vec<u8>,
}

/// What the executor's thread is to do next.
pub enum Work {
    /// Run this.
    Call(CallFrame),
    /// Know this function.
    Function(FunctionId, Vec<u8>),
    /// Be this actor: its specification, incarnation, constructor's arguments.
    Become(Box<ActorSpec>, u32, Vec<u8>),
    /// The actor is done: end in order.
    End,
    /// The job is over, or the daemon is gone: end at once.
    Stop,
    /// A signal came.
    Interrupted,
}

/// How a call ended.
pub struct Answer {
    /// The call.
    pub task: TaskId,
    /// The attempt that its request named.
    pub attempt: u16,
    /// The lane that it came on.
    pub lane: LaneId,
    /// Who called.
    pub caller: Address,
    /// Whether refs came with its arguments: then the core was told of it.
    pub lent: bool,
    /// The call has not begun: the values are what it lacks ([`Status::Lost`]).
    pub lost: bool,
    /// The user's exception may be tried again.
    pub retryable: bool,
    /// The function's or method's name.
    pub name: Arc<str>,
    /// When it began.
    pub began: Instant,
    /// How long the user's code ran, in microseconds.
    pub micros: u32,
    /// A value for each return; a single error stands for all.
    pub values: Vec<Value>,
}

struct Served {
    lane: WorkerLane,
    peer: Peer,
    my_slot: u32,
    backlog: VecDeque<Waiting>,
    ready: bool,
    /// Its caller was left asleep at the last reply (BELL-7).
    owes_ring: bool,
}

#[derive(Clone, Copy)]
enum Slot {
    Caller(LaneId),
    Served(LaneId),
}

#[derive(Default)]
struct Table {
    lanes: FxHashMap<LaneId, Served>,
    ready: VecDeque<LaneId>,
    inbox: VecDeque<Work>,
    stopped: bool,
    /// What ran here last.
    ran: RanRing,
}

/// The executor's part of the runtime.
#[derive(Default)]
pub(crate) struct Executor {
    slots: Mutex<FxHashMap<u32, Slot>>,
    table: Mutex<Table>,
    waiter: Mutex<Option<Arc<Waiter>>>,
    hint: Mutex<Option<LaneStatus>>,
    caller: Mutex<Option<LaneStatus>>,
    gaps: Gaps,
    idle: AtomicBool,
    /// The actor that runs here has ended (END-1). Set under the state lock and the table's.
    over: AtomicBool,
    lingering: AtomicBool,
    pub(crate) cancels: Cancels,
    pub(crate) running: Mutex<Option<Running>>,
}

impl Executor {
    pub(crate) fn is_waiter(&self, waiter: &Waiter) -> bool {
        self.waiter.lock().as_ref().is_some_and(|w| std::ptr::eq(&**w, waiter))
    }

    /// The executor's thread has nothing to do: it spins for its last caller (SPIN-3). While it does, it is said to be
    /// busy: what comes is taken at once.
    pub(crate) fn spin(&self, here: impl Fn() -> bool) {
        let Some(caller) = self.caller.lock().clone().filter(|_| self.gaps.are_short()) else { return };
        if !elsewhere(caller.caller_cpu()) {
            return;
        }
        caller.set_worker_busy(true);
        if !spin_while(LIMIT, || !here()) {
            caller.set_worker_busy(false);
            self.gaps.in_vain();
        }
    }

    /// EXEC-4.
    pub(crate) fn in_no_hurry(&self) -> bool {
        let goes_on = |caller: &LaneStatus| caller.caller_goes_on() && !elsewhere(caller.caller_cpu());
        self.gaps.are_short() && self.caller.lock().as_ref().is_some_and(goes_on) && self.cancels.none_beside()
    }

    pub(crate) fn spin_hint(&self) -> Option<LaneStatus> {
        self.hint.lock().clone()
    }

    pub(crate) fn set_spin_hint(&self, status: LaneStatus) {
        *self.hint.lock() = Some(status);
    }

    pub(crate) fn set_slot(&self, slot: u32, lane: LaneId) {
        self.slots.lock().insert(slot, Slot::Caller(lane));
    }

    pub(crate) fn forget_slot(&self, slot: u32) {
        self.slots.lock().remove(&slot);
    }

    /// A slot of the bell was rung: the lane whose replies are to be read; or the served lane is marked as ready.
    pub(crate) fn on_bell(&self, runtime: &Runtime, slot: u32) -> Option<LaneId> {
        match self.slots.lock().get(&slot).copied() {
            Some(Slot::Caller(lane)) => Some(lane),
            Some(Slot::Served(lane)) => {
                let mut table = self.table.lock();
                table.mark(lane);
                // The executor's thread may be in a long call: its replies need not wait for that.
                table.flush(runtime, lane);
                None
            }
            None => None,
        }
    }

    /// Wakes the executor's thread.
    pub(crate) fn wake(&self, runtime: &Runtime) {
        if let Some(waiter) = &*self.waiter.lock()
            && waiter.finish()
        {
            runtime.wake_leader();
        }
    }

    pub(crate) fn open_lane(&self, runtime: &Runtime, id: LaneId, lane: WorkerLane, peer: Peer, my_slot: u32) {
        self.slots.lock().insert(my_slot, Slot::Served(id));
        let mut table = self.table.lock();
        table
            .lanes
            .insert(id, Served { lane, peer, my_slot, backlog: VecDeque::new(), ready: false, owes_ring: false });
        table.mark(id);
        drop(table);
        self.wake(runtime);
    }

    /// The lane's other end is gone: what it asked for need not run.
    pub(crate) fn close_lane(&self, runtime: &Runtime, lane: LaneId) {
        let gone = self.table.lock().remove(runtime, lane);
        if let Some(served) = gone {
            self.slots.lock().remove(&served.my_slot);
            self.wake(runtime); // what it waits to send may have been for that one
        }
    }

    /// Whether the caller at its other end is there.
    pub(crate) fn has_lane(&self, lane: LaneId) -> bool {
        self.table.lock().lanes.contains_key(&lane)
    }

    fn post(&self, runtime: &Runtime, work: Work) {
        self.table.lock().inbox.push_back(work);
        self.wake(runtime);
    }

    pub(crate) fn become_actor(&self, runtime: &Runtime, spec: ActorSpec, incarnation: u32, args: Vec<u8>) {
        self.post(runtime, Work::Become(Box::new(spec), incarnation, args));
    }

    pub(crate) fn end(&self, runtime: &Runtime) {
        self.post(runtime, Work::End);
    }

    /// From here on no answer goes out (END-1). True the first time.
    pub(crate) fn be_over(&self) -> bool {
        let _table = self.table.lock();
        !self.over.swap(true, SeqCst)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// Sleeps until nobody needs this process.
    pub(crate) fn linger(&self, runtime: &Runtime) {
        self.lingering.store(true, SeqCst);
        runtime.kick.kick();
        let waiter = runtime.executor_waiter();
        loop {
            waiter.rearm();
            if self.table.lock().stopped {
                return;
            }
            runtime.wait_for_work(&waiter);
        }
    }

    pub(crate) fn lingers(&self) -> bool {
        self.lingering.load(SeqCst)
    }

    /// The daemon is gone or the job is over.
    pub(crate) fn stop(&self, runtime: &Runtime) {
        self.table.lock().stopped = true;
        self.wake(runtime);
    }

    /// The job is over: nothing that runs here matters to anyone.
    pub(crate) fn exit(&self, runtime: &Runtime) {
        self.stop(runtime);
    }

    /// The daemon has no use for this worker: it goes unless it works or holds what others need.
    pub(crate) fn retire(&self, runtime: &Runtime) {
        let idle = self.idle.load(SeqCst) && self.cancels.none_beside();
        let goes = idle && self.unsent(runtime) == Some(0) && !runtime.lock().owner.holds_for_others();
        runtime.tell_node(&ToNode::Retiring(goes));
        if goes {
            self.exit(runtime);
        }
    }

    /// The owner of a call that was taken here cancels it.
    pub(crate) fn cancel(&self, task: TaskId, children: bool) {
        // Read first: a call that is taken after this has no cancel yet.
        let idle = self.idle.load(SeqCst);
        self.cancels.cancel(task, children, idle);
    }

    /// What ran here, the last first.
    pub(crate) fn ran(&self, limit: usize, clock: &Clock) -> Rows<RanRow> {
        self.table.lock().ran.rows(limit, clock)
    }

    /// Sends replies that wait for room; how many still do. `None`: nobody needs them any more.
    pub(crate) fn unsent(&self, runtime: &Runtime) -> Option<usize> {
        let mut table = self.table.lock();
        if table.stopped {
            return None;
        }
        let lanes: Vec<LaneId> = table.lanes.keys().copied().collect();
        for lane in lanes {
            table.flush(runtime, lane);
        }
        Some(table.lanes.values().map(|served| served.backlog.len()).sum())
    }
}

impl Served {
    /// Says that there is a reply. A caller that waits for many is woken only when the replies that it hasn't read
    /// outweigh what is left to do here: then it has a batch to read, and time to send another.
    fn ring(&mut self) {
        let goes_on = self.lane.requests.waiting_bytes() > self.lane.replies.unread_bytes();
        let left = self.peer.rung(goes_on) == Ring::LeftAsleep;
        self.owes_ring = (self.owes_ring && goes_on) || left;
    }

    /// Nothing is left to do here.
    fn pay_ring(&mut self) {
        if std::mem::take(&mut self.owes_ring) {
            self.peer.ring();
        }
    }
}

impl Table {
    fn mark(&mut self, id: LaneId) {
        if let Some(served) = self.lanes.get_mut(&id)
            && !std::mem::replace(&mut served.ready, true)
        {
            self.ready.push_back(id);
        }
    }

    /// Forgets a lane, and the replies that waited in it.
    fn remove(&mut self, runtime: &Runtime, id: LaneId) -> Option<Served> {
        let gone = self.lanes.remove(&id)?;
        runtime.outstanding.fetch_sub(gone.backlog.len() as u64, SeqCst);
        Some(gone)
    }

    /// The next request, round robin over lanes that have one.
    fn take(&mut self, runtime: &Runtime, bytes: &mut Vec<u8>) -> Option<(LaneId, Address)> {
        while let Some(id) = self.ready.pop_front() {
            self.flush(runtime, id);
            let Some(served) = self.lanes.get_mut(&id) else { continue };
            served.ready = false;
            let taken = served.lane.requests.take(bytes);
            let status = served.lane.status();
            // Also when there was nothing: withdrawn frames may have been passed (LANE-3).
            if status.caller_starved() {
                served.peer.ring();
            }
            match taken {
                Ok(Some(_)) => {
                    status.set_worker_busy(true);
                    status.set_worker_cpu(rustix::thread::sched_getcpu() as u32);
                    let caller = served.peer.address;
                    self.mark(id);
                    return Some((id, caller));
                }
                Ok(None) => {
                    status.set_worker_busy(false);
                    served.pay_ring();
                }
                Err(error) => {
                    shoal_net::say!("a caller's lane cannot be read ({error}); it is closed");
                    self.remove(runtime, id);
                }
            }
        }
        None
    }

    fn flush(&mut self, runtime: &Runtime, id: LaneId) {
        let Some(served) = self.lanes.get_mut(&id).filter(|s| !s.backlog.is_empty()) else { return };
        let (status, mut sent) = (served.lane.status(), false);
        while let Some(mut front) = served.backlog.pop_front() {
            if !fits(&served.lane.replies, &front.frame) {
                match runtime.far_frame(&front.frame, served.peer.address.worker) {
                    Ok(frame) => front.frame = frame,
                    Err(needed) => {
                        served.backlog.push_front(front);
                        runtime.ask_for_chunk(needed);
                        break;
                    }
                }
            }
            if !status.push_as_worker(|| served.lane.replies.push(&[&front.frame]).is_some()) {
                served.backlog.push_front(front);
                break;
            }
            runtime.outstanding.fetch_sub(1, SeqCst);
            sent = true;
        }
        if served.backlog.is_empty() {
            status.worker_is_fed();
        }
        if sent {
            served.peer.ring();
        }
    }
}

impl Runtime {
    /// The next thing to do for the executor's thread. Without the GIL.
    pub fn next_work(&self) -> Work {
        let waiter = self.executor_waiter();
        let mut bytes = Vec::new();
        loop {
            waiter.rearm();
            if let Some(work) = self.work_at_hand(&mut bytes) {
                return work;
            }
            self.executor.idle.store(true, SeqCst);
            let begin = Instant::now();
            let end = self.wait_for_work(&waiter);
            self.executor.gaps.note(begin.elapsed());
            self.executor.idle.store(false, SeqCst);
            if end == crate::Waited::Interrupted {
                return Work::Interrupted;
            }
        }
    }

    /// What lies at hand for the executor's thread; nothing is waited for.
    pub fn work_now(&self) -> Option<Work> {
        self.work_at_hand(&mut Vec::new())
    }

    pub(crate) fn executor_waiter(&self) -> Arc<Waiter> {
        Arc::clone(self.executor.waiter.lock().get_or_insert_with(|| Arc::new(Waiter::new(1))))
    }

    fn work_at_hand(&self, bytes: &mut Vec<u8>) -> Option<Work> {
        self.executor.cancels.own_thread_is_free();
        loop {
            let mut table = self.executor.table.lock();
            if table.stopped {
                return Some(Work::Stop);
            }
            if let Some(work) = table.inbox.pop_front() {
                return Some(work);
            }
            let (lane, caller) = table.take(self, bytes)?;
            let status = table.lanes.get(&lane).map(|served| served.lane.status());
            drop(table);
            *self.executor.caller.lock() = status;
            match self.classify(bytes, lane, caller) {
                Ok(work) => return Some(work),
                // Its caller is gone, and what it had put into the arena with it.
                Err(_) if !self.executor.has_lane(lane) => {}
                Err(error) => shoal_net::say!("a request cannot be read: {error}"),
            }
        }
    }

    fn classify(&self, bytes: &mut Vec<u8>, lane: LaneId, caller: Address) -> Result<Work, String> {
        if lane::far(bytes).map_err(|e| e.to_string())?.is_some() {
            let mut state = self.lock();
            self.unfar(&mut state, bytes)?;
            self.carry_out(&mut state);
        }
        if let Some((id, pickled)) = lane::function(bytes).map_err(|e| e.to_string())? {
            return Ok(Work::Function(id, pickled.to_vec()));
        }
        self.break_point(Place::Call);
        Ok(Work::Call(CallFrame { lane, caller, bytes: std::mem::take(bytes) }))
    }

    /// A call was taken whose arguments hold refs: they are lent until its answer. `places` of some of them are known.
    pub fn begin(&self, task: TaskId, refs: Vec<RefWire>, places: Vec<(ObjectId, ArenaLoc)>) {
        let mut state = self.lock();
        self.feed(&mut state, Event::CallTaken { task, refs });
        if !places.is_empty() {
            self.feed(&mut state, Event::Placed(places));
        }
    }

    /// A call of an actor that runs beside others began or ended here.
    pub fn runs_beside(&self, task: TaskId, runs: bool) {
        self.executor.cancels.set_beside(task, runs);
    }

    /// The code of such a call begins to run.
    pub fn begins_beside(&self, task: TaskId, name: &Arc<str>, began: Instant) {
        self.executor.cancels.begin_beside(task, Arc::clone(name), began);
    }

    /// Answers a call, unless the actor has ended (END-1). Replies with refs leave in the order in which the core heard
    /// of them (EXEC-3).
    pub fn finish(&self, answer: Answer) {
        // What it lacks goes to nobody.
        let given = answer.values.iter().filter(|_| !answer.lost);
        let refs: Vec<RefWire> = given.flat_map(|v| v.refs()).copied().collect();
        let (task, caller) = (answer.task, answer.caller);
        let stored = stored(task, 0, answer.values.iter().filter(|_| !answer.lost));
        let sent = if answer.lent || !refs.is_empty() {
            let mut state = self.lock();
            self.drain_drops(&mut state);
            self.feed(&mut state, Event::CallDone { task, caller, refs });
            state.kept.remove(&task).is_some_and(|kept| self.push_reply(answer, kept))
        } else {
            self.push_reply(answer, Vec::new())
        };
        if !sent {
            self.let_go(&mut self.lock(), stored);
        }
        self.executor.cancels.forget(&task);
    }

    /// False when the actor has ended before.
    fn push_reply(&self, answer: Answer, kept: Vec<RefWire>) -> bool {
        let Answer { task, attempt, lane, lost, retryable, name, began, micros, values, .. } = answer;
        let failed = matches!(&values[..], [Value::Error(_), ..]);
        let status = match (lost, retryable) {
            (true, _) => Status::Lost,
            (false, true) => Status::Retryable,
            (false, false) => Status::Done,
        };
        let mut frame = Vec::with_capacity(128);
        Reply { attempt, task, status, micros, kept, values }.encode(&mut frame);
        let mut table = self.executor.table.lock();
        if self.executor.is_over() {
            return false;
        }
        table.ran.push(Ran { task, name, began, micros, failed });
        self.push_locked(table, lane, frame);
        true
    }

    /// Pushes a frame to a caller. False when its lane is closed.
    pub(crate) fn push_frame(&self, lane: LaneId, frame: Vec<u8>) -> bool {
        self.push_locked(self.executor.table.lock(), lane, frame)
    }

    fn push_locked(&self, mut table: MutexGuard<'_, Table>, lane: LaneId, frame: Vec<u8>) -> bool {
        let Some(served) = table.lanes.get_mut(&lane) else { return false };
        let fits = served.backlog.is_empty() && fits(&served.lane.replies, &frame);
        if fits && served.lane.replies.push(&[&frame]).is_some() {
            served.ring();
            return true;
        }
        served.backlog.push_back(Waiting { task: None, frame });
        self.outstanding.fetch_add(1, SeqCst);
        table.flush(self, lane);
        drop(table);
        // While this thread runs the next call, the I/O thread hears that there is room again (PUSH-3).
        self.activity();
        true
    }

    /// Whether this task was cancelled by its owner.
    pub fn is_cancelled(&self, task: &TaskId) -> bool {
        self.executor.cancels.holds(task)
    }

    /// Whether any call here is cancelled and not answered yet.
    pub fn has_cancels(&self) -> bool {
        self.executor.cancels.any()
    }

    /// A cancelled call is interrupted now: what it submitted since the cancel came goes, too.
    pub fn interrupting(&self, task: TaskId) {
        if self.executor.cancels.take_children(&task) {
            let mut state = self.lock();
            self.feed(&mut state, Event::Interrupted(task));
        }
    }

    /// Sets what to do, on the I/O thread, to interrupt a cancelled call: at once, and again while it goes on.
    pub fn on_cancel(&self, f: OnCancel) {
        self.executor.cancels.set_interrupt(f);
    }

    /// The actor of this process is up, or its constructor raised.
    pub fn actor_started(&self, actor: ActorId, incarnation: u32, error: Option<ErrorValue>, kept: Vec<RefWire>) {
        shoal_crash::crash_point!(35, "actor.started");
        self.tell_node(&ToNode::ActorStarted { actor, incarnation, error, kept });
    }

    /// The refs of a constructor's arguments that this process keeps.
    pub fn constructed(&self, task: TaskId, creator: Address) -> Vec<RefWire> {
        let mut state = self.lock();
        self.drain_drops(&mut state);
        self.feed(&mut state, Event::CallDone { task, caller: creator, refs: Vec::new() });
        state.kept.remove(&task).unwrap_or_default()
    }
}
