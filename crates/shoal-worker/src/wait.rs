//! Waiting, by threads (`shoal-wait` says who of them sleeps on the bell) and by number.
use crate::runtime::{Notices, Runtime};
use crate::spin::{LIMIT, LIMIT_WITH_GIL, elsewhere, spin_while};
use crate::state::{State, Watcher};
use shoal_owner::Event;
use shoal_types::{ErrorValue, ObjectId, TaskId, Value};
use shoal_wait::{Bed, Host, Sleep, Waited, Waiter};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// The bounded second look after a signal that came between check and sleep (DESIGN §3).
const SECOND_LOOK: Duration = Duration::from_secs(1);

impl Runtime {
    /// Says that somebody waits for these, and returns a waiter for `needed` of them.
    pub fn want(&self, ids: &[ObjectId], needed: usize) -> Arc<Waiter> {
        self.watch_all(ids, needed, Watcher::Thread, false)
    }

    /// Says that somebody waits for all of these or the first error among them.
    pub fn want_all(&self, ids: &[ObjectId]) -> Arc<Waiter> {
        self.watch_all(ids, ids.len(), Watcher::Every, true)
    }

    fn watch_all(
        &self,
        ids: &[ObjectId],
        needed: usize,
        watcher: fn(Arc<Waiter>) -> Watcher,
        errors_end: bool,
    ) -> Arc<Waiter> {
        let mut state = self.state.lock();
        self.drain_drops(&mut state);
        let missing: Vec<ObjectId> = ids.iter().filter(|id| !state.owner.is_ready(id)).copied().collect();
        let there = ids.len() - missing.len();
        let waiter = Arc::new(Waiter::new(needed.saturating_sub(there)));
        let failed = || ids.iter().any(|id| state.owner.value(id).is_some_and(Value::is_error));
        if waiter.done() || state.dead.is_some() || (errors_end && there > 0 && failed()) {
            let _ = waiter.finish();
            return waiter;
        }
        for id in &missing {
            state.watchers.entry(*id).or_default().push(watcher(Arc::clone(&waiter)));
        }
        self.feed(&mut state, Event::Wanted(missing));
        waiter
    }

    /// The waiter's thread doesn't wait for these any more.
    pub fn unwant(&self, ids: &[ObjectId], waiter: &Arc<Waiter>) {
        self.state.lock().unwatch(ids, waiter);
    }

    /// Sleeps until the waiter is done or a signal: for the executor's own thread. Without the GIL.
    pub(crate) fn wait_for_work(&self, waiter: &Arc<Waiter>) -> Waited {
        self.sleep(waiter, LIMIT, None, None)
    }

    /// The same for a thread that waits for room for its replies.
    pub(crate) fn wait_for_room(&self, waiter: &Arc<Waiter>, until: Instant) {
        self.sleep(waiter, LIMIT, Some(until), None);
    }

    /// Sleeps until the waiter is done, the deadline, a signal, or a call after `since` [`Runtime::calls`]. Without the GIL.
    pub fn wait(&self, waiter: &Arc<Waiter>, deadline: Option<Instant>, since: u32) -> Waited {
        self.sleep(waiter, LIMIT, deadline, Some(since))
    }

    /// The same with the GIL (`Hold`).
    pub fn wait_with_gil(&self, waiter: &Arc<Waiter>, deadline: Instant, since: u32) -> Waited {
        self.sleep(waiter, LIMIT_WITH_GIL, Some(deadline), Some(since))
    }

    /// A thread submits nothing for a while (PUSH-4, PUSH-5).
    pub(crate) fn pause(&self) {
        self.burst.pause();
        self.pay_rings();
    }

    fn sleep(&self, waiter: &Arc<Waiter>, spin: Duration, deadline: Option<Instant>, since: Option<u32>) -> Waited {
        self.pause();
        self.leadership.wait(&Led { runtime: self, spin }, waiter, deadline, since)
    }

    /// How often all threads were called. To be read before looking whether there is anything for this thread (WAIT-3).
    pub fn calls(&self) -> u32 {
        self.leadership.calls()
    }

    /// Threads that sleep, in whatever wait, are to look whether they go on: an exception is set for one of them, or its
    /// call is cancelled (WAIT-3, ASK-2).
    pub fn call_all(&self) {
        self.call_askers();
        self.leadership.call_all();
        self.wake_leader();
    }

    /// Whether the I/O thread may sleep (LEAD-3).
    pub(crate) fn io_may_sleep(&self) -> bool {
        self.leadership.io_may_sleep(&Led { runtime: self, spin: Duration::ZERO })
    }

    /// Wakes the thread that sleeps on the bell, whoever it is.
    pub(crate) fn wake_leader(&self) {
        if self.bell.ring_self() == shoal_ring::Ring::NeedsDatagram {
            self.kick.kick();
        }
    }

    /// Tells who watches an object that it has a value, or that it is an error.
    pub(crate) fn tell(&self, state: &State, watcher: Watcher, failed: bool) {
        match watcher {
            Watcher::Every(waiter) if failed => {
                if waiter.finish() {
                    self.wake_leader();
                }
            }
            Watcher::Thread(waiter) | Watcher::Every(waiter) => {
                if waiter.count_down() {
                    self.wake_leader();
                }
            }
            Watcher::Ref(watch) => self.saw(state, &watch),
            Watcher::Token(token) => self.notice_ready(token),
        }
    }

