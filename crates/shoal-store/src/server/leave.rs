//! Deaths of clients and owners (ARENA-3).
use super::ArenaServer;
use super::free::Victim;
use crate::grant::ClientSlot;
use crate::layout::{Entry, SEALED};
use shoal_types::{ArenaLoc, ObjectId, WorkerId};

/// An object whose writer is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Left {
    /// For whom it was sealed.
    pub owner: WorkerId,
    /// It.
    pub id: ObjectId,
    /// Where it lies.
    pub loc: ArenaLoc,
}

impl ArenaServer {
    /// A client, and every process that it forked, is gone: its pins are void; its open chunks lose what wasn't sealed.
    /// What it sealed stays while its owner lives, and is named here: the client may have died before it told the owner,
    /// who then frees what it was not told of.
    pub fn client_died(&mut self, slot: ClientSlot) -> Vec<Left> {
        if self.clients.remove(&slot).is_none() {
            return Vec::new();
        }
        self.space.forget(slot);
        let open = self.chunks.iter().filter(|(_, chunk)| chunk.lessee == slot && chunk.sealed.is_none());
        for offset in open.map(|(&offset, _)| offset).collect::<Vec<_>>() {
            self.close_chunk(offset);
        }
        self.retry_put_off();
        self.left_by(slot)
    }

    /// What lies sealed in the chunks that a client wrote. All of them are closed.
    fn left_by(&self, slot: ClientSlot) -> Vec<Left> {
        let written = self.chunks.iter().filter(|(_, chunk)| chunk.lessee == slot);
        let entries = written.flat_map(|(&at, chunk)| chunk.sealed.iter().flatten().map(move |(&n, e)| (at, n, e)));
        let stays = |(chunk, place, entry): &(u64, u32, &Entry)| {
            entry.state == SEALED && !self.put_off.contains(&Victim::of(*chunk, *place, entry))
        };
        let left = entries.filter(stays).map(|(chunk, place, entry)| {
            let Entry { generation, offset, len, id, owner, .. } = *entry;
            Left { owner, id, loc: ArenaLoc { chunk, entry: place, generation, offset, len } }
        });
        left.collect()
    }

    /// An owner is gone, and nobody answers for its objects: they are freed, those that are sealed later too.
    pub fn owner_died(&mut self, worker: WorkerId) {
        self.dead_owners.insert(worker, ());
        let victims = self.sealed_of(|owner| *owner == worker);
        self.evict(victims);
    }

    /// Frees what was sealed for an owner after its death.
    pub(super) fn reap_dead_owners(&mut self) {
        let victims = self.sealed_of(|owner| self.dead_owners.contains(owner));
        self.evict(victims);
    }

    fn sealed_of(&self, wanted: impl Fn(&WorkerId) -> bool) -> Vec<Victim> {
        let mut victims = Vec::new();
        self.each_sealed(|chunk, place, entry| {
            let victim = Victim::of(chunk, place, entry);
            if entry.state == SEALED && wanted(&entry.owner) && !self.put_off.contains(&victim) {
                victims.push(victim);
            }
        });
        victims
    }
}
