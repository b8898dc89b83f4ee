//! What the spilling of objects needs of the arena: which could go, taking one out, putting one back.
use super::chunk::Chunk;
use super::ArenaServer;
use crate::error::Holder;
use crate::grant::ClientSlot;
use crate::layout::{ALIGN, Entry, GENERATION_STEP, OPEN, PAGE, SEALED, align_up, data_offset};
use crate::meet;
use crate::pin_table::PinKey;
use crate::ranges::Ranges;
use rustc_hash::FxHashSet;
use shoal_types::{ArenaLoc, ObjectId, WorkerId};
use std::collections::BTreeMap;

/// Whose chunks restored objects lie in.
const DAEMON: ClientSlot = ClientSlot(u32::MAX);

/// A sealed object that lies in the arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub loc: ArenaLoc,
    pub id: ObjectId,
    pub owner: WorkerId,
    /// Who sealed it.
    pub writer: ClientSlot,
    /// Larger is later.
    pub born: u64,
}

/// Space that an object is read into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Restoring {
    pub chunk: u64,
    /// First byte for the object.
    pub offset: u64,
    /// Whether its pages must be reserved first.
    pub cold: bool,
}

impl ArenaServer {
    /// Every pin of every client, as they are now: a hint.
    pub(crate) fn pins(&self) -> FxHashSet<PinKey> {
        let mut pins = FxHashSet::default();
        for client in self.clients.values() {
            client.pins.each(|pin| {
                pins.insert(pin);
            });
        }
        pins
    }

    /// Sealed objects, oldest first, whose space could be had: `skip` says which not; those in chunks that their lessees
    /// still write to would give none.
    pub(crate) fn removable(&self, pins: &FxHashSet<PinKey>, skip: impl Fn(&ArenaLoc, ObjectId) -> bool) -> Vec<Found> {
        let put_off = self.put_off.iter().map(|v| (v.chunk, v.place, v.generation)).collect::<FxHashSet<_>>();
        let mut found = Vec::new();
        self.each_sealed(|chunk, place, entry| {
            let home = &self.chunks[&chunk];
            let goes = entry.state == SEALED
                && (home.sealed.is_some() || home.exact())
                && !put_off.contains(&(chunk, place, entry.generation))
                && !pins.contains(&PinKey::new(chunk, place, entry.generation))
                && !self.dead_owners.contains(&entry.owner);
            let loc = loc_of(chunk, place, entry);
            if goes && !skip(&loc, entry.id) {
                let (id, owner, writer) = (entry.id, entry.owner, home.lessee);
                found.push(Found { loc, id, owner, writer, born: home.born });
            }
        });
        found.sort_by_key(|found| (found.born, found.loc.entry));
        found
    }

    /// Every sealed object, and whose it is.
    pub(crate) fn all_sealed(&self) -> Vec<(ArenaLoc, Holder)> {
        let mut all = Vec::new();
        self.each_sealed(|chunk, place, entry| {
            let holder = Holder { id: entry.id, owner: entry.owner, len: entry.len };
            all.push((loc_of(chunk, place, entry), holder));
        });
        all
    }

    /// Whether that object lies there, sealed, and nobody freed it.
    pub(crate) fn has(&self, loc: &ArenaLoc, id: ObjectId) -> bool {
        self.find(loc, id).is_some()
    }

    /// Whether nobody answers for this owner's objects.
    pub(crate) fn is_dead_owner(&self, owner: &WorkerId) -> bool {
        self.dead_owners.contains(owner)
    }

