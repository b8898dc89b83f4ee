//! One client's pin table: a memory file that it writes and the server reads (ARENA-2).
//!
//! ```text
//! offset 0     used u64: slots from there on are empty; stored before the first of them is taken
//!        64    slot 0, u64: 0, or (chunk / 4096 + 1) << 32 | entry << 16 | low half of the generation
//!        72    slot 1 …
//! ```
//! One word a pin, so the server never reads half of one. The part of a generation is enough: a chunk isn't used again
//! while an entry of it is pinned, so an equal key with another generation is a reader's mistake that it is about to
//! undo, and costs a free that is put off.
use crate::layout::PAGE;
#[cfg(not(all(loom, test)))]
use crate::mapping::Mapping;
use crate::sync::{AtomicU64, Ordering};

pub(crate) const SLOTS: u32 = 1 << 20;
/// Where the slots begin: in the first page, which is all that most clients ever use, and not in the line of `used`.
const FIRST: u64 = 64;
pub(crate) const FILE_LEN: u64 = PAGE + SLOTS as u64 * 8;

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct PinKey(u64);

impl PinKey {
    /// # Panics
    /// Beyond 16 TiB or 65,536 entries, which `ArenaServer::create` and `entries_for` rule out.
    pub fn new(chunk: u64, entry: u32, generation: u32) -> Self {
        let page = chunk / PAGE + 1;
        assert!(page < 1 << 32 && entry < 1 << 16, "ARENA-2: no pin for entry {entry} of chunk {chunk}");
        Self(page << 32 | u64::from(entry) << 16 | u64::from(generation & 0xffff))
    }
}

#[cfg(not(all(loom, test)))]
pub(crate) struct PinTable(pub Mapping);
/// As loom sees it: the word at offset 0, then the slots.
#[cfg(all(loom, test))]
pub(crate) struct PinTable(Vec<AtomicU64>);

#[cfg(all(loom, test))]
impl PinTable {
    pub fn model(slots: u32) -> Self {
        Self((0..=slots).map(|_| AtomicU64::new(0)).collect())
    }

    fn word(&self, offset: u64) -> &AtomicU64 {
        &self.0[if offset == 0 { 0 } else { 1 + (offset - FIRST) as usize / 8 }]
    }
}

#[cfg(not(all(loom, test)))]
impl PinTable {
    fn word(&self, offset: u64) -> &AtomicU64 {
        // SAFETY: `at` checks the bounds; aligned; only accessed as atomics.
        unsafe { &*self.0.at(offset).cast::<AtomicU64>() }
    }
}

impl PinTable {
    fn slot(&self, slot: u32) -> &AtomicU64 {
        self.word(FIRST + u64::from(slot) * 8)
    }

    /// Client: how many slots the server must look at.
    pub fn set_used(&self, used: u32) {
        self.word(0).store(used.into(), Ordering::Release);
    }

    /// Client: meets the first page now, not in its first pin.
    #[cfg(not(all(loom, test)))]
    pub fn meet(&self) {
        self.0.populate(0, PAGE, true);
    }

    /// Client: takes a slot. A fence and another look at the entry must follow.
    pub fn publish(&self, slot: u32, key: PinKey) {
        self.slot(slot).store(key.0, Ordering::Release);
    }

    /// Client: what was read under the pin was read before this.
    pub fn clear(&self, slot: u32) {
        self.slot(slot).store(0, Ordering::Release);
    }

    /// Server: calls `with` for each pin. A fence must come before.
    pub fn each(&self, mut with: impl FnMut(PinKey)) {
        let used = self.word(0).load(Ordering::Acquire).min(SLOTS.into()) as u32;
        for slot in 0..used {
            match self.slot(slot).load(Ordering::Acquire) {
                0 => {}
                key => with(PinKey(key)),
            }
        }
    }
}
