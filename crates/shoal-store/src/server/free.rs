//! Freeing (ARENA-2): EVICTING → fence → read every pin → FREE, or put off.
use super::ArenaServer;
use crate::layout::{Entry, SEALED};
use crate::meet;
use crate::pin_table::PinKey;
use rustc_hash::FxHashSet;
use shoal_types::{ArenaLoc, ObjectId};

/// What became of a request to free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freed {
    /// Its space is free.
    Now,
    /// Somebody has it pinned: it can't be pinned any more, and goes when the last pin does.
    PutOff,
    /// No such object: freed or put off already, or never sealed.
    Unknown,
}

/// An entry on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Victim {
    pub chunk: u64,
    pub place: u32,
    pub generation: u32,
}

impl Victim {
    pub fn of(chunk: u64, place: u32, entry: &Entry) -> Self {
        Self { chunk, place, generation: entry.generation }
    }
}

impl ArenaServer {
    /// The owner says that nobody needs an object any more.
    pub fn free(&mut self, loc: ArenaLoc, id: ObjectId) -> Freed {
        self.free_many(&[(loc, id)])[0]
    }

    /// Frees several at the price of reading the pins once. Answers in the order of `objects`.
    pub fn free_many(&mut self, objects: &[(ArenaLoc, ObjectId)]) -> Vec<Freed> {
        let victims = objects.iter().map(|(loc, id)| self.find(loc, *id)).collect::<Vec<_>>();
        let mut seen = FxHashSet::default();
        let known = victims.iter().flatten().filter(|victim| seen.insert((victim.chunk, victim.place))).copied();
        let put_off = self.evict(known.collect());
        let answer = |victim: Option<Victim>| match victim {
            None => Freed::Unknown,
            Some(victim) if put_off.contains(&victim) => Freed::PutOff,
            Some(_) => Freed::Now,
        };
        victims.into_iter().map(answer).collect()
    }

    /// The sealed entry that a hint is about (ARENA-1, ARENA-6).
    pub(super) fn find(&self, loc: &ArenaLoc, id: ObjectId) -> Option<Victim> {
        let chunk = self.chunks.get(&loc.chunk)?;
        let entry = match &chunk.sealed {
            Some(sealed) => *sealed.get(&loc.entry)?,
            None if loc.entry < chunk.entries => self.table(loc.chunk).read(loc.entry),
            None => return None,
        };
        let victim = Victim::of(loc.chunk, loc.entry, &entry);
        let agrees = entry.generation == loc.generation && entry.id == id && entry.state == SEALED;
        (agrees && !self.put_off.contains(&victim)).then_some(victim)
    }

    /// Frees what isn't pinned; returns, and remembers, the rest.
    pub(super) fn evict(&mut self, victims: Vec<Victim>) -> Vec<Victim> {
        for victim in &victims {
            meet::evict(&self.table(victim.chunk), victim.place, victim.generation);
        }
        let (pinned, free): (Vec<_>, Vec<_>) = self.split_by_pins(victims);
        for victim in free {
            self.finish(&victim);
        }
        self.put_off.extend(&pinned);
        pinned
    }

    /// (pinned, not pinned). All of them are EVICTING.
    pub(super) fn split_by_pins(&self, victims: Vec<Victim>) -> (Vec<Victim>, Vec<Victim>) {
        if victims.is_empty() {
            return Default::default();
        }
        let key = |victim: &Victim| PinKey::new(victim.chunk, victim.place, victim.generation);
        let wanted = victims.iter().map(key).collect::<FxHashSet<_>>();
        let pinned = meet::pinned(self.clients.values().map(|client| &client.pins), &wanted);
        victims.into_iter().partition(|victim| pinned.contains(&key(victim)))
    }

    pub(super) fn finish(&mut self, victim: &Victim) {
        meet::finish(&self.table(victim.chunk), victim.place, victim.generation);
        self.on_entry_freed(victim);
    }

    /// Frees what was put off and isn't pinned any more.
    pub(super) fn retry_put_off(&mut self) {
        let victims = std::mem::take(&mut self.put_off);
        let (pinned, free) = self.split_by_pins(victims);
        self.put_off = pinned;
        for victim in free {
            self.finish(&victim);
        }
    }
}
