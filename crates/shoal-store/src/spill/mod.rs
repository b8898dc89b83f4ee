//! More than the arena holds: what is spilled, when, where to, and how it comes back. No thread, file, clock or socket in
//! here: events in, orders out; the daemon's threads read and write.
//!
//! An object is *named* by the place where it was sealed first ([`ArenaLoc`]), and owners never learn another name. The
//! states of those that are in this table; all others are in the arena, and nothing is known of them here:
//!
//! | in the arena | on disk | meaning | leaves it by |
//! |---|---|---|---|
//! | yes | being written | ahead of need, or because somebody waits for room | `Written` |
//! | yes | yes | a copy: its space is had at once, if nobody has it pinned | need, oldest first |
//! | no | yes | spilled | `Located` |
//! | being read | yes | restored, for who waits for it | `Restored` |
//! | no | being checked | before it is mapped the first time | `Checked` |
//! | no | yes, mapped | readers have a mapping of its file | `Unmapped`, their deaths |
//! | no | open | a client writes it through a mapping of a file | `Sealed`, `GivenUp`, its death |
//! | no | lost | it can't be read back | its free |
//!
//! - SPILL-1 an object leaves the arena only when all of it is on disk and nobody has it pinned.
//! - SPILL-2 what is on disk has a sum, which is checked when it is read back, and before it is mapped the first time. What
//!   can't be read, or has another sum, is lost: who asks and its owner are told why.
//! - SPILL-3 a range of a file is released when its object is freed, nobody maps it, and no thread is at work in it.
//! - SPILL-4 who wants space gets it in the arena, where room is or can be made; when nothing that is written will make
//!   some, a range of a file; when no disk has room, it waits, and `Full` is the last word. First come, first served.
//! - SPILL-5 a reader never waits for room: what doesn't fit is mapped from its file.
//! - SPILL-6 each ticket is answered once, or its client is dead; also one that nobody waits for any more.
//! - SPILL-7 frames that no ring held are never moved: their readers can't ask.
//! - SPILL-8 what lies in a chunk that is still open is not moved. When somebody waits for room and nothing can be written,
//!   everybody is asked for their open chunks, once for each: so nobody keeps room from others by not writing on.
mod api;
mod files;
mod free;
mod read;
mod space;
#[cfg(test)]
mod tests;
mod write;

pub use api::{Event, Extent, FileId, Held, Job, Order, Part, ReadError, SpillConfig, SpillStats, Ticket};

use crate::grant::ClientSlot;
use crate::server::{ArenaServer, Restoring};
use files::Files;
use rustc_hash::FxHashMap;
use shoal_types::{ArenaLoc, ObjectId, WorkerId};
use space::Want;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A place in the arena: chunk, entry, generation.
type Spot = (u64, u32, u32);

fn spot(loc: &ArenaLoc) -> Spot {
    (loc.chunk, loc.entry, loc.generation)
}

#[derive(Debug)]
enum Place {
    Arena(ArenaLoc),
    Restoring,
    Nowhere,
}

#[derive(Debug)]
enum Disk {
    Writing(Extent),
    Stored {
        extent: Extent,
        sum: u64,
        /// The sum was found right.
        checked: bool,
        /// A thread reads it.
        busy: bool,
    },
    /// Why.
    Lost(String, Extent),
}

#[derive(Debug)]
struct Object {
    id: ObjectId,
    owner: WorkerId,
    /// Its name.
    loc: ArenaLoc,
    /// Who wrote it.
    writer: ClientSlot,
    len: u64,
    place: Place,
    disk: Disk,
    /// Its key in `copies`, while it is there.
    age: u64,
    /// Who maps it, and how often.
    readers: Vec<(ClientSlot, u32)>,
    /// Who waits until it is read, and whether for a mapping.
    waiting: Vec<(Ticket, bool)>,
    freed: bool,
}

/// What a thread was asked to do.
#[derive(Debug)]
enum Doing {
    Write { names: Vec<Spot>, bytes: u64 },
    Restore(Spot, Restoring),
    Check(Spot),
    Reserve { ticket: Ticket, extent: Extent },
}

