//! The daemon's side: the account of the arena. Single-threaded, called from the daemon's event loop; after each batch
//! of calls the loop calls [`ArenaServer::sweep`], which says when it wants to be called again.
#[cfg(test)]
mod check;
mod chunk;
mod free;
mod lease;
mod leave;
mod moved;
mod stats;
mod sweep;

pub use free::Freed;
pub use leave::Left;
pub(crate) use moved::{Found, Restoring, is_pinned};
pub use stats::ArenaStats;

use crate::error::StoreError;
use crate::grant::ClientSlot;
use crate::layout::{PAGE, Table};
use crate::arena_memory::ArenaMemory;
use crate::mapping::{Mapping, Use, memory_file, punch};
use crate::memory;
use crate::pin_table::{FILE_LEN, PinTable};
use crate::space::Space;
use chunk::Chunk;
use free::Victim;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use shoal_types::{Recent, WorkerId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A pin names pages with 32 bits.
const MAX_CAPACITY: u64 = 1 << 43;
const MIN_CHUNK: u64 = 64 << 10;
const FIRST_CHUNK: u64 = 1 << 20;
const MAX_CHUNK: u64 = 64 << 20;
const MAX_WARM: u64 = 256 << 20;
/// Dead owners whose objects are freed as soon as they are seen. What is sealed for an older one is named at its
/// writer's death ([`ArenaServer::client_died`]).
const DEAD_OWNERS: usize = 10_000;

struct Client {
    worker: WorkerId,
    pins: PinTable,
    /// Size of the next chunk, if there is room.
    next_chunk: u64,
}

/// One node's arena.
pub struct ArenaServer {
    memory: Arc<ArenaMemory>,
    capacity: u64,
    max_chunk: u64,
    space: Space,
    chunks: BTreeMap<u64, Chunk>,
    clients: BTreeMap<ClientSlot, Client>,
    next_slot: u32,
    next_generation: u32,
    /// Leases so far: which chunk is older.
    leases: u64,
    /// Entries that are EVICTING because somebody has them pinned.
    put_off: Vec<Victim>,
    retry: sweep::Retry,
    /// Whose entries are to be freed when they are seen.
    dead_owners: Recent<WorkerId, ()>,
    look: Box<dyn Fn() -> u64 + Send>,
}

impl ArenaServer {
    /// Makes an arena of that many bytes, rounded down to whole pages. Takes no memory yet.
    pub fn create(capacity: u64) -> Result<Self, StoreError> {
        Self::create_with_look(capacity, Box::new(memory::left))
    }

    /// As [`ArenaServer::create`], with another idea of how many bytes the machine has left (ARENA-4).
    pub fn create_with_look(capacity: u64, look: Box<dyn Fn() -> u64 + Send>) -> Result<Self, StoreError> {
        let capacity = capacity / PAGE * PAGE;
        if !(MIN_CHUNK..=MAX_CAPACITY).contains(&capacity) {
            return Err(StoreError::OutOfBounds("the capacity"));
        }
        Ok(Self {
            memory: Arc::new(ArenaMemory::create(capacity)?),
            capacity,
            max_chunk: (capacity / 64 / PAGE * PAGE).clamp(MIN_CHUNK, MAX_CHUNK),
            space: Space::new(capacity, (capacity / 10).min(MAX_WARM)),
            chunks: BTreeMap::new(),
            clients: BTreeMap::new(),
            next_slot: 0,
            next_generation: 0,
            leases: 0,
            put_off: Vec::new(),
            retry: sweep::Retry::default(),
            dead_owners: Recent::new(DEAD_OWNERS),
            look,
        })
    }

    /// The memory file, for a client to map; it travels by descriptor.
    pub fn arena_fd(&self) -> BorrowedFd<'_> {
        self.memory.fd.as_fd()
    }

    /// Bytes in all.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Bytes of the largest chunk.
    pub(crate) fn max_chunk(&self) -> u64 {
        self.max_chunk
    }

    /// Bytes that can be leased.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.space.free_bytes()
    }

    /// The arena's bytes, for the threads that copy them to disk and back.
    pub fn memory(&self) -> Arc<ArenaMemory> {
        self.memory.clone()
    }

    /// A slot for a process that joins, and its pin table.
    pub fn add_client(&mut self, worker: WorkerId) -> Result<(ClientSlot, OwnedFd), StoreError> {
        let file = memory_file("shoal-pins", FILE_LEN)?;
        let pins = PinTable(Mapping::new(&file, 0, FILE_LEN, Use::Read, None)?);
        let slot = ClientSlot(self.next_slot);
        self.next_slot += 1;
        let next_chunk = FIRST_CHUNK.min(self.max_chunk);
        self.clients.insert(slot, Client { worker, pins, next_chunk });
        Ok((slot, file))
    }

    /// The process that a slot was made for, while it lives.
    pub fn worker_of(&self, slot: ClientSlot) -> Option<WorkerId> {
        self.clients.get(&slot).map(|client| client.worker)
    }

    /// The table of the chunk that begins there, in the server's own account.
    fn table(&self, chunk: u64) -> Table {
        // SAFETY: chunks lie in the arena, which is mapped writable as long as `self` lives; their tables are reserved.
        unsafe { Table::at(self.memory.map.at(chunk)) }
    }

    fn punch(&self, ranges: impl IntoIterator<Item = (u64, u64)>) {
        for (offset, len) in ranges {
            // It can't fail on a memory file; if it did, pages would stay that nobody counts.
            let _ = punch(&self.memory.fd, offset, len);
        }
    }

    /// Gives back parts of a chunk: warm if its lessee has reserved its pages (ARENA-4).
    fn give_back(&mut self, parts: Vec<(u64, u64)>, last: Option<ClientSlot>, exact: bool, backed: bool) {
        let last = last.filter(|slot| self.clients.contains_key(slot));
        for (offset, len) in parts {
            if backed {
                self.space.put_warm(offset, len, last, exact);
            } else {
                self.punch([(offset, len)]);
                self.space.put_cold(offset, len);
            }
        }
    }
}
