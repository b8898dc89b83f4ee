//! An object that is being written.
use super::Shared;
use super::open::Place;
use shoal_crash::crash_point;
use crate::layout::{FREE, OPEN, SEALED};
use shoal_types::{ArenaLoc, ObjectId, WorkerId};
use std::sync::Arc;

/// Space for one object, 64-byte aligned, this process's alone until it is sealed. Dropped unsealed, it is given up.
/// In a forked child it is inert, and its bytes aren't mapped.
pub struct Writer {
    shared: Arc<Shared>,
    place: Place,
    sealed: bool,
}

// SAFETY: the bytes belong to this writer alone; `&Writer` reads addresses only.
unsafe impl Send for Writer {}
// SAFETY: as above.
unsafe impl Sync for Writer {}

impl Writer {
    pub(super) fn open(shared: Arc<Shared>, place: Place, id: ObjectId, owner: WorkerId) -> Self {
        let table = place.table();
        table.describe(place.entry, id, owner, place.offset, place.len);
        crash_point!(11, "begin.described");
        table.set(place.entry, place.generation, OPEN);
        crash_point!(12, "begin.open");
        place.window.meet(&place.unmet, place.fresh);
        Self { shared, place, sealed: false }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.place.len as usize
    }

    /// Whether the object has no bytes.
    pub fn is_empty(&self) -> bool {
        self.place.len == 0
    }

    /// Address of the first byte; valid for [`Writer::len`] bytes as long as `self` lives, in this process.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.place.window.at(self.place.offset)
    }

    /// The object's bytes. They hold what was there before.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        assert!(!self.shared.fork.in_child(), "ARENA-7: a writer in a forked child");
        // SAFETY: inside the window, reserved (ARENA-4), and nobody else's until it is sealed: the lessee hands out each
        // byte once, peers have no writable mapping of it that they use, readers come after SEALED.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), self.len()) }
    }

    /// Publishes the object; from now on it can be pinned, by anybody.
    pub fn seal(mut self) -> ArenaLoc {
        let Place { chunk, entry, generation, offset, len, .. } = self.place;
        if !self.shared.fork.in_child() {
            crash_point!(13, "seal.written");
            self.place.table().set(entry, generation, SEALED);
            self.sealed = true;
            crash_point!(14, "seal.sealed");
        }
        ArenaLoc { chunk, entry, generation, offset, len }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.shared.fork.in_child() {
            return;
        }
        if !self.sealed {
            self.place.table().set(self.place.entry, self.place.generation, FREE);
            crash_point!(15, "writer.dropped");
        }
        self.shared.chunks.lock().on_writer_done(&self.place);
    }
}
