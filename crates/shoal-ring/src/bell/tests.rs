//! The bell's rules, one by one, in one process.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::error::RingError;
use crate::map::Mapping;
use crate::sync::Ordering::Relaxed;

fn bell() -> (Arc<Bell>, PeerBell) {
    let (bell, fd) = Bell::create().unwrap();
    let peer = PeerBell::map(fd).unwrap();
    (Arc::new(bell), peer)
}

fn drained(bell: &Bell) -> (Vec<u32>, bool) {
    let mut slots = Vec::new();
    let local = bell.drain(|slot| slots.push(slot));
    (slots, local)
}

#[test]
fn every_slot_can_be_rung_and_is_named_once() {
    let (bell, peer) = bell();
    for slot in (0..SLOTS).rev().chain([5, 5]) {
        assert_eq!(peer.ring(slot), Ring::Awake);
    }
    assert!(bell.pending());
    assert_eq!(drained(&bell), ((0..SLOTS).collect(), false));
    assert!(!bell.pending());
    assert_eq!(drained(&bell), (vec![], false));
}

#[test]
fn a_ring_from_inside_is_told_apart() {
    let (bell, _) = bell();
    assert_eq!(bell.ring_self(), Ring::Awake);
    assert!(bell.pending() && !bell.prepare_sleep(Sleep::Futex));
    assert_eq!(drained(&bell), (vec![], true));
    assert_eq!(drained(&bell), (vec![], false));
}

#[test]
fn what_is_ready_forbids_sleep() {
    let (bell, peer) = bell();
    assert_eq!(peer.ring(9), Ring::Awake);
    assert!(!bell.prepare_sleep(Sleep::Futex));
    assert_eq!(peer.ring(9), Ring::Awake);
    drained(&bell);
    assert!(bell.prepare_sleep(Sleep::Futex));
}

#[test]
fn only_the_first_ringer_wakes() {
    let (bell, peer) = bell();
    assert!(bell.prepare_sleep(Sleep::Futex));
    assert_eq!(peer.ring(1), Ring::WokeFutex);
    assert_eq!(peer.ring(2), Ring::Awake);
    assert_eq!(bell.sleep_futex(Sleep::Futex, None), Wake::Woken);
    bell.awake();
    drained(&bell);
    assert!(bell.prepare_sleep(Sleep::Io));
    assert_eq!(peer.ring(1), Ring::NeedsDatagram);
    assert_eq!(peer.ring(1), Ring::Awake);
    bell.awake();
    drained(&bell);
    assert!(bell.prepare_sleep(Sleep::Io));
    assert_eq!(bell.ring_self(), Ring::NeedsDatagram);
    assert_eq!(bell.ring_self(), Ring::Awake);
}

#[test]
fn a_wake_whose_ringer_died_is_made_good_from_inside() {
    let (bell, fd) = Bell::create().unwrap();
    let page = Mapping::map(fd, 4096).unwrap();
    assert!(bell.prepare_sleep(Sleep::Futex));
    let bell = Arc::new(bell);
    let sleeper = thread::spawn({
        let bell = bell.clone();
        move || bell.sleep_futex(Sleep::Futex, Some(Duration::from_secs(20)))
    });
    thread::sleep(Duration::from_millis(20));
    // What a peer does that is killed after its swap.
    page.u32(64).store(0, Relaxed);
    assert_eq!(bell.ring_self(), Ring::WokeFutex);
    assert_eq!(sleeper.join().unwrap(), Wake::Woken);
}

#[test]
fn a_sleep_ends_by_time_or_ring() {
    let (bell, peer) = bell();
    assert!(bell.prepare_sleep(Sleep::Futex));
    assert_eq!(bell.sleep_futex(Sleep::Futex, Some(Duration::from_millis(5))), Wake::Timeout);
    bell.awake();
    assert!(bell.prepare_sleep(Sleep::Futex));
    let start = Instant::now();
    let ringer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        peer.ring(3)
    });
    assert_eq!(bell.sleep_futex(Sleep::Futex, None), Wake::Woken);
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(ringer.join().unwrap(), Ring::WokeFutex);
    bell.awake();
    assert_eq!(drained(&bell).0, [3]);
}

