//! Every interleaving of clients that pin and read with a server that frees and a lessee that writes anew (ARENA-2).
//!
//! The object's bytes are a tracked cell: loom fails a model in which they are read while they are written.
use crate::layout::{EMPTY, FREE, OPEN, SEALED, Table};
use crate::meet;
use crate::pin_table::{PinKey, PinTable};
use crate::slots::Slots;
use crate::sync::AtomicU64;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

const CHUNK: u64 = 0;
const ENTRY: u32 = 0;
const GENERATION: u32 = 7;

struct World {
    /// The chunk's header and its one entry.
    words: Vec<AtomicU64>,
    bytes: UnsafeCell<u32>,
    pins: [PinTable; 2],
    hint: AtomicU64,
}

// SAFETY: loom checks every access to the cell.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

impl World {
    fn new() -> Arc<Self> {
        let words = (0..16).map(|_| AtomicU64::new(0)).collect();
        let pins = [PinTable::model(2), PinTable::model(2)];
        let world = World { words, bytes: UnsafeCell::new(GENERATION), pins, hint: AtomicU64::new(0) };
        world.table().set(ENTRY, GENERATION, SEALED);
        Arc::new(world)
    }

    fn table(&self) -> Table {
        // SAFETY: eight words of header, eight of the entry.
        unsafe { Table::at(self.words.as_ptr().cast()) }
    }

    /// A client that pins, reads and lets go. True if it got the object.
    fn read(&self, client: usize) -> bool {
        let (mut slots, pins) = (Slots::<()>::default(), &self.pins[client]);
        let spot = (CHUNK, ENTRY, GENERATION);
        let verified = || (self.table().get(ENTRY) == (GENERATION, SEALED)).then_some(());
        let Ok((slot, ())) = meet::pin(&mut slots, pins, spot, verified).expect("two slots are enough") else {
            return false;
        };
        // SAFETY: loom reports a concurrent write.
        self.bytes.with(|bytes| assert_eq!(unsafe { *bytes }, GENERATION, "ARENA-2: it reads another object"));
        slots.clear(pins, slot, spot);
        if meet::was_put_off(&self.table(), ENTRY, GENERATION) {
            self.hint.store(1, crate::sync::Ordering::Release);
        }
        true
    }

    /// The server frees, if nobody has it pinned.
    fn free(&self) -> bool {
        meet::evict(&self.table(), ENTRY, GENERATION);
        self.retry()
    }

    fn retry(&self) -> bool {
        let wanted = [PinKey::new(CHUNK, ENTRY, GENERATION)].into_iter().collect();
        let free = meet::pinned(self.pins.iter(), &wanted).is_empty();
        if free {
            meet::finish(&self.table(), ENTRY, GENERATION);
        }
        free
    }

    /// The server takes the object out, if nobody has it pinned; else it is as it was.
    fn take_out(&self) -> bool {
        let gone = self.free();
        if !gone {
            meet::keep(&self.table(), ENTRY, GENERATION);
        }
        gone
    }

    /// The lessee starts the chunk again when it sees it FREE, and seals another object there.
    fn write_anew(&self) {
        let table = self.table();
        if table.get(ENTRY) != (GENERATION, FREE) {
            return;
        }
        table.set(ENTRY, GENERATION + 1, EMPTY);
        table.set(ENTRY, GENERATION + 1, OPEN);
        // SAFETY: loom reports a concurrent access.
        self.bytes.with_mut(|bytes| unsafe { *bytes = GENERATION + 1 });
        table.set(ENTRY, GENERATION + 1, SEALED);
    }
}

fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(body);
}

#[test]
fn nothing_is_written_anew_under_a_pin() {
    model(|| {
        let world = World::new();
        let reader = thread::spawn({
            let world = world.clone();
            move || world.read(0)
        });
        if world.free() {
            world.write_anew();
        }
        reader.join().unwrap();
    });
}

#[test]
fn a_put_off_free_is_hinted_at() {
    model(|| {
        let world = World::new();
        let reader = thread::spawn({
            let world = world.clone();
            move || world.read(0)
        });
        let freed = world.free();
        let read = reader.join().unwrap();
        assert!(freed || !read || world.hint.load(crate::sync::Ordering::Acquire) == 1, "nobody frees it any more");
        assert!(freed || world.retry(), "a pin is left over");
        assert!(!world.read(0), "it was freed");
    });
}

#[test]
fn two_readers_and_a_lessee_of_its_own() {
    model(|| {
        let world = World::new();
        let reader = thread::spawn({
            let world = world.clone();
            move || (world.read(0), world.read(0))
        });
        let lessee = thread::spawn({
            let world = world.clone();
            move || world.write_anew()
        });
        world.free();
        reader.join().unwrap();
        lessee.join().unwrap();
    });
}

#[test]
fn the_pins_of_every_client_count() {
    model(|| {
        let world = World::new();
        let readers = [0, 1].map(|client| {
            let world = world.clone();
            thread::spawn(move || world.read(client))
        });
        if world.free() {
            world.write_anew();
        }
        let _ = readers.map(|reader| reader.join().unwrap());
    });
}

#[test]
fn what_is_taken_out_is_not_read_and_what_is_kept_can_be_pinned_again() {
    model(|| {
        let world = World::new();
        let readers = [0, 1].map(|client| {
            let world = world.clone();
            thread::spawn(move || world.read(client))
        });
        let gone = world.take_out();
        if gone {
            world.write_anew();
        }
        let _ = readers.map(|reader| reader.join().unwrap());
        assert_eq!(world.read(0), !gone, "a reader that was too late at first finds it, or it is gone");
    });
}
