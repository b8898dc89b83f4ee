//! The ring against a queue: any sequence of pushes, takes and withdrawals.
#![cfg(not(loom))]

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use shoal_ring::{Consumer, Mapping, Mem, Position, Producer, Withdrawal};

const CAPACITY: usize = 512;

#[derive(Debug, Clone)]
enum Step {
    Push(Vec<u8>, usize),
    Take,
    /// The n-th position ever pushed, modulo their number.
    Withdraw(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (vec(any::<u8>(), 0..130), 0..130_usize).prop_map(|(bytes, cut)| Step::Push(bytes, cut)),
        Just(Step::Take),
        any::<usize>().prop_map(Step::Withdraw),
    ]
}

/// What the ring should do.
#[derive(Default)]
struct Model {
    /// Frames not passed by the consumer; `None` once withdrawn, with their span.
    queue: VecDeque<(Position, usize, Option<Vec<u8>>)>,
    pushed: Vec<Position>,
}

impl Model {
    fn free(&self) -> usize {
        CAPACITY - self.queue.iter().map(|(_, span, _)| span).sum::<usize>()
    }

    fn take(&mut self) -> Option<(Position, Vec<u8>)> {
        while let Some((position, _, payload)) = self.queue.pop_front() {
            if let Some(payload) = payload {
                return Some((position, payload));
            }
        }
        None
    }

    fn withdraw(&mut self, position: Position) -> Withdrawal {
        let frame = self.queue.iter_mut().find(|(at, ..)| *at == position);
        match frame.and_then(|(_, _, payload)| payload.take()) {
            Some(_) => Withdrawal::Withdrawn,
            None => Withdrawal::Taken,
        }
    }
}

fn run(steps: Vec<Step>) {
    let map = Arc::new(Mapping::anonymous(4096 + CAPACITY).unwrap());
    let mem = || Mem::new(map.clone(), 0, 4096, CAPACITY).unwrap();
    let (mut producer, mut consumer) = (Producer::attach(mem()).unwrap(), Consumer::attach(mem()).unwrap());
    let mut model = Model::default();
    let mut out = Vec::new();
    for step in steps {
        match step {
            Step::Push(bytes, cut) => {
                let (a, b) = bytes.split_at(cut.min(bytes.len()));
                let span = 16 + bytes.len().next_multiple_of(16);
                let fits = span <= model.free() && bytes.len() as u64 <= producer.max_frame();
                let position = producer.push(&[a, b]);
                assert_eq!(position.is_some(), fits);
                if let Some(position) = position {
                    model.queue.push_back((position, span, Some(bytes)));
                    model.pushed.push(position);
                }
            }
            Step::Take => {
                let taken = consumer.take(&mut out).unwrap();
                assert_eq!(taken.map(|taken| (taken.position, out.clone())), model.take());
            }
            Step::Withdraw(_) if model.pushed.is_empty() => {}
            Step::Withdraw(nth) => {
                let position = model.pushed[nth % model.pushed.len()];
                assert_eq!(producer.withdraw(position), model.withdraw(position));
            }
        }
        assert_eq!(producer.free_bytes(), model.free());
        assert_eq!(consumer.peek_pending(), model.queue.iter().any(|(_, _, payload)| payload.is_some()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ring_is_a_queue(steps in vec(step(), 0..200)) {
        run(steps);
    }
}
