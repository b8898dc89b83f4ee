//! The server's account of one chunk.
//!
//! While a chunk is leased its table is the lessee's: the server reads it, checks what it needs, and keeps nothing. When
//! the chunk is returned the server copies what is sealed, gives back every page that no sealed object touches, and
//! from then on believes only its copy.
use super::ArenaServer;
use super::free::Victim;
use crate::grant::{ChunkReturn, ClientSlot};
use crate::layout::{EVICTING, Entry, FREE, PAGE, SEALED, data_offset};
use crate::ranges::Ranges;
use std::collections::BTreeMap;

pub(super) struct Chunk {
    pub len: u64,
    pub entries: u32,
    /// The generation that it was leased with.
    pub lease: u32,
    /// Larger is later.
    pub born: u64,
    /// Who writes it, or wrote it last.
    pub lessee: ClientSlot,
    /// `None` while it is leased; then what is sealed, by place.
    pub sealed: Option<BTreeMap<u32, Entry>>,
    /// Which of its bytes are still its own.
    pub held: Ranges,
    /// How many of its bytes had no pages when it was leased.
    pub cold: u64,
    /// Its lessee was asked for it.
    pub called_in: bool,
}

impl Chunk {
    pub fn exact(&self) -> bool {
        self.entries == 1
    }
}

impl ArenaServer {
    /// The client is done with a chunk: it writes nothing there any more. A return that comes too late, after the death
    /// of the client or the free of an exact extent, changes nothing.
    pub fn return_chunk(&mut self, slot: ClientSlot, done: ChunkReturn) {
        let is_it = |chunk: &Chunk| chunk.lessee == slot && chunk.lease == done.generation && chunk.sealed.is_none();
        if self.chunks.get(&done.offset).is_some_and(is_it) {
            self.close_chunk(done.offset);
        }
    }

    /// Takes a leased chunk over from its lessee.
    pub(super) fn close_chunk(&mut self, offset: u64) {
        let sealed = self.copy_sealed(offset);
        let is_orphan = |entry: &Entry| entry.state == SEALED && self.dead_owners.contains(&entry.owner);
        let orphans = sealed.iter().filter(|(_, entry)| is_orphan(entry));
        let orphans = orphans.map(|(&place, entry)| Victim::of(offset, place, entry)).collect::<Vec<_>>();
        let backed = self.backed(offset);
        let Some(chunk) = self.chunks.get_mut(&offset) else { return };
        let mut spare = Ranges::of(offset, chunk.len);
        spare.remove(offset, data_offset(chunk.entries));
        for entry in sealed.values() {
            let first = entry.offset / PAGE * PAGE;
            spare.remove(first, (entry.offset + entry.len).next_multiple_of(PAGE) - first);
        }
        let parts = spare.iter().flat_map(|(o, len)| chunk.held.remove(o, len)).collect();
        let (lessee, exact) = (chunk.lessee, chunk.exact());
        chunk.sealed = Some(sealed);
        self.give_back(parts, Some(lessee), exact, backed);
        self.evict(orphans);
        self.release_if_empty(offset);
    }

    /// What is sealed in a leased chunk, copied and checked (ARENA-6); all else becomes FREE.
    fn copy_sealed(&self, offset: u64) -> BTreeMap<u32, Entry> {
        let (chunk, table) = (&self.chunks[&offset], self.table(offset));
        let mut sealed = BTreeMap::new();
        for place in 0..chunk.entries {
            let entry = table.read(place);
            let being_evicted = || self.put_off.iter().any(|victim| victim.chunk == offset && victim.place == place);
            let stays = match entry.state {
                SEALED => true,
                EVICTING => being_evicted(),
                _ => false,
            };
            if stays && entry.lies_in(offset, chunk.len, chunk.entries) {
                sealed.insert(place, entry);
            } else {
                table.set(place, entry.generation, FREE);
            }
        }
        sealed
    }

    /// Whether all pages of a chunk are reserved.
    pub(super) fn backed(&self, offset: u64) -> bool {
        self.chunks[&offset].cold == 0 || self.table(offset).backed()
    }

    /// An entry of a chunk became FREE: what of its chunk can be given back?
    pub(super) fn on_entry_freed(&mut self, victim: &Victim) {
        let backed = self.backed(victim.chunk);
        let Some(chunk) = self.chunks.get_mut(&victim.chunk) else { return };
        let (lessee, exact) = (chunk.lessee, chunk.exact());
        let Some(sealed) = &mut chunk.sealed else {
            // The lessee resets it, or returns it; but an exact extent takes no second object.
            if exact {
                chunk.sealed = Some(BTreeMap::new());
                self.release_if_empty(victim.chunk);
            }
            return;
        };
        let Some(entry) = sealed.remove(&victim.place) else { return };
        if !sealed.is_empty() {
            let (first, end) = (entry.offset.next_multiple_of(PAGE), (entry.offset + entry.len) / PAGE * PAGE);
            let parts = chunk.held.remove(first, end.saturating_sub(first));
            self.give_back(parts, Some(lessee), exact, backed);
        }
        self.release_if_empty(victim.chunk);
    }

    /// Gives back a chunk that is returned and has nothing left.
    pub(super) fn release_if_empty(&mut self, offset: u64) {
        if !self.chunks.get(&offset).is_some_and(|chunk| chunk.sealed.as_ref().is_some_and(BTreeMap::is_empty)) {
            return;
        }
        let backed = self.backed(offset);
        self.table(offset).retire();
        if let Some(chunk) = self.chunks.remove(&offset) {
            self.give_back(chunk.held.iter().collect(), Some(chunk.lessee), chunk.exact(), backed);
        }
    }
}
