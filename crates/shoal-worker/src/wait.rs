//! Waiting: one leader sleeps on the bell and reads the lanes, followers sleep on words of their own (DESIGN §4.7).
//!
//! - LEAD-1 `leader` changes to `USER` by whoever waits, back to `NOBODY` by that same thread on every way out.
//! - LEAD-2 who fails to lead puts itself among the followers and looks again; who stops leading calls one follower.
//! - LEAD-3 the I/O thread prepares its sleep on the bell under `lead`, only while `leader` is `IO`; a user's thread
//!   takes over under `lead` too. So the sleeper word is always that of the leader.
use crate::runtime::{IO, NOBODY, Notices, Runtime, USER};
use crate::state::Watcher;
use crate::waiter::{Unparked, Waiter};
use shoal_owner::Event;
use shoal_ring::{Sleep, Wake};
use shoal_types::{ErrorValue, ObjectId, TaskId};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// How a wait ended.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Waited {
    /// Enough objects have values.
    Done,
    /// The time is over.
    Timeout,
    /// A signal came: look whether to raise, then wait on.
    Interrupted,
}

/// The bounded second look after a signal that came between check and sleep (DESIGN §3).
const SECOND_LOOK: Duration = Duration::from_secs(1);
/// How long a waiter spins for a peer that works on another CPU (DESIGN §4.8).
const SPIN: Duration = Duration::from_micros(50);

impl Runtime {
    /// Says that somebody waits for these, and returns a waiter for `needed` of them.
    pub fn want(&self, ids: &[ObjectId], needed: usize) -> Arc<Waiter> {
        let mut state = self.state.lock();
        self.drain_drops(&mut state);
        let missing: Vec<ObjectId> = ids.iter().filter(|id| !state.owner.is_ready(id)).copied().collect();
        let there = ids.len() - missing.len();
        let waiter = Arc::new(Waiter::new(needed.saturating_sub(there)));
        if waiter.done() || state.dead.is_some() {
            waiter.finish();
            return waiter;
        }
        for id in &missing {
            state.watchers.entry(*id).or_default().push(Watcher::Thread(Arc::clone(&waiter)));
        }
        self.feed(&mut state, Event::Wanted(missing));
        waiter
    }

    /// The waiter's thread doesn't wait for these any more.
    pub fn unwant(&self, ids: &[ObjectId], waiter: &Arc<Waiter>) {
        self.state.lock().unwatch(ids, waiter);
    }

    /// Sleeps until the waiter is done, the deadline or a signal. Without the GIL.
    pub fn wait(&self, waiter: &Arc<Waiter>, deadline: Option<Instant>) -> Waited {
        loop {
            if waiter.done() {
                return Waited::Done;
            }
            if self.take_lead() {
                let end = self.lead(waiter, deadline);
                self.leave_lead(waiter);
                match end {
                    Some(end) => return end,
                    None => continue,
                }
            }
            self.followers.lock().push(Arc::clone(waiter));
            if self.leader.load(SeqCst) != USER {
                self.unfollow(waiter);
                continue;
            }
            let end = waiter.park(self.limit(waiter, deadline));
            self.unfollow(waiter);
            match end {
                Unparked::Look => {}
                Unparked::Interrupted => return Waited::Interrupted,
                Unparked::Timeout if passed(deadline) => {
                    return if waiter.done() { Waited::Done } else { Waited::Timeout };
                }
                Unparked::Timeout => return Waited::Interrupted,
            }
        }
    }

    fn take_lead(&self) -> bool {
        let _turn = self.lead.lock();
        if self.leader.load(SeqCst) == USER {
            return false;
        }
        self.leader.store(USER, SeqCst);
        self.bell.awake();
        true
    }

    fn lead(&self, waiter: &Arc<Waiter>, deadline: Option<Instant>) -> Option<Waited> {
        waiter.leading.store(true, SeqCst);
        let end = loop {
            self.poll_lanes();
            if waiter.done() {
                break Some(Waited::Done);
            }
            if passed(deadline) {
                break Some(Waited::Timeout);
            }
            self.spin(waiter);
            if waiter.done() || !self.bell.prepare_sleep(Sleep::Futex) {
                continue;
            }
            if waiter.done() {
                self.bell.awake();
                continue;
            }
            let wake = self.bell.sleep_futex(self.limit(waiter, deadline));
            self.bell.awake();
            if wake == Wake::Interrupted || (wake == Wake::Timeout && !passed(deadline)) {
                break Some(if waiter.done() { Waited::Done } else { Waited::Interrupted });
            }
        };
        waiter.leading.store(false, SeqCst);
        end
    }

