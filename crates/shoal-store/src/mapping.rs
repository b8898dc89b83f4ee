//! Memory files and their mappings.
use crate::error::{StoreError, system};
use crate::fork::ForkPage;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mprotect, munmap};
use std::ptr::null_mut;
use std::sync::Arc;

/// A sparse memory file of `len` bytes whose size can't change: a mapping of it never loses its end.
pub(crate) fn memory_file(name: &str, len: u64) -> Result<OwnedFd, StoreError> {
    let fd = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).map_err(system("memfd_create"))?;
    ftruncate(&fd, len).map_err(system("ftruncate of a memory file"))?;
    fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)
        .map_err(system("fcntl(F_ADD_SEALS)"))?;
    Ok(fd)
}

/// Reserves the pages of a range; those that exist already stay.
pub(crate) fn reserve(fd: impl AsFd, offset: u64, len: u64) -> rustix::io::Result<()> {
    retry(|| fallocate(&fd, FallocateFlags::KEEP_SIZE, offset, len))
}

/// Gives the pages of a range back to the machine, in every mapping.
pub(crate) fn punch(fd: impl AsFd, offset: u64, len: u64) -> rustix::io::Result<()> {
    retry(|| fallocate(&fd, FallocateFlags::KEEP_SIZE | FallocateFlags::PUNCH_HOLE, offset, len))
}

fn retry(mut call: impl FnMut() -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            done => return done,
        }
    }
}

/// A shared mapping of a range of a memory file.
pub(crate) struct Mapping {
    base: *mut u8,
    offset: u64,
    len: u64,
    fork: Option<Arc<ForkPage>>,
}

// SAFETY: an address range; who accesses it answers for how.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// What a mapping is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Readable, also in forked children.
    Read,
    /// Writable, and absent in forked children: a stray write there faults instead of harming the parent.
    Write,
    /// Addresses only, of which some become writable ([`Mapping::open`]); absent in forked children.
    Reserved,
}

impl Mapping {
    /// Maps `len` bytes from `offset`. With `fork`, a forked child doesn't unmap what it may not have.
    pub fn new(fd: impl AsFd, offset: u64, len: u64, to: Use, fork: Option<Arc<ForkPage>>) -> Result<Self, StoreError> {
        let size = usize::try_from(len).map_err(|_| StoreError::OutOfBounds("a mapping"))?;
        let prot = match to {
            Use::Read => ProtFlags::READ,
            Use::Write => ProtFlags::READ | ProtFlags::WRITE,
            Use::Reserved => ProtFlags::empty(),
        };
        // SAFETY: a new mapping at an address that the kernel chooses.
        let base = unsafe { mmap(null_mut(), size, prot, MapFlags::SHARED | MapFlags::NORESERVE, fd, offset) }
            .map_err(system("mmap of the arena"))?;
        let mapping = Self { base: base.cast(), offset, len, fork };
        if to != Use::Read {
            // SAFETY: the range just mapped.
            unsafe { madvise(base, size, Advice::LinuxDontFork) }.map_err(system("madvise(MADV_DONTFORK)"))?;
        }
        Ok(mapping)
    }

    /// Address of the file's byte `offset`.
    pub fn at(&self, offset: u64) -> *mut u8 {
        assert!(offset >= self.offset && offset - self.offset <= self.len, "ARENA-6: {offset} is outside of a mapping");
        // SAFETY: inside the mapping, or one past it.
        unsafe { self.base.add((offset - self.offset) as usize) }
    }

    /// Whether it shows all of that range.
    pub fn covers(&self, offset: u64, len: u64) -> bool {
        offset >= self.offset && offset - self.offset <= self.len && len <= self.len - (offset - self.offset)
    }

    /// Makes page table entries for a range that was reserved. A hint. `fresh`: its pages have never been touched, and each
    /// is cleared for it, at half the cost of as many faults; else the kernel makes 16 entries at a time.
    pub fn populate(&self, offset: u64, len: u64, fresh: bool) {
        if self.covers(offset, len) {
            let advice = if fresh { Advice::LinuxPopulateWrite } else { Advice::LinuxPopulateRead };
            // SAFETY: inside the mapping; contents stay.
            let _ = unsafe { madvise(self.at(offset).cast(), len as usize, advice) };
        }
    }

    /// Makes a part of a reservation writable. Whole pages.
    pub fn open(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        assert!(self.covers(offset, len), "ARENA-6: {len} bytes from {offset} are outside of a mapping");
        // SAFETY: inside the mapping, which is this value's.
        unsafe { mprotect(self.at(offset).cast(), len as usize, MprotectFlags::READ | MprotectFlags::WRITE) }
            .map_err(system("mprotect of the arena"))
    }

    /// Takes that back, and the page table's entries. The pages stay the file's.
    pub fn close(&self, offset: u64, len: u64) {
        if self.covers(offset, len) {
            let start = self.at(offset).cast();
            // SAFETY: inside the mapping; who has an address of it has no window on it any more. If it fails, the range
            // stays writable, which nobody relies on.
            let _ = unsafe { madvise(start, len as usize, Advice::LinuxDontNeed) };
            // SAFETY: as above.
            let _ = unsafe { mprotect(start, len as usize, MprotectFlags::empty()) };
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.fork.as_ref().is_some_and(|page| page.in_child()) {
            return;
        }
        // SAFETY: mapped by `new`; whoever uses an address of it holds it.
        let _ = unsafe { munmap(self.base.cast(), self.len as usize) };
    }
}
