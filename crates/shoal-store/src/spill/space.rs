//! Who wants space (SPILL-4).
use super::api::{Held, Job, Order, Ticket};
use super::{Disk, Doing, Object, Place, Store, spot};
use crate::error::{Holder, StoreError};
use crate::grant::{ChunkGrant, ChunkReturn, ClientSlot};
use crate::layout::{PAGE, align_up};
use crate::server::Left;
use crate::storage::Trouble;
use shoal_types::{ArenaLoc, ObjectId, WorkerId};
use std::cmp::Reverse;
use std::time::Duration;

/// Names of objects that never lay in the arena begin here: no place of the arena does.
const FILE_NAMES: u64 = 1 << 62;
/// Objects that an error lists.
const NAMED: usize = 5;

/// While somebody waits: pins go without a word, and other programs make room on disks.
const LOOK: Duration = Duration::from_millis(50);

/// Somebody waits for space.
#[derive(Clone, Debug)]
pub(super) struct Want {
    pub ticket: Ticket,
    pub len: u64,
    /// Whether a range of a file will do.
    pub file: bool,
    pub until: Duration,
    /// A thread reserves a range of a file for it.
    pub reserving: bool,
}

impl Store {
    pub(super) fn on_wanted(&mut self, now: Duration, ticket: Ticket, len: u64, file: bool) {
        let hopeless = !self.fits(len) && (self.config.places == 0 || !file);
        let until = if hopeless { now } else { now + self.config.full_wait };
        self.wants.push_back(Want { ticket, len, file, until, reserving: false });
    }

    /// Gives space to those who wait, in order.
    pub(super) fn serve(&mut self, now: Duration, out: &mut Vec<Order>) {
        let mut at = 0;
        while let Some(want) = self.wants.get(at).cloned() {
            if want.reserving {
                at += 1;
                continue;
            }
            let ticket = want.ticket;
            match self.lease(&want) {
                Err(StoreError::Full { .. }) => {}
                Ok(grant) => {
                    self.wants.remove(at);
                    out.push(Order::Chunk { ticket, grant });
                    continue;
                }
                Err(error) => {
                    self.wants.remove(at);
                    out.push(Order::Full { ticket, error, disk: String::new(), largest: Vec::new() });
                    continue;
                }
            }
            if self.fits(want.len) && (self.writes > 0 || self.write_batch(now, out)) {
                return;
            }
            if self.fits(want.len) {
                out.extend(self.arena.call_in().into_iter().map(Order::CallIn));
            }
            if want.file && self.reserve(now, at, out) {
                at += 1;
            } else if want.until <= now {
                self.wants.remove(at);
                out.push(self.full(&want));
            } else {
                at += 1;
            }
        }
    }

    pub(super) fn on_returned(&mut self, slot: ClientSlot, chunks: Vec<ChunkReturn>) {
        for chunk in chunks {
            self.arena.return_chunk(slot, chunk);
        }
        self.look_again = Duration::ZERO;
    }

    /// When who waits is to be looked after, if nothing happens.
    pub(super) fn next_deadline(&self, now: Duration) -> Option<Duration> {
        if self.writes > 0 {
            return None;
        }
        let waiting = self.wants.iter().filter(|want| !want.reserving);
        Some(waiting.map(|want| want.until).min()?.clamp(now, now + LOOK))
    }

    /// Whether an object of that length could ever lie in the arena.
    fn fits(&self, len: u64) -> bool {
        align_up(len, PAGE).is_some_and(|len| len.saturating_add(PAGE) <= self.arena.objects_end())
    }

    /// Room in the arena, made by taking copies out.
    fn lease(&mut self, want: &Want) -> Result<ChunkGrant, StoreError> {
        if !self.fits(want.len) && self.config.places > 0 {
            return Err(self.arena.full(want.len, u64::MAX));
        }
        // More than the least: chunks that get smaller and smaller cost a round trip each.
        let kept = self.arena.capacity() - self.arena.objects_end();
        let wished = want.len.saturating_add(PAGE + kept + self.arena.max_chunk());
        if self.arena.free_bytes() < wished {
            self.take_out_copies(wished - self.arena.free_bytes());
        }
        loop {
            let leased = if want.file {
                self.arena.lease_for_object(want.ticket.slot, want.len)
            } else {
                self.arena.lease_chunk(want.ticket.slot, want.len)
            };
            match leased {
                Err(StoreError::Full { .. }) if self.take_out_copies(want.len) => {}
                done => return done,
            }
        }
    }

    /// Takes unpinned copies of so many bytes out of the arena, oldest first; whether there was one.
    pub(super) fn take_out_copies(&mut self, bytes: u64) -> bool {
        if self.copies.is_empty() {
            return false;
        }
        let pins = self.arena.pins();
        let (mut chosen, mut sum) = (Vec::new(), 0);
        for name in self.copies.values() {
            let object = &self.objects[name];
            let Place::Arena(loc) = object.place else { continue };
            if sum >= bytes {
                break;
            }
            if !crate::server::is_pinned(&pins, &loc) {
                sum += object.len;
                chosen.push((*name, loc, object.id));
            }
        }
        let places = chosen.iter().map(|(_, loc, id)| (*loc, *id)).collect::<Vec<_>>();
        let gone = self.arena.take_out(&places);
        let mut any = false;
        for ((name, ..), _) in chosen.iter().zip(gone).filter(|(_, gone)| *gone) {
            self.leave_arena(name);
            any = true;
        }
        any
    }

