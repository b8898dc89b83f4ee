//! Producer and consumer on two threads: every frame ends in exactly one hand (CLAIM-1, CLAIM-2).
#![cfg(not(loom))]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use shoal_ring::{CallerLane, Consumer, Lane, Producer, Withdrawal, WorkerLane};

const FRAMES: u64 = 200_000;

/// A frame whose bytes all follow from its number.
fn payload(number: u64) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(8 + (number % 61) as usize, number as u8);
    bytes
}

/// Pushes all frames, withdrawing one in three from a little way back; the numbers that were withdrawn.
fn produce(mut producer: Producer) -> HashSet<u64> {
    let mut positions = Vec::new();
    let mut withdrawn = HashSet::new();
    for number in 0..FRAMES {
        let bytes = payload(number);
        let position = loop {
            match producer.push(&[&bytes[..5], &bytes[5..]]) {
                Some(position) => break position,
                None => thread::yield_now(),
            }
        };
        positions.push(position);
        if number % 3 == 0 {
            let target = number.saturating_sub(number % 7);
            if producer.withdraw(positions[target as usize]) == Withdrawal::Withdrawn {
                assert!(withdrawn.insert(target), "frame {target} withdrawn twice");
            }
        }
    }
    withdrawn
}

fn consume(mut consumer: Consumer, done: &AtomicBool) -> Vec<u64> {
    let (mut taken, mut out) = (Vec::new(), Vec::new());
    loop {
        let last = done.load(Relaxed);
        while consumer.take(&mut out).unwrap().is_some() {
            let number = u64::from_le_bytes(out[..8].try_into().unwrap());
            assert_eq!(out, payload(number));
            taken.push(number);
        }
        if last {
            return taken;
        }
        thread::yield_now();
    }
}

#[test]
fn each_frame_is_taken_or_withdrawn_never_both() {
    let fd = Lane::create_sized(1, 0, 0, 4096, 4096).unwrap();
    let (caller, worker) = (CallerLane::map(&fd).unwrap(), WorkerLane::map(&fd).unwrap());
    let done = AtomicBool::new(false);
    let (withdrawn, taken) = thread::scope(|scope| {
        let consumer = scope.spawn(|| consume(worker.requests, &done));
        let withdrawn = produce(caller.requests);
        done.store(true, Relaxed);
        (withdrawn, consumer.join().unwrap())
    });
    assert!(taken.is_sorted());
    assert!(!withdrawn.is_empty() && taken.iter().all(|number| !withdrawn.contains(number)));
    assert_eq!((taken.len() + withdrawn.len()) as u64, FRAMES);
}
