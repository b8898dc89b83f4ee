//! A lane: the two rings between one caller and one worker, and what each tells the other about itself.
//!
//! One memory file, made by whoever arranges the lane (the daemon or the caller):
//! ```text
//!    0  magic u64 "shoalane"   8  version u32    12  zero
//!   16  lane id u64           24  caller slot   28  worker slot   (u32, in the bell of each)
//!   32  request capacity u32  36  reply capacity u32
//!  128  caller: cpu, goes on, starved u32   256  worker: cpu, busy, starved u32
//!  512  request ring's header          768  reply ring's header
//! 4096  request data, then reply data
//! ```
//! Byte order is the machine's. There is no end-of-file: a peer's death is told by the daemon.
//!
//! - LANE-1 bytes 0–39 are written once, before the descriptor leaves its creator; they are checked by whoever maps.
//! - LANE-2 a cpu word is the CPU last run on plus one, 0 unknown; busy is 1 while a request is in hand; goes on is 1 while
//!   the caller pushes request after request without waiting. All are hints for spinning and sleeping: a wrong one costs
//!   time, nothing else.
//! - LANE-3 starved is 1 while a side holds frames that its ring has no room for. It sets the word and tries the ring
//!   again; the other side tries to take a frame and then reads the word, and rings, also when it got none: it may have
//!   passed frames that were withdrawn. A fence on both sides, so one of them sees the other.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use crate::bell::SLOTS;
use crate::error::RingError;
use crate::map::Mapping;
use crate::ring::{Consumer, Mem, Producer, RING_HEADER};
use crate::starved;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// Bytes of data in each ring, unless said otherwise.
pub const DEFAULT_RING: u32 = 64 << 10;

const MAGIC: u64 = u64::from_le_bytes(*b"shoalane");
const VERSION: u32 = 1;
const AT_VERSION: usize = 8;
const AT_ID: usize = 16;
const AT_CALLER_SLOT: usize = 24;
const AT_WORKER_SLOT: usize = 28;
const AT_REQUEST_CAPACITY: usize = 32;
const AT_REPLY_CAPACITY: usize = 36;
const AT_CALLER: usize = 128;
const AT_WORKER: usize = 256;
const GOES_ON: usize = 4;
const BUSY: usize = 4;
const STARVED: usize = 8;
const AT_REQUESTS: usize = 512;
const AT_REPLIES: usize = AT_REQUESTS + RING_HEADER;
const PAGE: usize = 4096;

/// Makes lanes.
#[derive(Debug)]
pub struct Lane;

impl Lane {
    /// Makes a lane with rings of [`DEFAULT_RING`] bytes; the slots are indices in the two processes' bells.
    pub fn create(lane_id: u64, caller_slot: u32, worker_slot: u32) -> Result<OwnedFd, RingError> {
        Self::create_sized(lane_id, caller_slot, worker_slot, DEFAULT_RING, DEFAULT_RING)
    }

    /// Makes a lane with rings of the given sizes: powers of two from 4 KiB to 256 MiB.
    pub fn create_sized(
        lane_id: u64,
        caller_slot: u32,
        worker_slot: u32,
        requests: u32,
        replies: u32,
    ) -> Result<OwnedFd, RingError> {
        let len = PAGE + check_capacity(requests)? + check_capacity(replies)?;
        check_slot(caller_slot)?;
        check_slot(worker_slot)?;
        let fd = Mapping::create_file("shoal-lane", len)?;
        let map = Mapping::map(&fd, len)?;
        map.u32(AT_VERSION).store(VERSION, Relaxed);
        map.u64(AT_ID).store(lane_id, Relaxed);
        map.u32(AT_CALLER_SLOT).store(caller_slot, Relaxed);
        map.u32(AT_WORKER_SLOT).store(worker_slot, Relaxed);
        map.u32(AT_REQUEST_CAPACITY).store(requests, Relaxed);
        map.u32(AT_REPLY_CAPACITY).store(replies, Relaxed);
        map.u64(0).store(MAGIC, Release);
        Ok(fd)
    }
}

/// What is read once from a lane's head.
#[derive(Debug, Clone, Copy)]
struct Head {
    id: u64,
    caller_slot: u32,
    worker_slot: u32,
}