    fn leave_lead(&self, me: &Arc<Waiter>) {
        self.leader.store(NOBODY, SeqCst);
        let next = self.followers.lock().iter().find(|w| !Arc::ptr_eq(w, me)).cloned();
        if let Some(next) = next {
            next.call_to_lead();
        } else if self.outstanding() {
            self.activity();
        }
    }

    fn unfollow(&self, me: &Arc<Waiter>) {
        self.followers.lock().retain(|w| !Arc::ptr_eq(w, me));
    }

    /// How long this sleep may last. An executor without work has no deadline and no signal to wait for.
    fn limit(&self, waiter: &Arc<Waiter>, deadline: Option<Instant>) -> Option<Duration> {
        let rest = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        if self.executor.is_waiter(waiter) { rest } else { Some(rest.unwrap_or(SECOND_LOOK).min(SECOND_LOOK)) }
    }

    /// Spins while the executor that was called last works on another CPU.
    fn spin(&self, waiter: &Waiter) {
        let Some(status) = self.executor.spin_hint() else { return };
        let other = |cpu: Option<u32>| cpu.is_some_and(|cpu| cpu as usize != rustix::thread::sched_getcpu());
        let end = Instant::now() + SPIN;
        while status.worker_busy() && other(status.worker_cpu()) && !self.bell.pending() && !waiter.done() {
            if Instant::now() > end {
                return;
            }
            for _ in 0..32 {
                std::hint::spin_loop();
            }
        }
    }

    /// Wakes the thread that sleeps on the bell, whoever it is.
    pub(crate) fn wake_leader(&self) {
        if self.bell.ring_self() == shoal_ring::Ring::NeedsDatagram {
            self.kick.kick();
        }
    }

    /// Tells who watches an object that it has a value.
    pub(crate) fn tell(&self, watcher: Watcher) {
        match watcher {
            Watcher::Thread(waiter) => {
                if waiter.count_down() && waiter.leading.load(SeqCst) {
                    self.wake_leader();
                }
            }
            Watcher::Token(token) => {
                self.notices.lock().ready.push(token);
                self.noticed.notify_all();
            }
        }
    }

    /// Something is going on: the I/O thread looks after it for a while (it drains releases, leads when nobody does).
    pub fn activity(&self) {
        if !self.active.swap(true, SeqCst) {
            self.kick.kick();
        }
    }

    /// Whether a peer's bell has something to bring: replies, or room for ours.
    pub(crate) fn outstanding(&self) -> bool {
        self.in_lanes.load(SeqCst) > 0 || self.executor.has_backlog()
    }

    /// Whether the I/O thread may lead now: it prepares its sleep if so.
    pub(crate) fn io_may_sleep(&self) -> bool {
        let _turn = self.lead.lock();
        self.leader.load(SeqCst) != IO || self.bell.prepare_sleep(Sleep::Io)
    }

    /// The I/O thread leads if nobody else does.
    pub(crate) fn io_lead(&self, lead: bool) {
        let _turn = self.lead.lock();
        let (from, to) = if lead { (NOBODY, IO) } else { (IO, NOBODY) };
        let _ = self.leader.compare_exchange(from, to, SeqCst, SeqCst);
    }

    /// Blocks until there is something to tell; everything is empty when the session has ended.
    pub fn notices(&self) -> Notices {
        let mut notices = self.notices.lock();
        while notices.ready.is_empty() && notices.logs.is_empty() && notices.cancels.is_empty() && !notices.closed {
            self.noticed.wait(&mut notices);
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
            self.tell(Watcher::Token(token));
            return Ok(token);
        }
        state.watchers.entry(id).or_default().push(Watcher::Token(token));
        self.feed(&mut state, Event::Wanted(vec![id]));
        drop(state);
        self.activity();
        Ok(token)
    }
}

fn passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|d| Instant::now() >= d)
}
