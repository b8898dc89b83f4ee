//! From disk to whoever asks: back into the arena, or mapped.
use super::api::{Job, Order, ReadError, Ticket};
use super::{Disk, Doing, Place, Spot, Store, spot};
use crate::grant::ClientSlot;
use crate::server::Restoring;
use crate::storage::Trouble;
use shoal_types::{ArenaLoc, ObjectId};

impl Store {
    pub(super) fn on_located(&mut self, ticket: Ticket, id: ObjectId, loc: ArenaLoc, map: bool, out: &mut Vec<Order>) {
        let Some(object) = self.known(&loc, id) else {
            out.push(if self.arena.has(&loc, id) { Order::At { ticket, loc } } else { freed(ticket, id) });
            return;
        };
        if object.freed {
            return out.push(freed(ticket, id));
        }
        match (&object.place, &object.disk) {
            (Place::Arena(_), Disk::Stored { checked: true, .. }) if map => self.map(&spot(&loc), ticket, out),
            (Place::Arena(place), _) => out.push(Order::At { ticket, loc: *place }),
            (_, Disk::Lost(why, _)) => out.push(Order::Lost { ticket, why: why.clone() }),
            (Place::Restoring, _) | (_, Disk::Stored { busy: true, .. }) => self.wait(&spot(&loc), ticket, map),
            _ => self.read(&spot(&loc), ticket, map, out),
        }
    }

    fn wait(&mut self, name: &Spot, ticket: Ticket, map: bool) {
        if let Some(object) = self.objects.get_mut(name) {
            object.waiting.push((ticket, map));
        }
    }

    /// Brings back what is on disk only (SPILL-5).
    fn read(&mut self, name: &Spot, ticket: Ticket, map: bool, out: &mut Vec<Order>) {
        let object = &self.objects[name];
        let Disk::Stored { extent, sum, checked, .. } = object.disk else { return };
        let (id, owner, len) = (object.id, object.owner, object.len);
        // What takes much of the arena would drive out everything else, and come back by itself soon.
        let whole = !map && len <= self.arena.capacity() / 4;
        let room = if whole { self.restore_room(id, owner, len) } else { None };
        if let Some(restoring) = room {
            let job = self.begin_job(Doing::Restore(*name, restoring));
            let (to, cold) = (restoring.offset, restoring.cold);
            out.push(Order::Restore { job, extent, sum, to, cold });
            let Some(object) = self.objects.get_mut(name) else { return };
            object.place = Place::Restoring;
            object.waiting.push((ticket, map));
        } else if checked {
            self.map(name, ticket, out);
        } else {
            self.wait(name, ticket, map);
            self.begin_check(name, out);
        }
    }

    fn restore_room(&mut self, id: ObjectId, owner: shoal_types::WorkerId, len: u64) -> Option<Restoring> {
        // Those who wait for space come first.
        if !self.wants.is_empty() {
            return None;
        }
        loop {
            match self.arena.begin_restore(id, owner, len) {
                Some(restoring) => return Some(restoring),
                None if self.take_out_copies(len) => {}
                None => return None,
            }
        }
    }

    fn begin_check(&mut self, name: &Spot, out: &mut Vec<Order>) {
        let job = self.begin_job(Doing::Check(*name));
        let Some(object) = self.objects.get_mut(name) else { return };
        if let Disk::Stored { extent, sum, busy, .. } = &mut object.disk {
            *busy = true;
            out.push(Order::Check { job, extent: *extent, sum: *sum });
        }
    }

    fn map(&mut self, name: &Spot, ticket: Ticket, out: &mut Vec<Order>) {
        let Some(object) = self.objects.get_mut(name) else { return };
        let Disk::Stored { extent, .. } = object.disk else { return };
        match object.readers.iter_mut().find(|(slot, _)| *slot == ticket.slot) {
            Some((_, n)) => *n += 1,
            None => object.readers.push((ticket.slot, 1)),
        }
        let (id, loc) = (object.id, object.loc);
        out.push(Order::Map { ticket, id, loc, extent });
    }

    pub(super) fn on_restored(&mut self, job: Job, result: Result<(), ReadError>, out: &mut Vec<Order>) {
        let Some(Doing::Restore(name, restoring)) = self.jobs.remove(&job) else { return };
        let age = self.next_serial();
        let Some(object) = self.objects.get_mut(&name) else { return };
        object.place = Place::Nowhere;
        let waiting = std::mem::take(&mut object.waiting);
        match result {
            Ok(()) if !object.freed => {
                let place = self.arena.finish_restore(restoring);
                object.place = Place::Arena(place);
                if let Disk::Stored { checked, .. } = &mut object.disk {
                    *checked = true;
                }
                object.age = age;
                self.copied_bytes += object.len;
                self.copies.insert(age, name);
                self.places.insert(spot(&place), name);
                out.extend(waiting.into_iter().map(|(ticket, _)| Order::At { ticket, loc: place }));
                return;
            }
            Err(ReadError::Lost(why)) if !object.freed => {
                object.waiting = waiting;
                self.lose(&name, why, out);
            }
            Err(ReadError::NoMemory) if !object.freed => {
                object.waiting = waiting;
                self.begin_check(&name, out);
            }
            _ => {}
        }
        // Whether pages were reserved is not known: they are given back.
        self.arena.abort_restore(restoring, !restoring.cold);
        self.finish(&name, out);
    }

    pub(super) fn on_checked(&mut self, job: Job, result: Result<(), Trouble>, out: &mut Vec<Order>) {
        let Some(Doing::Check(name)) = self.jobs.remove(&job) else { return };
        let Some(object) = self.objects.get_mut(&name) else { return };
        let Disk::Stored { checked, busy, .. } = &mut object.disk else { return };
        (*checked, *busy) = (result.is_ok(), false);
        match result {
            Err(why) if !object.freed => self.lose(&name, why, out),
            _ => {
                for (ticket, _) in std::mem::take(&mut object.waiting) {
                    self.map(&name, ticket, out);
                }
            }
        }
        self.finish(&name, out);
    }

    /// SPILL-2.
    fn lose(&mut self, name: &Spot, why: String, out: &mut Vec<Order>) {
        let Some(object) = self.objects.get_mut(name) else { return };
        let (id, owner, loc) = (object.id, object.owner, object.loc);
        let why = format!("object {id} was spilled and can't be read back: {why}");
        for (ticket, _) in std::mem::take(&mut object.waiting) {
            out.push(Order::Lost { ticket, why: why.clone() });
        }
        out.push(Order::TellOwner { owner, id, loc, why: why.clone() });
        if let Disk::Stored { extent, .. } = object.disk {
            object.disk = Disk::Lost(why, extent);
        }
    }

    pub(super) fn on_unmapped(&mut self, slot: ClientSlot, objects: &[(ObjectId, ArenaLoc)], out: &mut Vec<Order>) {
        for (id, loc) in objects {
            let Some(object) = self.objects.get_mut(&spot(loc)).filter(|o| o.id == *id) else { continue };
            let Some(at) = object.readers.iter().position(|(of, _)| *of == slot) else { continue };
            object.readers[at].1 -= 1;
            if object.readers[at].1 == 0 {
                object.readers.swap_remove(at);
                self.finish(&spot(loc), out);
            }
        }
    }
}

pub(super) fn freed(ticket: Ticket, id: ObjectId) -> Order {
    Order::Lost { ticket, why: format!("object {id} is gone: its owner has freed it") }
}
