//! Every message that crosses a process.
//!
//! - [`control`]: client ↔ node daemon, framed postcard over a Unix socket (`shoal-net` frames it);
//! - [`peer`]: client ↔ client about ownership, relayed by the daemon, first in first out for each pair;
//! - [`lane`]: requests and replies in the rings of a lane, laid out by hand because every call pays for them;
//! - [`look`]: what processes tell of themselves when somebody looks inside;
//! - [`flat`]: the layout of a value's bytes, inline or in the arena.
//!
//! A peer of another [`PROTOCOL`] is refused at its greeting.
#![deny(missing_docs)]

pub mod control;
pub mod flat;
pub mod lane;
pub mod look;
pub mod peer;
mod wire;

pub use wire::{DecodeError, Reader, Writer};

/// Version of everything here; both sides of a greeting must have the same.
pub const PROTOCOL: u32 = 3;
