//! A store, its clients, and a disk that does what it is told when it is told.
use crate::spill::{Event, Extent, FileId, Order, ReadError, SpillConfig, Store, Ticket};
use crate::tests::world::Member;
use crate::{ArenaClient, ArenaServer, Begin, ClientSlot, Left, Pinned, Sum};
use shoal_types::{ArenaLoc, ObjectId, TaskId, WorkerId};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a released range holds: who reads it sees that.
const POISON: u8 = 0xdd;

pub struct World {
    pub store: Store,
    pub disk: BTreeMap<FileId, Vec<u8>>,
    /// Work that was ordered and not done.
    pub jobs: Vec<Order>,
    pub answers: Vec<Order>,
    pub told: Vec<(WorkerId, ObjectId)>,
    pub left: Vec<Left>,
    /// Asked for their open chunks.
    pub called_in: Vec<WorkerId>,
    pub now: Duration,
    /// Storages without room.
    pub full: Vec<bool>,
    /// Reads into the arena find no pages.
    pub no_memory: bool,
    /// When the store wants to be called again.
    pub due: Option<Duration>,
    requests: u64,
}

/// What a reader has.
pub enum Got {
    Pinned(Pinned),
    Mapped(Extent),
    Lost(String),
}

impl World {
    pub fn new(capacity: u64, places: usize) -> Self {
        let config = SpillConfig { places, threshold: 0.8, full_wait: Duration::from_secs(5) };
        Self {
            store: Store::new(ArenaServer::create(capacity).unwrap(), config),
            disk: BTreeMap::new(),
            jobs: Vec::new(),
            answers: Vec::new(),
            told: Vec::new(),
            left: Vec::new(),
            called_in: Vec::new(),
            now: Duration::ZERO,
            full: vec![false; places],
            no_memory: false,
            due: None,
            requests: 0,
        }
    }

    pub fn join(&mut self, name: u8) -> Member {
        let worker = WorkerId([name; 16]);
        let (slot, pins) = self.store.arena.add_client(worker).unwrap();
        let arena = self.store.arena.arena_fd().try_clone_to_owned().unwrap();
        Member { slot, worker, client: ArenaClient::attach(arena, pins, slot).unwrap() }
    }

    pub fn id(&mut self) -> ObjectId {
        self.requests += 1;
        ObjectId::new(TaskId::new(*b"test-ids", self.requests), 0)
    }

    pub fn ticket(&mut self, slot: ClientSlot) -> Ticket {
        self.requests += 1;
        Ticket { client: WorkerId([9; 16]), slot, req: self.requests }
    }

    pub fn feed(&mut self, event: Event) {
        let mut out = Vec::new();
        self.store.handle(self.now, event, &mut out);
        self.sort(out);
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        let mut out = Vec::new();
        let due = self.store.sweep(self.now, &mut out);
        assert!(self.store.next_deadline(self.now).is_none_or(|due| due > self.now), "it looks again and again");
        self.due = due;
        self.sort(out);
    }

    fn sort(&mut self, out: Vec<Order>) {
        for order in out {
            match order {
                Order::Write { .. } | Order::Restore { .. } | Order::Check { .. } | Order::Reserve { .. } => {
                    self.jobs.push(order);
                }
                Order::Release(extent) => self.bytes(extent).fill(POISON),
                Order::Close(file) => drop(self.disk.remove(&file)),
                Order::TellOwner { owner, id, .. } => self.told.push((owner, id)),
                Order::Left(left) => self.left.extend(left),
                Order::CallIn(worker) => self.called_in.push(worker),
                answer => self.answers.push(answer),
            }
        }
    }

    /// A range of a file, which grows to hold it.
    pub fn bytes(&mut self, extent: Extent) -> &mut [u8] {
        let file = self.disk.entry(extent.file).or_default();
        let end = (extent.offset + extent.len) as usize;
        if file.len() < end {
            file.resize(end, 0);
        }
        &mut file[extent.offset as usize..end]
    }

    /// Does one thing that was ordered.
    pub fn work(&mut self, at: usize) {
        let memory = self.store.arena.memory();
        let event = match self.jobs.remove(at) {
            Order::Write { job, file, .. } if self.full[file.place] => {
                Event::Written { job, result: Err("no space".into()) }
            }
            Order::Write { job, file, parts } => {
                let mut sums = Vec::new();
                for part in parts {
                    let bytes = self.bytes(Extent { file, offset: part.to, len: part.len });
                    memory.read(part.from, bytes);
                    sums.push(Sum::of(bytes));
                }
                Event::Written { job, result: Ok(sums) }
            }
            Order::Restore { job, .. } if self.no_memory => {
                Event::Restored { job, result: Err(ReadError::NoMemory) }
            }
            Order::Restore { job, extent, sum, to, cold } => {
                let bytes = self.bytes(extent).to_vec();
                if cold {
                    memory.reserve(to, extent.len).unwrap();
                }
                memory.write(to, &bytes);
                let right = Sum::of(&bytes) == sum;
                let result = if right { Ok(()) } else { Err(ReadError::Lost("wrong sum".into())) };
                Event::Restored { job, result }
            }
            Order::Check { job, extent, sum } => {
                let right = Sum::of(self.bytes(extent)) == sum;
                Event::Checked { job, result: if right { Ok(()) } else { Err("wrong sum".into()) } }
            }
            Order::Reserve { job, extent } => {
                let result = if self.full[extent.file.place] { Err("no space".into()) } else { Ok(()) };
                Event::Reserved { job, result }
            }
            other => panic!("no work: {other:?}"),
        };
        self.feed(event);
    }

