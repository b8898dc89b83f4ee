//! Positions, claim words and the sizes of frames.

use crate::error::RingError;

/// Bytes of a frame's header; also the alignment of frames.
pub(crate) const FRAME_HEADER: u64 = 16;

/// Where a frame begins: bytes since the ring's beginning. Later frames have larger positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub(crate) u64);

impl Position {
    /// The number itself, for logs.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// Who has a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Claim {
    Queued = 1,
    Taken = 2,
    Withdrawn = 3,
}

/// The claim word of the frame at `position`.
pub(crate) fn claim_word(position: u64, claim: Claim) -> u32 {
    // Truncation is meant: the generation is the low 30 bits.
    (((position / FRAME_HEADER) as u32) << 2) | claim as u32
}

/// Bytes that a frame with `len` bytes of payload takes.
pub(crate) fn span(len: u64) -> u64 {
    FRAME_HEADER + len.next_multiple_of(FRAME_HEADER)
}

/// The largest payload in a ring: with its header it fills a quarter.
pub(crate) fn max_frame(capacity: u64) -> u64 {
    capacity / 4 - FRAME_HEADER
}

/// Checks RING-2; gives back the number of bytes in use.
pub(crate) fn used(head: u64, tail: u64, capacity: u64) -> Result<u64, RingError> {
    let used = head.wrapping_sub(tail);
    if used > capacity || !used.is_multiple_of(FRAME_HEADER) {
        return Err(RingError::Corrupt { what: "head", position: tail, value: head });
    }
    Ok(used)
}

/// Checks both positions of a ring that is being attached. No ring lives long enough to reach 2^63, so that sums
/// of positions and sizes can't overflow.
pub(crate) fn check_positions(head: u64, tail: u64, capacity: u64) -> Result<(), RingError> {
    if !tail.is_multiple_of(FRAME_HEADER) || tail >= 1 << 63 {
        return Err(RingError::Corrupt { what: "tail", position: tail, value: tail });
    }
    used(head, tail, capacity).map(drop)
}
