//! What is in the arena.
use super::ArenaServer;
use crate::layout::{EVICTING, Entry, SEALED};
use serde::{Deserialize, Serialize};

/// A look at the arena.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ArenaStats {
    /// Bytes in all.
    pub capacity: u64,
    /// Bytes of leased chunks, and of pages that hold objects.
    pub used: u64,
    /// Bytes that can be leased.
    pub free: u64,
    /// Free bytes whose pages are kept for the next lessee.
    pub warm: u64,
    /// Sealed objects.
    pub objects: u64,
    /// Their bytes.
    pub object_bytes: u64,
    /// Objects whose free was put off because they are pinned.
    pub put_off: u64,
    /// Clients.
    pub clients: u64,
}

impl ArenaServer {
    /// Counts everything; takes microseconds a chunk.
    pub fn stats(&self) -> ArenaStats {
        let (mut objects, mut object_bytes) = (0, 0);
        self.each_sealed(|_, _, entry| {
            objects += 1;
            object_bytes += entry.len;
        });
        ArenaStats {
            capacity: self.capacity,
            used: self.used(),
            free: self.space.free_bytes(),
            warm: self.space.warm_bytes(),
            objects,
            object_bytes,
            put_off: self.put_off.len() as u64,
            clients: self.clients.len() as u64,
        }
    }

    /// Bytes that can't be leased.
    pub(super) fn used(&self) -> u64 {
        self.capacity - self.space.free_bytes()
    }

    /// Calls `with` (chunk, place, entry) for each entry that is SEALED or EVICTING.
    pub(super) fn each_sealed(&self, mut with: impl FnMut(u64, u32, &Entry)) {
        for (&offset, chunk) in &self.chunks {
            if let Some(sealed) = &chunk.sealed {
                sealed.iter().for_each(|(&place, entry)| with(offset, place, entry));
                continue;
            }
            let table = self.table(offset);
            for place in (0..chunk.entries).filter(|&place| matches!(table.get(place).1, SEALED | EVICTING)) {
                let entry = table.read(place);
                if entry.lies_in(offset, chunk.len, chunk.entries) {
                    with(offset, place, &entry);
                }
            }
        }
    }
}
