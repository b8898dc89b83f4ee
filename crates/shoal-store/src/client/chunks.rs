//! The chunks that this client leases.
use super::open::{OpenChunk, Place};
use crate::error::StoreError;
use crate::grant::{ChunkGrant, ChunkReturn};
use crate::layout::ALIGN;

/// Chunks that are written to by turns; a third one makes the fullest go back.
const KEPT_OPEN: usize = 2;

#[derive(Default)]
pub(super) struct Chunks {
    /// The latest last; the latest is tried first.
    open: Vec<OpenChunk>,
    /// Not written to any more, except by writers that are still there.
    retired: Vec<OpenChunk>,
    /// To be named to the daemon.
    returns: Vec<ChunkReturn>,
}

impl Chunks {
    /// Space for an object in some chunk.
    pub fn place(&mut self, len: u64) -> Result<Option<Place>, StoreError> {
        if len > u64::MAX - ALIGN {
            return Err(StoreError::OutOfBounds("an object's length"));
        }
        for i in (0..self.open.len()).rev() {
            let chunk = &mut self.open[i];
            if !chunk.reset_if_free() {
                self.retire(i);
                continue;
            }
            if let Some(place) = chunk.place(len) {
                if chunk.exact() {
                    let chunk = self.open.remove(i);
                    self.retired.push(chunk);
                }
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Adds a chunk, and retires those that it replaces.
    pub fn add(&mut self, chunk: OpenChunk) {
        if !chunk.exact() {
            for i in (0..self.open.len()).rev() {
                if self.open[i].spent() && !self.open[i].exact() {
                    self.retire(i);
                }
            }
            let shared = (0..self.open.len()).filter(|&i| !self.open[i].exact()).collect::<Vec<_>>();
            if shared.len() >= KEPT_OPEN
                && let Some(fullest) = shared.into_iter().min_by_key(|&i| self.open[i].left())
            {
                self.retire(fullest);
            }
        }
        self.open.push(chunk);
    }

    fn retire(&mut self, i: usize) {
        let chunk = self.open.remove(i);
        if chunk.writers == 0 {
            self.returns.push(chunk.to_return());
        } else {
            self.retired.push(chunk);
        }
    }

    /// Writes no more to any chunk.
    pub fn retire_all(&mut self) {
        while !self.open.is_empty() {
            self.retire(self.open.len() - 1);
        }
    }

    /// A chunk that couldn't be opened goes back.
    pub fn give_up(&mut self, grant: &ChunkGrant) {
        self.returns.push(ChunkReturn { offset: grant.offset, generation: grant.generation });
    }

    /// A writer sealed its entry, or dropped it.
    pub fn on_writer_done(&mut self, place: &Place) {
        if let Some(chunk) = self.open.iter_mut().find(|chunk| chunk.has(place)) {
            chunk.writers -= 1;
            return;
        }
        let Some(i) = self.retired.iter().position(|chunk| chunk.has(place)) else { return };
        self.retired[i].writers -= 1;
        if self.retired[i].writers == 0 {
            let chunk = self.retired.swap_remove(i);
            self.returns.push(chunk.to_return());
        }
    }

    /// What is to be returned, named once.
    pub fn take_returns(&mut self) -> Vec<ChunkReturn> {
        std::mem::take(&mut self.returns)
    }
}