    /// Takes objects out of the arena that nobody has pinned; says which. One that is pinned is as it was: SEALED →
    /// EVICTING → SEALED, and who came in between asks where it is, and is told the same place.
    pub(crate) fn take_out(&mut self, objects: &[(ArenaLoc, ObjectId)]) -> Vec<bool> {
        let victims = objects.iter().map(|(loc, id)| self.find(loc, *id)).collect::<Vec<_>>();
        for victim in victims.iter().flatten() {
            meet::evict(&self.table(victim.chunk), victim.place, victim.generation);
        }
        let (pinned, free) = self.split_by_pins(victims.iter().flatten().copied().collect());
        for victim in &pinned {
            meet::keep(&self.table(victim.chunk), victim.place, victim.generation);
        }
        for victim in &free {
            self.finish(victim);
        }
        victims.into_iter().map(|victim| victim.is_some_and(|victim| free.contains(&victim))).collect()
    }

    /// Space of its own for an object that comes back; `None`: there is no room.
    pub(crate) fn begin_restore(&mut self, id: ObjectId, owner: WorkerId, len: u64) -> Option<Restoring> {
        let data = data_offset(1);
        let whole = align_up(len.max(1), PAGE)?.checked_add(data)?;
        let taken = self.space.take(DAEMON, whole, whole, self.objects_end())?;
        if self.reserve_table(taken, 1).is_err() {
            self.punch([(taken.offset, taken.len)]);
            self.space.put_cold(taken.offset, taken.len);
            return None;
        }
        self.next_generation = self.next_generation.wrapping_add(GENERATION_STEP);
        self.leases += 1;
        let (chunk, lease, cold) = (taken.offset, self.next_generation, taken.cold);
        let table = self.table(chunk);
        table.init(taken.len, 1, lease, cold == 0);
        table.describe(0, id, owner, chunk + data, len);
        table.set(0, lease, OPEN);
        let (held, born) = (Ranges::of(chunk, taken.len), self.leases);
        let (lessee, called_in) = (DAEMON, false);
        let whole = Chunk { len: taken.len, entries: 1, lease, born, lessee, sealed: None, held, cold, called_in };
        self.chunks.insert(chunk, whole);
        debug_assert!((chunk + data).is_multiple_of(ALIGN));
        Some(Restoring { chunk, offset: chunk + data, cold: cold > 0 })
    }

    /// The object is there: its place.
    pub(crate) fn finish_restore(&mut self, restoring: Restoring) -> ArenaLoc {
        let (chunk, table) = (restoring.chunk, self.table(restoring.chunk));
        table.set_backed();
        let lease = self.chunks[&chunk].lease;
        table.set(0, lease, SEALED);
        let entry = table.read(0);
        if let Some(chunk) = self.chunks.get_mut(&chunk) {
            chunk.sealed = Some(BTreeMap::from([(0, entry)]));
        }
        loc_of(chunk, 0, &entry)
    }

    /// The object doesn't come: its space is free. `backed`: its pages were reserved.
    pub(crate) fn abort_restore(&mut self, restoring: Restoring, backed: bool) {
        if let Some(chunk) = self.chunks.get_mut(&restoring.chunk) {
            chunk.sealed = Some(BTreeMap::new());
            if backed {
                self.table(restoring.chunk).set_backed();
            }
        }
        self.release_if_empty(restoring.chunk);
    }

    /// The processes that have that object pinned.
    pub(crate) fn holders_of(&self, loc: &ArenaLoc) -> Vec<WorkerId> {
        let key = PinKey::new(loc.chunk, loc.entry, loc.generation);
        let holds = |pins: &crate::pin_table::PinTable| {
            let mut found = false;
            pins.each(|pin| found |= pin == key);
            found
        };
        self.clients.values().filter(|client| holds(&client.pins)).map(|client| client.worker).collect()
    }
}

/// Whether that place is among the pins.
pub(crate) fn is_pinned(pins: &FxHashSet<PinKey>, loc: &ArenaLoc) -> bool {
    pins.contains(&PinKey::new(loc.chunk, loc.entry, loc.generation))
}

fn loc_of(chunk: u64, entry: u32, e: &Entry) -> ArenaLoc {
    ArenaLoc { chunk, entry, generation: e.generation, offset: e.offset, len: e.len }
}