/// A node's object store: the arena, and what of it is on disk.
pub struct Store {
    /// The arena itself.
    pub arena: ArenaServer,
    config: SpillConfig,
    /// By name.
    objects: FxHashMap<Spot, Object>,
    /// Names of objects in this table by their place, where that is another.
    places: FxHashMap<Spot, Spot>,
    /// In the arena and on disk, oldest first.
    copies: BTreeMap<u64, Spot>,
    copied_bytes: u64,
    /// Ranges that clients write.
    open: FxHashMap<Spot, (Extent, ClientSlot)>,
    jobs: FxHashMap<Job, Doing>,
    writes: usize,
    written_bytes: u64,
    wants: VecDeque<Want>,
    files: Files,
    /// A look found nothing to write: the next is not before.
    look_again: Duration,
    filling: bool,
    serial: u64,
}

impl Store {
    /// A store around an arena that nobody uses yet.
    pub fn new(arena: ArenaServer, config: SpillConfig) -> Self {
        Self {
            arena,
            files: Files::new(config.places),
            config,
            objects: FxHashMap::default(),
            places: FxHashMap::default(),
            copies: BTreeMap::new(),
            copied_bytes: 0,
            open: FxHashMap::default(),
            jobs: FxHashMap::default(),
            writes: 0,
            written_bytes: 0,
            wants: VecDeque::new(),
            look_again: Duration::ZERO,
            filling: false,
            serial: 0,
        }
    }

    /// Takes an event; what is to be done about it is added to `out`.
    pub fn handle(&mut self, now: Duration, event: Event, out: &mut Vec<Order>) {
        match event {
            Event::SpaceWanted { ticket, len, file } => self.on_wanted(now, ticket, len, file),
            Event::NotWanted(ticket) => self.on_not_wanted(ticket, out),
            Event::Sealed { ticket, loc, id, owner, sum } => self.on_sealed(ticket, loc, (id, owner), sum, out),
            Event::GivenUp { slot, loc } => self.on_given_up(slot, &loc, out),
            Event::Located { ticket, id, loc, map } => self.on_located(ticket, id, loc, map, out),
            Event::Freed(objects) => self.on_freed(&objects, out),
            Event::Unmapped { slot, objects } => self.on_unmapped(slot, &objects, out),
            Event::Returned { slot, chunks } => self.on_returned(slot, chunks),
            Event::PinGone => self.arena.on_pin_hint(),
            Event::ClientDied(slot) => self.on_client_died(slot, out),
            Event::OwnerDied(owner) => self.on_owner_died(owner, out),
            Event::Written { job, result } => self.on_written(now, job, result, out),
            Event::Restored { job, result } => self.on_restored(job, result, out),
            Event::Checked { job, result } => self.on_checked(job, result, out),
            Event::Reserved { job, result } => self.on_reserved(now, job, result, out),
        }
        self.pump(now, out);
    }

    /// Does what is due; as [`ArenaServer::sweep`].
    pub fn sweep(&mut self, now: Duration, out: &mut Vec<Order>) -> Option<Duration> {
        let arena = self.arena.sweep(now);
        if !self.wants.is_empty() {
            self.pump(now, out);
        }
        [arena, self.next_deadline(now)].into_iter().flatten().min()
    }

    /// Serves who waits, and sees to it that the next need not.
    fn pump(&mut self, now: Duration, out: &mut Vec<Order>) {
        self.serve(now, out);
        self.write_ahead(now, out);
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn begin_job(&mut self, doing: Doing) -> Job {
        let job = Job(self.next_serial());
        self.jobs.insert(job, doing);
        job
    }

    /// The object of that name, if it is in the table.
    fn known(&self, loc: &ArenaLoc, id: ObjectId) -> Option<&Object> {
        self.objects.get(&spot(loc)).filter(|object| object.id == id)
    }

    /// Objects that lie on disk only.
    pub fn on_disk(&self) -> impl Iterator<Item = ObjectId> {
        self.objects.values().filter(|o| !o.freed && !matches!(o.place, Place::Arena(_))).map(|o| o.id)
    }

    /// What is on disk.
    pub fn stats(&self) -> SpillStats {
        let disk = self.objects.values().filter(|o| matches!(o.disk, Disk::Stored { .. }));
        let (objects, bytes) = disk.fold((0, 0), |(n, bytes), o| (n + 1, bytes + o.len));
        let mapped = self.objects.values().filter(|o| !o.readers.is_empty()).count() as u64;
        let (files, file_bytes) = self.files.stats();
        SpillStats { objects, bytes, mapped, files, file_bytes, waiting: self.wants.len() as u64 }
    }
}
