//! Every interleaving of ringers with a thread that falls asleep. loom reports a lost wake-up as a deadlock.

use loom::sync::Arc;
use loom::thread::{self, JoinHandle};

use super::page::Page;
use super::state::{self, Own, Ring, Sleep};
use crate::sync::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Two slots in one word of the model's page, one in the other.
const SLOTS: [u32; 3] = [3, 5, 64];

struct World {
    page: Page,
    own: Own,
    /// Stands for a ring's memory: written before ringing, with no ordering of its own.
    pushed: [AtomicU64; 3],
    /// Stands for the I/O thread's datagram socket.
    datagram: AtomicU32,
}

fn world() -> Arc<World> {
    Arc::new(World {
        page: Page::new(),
        own: Own::new(),
        pushed: [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)],
        datagram: AtomicU32::new(0),
    })
}

fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(body);
}

/// On a thread of its own.
fn beside(world: &Arc<World>, then: impl FnOnce(&World) + 'static) -> JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || then(&world))
}

impl World {
    fn push_and_ring(&self, which: usize) -> Ring {
        self.pushed[which].store(1, Relaxed);
        state::ring(&self.page, SLOTS[which])
    }

    /// Drains; what was named must be visible (BELL-4). True if rung from inside.
    fn drain(&self, got: &mut [bool; 3]) -> bool {
        self.own.drain(&self.page, |slot| {
            let which = SLOTS.iter().position(|each| *each == slot).expect("a slot that nobody rang");
            assert_eq!(self.pushed[which].load(Relaxed), 1, "BELL-4");
            got[which] = true;
        })
    }

    /// Drains and sleeps until `enough`.
    fn wait(&self, enough: impl Fn(&[bool; 3], bool) -> bool) {
        self.wait_as(Sleep::Futex, enough);
    }

    fn wait_as(&self, kind: Sleep, enough: impl Fn(&[bool; 3], bool) -> bool) {
        let (mut got, mut local) = ([false; 3], false);
        loop {
            local |= self.drain(&mut got);
            if enough(&got, local) {
                return;
            }
            if self.own.prepare_sleep(&self.page, kind) {
                self.page.futex_wait(kind);
            }
            self.own.awake(&self.page);
        }
    }
}

#[test]
fn a_ring_is_never_lost() {
    model(|| {
        let world = world();
        let ringer = beside(&world, |world| {
            let _ = world.push_and_ring(0);
        });
        world.wait(|got, _| got[0]);
        ringer.join().unwrap();
    });
}

#[test]
fn a_patient_sleeper_hears_who_keeps_its_word() {
    model(|| {
        let world = world();
        let ringer = beside(&world, |world| {
            world.pushed[0].store(1, Relaxed);
            let _ = state::ring_patiently(&world.page, SLOTS[0]);
            // BELL-7: whatever that said, what comes last is a ring.
            let _ = world.push_and_ring(1);
        });
        world.wait_as(Sleep::Patient, |got, _| got[0] && got[1]);
        ringer.join().unwrap();
    });
}

#[test]
fn who_left_a_patient_sleeper_alone_wakes_it_by_the_same_slot() {
    model(|| {
        let world = world();
        let ringer = beside(&world, |world| {
            world.pushed[0].store(1, Relaxed);
            if state::ring_patiently(&world.page, SLOTS[0]) == Ring::LeftAsleep {
                let _ = state::ring(&world.page, SLOTS[0]);
            }
        });
        world.wait_as(Sleep::Patient, |got, _| got[0]);
        ringer.join().unwrap();
    });
}

fn two_ringers(which: [usize; 2]) {
    model(move || {
        let world = world();
        let ringers = which.map(|which| {
            beside(&world, move |world| {
                let _ = world.push_and_ring(which);
            })
        });
        world.wait(|got, _| which.iter().all(|which| got[*which]));
        ringers.into_iter().for_each(|ringer| ringer.join().unwrap());
    });
}

#[test]
fn two_ringers_of_one_word_are_both_heard() {
    two_ringers([0, 1]);
}

#[test]
fn two_ringers_of_two_words_are_both_heard() {
    two_ringers([0, 2]);
}

#[test]
fn rings_from_inside_and_outside_are_both_heard() {
    model(|| {
        let world = world();
        let outside = beside(&world, |world| {
            let _ = world.push_and_ring(0);
        });
        let inside = beside(&world, |world| {
            let _ = world.own.ring(&world.page);
        });
        world.wait(|got, local| got[0] && local);
        outside.join().unwrap();
        inside.join().unwrap();
    });
}

#[test]
fn who_drains_beside_a_sleeper_takes_no_ring_from_inside() {
    model(|| {
        let world = world();
        let inside = beside(&world, |world| {
            let _ = world.own.ring(&world.page);
        });
        let beside = beside(&world, |world| world.own.drain_lanes(&world.page, |_| {}));
        world.wait(|_, local| local);
        inside.join().unwrap();
        beside.join().unwrap();
    });
}

#[test]
fn a_ringer_that_died_after_its_swap_is_made_good() {
    model(|| {
        let world = world();
        let dying = beside(&world, |world| {
            world.page.sleeper().swap(0, Relaxed);
            // Killed here; another thread of the sleeper's process hears of it.
            let _ = world.own.ring(&world.page);
        });
        world.wait(|_, local| local);
        dying.join().unwrap();
    });
}

#[test]
fn an_io_thread_that_may_sleep_gets_a_datagram() {
    model(|| {
        let world = world();
        let ringer = beside(&world, |world| {
            if world.push_and_ring(0) == Ring::NeedsDatagram {
                world.datagram.store(1, Relaxed);
            }
        });
        let sleeps = world.own.prepare_sleep(&world.page, Sleep::Io);
        ringer.join().unwrap();
        let mut got = [false; 3];
        world.drain(&mut got);
        assert!(got[0]);
        assert!(!sleeps || world.datagram.load(Relaxed) == 1, "BELL-2");
    });
}