/// Maps and checks (LANE-1): the head, the memory of requests, that of replies, the status words.
fn open(fd: impl AsFd) -> Result<(Head, Mem, Mem, LaneStatus), RingError> {
    let map = Arc::new(Mapping::map(fd, PAGE)?);
    expect("magic", map.u64(0).load(Acquire), MAGIC)?;
    expect("version", u64::from(map.u32(AT_VERSION).load(Relaxed)), u64::from(VERSION))?;
    let head = Head {
        id: map.u64(AT_ID).load(Relaxed),
        caller_slot: check_slot(map.u32(AT_CALLER_SLOT).load(Relaxed))?,
        worker_slot: check_slot(map.u32(AT_WORKER_SLOT).load(Relaxed))?,
    };
    let requests = check_capacity(map.u32(AT_REQUEST_CAPACITY).load(Relaxed))?;
    let replies = check_capacity(map.u32(AT_REPLY_CAPACITY).load(Relaxed))?;
    expect("file size", map.len() as u64, (PAGE + requests + replies) as u64)?;
    let request_mem = Mem::new(map.clone(), AT_REQUESTS, PAGE, requests)?;
    let reply_mem = Mem::new(map.clone(), AT_REPLIES, PAGE + requests, replies)?;
    Ok((head, request_mem, reply_mem, LaneStatus(map)))
}

fn expect(what: &'static str, found: u64, expected: u64) -> Result<(), RingError> {
    if found == expected { Ok(()) } else { Err(RingError::Layout { what, found, expected }) }
}

fn check_slot(slot: u32) -> Result<u32, RingError> {
    if slot < SLOTS {
        return Ok(slot);
    }
    Err(RingError::Layout { what: "slot", found: u64::from(slot), expected: u64::from(SLOTS) })
}

fn check_capacity(capacity: u32) -> Result<usize, RingError> {
    if capacity.is_power_of_two() && (4 << 10..=256 << 20).contains(&capacity) {
        return Ok(capacity as usize);
    }
    let (found, expected) = (u64::from(capacity), u64::from(DEFAULT_RING));
    Err(RingError::Layout { what: "ring capacity", found, expected })
}

/// The caller's side of a lane.
#[derive(Debug)]
pub struct CallerLane {
    /// Requests to the worker.
    pub requests: Producer,
    /// Replies from it.
    pub replies: Consumer,
    status: LaneStatus,
    head: Head,
}

/// The worker's side of a lane.
#[derive(Debug)]
pub struct WorkerLane {
    /// Requests from the caller.
    pub requests: Consumer,
    /// Replies to it.
    pub replies: Producer,
    status: LaneStatus,
    head: Head,
}

impl CallerLane {
    /// Maps a lane that [`Lane::create`] made. The descriptor isn't needed afterwards.
    pub fn map(fd: impl AsFd) -> Result<Self, RingError> {
        let (head, requests, replies, status) = open(fd)?;
        Ok(CallerLane { requests: Producer::attach(requests)?, replies: Consumer::attach(replies)?, status, head })
    }
}

impl WorkerLane {
    /// Maps a lane that [`Lane::create`] made. The descriptor isn't needed afterwards.
    pub fn map(fd: impl AsFd) -> Result<Self, RingError> {
        let (head, requests, replies, status) = open(fd)?;
        Ok(WorkerLane { requests: Consumer::attach(requests)?, replies: Producer::attach(replies)?, status, head })
    }
}

macro_rules! head_accessors {
    ($lane:ty) => {
        impl $lane {
            /// The lane's id.
            pub fn id(&self) -> u64 {
                self.head.id
            }

            /// The lane's slot in the caller's bell: rung by the worker.
            pub fn caller_slot(&self) -> u32 {
                self.head.caller_slot
            }

            /// The lane's slot in the worker's bell: rung by the caller.
            pub fn worker_slot(&self) -> u32 {
                self.head.worker_slot
            }

            /// The status words, usable from any thread without the lane.
            pub fn status(&self) -> LaneStatus {
                self.status.clone()
            }
        }
    };
}
head_accessors!(CallerLane);
head_accessors!(WorkerLane);

/// What both sides tell about themselves (LANE-2). Cheap to clone, usable from any thread; keeps the lane mapped.
#[derive(Debug, Clone)]
pub struct LaneStatus(Arc<Mapping>);

impl LaneStatus {
    /// The CPU that the caller last ran on.
    pub fn caller_cpu(&self) -> Option<u32> {
        self.0.u32(AT_CALLER).load(Relaxed).checked_sub(1)
    }

    /// The CPU that the worker last ran on.
    pub fn worker_cpu(&self) -> Option<u32> {
        self.0.u32(AT_WORKER).load(Relaxed).checked_sub(1)
    }

    /// Whether the caller pushes request after request.
    pub fn caller_goes_on(&self) -> bool {
        self.0.u32(AT_CALLER + GOES_ON).load(Relaxed) != 0
    }

    /// Whether the worker has a request in hand.
    pub fn worker_busy(&self) -> bool {
        self.0.u32(AT_WORKER + BUSY).load(Relaxed) != 0
    }

