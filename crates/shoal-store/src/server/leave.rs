//! Deaths of clients and owners (ARENA-3).
use super::ArenaServer;
use super::free::Victim;
use crate::grant::ClientSlot;
use crate::layout::SEALED;
use shoal_types::WorkerId;

impl ArenaServer {
    /// A client, and every process that it forked, is gone: its pins are void; its open chunks lose what wasn't sealed.
    /// What it sealed stays while its owner lives.
    pub fn client_died(&mut self, slot: ClientSlot) {
        if self.clients.remove(&slot).is_none() {
            return;
        }
        self.space.forget(slot);
        let open = self.chunks.iter().filter(|(_, chunk)| chunk.lessee == slot && chunk.sealed.is_none());
        for offset in open.map(|(&offset, _)| offset).collect::<Vec<_>>() {
            self.close_chunk(offset);
        }
        self.retry_put_off();
    }

    /// An owner is gone, and nobody answers for its objects: they are freed, those that are sealed later too.
    pub fn owner_died(&mut self, worker: WorkerId) {
        self.dead_owners.insert(worker);
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