#[test]
fn no_wake_is_lost_among_threads() {
    const ROUNDS: u32 = 20_000;
    let (bell, peer) = bell();
    let peer = Arc::new(peer);
    let counts: Arc<[std::sync::atomic::AtomicU32; 2]> = Arc::default();
    let ringers: Vec<_> = [7, 4000]
        .into_iter()
        .enumerate()
        .map(|(i, slot)| {
            let (peer, counts) = (peer.clone(), counts.clone());
            thread::spawn(move || {
                for _ in 0..ROUNDS {
                    counts[i].fetch_add(1, Relaxed);
                    let _ = peer.ring(slot);
                }
            })
        })
        .collect();
    while counts.iter().any(|count| count.load(Relaxed) < ROUNDS) {
        bell.drain(|_| {});
        if bell.prepare_sleep(Sleep::Futex) {
            assert_eq!(bell.sleep_futex(Sleep::Futex, Some(Duration::from_secs(20))), Wake::Woken);
        }
        bell.awake();
    }
    ringers.into_iter().for_each(|ringer| ringer.join().unwrap());
}

#[test]
fn titles_are_cut_at_a_character_and_checked() {
    let (bell, fd) = Bell::create().unwrap();
    let (peer, page) = (PeerBell::map(&fd).unwrap(), Mapping::map(&fd, 4096).unwrap());
    assert_eq!(peer.title().unwrap(), "");
    bell.set_title("f");
    assert_eq!(peer.title().unwrap(), "f");
    bell.set_title(&"ü".repeat(40));
    assert_eq!(peer.title().unwrap(), "ü".repeat(32));
    bell.set_title(&format!("a{}", "ü".repeat(40)));
    assert_eq!(peer.title().unwrap(), format!("a{}", "ü".repeat(31)));
    page.u64(712).store(u64::MAX, Relaxed);
    assert_eq!(peer.title(), None);
    bell.set_title("x");
    page.u32(704).fetch_or(1, Relaxed);
    assert_eq!(peer.title(), None);
    bell.set_title("y");
    assert_eq!(peer.title().unwrap(), "y");
}

#[test]
fn another_file_is_no_bell() {
    let fd = Mapping::create_file("t", 4096).unwrap();
    assert!(matches!(PeerBell::map(&fd), Err(RingError::Layout { what: "magic", .. })));
}

#[test]
fn blocked_is_shared() {
    let (bell, peer) = bell();
    bell.blocked().store(3, Relaxed);
    assert_eq!(peer.blocked().load(Relaxed), 3);
}

#[test]
fn a_peer_sees_when_what_runs_began_and_whether_it_is_the_last_try() {
    let (bell, fd) = Bell::create().unwrap();
    let peer = PeerBell::map(&fd).unwrap();
    assert_eq!(peer.task(), (0, false));
    bell.set_task(7, true);
    assert_eq!(peer.task(), (7, true));
    bell.set_task(8, false);
    assert_eq!(peer.task(), (8, false));
}

#[test]
fn a_patient_sleeper_is_woken_by_a_ring_alone() {
    let (bell, peer) = bell();
    assert!(bell.prepare_sleep(Sleep::Patient));
    assert_eq!(peer.ring_patiently(1), Ring::LeftAsleep);
    assert_eq!(peer.ring_patiently(2), Ring::LeftAsleep);
    assert_eq!(peer.ring(2), Ring::WokeFutex);
    assert_eq!(bell.sleep_futex(Sleep::Patient, None), Wake::Woken);
    assert_eq!(peer.ring_patiently(1), Ring::Awake);
    bell.awake();
    assert_eq!(drained(&bell), (vec![1, 2], false));
    assert!(bell.prepare_sleep(Sleep::Futex));
    assert_eq!(peer.ring_patiently(3), Ring::WokeFutex, "who is not patient is woken");
    bell.awake();
    drained(&bell);
    assert!(bell.prepare_sleep(Sleep::Patient));
    assert_eq!(bell.ring_self(), Ring::WokeFutex);
}
