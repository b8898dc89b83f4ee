//! Any order of puts, gets, frees, deaths, full disks and slow threads: every value is read as it was written, until its
//! owner frees it; nothing that somebody reads is written over; every question is answered; nothing is left over.
use super::world::{Got, World, ticket_of};
use crate::spill::{Event, Extent, Order, Ticket};
use crate::tests::world::{MIB, Member, all};
use crate::{ClientSlot, Pinned};
use proptest::prelude::*;
use shoal_types::{ArenaLoc, ObjectId, WorkerId};
use std::time::Duration;

const CLIENTS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Put { client: usize, owner: usize, len: u64 },
    Get { client: usize, object: usize },
    LetGo(usize),
    Free(usize),
    /// An interrupt of a put or a get that waits.
    GiveUp(usize),
    /// A client gives back what it was asked for.
    ReturnOpen(usize),
    Work(usize),
    Die(usize),
    DiskFull(usize, bool),
    NoMemory(bool),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (client, n) = (0..CLIENTS, 0usize..1000);
    let len = prop_oneof![1000u64..20_000, 20_000u64..200_000, 200_000u64..600_000, Just(2_500_000u64)];
    prop_oneof![
        8 => (client.clone(), client.clone(), len).prop_map(|(client, owner, len)| Step::Put { client, owner, len }),
        8 => (client.clone(), n.clone()).prop_map(|(client, object)| Step::Get { client, object }),
        6 => n.clone().prop_map(Step::LetGo),
        3 => n.clone().prop_map(Step::Free),
        2 => n.clone().prop_map(Step::GiveUp),
        2 => n.clone().prop_map(Step::ReturnOpen),
        12 => n.prop_map(Step::Work),
        1 => client.prop_map(Step::Die),
        1 => (0..2usize, any::<bool>()).prop_map(|(place, full)| Step::DiskFull(place, full)),
        1 => any::<bool>().prop_map(Step::NoMemory),
        2 => (0u64..3000).prop_map(Step::Pass),
    ]
}

struct Object {
    loc: ArenaLoc,
    id: ObjectId,
    owner: WorkerId,
    writer: ClientSlot,
    fill: u8,
}

/// A put that waits for space.
struct Put {
    ticket: Ticket,
    client: usize,
    len: u64,
    id: ObjectId,
    owner: WorkerId,
    fill: u8,
}

/// A get that waits for an answer.
struct Get {
    ticket: Ticket,
    client: usize,
    id: ObjectId,
    name: ArenaLoc,
    tries: u32,
    fill: u8,
}

enum Held {
    Pinned(Pinned),
    Mapped(Extent),
}

struct Reader {
    held: Held,
    client: usize,
    id: ObjectId,
    name: ArenaLoc,
    fill: u8,
}

struct Model {
    world: World,
    members: Vec<Member>,
    objects: Vec<Object>,
    puts: Vec<Put>,
    gets: Vec<Get>,
    readers: Vec<Reader>,
    dead: Vec<WorkerId>,
    names: u8,
    fill: u8,
}

