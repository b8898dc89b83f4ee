//! Memory files and their mappings.
//!
//! Owns the address range until dropped; keeps no descriptor. See SHM-1, SHM-2 and SHM-3 in the crate's head.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use rustix::process::{Pid, getpid};

use crate::error::RingError;
use crate::sync::{AtomicU32, AtomicU64};

/// No lane or bell is larger: a file beyond this is not ours.
const MAX_LEN: usize = 1 << 30;

/// A shared, writable mapping, unmapped on drop by the process that made it.
#[derive(Debug)]
pub struct Mapping {
    ptr: NonNull<u8>,
    len: usize,
    pid: Pid,
}

// SAFETY: a mapping is an address range; all access goes through atomics or raw copies whose rules the users of
// `ptr` state.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` gives out atomics and raw pointers only.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Makes a zeroed memory file of `len` bytes whose size nobody can change.
    pub fn create_file(name: &str, len: usize) -> Result<OwnedFd, RingError> {
        let fd = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
            .map_err(RingError::os("memfd_create"))?;
        ftruncate(&fd, len as u64).map_err(RingError::os("ftruncate"))?;
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)
            .map_err(RingError::os("fcntl(F_ADD_SEALS)"))?;
        Ok(fd)
    }

    /// Maps the whole of a sealed memory file of at least `min_len` bytes. Not inherited by `fork`.
    pub fn map(fd: impl AsFd, min_len: usize) -> Result<Self, RingError> {
        let fd = fd.as_fd();
        let len = sealed_len(fd)?;
        if len < min_len || len > MAX_LEN {
            return Err(RingError::Layout { what: "file size", found: len as u64, expected: min_len as u64 });
        }
        // SAFETY: a new mapping at an address that the kernel chooses.
        let ptr =
            unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, fd, 0) };
        let map = Self::own(ptr.map_err(RingError::os("mmap"))?, len);
        // SAFETY: the range is the mapping just made; the advice takes nothing from this process.
        unsafe { madvise(map.ptr.as_ptr().cast(), len, Advice::LinuxDontFork) }.map_err(RingError::os("madvise"))?;
        Ok(map)
    }

    /// Maps zeroed memory that is shared with children of a later `fork`. For tests.
    pub fn anonymous(len: usize) -> Result<Self, RingError> {
        // SAFETY: a new mapping at an address that the kernel chooses.
        let ptr =
            unsafe { mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED) };
        Ok(Self::own(ptr.map_err(RingError::os("mmap"))?, len))
    }

    fn own(ptr: *mut std::ffi::c_void, len: usize) -> Self {
        let ptr = NonNull::new(ptr.cast()).expect("SHM-2 mmap gave address 0");
        Mapping { ptr, len, pid: getpid() }
    }

    /// Its length in bytes.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The address of `len` bytes at `at`; panics outside the mapping.
    pub(crate) fn ptr(&self, at: usize, len: usize) -> *mut u8 {
        assert!(at <= self.len && len <= self.len - at, "SHM-2 {at}+{len} outside a mapping of {}", self.len);
        // SAFETY: inside the mapping, by the check above.
        unsafe { self.ptr.as_ptr().add(at) }
    }

    /// The 32-bit atomic at byte `at`.
    pub(crate) fn u32(&self, at: usize) -> &AtomicU32 {
        let ptr = self.ptr(at, 4);
        assert!(ptr.cast::<u32>().is_aligned(), "SHM-2 unaligned word at {at}");
        // SAFETY: in bounds, aligned, lives as long as `self`; all processes use atomics on such words.
        unsafe { AtomicU32::from_ptr(ptr.cast()) }
    }

    /// The 64-bit atomic at byte `at`.
    pub(crate) fn u64(&self, at: usize) -> &AtomicU64 {
        let ptr = self.ptr(at, 8);
        assert!(ptr.cast::<u64>().is_aligned(), "SHM-2 unaligned word at {at}");
        // SAFETY: in bounds, aligned, lives as long as `self`; all processes use atomics on such words.
        unsafe { AtomicU64::from_ptr(ptr.cast()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SHM-3: in a forked child the range may by now be somebody else's.
        if getpid() == self.pid {
            // SAFETY: ours alone, and nobody can hold a pointer beyond the last `Arc` of it.
            let _ = unsafe { munmap(self.ptr.as_ptr().cast(), self.len) };
        }
    }
}

/// The size of a memory file that can't shrink any more.
fn sealed_len(fd: BorrowedFd<'_>) -> Result<usize, RingError> {
    let seals = fcntl_get_seals(fd).map_err(RingError::os("fcntl(F_GET_SEALS)"))?;
    if !seals.contains(SealFlags::SHRINK) {
        let expected = u64::from(SealFlags::SHRINK.bits());
        return Err(RingError::Layout { what: "seals", found: u64::from(seals.bits()), expected });
    }
    let size = fstat(fd).map_err(RingError::os("fstat"))?.st_size;
    Ok(usize::try_from(size).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsealed_or_short_file_is_refused() {
        let open = memfd_create("t", MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&open, 4096).unwrap();
        assert!(matches!(Mapping::map(&open, 1), Err(RingError::Layout { what: "seals", .. })));
        let short = Mapping::create_file("t", 4096).unwrap();
        assert!(matches!(Mapping::map(&short, 8192), Err(RingError::Layout { what: "file size", .. })));
        assert!(ftruncate(&short, 0).is_err());
    }

    #[test]
    #[should_panic(expected = "SHM-2")]
    fn out_of_bounds_panics() {
        Mapping::anonymous(4096).unwrap().u32(4096);
    }
}
