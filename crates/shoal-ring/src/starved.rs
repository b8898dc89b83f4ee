//! The word by which a side of a lane says that it holds frames for which its ring has no room (LANE-3).

use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::{AtomicU32, fence};

/// Pushes; where there is no room, says so and tries again. False: the other side will ring when it has taken
/// something. Only the side that pushes writes the word.
pub(crate) fn push_or_starve(word: &AtomicU32, mut push: impl FnMut() -> bool) -> bool {
    loop {
        if push() {
            return true;
        }
        // Set in an earlier try, it covers this one, too: who took something since will see it.
        if word.load(Relaxed) != 0 {
            return false;
        }
        word.store(1, Relaxed);
        fence(SeqCst);
    }
}

/// The side that pushes has nothing left that waits.
pub(crate) fn fed(word: &AtomicU32) {
    word.store(0, Relaxed);
}

/// Asked by the side that takes, after each attempt to take: whether it is to ring. Also after one that gave nothing,
/// for it may have passed withdrawn frames and so made room.
pub(crate) fn is_starved(word: &AtomicU32) -> bool {
    fence(SeqCst);
    word.load(Relaxed) != 0
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::ring::{Consumer, Mem, Producer, Withdrawal};
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    /// A bell that loses nothing: the bell's own models show that.
    #[derive(Default)]
    struct Side {
        rung: Mutex<bool>,
        woken: Condvar,
    }

    impl Side {
        fn ring(&self) {
            *self.rung.lock().unwrap() = true;
            self.woken.notify_all();
        }

        fn wait(&self) {
            let mut rung = self.rung.lock().unwrap();
            while !*rung {
                rung = self.woken.wait(rung).unwrap();
            }
            *rung = false;
        }
    }

    struct World {
        word: AtomicU32,
        producer: Side,
        consumer: Side,
    }

    fn model(body: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(body);
    }

    fn ends() -> (Arc<World>, Producer, Consumer) {
        let mem = Mem::new(128, 0);
        let world = World { word: AtomicU32::new(0), producer: Side::default(), consumer: Side::default() };
        (Arc::new(world), Producer::attach(mem.clone()).unwrap(), Consumer::attach(mem).unwrap())
    }

    /// Takes until it has had the frame with this number.
    fn take_until(world: &World, consumer: &mut Consumer, last: u8) {
        let mut out = Vec::new();
        loop {
            let taken = consumer.take(&mut out).unwrap();
            if is_starved(&world.word) {
                world.producer.ring();
            }
            match taken {
                Some(_) if out == [last] => return,
                Some(_) => {}
                None => world.consumer.wait(),
            }
        }
    }

    /// Sends what waits: each frame as there is room, asleep while there is none.
    fn send(world: &World, producer: &mut Producer, backlog: &[u8]) {
        for frame in backlog {
            while !push_or_starve(&world.word, || producer.push(&[&[*frame]]).is_some()) {
                world.producer.wait();
            }
            world.consumer.ring();
        }
        fed(&world.word);
    }

    #[test]
    fn room_is_told_to_who_waits_for_it() {
        model(|| {
            let (world, mut producer, mut consumer) = ends();
            for frame in 1..=4 {
                producer.push(&[&[frame]]).unwrap();
            }
            let taker = thread::spawn({
                let world = world.clone();
                move || take_until(&world, &mut consumer, 6)
            });
            send(&world, &mut producer, &[5, 6]);
            taker.join().unwrap();
        });
    }

    #[test]
    fn room_of_withdrawn_frames_is_told_too() {
        model(|| {
            let (world, mut producer, mut consumer) = ends();
            let queued: Vec<_> = (1..=4).map(|frame| producer.push(&[&[frame]]).unwrap()).collect();
            let taker = thread::spawn({
                let world = world.clone();
                move || take_until(&world, &mut consumer, 5)
            });
            let waits = !push_or_starve(&world.word, || producer.push(&[&[5]]).is_some());
            for position in queued {
                let (Withdrawal::Withdrawn | Withdrawal::Taken) = producer.withdraw(position);
            }
            world.consumer.ring();
            if waits {
                world.producer.wait();
                send(&world, &mut producer, &[5]);
            }
            world.consumer.ring();
            taker.join().unwrap();
        });
    }
}
