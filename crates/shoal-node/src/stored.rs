//! The memory store of the directory: what is in the directory is stored. A test may make each write take time, with
//! `SHOAL_STORE_DELAY` (milliseconds), which only the dev profile reads.
use crate::node::Node;
use shoal_gcs::Event as GcsEvent;
use std::collections::VecDeque;

/// Writes that are not stored yet.
#[derive(Default)]
pub(crate) struct Writes {
    delay: u64,
    /// When each is stored, and its number; in order.
    under_way: VecDeque<(u64, u64)>,
}

impl Writes {
    pub fn from_environment() -> Self {
        Self { delay: shoal_crash::store_delay() * 1000, ..Self::default() }
    }

    pub fn due(&self) -> Option<u64> {
        self.under_way.front().map(|(due, _)| *due)
    }
}

impl Node {
    /// Carries out `Order::Store`: one write after the other, as a store of one disk does.
    pub(crate) fn store(&mut self, write: u64) {
        if self.writes.delay == 0 {
            return self.gcs_event(GcsEvent::Stored(write));
        }
        let free = self.writes.under_way.back().map_or(0, |(due, _)| *due);
        let due = free.max(self.clock.micros()) + self.writes.delay;
        self.writes.under_way.push_back((due, write));
    }

    pub(crate) fn tick_store(&mut self, now: u64) {
        while self.writes.due().is_some_and(|due| due <= now) {
            let (_, write) = self.writes.under_way.pop_front().expect("looked at above");
            self.gcs_event(GcsEvent::Stored(write));
        }
    }
}