    /// Tells the thread in [`Runtime::notices`] that what it has asked for is there.
    pub(crate) fn notice_ready(&self, token: u64) {
        self.notices.lock().ready.push(token);
        self.noticed.notify_all();
    }

    /// Something is going on: the I/O thread looks after it for a while (it drains releases, leads when nobody does).
    pub fn activity(&self) {
        if !self.active.swap(true, SeqCst) {
            self.kick.kick();
        }
    }

    /// Blocks until there is something to tell; everything is empty when the session has ended.
    pub fn notices(&self) -> Notices {
        self.listen_for_stacks();
        let mut printing = self.printing.lock();
        loop {
            let mut notices = self.await_notices(printing.due());
            let waiting = std::mem::take(&mut notices.waiting);
            (notices.logs, notices.left_out) = printing.take(self.now(), waiting, notices.closed);
            if notices.closed || !notices.is_empty() {
                return notices;
            }
        }
    }

    /// Whether there is something to tell.
    pub fn has_notices(&self) -> bool {
        let notices = self.notices.lock();
        !notices.is_empty() || !notices.waiting.is_empty()
    }

    /// Takes what is there, once there is something or `due` has come.
    fn await_notices(&self, due: Option<u64>) -> Notices {
        let due = due.map(|due| self.start + Duration::from_micros(due));
        let mut notices = self.notices.lock();
        while notices.is_empty() && notices.waiting.is_empty() && !notices.closed {
            match due {
                None => self.noticed.wait(&mut notices),
                Some(due) if self.noticed.wait_until(&mut notices, due).timed_out() => break,
                Some(_) => {}
            }
        }
        let closed = notices.closed;
        std::mem::replace(&mut *notices, Notices { closed, ..Notices::default() })
    }

    /// Tells the thread in [`Runtime::notices`] that a call is cancelled.
    pub fn notice_cancel(&self, task: TaskId) {
        self.notices.lock().cancels.push(task);
        self.noticed.notify_all();
    }

    /// Asks to be told by [`Runtime::notices`], with the number returned here, when the object is ready.
    pub fn watch(&self, id: ObjectId) -> Result<u64, ErrorValue> {
        let mut state = self.state.lock();
        if let Some(dead) = &state.dead {
            return Err(dead.clone());
        }
        let token = self.next_token();
        if state.owner.is_ready(&id) {
            drop(state);
            self.notice_ready(token);
            return Ok(token);
        }
        state.watchers.entry(id).or_default().push(Watcher::Token(token));
        self.feed(&mut state, Event::Wanted(vec![id]));
        drop(state);
        self.pause(); // its event loop sleeps elsewhere
        self.activity();
        Ok(token)
    }
}

/// The process as one of its threads leads it.
struct Led<'a> {
    runtime: &'a Runtime,
    /// How long it spins at most.
    spin: Duration,
}

impl Host for Led<'_> {
    fn read_lanes(&self) {
        self.runtime.poll_lanes();
        self.runtime.pay_rings();
    }

    fn in_no_hurry(&self, waiter: &Waiter) -> bool {
        let Runtime { executor, outstanding, .. } = self.runtime;
        executor.is_waiter(waiter) && executor.in_no_hurry() && outstanding.load(SeqCst) == 0
    }

    fn spin(&self, waiter: &Waiter) {
        let Runtime { bell, executor, .. } = self.runtime;
        let here = || bell.pending() || waiter.done();
        if executor.is_waiter(waiter) {
            executor.spin(here);
        } else if let Some(status) = executor.spin_hint() {
            spin_while(self.spin, || status.worker_busy() && elsewhere(status.worker_cpu()) && !here());
        }
    }

    fn prepare_sleep(&self, bed: Bed) -> bool {
        self.runtime.bell.prepare_sleep(kind(bed))
    }

    fn sleep(&self, bed: Bed, limit: Option<Duration>) -> Sleep {
        match self.runtime.bell.sleep_futex(kind(bed), limit) {
            shoal_ring::Wake::Woken => Sleep::Woken,
            shoal_ring::Wake::Timeout => Sleep::Timeout,
            shoal_ring::Wake::Interrupted => Sleep::Interrupted,
        }
    }

    fn ring(&self) {
        self.runtime.wake_leader();
    }

    fn take_ring(&self) -> bool {
        self.runtime.bell.take_ring()
    }

    fn awake(&self) {
        self.runtime.bell.awake();
    }

    /// An executor without work has no deadline and no signal to wait for.
    fn limit(&self, waiter: &Arc<Waiter>, deadline: Option<Instant>) -> Option<Duration> {
        let rest = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let is_executor = self.runtime.executor.is_waiter(waiter);
        if is_executor { rest } else { Some(rest.unwrap_or(SECOND_LOOK).min(SECOND_LOOK)) }
    }

    fn nobody_leads(&self) {
        if self.runtime.outstanding.load(SeqCst) > 0 {
            self.runtime.activity();
        }
    }
}

fn kind(bed: Bed) -> shoal_ring::Sleep {
    match bed {
        Bed::Futex => shoal_ring::Sleep::Futex,
        Bed::Io => shoal_ring::Sleep::Io,
        Bed::Patient => shoal_ring::Sleep::Patient,
    }
}
