//! ARENA-5: recycling.
use super::world::{MIB, World, all};
use crate::Freed;
use std::time::Duration;

#[test]
fn put_and_drop_of_one_large_object_reuses_its_pages() {
    let mut world = World::new(1024 * MIB);
    let a = world.join(1);
    let (first, id) = world.put(&a, 64 * MIB, 0);
    let pages = world.pages();
    assert_eq!(world.server.free(first, id), Freed::Now);
    for n in 1..5 {
        world.server.sweep(Duration::from_secs(n));
        let (loc, id) = world.put(&a, 64 * MIB, n as u8);
        assert_eq!((loc.offset, world.pages()), (first.offset, pages));
        assert_ne!(loc.generation, first.generation);
        assert!(all(&a.client.pin(loc, id).unwrap(), n as u8));
        assert_eq!(world.server.free(loc, id), Freed::Now);
    }
}

#[test]
fn an_open_chunk_starts_again_when_all_in_it_was_freed() {
    let mut world = World::new(1024 * MIB);
    let a = world.join(1);
    let (first, mut last) = {
        let put = world.put(&a, 200_000, 1);
        (put.0, put)
    };
    for n in 0..10_000u32 {
        assert_eq!(world.server.free(last.0, last.1), Freed::Now);
        assert!(a.client.pin(last.0, last.1).is_err());
        last = world.put(&a, 200_000, n as u8);
    }
    assert!(world.pages() < 4 * MIB, "{}", world.pages());
    assert!(last.0.generation != first.generation);
}

#[test]
fn a_chunk_with_a_pinned_object_doesnt_start_again() {
    let mut world = World::new(1024 * MIB);
    let (a, b) = (world.join(1), world.join(2));
    let (loc, id) = world.put(&a, 200_000, 1);
    let pinned = b.client.pin(loc, id).unwrap();
    assert_eq!(world.server.free(loc, id), Freed::PutOff);
    for _ in 0..20 {
        let (loc, id) = world.put(&a, 200_000, 2);
        assert_eq!(world.server.free(loc, id), Freed::Now);
    }
    assert!(all(&pinned, 1));
    drop(pinned);
    world.server.on_pin_hint();
    world.release(&a);
    assert_eq!(world.server.stats().used, 0);
}

#[test]
fn pages_are_punched_out_ten_seconds_after() {
    let mut world = World::new(1024 * MIB);
    let a = world.join(1);
    let s = Duration::from_secs;
    let (loc, id) = world.put(&a, 48 * MIB, 0);
    assert_eq!(world.server.sweep(s(0)), None);
    world.server.free(loc, id);
    assert_eq!(world.server.stats().used, 0, "accounted at once");
    assert_eq!(world.server.sweep(s(5)), Some(s(15)));
    assert_eq!(world.server.sweep(s(14)), Some(s(15)));
    assert!(world.pages() > 48 * MIB);
    assert_eq!(world.server.sweep(s(15)), None);
    assert_eq!(world.pages(), 0);
    let (again, id) = world.put(&a, 48 * MIB, 9);
    assert!(all(&a.client.pin(again, id).unwrap(), 9), "cold space works as before");
}

#[test]
fn warm_pages_beyond_a_tenth_of_the_arena_go_at_once() {
    let mut world = World::new(320 * MIB);
    let a = world.join(1);
    let objects = (0..6).map(|n| world.put(&a, 20 * MIB, n)).collect::<Vec<_>>();
    for (loc, id) in objects {
        world.server.free(loc, id);
    }
    world.server.sweep(Duration::ZERO);
    world.server.sweep(Duration::ZERO);
    let warm = world.server.stats().warm;
    assert!(warm <= 32 * MIB + 21 * MIB && world.pages() <= warm, "32 MiB and the latest extent: {warm}");
}

#[test]
fn a_chunk_goes_back_to_its_last_lessee() {
    let mut world = World::new(1024 * MIB);
    let (a, b) = (world.join(1), world.join(2));
    let (of_a, id_a) = world.put(&a, 40 * MIB, 1);
    let (of_b, id_b) = world.put(&b, 40 * MIB, 2);
    world.server.free(of_a, id_a);
    world.server.free(of_b, id_b);
    assert_eq!(world.put(&a, 40 * MIB, 1).0.offset, of_a.offset);
    assert_eq!(world.put(&b, 40 * MIB, 1).0.offset, of_b.offset);
}

#[test]
fn an_extents_return_may_come_after_it_was_leased_again() {
    let mut world = World::new(1024 * MIB);
    let a = world.join(1);
    let id = world.id();
    let loc = world.begin(&a, 40 * MIB, id, a.worker).unwrap().seal();
    let late = a.client.chunks_to_return();
    assert_eq!(late.len(), 1);
    assert_eq!(world.server.free(loc, id), Freed::Now);
    let id = world.id();
    let mut writer = world.begin(&a, 40 * MIB, id, a.worker).unwrap();
    world.server.return_chunk(a.slot, late[0]);
    assert!(world.server.stats().used > 40 * MIB, "the new lease stands");
    writer.bytes_mut().fill(4);
    let again = writer.seal();
    assert_eq!(again.offset, loc.offset);
    assert!(all(&a.client.pin(again, id).unwrap(), 4));
}
