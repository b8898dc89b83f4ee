//! The table at the head of a chunk.
//!
//! ```text
//! offset 0    header, 64 bytes: magic u64 | chunk length u64 | entries u64 | backed u64 | 32 reserved
//!        64   entry 0, 64 bytes: word u64 (generation << 32 | state) | offset u64 | length u64 | id 20 bytes, 4 zero | owner 16
//!        128  entry 1 …
//!        data_offset(entries), page-aligned: objects, each 64-byte aligned
//! ```
//! Native byte order; one machine. All of it is accessed as `AtomicU64`, so a peer that writes makes nonsense, never a
//! data race.
//!
//! States of an entry, and who moves them:
//!
//! | from | to | by |
//! |---|---|---|
//! | EMPTY | OPEN | lessee: `begin` |
//! | OPEN | SEALED | lessee: `seal` (Release: what precedes it is the object) |
//! | OPEN | FREE | lessee: writer dropped |
//! | SEALED | EVICTING | server: `free`, `take_out` |
//! | EVICTING | SEALED | server: `take_out`, when it is pinned |
//! | EVICTING | FREE | server: no pin is left |
//! | FREE | EMPTY, generation + 1 | lessee: all entries of the chunk are FREE |
//!
//! Generations: a lease takes the next multiple of [`GENERATION_STEP`], a reset adds one, and a chunk that was reset
//! `GENERATION_STEP - 1` times is returned; so a (chunk, entry, generation) comes again only after 2²⁰ leases, and even
//! then the object's id must agree.
use crate::sync::{AtomicU64, Ordering, fence};
use shoal_types::{ObjectId, TaskId, WorkerId};

pub(crate) const PAGE: u64 = 4096;
pub(crate) const ALIGN: u64 = 64;
pub(crate) const GENERATION_STEP: u32 = 1 << 12;
const MAGIC: u64 = u64::from_ne_bytes(*b"SHLCHNK1");
const HEADER_BYTES: u64 = 64;
const ENTRY_BYTES: u64 = 64;
const BYTES_PER_ENTRY: u64 = 16 << 10;
/// Entry numbers are 16 bits in a pin; no chunk comes near it (64 MiB has 4,096).
const MAX_ENTRIES: u64 = 1 << 16;

pub(crate) const EMPTY: u32 = 0;
pub(crate) const OPEN: u32 = 1;
pub(crate) const SEALED: u32 = 2;
pub(crate) const EVICTING: u32 = 3;
pub(crate) const FREE: u32 = 4;

/// Rounds up to a multiple of `to`, a power of two; `None` on overflow.
pub(crate) fn align_up(n: u64, to: u64) -> Option<u64> {
    Some(n.checked_add(to - 1)? & !(to - 1))
}

/// How many entries a chunk of `len` bytes gets.
pub(crate) fn entries_for(len: u64) -> u32 {
    (len / BYTES_PER_ENTRY).clamp(64, MAX_ENTRIES) as u32
}

/// Where the first object of a chunk with that many entries lies, from the chunk's first byte.
pub(crate) fn data_offset(entries: u32) -> u64 {
    (HEADER_BYTES + u64::from(entries) * ENTRY_BYTES).next_multiple_of(PAGE)
}

/// One entry, copied out of shared memory (ARENA-6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub generation: u32,
    pub state: u32,
    pub offset: u64,
    pub len: u64,
    pub id: ObjectId,
    pub owner: WorkerId,
}

impl Entry {
    /// Whether the object lies behind the table and inside the chunk.
    pub fn lies_in(&self, chunk: u64, chunk_len: u64, entries: u32) -> bool {
        let first = chunk + data_offset(entries);
        let end = self.offset.checked_add(self.len);
        self.offset >= first && self.offset.is_multiple_of(ALIGN) && end.is_some_and(|end| end <= chunk + chunk_len)
    }
}

/// A header, copied out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub len: u64,
    pub entries: u32,
}

/// A chunk's table, seen through some mapping.
#[derive(Clone, Copy)]
pub(crate) struct Table(*const AtomicU64);

