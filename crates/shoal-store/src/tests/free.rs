//! Pins, frees, deaths.
use super::world::{MIB, World, all};
use crate::{Freed, StoreError};
use std::time::Duration;

#[test]
fn an_object_is_read_where_it_was_written() {
    let mut world = World::new(64 * MIB);
    let (writer, reader) = (world.join(1), world.join(2));
    for len in [0, 1, 64, 100_000, MIB, 20 * MIB] {
        let (loc, id) = world.put(&writer, len, 7);
        let pinned = reader.client.pin(loc, id).unwrap();
        assert_eq!((pinned.len() as u64, pinned.as_ptr() as usize % 64), (len, 0));
        assert!(all(&pinned, 7));
    }
}

#[test]
fn what_isnt_sealed_or_isnt_meant_cant_be_pinned() {
    let mut world = World::new(64 * MIB);
    let (a, b) = (world.join(1), world.join(2));
    let (loc, id) = world.put(&a, 100, 7);
    let other = world.id();
    let wrong = [
        (loc, other),
        (shoal_types::ArenaLoc { entry: 1, ..loc }, id),
        (shoal_types::ArenaLoc { entry: u32::MAX, ..loc }, id),
        (shoal_types::ArenaLoc { generation: loc.generation + 1, ..loc }, id),
        (shoal_types::ArenaLoc { chunk: loc.chunk + 1, ..loc }, id),
        (shoal_types::ArenaLoc { chunk: !4095, ..loc }, id),
        (shoal_types::ArenaLoc { chunk: 32 * MIB, ..loc }, id),
        (shoal_types::ArenaLoc { len: loc.len + 1, ..loc }, id),
        (shoal_types::ArenaLoc { offset: loc.offset + 64, ..loc }, id),
    ];
    for (loc, id) in wrong {
        assert_eq!(b.client.pin(loc, id).err(), Some(StoreError::Gone(id)), "{loc:?}");
    }
    let held = b.client.pin(loc, id).unwrap();
    assert_eq!(b.client.pin(loc, other).err(), Some(StoreError::Gone(other)));
    drop(held);
    assert_eq!(world.server.free(loc, other), Freed::Unknown);
    assert_eq!(world.server.free(loc, id), Freed::Now);
    assert_eq!(world.server.free(loc, id), Freed::Unknown);
    assert_eq!(b.client.pin(loc, id).err(), Some(StoreError::Gone(id)));
}

#[test]
fn a_pinned_object_goes_when_its_last_pin_does() {
    let mut world = World::new(64 * MIB);
    let (a, b) = (world.join(1), world.join(2));
    let (loc, id) = world.put(&a, 30 * MIB, 7);
    let pinned = b.client.pin(loc, id).unwrap();
    let again = b.client.pin(loc, id).unwrap();
    assert_eq!(world.server.free(loc, id), Freed::PutOff);
    assert_eq!(world.server.free(loc, id), Freed::Unknown, "it is on its way");
    assert_eq!(a.client.pin(loc, id).err(), Some(StoreError::Gone(id)));
    drop(pinned);
    assert!(!b.client.take_sweep_hint() && all(&again, 7));
    let at = world.server.sweep(Duration::ZERO).unwrap();
    assert!(world.server.sweep(at).unwrap() > at && world.server.stats().put_off == 1);
    drop(again);
    assert!(b.client.take_sweep_hint() && !b.client.take_sweep_hint());
    world.server.on_pin_hint();
    assert_eq!((world.server.stats().put_off, world.server.stats().used), (0, 0));
}

#[test]
fn without_a_hint_the_sweep_finds_it_within_ten_seconds() {
    let mut world = World::new(64 * MIB);
    let (a, b) = (world.join(1), world.join(2));
    let (loc, id) = world.put(&a, 30 * MIB, 7);
    let pinned = b.client.pin(loc, id).unwrap();
    world.server.free(loc, id);
    let mut now = Duration::ZERO;
    for _ in 0..20 {
        let next = world.server.sweep(now).unwrap();
        assert!(next > now && next - now <= Duration::from_secs(10));
        now = next;
    }
    drop(pinned);
    let next = world.server.sweep(now).unwrap();
    assert_eq!(world.server.stats().put_off, 0);
    assert_eq!(world.server.sweep(next), None, "nothing pending: the daemon sleeps");
}

#[test]
fn a_dead_clients_pins_are_void_and_what_it_sealed_stays() {
    let mut world = World::new(64 * MIB);
    let (a, b) = (world.join(1), world.join(2));
    let (big, big_id) = world.put(&a, 30 * MIB, 7);
    let (kept, kept_id) = world.put(&b, 5000, 8);
    let lost_id = world.id();
    let lost = world.begin(&b, 5000, lost_id, b.worker).unwrap();
    std::mem::forget(b.client.pin(big, big_id).unwrap());
    assert_eq!(world.server.free(big, big_id), Freed::PutOff);
    std::mem::forget(lost);
    world.server.client_died(b.slot);
    assert_eq!(world.server.stats().put_off, 0);
    assert!(all(&a.client.pin(kept, kept_id).unwrap(), 8));
    let sealed = world.server.all_sealed();
    assert_eq!(sealed.iter().map(|(_, holder)| holder.id).collect::<Vec<_>>(), [kept_id]);
    let stats = world.server.stats();
    assert!(stats.used < 64 << 10, "one table and one object's pages: {}", stats.used);
    world.server.owner_died(b.worker);
    assert_eq!(world.server.stats().used, 0);
}

