//! The object store between clients and disks: its events, and its orders carried out.
use crate::node::Node;
use shoal_crash::crash_point;
use shoal_gcs::Ask;
use shoal_proto::control::{FullStore, LargeObject, Request, Response, ToClient};
use shoal_store::spill::{Event, FileId, Held, Order, Ticket};
use shoal_store::{ChunkReturn, ClientSlot, Left, StoreError};
use shoal_types::{ErrorKind, ErrorValue, WorkerId};
use std::os::fd::OwnedFd;

impl Node {
    /// Feeds the object store.
    pub(crate) fn object_event(&mut self, event: Event) {
        let mut out = Vec::new();
        self.objects.handle(self.clock.elapsed(), event, &mut out);
        self.carry_out_objects(out);
    }

    /// A client and its forked children are gone; what it had sealed for others.
    pub(crate) fn slot_gone(&mut self, slot: ClientSlot) -> Vec<Left> {
        let (mut out, mut left) = (Vec::new(), Vec::new());
        self.objects.handle(self.clock.elapsed(), Event::ClientDied(slot), &mut out);
        out.retain(|order| match order {
            Order::Left(some) => {
                left.extend(some);
                false
            }
            _ => true,
        });
        self.carry_out_objects(out);
        left
    }

    /// What is due in the object store.
    pub(crate) fn sweep_objects(&mut self) {
        let mut out = Vec::new();
        self.arena_due = self.objects.sweep(self.clock.elapsed(), &mut out);
        self.carry_out_objects(out);
    }

    /// Threads have read or written.
    pub(crate) fn on_disks(&mut self) {
        for event in self.disks.done() {
            match event {
                Event::Written { .. } => crash_point!(27, "spill.written"),
                Event::Restored { .. } => crash_point!(28, "spill.restored"),
                _ => {}
            }
            self.object_event(event);
        }
    }

    /// Questions about space and places.
    pub(crate) fn on_object_request(&mut self, ask: Ask, body: Request) {
        let Some(slot) = self.clients.get(&ask.client).map(|c| c.slot) else { return };
        let ticket = Ticket { client: ask.client, slot, req: ask.req };
        match body {
            Request::LeaseChunk(len) => self.object_event(Event::SpaceWanted { ticket, len, file: false }),
            Request::Space(len) => self.object_event(Event::SpaceWanted { ticket, len, file: true }),
            Request::SealFile { loc, id, owner, sum } => {
                self.object_event(Event::Sealed { ticket, loc, id, owner, sum });
            }
            Request::Locate { id, loc, map } => self.object_event(Event::Located { ticket, id, loc, map }),
            other => unreachable!("{other:?} is no question about objects"),
        }
    }

    pub(crate) fn return_chunks(&mut self, from: WorkerId, chunks: Vec<(u64, u32)>) {
        let Some(slot) = self.clients.get(&from).map(|c| c.slot) else { return };
        let chunks = chunks.into_iter().map(|(offset, generation)| ChunkReturn { offset, generation }).collect();
        self.object_event(Event::Returned { slot, chunks });
    }

    fn carry_out_objects(&mut self, orders: Vec<Order>) {
        for order in orders {
            self.carry_out_object_order(order);
        }
    }

    fn carry_out_object_order(&mut self, order: Order) {
        match order {
            Order::Chunk { ticket, grant: g } => {
                let (offset, len, entries) = (g.offset, g.len, g.entries);
                let body = Response::Chunk { offset, len, entries, generation: g.generation, cold: g.cold };
                self.reply(ticket, body, Vec::new());
            }
            Order::File { ticket, loc, extent } => match self.file_for(ticket, extent.file, true) {
                Some(fd) => self.reply(ticket, Response::File { loc, offset: extent.offset }, vec![fd]),
                None => self.object_event(Event::GivenUp { slot: ticket.slot, loc }),
            },
            Order::Full { ticket, error, disk, largest } => {
                let full = self.full(&error, &disk, largest);
                self.reply(ticket, Response::Full(Box::new(full)), Vec::new());
            }
            Order::Done(ticket) => self.reply(ticket, Response::Done, Vec::new()),
            Order::Refused(ticket, why) => {
                self.reply(ticket, Response::Failed(ErrorValue::new(ErrorKind::System, why)), Vec::new());
            }
            Order::At { ticket, loc } => self.reply(ticket, Response::At(loc), Vec::new()),
            Order::Map { ticket, id, loc, extent } => match self.file_for(ticket, extent.file, false) {
                Some(fd) => {
                    crash_point!(29, "spill.mapped");
                    let (offset, len) = (extent.offset, extent.len);
                    self.reply(ticket, Response::Mapped { offset, len }, vec![fd]);
                }
                None => self.object_event(Event::Unmapped { slot: ticket.slot, objects: vec![(id, loc)] }),
            },
            Order::Lost { ticket, why } => self.reply(ticket, Response::Lost(why), Vec::new()),
            Order::TellOwner { owner, id, loc, why } => {
                self.send(owner, &ToClient::StoredLost { id, loc, why }, Vec::new());
            }
            Order::CallIn(client) => self.send(client, &ToClient::ReturnChunks, Vec::new()),
            Order::Left(left) => self.tell_sealed(left),
            work => {
                if matches!(work, Order::Write { .. }) {
                    crash_point!(26, "spill.ordered");
                }
                self.disks.push(work);
            }
        }
    }

    fn reply(&mut self, ticket: Ticket, body: Response, fds: Vec<OwnedFd>) {
        self.send(ticket.client, &ToClient::Response { req: ticket.req, body }, fds);
    }

    /// A descriptor for who asked, or the answer that there is none.
    fn file_for(&mut self, ticket: Ticket, file: FileId, writable: bool) -> Option<OwnedFd> {
        let made = self.disks.descriptor(file, writable);
        let fail = |why| ErrorValue::new(ErrorKind::System, format!("the file of a spilled object: {why}"));
        made.map_err(|why| self.reply(ticket, Response::Failed(fail(why)), Vec::new())).ok()
    }

    fn full(&self, error: &StoreError, disk: &str, largest: Vec<Held>) -> FullStore {
        let disk = if disk.is_empty() { String::new() } else { format!("; {disk}") };
        let pid = |worker: &WorkerId| self.clients.get(worker).map_or(0, |c| c.pid);
        let large = |Held { holder, on_disk, readers }: Held| LargeObject {
            id: holder.id,
            owner: pid(&holder.owner),
            len: holder.len,
            on_disk,
            readers: readers.iter().map(pid).collect(),
        };
        FullStore { why: format!("{error}{disk}"), largest: largest.into_iter().map(large).collect() }
    }
}