// SAFETY: all access is atomic; the mapping outlives the table by the promise made to `Table::at`.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Table {
    /// # Safety
    /// `base` is page-aligned, and mapped for as many entries as are asked for, as long as this value is used; for the
    /// methods that store, it is mapped writable.
    pub unsafe fn at(base: *const u8) -> Self {
        Self(base.cast())
    }

    fn header(&self, i: usize) -> &AtomicU64 {
        // SAFETY: `at`; a header has eight words.
        unsafe { &*self.0.add(i) }
    }

    fn field(&self, entry: u32, i: usize) -> &AtomicU64 {
        // SAFETY: `at`; an entry has eight words, behind the header's eight.
        unsafe { &*self.0.add(8 + entry as usize * 8 + i) }
    }

    /// Server: a fresh table, all entries EMPTY.
    pub fn init(&self, len: u64, entries: u32, generation: u32, backed: bool) {
        self.header(0).store(0, Ordering::Relaxed);
        for i in 0..entries {
            self.set(i, generation, EMPTY);
        }
        self.header(1).store(len, Ordering::Relaxed);
        self.header(2).store(entries.into(), Ordering::Relaxed);
        self.header(3).store(backed.into(), Ordering::Relaxed);
        self.header(0).store(MAGIC, Ordering::Release);
    }

    /// Server: no chunk begins here any more.
    pub fn retire(&self) {
        self.header(0).store(0, Ordering::Release);
    }

    /// Client: the pages behind the table are reserved (ARENA-4).
    pub fn set_backed(&self) {
        self.header(3).store(1, Ordering::Release);
    }

    /// Whether [`Table::set_backed`] was called.
    pub fn backed(&self) -> bool {
        self.header(3).load(Ordering::Acquire) == 1
    }

    /// The header, if a chunk begins here.
    pub fn read_header(&self) -> Option<Header> {
        let magic = self.header(0).load(Ordering::Acquire);
        let (len, entries) = (self.header(1).load(Ordering::Relaxed), self.header(2).load(Ordering::Relaxed));
        (magic == MAGIC && entries <= MAX_ENTRIES).then_some(Header { len, entries: entries as u32 })
    }

    /// Generation and state of an entry.
    pub fn get(&self, entry: u32) -> (u32, u32) {
        let word = self.field(entry, 0).load(Ordering::Acquire);
        ((word >> 32) as u32, word as u32)
    }

    /// Publishes an entry's generation and state; what was written before is seen by who reads them.
    pub fn set(&self, entry: u32, generation: u32, state: u32) {
        self.field(entry, 0).store(u64::from(generation) << 32 | u64::from(state), Ordering::Release);
    }

    /// Lessee: what an entry is about, before it is published.
    pub fn describe(&self, entry: u32, id: ObjectId, owner: WorkerId, offset: u64, len: u64) {
        let task = words(&id.task.0);
        let owner = words(&owner.0);
        let fields = [offset, len, task[0], task[1], id.index.into(), owner[0], owner[1]];
        for (i, value) in fields.into_iter().enumerate() {
            self.field(entry, i + 1).store(value, Ordering::Relaxed);
        }
    }

    /// A copy of an entry. Its fields are consistent with its state while that is SEALED or EVICTING.
    pub fn read(&self, entry: u32) -> Entry {
        let (generation, state) = self.get(entry);
        let word = |i| self.field(entry, i).load(Ordering::Relaxed);
        let copy = Entry {
            generation,
            state,
            offset: word(1),
            len: word(2),
            id: ObjectId::new(TaskId(bytes(word(3), word(4))), word(5) as u32),
            owner: WorkerId(bytes(word(6), word(7))),
        };
        fence(Ordering::Acquire);
        copy
    }
}

fn words(id: &[u8; 16]) -> [u64; 2] {
    let half = |at: usize| std::array::from_fn(|i| id[at + i]);
    [u64::from_ne_bytes(half(0)), u64::from_ne_bytes(half(8))]
}

fn bytes(a: u64, b: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&a.to_ne_bytes());
    id[8..].copy_from_slice(&b.to_ne_bytes());
    id
}
