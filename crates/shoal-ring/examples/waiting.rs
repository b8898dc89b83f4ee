//! Microseconds of a round trip over a lane between two processes, by how they wait, how long each side works, and where
//! the kernel may put them. Medians over rounds, with quartiles.
//!
//! - *block*: both sleep at once;
//! - *spin*: both spin until something is there;
//! - *CPU rule*: what the product does once its gaps are short: the caller spins, at most 50 µs, while the worker has its
//!   request in hand on another CPU, the worker as long for the next request of a caller on another CPU, and says meanwhile
//!   that it has one; else both sleep at once.
//!
//! `cargo run --release -p shoal-ring --example waiting`
use shoal_ring::{Bell, CallerLane, Lane, PeerBell, Sleep, WorkerLane};
use std::fs::File;
use std::hint::spin_loop;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;
const MEASURED: Duration = Duration::from_millis(150);
const SPIN: Duration = Duration::from_micros(50);
const WAITS: [(&str, Wait); 3] = [("block", Wait::Block), ("spin", Wait::Spin), ("CPU rule", Wait::Rule)];
const WORK: [u64; 3] = [0, 4, 20];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Block,
    Spin,
    Rule,
}

fn work(length: Duration) {
    let begin = Instant::now();
    while !length.is_zero() && begin.elapsed() < length {
        spin_loop();
    }
}

/// Where a side runs: on this core, or anywhere.
type Core = Option<usize>;

fn cores() -> Vec<usize> {
    let set = rustix::thread::sched_getaffinity(None).expect("the cores of this process");
    (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}

fn pin(core: Core) {
    if let Some(core) = core {
        let mut set = rustix::thread::CpuSet::new();
        set.set(core);
        rustix::thread::sched_setaffinity(None, &set).expect("a core of this process");
    }
}

/// Whether the peer runs on another CPU.
fn elsewhere(cpu: Option<u32>) -> bool {
    cpu.is_some_and(|cpu| cpu as usize != rustix::thread::sched_getcpu())
}

/// Spins as long as `go_on` says, then, after `give_up`, sleeps until the bell is rung.
fn await_bell(bell: &Bell, go_on: impl Fn() -> bool, give_up: impl Fn()) {
    while !bell.pending() && go_on() {
        spin_loop();
    }
    give_up();
    if bell.prepare_sleep(Sleep::Futex) {
        bell.sleep_futex(Sleep::Futex, None);
    }
    bell.awake();
    bell.drain(|_| ());
}

fn open(path: &str) -> OwnedFd {
    File::options().read(true).write(true).open(path).expect("a descriptor of the other process").into()
}

fn path_of(fd: &OwnedFd) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), fd.as_raw_fd())
}

/// The worker: says where its bell is, and answers requests until one is empty.
fn serve(lane: &str, caller: &str, wait: Wait, length: Duration, core: Core) {
    pin(core);
    let (bell, fd) = Bell::create().unwrap();
    let (mut lane, caller) = (WorkerLane::map(open(lane)).unwrap(), PeerBell::map(open(caller)).unwrap());
    println!("{}", path_of(&fd));
    let (status, mut request) = (lane.status(), Vec::new());
    loop {
        while lane.requests.take(&mut request).unwrap().is_none() {
            let end = Instant::now() + SPIN;
            let go_on = || match wait {
                Wait::Block => false,
                Wait::Spin => true,
                Wait::Rule => elsewhere(status.caller_cpu()) && Instant::now() < end,
            };
            await_bell(&bell, go_on, || status.set_worker_busy(bell.pending()));
            status.set_worker_cpu(rustix::thread::sched_getcpu() as u32);
            status.set_worker_busy(true);
        }
        if request.is_empty() {
            return;
        }
        work(length);
        lane.replies.push(&[&request]).expect("an empty ring");
        let _ = caller.ring(lane.caller_slot());
    }
}

/// The caller: microseconds of a round trip.
fn call(wait: Wait, length: Duration, caller: Core, worker: Core) -> f64 {
    let fd = Lane::create(1, 0, 0).unwrap();
    let (bell, bell_fd) = Bell::create().unwrap();
    let arguments = [path_of(&fd), path_of(&bell_fd), (wait as u8).to_string(), length.as_micros().to_string()];
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .arg(worker.map_or("anywhere".into(), |core| core.to_string()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut path = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut path).unwrap();
    pin(caller); // only now: the child would inherit it
    let (mut lane, worker) = (CallerLane::map(&fd).unwrap(), PeerBell::map(open(path.trim())).unwrap());
    let (status, mut reply) = (lane.status(), Vec::new());
    let mut trips = |long: Duration| {
        let (begin, mut count) = (Instant::now(), 0);
        while begin.elapsed() < long {
            work(length);
            status.set_caller_cpu(rustix::thread::sched_getcpu() as u32);
            lane.requests.push(&[&[1; 100]]).expect("an empty ring");
            let _ = worker.ring(lane.worker_slot());
            while lane.replies.take(&mut reply).unwrap().is_none() {
                let end = Instant::now() + SPIN;
                let go_on = || match wait {
                    Wait::Block => false,
                    Wait::Spin => true,
                    Wait::Rule => status.worker_busy() && elsewhere(status.worker_cpu()) && Instant::now() < end,
                };
                await_bell(&bell, go_on, || ());
            }
            count += 1;
        }
        begin.elapsed().as_secs_f64() * 1e6 / f64::from(count)
    };
    trips(MEASURED / 10);
    let measured = trips(MEASURED);
    lane.requests.push(&[]).expect("an empty ring");
    let _ = worker.ring(lane.worker_slot());
    assert!(child.wait().unwrap().success());
    measured
}

/// Median and quartiles.
fn spread(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    let at = |share: usize| values[values.len() * share / 4];
    format!("{:.1} ({:.1}–{:.1})", at(2), at(1), at(3))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [lane, caller, wait, length, core] = &arguments[..] {
        let wait = WAITS[wait.parse::<usize>().unwrap()].1;
        return serve(lane, caller, wait, Duration::from_micros(length.parse().unwrap()), core.parse().ok());
    }
    let cores = cores();
    let (first, last) = (Some(cores[0]), Some(cores[cores.len() - 1]));
    assert!(first != last, "this needs two cores");
    let places = [("anywhere", None, None), ("one core", first, first), ("two cores", first, last)];
    println!("| work a side | where | block | spin | CPU rule |\n|---|---|---|---|---|");
    for length in WORK {
        for (place, caller, worker) in places {
            let mut cells: [Vec<f64>; WAITS.len()] = Default::default();
            for _ in 0..ROUNDS {
                // In turn, so that a noisy neighbour meets all alike; in a thread, whose core is its own.
                for (cell, (_, wait)) in cells.iter_mut().zip(WAITS) {
                    let run = move || call(wait, Duration::from_micros(length), caller, worker);
                    cell.push(std::thread::spawn(run).join().expect("a round"));
                }
            }
            let told: Vec<String> = cells.iter_mut().map(|values| spread(values)).collect();
            println!("| {length} µs | {place} | {} |", told.join(" | "));
        }
    }
}
