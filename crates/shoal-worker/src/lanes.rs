//! The two ends of lanes, with what doesn't fit into their rings.
//!
//! - PUSH-1 frames of one direction leave in the order of pushing: once one waits in the backlog, all after it do.
//! - PUSH-2 who has a backlog sets its starved word and looks at the ring again; who tries to take a frame looks at the
//!   other's starved word afterwards and rings its bell (LANE-3).
//! - PUSH-3 what waits in a backlog is counted as outstanding, so that somebody hears that ring: the I/O thread while
//!   the others are busy.
//! - PUSH-4 a worker in no hurry is left asleep by up to [`ENOUGH`] requests (BELL-7). **What is owed is paid before a thread
//!   of this process sleeps** ([`Runtime::pay_rings`](crate::runtime::Runtime::pay_rings)). For one that goes on without
//!   sleeping the worker waits no longer than its patience lasts.
//! - PUSH-5 a process goes on from its [`FEW`]th push since a thread of it slept last, and after that while each time there
//!   were so many. One that calls and waits does not: its worker is to run at once.
use rustc_hash::{FxHashMap, FxHashSet};
use shoal_net::WakeSocket;
use shoal_ring::{CallerLane, PeerBell, Position, Producer, Ring};
use shoal_types::{Address, FunctionId, TaskId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// PUSH-4.
const ENOUGH: u32 = 48;
/// PUSH-5.
const FEW: u32 = 4;

/// Whether this process pushes request after request (PUSH-5).
#[derive(Default)]
pub(crate) struct Burst {
    pushed: AtomicU32,
    lasts: AtomicBool,
}

impl Burst {
    /// One more; whether it goes on.
    pub(crate) fn push(&self) -> bool {
        self.pushed.fetch_add(1, Relaxed) + 1 >= FEW || self.lasts.load(Relaxed)
    }

    /// A thread is about to sleep.
    pub(crate) fn pause(&self) {
        let pushed = self.pushed.swap(0, Relaxed);
        self.lasts.store(pushed >= FEW, Relaxed);
    }
}

/// A frame that waits for space.
pub(crate) struct Waiting {
    pub(crate) task: Option<TaskId>,
    pub(crate) frame: Vec<u8>,
}

/// The other process: how to wake it.
pub(crate) struct Peer {
    pub(crate) address: Address,
    pub(crate) bell: PeerBell,
    pub(crate) wake: [u8; 16],
    /// This process's own wake-up socket, to send from.
    pub(crate) waker: Arc<WakeSocket>,
    pub(crate) slot: u32,
}

impl Peer {
    /// Says that this lane has something.
    pub(crate) fn ring(&self) {
        let _ = self.rung(false);
    }

    /// The same; a peer that is patient is left asleep if it is to be: then it is to be rung once more before this
    /// process sleeps (BELL-7).
    pub(crate) fn rung(&self, leave_asleep: bool) -> Ring {
        let rung = if leave_asleep { self.bell.ring_patiently(self.slot) } else { self.bell.ring(self.slot) };
        if rung == Ring::NeedsDatagram {
            // A peer that is gone needs no waking: the daemon tells of its end.
            let _ = self.waker.wake(&self.wake);
        }
        rung
    }
}

/// This process calls.
pub(crate) struct CallerEnd {
    pub(crate) lane: CallerLane,
    pub(crate) peer: Peer,
    pub(crate) my_slot: u32,
    pub(crate) sent: FxHashMap<TaskId, Position>,
    pub(crate) functions: FxHashSet<FunctionId>,
    pub(crate) backlog: VecDeque<Waiting>,
    /// By how many requests the worker was left asleep.
    pub(crate) unheard: u32,
}

/// What became of a frame.
#[derive(PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It is in the ring.
    Sent,
    /// It waits in the backlog.
    Waits,
}

impl CallerEnd {
    /// Pushes a request, or keeps it until there is room.
    pub(crate) fn push(&mut self, task: Option<TaskId>, frame: &[u8]) -> Pushed {
        if self.backlog.is_empty() && self.try_push(task, frame) {
            return Pushed::Sent;
        }
        self.backlog.push_back(Waiting { task, frame: frame.to_vec() });
        Pushed::Waits
    }

    /// Says that there is a request. True when from now on the worker is owed a ring (PUSH-4).
    pub(crate) fn ring(&mut self) -> bool {
        let left = self.peer.rung(self.unheard < ENOUGH) == Ring::LeftAsleep;
        self.unheard = if left { self.unheard + 1 } else { 0 };
        self.unheard == 1
    }

    /// Rings if that is owed.
    pub(crate) fn pay_ring(&mut self) {
        if std::mem::take(&mut self.unheard) > 0 {
            self.peer.ring();
        }
    }

    fn try_push(&mut self, task: Option<TaskId>, frame: &[u8]) -> bool {
        if !fits(&self.lane.requests, frame) {
            return false;
        }
        let Some(position) = self.lane.requests.push(&[frame]) else { return false };
        if let Some(task) = task {
            self.sent.insert(task, position);
        }
        true
    }

    /// Sends what waits as far as it goes. True when the front is too large for the ring and has to go through the
    /// arena.
    pub(crate) fn flush(&mut self) -> bool {
        let (status, mut sent) = (self.lane.status(), false);
        let far = loop {
            let Some(front) = self.backlog.pop_front() else {
                status.caller_is_fed();
                break false;
            };
            let far = !fits(&self.lane.requests, &front.frame);
            if far || !status.push_as_caller(|| self.try_push(front.task, &front.frame)) {
                self.backlog.push_front(front);
                break far;
            }
            sent = true;
        };
        if sent {
            self.peer.ring();
        }
        far
    }
}

/// Whether a frame may go into this ring at all.
pub(crate) fn fits(ring: &Producer, frame: &[u8]) -> bool {
    frame.len() as u64 <= ring.max_frame()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_begins_with_the_fourth_push_and_lasts_while_each_has_as_many() {
        let burst = Burst::default();
        assert_eq!([(); 5].map(|()| burst.push()), [false, false, false, true, true]);
        burst.pause();
        assert_eq!([(); 2].map(|()| burst.push()), [true, true]);
        burst.pause();
        for _ in 0..3 {
            assert!(!burst.push());
            burst.pause();
        }
    }
}