    /// Asked by the worker after each attempt to take: whether the caller has requests that found no room (LANE-3).
    pub fn caller_starved(&self) -> bool {
        starved::is_starved(self.0.u32(AT_CALLER + STARVED))
    }

    /// Asked by the caller after each attempt to take: whether the worker has replies that found no room (LANE-3).
    pub fn worker_starved(&self) -> bool {
        starved::is_starved(self.0.u32(AT_WORKER + STARVED))
    }

    /// The caller pushes a request that waits for room. False: it is told when there is some.
    pub fn push_as_caller(&self, push: impl FnMut() -> bool) -> bool {
        starved::push_or_starve(self.0.u32(AT_CALLER + STARVED), push)
    }

    /// The worker pushes a reply that waits for room. False: it is told when there is some.
    pub fn push_as_worker(&self, push: impl FnMut() -> bool) -> bool {
        starved::push_or_starve(self.0.u32(AT_WORKER + STARVED), push)
    }

    /// No request of the caller's waits for room.
    pub fn caller_is_fed(&self) {
        starved::fed(self.0.u32(AT_CALLER + STARVED));
    }

    /// No reply of the worker's waits for room.
    pub fn worker_is_fed(&self) {
        starved::fed(self.0.u32(AT_WORKER + STARVED));
    }

    /// Says which CPU the caller runs on.
    pub fn set_caller_cpu(&self, cpu: u32) {
        self.0.u32(AT_CALLER).store(cpu.wrapping_add(1), Relaxed);
    }

    /// Says which CPU the worker runs on.
    pub fn set_worker_cpu(&self, cpu: u32) {
        self.0.u32(AT_WORKER).store(cpu.wrapping_add(1), Relaxed);
    }

    /// Says whether the caller pushes request after request.
    pub fn set_caller_goes_on(&self, goes_on: bool) {
        self.0.u32(AT_CALLER + GOES_ON).store(u32::from(goes_on), Relaxed);
    }

    /// Says whether the worker has a request in hand.
    pub fn set_worker_busy(&self, busy: bool) {
        self.0.u32(AT_WORKER + BUSY).store(u32::from(busy), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_see_what_the_creator_wrote() {
        let fd = Lane::create(77, 3, 4095).unwrap();
        let (caller, worker) = (CallerLane::map(&fd).unwrap(), WorkerLane::map(fd).unwrap());
        assert_eq!((caller.id(), caller.caller_slot(), caller.worker_slot()), (77, 3, 4095));
        assert_eq!((worker.id(), worker.caller_slot(), worker.worker_slot()), (77, 3, 4095));
        let (ours, theirs) = (caller.status(), worker.status());
        assert_eq!(ours.worker_cpu(), None);
        theirs.set_worker_cpu(0);
        theirs.set_worker_busy(true);
        assert_eq!((ours.worker_cpu(), ours.worker_busy(), ours.caller_goes_on()), (Some(0), true, false));
    }

    #[test]
    fn requests_and_replies_are_separate() {
        let fd = Lane::create(1, 0, 0).unwrap();
        let (mut caller, mut worker) = (CallerLane::map(&fd).unwrap(), WorkerLane::map(&fd).unwrap());
        let mut out = Vec::new();
        caller.requests.push(&[b"q"]).unwrap();
        worker.replies.push(&[b"r"]).unwrap();
        assert!(worker.requests.take(&mut out).unwrap().is_some() && out == b"q");
        assert!(caller.replies.take(&mut out).unwrap().is_some() && out == b"r");
    }

    #[test]
    fn a_bad_slot_or_size_is_refused() {
        assert!(matches!(Lane::create(1, SLOTS, 0), Err(RingError::Layout { what: "slot", .. })));
        let odd = Lane::create_sized(1, 0, 0, 5000, DEFAULT_RING);
        assert!(matches!(odd, Err(RingError::Layout { what: "ring capacity", .. })));
    }

    #[test]
    fn a_damaged_head_is_refused() {
        let damage = |at: usize, value: u32| {
            let fd = Lane::create(1, 0, 0).unwrap();
            Mapping::map(&fd, PAGE).unwrap().u32(at).store(value, Relaxed);
            WorkerLane::map(&fd).unwrap_err()
        };
        assert!(matches!(damage(0, 0), RingError::Layout { what: "magic", .. }));
        assert!(matches!(damage(AT_VERSION, 2), RingError::Layout { what: "version", found: 2, expected: 1 }));
        assert!(matches!(damage(AT_WORKER_SLOT, u32::MAX), RingError::Layout { what: "slot", .. }));
        assert!(matches!(damage(AT_REPLY_CAPACITY, 128 << 10), RingError::Layout { what: "file size", .. }));
        assert!(matches!(damage(AT_REQUESTS, 8), RingError::Corrupt { what: "head", .. }));
    }
}
