//! A ring of frames from one producer to one consumer, with a claim word in each frame.
//!
//! ```text
//! header   0  head  u64   written by the producer     data  capacity bytes, a power of two
//!        128  tail  u64   written by the consumer           frame  0  len    u32   bytes of payload
//!                                                                  4  state  u32   claim word
//!                                                                  8  –      u64   zero
//!                                                                 16  payload, padded to 16
//! ```
//! All numbers are in the machine's byte order. `head` and `tail` are positions: bytes since the beginning, which
//! only grow; position modulo capacity is the place. Frames begin at multiples of 16, so that a frame's header
//! never wraps; its payload may.
//!
//! The claim word is `generation << 2 | claim`, where generation is the low 30 bits of position ÷ 16 and claim is
//! QUEUED (1), TAKEN (2) or WITHDRAWN (3).
//!
//! - RING-1 one producer and one consumer at a time. Each trusts its own position, never the word in memory.
//! - RING-2 `tail ≤ head ≤ tail + capacity`, all multiples of 16. Who sees otherwise reports
//!   [`Corrupt`](crate::RingError::Corrupt) (consumer) or sees no space (producer).
//! - RING-3 payload, length and claim word are written before `head` is (release); the consumer reads `head`
//!   (acquire) first.
//! - RING-4 the consumer reads a payload before it moves `tail` (release) past it; the producer reads `tail`
//!   (acquire) before it writes below `tail + capacity`. So no byte is read while it is overwritten.
//! - RING-5 nothing here waits: no space is `None`, no frame is `Ok(None)`.
//! - CLAIM-1 a claim word leaves QUEUED once, by compare-and-swap: the consumer to TAKEN just before it reads the
//!   payload, or the producer to WITHDRAWN. Exactly one of them succeeds.
//! - CLAIM-2 a frame that was WITHDRAWN is never given to the consumer's caller; its space is free again when the
//!   consumer passes it.
//! - CLAIM-3 only the producer overwrites ring space, and only below `tail + capacity`. So at a position in
//!   `[tail, head)` stands that frame's own claim word; an older position is taken without a look.
//! - CLAIM-4 the word carries its generation: a compare-and-swap with an old position never hits a newer frame,
//!   unless exactly 16 GiB × n apart, which CLAIM-3 excludes.
//! - CLAIM-5 claims outlive their processes: after the consumer's death its one frame in hand is TAKEN though
//!   `tail` hasn't moved, and the rest are QUEUED.

mod consumer;
mod frame;
mod producer;

#[cfg(not(all(loom, test)))]
mod shm;
#[cfg(not(all(loom, test)))]
pub use shm::{Mem, RING_HEADER};

#[cfg(all(loom, test))]
mod model;
#[cfg(all(loom, test))]
pub use model::Mem;

pub use consumer::{Consumer, Taken};
pub use frame::Position;
pub use producer::{Producer, Withdrawal};

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
