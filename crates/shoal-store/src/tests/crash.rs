//! A process dies at each crash point; what the others see must keep the invariants.
use super::processes::forked;
use super::world::{MIB, World, all};
use crate::{ArenaClient, Begin, Freed, StoreError};
use shoal_types::{ArenaLoc, ObjectId, WorkerId};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

const THEM: WorkerId = WorkerId([2; 16]);

/// What a client's life passes: every store of the client's protocols, each at least once.
fn live(client: &ArenaClient, grant: crate::ChunkGrant, other: (ArenaLoc, ObjectId), ids: [ObjectId; 3]) {
    client.add_chunk(grant).unwrap();
    let begin = |id| match client.begin(30_000, id, THEM).unwrap() {
        Begin::Write(writer) => writer,
        Begin::NeedChunk { .. } => unreachable!("30 kB in a chunk of 1 MiB"),
    };
    drop(begin(ids[0]));
    let mut writer = begin(ids[1]);
    writer.bytes_mut().fill(9);
    let pinned = client.pin(other.0, other.1).unwrap();
    drop(pinned);
    writer.seal();
    let mut writer = begin(ids[2]);
    writer.bytes_mut().fill(9);
    writer.seal();
}

#[test]
fn a_client_dies_at_each_store() {
    let mut reached = Vec::new();
    for point in std::iter::once(0).chain(11..=24) {
        let mut world = World::new(64 * MIB);
        let a = world.join(1);
        let other = world.put(&a, 30_000, 5);
        let ids = [world.id(), world.id(), world.id()];
        let (slot, pins) = world.server.add_client(THEM).unwrap();
        let arena = world.server.arena_fd().try_clone_to_owned().unwrap();
        let grant = world.server.lease_chunk(slot, 30_000).unwrap();
        let status = forked(|| {
            shoal_crash::arm(point);
            live(&ArenaClient::attach(arena, pins, slot).unwrap(), grant, other, ids);
        });
        assert!(status == 0 || libc::WTERMSIG(status) == libc::SIGABRT, "point {point}: {status}");
        if status != 0 {
            reached.push(point);
        }
        world.server.client_died(slot);
        world.server.check();
        // Whatever is there is whole.
        let sealed = world.server.sealed_locs();
        for (loc, id) in &sealed {
            let fill = if *id == other.1 { 5 } else { 9 };
            assert!(all(&a.client.pin(*loc, *id).unwrap(), fill), "point {point}: torn");
        }
        assert!(status != 0 || sealed.len() == 3);
        for (loc, id) in sealed {
            assert_eq!(world.server.free(loc, id), Freed::Now, "point {point}: a dead client's pin is void");
        }
        world.release(&a);
        assert_eq!(world.server.stats().used, 0, "point {point}: left over");
    }
    assert_eq!(reached, (11..=21).collect::<Vec<u32>>(), "the rest is the server's");
}

#[test]
fn a_lessee_dies_while_it_starts_a_chunk_again() {
    let mut world = World::new(64 * MIB);
    let (slot, pins) = world.server.add_client(THEM).unwrap();
    let arena = world.server.arena_fd().try_clone_to_owned().unwrap();
    let grant = world.server.lease_chunk(slot, 30_000).unwrap();
    let ids = [world.id(), world.id(), world.id()];
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    let server = &mut world.server;
    let status = std::thread::scope(|scope| {
        scope.spawn(move || {
            ours.read_exact(&mut [0]).unwrap();
            for (loc, id) in server.sealed_locs() {
                assert_eq!(server.free(loc, id), Freed::Now);
            }
            ours.write_all(b"f").unwrap();
        });
        forked(|| {
            let client = ArenaClient::attach(arena, pins, slot).unwrap();
            client.add_chunk(grant).unwrap();
            let begin = |id| client.begin(30_000, id, THEM).unwrap();
            for id in ids {
                if let Begin::Write(writer) = begin(id) {
                    writer.seal();
                }
            }
            theirs.write_all(b"s").unwrap();
            theirs.read_exact(&mut [0]).unwrap();
            shoal_crash::arm(21);
            begin(ids[0]);
        })
    });
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGABRT, "{status}");
    world.server.client_died(slot);
    world.server.check();
    assert_eq!((world.server.stats().objects, world.server.stats().used), (0, 0));
}

#[test]
fn the_server_dies_at_each_store_of_a_free() {
    for point in 22..=24 {
        let mut world = World::new(64 * MIB);
        let (a, b) = (world.join(1), world.join(2));
        let (freed, kept) = (world.put(&a, 30_000, 5), world.put(&a, 30_000, 6));
        let pinned = b.client.pin(kept.0, kept.1).unwrap();
        let status = forked(|| {
            world.server.remap();
            shoal_crash::arm(point);
            world.server.free_many(&[freed]);
        });
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGABRT);
        assert_eq!(b.client.pin(freed.0, freed.1).err(), Some(StoreError::Gone(freed.1)), "point {point}");
        assert!(all(&b.client.pin(kept.0, kept.1).unwrap(), 6) && all(&pinned, 6), "clients read on");
    }
}

#[test]
fn the_server_dies_while_it_takes_objects_out() {
    for point in [22, 23, 24, 25] {
        let mut world = World::new(64 * MIB);
        let (a, b) = (world.join(1), world.join(2));
        let (pinned, other) = (world.put(&a, 20 * MIB, 5), world.put(&a, 20 * MIB, 6));
        let held = b.client.pin(pinned.0, pinned.1).unwrap();
        let status = forked(|| {
            world.server.remap();
            shoal_crash::arm(point);
            world.server.take_out(&[pinned, other]);
        });
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGABRT, "point {point}");
        assert!(all(&held, 5), "point {point}: who has it reads on");
    }
}