    /// Does all that is ordered, and what comes of it.
    pub fn work_all(&mut self) {
        while !self.jobs.is_empty() {
            self.work(0);
        }
    }

    pub fn answer(&mut self, ticket: Ticket) -> Option<Order> {
        let at = self.answers.iter().position(|answer| ticket_of(answer) == ticket)?;
        Some(self.answers.swap_remove(at))
    }

    /// Writes an object into the space of an answer; its name. `None`: another question is to be asked.
    pub fn fill(&mut self, member: &Member, answer: Order, object: (ObjectId, WorkerId), fill: u8) -> Option<ArenaLoc> {
        let (id, owner) = object;
        match answer {
            Order::Chunk { grant, .. } => {
                member.client.add_chunk(grant).unwrap();
                None
            }
            Order::File { loc, extent, .. } => {
                self.bytes(extent).fill(fill);
                let sum = Sum::of(self.bytes(extent));
                let ticket = self.ticket(member.slot);
                self.feed(Event::Sealed { ticket, loc, id, owner, sum });
                assert_eq!(self.answer(ticket), Some(Order::Done(ticket)));
                Some(loc)
            }
            other => panic!("no space: {other:?}"),
        }
    }

    /// An object in chunks that its writer has.
    pub fn seal(&mut self, member: &Member, len: u64, object: (ObjectId, WorkerId), fill: u8) -> Option<ArenaLoc> {
        let Begin::Write(mut writer) = member.client.begin(len, object.0, object.1).unwrap() else { return None };
        writer.bytes_mut().fill(fill);
        Some(writer.seal())
    }

    /// Puts an object, however long that takes.
    pub fn put(&mut self, member: &Member, len: u64, fill: u8) -> (ArenaLoc, ObjectId) {
        let id = self.id();
        let object = (id, member.worker);
        loop {
            if let Some(loc) = self.seal(member, len, object, fill) {
                return (loc, id);
            }
            self.returns(member);
            let ticket = self.ticket(member.slot);
            self.feed(Event::SpaceWanted { ticket, len, file: true });
            let answer = loop {
                if let Some(answer) = self.answer(ticket) {
                    break answer;
                }
                assert!(!self.jobs.is_empty(), "nobody makes room");
                self.work(0);
            };
            if let Some(loc) = self.fill(member, answer, object, fill) {
                return (loc, id);
            }
        }
    }

    pub fn returns(&mut self, member: &Member) {
        let event = Event::Returned { slot: member.slot, chunks: member.client.chunks_to_return() };
        self.feed(event);
    }

    /// Has a client give back the chunks that it has open, if it lives.
    pub fn return_open(&mut self, members: &[Member], worker: WorkerId) {
        let Some(member) = members.iter().find(|member| member.worker == worker) else { return };
        let event = Event::Returned { slot: member.slot, chunks: member.client.release_idle() };
        self.feed(event);
    }

    /// Gets an object, however long that takes.
    pub fn get(&mut self, member: &Member, (loc, id): (ArenaLoc, ObjectId)) -> Got {
        let mut place = loc;
        for tries in 0.. {
            if let Ok(pinned) = member.client.pin(place, id) {
                return Got::Pinned(pinned);
            }
            let ticket = self.ticket(member.slot);
            self.feed(Event::Located { ticket, id, loc, map: tries > 1 });
            let answer = loop {
                if let Some(answer) = self.answer(ticket) {
                    break answer;
                }
                assert!(!self.jobs.is_empty(), "nobody reads it");
                self.work(0);
            };
            match answer {
                Order::At { loc, .. } => place = loc,
                Order::Map { extent, .. } => return Got::Mapped(extent),
                Order::Lost { why, .. } => return Got::Lost(why),
                other => panic!("{other:?}"),
            }
        }
        unreachable!()
    }

    /// Whether a reader sees what was written.
    pub fn sees(&mut self, got: &Got, fill: u8) -> bool {
        match got {
            Got::Pinned(pinned) => crate::tests::world::all(pinned, fill),
            Got::Mapped(extent) => self.bytes(*extent).iter().all(|byte| *byte == fill),
            Got::Lost(_) => false,
        }
    }
}

pub fn ticket_of(answer: &Order) -> Ticket {
    match answer {
        Order::Chunk { ticket, .. }
        | Order::File { ticket, .. }
        | Order::Full { ticket, .. }
        | Order::Done(ticket)
        | Order::Refused(ticket, _)
        | Order::At { ticket, .. }
        | Order::Map { ticket, .. }
        | Order::Lost { ticket, .. } => *ticket,
        other => panic!("no answer: {other:?}"),
    }
}
