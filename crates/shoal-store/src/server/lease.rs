//! Leasing chunks.
use super::{ArenaServer, Chunk, FIRST_CHUNK};
use crate::error::StoreError;
use crate::grant::{ChunkGrant, ClientSlot};
use crate::layout::{ALIGN, GENERATION_STEP, PAGE, align_up, data_offset, entries_for};
use crate::mapping::reserve;
use crate::ranges::Ranges;
use crate::space::Taken;
use shoal_types::WorkerId;
use std::collections::BTreeSet;

/// What the machine keeps for itself: a look and the reservation that follows aren't one step.
const MARGIN: u64 = 64 << 20;

/// What the arena keeps for frames, or 1/32 of a small one.
const FOR_FRAMES: u64 = 4 << 20;

/// The sizes that would do.
struct Plan {
    min: u64,
    max: u64,
    exact: bool,
}

impl ArenaServer {
    /// Leases space for an object of `at_least` bytes: a chunk that grows with the client's demand, from 1 MiB to 64 MiB
    /// and 1/64 of the arena; for an object that would take more than a quarter of the largest, an extent of its own.
    pub fn lease_chunk(&mut self, slot: ClientSlot, at_least: u64) -> Result<ChunkGrant, StoreError> {
        match self.lease_for_object(slot, at_least) {
            Err(StoreError::Full { .. }) => {
                let plan = self.plan(slot, at_least)?;
                self.lease(slot, Plan { max: plan.min, ..plan }, self.capacity)
            }
            done => done,
        }
    }

    /// As [`ArenaServer::lease_chunk`], but not of what is kept for frames.
    pub(crate) fn lease_for_object(&mut self, slot: ClientSlot, at_least: u64) -> Result<ChunkGrant, StoreError> {
        let plan = self.plan(slot, at_least)?;
        self.lease(slot, plan, self.objects_end())
    }

    /// From here on the arena is kept for frames that no ring holds: they have nowhere else to go when every object is
    /// pinned.
    pub(crate) fn objects_end(&self) -> u64 {
        (self.capacity - FOR_FRAMES.min(self.capacity / 32)) / PAGE * PAGE
    }

    fn lease(&mut self, slot: ClientSlot, plan: Plan, end: u64) -> Result<ChunkGrant, StoreError> {
        let Some(taken) = self.take(slot, &plan, end).or_else(|| self.take_after_reaping(slot, &plan, end)) else {
            return Err(self.full(plan.min, u64::MAX));
        };
        let entries = if plan.exact { 1 } else { entries_for(taken.len) };
        if let Err(error) = self.reserve_table(taken, entries) {
            self.punch([(taken.offset, taken.len)]);
            self.space.put_cold(taken.offset, taken.len);
            return Err(error);
        }
        self.next_generation = self.next_generation.wrapping_add(GENERATION_STEP);
        let Taken { offset, len, cold } = taken;
        let grant = ChunkGrant { offset, len, entries, generation: self.next_generation, cold: cold > 0 };
        self.table(offset).init(len, entries, grant.generation, cold == 0);
        let held = Ranges::of(offset, len);
        self.leases += 1;
        let (lease, born) = (grant.generation, self.leases);
        let chunk =
            Chunk { len, entries, lease, born, lessee: slot, sealed: None, held, cold, called_in: false };
        self.chunks.insert(offset, chunk);
        Ok(grant)
    }

    /// Whom to ask for the chunks that they have open: those that were not asked for yet.
    pub(crate) fn call_in(&mut self) -> BTreeSet<WorkerId> {
        let mut lessees = BTreeSet::new();
        for chunk in self.chunks.values_mut().filter(|c| c.sealed.is_none() && !c.exact() && !c.called_in) {
            chunk.called_in = true;
            lessees.extend(self.clients.get(&chunk.lessee).map(|client| client.worker));
        }
        lessees
    }

    fn plan(&mut self, slot: ClientSlot, at_least: u64) -> Result<Plan, StoreError> {
        let object = align_up(at_least.max(1), PAGE).ok_or(StoreError::OutOfBounds("an object's length"))?;
        let clients = self.clients.len() as u64;
        let in_use =
            self.chunks.values().filter(|chunk| chunk.lessee == slot).map(|chunk| chunk.held.total()).sum::<u64>();
        let client = self.clients.get_mut(&slot).ok_or(StoreError::UnknownClient(slot.0))?;
        if at_least > self.max_chunk / 4 {
            let len = object.checked_add(data_offset(1)).ok_or(StoreError::OutOfBounds("an object's length"))?;
            return Ok(Plan { min: len, max: len, exact: true });
        }
        let min = chunk_for(at_least);
        // A quarter of what is free is shared out, so that many clients with little each don't take it all.
        let fair = (self.space.free_bytes() / (4 * clients) / PAGE * PAGE).max(FIRST_CHUNK);
        if in_use >= 2 * client.next_chunk {
            client.next_chunk = (client.next_chunk * 2).min(self.max_chunk);
        }
        let max = client.next_chunk.min(fair).min(self.max_chunk).max(min);
        Ok(Plan { min, max, exact: false })
    }

    fn take(&mut self, slot: ClientSlot, plan: &Plan, end: u64) -> Option<Taken> {
        let mut max = plan.max;
        loop {
            let min = (max / 2).max(plan.min);
            match self.space.take(slot, min, max, end) {
                None if max > plan.min => max = (max / 2 / PAGE * PAGE).max(plan.min),
                taken => return taken,
            }
        }
    }

    fn take_after_reaping(&mut self, slot: ClientSlot, plan: &Plan, end: u64) -> Option<Taken> {
        self.reap_dead_owners();
        self.retry_put_off();
        self.take(slot, plan, end)
    }

    /// ARENA-4: looks whether there are pages for all of it, and takes those of the table.
    pub(super) fn reserve_table(&mut self, taken: Taken, entries: u32) -> Result<(), StoreError> {
        if taken.cold == 0 {
            return Ok(());
        }
        let wanted = taken.cold.saturating_add(self.promised()).saturating_add(MARGIN);
        let mut left = (self.look)();
        if left < wanted {
            let cooled = self.space.squeeze(wanted - left);
            self.punch(cooled);
            left = (self.look)();
        }
        if left < wanted || reserve(&self.memory.fd, taken.offset, data_offset(entries)).is_err() {
            return Err(self.full(taken.len, left));
        }
        Ok(())
    }

    /// Pages that lessees may still reserve.
    fn promised(&self) -> u64 {
        let open = self.chunks.iter().filter(|(_, chunk)| chunk.cold > 0 && chunk.sealed.is_none());
        open.filter(|(offset, _)| !self.table(**offset).backed()).map(|(_, chunk)| chunk.cold).sum()
    }

    pub(crate) fn full(&self, wanted: u64, machine: u64) -> StoreError {
        StoreError::Full { wanted, used: self.used(), capacity: self.capacity, machine }
    }
}

/// The smallest chunk, of those that are a power of two, with room for one object of that length.
fn chunk_for(object: u64) -> u64 {
    let mut len = super::MIN_CHUNK;
    while len - data_offset(entries_for(len)) < object.next_multiple_of(ALIGN) {
        len *= 2;
    }
    len
}
