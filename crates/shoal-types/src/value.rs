//! What an object's bytes are and where they lie.
//!
//! A *flat value* is one byte string that holds an encoded Python object with its out-of-band buffers; its layout is
//! `shoal-proto::flat`. Nothing here looks into it.
use crate::{ErrorValue, RefWire};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A sealed entry of the arena (ARENA-1). The table in shared memory is the truth; this is a hint that a reader checks
/// against it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ArenaLoc {
    /// The chunk's first byte in the arena.
    pub chunk: u64,
    /// The entry's place in the chunk's table.
    pub entry: u32,
    /// The entry's generation: it changes each time the place is used again.
    pub generation: u32,
    /// First byte of the object in the arena.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
}

/// The value of an object as its owner or a borrower knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Value {
    /// A small value: its flat bytes and the refs inside.
    Inline {
        /// Flat value.
        bytes: Arc<[u8]>,
        /// Every ref that the value holds, in the order of pickling.
        refs: Vec<RefWire>,
    },
    /// A large value in the node's arena.
    Stored {
        /// Where.
        loc: ArenaLoc,
        /// Every ref that the value holds.
        refs: Vec<RefWire>,
    },
    /// No value: what went wrong instead.
    Error(Arc<ErrorValue>),
}

impl Value {
    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// The refs inside, none for an error.
    pub fn refs(&self) -> &[RefWire] {
        match self {
            Self::Inline { refs, .. } | Self::Stored { refs, .. } => refs,
            Self::Error(_) => &[],
        }
    }
}
