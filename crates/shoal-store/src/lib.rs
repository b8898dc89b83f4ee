//! The arena: one node's shared memory for objects.
//!
//! The node daemon owns an [`ArenaServer`]; every client process, and the daemon itself where it reads or writes
//! objects, has an [`ArenaClient`]. Both are memory only: whoever uses them carries descriptors and messages. In call
//! order:
//!
//! 1. the daemon makes the arena, and a slot with a pin table for each client that joins;
//! 2. a client asks for space with [`ArenaClient::begin`]; told [`Begin::NeedChunk`], it has the daemon lease a chunk
//!    and tries again; it fills the [`Writer`], seals it, and tells others the [`ArenaLoc`](shoal_types::ArenaLoc);
//! 3. whoever is told pins it, reads, and unpins by dropping the [`Pinned`];
//! 4. the owner says that nobody needs it; the daemon frees it, now or when the last pin goes.
//!
//! ```
//! use shoal_store::{ArenaClient, ArenaServer, Begin};
//! use shoal_types::{ObjectId, WorkerId};
//! # fn main() -> Result<(), shoal_store::StoreError> {
//! let mut server = ArenaServer::create(64 << 20)?;
//! let me = WorkerId([1; 16]);
//! let (slot, pins) = server.add_client(me)?;
//! let client = ArenaClient::attach(server.arena_fd().try_clone_to_owned().unwrap(), pins, slot)?;
//! let id = ObjectId::default();
//! let mut writer = loop {
//!     match client.begin(5, id, me)? {
//!         Begin::Write(writer) => break writer,
//!         Begin::NeedChunk { at_least } => client.add_chunk(server.lease_chunk(slot, at_least)?)?,
//!     }
//! };
//! writer.bytes_mut().copy_from_slice(b"hello");
//! let loc = writer.seal();
//! client.chunks_to_return().into_iter().for_each(|chunk| server.return_chunk(slot, chunk));
//! let pinned = client.pin(loc, id)?;
//! assert_eq!(pinned.to_vec(), b"hello");
//! # Ok(()) }
//! ```
//!
//! Invariants, which the modules cite:
//!
//! - ARENA-1 a chunk begins with a table (id, owner, offset, length, generation, state); its lessee seals an entry
//!   before it tells anyone. The table is the truth; an `ArenaLoc` is a hint that is checked against it.
//! - ARENA-2 pins and frees meet as in Dekker's algorithm. A client stores its pin, fences, reads the entry's state; the
//!   server stores `EVICTING`, fences, reads the pins. Both fences are sequentially consistent and always there, so at
//!   least one sees the other, without `membarrier`: it would save the client ~10 ns a pin, and cost the server an
//!   interrupt to every core and a system call that sandboxes forbid.
//! - ARENA-3 a dead client's pins are void and its open chunks lose what wasn't sealed; what was stays while its owner
//!   lives, and is named to the owner: the client may have died before it told.
//! - ARENA-4 pages are reserved before anyone touches them, after a look at what the machine and the cgroup have left.
//!   The server reserves the table; the lessee reserves the rest in [`ArenaClient::add_chunk`] (20 ms for 64 MiB:
//!   too long for the daemon's event loop), and until it has, the server counts them as promised.
//! - ARENA-5 freed space is accounted at once; its pages stay warm for a while and go back to their last lessee by
//!   preference.
//! - ARENA-6 what is read from shared memory is copied out, then checked, then used. The server decides where space
//!   begins and ends from its own account; a client that lies in its table harms readers of its own objects, no more.
//! - ARENA-7 in a forked child everything here is inert: drops write nothing, calls are [`StoreError::Forked`]; what was
//!   pinned stays readable.
#![deny(missing_docs)]
#![cfg_attr(all(loom, test), allow(dead_code))]

macro_rules! not_in_models {
    ($($item:item)*) => { $(#[cfg(not(all(loom, test)))] $item)* };
}

mod layout;
mod meet;
mod pin_table;
mod slots;
mod sync;

// What loom has no model of: files, mappings, and all that stands on them.
not_in_models! {
    mod arena_memory;
    mod client;
    mod copy;
    mod error;
    mod fork;
    mod grant;
    mod mapping;
    mod memory;
    mod ranges;
    mod server;
    mod space;
    pub mod spill;
    mod storage;
    mod sum;
    #[cfg(test)]
    mod tests;

    pub use arena_memory::ArenaMemory;
    pub use client::{ArenaClient, Begin, FileSpace, FileView, Pinned, Writer};
    pub use copy::copy_into;
    pub use error::{Holder, StoreError};
    pub use grant::{ChunkGrant, ChunkReturn, ClientSlot};
    pub use server::{ArenaServer, ArenaStats, Freed, Left};
    pub use storage::{Folder, SpillFile, Storage, Trouble};
    pub use sum::Sum;
}

#[cfg(all(loom, test))]
mod loom_tests;
