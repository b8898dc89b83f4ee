//! The end of a ring that pushes and withdraws.

use super::Mem;
use super::frame::{Claim, FRAME_HEADER, Position, check_positions, claim_word, max_frame, span, used};
use crate::error::RingError;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use shoal_crash::crash_point;

/// The writing end. `Send`, not `Sync`.
#[derive(Debug)]
pub struct Producer {
    mem: Mem,
    head: u64,
    /// The tail as last seen: a lower bound, so that most pushes don't touch the consumer's cache line.
    tail: u64,
}

/// How an attempt to withdraw ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// The frame is the producer's again; the consumer will never see it.
    Withdrawn,
    /// The consumer has it, or had it (or it was withdrawn before).
    Taken,
}

impl Producer {
    /// Becomes the producer of the ring in `mem`; there must be no other.
    pub fn attach(mem: Mem) -> Result<Self, RingError> {
        let (head, tail) = (mem.head().load(Acquire), mem.tail().load(Acquire));
        check_positions(head, tail, mem.capacity())?;
        Ok(Producer { mem, head, tail })
    }

    /// Queues one frame made of `parts`. `None` when it doesn't fit now, or is larger than
    /// [`max_frame`](Self::max_frame) and never will.
    pub fn push(&mut self, parts: &[&[u8]]) -> Option<Position> {
        let len = parts.iter().map(|part| part.len() as u64).sum();
        if len > self.max_frame() || !self.has_room(span(len)) {
            return None;
        }
        let position = self.head;
        let mut to = position + FRAME_HEADER;
        for part in parts {
            self.mem.write(to, part);
            to += part.len() as u64;
        }
        crash_point!(1, "ring.push.written");
        // `max_frame` keeps the length far below 4 GiB.
        self.mem.len_word(position).store(len as u32, Relaxed);
        self.mem.claim_word(position).store(claim_word(position, Claim::Queued), Relaxed);
        crash_point!(2, "ring.push.queued");
        self.head += span(len);
        self.mem.head().store(self.head, Release);
        crash_point!(3, "ring.push.published");
        Some(Position(position))
    }

    /// Takes a queued frame back, if the consumer hasn't claimed it. Of all calls for a position at most one
    /// returns [`Withdrawal::Withdrawn`].
    pub fn withdraw(&self, position: Position) -> Withdrawal {
        if !self.stands(position) {
            return Withdrawal::Taken;
        }
        let queued = claim_word(position.0, Claim::Queued);
        let withdrawn = claim_word(position.0, Claim::Withdrawn);
        match self.mem.claim_word(position.0).compare_exchange(queued, withdrawn, AcqRel, Acquire) {
            Ok(_) => {
                crash_point!(6, "ring.withdraw");
                Withdrawal::Withdrawn
            }
            Err(_) => Withdrawal::Taken,
        }
    }

    /// Whether the consumer took the frame: asked after the consumer's death, for frames that weren't withdrawn.
    pub fn is_taken(&self, position: Position) -> bool {
        !self.stands(position) || self.mem.claim_word(position.0).load(Acquire) == claim_word(position.0, Claim::Taken)
    }

    /// Bytes that are free now; a frame takes its payload rounded up to 16, and 16 more.
    pub fn free_bytes(&self) -> usize {
        (self.mem.capacity() - self.unread_bytes()) as usize
    }

    /// Bytes that the consumer has not passed.
    pub fn unread_bytes(&self) -> u64 {
        used(self.head, self.mem.tail().load(Acquire), self.mem.capacity()).unwrap_or(self.mem.capacity())
    }

    /// The largest payload that fits at all: a quarter of the ring, less the header.
    pub fn max_frame(&self) -> u64 {
        max_frame(self.mem.capacity())
    }

    /// Whether the consumer has passed everything that was pushed.
    pub fn is_empty(&self) -> bool {
        self.mem.tail().load(Acquire) == self.head
    }

    /// Whether `span` more bytes fit (RING-4). A nonsensical tail counts as a full ring (RING-2).
    fn has_room(&mut self, span: u64) -> bool {
        let capacity = self.mem.capacity();
        if self.head + span <= self.tail + capacity {
            return true;
        }
        let tail = self.mem.tail().load(Acquire);
        let sane = used(self.head, tail, capacity).is_ok() && tail >= self.tail;
        if sane {
            self.tail = tail;
        }
        sane && self.head + span <= tail + capacity
    }

    /// Whether the place of `position` still holds that frame's own claim word (CLAIM-3).
    fn stands(&self, position: Position) -> bool {
        let tail = self.mem.tail().load(Acquire).max(self.tail);
        position.0.is_multiple_of(FRAME_HEADER) && (tail..self.head).contains(&position.0)
    }
}
