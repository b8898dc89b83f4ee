//! A peer that dies or stops at any store of a push or a take, a ring that is full then, a doorbell with nothing behind it.
#![cfg(not(loom))]

mod support;

use shoal_ring::{Bell, CallerLane, Lane, PeerBell, Sleep, Wake, Withdrawal, WorkerLane};
use support::{LIMIT, fork, wait_for};

const WRITTEN: u32 = 1;
const QUEUED: u32 = 2;
const PUBLISHED: u32 = 3;
const TAKEN: u32 = 4;
const PASSED: u32 = 5;

/// A process that comes to the point where it is armed to die.
fn dies(body: impl FnOnce()) {
    let child = fork(|| {
        body();
        panic!("it lives on");
    });
    assert_eq!(wait_for(child) & 0x7f, libc::SIGABRT);
}

#[test]
fn a_frame_of_a_caller_that_died_in_its_push_is_whole_or_not_there() {
    for point in [WRITTEN, QUEUED, PUBLISHED] {
        let fd = Lane::create(1, 0, 0).unwrap();
        let mut worker = WorkerLane::map(&fd).unwrap();
        dies(|| {
            let mut caller = CallerLane::map(&fd).unwrap();
            caller.requests.push(&[b"before"]).unwrap();
            shoal_crash::arm(point);
            caller.requests.push(&[b"during"]);
        });
        let mut out = Vec::new();
        assert!(worker.requests.take(&mut out).unwrap().is_some() && out == b"before");
        let second = worker.requests.take(&mut out).unwrap().is_some();
        assert_eq!(second, point == PUBLISHED);
        assert!(!second || out == b"during");
        assert!(worker.requests.take(&mut out).unwrap().is_none());
    }
}

#[test]
fn a_request_of_a_worker_that_died_in_its_take_counts_as_taken_and_the_others_are_withdrawn() {
    for point in [TAKEN, PASSED] {
        let fd = Lane::create(1, 0, 0).unwrap();
        let mut caller = CallerLane::map(&fd).unwrap();
        let (first, second) = (caller.requests.push(&[b"1"]).unwrap(), caller.requests.push(&[b"2"]).unwrap());
        dies(|| {
            let mut worker = WorkerLane::map(&fd).unwrap();
            shoal_crash::arm(point);
            let _ = worker.requests.take(&mut Vec::new());
        });
        assert!(caller.requests.is_taken(first));
        assert_eq!(caller.requests.withdraw(first), Withdrawal::Taken);
        assert_eq!(caller.requests.withdraw(second), Withdrawal::Withdrawn);
    }
}

#[test]
fn a_ring_that_a_dead_worker_left_full_stays_full_and_gives_back_what_was_not_taken() {
    let fd = Lane::create_sized(1, 0, 0, 4096, 4096).unwrap();
    let mut caller = CallerLane::map(&fd).unwrap();
    let mut positions = vec![caller.requests.push(&[&[0; 100]]).unwrap()];
    dies(|| {
        let mut worker = WorkerLane::map(&fd).unwrap();
        shoal_crash::arm(TAKEN);
        let _ = worker.requests.take(&mut Vec::new());
    });
    while let Some(position) = caller.requests.push(&[&[1; 100]]) {
        positions.push(position);
    }
    assert!(positions.len() > 10 && caller.requests.push(&[&[1; 100]]).is_none());
    let withdrawn = |position: &_| caller.requests.withdraw(*position) == Withdrawal::Withdrawn;
    assert!(!withdrawn(&positions[0]) && positions[1..].iter().all(withdrawn));
    assert!(!positions.iter().any(withdrawn), "each is given back once");
}

#[test]
fn a_stopped_worker_holds_the_one_claim_that_it_has() {
    let fd = Lane::create(1, 0, 0).unwrap();
    let mut caller = CallerLane::map(&fd).unwrap();
    let positions: Vec<_> = (0..3).map(|i: u8| caller.requests.push(&[&[i]]).unwrap()).collect();
    let child = fork(|| {
        let mut worker = WorkerLane::map(&fd).unwrap();
        let mut request = Vec::new();
        worker.requests.take(&mut request).unwrap();
        // SAFETY: stops this process.
        unsafe { libc::raise(libc::SIGSTOP) };
        worker.replies.push(&[&request]).unwrap();
        // Taken back while it was stopped: it never sees them.
        assert!(worker.requests.take(&mut request).unwrap().is_none());
    });
    let mut status = 0;
    // SAFETY: `status` is writable, the child is ours.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, libc::WUNTRACED) }, child);
    assert!(libc::WIFSTOPPED(status));
    let taken_back = positions.iter().map(|p| caller.requests.withdraw(*p) == Withdrawal::Withdrawn);
    assert_eq!(taken_back.collect::<Vec<_>>(), [false, true, true]);
    // SAFETY: a child of ours that wasn't reaped.
    unsafe { libc::kill(child, libc::SIGCONT) };
    assert_eq!(wait_for(child), 0);
    let mut reply = Vec::new();
    assert!(caller.replies.take(&mut reply).unwrap().is_some() && reply == [0]);
}

#[test]
fn a_doorbell_with_nothing_behind_it_wakes_once_and_hides_nothing() {
    const SLOT: u32 = 9;
    let (bell, bell_fd) = Bell::create().unwrap();
    let fd = Lane::create(1, SLOT, 0).unwrap();
    let mut caller = CallerLane::map(&fd).unwrap();
    for point in [WRITTEN, 0] {
        assert!(bell.prepare_sleep(Sleep::Futex));
        let child = fork(|| {
            let bell = PeerBell::map(&bell_fd).unwrap();
            // It says that something is there, and dies before it is; then one that keeps its word.
            let _ = bell.ring(SLOT);
            let mut worker = WorkerLane::map(&fd).unwrap();
            shoal_crash::arm(point);
            worker.replies.push(&[b"reply"]).unwrap();
            let _ = bell.ring(SLOT);
        });
        assert_eq!(bell.sleep_futex(Sleep::Futex, Some(LIMIT)), Wake::Woken);
        assert_eq!(wait_for(child) & 0x7f == libc::SIGABRT, point == WRITTEN);
        bell.awake();
        let mut rung = Vec::new();
        bell.drain(|slot| rung.push(slot));
        assert_eq!(rung, [SLOT]);
        assert_eq!(caller.replies.take(&mut Vec::new()).unwrap().is_some(), point == 0);
    }
    assert!(bell.prepare_sleep(Sleep::Futex), "nothing is left of it");
    bell.awake();
}
