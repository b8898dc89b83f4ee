//! Which slots of the own pin table are taken, and by which pins.
use crate::pin_table::{PinKey, PinTable, SLOTS};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

/// A place in the arena: chunk, entry, generation.
pub(crate) type Spot = (u64, u32, u32);

/// The slots of one pin table, each held by an `H`.
pub(crate) struct Slots<H> {
    /// Slots from here on are empty.
    used: u32,
    /// Empty slots below.
    holes: BTreeSet<u32>,
    /// The pin of each place that this process holds: a second `get` shares it.
    held: FxHashMap<Spot, (u32, Weak<H>)>,
}

impl<H> Default for Slots<H> {
    fn default() -> Self {
        Self { used: 0, holes: BTreeSet::new(), held: FxHashMap::default() }
    }
}

impl<H> Slots<H> {
    /// The pin that this process has already.
    pub fn held(&self, spot: Spot) -> Option<Arc<H>> {
        self.held.get(&spot)?.1.upgrade()
    }

    /// Every pin that this process holds.
    pub fn all(&self) -> Vec<Arc<H>> {
        self.held.values().filter_map(|(_, held)| held.upgrade()).collect()
    }

    /// Publishes a pin in the lowest empty slot; the table stays short for the server, which reads all of it.
    pub fn publish(&mut self, table: &PinTable, key: PinKey) -> Option<u32> {
        let slot = match self.holes.pop_first() {
            Some(slot) => slot,
            None if self.used == SLOTS => return None,
            None => {
                self.used += 1;
                table.set_used(self.used);
                self.used - 1
            }
        };
        table.publish(slot, key);
        Some(slot)
    }

    /// A pin was verified: others may share it.
    pub fn remember(&mut self, spot: Spot, slot: u32, held: Weak<H>) {
        self.held.insert(spot, (slot, held));
    }

    /// Empties a slot.
    pub fn clear(&mut self, table: &PinTable, slot: u32, spot: Spot) {
        // Another thread may have pinned the same place again already, in another slot.
        if self.held.get(&spot).is_some_and(|held| held.0 == slot) {
            self.held.remove(&spot);
        }
        table.clear(slot);
        self.holes.insert(slot);
        let before = self.used;
        while self.used > 0 && self.holes.remove(&(self.used - 1)) {
            self.used -= 1;
        }
        if self.used < before {
            table.set_used(self.used);
        }
    }
}
