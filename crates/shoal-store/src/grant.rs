//! What the daemon hands to a client.
use serde::{Deserialize, Serialize};

/// A client's place at one arena. Never used twice in a server's life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ClientSlot(pub u32);

/// The right to write one range of the arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChunkGrant {
    /// The chunk's first byte in the arena; a multiple of the page size.
    pub offset: u64,
    /// Its length in bytes; a multiple of the page size.
    pub len: u64,
    /// Places in its table; 1 for the exact extent of one large object.
    pub entries: u32,
    /// Generation of its entries, until the lessee resets the chunk; it also tells this lease from others.
    pub generation: u32,
    /// Whether the lessee must reserve the pages behind the table (ARENA-4).
    pub cold: bool,
}

/// A chunk that a client doesn't write to any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChunkReturn {
    /// As in its grant.
    pub offset: u64,
    /// As in its grant: an extent may have been freed, and leased again, before its return arrives.
    pub generation: u32,
}
