//! How fast `put` and drop of one object after another is, against a warm copy between private pages.
//!
//! `cargo run --release -p shoal-store --example put_drop`
use shoal_store::{ArenaClient, ArenaServer, Begin, StoreError, copy_into};
use shoal_types::{ObjectId, TaskId, WorkerId};
use std::hint::black_box;
use std::time::{Duration, Instant};

const ME: WorkerId = WorkerId([1; 16]);

struct Bench {
    server: ArenaServer,
    client: ArenaClient,
    next: u64,
}

impl Bench {
    fn new() -> Result<Self, StoreError> {
        let mut server = ArenaServer::create(8 << 30)?;
        let (slot, pins) = server.add_client(ME)?;
        let arena = server.arena_fd().try_clone_to_owned().expect("dup");
        Ok(Self { server, client: ArenaClient::attach(arena, pins, slot)?, next: 0 })
    }

    fn returns(&mut self) {
        for done in self.client.chunks_to_return() {
            self.server.return_chunk(self.client.slot(), done);
        }
    }

    /// Puts, pins as a `get` does, unpins, frees.
    fn put_drop(&mut self, src: &[u8], copy: fn(&mut [u8], &[u8])) -> Result<(), StoreError> {
        self.next += 1;
        let id = ObjectId::new(TaskId::new([0; 8], self.next), 0);
        let mut writer = loop {
            match self.client.begin(src.len() as u64, id, ME)? {
                Begin::Write(writer) => break writer,
                Begin::NeedChunk { at_least } => {
                    self.returns();
                    let grant = self.server.lease_chunk(self.client.slot(), at_least)?;
                    self.client.add_chunk(grant)?;
                }
            }
        };
        copy(writer.bytes_mut(), src);
        let loc = writer.seal();
        self.returns();
        black_box(self.client.pin(loc, id)?.as_ptr());
        self.server.free(loc, id);
        self.server.sweep(Duration::ZERO);
        Ok(())
    }
}

/// The best of several runs, in GB/s.
fn best(bytes: usize, mut run: impl FnMut()) -> f64 {
    let runs = (1 << 30) / bytes.max(1 << 20) + 3;
    let once = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    bytes as f64 / (0..runs).map(once).fold(f64::MAX, f64::min) / 1e9
}

fn two_threads(dst: &mut [u8], src: &[u8]) {
    let middle = src.len() / 2;
    let (dst, src) = (dst.split_at_mut(middle), src.split_at(middle));
    std::thread::scope(|scope| {
        scope.spawn(|| dst.1.copy_from_slice(src.1));
        dst.0.copy_from_slice(src.0);
    });
}

fn main() -> Result<(), StoreError> {
    println!(
        "{:>10} {:>10} {:>10} {:>10} {:>10} {:>12}",
        "MiB", "memcpy", "put-drop", "share", "2 threads", "first, ms"
    );
    for mib in [0.1, 0.2, 1.0, 4.0, 16.0, 64.0, 256.0, 800.0] {
        let len = (mib * f64::from(1 << 20)) as usize;
        let (src, mut dst) = (vec![1u8; len], vec![2u8; len]);
        let plain = best(len, || black_box(&mut dst[..]).copy_from_slice(&src));
        drop(dst);
        let mut bench = Bench::new()?;
        let start = Instant::now();
        bench.put_drop(&src, copy_into)?;
        let first = start.elapsed().as_secs_f64() * 1e3;
        let one = best(len, || bench.put_drop(&src, copy_into).expect("room"));
        let two = best(len, || bench.put_drop(&src, two_threads).expect("room"));
        println!("{mib:>10} {plain:>10.2} {one:>10.2} {:>10.2} {two:>10.2} {first:>12.2}", one / plain);
    }
    small()
}

/// The parts of a small put and get.
fn small() -> Result<(), StoreError> {
    let mut bench = Bench::new()?;
    const N: u32 = 200_000;
    let start = Instant::now();
    for _ in 0..N {
        bench.put_drop(&[0; 64], copy_into)?;
    }
    println!("put, pin, unpin, free, sweep of 64 bytes: {:?}", start.elapsed() / N);
    let id = ObjectId::new(TaskId::new([9; 8], 0), 0);
    if let Begin::Write(writer) = bench.client.begin(64, id, ME)? {
        let loc = writer.seal();
        let start = Instant::now();
        for _ in 0..N {
            black_box(bench.client.pin(loc, id)?);
        }
        println!("pin, unpin: {:?}", start.elapsed() / N);
        let held = bench.client.pin(loc, id)?;
        let start = Instant::now();
        for _ in 0..N {
            black_box(bench.client.pin(loc, id)?);
        }
        println!("pin, unpin of what this process holds: {:?}", start.elapsed() / N);
        drop(held);
    }
    Ok(())
}
