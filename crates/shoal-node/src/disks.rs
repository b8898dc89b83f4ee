//! The threads that read and write spilled objects: the event loop never waits for a disk.
//!
//! - DISK-1 two threads, started when first needed; reads, which somebody waits for, before writes.
//! - DISK-2 a file is made by its first write or reservation, and closed when its last byte is released; nothing is
//!   ordered of a file after that.
//! - DISK-3 bytes are copied out of the arena before they are summed and written: who wrote them could write again.
use parking_lot::{Condvar, Mutex};
use rustc_hash::FxHashMap;
use shoal_net::{EventFd, NetError};
use shoal_store::spill::{Event, Extent, FileId, Order, Part, ReadError};
use shoal_store::{ArenaMemory, SpillFile, Storage, Sum, Trouble};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

const THREADS: usize = 2;
/// What a thread copies at once.
const PIECE: usize = 1 << 20;

#[derive(Default)]
struct Queue {
    reads: VecDeque<Order>,
    writes: VecDeque<Order>,
}

struct Shared {
    storages: Vec<Box<dyn Storage>>,
    memory: Arc<ArenaMemory>,
    files: Mutex<FxHashMap<FileId, Arc<dyn SpillFile>>>,
    queue: Mutex<Queue>,
    ready: Condvar,
    done: Mutex<Vec<Event>>,
    bell: EventFd,
    /// Only in tests (`shoal_crash::disk_delay`).
    delay: Duration,
}

/// The disks as the event loop sees them.
pub(crate) struct Disks {
    shared: Arc<Shared>,
    threads: usize,
}

impl Disks {
    pub fn new(storages: Vec<Box<dyn Storage>>, memory: Arc<ArenaMemory>) -> Result<Self, NetError> {
        let shared = Shared {
            storages,
            memory,
            files: Mutex::default(),
            queue: Mutex::default(),
            ready: Condvar::new(),
            done: Mutex::default(),
            bell: EventFd::new()?,
            delay: Duration::from_millis(shoal_crash::disk_delay()),
        };
        Ok(Self { shared: Arc::new(shared), threads: 0 })
    }

    /// Readable when [`Disks::done`] has something.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.shared.bell.as_fd()
    }

    /// What has been done since the last call.
    pub fn done(&self) -> Vec<Event> {
        self.shared.bell.drain();
        std::mem::take(&mut *self.shared.done.lock())
    }

    /// Has an order carried out that needs a disk.
    pub fn push(&mut self, order: Order) {
        if self.threads < THREADS {
            self.start();
        }
        let mut queue = self.shared.queue.lock();
        match order {
            Order::Restore { .. } | Order::Check { .. } => queue.reads.push_back(order),
            _ => queue.writes.push_back(order),
        }
        drop(queue);
        self.shared.ready.notify_one();
    }

    fn start(&mut self) {
        let shared = self.shared.clone();
        let thread = std::thread::Builder::new().name(format!("shoal-disk-{}", self.threads));
        match thread.spawn(move || shared.serve()) {
            Ok(_) => self.threads += 1,
            Err(error) if self.threads > 0 => shoal_net::say!("one thread for disks must do: {error}"),
            Err(error) => panic!("DISK-1: no thread can be started: {error}"),
        }
    }

    /// The file, for a client to map: writable, or not.
    pub fn descriptor(&self, file: FileId, writable: bool) -> Result<OwnedFd, Trouble> {
        let files = self.shared.files.lock();
        let fd = files.get(&file).and_then(|file| file.descriptor()).ok_or("its storage has no files to map")?;
        let number = std::os::fd::AsRawFd::as_raw_fd(&fd);
        let made = if writable {
            fd.try_clone_to_owned()
        } else {
            // Another descriptor of the same file that can't write.
            std::fs::File::open(format!("/proc/self/fd/{number}")).map(OwnedFd::from)
        };
        made.map_err(|error| error.to_string())
    }
}

