//! A server and clients against a model, in random order: nothing is freed while it is pinned, nothing overlaps, nothing
//! is left over.
use super::world::{MIB, Member, World, all};
use crate::{Freed, Pinned, StoreError, Writer};
use proptest::prelude::*;
use shoal_types::{ArenaLoc, ObjectId, WorkerId};
use std::time::Duration;

const CLIENTS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Begin { client: usize, owner: usize, len: u64 },
    Seal(usize),
    GiveUp(usize),
    Pin { client: usize, object: usize },
    Unpin(usize),
    Free(usize),
    Release(usize),
    Die(usize),
    OwnerDies(usize),
    Sweep(u64),
    Hint,
}

fn step() -> impl Strategy<Value = Step> {
    let (client, n) = (0..CLIENTS, 0usize..1000);
    let len = prop_oneof![0u64..200, 1000u64..40_000, 40_000u64..400_000];
    prop_oneof![
        8 => (client.clone(), client.clone(), len).prop_map(|(client, owner, len)| Step::Begin { client, owner, len }),
        8 => n.clone().prop_map(Step::Seal),
        1 => n.clone().prop_map(Step::GiveUp),
        5 => (client.clone(), n.clone()).prop_map(|(client, object)| Step::Pin { client, object }),
        5 => n.clone().prop_map(Step::Unpin),
        6 => n.prop_map(Step::Free),
        1 => client.clone().prop_map(Step::Release),
        1 => client.clone().prop_map(Step::Die),
        1 => client.prop_map(Step::OwnerDies),
        2 => (0u64..8).prop_map(Step::Sweep),
        1 => Just(Step::Hint),
    ]
}

struct Open {
    writer: Writer,
    id: ObjectId,
    owner: WorkerId,
    client: usize,
    fill: u8,
}

struct Object {
    loc: ArenaLoc,
    id: ObjectId,
    owner: WorkerId,
    fill: u8,
}

struct Pin {
    pinned: Pinned,
    client: usize,
    fill: u8,
}

struct Model {
    world: World,
    members: Vec<Member>,
    writers: Vec<Open>,
    objects: Vec<Object>,
    pins: Vec<Pin>,
    dead_owners: Vec<WorkerId>,
    names: u8,
    fill: u8,
    now: Duration,
}

fn pick<T>(list: &mut Vec<T>, n: usize) -> Option<T> {
    if list.is_empty() { None } else { Some(list.swap_remove(n % list.len())) }
}

impl Model {
    fn new() -> Self {
        let mut world = World::new(8 * MIB);
        let members = (0..CLIENTS).map(|n| world.join(n as u8)).collect();
        let (writers, objects, pins, dead_owners) = Default::default();
        let names = CLIENTS as u8;
        Self { world, members, writers, objects, pins, dead_owners, names, fill: 0, now: Duration::ZERO }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Begin { client, owner, len } => self.begin(client, owner, len),
            Step::Seal(n) => self.seal(n),
            Step::GiveUp(n) => {
                if let Some(open) = pick(&mut self.writers, n) {
                    drop(open.writer);
                    self.world.returns(&self.members[open.client]);
                }
            }
            Step::Pin { client, object } => self.pin(client, object),
            Step::Unpin(n) => drop(pick(&mut self.pins, n)),
            Step::Free(n) => {
                if let Some(object) = pick(&mut self.objects, n) {
                    assert_ne!(self.world.server.free(object.loc, object.id), Freed::Unknown);
                }
            }
            Step::Release(client) => self.world.release(&self.members[client]),
            Step::Die(client) => self.die(client),
            Step::OwnerDies(client) => self.owner_dies(client),
            Step::Sweep(seconds) => {
                self.now += Duration::from_secs(seconds);
                self.world.server.sweep(self.now);
            }
            Step::Hint => self.world.server.on_pin_hint(),
        }
    }

    fn begin(&mut self, client: usize, owner: usize, len: u64) {
        let (id, owner) = (self.world.id(), self.members[owner].worker);
        match self.world.begin(&self.members[client], len, id, owner) {
            Ok(mut writer) => {
                self.fill = self.fill.wrapping_add(1);
                writer.bytes_mut().fill(self.fill);
                self.writers.push(Open { writer, id, owner, client, fill: self.fill });
            }
            Err(StoreError::Full { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn seal(&mut self, n: usize) {
        if let Some(Open { writer, id, owner, client, fill }) = pick(&mut self.writers, n) {
            let loc = writer.seal();
            self.world.returns(&self.members[client]);
            if !self.dead_owners.contains(&owner) {
                self.objects.push(Object { loc, id, owner, fill });
            }
        }
    }

    fn pin(&mut self, client: usize, object: usize) {
        if !self.objects.is_empty() {
            let object = &self.objects[object % self.objects.len()];
            let pinned = self.members[client].client.pin(object.loc, object.id).expect("a live object can be pinned");
            self.pins.push(Pin { pinned, client, fill: object.fill });
        }
    }

    fn die(&mut self, client: usize) {
        // A process that dies runs no drops.
        for list in self.writers.extract_if(.., |open| open.client == client) {
            std::mem::forget(list.writer);
        }
        for list in self.pins.extract_if(.., |pin| pin.client == client) {
            std::mem::forget(list.pinned);
        }
        self.world.server.client_died(self.members[client].slot);
        self.names += 1;
        self.members[client] = self.world.join(self.names);
    }

    fn owner_dies(&mut self, client: usize) {
        let owner = self.members[client].worker;
        self.world.server.owner_died(owner);
        self.dead_owners.push(owner);
        self.objects.retain(|object| object.owner != owner);
        self.die(client);
    }

    fn check(&self) {
        for pin in &self.pins {
            assert!(all(&pin.pinned, pin.fill), "freed while pinned: {:?}", pin.pinned.id());
        }
        for object in &self.objects {
            let pinned = self.members[0].client.pin(object.loc, object.id).expect("a live object can be pinned");
            assert!(all(&pinned, object.fill), "overwritten: {object:?}", object = object.id);
        }
        let stats = self.world.server.stats();
        assert_eq!(stats.used + stats.free, stats.capacity);
        assert!(stats.objects >= self.objects.len() as u64);
        self.world.server.check();
    }

    fn end(mut self) {
        self.writers.clear();
        self.pins.clear();
        let server = &mut self.world.server;
        for object in self.objects.drain(..) {
            assert_eq!(server.free(object.loc, object.id), Freed::Now);
        }
        server.on_pin_hint();
        for member in &self.members {
            self.world.release(member);
        }
        let stats = self.world.server.stats();
        assert_eq!((stats.used, stats.objects, stats.put_off), (0, 0, 0), "left over");
        while let Some(next) = self.world.server.sweep(self.now) {
            self.now = next;
        }
        assert_eq!(self.world.pages(), 0, "all memory comes back");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_freed_while_pinned_and_nothing_is_left_over(steps in prop::collection::vec(step(), 1..120)) {
        let mut model = Model::new();
        for step in steps {
            model.run(step);
            model.check();
        }
        model.end();
    }
}
