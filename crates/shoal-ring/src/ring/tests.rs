//! The ring's rules, one by one, in one process.

use std::sync::Arc;

use super::*;
use crate::error::RingError;
use crate::map::Mapping;
use crate::sync::Ordering::Relaxed;

/// Where positions start in a test: near the end of the generation's 30 bits, so that it wraps too.
const NEAR_WRAP: u64 = (1 << 34) - 64;

struct Pair {
    map: Arc<Mapping>,
    producer: Producer,
    consumer: Consumer,
}

fn pair_at(capacity: usize, start: u64) -> Pair {
    let map = Arc::new(Mapping::anonymous(4096 + capacity).unwrap());
    map.u64(0).store(start, Relaxed);
    map.u64(128).store(start, Relaxed);
    let mem = || Mem::new(map.clone(), 0, 4096, capacity).unwrap();
    let (producer, consumer) = (Producer::attach(mem()).unwrap(), Consumer::attach(mem()).unwrap());
    Pair { map, producer, consumer }
}

fn pair(capacity: usize) -> Pair {
    pair_at(capacity, 0)
}

impl Pair {
    fn take(&mut self) -> Option<Vec<u8>> {
        let mut out = b"old".to_vec();
        self.consumer.take(&mut out).unwrap().map(|taken| {
            assert_eq!(taken.len, out.len());
            out
        })
    }
}

#[test]
fn frames_come_out_in_order_and_whole() {
    let mut pair = pair(1024);
    assert!(pair.take().is_none() && pair.producer.is_empty());
    pair.producer.push(&[b"ab", b"", b"c"]).unwrap();
    pair.producer.push(&[]).unwrap();
    assert!(!pair.producer.is_empty());
    assert_eq!(pair.take().unwrap(), b"abc");
    assert_eq!(pair.take().unwrap(), b"");
    assert!(pair.take().is_none() && pair.producer.is_empty());
}

#[test]
fn a_payload_wraps_and_positions_pass_the_generations_end() {
    let mut pair = pair_at(256, NEAR_WRAP);
    for round in 0..200_u32 {
        let payload: Vec<u8> = (0..round % 48).map(|i| (i * 7 + round) as u8).collect();
        let (a, b) = payload.split_at(payload.len() / 3);
        let position = pair.producer.push(&[a, b]).unwrap();
        assert!(!pair.producer.is_taken(position));
        assert_eq!(pair.take().unwrap(), payload);
        assert!(pair.producer.is_taken(position));
    }
}

#[test]
fn a_full_ring_refuses_and_recovers() {
    let mut pair = pair(256);
    assert_eq!(pair.producer.max_frame(), 48);
    assert_eq!(pair.producer.push(&[&[0; 49]]), None);
    for i in 0..4 {
        assert_eq!(pair.producer.free_bytes(), 256 - 64 * i);
        pair.producer.push(&[&[i as u8; 48]]).unwrap();
    }
    assert_eq!(pair.producer.free_bytes(), 0);
    assert_eq!(pair.producer.push(&[]), None);
    assert_eq!(pair.take().unwrap(), [0; 48]);
    assert!(pair.producer.push(&[&[9; 48]]).is_some());
    assert_eq!(pair.producer.push(&[]), None);
}

#[test]
fn a_withdrawn_frame_is_skipped_and_its_space_comes_back() {
    let mut pair = pair(256);
    let positions: Vec<_> = (0..4).map(|i| pair.producer.push(&[&[i; 48]]).unwrap()).collect();
    assert_eq!(pair.producer.withdraw(positions[0]), Withdrawal::Withdrawn);
    assert_eq!(pair.producer.withdraw(positions[0]), Withdrawal::Taken);
    assert_eq!(pair.producer.withdraw(positions[2]), Withdrawal::Withdrawn);
    assert!(!pair.producer.is_taken(positions[0]));
    assert_eq!(pair.producer.push(&[]), None);
    assert_eq!(pair.take().unwrap(), [1; 48]);
    assert_eq!(pair.producer.withdraw(positions[1]), Withdrawal::Taken);
    assert_eq!(pair.producer.free_bytes(), 128);
    assert_eq!(pair.take().unwrap(), [3; 48]);
    assert!(pair.take().is_none());
}

#[test]
fn peek_sees_past_withdrawn_frames() {
    let mut pair = pair(1024);
    assert!(!pair.consumer.peek_pending());
    let first = pair.producer.push(&[b"a"]).unwrap();
    assert!(pair.consumer.peek_pending());
    pair.producer.withdraw(first);
    assert!(!pair.consumer.peek_pending());
    pair.producer.push(&[b"b"]).unwrap();
    assert!(pair.consumer.peek_pending());
}