impl Shared {
    fn serve(&self) {
        let mut piece = vec![0; PIECE];
        loop {
            let order = self.next();
            if let Some(event) = self.carry_out(order, &mut piece) {
                self.done.lock().push(event);
                self.bell.kick();
            }
        }
    }

    fn next(&self) -> Order {
        let mut queue = self.queue.lock();
        loop {
            let next = queue.reads.pop_front().or_else(|| queue.writes.pop_front());
            match next {
                Some(order) => return order,
                None => self.ready.wait(&mut queue),
            }
        }
    }

    fn carry_out(&self, order: Order, piece: &mut [u8]) -> Option<Event> {
        Some(match order {
            Order::Write { job, file, parts } => Event::Written { job, result: self.write(file, &parts, piece) },
            Order::Restore { job, extent, sum, to, cold } => {
                Event::Restored { job, result: self.restore(extent, sum, to, cold, piece) }
            }
            Order::Check { job, extent, sum } => {
                Event::Checked { job, result: self.read(extent, sum, piece, |_, _| {}) }
            }
            Order::Reserve { job, extent } => {
                let file = self.file(extent.file);
                Event::Reserved { job, result: file.and_then(|file| file.reserve(extent.offset, extent.len)) }
            }
            Order::Release(extent) => {
                let file = self.files.lock().get(&extent.file).cloned();
                file.iter().for_each(|file| file.release(extent.offset, extent.len));
                return None;
            }
            Order::Close(file) => {
                // Not under the lock: the file system takes its time to free a large file.
                let file = self.files.lock().remove(&file);
                drop(file);
                return None;
            }
            other => unreachable!("{other:?} needs no disk"),
        })
    }

    /// DISK-2.
    fn file(&self, id: FileId) -> Result<Arc<dyn SpillFile>, Trouble> {
        let mut files = self.files.lock();
        if let Some(file) = files.get(&id) {
            return Ok(file.clone());
        }
        let file: Arc<dyn SpillFile> = Arc::from(self.storages[id.place].create()?);
        files.insert(id, file.clone());
        Ok(file)
    }

    fn write(&self, file: FileId, parts: &[Part], piece: &mut [u8]) -> Result<Vec<u64>, Trouble> {
        let file = self.file(file)?;
        parts.iter().map(|part| self.write_part(&*file, part, piece)).collect()
    }

    fn write_part(&self, file: &dyn SpillFile, part: &Part, piece: &mut [u8]) -> Result<u64, Trouble> {
        let mut sum = Sum::default();
        for (at, n) in pieces(part.len) {
            let piece = &mut piece[..n];
            self.memory.read(part.from + at, piece);
            sum.add(piece);
            file.write(part.to + at, piece)?;
        }
        Ok(sum.end())
    }

    fn restore(&self, extent: Extent, sum: u64, to: u64, cold: bool, piece: &mut [u8]) -> Result<(), ReadError> {
        if cold && self.memory.reserve(to, extent.len).is_err() {
            return Err(ReadError::NoMemory);
        }
        self.read(extent, sum, piece, |at, bytes| self.memory.write(to + at, bytes)).map_err(ReadError::Lost)
    }

    fn read(
        &self,
        extent: Extent,
        wanted: u64,
        piece: &mut [u8],
        mut with: impl FnMut(u64, &[u8]),
    ) -> Result<(), Trouble> {
        if !self.delay.is_zero() {
            std::thread::sleep(self.delay);
        }
        let file = self.files.lock().get(&extent.file).cloned().ok_or("its file is gone")?;
        let mut sum = Sum::default();
        for (at, n) in pieces(extent.len) {
            let piece = &mut piece[..n];
            file.read(extent.offset + at, piece)?;
            sum.add(piece);
            with(at, piece);
        }
        if sum.end() == wanted { Ok(()) } else { Err("its bytes are not those that were written".into()) }
    }
}

/// (first byte, bytes) of each piece.
fn pieces(len: u64) -> impl Iterator<Item = (u64, usize)> {
    (0..len).step_by(PIECE).map(move |at| (at, (len - at).min(PIECE as u64) as usize))
}
