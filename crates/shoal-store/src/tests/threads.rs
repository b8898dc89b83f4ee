//! One client from several threads, against a server that frees meanwhile.
use super::world::{MIB, World, all};
use crate::Freed;
use std::sync::mpsc;
use std::thread;

#[test]
fn readers_race_with_the_free_and_see_all_or_nothing() {
    let mut world = World::new(64 * MIB);
    let (writer, reader) = (world.join(1), world.join(2));
    let mut seen = 0;
    thread::scope(|scope| {
        let (to, from) = mpsc::sync_channel(4);
        let (to2, from2) = mpsc::sync_channel(4);
        let client = &reader.client;
        let read = move |from: mpsc::Receiver<_>| {
            let mut seen = 0u32;
            for (loc, id, fill) in from {
                for _ in 0..3 {
                    if let Ok(pinned) = client.pin(loc, id) {
                        assert!(all(&pinned, fill));
                        seen += 1;
                    }
                }
            }
            seen
        };
        let threads = [scope.spawn(move || read(from)), scope.spawn(move || read(from2))];
        for n in 0..3000u32 {
            let (loc, id) = world.put(&writer, 20_000, n as u8);
            to.send((loc, id, n as u8)).unwrap();
            to2.send((loc, id, n as u8)).unwrap();
            assert_ne!(world.server.free(loc, id), Freed::Unknown);
            if n % 16 == 0 {
                world.server.on_pin_hint();
            }
        }
        drop((to, to2));
        seen = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    });
    world.server.on_pin_hint();
    world.release(&writer);
    assert_eq!(world.server.stats().used, 0, "{seen} reads came in time");
}

#[test]
fn threads_of_one_client_write_side_by_side() {
    let mut world = World::new(256 * MIB);
    let a = world.join(1);
    let ids = (0..400).map(|_| world.id()).collect::<Vec<_>>();
    let server = parking_lot::Mutex::new(&mut world.server);
    let (client, worker, slot) = (&a.client, a.worker, a.slot);
    let write = |id, fill: u8| {
        loop {
            match client.begin(150_000, id, worker).unwrap() {
                crate::Begin::Write(mut writer) => {
                    writer.bytes_mut().fill(fill);
                    return (writer.seal(), id, fill);
                }
                crate::Begin::NeedChunk { at_least } => {
                    let grant = server.lock().lease_chunk(slot, at_least).unwrap();
                    client.add_chunk(grant).unwrap();
                }
            }
        }
    };
    let write = &write;
    let written = thread::scope(|scope| {
        let parts = ids.chunks(100).enumerate();
        let threads =
            parts.map(|(n, ids)| scope.spawn(move || ids.iter().map(|id| write(*id, n as u8)).collect::<Vec<_>>()));
        threads.collect::<Vec<_>>().into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    for (loc, id, fill) in written {
        assert!(all(&client.pin(loc, id).unwrap(), fill));
    }
}
