//! Two processes, joined by a fork: they share lane and bells by descriptor only.
#![cfg(not(loom))]

mod support;

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use shoal_ring::{Bell, CallerLane, Lane, Mapping, PeerBell, Ring, Sleep, Wake, Withdrawal, WorkerLane};
use support::{LIMIT, bell_of, fork, shared_word, sleep, wait_for};

/// The worker: sleeps for each request, answers it.
fn echo(fd: &OwnedFd, caller_fd: &OwnedFd, announce: &AtomicU32, rounds: u32) {
    let (bell, bell_fd) = Bell::create().unwrap();
    let mut lane = WorkerLane::map(fd).unwrap();
    let caller = PeerBell::map(caller_fd).unwrap();
    announce.store(bell_fd.as_raw_fd() as u32, Relaxed);
    let mut request = Vec::new();
    for _ in 0..rounds {
        while lane.requests.take(&mut request).unwrap().is_none() {
            sleep(&bell);
        }
        lane.replies.push(&[b"re: ", &request]).unwrap();
        let _ = caller.ring(lane.caller_slot());
    }
}

#[test]
fn ping_pong_with_both_sides_asleep() {
    const ROUNDS: u32 = 5_000;
    let (bell, bell_fd) = Bell::create().unwrap();
    let fd = Lane::create(5, 70, 4000).unwrap();
    let announce = shared_word();
    let child = fork(|| echo(&fd, &bell_fd, announce, ROUNDS));
    let worker = bell_of(child, announce);
    let mut lane = CallerLane::map(&fd).unwrap();
    let mut reply = Vec::new();
    for round in 0..ROUNDS {
        lane.requests.push(&[&round.to_le_bytes()]).unwrap();
        let _ = worker.ring(lane.worker_slot());
        while lane.replies.take(&mut reply).unwrap().is_none() {
            sleep(&bell);
        }
        assert_eq!(reply, [b"re: ", &round.to_le_bytes()[..]].concat());
    }
    assert_eq!(wait_for(child), 0);
}

#[test]
fn after_a_kill_replies_and_claims_can_be_read() {
    let fd = Lane::create(5, 0, 0).unwrap();
    let mut lane = CallerLane::map(&fd).unwrap();
    let positions: Vec<_> = (0..3).map(|i: u8| lane.requests.push(&[&[i]]).unwrap()).collect();
    let announce = shared_word();
    let child = fork(|| {
        let mut lane = WorkerLane::map(&fd).unwrap();
        let mut request = Vec::new();
        lane.requests.take(&mut request).unwrap();
        lane.replies.push(&[&request]).unwrap();
        lane.requests.take(&mut request).unwrap();
        announce.store(1, Relaxed);
        std::thread::sleep(LIMIT);
    });
    while announce.load(Relaxed) == 0 {
        std::thread::yield_now();
    }
    // SAFETY: a child of ours that wasn't reaped.
    unsafe { libc::kill(child, libc::SIGKILL) };
    wait_for(child);
    let mut reply = Vec::new();
    assert!(lane.replies.take(&mut reply).unwrap().is_some() && reply == [0]);
    assert!(lane.replies.take(&mut reply).unwrap().is_none());
    let taken: Vec<bool> = positions.iter().map(|position| lane.requests.is_taken(*position)).collect();
    assert_eq!(taken, [true, true, false]);
    assert_eq!(lane.requests.withdraw(positions[2]), Withdrawal::Withdrawn);
}

#[test]
fn a_forked_child_neither_inherits_nor_unmaps() {
    let fd = Mapping::create_file("t", 4096).unwrap();
    let map = Mapping::map(&fd, 4096).unwrap();
    let range = address_of(&fd);
    let child = fork(|| {
        assert!(range_is_free(range), "SHM-3");
        // Something else takes the place; dropping the parent's object must leave it alone.
        let other = place_page(range);
        drop(map);
        assert!(!range_is_free(other));
    });
    assert_eq!(wait_for(child), 0);
}

/// Where the memory file is mapped in this process.
fn address_of(fd: &OwnedFd) -> usize {
    let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::File::from(fd.try_clone().unwrap()).metadata().unwrap());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.split_whitespace().nth(4) == Some(&inode.to_string())).unwrap();
    usize::from_str_radix(line.split('-').next().unwrap(), 16).unwrap()
}

fn range_is_free(address: usize) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    !maps.lines().any(|line| {
        let mut ends = line.split(' ').next().unwrap().split('-').map(|end| usize::from_str_radix(end, 16).unwrap());
        (ends.next().unwrap()..ends.next().unwrap()).contains(&address)
    })
}

fn place_page(address: usize) -> usize {
    // SAFETY: the range was just seen to be free.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        libc::mmap(address as *mut libc::c_void, 4096, libc::PROT_READ, flags, -1, 0) as usize
    }
}

#[test]
fn a_signal_interrupts_a_sleep_even_with_sa_restart() {
    extern "C" fn nothing(_: libc::c_int) {}
    let child = fork(|| {
        // SAFETY: installs a handler that does nothing; an alarm ends no process then.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut());
            let soon = libc::timeval { tv_sec: 0, tv_usec: 50_000 };
            let once = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: soon };
            libc::setitimer(libc::ITIMER_REAL, &once, std::ptr::null_mut());
        }
        let (bell, _fd) = Bell::create().unwrap();
        assert!(bell.prepare_sleep(Sleep::Futex));
        assert_eq!(bell.sleep_futex(Sleep::Futex, None), Wake::Interrupted);
    });
    let start = Instant::now();
    assert_eq!(wait_for(child), 0);
    assert!(start.elapsed() < LIMIT);
}

#[test]
fn a_sleeping_io_thread_is_left_to_the_ringer() {
    let (bell, fd) = Bell::create().unwrap();
    assert!(bell.prepare_sleep(Sleep::Io));
    let child = fork(|| assert_eq!(PeerBell::map(&fd).unwrap().ring(1), Ring::NeedsDatagram));
    assert_eq!(wait_for(child), 0);
    let mut slots = Vec::new();
    bell.awake();
    bell.drain(|slot| slots.push(slot));
    assert_eq!(slots, [1]);
}
