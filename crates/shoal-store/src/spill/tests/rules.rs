//! The rules one by one.
use super::world::{Got, World};
use crate::spill::{Event, Order};
use crate::tests::world::MIB;
use shoal_types::ObjectId;
use std::time::Duration;

#[test]
fn objects_are_written_ahead_of_need_and_in_few_batches() {
    let mut world = World::new(64 * MIB, 1);
    let a = world.join(1);
    for n in 0..12 {
        world.put(&a, 4 * MIB, n);
    }
    assert!(world.jobs.is_empty(), "48 of 64 MiB are in use: nobody needs room yet");
    for n in 12..14 {
        world.put(&a, 4 * MIB, n);
    }
    world.returns(&a);
    assert!(matches!(&world.jobs[..], [Order::Write { parts, .. }, ..] if !parts.is_empty()), "{:?}", world.jobs);
    world.work_all();
    let stats = world.store.stats();
    assert!(stats.bytes >= 8 * MIB && stats.files == 1, "{stats:?}");
    assert_eq!(world.store.arena.stats().objects, 14, "they keep their places until these are needed");
}

#[test]
fn ten_times_the_arena_is_put_and_read_whether_held_or_not() {
    for held in [false, true] {
        let mut world = World::new(8 * MIB, 2);
        let a = world.join(1);
        let mut held_ones = Vec::new();
        let objects = (0..80u8)
            .map(|n| {
                let object = world.put(&a, MIB, n);
                if held {
                    held_ones.push((world.get(&a, object), n));
                }
                object
            })
            .collect::<Vec<_>>();
        assert!(held_ones.iter().all(|(got, n)| world.sees(got, *n)), "held: {held}");
        for (n, object) in objects.into_iter().enumerate() {
            let got = world.get(&a, object);
            assert!(world.sees(&got, n as u8), "object {n}, held: {held}");
        }
        world.store.check();
    }
}

#[test]
fn with_every_byte_pinned_an_object_goes_straight_to_a_file() {
    let mut world = World::new(8 * MIB, 1);
    let a = world.join(1);
    let mut first = Vec::new();
    for n in 0..7 {
        let object = world.put(&a, MIB, n);
        first.push(world.get(&a, object));
    }
    let object = world.put(&a, MIB, 77);
    let got = world.get(&a, object);
    assert!(matches!(got, Got::Mapped(_)) && world.sees(&got, 77));
    assert!(first.iter().zip(0..).all(|(got, n)| world.sees(got, n)));
}

#[test]
fn an_object_larger_than_the_arena_lies_in_a_file() {
    let mut world = World::new(8 * MIB, 1);
    let a = world.join(1);
    let small = world.put(&a, MIB, 1);
    let large = world.put(&a, 20 * MIB, 2);
    let got = world.get(&a, large);
    assert!(matches!(got, Got::Mapped(_)) && world.sees(&got, 2));
    assert!(a.client.pin(small.0, small.1).is_ok(), "and drives nothing out");
}

#[test]
fn a_range_is_released_when_its_last_reader_lets_go() {
    let mut world = World::new(8 * MIB, 1);
    let a = world.join(1);
    let large = world.put(&a, 20 * MIB, 2);
    let got = [world.get(&a, large), world.get(&a, large)];
    world.feed(Event::Freed(vec![(large.1, large.0)]));
    assert!(matches!(world.get(&a, large), Got::Lost(_)), "nobody finds it any more");
    let unmap = Event::Unmapped { slot: a.slot, objects: vec![(large.1, large.0)] };
    world.feed(unmap);
    assert!(got.iter().all(|got| world.sees(got, 2)), "one mapping is left");
    world.feed(Event::ClientDied(a.slot));
    assert_eq!(world.store.stats().files, 0);
}

#[test]
fn what_changed_on_disk_is_lost_and_its_owner_hears_of_it() {
    for no_memory in [false, true] {
        let mut world = World::new(8 * MIB, 1);
        let (a, b) = (world.join(1), world.join(2));
        let objects = (0..20).map(|n| world.put(&a, MIB, n)).collect::<Vec<_>>();
        world.work_all();
        let first = world.disk.keys().next().copied().unwrap();
        world.disk.get_mut(&first).unwrap()[100] ^= 1;
        world.no_memory = no_memory;
        let Got::Lost(why) = world.get(&b, objects[0]) else { panic!("it is not what was put") };
        assert!(why.contains("wrong sum"), "{why}");
        assert_eq!(world.told, [(a.worker, objects[0].1)]);
        assert!(matches!(world.get(&b, objects[0]), Got::Lost(_)), "it stays lost");
        let got = world.get(&b, objects[1]);
        assert!(world.sees(&got, 1), "others are as they were");
        world.feed(Event::Freed(vec![(objects[0].1, objects[0].0)]));
        world.store.check();
    }
}

