//! Real processes: other mappings, forks, kills.
use super::world::{MIB, World, all};
use crate::{ArenaClient, Freed, StoreError};
use shoal_types::{ArenaLoc, ObjectId, WorkerId};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// Runs `child` in a forked process; returns how it ended, as `waitpid` says.
pub fn forked(child: impl FnOnce()) -> i32 {
    // SAFETY: the child runs `child` on this thread's stack, then ends without running anything of the parent's.
    match unsafe { libc::fork() } {
        0 => {
            let ok = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).is_ok();
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(if ok { 0 } else { 1 }) }
        }
        pid => {
            assert!(pid > 0, "fork");
            let mut status = 0;
            // SAFETY: our own child.
            assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
            status
        }
    }
}

#[test]
fn two_processes_share_an_object() {
    let mut world = World::new(64 * MIB);
    let a = world.join(1);
    let (slot, pins) = world.server.add_client(WorkerId([2; 16])).unwrap();
    let arena = world.server.arena_fd().try_clone_to_owned().unwrap();
    let (loc, id) = world.put(&a, 10 * MIB, 5);
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    // SAFETY: as in `forked`.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let work = move || -> Result<(), StoreError> {
            let client = ArenaClient::attach(arena, pins, slot)?;
            let pinned = client.pin(loc, id)?;
            assert!(all(&pinned, 5));
            theirs.write_all(b"p").unwrap();
            theirs.read_exact(&mut [0]).unwrap();
            assert!(all(&pinned, 5), "still there after the free");
            assert_eq!(client.pin(loc, id).map(|again| again.len()), Ok(10 << 20), "it has it already");
            drop(pinned);
            assert!(client.take_sweep_hint());
            Ok(())
        };
        let ok = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_ok_and(|done| done.is_ok());
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(if ok { 0 } else { 1 }) }
    }
    ours.read_exact(&mut [0]).unwrap();
    assert_eq!(world.server.free(loc, id), Freed::PutOff);
    assert!(world.server.stats().used > 10 * MIB);
    ours.write_all(b"g").unwrap();
    let mut status = 0;
    // SAFETY: our own child.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(status, 0);
    world.server.on_pin_hint();
    assert_eq!(world.server.stats().used, 0);
}

#[test]
fn a_killed_process_leaves_nothing_but_what_it_sealed() {
    let mut world = World::new(64 * MIB);
    let reader = world.join(1);
    let (slot, pins) = world.server.add_client(WorkerId([2; 16])).unwrap();
    let arena = world.server.arena_fd().try_clone_to_owned().unwrap();
    let grant = world.server.lease_chunk(slot, 100_000).unwrap();
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    let (sealed, open) = (world.id(), world.id());
    let status = forked(move || {
        let client = ArenaClient::attach(arena, pins, slot).unwrap();
        client.add_chunk(grant).unwrap();
        let begin = |id| match client.begin(50_000, id, WorkerId([2; 16])).unwrap() {
            crate::Begin::Write(writer) => writer,
            crate::Begin::NeedChunk { .. } => unreachable!(),
        };
        let (mut first, _second) = (begin(sealed), begin(open));
        first.bytes_mut().fill(9);
        let loc = first.seal();
        std::mem::forget(client.pin(loc, sealed).unwrap());
        let numbers = [loc.chunk, loc.entry.into(), loc.generation.into(), loc.offset, loc.len];
        theirs.write_all(&numbers.map(u64::to_ne_bytes).concat()).unwrap();
        // SAFETY: kills this process.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    });
    assert!(libc::WIFSIGNALED(status));
    let loc = read_loc(&mut ours);
    world.server.client_died(slot);
    assert_eq!(world.server.stats().objects, 1);
    assert!(all(&reader.client.pin(loc, sealed).unwrap(), 9));
    assert_eq!(world.server.free(loc, sealed), Freed::Now, "its pin is void");
    assert_eq!(world.server.stats().used, 0);
}

fn read_loc(from: &mut UnixStream) -> ArenaLoc {
    let mut bytes = [0; 40];
    from.read_exact(&mut bytes).unwrap();
    let number = |i: usize| u64::from_ne_bytes(bytes[i * 8..][..8].try_into().unwrap());
    ArenaLoc {
        chunk: number(0),
        entry: number(1) as u32,
        generation: number(2) as u32,
        offset: number(3),
        len: number(4),
    }
}

#[test]
fn in_a_forked_child_all_is_inert_and_readable() {
    let mut world = World::new(64 * MIB);
    let a = world.join(1);
    let (loc, id) = world.put(&a, 100_000, 5);
    let pinned = a.client.pin(loc, id).unwrap();
    let writing = world.id();
    let mut writer = world.begin(&a, 100_000, writing, a.worker).unwrap();
    let client = a.client.clone();
    let status = forked(|| {
        assert!(all(&pinned, 5));
        drop(pinned.clone());
        // SAFETY: moved out once; the child never runs the parent's drop.
        drop(unsafe { std::ptr::read(&pinned) });
        // SAFETY: as above.
        drop(unsafe { std::ptr::read(&writer) });
        assert_eq!(client.pin(loc, id).err(), Some(StoreError::Forked));
        assert!(matches!(client.begin(1, ObjectId::default(), WorkerId::NIL), Err(StoreError::Forked)));
        assert!(client.release_idle().is_empty());
    });
    assert_eq!(status, 0);
    assert_eq!(world.server.free(loc, id), Freed::PutOff, "the parent's pin holds");
    writer.bytes_mut().fill(6);
    let loc = writer.seal();
    assert!(all(&a.client.pin(loc, writing).unwrap(), 6) && all(&pinned, 5));
}
