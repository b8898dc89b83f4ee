//! What is in the arena.
use super::ArenaServer;
use crate::error::Holder;
use crate::layout::{EVICTING, Entry, SEALED};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

const LARGEST: usize = 10;

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
    /// The largest objects, largest first, at most ten.
    pub largest: Vec<Holder>,
}

impl ArenaServer {
    /// Counts everything; takes microseconds a chunk.
    pub fn stats(&self) -> ArenaStats {
        let mut holders = Vec::new();
        self.each_sealed(|_, _, entry| holders.push(Holder { id: entry.id, owner: entry.owner, len: entry.len }));
        holders.sort_by_key(|holder| (Reverse(holder.len), holder.id));
        let free = self.space.free_bytes();
        ArenaStats {
            capacity: self.capacity,
            used: self.capacity - free,
            free,
            warm: self.space.warm_bytes(),
            objects: holders.len() as u64,
            object_bytes: holders.iter().map(|holder| holder.len).sum(),
            put_off: self.put_off.len() as u64,
            clients: self.clients.len() as u64,
            largest: holders.into_iter().take(LARGEST).collect(),
        }
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