#[test]
fn a_full_disk_makes_a_put_wait_and_then_says_who_holds_what() {
    let mut world = World::new(8 * MIB, 2);
    let a = world.join(1);
    world.full = vec![true, true];
    let objects = (0..6).map(|n| world.put(&a, MIB, n)).collect::<Vec<_>>();
    world.returns(&a);
    let ticket = world.ticket(a.slot);
    world.feed(Event::SpaceWanted { ticket, len: 3 * MIB, file: true });
    world.work_all();
    assert_eq!(world.answer(ticket), None, "it waits");
    world.pass(Duration::from_secs(3));
    world.work_all();
    assert_eq!(world.answer(ticket), None, "it waits");
    world.pass(Duration::from_secs(3));
    world.work_all();
    let Some(Order::Full { disk, largest, .. }) = world.answer(ticket) else { panic!("it waits for ever") };
    assert!(disk.contains("no space") && largest.len() == 5, "{disk}");
    assert!(largest.iter().all(|held| held.holder.owner == a.worker && !held.on_disk));
    for (n, object) in objects.iter().enumerate() {
        let got = world.get(&a, *object);
        assert!(world.sees(&got, n as u8), "what was there stays readable");
    }
}

#[test]
fn who_waits_gets_room_from_pins_that_go_without_a_word() {
    let mut world = World::new(8 * MIB, 1);
    let a = world.join(1);
    let mut held = Vec::new();
    for n in 0..7 {
        let object = world.put(&a, MIB, n);
        held.push(world.get(&a, object));
    }
    world.returns(&a);
    let ticket = world.ticket(a.slot);
    world.feed(Event::SpaceWanted { ticket, len: MIB, file: false });
    world.work_all();
    assert_eq!(world.answer(ticket), None, "a frame has nowhere else to go");
    world.pass(Duration::from_millis(50));
    assert!(world.due.is_some_and(|due| due <= world.now + Duration::from_millis(50)), "{:?}", world.due);
    held.clear();
    world.pass(Duration::from_millis(50));
    world.work_all();
    assert!(matches!(world.answer(ticket), Some(Order::Chunk { .. })));
}

#[test]
fn who_gives_up_is_answered_and_is_in_nobodys_way() {
    let mut world = World::new(8 * MIB, 1);
    let (a, b) = (world.join(1), world.join(2));
    world.full = vec![true];
    let objects = (0..6).map(|n| world.put(&a, MIB, n)).collect::<Vec<_>>();
    world.returns(&a);
    let used = world.store.arena.stats().used;
    let (first, second) = (world.ticket(a.slot), world.ticket(b.slot));
    world.feed(Event::SpaceWanted { ticket: first, len: 3 * MIB, file: true });
    world.feed(Event::SpaceWanted { ticket: second, len: MIB, file: true });
    world.work_all();
    world.feed(Event::NotWanted(first));
    assert_eq!(world.answer(first), Some(Order::Done(first)));
    world.feed(Event::Freed(vec![(objects[0].1, objects[0].0)]));
    assert!(matches!(world.answer(second), Some(Order::Chunk { .. })), "SPILL-4");
    world.feed(Event::ClientDied(b.slot));
    world.pass(Duration::from_secs(6));
    assert_eq!(world.answer(first), None, "SPILL-6");
    assert!(world.store.arena.stats().used < used && world.store.stats().waiting == 0);
}

#[test]
fn a_reader_that_gives_up_leaves_a_copy_behind() {
    let mut world = World::new(8 * MIB, 1);
    let a = world.join(1);
    let objects = (0..20).map(|n| world.put(&a, MIB, n)).collect::<Vec<_>>();
    world.work_all();
    let (loc, id) = objects[0];
    let ticket = world.ticket(a.slot);
    world.feed(Event::Located { ticket, id, loc, map: false });
    assert!(matches!(world.jobs[..], [Order::Restore { .. }, ..]), "{:?}", world.jobs);
    world.feed(Event::NotWanted(ticket));
    assert_eq!(world.answer(ticket), Some(Order::Done(ticket)));
    world.work_all();
    assert_eq!(world.answer(ticket), None, "SPILL-6");
    let got = world.get(&a, (loc, id));
    assert!(world.sees(&got, 0) && world.jobs.is_empty());
}

