//! Every interleaving of a producer that pushes and withdraws with a consumer that takes.
//!
//! The ring has 8 blocks of 16 bytes, so four frames of one payload block fill it. loom fails a model when a
//! payload cell is read while it is written (RING-3, RING-4).

use loom::thread;

use super::{Consumer, Mem, Position, Producer, Withdrawal};

const CAPACITY: u64 = 128;
/// So that the generation of claim words wraps within a model.
const START: u64 = (1 << 34) - 32;

fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(body);
}

fn ends() -> (Producer, Consumer) {
    let mem = Mem::new(CAPACITY, START);
    (Producer::attach(mem.clone()).unwrap(), Consumer::attach(mem).unwrap())
}

/// Everything that is there now.
fn take_all(consumer: &mut Consumer) -> Vec<(Position, u8)> {
    let (mut all, mut out) = (Vec::new(), Vec::new());
    while let Some(taken) = consumer.take(&mut out).unwrap() {
        assert_eq!(out.len(), 2);
        assert_eq!(out[0], !out[1], "a torn payload");
        all.push((taken.position, out[0]));
    }
    all
}

fn push(producer: &mut Producer, value: u8) -> Option<Position> {
    producer.push(&[&[value], &[!value]])
}

#[test]
fn a_frame_has_exactly_one_hand() {
    model(|| {
        let (mut producer, mut consumer) = ends();
        let consumer = thread::spawn(move || {
            let taken = take_all(&mut consumer);
            (consumer, taken)
        });
        let positions = [1, 2].map(|value| push(&mut producer, value).unwrap());
        let withdrawn: Vec<_> =
            positions.into_iter().filter(|p| producer.withdraw(*p) == Withdrawal::Withdrawn).collect();
        let (mut consumer, mut taken) = consumer.join().unwrap();
        taken.extend(take_all(&mut consumer));
        for (position, value) in positions.into_iter().zip([1, 2]) {
            let was_taken = taken.contains(&(position, value));
            assert_eq!(was_taken, !withdrawn.contains(&position), "CLAIM-1");
            assert!(producer.is_taken(position) || !was_taken);
        }
        assert_eq!(taken.len() + withdrawn.len(), 2, "CLAIM-2");
    });
}

#[test]
fn space_is_not_reused_before_it_was_read() {
    model(|| {
        let (mut producer, mut consumer) = ends();
        for value in 1..=4 {
            push(&mut producer, value).unwrap();
        }
        assert_eq!(push(&mut producer, 9), None);
        let consumer = thread::spawn(move || {
            let mut out = Vec::new();
            for value in 1..=2 {
                consumer.take(&mut out).unwrap().unwrap();
                assert_eq!(out, [value, !value]);
            }
            consumer
        });
        let more: Vec<u8> = (5..=6).filter(|value| push(&mut producer, *value).is_some()).collect();
        let mut consumer = consumer.join().unwrap();
        let rest: Vec<u8> = take_all(&mut consumer).into_iter().map(|(_, value)| value).collect();
        assert_eq!(rest, [vec![3, 4], more].concat());
    });
}

#[test]
fn a_late_withdrawal_never_hits_a_newer_frame() {
    model(|| {
        let (mut producer, mut consumer) = ends();
        let old = push(&mut producer, 1).unwrap();
        for value in 2..=4 {
            push(&mut producer, value).unwrap();
        }
        let consumer = thread::spawn(move || {
            let mut out = Vec::new();
            consumer.take(&mut out).unwrap().unwrap();
            (consumer, out[0])
        });
        let newer = push(&mut producer, 5);
        let withdrawal = producer.withdraw(old);
        let (mut consumer, first) = consumer.join().unwrap();
        let values: Vec<u8> =
            std::iter::once(first).chain(take_all(&mut consumer).into_iter().map(|(_, value)| value)).collect();
        let expected = (1..=5).filter(|value| match value {
            1 => withdrawal == Withdrawal::Taken,
            5 => newer.is_some(),
            _ => true,
        });
        assert_eq!(values, expected.collect::<Vec<u8>>(), "CLAIM-3");
    });
}

#[test]
fn peeking_agrees_with_taking() {
    model(|| {
        let (mut producer, mut consumer) = ends();
        let producer = thread::spawn(move || {
            let position = push(&mut producer, 1).unwrap();
            push(&mut producer, 2).unwrap();
            producer.withdraw(position)
        });
        let seen = consumer.peek_pending();
        let mut taken = take_all(&mut consumer).len();
        let withdrawal = producer.join().unwrap();
        taken += take_all(&mut consumer).len();
        assert_eq!(taken, if withdrawal == Withdrawal::Withdrawn { 1 } else { 2 });
        assert!(!seen || taken > 0);
        assert!(!consumer.peek_pending());
    });
}