    /// An object has no place in the arena any more.
    pub(super) fn leave_arena(&mut self, name: &super::Spot) {
        let Some(object) = self.objects.get_mut(name) else { return };
        if let Place::Arena(loc) = std::mem::replace(&mut object.place, Place::Nowhere) {
            self.places.remove(&spot(&loc));
            if self.copies.remove(&object.age).is_some() {
                self.copied_bytes -= object.len;
            }
        }
    }

    /// Asks for a range of a file for somebody who waits.
    fn reserve(&mut self, now: Duration, at: usize, out: &mut Vec<Order>) -> bool {
        let Some(extent) = self.files.take(now, self.wants[at].len) else { return false };
        self.wants[at].reserving = true;
        let job = self.begin_job(Doing::Reserve { ticket: self.wants[at].ticket, extent });
        out.push(Order::Reserve { job, extent });
        true
    }

    pub(super) fn on_reserved(
        &mut self,
        now: Duration,
        job: Job,
        result: Result<(), Trouble>,
        out: &mut Vec<Order>,
    ) {
        let Some(Doing::Reserve { ticket, extent }) = self.jobs.remove(&job) else { return };
        let waits = self.wants.iter().position(|want| want.ticket == ticket);
        match (result, waits) {
            (Ok(()), Some(at)) => {
                self.wants.remove(at);
                let chunk = FILE_NAMES | (self.next_serial() << 12);
                let loc = ArenaLoc { chunk, entry: 0, generation: 0, offset: 0, len: extent.len };
                self.open.insert(spot(&loc), (extent, ticket.slot));
                out.push(Order::File { ticket, loc, extent });
            }
            (Ok(()), None) => self.files.give_back(extent, out),
            (Err(why), at) => {
                self.files.give_back(extent, out);
                self.files.fail(now, extent.file.place, why);
                if let Some(at) = at {
                    self.wants[at].reserving = false;
                }
            }
        }
    }

    pub(super) fn on_sealed(
        &mut self,
        ticket: Ticket,
        loc: ArenaLoc,
        (id, owner): (ObjectId, WorkerId),
        sum: u64,
        out: &mut Vec<Order>,
    ) {
        match self.open.get(&spot(&loc)) {
            Some((_, slot)) if *slot == ticket.slot => {}
            _ => return out.push(Order::Refused(ticket, "a range of a file that is not this process's was sealed")),
        }
        let Some((extent, _)) = self.open.remove(&spot(&loc)) else { return };
        out.push(Order::Done(ticket));
        if self.arena.is_dead_owner(&owner) {
            return self.files.give_back(extent, out);
        }
        let disk = Disk::Stored { extent, sum, checked: false, busy: false };
        let named = Left { owner, id, loc: ArenaLoc { len: extent.len, ..loc } };
        let object = Object::new(named, ticket.slot, Place::Nowhere, disk);
        self.objects.insert(spot(&loc), object);
    }

    pub(super) fn on_given_up(&mut self, slot: ClientSlot, loc: &ArenaLoc, out: &mut Vec<Order>) {
        if self.open.get(&spot(loc)).is_some_and(|(_, of)| *of == slot)
            && let Some((extent, _)) = self.open.remove(&spot(loc))
        {
            self.files.give_back(extent, out);
        }
    }

    /// Ranges that a dead client was writing, and what it waited for.
    pub(super) fn forget_wants(&mut self, slot: ClientSlot, out: &mut Vec<Order>) {
        self.wants.retain(|want| want.ticket.slot != slot);
        for (_, (extent, _)) in self.open.extract_if(|_, (_, of)| *of == slot) {
            self.files.give_back(extent, out);
        }
    }

    fn full(&self, want: &Want) -> Order {
        let disk = if self.config.places == 0 {
            "spilling is off (automatic_object_spilling_enabled)".to_owned()
        } else if !want.file {
            String::new()
        } else {
            format!("nothing more can be spilled: {}", self.files.why())
        };
        Order::Full { ticket: want.ticket, error: self.arena.full(want.len, u64::MAX), disk, largest: self.largest() }
    }

    /// The largest objects, in the arena or not.
    fn largest(&self) -> Vec<Held> {
        let mut all = self.arena.all_sealed().into_iter().map(|(loc, holder)| (holder, Some(loc))).collect::<Vec<_>>();
        let on_disk = self.objects.iter().filter(|(_, o)| !o.freed && matches!(o.place, Place::Nowhere));
        all.extend(on_disk.map(|(_, o)| (Holder { id: o.id, owner: o.owner, len: o.len }, None)));
        all.sort_by_key(|(holder, _)| (Reverse(holder.len), holder.id));
        all.truncate(NAMED);
        let held = |(holder, loc): (Holder, Option<ArenaLoc>)| {
            let readers = match loc {
                Some(loc) => self.arena.holders_of(&loc),
                None => self.mapped_by(holder.id),
            };
            Held { holder, on_disk: loc.is_none(), readers }
        };
        all.into_iter().map(held).collect()
    }

    fn mapped_by(&self, id: ObjectId) -> Vec<WorkerId> {
        let object = self.objects.values().find(|object| object.id == id);
        let readers = object.into_iter().flat_map(|object| &object.readers);
        readers.filter_map(|(slot, _)| self.arena.worker_of(*slot)).collect()
    }
}
