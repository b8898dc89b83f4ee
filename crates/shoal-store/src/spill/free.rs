//! Frees, and deaths (SPILL-3).
use super::api::{Order, Ticket};
use super::read::freed;
use super::{Disk, Object, Place, Spot, Store, spot};
use crate::grant::ClientSlot;
use crate::server::Left;
use shoal_types::{ArenaLoc, ObjectId, WorkerId};

impl Store {
    pub(super) fn on_freed(&mut self, objects: &[(ObjectId, ArenaLoc)], out: &mut Vec<Order>) {
        let mut places = Vec::with_capacity(objects.len());
        for (id, loc) in objects {
            match self.known(loc, *id) {
                None => places.push((*loc, *id)),
                Some(_) => places.extend(self.free(&spot(loc), out).map(|place| (place, *id))),
            }
        }
        self.arena.free_many(&places);
    }

    /// Nobody needs that object; the place in the arena that is to be freed.
    fn free(&mut self, name: &Spot, out: &mut Vec<Order>) -> Option<ArenaLoc> {
        let object = self.objects.get_mut(name).filter(|object| !object.freed)?;
        object.freed = true;
        let id = object.id;
        out.extend(std::mem::take(&mut object.waiting).into_iter().map(|(ticket, _)| freed(ticket, id)));
        let place = match object.place {
            Place::Arena(place) => Some(place),
            Place::Restoring | Place::Nowhere => None,
        };
        if place.is_some() {
            self.leave_arena(name);
        }
        self.finish(name, out);
        place
    }

    /// Forgets an object that is freed, once nobody maps it and no thread is at work on it.
    pub(super) fn finish(&mut self, name: &Spot, out: &mut Vec<Order>) {
        let Some(object) = self.objects.get(name) else { return };
        if !object.freed || !object.readers.is_empty() || matches!(object.place, Place::Restoring) {
            return;
        }
        match object.disk {
            Disk::Writing(_) | Disk::Stored { busy: true, .. } => return,
            Disk::Stored { extent, .. } | Disk::Lost(_, extent) => self.files.give_back(extent, out),
        }
        self.objects.remove(name);
    }

    /// SPILL-6: what was on its way has been answered already, and its client gives it back.
    pub(super) fn on_not_wanted(&mut self, ticket: Ticket, out: &mut Vec<Order>) {
        let before = self.wants.len();
        self.wants.retain(|want| want.ticket != ticket);
        let mut found = self.wants.len() < before;
        for object in self.objects.values_mut() {
            let before = object.waiting.len();
            object.waiting.retain(|(of, _)| *of != ticket);
            found |= object.waiting.len() < before;
        }
        if found {
            out.push(Order::Done(ticket));
        }
    }

    pub(super) fn on_owner_died(&mut self, owner: WorkerId, out: &mut Vec<Order>) {
        let of_owner = self.objects.iter().filter(|(_, object)| object.owner == owner).map(|(name, _)| *name);
        for name in of_owner.collect::<Vec<_>>() {
            self.free(&name, out);
        }
        // Their places, and those that were never moved.
        self.arena.owner_died(owner);
    }

    pub(super) fn on_client_died(&mut self, slot: ClientSlot, out: &mut Vec<Order>) {
        self.forget_wants(slot, out);
        let mut unmapped = Vec::new();
        for (name, object) in &mut self.objects {
            object.waiting.retain(|(ticket, _)| ticket.slot != slot);
            let before = object.readers.len();
            object.readers.retain(|(of, _)| *of != slot);
            if object.readers.len() < before {
                unmapped.push(*name);
            }
        }
        unmapped.iter().for_each(|name| self.finish(name, out));
        let mut left = self.arena.client_died(slot);
        let in_arena = |object: &Object| matches!(object.place, Place::Arena(place) if place == object.loc);
        let moved = self.objects.values().filter(|o| o.writer == slot && !o.freed && !in_arena(o));
        left.extend(moved.map(|object| Left { owner: object.owner, id: object.id, loc: object.loc }));
        if !left.is_empty() {
            out.push(Order::Left(left));
        }
    }
}