#[test]
fn what_a_dead_client_sealed_for_others_is_named_wherever_it_lies() {
    let mut world = World::new(64 * MIB);
    let (owner, writer, other) = (world.join(1), world.join(2), world.join(3));
    let (first, freed, large) = (world.id(), world.id(), world.id());
    let seal = |world: &mut World, id, len| world.begin(&writer, len, id, owner.worker).unwrap().seal();
    let locs = [seal(&mut world, first, 5000), seal(&mut world, freed, 5000), seal(&mut world, large, 30 * MIB)];
    world.put(&other, 5000, 1);
    world.release(&writer);
    let last = world.id();
    let last_loc = seal(&mut world, last, 5000);
    assert_eq!(world.server.free(locs[1], freed), Freed::Now);
    world.server.owner_died(writer.worker);
    let left = world.server.client_died(writer.slot);
    let mut named: Vec<_> = left.iter().map(|l| (l.owner, l.id, l.loc)).collect();
    named.sort_by_key(|(_, id, _)| *id);
    let theirs = [(first, locs[0]), (large, locs[2]), (last, last_loc)].map(|(id, loc)| (owner.worker, id, loc));
    assert_eq!(named, theirs);
    for (_, id, loc) in named {
        assert_eq!(world.server.free(loc, id), Freed::Now);
    }
    assert_eq!(world.server.stats().objects, 1);
    assert!(world.server.client_died(writer.slot).is_empty());
}

#[test]
fn an_owners_objects_go_with_it_whoever_wrote_them() {
    let mut world = World::new(64 * MIB);
    let (owner, worker) = (world.join(1), world.join(2));
    let (id, late_id) = (world.id(), world.id());
    let loc = world.begin(&worker, 5000, id, owner.worker).unwrap().seal();
    let late = world.begin(&worker, 5000, late_id, owner.worker).unwrap();
    let (mine, mine_id) = world.put(&worker, 5000, 3);
    world.server.owner_died(owner.worker);
    assert_eq!(worker.client.pin(loc, id).err(), Some(StoreError::Gone(id)));
    let late = late.seal();
    world.release(&worker);
    assert_eq!(worker.client.pin(late, late_id).err(), Some(StoreError::Gone(late_id)));
    assert!(all(&worker.client.pin(mine, mine_id).unwrap(), 3));
}

#[test]
fn a_returned_chunk_keeps_only_the_pages_of_its_objects() {
    let mut world = World::new(1024 * MIB);
    let a = world.join(1);
    let objects = (0..40).map(|n| world.put(&a, 1 << 20, n)).collect::<Vec<_>>();
    world.release(&a);
    for (loc, id) in &objects[1..] {
        assert_eq!(world.server.free(*loc, *id), Freed::Now);
    }
    let used = world.server.stats().used;
    assert!(used < 2 * MIB, "{used} for one object of 1 MiB");
    assert!(all(&a.client.pin(objects[0].0, objects[0].1).unwrap(), 0));
    assert_eq!(world.server.free(objects[0].0, objects[0].1), Freed::Now);
    assert_eq!(world.server.stats().used, 0);
}

#[test]
fn pins_of_one_place_share_a_slot_and_slots_are_used_again() {
    let mut world = World::new(64 * MIB);
    let a = world.join(1);
    let (loc, id) = world.put(&a, 100, 1);
    let first = a.client.pin(loc, id).unwrap();
    let more = (0..1000).map(|_| a.client.pin(loc, id).unwrap()).collect::<Vec<_>>();
    assert!(more.iter().all(|pin| pin.as_ptr() == first.as_ptr()));
    drop(first);
    assert_eq!(world.server.free(loc, id), Freed::PutOff);
    drop(more);
    world.server.on_pin_hint();
    assert_eq!(world.server.stats().objects, 0);
}

#[test]
fn one_request_frees_many() {
    let mut world = World::new(64 * MIB);
    let a = world.join(1);
    let objects = (0..10).map(|n| world.put(&a, 1000, n)).collect::<Vec<_>>();
    let pinned = a.client.pin(objects[3].0, objects[3].1).unwrap();
    let twice = [&objects[..], &objects[..1]].concat();
    let freed = world.server.free_many(&twice);
    let expected = |n| if n == 3 { Freed::PutOff } else { Freed::Now };
    assert_eq!(freed, (0..11).map(expected).collect::<Vec<_>>());
    assert!(all(&pinned, 3));
}

#[test]
fn what_is_taken_out_is_not_pinned_and_what_is_pinned_is_as_it_was() {
    let mut world = World::new(64 * MIB);
    let (a, b) = (world.join(1), world.join(2));
    let objects = [world.put(&a, 10 * MIB, 1), world.put(&a, 10 * MIB, 2)];
    let held = b.client.pin(objects[0].0, objects[0].1).unwrap();
    assert_eq!(world.server.take_out(&objects), [false, true]);
    assert!(all(&held, 1) && a.client.pin(objects[0].0, objects[0].1).is_ok(), "anybody may pin it still");
    assert!(a.client.pin(objects[1].0, objects[1].1).is_err());
    drop(held);
    assert_eq!(world.server.take_out(&objects), [true, false], "once");
    world.server.check();
}
