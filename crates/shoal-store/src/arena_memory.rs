//! The arena's bytes as the daemon's own threads copy them: to disk, and back.
use crate::error::{StoreError, system};
use crate::mapping::{Mapping, Use, memory_file, reserve};
use rustix::fd::OwnedFd;

/// One node's memory file, mapped writable: the server's, shared with the threads that carry out its reads and writes.
pub struct ArenaMemory {
    pub(crate) fd: OwnedFd,
    pub(crate) map: Mapping,
}

impl ArenaMemory {
    pub(crate) fn create(capacity: u64) -> Result<Self, StoreError> {
        let fd = memory_file("shoal-arena", capacity)?;
        let map = Mapping::new(&fd, 0, capacity, Use::Write, None)?;
        Ok(Self { fd, map })
    }

    /// Copies out the bytes from `offset` on (ARENA-6: what is copied may be nonsense by now, if its object was freed).
    pub fn read(&self, offset: u64, dst: &mut [u8]) {
        assert!(self.map.covers(offset, dst.len() as u64), "ARENA-6: a read outside of the arena");
        // SAFETY: inside the mapping, which lives as long as `self`; `dst` is private memory.
        unsafe { std::ptr::copy_nonoverlapping(self.map.at(offset), dst.as_mut_ptr(), dst.len()) }
    }

    /// Copies `src` to `offset`, which was taken for it and reserved.
    pub fn write(&self, offset: u64, src: &[u8]) {
        assert!(self.map.covers(offset, src.len() as u64), "ARENA-6: a write outside of the arena");
        // SAFETY: inside the mapping; `src` is private memory.
        unsafe { std::ptr::copy_nonoverlapping(src.as_ptr(), self.map.at(offset), src.len()) }
    }

    /// Reserves the pages of a range (ARENA-4).
    pub fn reserve(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        reserve(&self.fd, offset, len).map_err(system("fallocate of the arena"))
    }
}
