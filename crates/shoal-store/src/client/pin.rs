//! Pinning and reading.
use super::Shared;
use crate::error::StoreError;
use crate::layout::{Entry, Header, PAGE, SEALED, Table, data_offset};
use crate::meet;
use crate::slots::Spot;
use shoal_types::{ArenaLoc, ObjectId};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// An object held where it is; the last clone's drop lets it go. In a forked child it stays readable, and its drop does
/// nothing (ARENA-7).
///
/// Rust gets no slice of it without `unsafe`: the process that wrote it could write again (ARENA-6).
#[derive(Clone)]
pub struct Pinned {
    held: Arc<Held>,
}

/// One slot of the pin table.
pub(super) struct Held {
    shared: Arc<Shared>,
    slot: u32,
    spot: Spot,
    id: ObjectId,
    offset: u64,
    len: u64,
}

pub(super) fn pin(shared: &Arc<Shared>, loc: ArenaLoc, id: ObjectId) -> Result<Pinned, StoreError> {
    let spot = (loc.chunk, loc.entry, loc.generation);
    let mut slots = shared.pins.slots.lock();
    if let Some(held) = slots.held(spot) {
        // Not under the lock: the last drop takes it.
        drop(slots);
        return if held.id == id { Ok(Pinned { held }) } else { Err(StoreError::Gone(id)) };
    }
    let (table, header) = table(shared, &loc).ok_or(StoreError::Gone(id))?;
    let verified = || verified(&table, &header, &loc, id);
    let pinned = meet::pin(&mut *slots, &shared.pins.table, spot, verified).ok_or(StoreError::TooManyPins)?;
    let (slot, entry) = pinned.map_err(|()| StoreError::Gone(id))?;
    let held = Arc::new(Held { shared: shared.clone(), slot, spot, id, offset: entry.offset, len: entry.len });
    slots.remember(spot, slot, Arc::downgrade(&held));
    Ok(Pinned { held })
}

/// The table that a hint names, and its header, if both lie in the arena (ARENA-6).
fn table(shared: &Shared, loc: &ArenaLoc) -> Option<(Table, Header)> {
    if !loc.chunk.is_multiple_of(PAGE) || loc.entry >= 1 << 16 || loc.chunk.checked_add(PAGE)? > shared.len {
        return None;
    }
    // SAFETY: page-aligned, mapped as long as `shared` lives; the entry asked for is checked below.
    let table = unsafe { Table::at(shared.arena.at(loc.chunk)) };
    let header = table.read_header()?;
    let inside = header.len <= shared.len - loc.chunk && data_offset(header.entries) <= header.len;
    (inside && loc.entry < header.entries).then_some((table, header))
}

/// The entry, if it is sealed and what the hint says. To be read after the pin was published. The header was read
/// before; it is this generation's, since the hint is younger than the lease.
fn verified(table: &Table, header: &Header, loc: &ArenaLoc, id: ObjectId) -> Option<Entry> {
    if table.get(loc.entry) != (loc.generation, SEALED) {
        return None;
    }
    let entry = table.read(loc.entry);
    let agrees = entry.id == id && entry.offset == loc.offset && entry.len == loc.len;
    (agrees && entry.lies_in(loc.chunk, header.len, header.entries)).then_some(entry)
}

impl Held {
    /// The object and its bytes.
    pub(super) fn object(&self) -> (ObjectId, u64) {
        (self.id, self.len)
    }
}

impl Pinned {
    /// Address of the first byte, 64-byte aligned; readable for [`Pinned::len`] bytes as long as a clone lives.
    pub fn as_ptr(&self) -> *const u8 {
        self.held.shared.arena.at(self.held.offset)
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.held.len as usize
    }

    /// Whether the object has no bytes.
    pub fn is_empty(&self) -> bool {
        self.held.len == 0
    }

    /// The object.
    pub fn id(&self) -> ObjectId {
        self.held.id
    }

    /// A copy of its bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        self.read_at(0, &mut bytes);
        bytes
    }

    /// Copies its bytes from `offset` on to `dst`.
    ///
    /// # Panics
    /// When the object ends before `dst` does.
    pub fn read_at(&self, offset: usize, dst: &mut [u8]) {
        assert!(offset <= self.len() && dst.len() <= self.len() - offset, "a read beyond the end of an object");
        // SAFETY: inside the object, which lies in the arena's mapping and is pinned.
        unsafe { std::ptr::copy_nonoverlapping(self.as_ptr().add(offset), dst.as_mut_ptr(), dst.len()) }
    }

    /// Its bytes.
    ///
    /// # Safety
    /// The process that wrote the object must not write to it any more. Ours don't; a hostile one can (ARENA-6).
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: inside the arena's mapping, pinned; not written to by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len()) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let shared = &self.shared;
        if shared.fork.in_child() {
            return;
        }
        shared.pins.slots.lock().clear(&shared.pins.table, self.slot, self.spot);
        let (chunk, entry, generation) = self.spot;
        // SAFETY: `pin` checked that the table lies in the arena. If the chunk is gone by now, this reads nonsense, and a
        // hint too many does no harm.
        let table = unsafe { Table::at(shared.arena.at(chunk)) };
        if meet::was_put_off(&table, entry, generation) {
            shared.sweep_hint.store(true, Ordering::Relaxed);
        }
    }
}
