//! Where spilled bytes lie: a trait, and folders of this machine behind it.
//!
//! - STORAGE-1 a file has no name as soon as it exists: whatever dies, nothing stays.
//! - STORAGE-2 a full disk is an error of `write` or `reserve`; what is reserved can be written through a mapping.
//! - STORAGE-3 a share of the file system is left to others.
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FallocateFlags, Mode, OFlags, fallocate, fstatvfs, openat, unlinkat};
use rustix::io::Errno;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why bytes can't be stored or read, for people.
pub type Trouble = String;

/// A place for files of spilled objects. Called by threads that may wait.
pub trait Storage: Send + Sync {
    /// A new, empty file.
    fn create(&self) -> Result<Box<dyn SpillFile>, Trouble>;
}

/// One file.
pub trait SpillFile: Send + Sync {
    /// Writes all of it.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Trouble>;
    /// Fills `bytes`; a file that ends before is an error.
    fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Trouble>;
    /// Makes sure that the range can be written through a mapping.
    fn reserve(&self, offset: u64, len: u64) -> Result<(), Trouble>;
    /// The range is needed no more.
    fn release(&self, offset: u64, len: u64);
    /// What a process maps, where the storage has such a thing.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;
}

/// A folder of a local file system.
pub struct Folder {
    path: PathBuf,
    /// STORAGE-3: from this share of the file system in use on nothing is written.
    limit: f64,
}

static NAMES: AtomicU64 = AtomicU64::new(0);

impl Folder {
    /// Files in `path`, as long as no more than `limit` (0 to 1) of its file system is in use.
    pub fn new(path: PathBuf, limit: f64) -> Self {
        Self { path, limit }
    }

    fn open(&self) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        match openat(CWD, &self.path, flags | OFlags::TMPFILE, mode) {
            // Not every file system makes files without a name.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
            done => return done,
        }
        let number = NAMES.fetch_add(1, Ordering::Relaxed);
        let name = self.path.join(format!(".shoal-spill-{}-{number}", std::process::id()));
        let file = openat(CWD, &name, flags | OFlags::CREATE | OFlags::EXCL, mode)?;
        unlinkat(CWD, &name, rustix::fs::AtFlags::empty())?;
        Ok(file)
    }
}

impl Storage for Folder {
    fn create(&self) -> Result<Box<dyn SpillFile>, Trouble> {
        let fd = self.open().map_err(|e| format!("{}: {e}", self.path.display()))?;
        Ok(Box::new(LocalFile { fd, path: self.path.clone(), limit: self.limit }))
    }
}

struct LocalFile {
    fd: OwnedFd,
    path: PathBuf,
    limit: f64,
}

impl LocalFile {
    /// STORAGE-3.
    fn check_limit(&self, wanted: u64) -> Result<(), Trouble> {
        if self.limit >= 1.0 {
            return Ok(());
        }
        let Ok(stat) = fstatvfs(&self.fd) else { return Ok(()) };
        let (all, left) = (stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize);
        let kept = (all as f64 * (1.0 - self.limit)) as u64;
        if left >= kept.saturating_add(wanted) {
            return Ok(());
        }
        let mut text = self.says(&format!("{left} of {all} bytes are left"));
        let _ = write!(text, ", {kept} of them for others (local_fs_capacity_threshold)");
        Err(text)
    }

    fn says(&self, what: &dyn std::fmt::Display) -> Trouble {
        format!("{}: {what}", self.path.display())
    }
}

impl SpillFile for LocalFile {
    fn write(&self, mut offset: u64, mut bytes: &[u8]) -> Result<(), Trouble> {
        self.check_limit(bytes.len() as u64)?;
        while !bytes.is_empty() {
            match rustix::io::pwrite(&self.fd, bytes, offset) {
                Ok(0) => return Err(self.says(&"nothing more can be written")),
                Ok(n) => (offset, bytes) = (offset + n as u64, &bytes[n..]),
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.says(&error)),
            }
        }
        Ok(())
    }

    fn read(&self, mut offset: u64, mut bytes: &mut [u8]) -> Result<(), Trouble> {
        while !bytes.is_empty() {
            match rustix::io::pread(&self.fd, &mut *bytes, offset) {
                Ok(0) => return Err(self.says(&"a spilled file ends too early")),
                Ok(n) => {
                    offset += n as u64;
                    bytes = &mut bytes[n..];
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.says(&error)),
            }
        }
        Ok(())
    }

    fn reserve(&self, offset: u64, len: u64) -> Result<(), Trouble> {
        self.check_limit(len)?;
        loop {
            match fallocate(&self.fd, FallocateFlags::empty(), offset, len) {
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP) => return self.fill(offset, len),
                done => return done.map_err(|e| self.says(&e)),
            }
        }
    }

    fn release(&self, offset: u64, len: u64) {
        // Where it can't be done, the space comes back with the rest of the file.
        let _ = fallocate(&self.fd, FallocateFlags::KEEP_SIZE | FallocateFlags::PUNCH_HOLE, offset, len);
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.fd.as_fd())
    }
}

impl LocalFile {
    /// Reserves by writing, where a file system knows no other way.
    fn fill(&self, mut offset: u64, len: u64) -> Result<(), Trouble> {
        let (zeros, end) = (vec![0; 1 << 20], offset + len);
        while offset < end {
            let n = (end - offset).min(zeros.len() as u64);
            self.write(offset, &zeros[..n as usize])?;
            offset += n;
        }
        Ok(())
    }
}
