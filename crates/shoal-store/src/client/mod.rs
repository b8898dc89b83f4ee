//! A client process's side: writes into leased chunks, pins and reads everywhere. Callable from any thread; the locks
//! inside guard the client's own lists, for as long as it takes to change them, never a copy.
mod chunks;
mod file;
mod open;
mod pin;
mod windows;
mod writer;

pub use file::{FileSpace, FileView};
pub use pin::Pinned;
pub use writer::Writer;

use crate::error::{StoreError, system};
use crate::fork::ForkPage;
use crate::grant::{ChunkGrant, ChunkReturn, ClientSlot};
use crate::layout::PAGE;
use crate::mapping::{Mapping, Use};
use crate::pin_table::{FILE_LEN, PinTable};
use crate::slots::Slots;
use chunks::Chunks;
use parking_lot::Mutex;
use rustix::fd::OwnedFd;
use rustix::fs::fstat;
use shoal_types::{ArenaLoc, ObjectId, WorkerId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use windows::Windows;

/// What [`ArenaClient::begin`] says.
pub enum Begin {
    /// Fill it, then seal it.
    Write(Writer),
    /// There is no room in the leased chunks: lease one with `ArenaServer::lease_chunk`, give it to
    /// [`ArenaClient::add_chunk`], try again.
    NeedChunk {
        /// For an object of so many bytes.
        at_least: u64,
    },
}

/// A process's handle to its node's arena. Clones share it.
#[derive(Clone)]
pub struct ArenaClient {
    shared: Arc<Shared>,
}

struct Pins {
    table: PinTable,
    slots: Mutex<Slots<pin::Held>>,
}

struct Shared {
    slot: ClientSlot,
    fd: OwnedFd,
    len: u64,
    /// The whole arena, read-only.
    arena: Mapping,
    fork: Arc<ForkPage>,
    pins: Pins,
    chunks: Mutex<Chunks>,
    windows: Mutex<Windows>,
    sweep_hint: AtomicBool,
    views: Mutex<file::Views>,
}

impl Shared {
    fn check_fork(&self) -> Result<(), StoreError> {
        if self.fork.in_child() { Err(StoreError::Forked) } else { Ok(()) }
    }
}

impl ArenaClient {
    /// Maps the arena, with the descriptors and the slot that the daemon gave.
    pub fn attach(arena: OwnedFd, pins: OwnedFd, slot: ClientSlot) -> Result<Self, StoreError> {
        let len = u64::try_from(fstat(&arena).map_err(system("fstat of the arena"))?.st_size).unwrap_or(0);
        let pins_len = u64::try_from(fstat(&pins).map_err(system("fstat of the pin table"))?.st_size).unwrap_or(0);
        if len < PAGE || len % PAGE != 0 || pins_len != FILE_LEN {
            return Err(StoreError::OutOfBounds("a memory file's size"));
        }
        let fork = Arc::new(ForkPage::new()?);
        let table = PinTable(Mapping::new(&pins, 0, FILE_LEN, Use::Write, Some(fork.clone()))?);
        let shared = Shared {
            slot,
            len,
            arena: Mapping::new(&arena, 0, len, Use::Read, Some(fork.clone()))?,
            fd: arena,
            fork,
            pins: Pins { table, slots: Mutex::default() },
            chunks: Mutex::default(),
            windows: Mutex::default(),
            sweep_hint: AtomicBool::new(false),
            views: Mutex::default(),
        };
        let client = Self { shared: Arc::new(shared) };
        client.rehearse();
        Ok(client)
    }

    /// Meets the pages of memory and code that the first pin would else meet, a fault each: the object isn't there.
    fn rehearse(&self) {
        self.shared.pins.table.meet();
        let nowhere = ArenaLoc { chunk: 0, entry: u32::MAX, generation: 0, offset: 0, len: 0 };
        let _ = pin::pin(&self.shared, nowhere, ObjectId::default());
    }

    /// The slot that it was attached with.
    pub fn slot(&self) -> ClientSlot {
        self.shared.slot
    }

    /// Space for an object of `len` bytes.
    pub fn begin(&self, len: u64, id: ObjectId, owner: WorkerId) -> Result<Begin, StoreError> {
        self.shared.check_fork()?;
        let place = self.shared.chunks.lock().place(len)?;
        Ok(match place {
            Some(place) => Begin::Write(Writer::open(self.shared.clone(), place, id, owner)),
            None => Begin::NeedChunk { at_least: len },
        })
    }

    /// Takes over a chunk that was leased to this client: reserves its pages (ARENA-4) and maps it writable. On an error
    /// the chunk is among those to return.
    pub fn add_chunk(&self, grant: ChunkGrant) -> Result<(), StoreError> {
        self.shared.check_fork()?;
        let opened = self.shared.open_chunk(&grant);
        let mut chunks = self.shared.chunks.lock();
        opened.map(|open| chunks.add(open)).inspect_err(|_| chunks.give_up(&grant))
    }

    /// Chunks that are full, or were given up, and that nobody writes to any more, each named once: for
    /// `ArenaServer::return_chunk`. Look before each request for a chunk, so that it can be the same again, and after each
    /// `seal` or drop of a writer. An extent's return may come after the free of its object.
    pub fn chunks_to_return(&self) -> Vec<ChunkReturn> {
        if self.shared.fork.in_child() { Vec::new() } else { self.shared.chunks.lock().take_returns() }
    }

    /// As [`ArenaClient::chunks_to_return`], with every chunk that could be written but isn't just now: for a client that
    /// goes idle, or a daemon that needs room.
    pub fn release_idle(&self) -> Vec<ChunkReturn> {
        if self.shared.fork.in_child() {
            return Vec::new();
        }
        let mut chunks = self.shared.chunks.lock();
        chunks.retire_all();
        chunks.take_returns()
    }

    /// Holds an object where it is (ARENA-2). [`StoreError::Gone`] means: ask its owner where it is now.
    pub fn pin(&self, loc: ArenaLoc, id: ObjectId) -> Result<Pinned, StoreError> {
        self.shared.check_fork()?;
        pin::pin(&self.shared, loc, id)
    }

    /// What this process holds where it is: each object and its bytes.
    pub fn pinned(&self) -> Vec<(ObjectId, u64)> {
        // Not under the lock: the last drop takes it.
        let held = self.shared.pins.slots.lock().all();
        held.iter().map(|held| held.object()).collect()
    }

    /// Whether there is something to tell the daemon by [`ArenaClient::take_sweep_hint`] or
    /// [`ArenaClient::take_unmapped`].
    pub fn has_let_go(&self) -> bool {
        self.shared.sweep_hint.load(Ordering::Relaxed) || self.shared.views.lock().has_gone()
    }

    /// Whether, since the last call, a pin went whose object the daemon waits to free: for
    /// `ArenaServer::on_pin_hint`.
    pub fn take_sweep_hint(&self) -> bool {
        self.shared.sweep_hint.swap(false, Ordering::Relaxed)
    }
}
