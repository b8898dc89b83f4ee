//! From the arena to disk: which objects, when, and what becomes of them.
use super::api::{Job, Order, Part};
use super::{Disk, Doing, Object, Place, Spot, Store, spot};
use crate::layout::{ALIGN, PAGE};
use crate::grant::ClientSlot;
use crate::server::{Found, Left};
use crate::storage::Trouble;
use shoal_types::ObjectId;
use std::time::Duration;

/// Bytes that one thread writes in one go: long enough to be fast on any disk, short enough to wait for.
const BATCH: u64 = 32 << 20;
/// Batches under way at once.
const WRITES: usize = 3;
/// How long a look that found nothing holds: pins go without a word.
const LOOK: Duration = Duration::from_millis(20);

impl Object {
    pub(super) fn new(named: Left, writer: ClientSlot, place: Place, disk: Disk) -> Self {
        let (Left { owner, id, loc }, readers, waiting) = (named, Vec::new(), Vec::new());
        Self { id, owner, loc, writer, len: loc.len, place, disk, age: 0, readers, waiting, freed: false }
    }
}

impl Store {
    /// Writes until enough of the arena is free, or could be at once.
    pub(super) fn write_ahead(&mut self, now: Duration, out: &mut Vec<Order>) {
        if self.config.places == 0 {
            return;
        }
        let ready = |store: &Self| store.arena.free_bytes() + store.copied_bytes + store.written_bytes;
        let low = (self.arena.capacity() as f64 * (1.0 - self.config.threshold)) as u64;
        self.filling |= ready(self) < low;
        while self.filling {
            self.filling = ready(self) < low + self.batch_bytes() && self.write_batch(now, out);
        }
    }

    fn batch_bytes(&self) -> u64 {
        BATCH.min(self.arena.capacity() / 16)
    }

    /// Has a batch of the oldest objects written that nobody has pinned; whether there were any.
    pub(super) fn write_batch(&mut self, now: Duration, out: &mut Vec<Order>) -> bool {
        if self.config.places == 0 || self.writes >= WRITES || now < self.look_again {
            return false;
        }
        let batch = self.next_batch();
        let bytes = batch.iter().map(|found| found.loc.len).sum::<u64>();
        if batch.is_empty() {
            self.look_again = now + LOOK;
            return false;
        }
        let whole = batch.iter().map(|found| pages(found.loc.len)).sum();
        let Some(extent) = self.files.take(now, whole) else { return false };
        let mut at = extent.offset;
        let (mut parts, mut names) = (Vec::new(), Vec::new());
        for Found { loc, id, owner, writer, .. } in batch {
            parts.push(Part { from: loc.offset, len: loc.len, to: at });
            let own = super::Extent { file: extent.file, offset: at, len: loc.len };
            at += pages(loc.len);
            let object = Object::new(Left { owner, id, loc }, writer, Place::Arena(loc), Disk::Writing(own));
            self.objects.insert(spot(&loc), object);
            names.push(spot(&loc));
        }
        let job = self.begin_job(Doing::Write { names, bytes });
        self.writes += 1;
        self.written_bytes += bytes;
        out.push(Order::Write { job, file: extent.file, parts });
        true
    }

    fn next_batch(&self) -> Vec<Found> {
        let pins = self.arena.pins();
        let moved = |loc: &_, id: ObjectId| {
            id.index == ObjectId::FRAME_INDEX
                || self.objects.contains_key(&spot(loc))
                || self.places.contains_key(&spot(loc))
        };
        let (mut found, mut sum) = (self.arena.removable(&pins, moved), 0);
        let enough = found.iter().position(|found| {
            sum += found.loc.len;
            sum > self.batch_bytes()
        });
        found.truncate(enough.unwrap_or(found.len()).max(1));
        found
    }

    pub(super) fn on_written(
        &mut self,
        now: Duration,
        job: Job,
        result: Result<Vec<u64>, Trouble>,
        out: &mut Vec<Order>,
    ) {
        let Some(Doing::Write { names, bytes }) = self.jobs.remove(&job) else { return };
        self.writes -= 1;
        self.written_bytes -= bytes;
        let mut failed = None;
        for (i, name) in names.iter().enumerate() {
            let sum = result.as_ref().map(|sums| sums.get(i).copied().unwrap_or_default());
            failed = failed.or(self.written(name, sum.map_err(Clone::clone), out));
        }
        if let Some((place, why)) = failed {
            self.files.fail(now, place, why);
        }
    }

    /// One object of a batch; where and why it could not be written.
    fn written(&mut self, name: &Spot, sum: Result<u64, Trouble>, out: &mut Vec<Order>) -> Option<(usize, Trouble)> {
        let age = self.next_serial();
        let object = self.objects.get_mut(name)?;
        let Disk::Writing(extent) = object.disk else { return None };
        let why = match sum {
            Ok(sum) if !object.freed => {
                object.disk = Disk::Stored { extent, sum, checked: false, busy: false };
                object.age = age;
                self.copies.insert(age, *name);
                self.copied_bytes += object.len;
                return None;
            }
            done => done.err(),
        };
        // Freed meanwhile; or it is in the arena only, as before.
        self.objects.remove(name);
        self.files.give_back(extent, out);
        why.map(|why| (extent.file.place, why))
    }
}

fn pages(len: u64) -> u64 {
    const { assert!(PAGE.is_multiple_of(ALIGN)) };
    len.max(1).next_multiple_of(PAGE)
}
