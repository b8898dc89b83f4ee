//! For tests: recomputes the account.
use super::ArenaServer;
use crate::arena_memory::ArenaMemory;
use crate::layout::SEALED;
use crate::mapping::{Mapping, Use};
use crate::ranges::Ranges;
use shoal_types::{ArenaLoc, ObjectId};
use std::sync::Arc;

impl ArenaServer {
    /// Asserts that each byte of the arena is free or some chunk's, once, and that no object lies in free space.
    pub fn check(&self) {
        let mut all = Ranges::default();
        let held = self.chunks.values().flat_map(|chunk| chunk.held.iter());
        let mut sum = 0;
        for (offset, len) in self.space.free_ranges().chain(held) {
            all.insert(offset, len);
            sum += len;
        }
        assert_eq!((all, sum), (Ranges::of(0, self.capacity), self.capacity), "a byte twice, or none's");
        self.space.check();
        self.each_sealed(|chunk, _, entry| {
            let mut held = self.chunks[&chunk].held.clone();
            let there = held.remove(entry.offset, entry.len).iter().map(|part| part.1).sum::<u64>();
            assert_eq!(there, entry.len, "an object in free space");
        });
    }

    /// Every sealed object.
    pub fn sealed_locs(&self) -> Vec<(ArenaLoc, ObjectId)> {
        let mut locs = Vec::new();
        self.each_sealed(|chunk, entry, e| {
            if e.state == SEALED {
                let loc = ArenaLoc { chunk, entry, generation: e.generation, offset: e.offset, len: e.len };
                locs.push((loc, e.id));
            }
        });
        locs
    }

    /// In a forked child, where the arena isn't mapped: maps it again.
    pub fn remap(&mut self) {
        let fd = self.memory.fd.try_clone().unwrap();
        let map = Mapping::new(&fd, 0, self.capacity, Use::Write, None).unwrap();
        let gone = std::mem::replace(&mut self.memory, Arc::new(ArenaMemory { fd, map }));
        std::mem::forget(gone);
    }
}
