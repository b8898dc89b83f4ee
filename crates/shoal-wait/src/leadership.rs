//! Who sleeps on the bell, and who is next.
use crate::host::{Bed, Host, Sleep};
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::{AtomicBool, AtomicU32, Mutex, lock};
use crate::waiter::{Unparked, Waiter};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// PATIENCE-1: who waits for so many is in no hurry.
const MANY: usize = 16;
/// PATIENCE-2.
const PATIENCE: Duration = Duration::from_micros(500);

/// How a wait ended.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Waited {
    /// Enough objects have values.
    Done,
    /// The time is over.
    Timeout,
    /// A signal came, or a call to all: look whether to raise, then wait on.
    Interrupted,
}

/// Who reads the lanes and sleeps on the bell.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
#[repr(u32)]
pub enum Leader {
    /// What rings sets its bit, and wakes no one.
    Nobody = 0,
    /// A thread in [`Leadership::wait`].
    User = 1,
    /// The I/O thread.
    Io = 2,
}

/// The leader of one process, and its followers.
#[derive(Debug)]
pub struct Leadership {
    leader: AtomicU32,
    turn: Mutex<()>,
    followers: Mutex<Vec<Arc<Waiter>>>,
    /// How often all were called (WAIT-3).
    calls: AtomicU32,
    /// The leader sleeps in no hurry, or is about to.
    patient: AtomicBool,
}

impl Default for Leadership {
    fn default() -> Self {
        Self::new()
    }
}

impl Leadership {
    /// Nobody leads.
    pub fn new() -> Self {
        Self {
            leader: AtomicU32::new(Leader::Nobody as u32),
            turn: Mutex::new(()),
            followers: Mutex::new(Vec::new()),
            calls: AtomicU32::new(0),
            patient: AtomicBool::new(false),
        }
    }

    /// Who leads now.
    pub fn leader(&self) -> Leader {
        match self.leader.load(Acquire) {
            0 => Leader::Nobody,
            1 => Leader::User,
            _ => Leader::Io,
        }
    }

    /// How often all were called so far, for [`Leadership::wait`].
    pub fn calls(&self) -> u32 {
        self.calls.load(Acquire)
    }

    /// Has every thread that waits since before look around (WAIT-3). The bell is to be rung after this: who leads sleeps
    /// there.
    pub fn call_all(&self) {
        self.calls.fetch_add(1, AcqRel);
        lock(&self.followers).iter().for_each(|follower| follower.call());
    }

    /// Sleeps until the waiter is done, the deadline, a signal, or a call to all after `since` [`Leadership::calls`]; `None`
    /// is for a thread that no call concerns.
    pub fn wait(
        &self,
        host: &impl Host,
        waiter: &Arc<Waiter>,
        deadline: Option<Instant>,
        since: Option<u32>,
    ) -> Waited {
        if waiter.done() {
            return Waited::Done;
        }
        loop {
            if self.take_lead(host) {
                let end = self.lead(host, waiter, deadline, since);
                self.leader.store(Leader::Nobody as u32, Release);
                self.call_next(host);
                return end;
            }
            if let Some(end) = self.follow(host, waiter, deadline, since) {
                if self.leader() == Leader::Nobody {
                    self.call_next(host);
                }
                return end;
            }
        }
    }

    fn take_lead(&self, host: &impl Host) -> bool {
        let _turn = lock(&self.turn);
        if self.leader() == Leader::User {
            return false;
        }
        self.leader.store(Leader::User as u32, Release);
        host.awake();
        true
    }

    fn lead(&self, host: &impl Host, waiter: &Arc<Waiter>, deadline: Option<Instant>, since: Option<u32>) -> Waited {
        waiter.set_leading(true);
        let mut in_vain = false;
        let end = loop {
            host.read_lanes();
            if waiter.done() {
                break Waited::Done;
            }
            if self.called(since) {
                break Waited::Interrupted;
            }
            if passed(deadline) {
                break Waited::Timeout;
            }
            host.spin(waiter);
            let bed = if !in_vain && self.may_be_patient(host, waiter) { Bed::Patient } else { Bed::Futex };
            if waiter.done() || !host.prepare_sleep(bed) {
                continue;
            }
            // Whoever ends the wait from here on rings the bell.
            let mut limit = host.limit(waiter, deadline);
            if bed == Bed::Patient {
                limit = Some(limit.map_or(PATIENCE, |limit| limit.min(PATIENCE)));
            }
            let slept = host.sleep(bed, limit);
            host.awake();
            in_vain = bed == Bed::Patient && slept == Sleep::Timeout;
            if slept == Sleep::Interrupted || (slept == Sleep::Timeout && !in_vain && !passed(deadline)) {
                break if waiter.done() { Waited::Done } else { Waited::Interrupted };
            }
        };
        self.patient.store(false, Relaxed);
        waiter.set_leading(false);
        end
    }

    /// PATIENCE-1. Says so first: a follower that comes later sees it, one that came earlier is seen here.
    fn may_be_patient(&self, host: &impl Host, waiter: &Waiter) -> bool {
        let patient = waiter.missing() >= MANY || host.in_no_hurry(waiter);
        self.patient.store(patient, Relaxed);
        patient && lock(&self.followers).iter().all(|other| other.missing() >= MANY)
    }

    /// Sleeps as a follower. `None`: it is to try and lead.
    fn follow(
        &self,
        host: &impl Host,
        waiter: &Arc<Waiter>,
        deadline: Option<Instant>,
        since: Option<u32>,
    ) -> Option<Waited> {
        lock(&self.followers).push(Arc::clone(waiter));
        if waiter.missing() < MANY && self.patient.load(Relaxed) {
            host.ring();
        }
        let parks = self.leader() == Leader::User && !self.called(since);
        let parked = parks.then(|| waiter.park(host.limit(waiter, deadline)));
        lock(&self.followers).retain(|other| !Arc::ptr_eq(other, waiter));
        if waiter.done() {
            return Some(Waited::Done);
        }
        if self.called(since) {
            return Some(Waited::Interrupted);
        }
        match parked {
            None | Some(Unparked::Look) => None,
            Some(Unparked::Timeout) if passed(deadline) => Some(Waited::Timeout),
            Some(Unparked::Timeout | Unparked::Interrupted) => Some(Waited::Interrupted),
        }
    }

    /// Whether all were called after that.
    fn called(&self, since: Option<u32>) -> bool {
        since.is_some_and(|since| self.calls() != since)
    }

    /// Nobody leads: some follower is to (LEAD-2).
    fn call_next(&self, host: &impl Host) {
        let next = lock(&self.followers).first().cloned();
        match next {
            Some(next) => next.call(),
            None => host.nobody_leads(),
        }
    }

    /// The I/O thread may sleep: where it leads, it has prepared that on the bell (LEAD-3), and nobody inside has rung
    /// (LEAD-4).
    pub fn io_may_sleep(&self, host: &impl Host) -> bool {
        let _turn = lock(&self.turn);
        self.leader() != Leader::Io || (!host.take_ring() && host.prepare_sleep(Bed::Io))
    }

    /// The I/O thread leads if nobody else does, or doesn't any more.
    pub fn io_lead(&self, lead: bool) {
        let _turn = lock(&self.turn);
        let (from, to) = if lead { (Leader::Nobody, Leader::Io) } else { (Leader::Io, Leader::Nobody) };
        let _ = self.leader.compare_exchange(from as u32, to as u32, AcqRel, Relaxed);
    }
}

fn passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|d| Instant::now() >= d)
}
