//! The end of a ring that takes.

use super::Mem;
use super::frame::{Claim, FRAME_HEADER, Position, check_positions, claim_word, max_frame, span, used};
use crate::error::RingError;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use shoal_crash::crash_point;

/// The reading end. `Send`, not `Sync`.
#[derive(Debug)]
pub struct Consumer {
    mem: Mem,
    tail: u64,
    /// The head as last seen and checked: a lower bound.
    head: u64,
}

/// A frame that is now the consumer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Where it stood; grows from frame to frame.
    pub position: Position,
    /// Bytes of payload.
    pub len: usize,
}

/// A frame's checked extent.
struct Frame {
    position: u64,
    len: u32,
    end: u64,
}

impl Consumer {
    /// Becomes the consumer of the ring in `mem`; there must be no other.
    pub fn attach(mem: Mem) -> Result<Self, RingError> {
        let (head, tail) = (mem.head().load(Acquire), mem.tail().load(Acquire));
        check_positions(head, tail, mem.capacity())?;
        Ok(Consumer { mem, tail, head })
    }

    /// Claims the next frame that wasn't withdrawn and copies its payload to `out`, which is cleared first.
    /// After an error every further call returns it again.
    pub fn take(&mut self, out: &mut Vec<u8>) -> Result<Option<Taken>, RingError> {
        out.clear();
        while let Some(frame) = self.front()? {
            let claimed = self.claim(&frame)?;
            crash_point!(4, "ring.take.taken");
            if claimed {
                self.mem.read(frame.position + FRAME_HEADER, frame.len as usize, out);
            }
            self.tail = frame.end;
            self.mem.tail().store(self.tail, Release);
            crash_point!(5, "ring.take.passed");
            if claimed {
                return Ok(Some(Taken { position: Position(frame.position), len: out.len() }));
            }
        }
        Ok(None)
    }

    /// Whether [`take`](Self::take) would give a frame or an error now.
    pub fn peek_pending(&self) -> bool {
        let head = self.mem.head().load(Acquire);
        let mut at = self.tail;
        while at != head {
            let withdrawn = claim_word(at, Claim::Withdrawn);
            let Ok(frame) = self.frame_at(at, head) else {
                return true;
            };
            if self.mem.claim_word(at).load(Acquire) != withdrawn {
                return true;
            }
            at = frame.end;
        }
        false
    }

    /// Bytes that the producer has pushed and this end has not passed. Frames that were withdrawn are among them.
    pub fn waiting_bytes(&self) -> u64 {
        used(self.mem.head().load(Acquire), self.tail, self.mem.capacity()).unwrap_or(0)
    }

    /// The frame at the tail, if the producer has published one.
    fn front(&mut self) -> Result<Option<Frame>, RingError> {
        if self.tail == self.head {
            let head = self.mem.head().load(Acquire);
            used(head, self.tail, self.mem.capacity())?;
            self.head = head;
        }
        if self.tail == self.head { Ok(None) } else { self.frame_at(self.tail, self.head).map(Some) }
    }

    /// Reads and checks the extent of the frame at `position`, which must end at or before `head`.
    fn frame_at(&self, position: u64, head: u64) -> Result<Frame, RingError> {
        let left = used(head, position, self.mem.capacity())?;
        let len = self.mem.len_word(position).load(Relaxed);
        if u64::from(len) > max_frame(self.mem.capacity()) || span(u64::from(len)) > left {
            return Err(RingError::Corrupt { what: "len", position, value: u64::from(len) });
        }
        Ok(Frame { position, len, end: position + span(u64::from(len)) })
    }

    /// QUEUED → TAKEN: true; WITHDRAWN: false; anything else no producer of ours writes (CLAIM-1).
    fn claim(&self, frame: &Frame) -> Result<bool, RingError> {
        let queued = claim_word(frame.position, Claim::Queued);
        let taken = claim_word(frame.position, Claim::Taken);
        let state = match self.mem.claim_word(frame.position).compare_exchange(queued, taken, AcqRel, Acquire) {
            Ok(_) => return Ok(true),
            Err(state) => state,
        };
        if state == claim_word(frame.position, Claim::Withdrawn) {
            return Ok(false);
        }
        Err(RingError::Corrupt { what: "claim word", position: frame.position, value: u64::from(state) })
    }
}
