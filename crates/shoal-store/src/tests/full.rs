//! ARENA-4: full is an error that says how much there is, and how much is in use.
use super::world::{MIB, World};
use crate::{ArenaClient, ArenaServer, StoreError};
use shoal_types::WorkerId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn a_full_arena_says_what_is_in_use() {
    let mut world = World::new(64 * MIB);
    let a = world.join(1);
    world.put(&a, 10 * MIB, 1);
    let (large_loc, large) = world.put(&a, 40 * MIB, 1);
    let id = world.id();
    let error = world.begin(&a, 20 * MIB, id, a.worker).err().expect("no room for it");
    assert!(error.to_string().ends_with(" of 67108864 in use"), "the machine is not the reason: {error}");
    let StoreError::Full { wanted, used, capacity, machine } = error else { panic!("{error}") };
    assert!(wanted > 20 * MIB && used > 50 * MIB && capacity == 64 * MIB && machine == u64::MAX);
    world.server.free(large_loc, large);
    assert!(world.begin(&a, 20 * MIB, id, a.worker).is_ok());
}

#[test]
fn many_clients_fill_the_arena_to_its_last_chunk() {
    let mut world = World::new(16 * MIB);
    let members = (0..4).map(|n| world.join(n)).collect::<Vec<_>>();
    let mut stored = 0;
    'full: loop {
        for member in &members {
            let id = world.id();
            match world.begin(member, 30_000, id, member.worker) {
                Ok(writer) => drop(writer.seal()),
                Err(StoreError::Full { .. }) => break 'full,
                Err(other) => panic!("{other}"),
            }
            stored += 30_000;
        }
    }
    assert!(stored > 12 * MIB, "{stored} of 16 MiB before it was full");
}

#[test]
fn a_full_machine_is_an_error_before_anything_is_touched() {
    let left = Arc::new(AtomicU64::new(1 << 40));
    let look = left.clone();
    let mut server = ArenaServer::create_with_look(1 << 30, Box::new(move || look.load(Ordering::Relaxed))).unwrap();
    let (slot, pins) = server.add_client(WorkerId([1; 16])).unwrap();
    let client = ArenaClient::attach(server.arena_fd().try_clone_to_owned().unwrap(), pins, slot).unwrap();
    let first = server.lease_chunk(slot, 100 * MIB).unwrap();

    left.store(180 * MIB, Ordering::Relaxed);
    let error = server.lease_chunk(slot, 20 * MIB).unwrap_err();
    assert!(
        matches!(error, StoreError::Full { machine, .. } if machine == 180 * MIB),
        "100 of it are promised: {error:?}"
    );
    assert!(error.to_string().ends_with(&format!(", {} left in the machine", 180 * MIB)), "{error}");
    client.add_chunk(first).unwrap();
    assert!(server.lease_chunk(slot, 20 * MIB).is_ok(), "the promise was kept, so the look has seen it");
    assert!(server.stats().used < 130 * MIB, "the refused lease left nothing");
}

#[test]
fn sizes_without_sense_are_refused() {
    let mut world = World::new(64 * MIB);
    let a = world.join(1);
    for len in [65 * MIB, 1 << 40] {
        let id = world.id();
        assert!(matches!(world.begin(&a, len, id, a.worker), Err(StoreError::Full { .. })));
    }
    let id = world.id();
    assert!(matches!(world.begin(&a, u64::MAX, id, a.worker), Err(StoreError::OutOfBounds(_))));
    assert!(matches!(world.server.lease_chunk(a.slot, u64::MAX - 4096), Err(StoreError::OutOfBounds(_))));
    let grant = world.server.lease_chunk(a.slot, 1).unwrap();
    let outside = crate::ChunkGrant { offset: 64 * MIB, ..grant };
    assert!(matches!(a.client.add_chunk(outside), Err(StoreError::OutOfBounds(_))));
    assert!(ArenaServer::create(0).is_err() && ArenaServer::create(u64::MAX).is_err());
}