impl Model {
    fn new() -> Self {
        let mut world = World::new(2 * MIB, 2);
        let members = (0..CLIENTS).map(|n| world.join(n as u8)).collect();
        let (objects, puts, gets, readers, dead) = Default::default();
        Self { world, members, objects, puts, gets, readers, dead, names: CLIENTS as u8, fill: 0 }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Put { client, owner, len } => self.put(client, owner, len),
            Step::Get { client, object } if !self.objects.is_empty() => {
                let Object { loc, id, fill, .. } = self.objects[object % self.objects.len()];
                self.get(client, loc, id, fill);
            }
            Step::Get { .. } => {}
            Step::LetGo(n) => self.let_go(n),
            Step::Free(n) if !self.objects.is_empty() => {
                let object = self.objects.swap_remove(n % self.objects.len());
                self.world.feed(Event::Freed(vec![(object.id, object.loc)]));
            }
            Step::Free(_) => {}
            Step::GiveUp(n) => self.give_up(n),
            Step::ReturnOpen(n) if !self.world.called_in.is_empty() => {
                let worker = self.world.called_in.swap_remove(n % self.world.called_in.len());
                self.world.return_open(&self.members, worker);
            }
            Step::ReturnOpen(_) => {}
            Step::Work(n) if !self.world.jobs.is_empty() => self.world.work(n % self.world.jobs.len()),
            Step::Work(_) => {}
            Step::Die(client) => self.die(client),
            Step::DiskFull(place, full) => self.world.full[place] = full,
            Step::NoMemory(no) => self.world.no_memory = no,
            Step::Pass(ms) => self.world.pass(Duration::from_millis(ms)),
        }
        self.hear();
    }

    fn put(&mut self, client: usize, owner: usize, len: u64) {
        self.fill = self.fill.wrapping_add(1) % 0xd0;
        let (id, owner, fill) = (self.world.id(), self.members[owner].worker, self.fill);
        self.go_on(client, len, (id, owner), fill);
    }

    fn go_on(&mut self, client: usize, len: u64, object: (ObjectId, WorkerId), fill: u8) {
        if let Some(loc) = self.world.seal(&self.members[client], len, object, fill) {
            return self.made(client, loc, object, fill);
        }
        self.world.returns(&self.members[client]);
        let ticket = self.world.ticket(self.members[client].slot);
        self.puts.push(Put { ticket, client, len, id: object.0, owner: object.1, fill });
        self.world.feed(Event::SpaceWanted { ticket, len, file: true });
    }

    fn made(&mut self, client: usize, loc: ArenaLoc, (id, owner): (ObjectId, WorkerId), fill: u8) {
        let writer = self.members[client].slot;
        if !self.dead.contains(&owner) {
            self.objects.push(Object { loc, id, owner, writer, fill });
        }
    }

    fn get(&mut self, client: usize, name: ArenaLoc, id: ObjectId, fill: u8) {
        match self.members[client].client.pin(name, id) {
            Ok(pinned) => self.readers.push(Reader { held: Held::Pinned(pinned), client, id, name, fill }),
            Err(_) => self.locate(client, id, name, 0, fill),
        }
    }

    fn locate(&mut self, client: usize, id: ObjectId, name: ArenaLoc, tries: u32, fill: u8) {
        let ticket = self.world.ticket(self.members[client].slot);
        self.gets.push(Get { ticket, client, id, name, tries, fill });
        self.world.feed(Event::Located { ticket, id, loc: name, map: tries > 1 });
    }

    /// Nobody waits for an answer any more: there was none, so there is one at once, which gives nothing.
    fn give_up(&mut self, n: usize) {
        let waits = self.puts.len() + self.gets.len();
        if waits == 0 {
            return;
        }
        let n = n % waits;
        let ticket =
            if n < self.puts.len() { self.puts.swap_remove(n).ticket } else { self.gets.swap_remove(n - self.puts.len()).ticket };
        self.world.feed(Event::NotWanted(ticket));
        assert_eq!(self.world.answer(ticket), Some(Order::Done(ticket)), "SPILL-6");
        self.world.feed(Event::NotWanted(ticket));
        assert_eq!(self.world.answer(ticket), None, "SPILL-6: once");
    }

    /// Carries on with what was answered.
    fn hear(&mut self) {
        while let Some(answer) = self.world.answers.pop() {
            let ticket = ticket_of(&answer);
            if let Some(at) = self.puts.iter().position(|put| put.ticket == ticket) {
                let put = self.puts.swap_remove(at);
                self.on_space(put, answer);
            } else if let Some(at) = self.gets.iter().position(|get| get.ticket == ticket) {
                let get = self.gets.swap_remove(at);
                self.on_place(get, answer);
            } else {
                let dead = self.members.iter().all(|member| member.slot != ticket.slot);
                assert!(dead, "SPILL-6: nobody asked for {answer:?}");
            }
        }
    }

    fn on_space(&mut self, put: Put, answer: Order) {
        let Put { client, len, id, owner, fill, .. } = put;
        if matches!(answer, Order::Full { .. }) {
            return assert!(self.world.full.contains(&true), "SPILL-4: a disk has room");
        }
        let member = &self.members[client];
        match self.world.fill(member, answer, (id, owner), fill) {
            Some(loc) => self.made(client, loc, (id, owner), fill),
            None => self.go_on(client, len, (id, owner), fill),
        }
    }

    fn on_place(&mut self, get: Get, answer: Order) {
        let Get { client, id, name, tries, fill, .. } = get;
        let held = match answer {
            Order::At { loc, .. } => match self.members[client].client.pin(loc, id) {
                Ok(pinned) => Held::Pinned(pinned),
                Err(_) => return self.locate(client, id, name, tries + 1, fill),
            },
            Order::Map { extent, .. } => Held::Mapped(extent),
            Order::Lost { why, .. } => {
                let freed = self.objects.iter().all(|object| object.id != id);
                return assert!(freed, "SPILL-2: {why}");
            }
            other => panic!("{other:?}"),
        };
        self.readers.push(Reader { held, client, id, name, fill });
    }

    fn let_go(&mut self, n: usize) {
        if self.readers.is_empty() {
            return;
        }
        let Reader { held, client, id, name, .. } = self.readers.swap_remove(n % self.readers.len());
        if let Held::Mapped(_) = held {
            let slot = self.members[client].slot;
            self.world.feed(Event::Unmapped { slot, objects: vec![(id, name)] });
        }
    }

    /// A process ends, with what it owns.
    fn die(&mut self, client: usize) {
        for reader in self.readers.extract_if(.., |reader| reader.client == client) {
            std::mem::forget(reader.held);
        }
        self.puts.retain(|put| put.client != client);
        self.gets.retain(|get| get.client != client);
        let Member { slot, worker, .. } = self.members[client];
        self.objects.retain(|object| object.owner != worker);
        self.dead.push(worker);
        self.world.feed(Event::OwnerDied(worker));
        self.world.feed(Event::ClientDied(slot));
        // Owners free what they were not told of; here they were told of everything.
        let left = std::mem::take(&mut self.world.left);
        let written = self.objects.iter().filter(|object| object.writer == slot);
        let mut written = written.map(|object| (object.id, object.loc)).collect::<Vec<_>>();
        let mut left = left.iter().map(|left| (left.id, left.loc)).collect::<Vec<_>>();
        written.sort_by_key(|(id, _)| *id);
        left.sort_by_key(|(id, _)| *id);
        assert_eq!(left, written, "what a dead client had sealed");
        self.names += 1;
        self.members[client] = self.world.join(self.names);
    }

    fn check(&mut self) {
        self.world.store.check();
        for reader in &self.readers {
            let right = match &reader.held {
                Held::Pinned(pinned) => all(pinned, reader.fill),
                Held::Mapped(extent) => self.world.bytes(*extent).iter().all(|byte| *byte == reader.fill),
            };
            assert!(right, "written over under its reader: {}", reader.id);
        }
    }

    fn end(mut self) {
        self.world.full.fill(false);
        self.world.no_memory = false;
        while !self.puts.is_empty() || !self.gets.is_empty() || !self.world.jobs.is_empty() {
            if self.world.jobs.is_empty() {
                self.world.pass(Duration::from_millis(500));
            } else {
                self.world.work(0);
            }
            self.hear();
        }
        for Object { loc, id, fill, .. } in std::mem::take(&mut self.objects) {
            let got = self.world.get(&self.members[0], (loc, id));
            assert!(self.world.sees(&got, fill), "{id} is not what was put");
            if matches!(got, Got::Mapped(_)) {
                let slot = self.members[0].slot;
                self.world.feed(Event::Unmapped { slot, objects: vec![(id, loc)] });
            }
            drop(got);
            self.world.feed(Event::Freed(vec![(id, loc)]));
        }
        while !self.readers.is_empty() {
            self.let_go(0);
        }
        self.world.work_all();
        self.world.feed(Event::PinGone);
        for member in &self.members {
            let event = Event::Returned { slot: member.slot, chunks: member.client.release_idle() };
            self.world.feed(event);
        }
        self.world.store.check();
        let stats = self.world.store.stats();
        assert_eq!((stats.objects, stats.files, stats.file_bytes, stats.waiting), (0, 0, 0, 0), "left over on disk");
        assert_eq!(self.world.store.arena.stats().used, 0, "left over in the arena");
        assert!(self.world.disk.is_empty() && self.world.store.objects.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn every_value_is_read_as_it_was_put_and_nothing_is_left_over(steps in prop::collection::vec(step(), 1..150)) {
        let mut model = Model::new();
        for step in steps {
            model.run(step);
            model.check();
        }
        model.end();
    }
}