#[test]
fn who_waits_gets_what_is_freed() {
    let mut world = World::new(8 * MIB, 1);
    let a = world.join(1);
    world.full = vec![true];
    let objects = (0..6).map(|n| world.put(&a, MIB, n)).collect::<Vec<_>>();
    world.returns(&a);
    let ticket = world.ticket(a.slot);
    world.feed(Event::SpaceWanted { ticket, len: 2 * MIB, file: true });
    world.work_all();
    assert_eq!(world.answer(ticket), None);
    world.feed(Event::Freed(objects[..3].iter().map(|(loc, id)| (*id, *loc)).collect()));
    assert!(matches!(world.answer(ticket), Some(Order::Chunk { .. })));
}

#[test]
fn one_storage_without_room_leaves_the_other() {
    let mut world = World::new(8 * MIB, 2);
    let a = world.join(1);
    world.full = vec![true, false];
    let objects = (0..40).map(|n| world.put(&a, MIB, n)).collect::<Vec<_>>();
    assert!(world.disk.keys().all(|file| file.place == 1 || world.disk[file].is_empty()));
    for (n, object) in objects.iter().enumerate() {
        let got = world.get(&a, *object);
        assert!(world.sees(&got, n as u8));
    }
}

#[test]
fn files_take_turns_in_several_storages() {
    let mut world = World::new(8 * MIB, 3);
    let a = world.join(1);
    (0..40).for_each(|n| {
        world.put(&a, MIB, n);
    });
    world.work_all();
    let places = world.disk.keys().map(|file| file.place).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(places.len(), 3);
}

#[test]
fn who_has_chunks_open_is_asked_for_them_once_when_nothing_else_can_be_had() {
    let mut world = World::new(8 * MIB, 1);
    let clients = (1..=50).map(|n| world.join(n)).collect::<Vec<_>>();
    let kept = clients.iter().map(|client| world.put(client, 20_000, client.worker.0[0])).collect::<Vec<_>>();
    let (a, used) = (world.join(100), world.store.arena.stats().used);
    assert!(world.called_in.is_empty(), "nobody waits");
    // A frame has nowhere else to go.
    let ticket = world.ticket(a.slot);
    world.feed(Event::SpaceWanted { ticket, len: 6 * MIB, file: false });
    assert_eq!(world.answer(ticket), None, "{used} bytes are leased");
    let asked = std::mem::take(&mut world.called_in);
    assert_eq!(asked.len(), 50, "SPILL-8");
    world.pass(Duration::from_secs(1));
    assert!(world.called_in.is_empty(), "SPILL-8: once");
    asked.into_iter().for_each(|worker| world.return_open(&clients, worker));
    world.work_all();
    assert!(matches!(world.answer(ticket), Some(Order::Chunk { .. })), "{:?}", world.store.arena.stats());
    for (client, object) in clients.iter().zip(&kept) {
        let got = world.get(client, *object);
        assert!(world.sees(&got, client.worker.0[0]));
    }
}

#[test]
fn frames_stay_where_they_are() {
    let mut world = World::new(8 * MIB, 1);
    let a = world.join(1);
    let id = ObjectId { index: ObjectId::FRAME_INDEX, ..world.id() };
    let loc = loop {
        if let Some(loc) = world.seal(&a, 300_000, (id, a.worker), 5) {
            break loc;
        }
        let ticket = world.ticket(a.slot);
        world.feed(Event::SpaceWanted { ticket, len: 300_000, file: false });
        let Some(Order::Chunk { grant, .. }) = world.answer(ticket) else { panic!("there is room") };
        a.client.add_chunk(grant).unwrap();
    };
    for n in 0..40 {
        world.put(&a, MIB, n);
    }
    assert!(a.client.pin(loc, id).is_ok(), "SPILL-7");
}

#[test]
fn without_storages_a_full_arena_is_full() {
    let mut world = World::new(8 * MIB, 0);
    let a = world.join(1);
    (0..6).for_each(|n| {
        world.put(&a, MIB, n);
    });
    world.returns(&a);
    for (len, patience) in [(20 * MIB, 0), (3 * MIB, 6)] {
        let ticket = world.ticket(a.slot);
        world.feed(Event::SpaceWanted { ticket, len, file: true });
        world.pass(Duration::from_secs(patience));
        let Some(Order::Full { disk, .. }) = world.answer(ticket) else { panic!("{len}: there is no room") };
        assert!(disk.contains("spilling is off"), "{disk}");
    }
}
