//! The two ends of lanes, with what doesn't fit into their rings.
//!
//! - PUSH-1 frames of one direction leave in the order of pushing: once one waits in the backlog, all after it do.
//! - PUSH-2 who has a backlog sets its starved word and looks at the ring again; who tries to take a frame looks at the
//!   other's starved word afterwards and rings its bell (LANE-3).
//! - PUSH-3 what waits in a backlog is counted as outstanding, so that somebody hears that ring: the I/O thread while
//!   the others are busy.
use rustc_hash::{FxHashMap, FxHashSet};
use shoal_net::WakeSocket;
use shoal_ring::{CallerLane, PeerBell, Position, Producer, Ring};
use shoal_types::{Address, FunctionId, TaskId};
use std::collections::VecDeque;
use std::sync::Arc;

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
        self.wake(self.bell.ring(self.slot));
    }

    /// The same to a peer that is to be left asleep while it is patient. True when it was: then it is to be rung once
    /// more before this process sleeps (BELL-7).
    pub(crate) fn ring_patiently(&self) -> bool {
        let rung = self.bell.ring_patiently(self.slot);
        self.wake(rung);
        rung == Ring::LeftAsleep
    }

    fn wake(&self, rung: Ring) {
        if rung == Ring::NeedsDatagram {
            // A peer that is gone needs no waking: the daemon tells of its end.
            let _ = self.waker.wake(&self.wake);
        }
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
