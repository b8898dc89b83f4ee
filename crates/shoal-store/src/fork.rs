//! Whether this process is a forked child of the one that made a handle (ARENA-7): a page which the kernel wipes in the
//! child.
use crate::error::{StoreError, system};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};

const LEN: usize = 4096;

pub(crate) struct ForkPage(*mut AtomicU32);

// SAFETY: one atomic, in a private page that lives as long as this value.
unsafe impl Send for ForkPage {}
// SAFETY: as above.
unsafe impl Sync for ForkPage {}

impl ForkPage {
    pub fn new() -> Result<Self, StoreError> {
        // SAFETY: a new private mapping; nothing else knows it.
        let page = unsafe { mmap_anonymous(null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) }
            .map_err(system("mmap of the fork page"))?;
        let page = Self(page.cast());
        // SAFETY: the page just mapped.
        unsafe { madvise(page.0.cast(), LEN, Advice::LinuxWipeOnFork) }.map_err(system("madvise(MADV_WIPEONFORK)"))?;
        page.word().store(1, Ordering::Relaxed);
        Ok(page)
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: mapped until drop, aligned.
        unsafe { &*self.0 }
    }

    /// Whether a fork lies between `new` and now.
    pub fn in_child(&self) -> bool {
        self.word().load(Ordering::Relaxed) == 0
    }
}

impl Drop for ForkPage {
    fn drop(&mut self) {
        // SAFETY: ours alone, also in a child, which inherited the address.
        let _ = unsafe { munmap(self.0.cast(), LEN) };
    }
}
