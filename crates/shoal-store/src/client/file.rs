//! Objects in files: written through a mapping, and read through one.
use super::{ArenaClient, Shared};
use crate::error::StoreError;
use crate::mapping::{Mapping, Use};
use crate::sum::Sum;
use rustc_hash::FxHashMap;
use rustix::fd::OwnedFd;
use shoal_types::{ArenaLoc, ObjectId};
use std::sync::{Arc, Weak};

/// Space for one object in a file, this process's alone until it is sealed. In a forked child it is inert.
pub struct FileSpace {
    shared: Arc<Shared>,
    mapping: Mapping,
    offset: u64,
    len: usize,
}

impl FileSpace {
    /// The object's bytes: zeros.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        assert!(!self.shared.fork.in_child(), "ARENA-7: a writer in a forked child");
        // SAFETY: inside the mapping; the range was reserved, and given to this process alone (SPILL-4).
        unsafe { std::slice::from_raw_parts_mut(self.mapping.at(self.offset), self.len) }
    }

    /// The sum of its bytes, for sealing it.
    pub fn sum(&mut self) -> u64 {
        Sum::of(self.bytes_mut())
    }
}

/// An object mapped from its file, read-only; the last clone's drop lets it go. As a pin is.
#[derive(Clone)]
pub struct FileView {
    held: Arc<Viewed>,
}

struct Viewed {
    shared: Arc<Shared>,
    mapping: Mapping,
    offset: u64,
    len: usize,
    id: ObjectId,
    loc: ArenaLoc,
}

impl FileView {
    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        let held = &self.held;
        // SAFETY: inside the mapping, which lives as long as `held`. Nobody writes there: the range was written whole
        // before it was named, and is released when every mapping is gone (SPILL-3).
        unsafe { std::slice::from_raw_parts(held.mapping.at(held.offset), held.len) }
    }
}

impl Drop for Viewed {
    fn drop(&mut self) {
        if !self.shared.fork.in_child() {
            self.shared.views.lock().forget(self.id, self.loc);
        }
    }
}

type Name = (ObjectId, ArenaLoc);

/// The mappings of files that this process has.
#[derive(Default)]
pub(super) struct Views {
    held: FxHashMap<Name, Weak<Viewed>>,
    /// Those that are gone, to be told.
    gone: Vec<Name>,
}

impl Views {
    pub(super) fn has_gone(&self) -> bool {
        !self.gone.is_empty()
    }

    fn forget(&mut self, id: ObjectId, loc: ArenaLoc) {
        // Another thread may have mapped it again already.
        if self.held.get(&(id, loc)).is_some_and(|held| held.strong_count() == 0) {
            self.held.remove(&(id, loc));
        }
        self.gone.push((id, loc));
    }
}

impl ArenaClient {
    /// Maps a range of a file to write an object of `len` bytes.
    pub fn file_space(&self, file: &OwnedFd, offset: u64, len: u64) -> Result<FileSpace, StoreError> {
        self.shared.check_fork()?;
        let (mapping, len) = self.map_file(file, offset, len, Use::Write)?;
        Ok(FileSpace { shared: self.shared.clone(), mapping, offset, len })
    }

    /// Maps an object from its file. On an error the object is among those of [`ArenaClient::take_unmapped`].
    pub fn view(&self, file: &OwnedFd, offset: u64, len: u64, object: Name) -> Result<FileView, StoreError> {
        self.shared.check_fork()?;
        let (id, loc) = object;
        match self.map_file(file, offset, len, Use::Read) {
            Ok((mapping, len)) => {
                let held = Arc::new(Viewed { shared: self.shared.clone(), mapping, offset, len, id, loc });
                self.shared.views.lock().held.insert(object, Arc::downgrade(&held));
                Ok(FileView { held })
            }
            Err(error) => {
                self.shared.views.lock().gone.push(object);
                Err(error)
            }
        }
    }

    /// The mapping of an object that this process has already.
    pub fn viewed(&self, id: ObjectId, loc: ArenaLoc) -> Option<FileView> {
        let held = self.shared.views.lock().held.get(&(id, loc))?.upgrade()?;
        Some(FileView { held })
    }

    /// Objects of which this process has a mapping, and their bytes.
    pub fn mapped(&self) -> Vec<(ObjectId, u64)> {
        self.shared.views.lock().held.keys().map(|(id, loc)| (*id, loc.len)).collect()
    }

    /// Objects whose mappings are gone, each named once: for `Event::Unmapped`.
    pub fn take_unmapped(&self) -> Vec<Name> {
        if self.shared.fork.in_child() { Vec::new() } else { std::mem::take(&mut self.shared.views.lock().gone) }
    }

    fn map_file(&self, file: &OwnedFd, offset: u64, len: u64, to: Use) -> Result<(Mapping, usize), StoreError> {
        let size = usize::try_from(len).map_err(|_| StoreError::OutOfBounds("an object's length"))?;
        Ok((Mapping::new(file, offset, len.max(1), to, Some(self.shared.fork.clone()))?, size))
    }
}