#[test]
fn an_old_position_is_taken_whatever_stands_there_now() {
    let mut pair = pair(256);
    let old = pair.producer.push(&[&[1; 48]]).unwrap();
    pair.take().unwrap();
    for _ in 0..20 {
        pair.producer.push(&[&[2; 48]]).unwrap();
        assert_eq!(pair.producer.withdraw(old), Withdrawal::Taken);
        assert!(pair.producer.is_taken(old));
        assert_eq!(pair.take().unwrap(), [2; 48]);
    }
}

#[test]
fn a_claim_outlives_a_consumer_that_died_before_moving_the_tail() {
    let mut pair = pair(256);
    let (first, second) = (pair.producer.push(&[b"1"]).unwrap(), pair.producer.push(&[b"2"]).unwrap());
    pair.take().unwrap();
    pair.map.u64(128).store(0, Relaxed);
    assert!(pair.producer.is_taken(first));
    assert_eq!(pair.producer.withdraw(first), Withdrawal::Taken);
    assert!(!pair.producer.is_taken(second));
    assert_eq!(pair.producer.withdraw(second), Withdrawal::Withdrawn);
}

#[test]
fn a_new_consumer_goes_on_where_the_tail_stands() {
    let mut pair = pair(256);
    pair.producer.push(&[b"1"]).unwrap();
    pair.producer.push(&[b"2"]).unwrap();
    pair.take().unwrap();
    pair.consumer = Consumer::attach(Mem::new(pair.map.clone(), 0, 4096, 256).unwrap()).unwrap();
    assert_eq!(pair.take().unwrap(), b"2");
}

/// Writes `value` into the 32-bit word at `at` and takes.
fn take_after(at: usize, value: u32) -> Result<Option<Taken>, RingError> {
    let mut pair = pair(1024);
    pair.producer.push(&[b"payload"]).unwrap();
    pair.map.u32(at).store(value, Relaxed);
    let mut out = Vec::new();
    let first = pair.consumer.take(&mut out);
    assert!(pair.consumer.peek_pending());
    assert_eq!(first, pair.consumer.take(&mut out), "an error stays");
    first
}

#[test]
fn torn_headers_are_errors() {
    let what = |result| match result {
        Err(RingError::Corrupt { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    let (head, len, claim) = (0, 4096, 4100);
    assert_eq!(what(take_after(head, 8)), "head");
    assert_eq!(what(take_after(head, 4096)), "head");
    assert_eq!(what(take_after(head + 4, 1)), "head");
    assert_eq!(what(take_after(len, 17)), "len");
    assert_eq!(what(take_after(len, 300)), "len");
    assert_eq!(what(take_after(len, u32::MAX)), "len");
    assert_eq!(what(take_after(claim, 0)), "claim word");
    assert_eq!(what(take_after(claim, 2)), "claim word");
    assert_eq!(what(take_after(claim, 5)), "claim word");
}

#[test]
fn a_nonsensical_tail_is_a_full_ring() {
    let mut pair = pair(1024);
    pair.producer.push(&[&[0; 240]]).unwrap();
    for tail in [8, 4096, u64::MAX, 1 << 63] {
        pair.map.u64(128).store(tail, Relaxed);
        assert_eq!(pair.producer.free_bytes(), 0);
        while pair.producer.push(&[&[0; 240]]).is_some() {}
        assert_eq!(pair.producer.push(&[&[0; 240]]), None);
    }
}

#[test]
fn positions_that_contradict_each_other_are_not_attached() {
    for (head, tail) in [(8, 8), (0, 16), (2048, 0), (24, 0), (u64::MAX - 15, u64::MAX - 15)] {
        let map = Arc::new(Mapping::anonymous(8192).unwrap());
        map.u64(0).store(head, Relaxed);
        map.u64(128).store(tail, Relaxed);
        let mem = || Mem::new(map.clone(), 0, 4096, 1024).unwrap();
        assert!(Producer::attach(mem()).is_err() && Consumer::attach(mem()).is_err(), "{head} {tail}");
    }
}

#[test]
fn memory_outside_the_mapping_is_refused() {
    let map = Arc::new(Mapping::anonymous(8192).unwrap());
    for (header, data, capacity) in
        [(0, 4096, 8192), (0, 4096, 1000), (8192, 4096, 1024), (0, usize::MAX - 63, 1024), (8, 4096, 64)]
    {
        assert!(Mem::new(map.clone(), header, data, capacity).is_err(), "{header} {data} {capacity}");
    }
}
