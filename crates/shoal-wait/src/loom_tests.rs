//! Every interleaving of threads that wait with those that ring. loom reports a lost wake-up, or a leadership that
//! nobody was handed, as a deadlock: time stands still, so nothing but a wake-up ends a sleep.
use crate::host::{Bed, Host, Sleep};
use crate::sync::Ordering::{AcqRel, Relaxed, SeqCst};
use crate::sync::{AtomicU32, fence};
use crate::{Leader, Leadership, Waited, Waiter};
use loom::sync::{Condvar, Mutex};
use loom::thread::{self, JoinHandle};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst as Plain};
use std::time::{Duration, Instant};

/// The bit of rings from inside.
const LOCAL: u32 = 1 << 31;

/// A bell of one word (`shoal-ring` has models of the real one), and lanes that are a bit each.
struct World {
    leadership: Leadership,
    sleeper: AtomicU32,
    pending: AtomicU32,
    bell: Mutex<Queue>,
    woken: Condvar,
    datagram: Mutex<bool>,
    arrived: Condvar,
    /// Whom each lane's reply makes ready.
    lanes: Vec<Vec<Arc<Waiter>>>,
    /// Not loom's: it only checks BELL-1.
    asleep: AtomicBool,
    /// Nor is this: it is set before anything runs.
    in_no_hurry: AtomicBool,
}

#[derive(Default)]
struct Queue {
    asleep: bool,
    signalled: bool,
}

impl World {
    fn new(lanes: &[&[&Arc<Waiter>]]) -> Arc<Self> {
        Arc::new(World {
            leadership: Leadership::new(),
            sleeper: AtomicU32::new(0),
            pending: AtomicU32::new(0),
            bell: Mutex::new(Queue::default()),
            woken: Condvar::new(),
            datagram: Mutex::new(false),
            arrived: Condvar::new(),
            lanes: lanes.iter().map(|lane| lane.iter().map(|w| Arc::clone(w)).collect()).collect(),
            asleep: AtomicBool::new(false),
            in_no_hurry: AtomicBool::new(false),
        })
    }

    /// A peer answers on a lane, or somebody inside rings.
    fn ring(&self, bit: u32) {
        self.pending.fetch_or(bit, AcqRel);
        fence(SeqCst);
        if self.sleeper.load(Relaxed) == 0 {
            return;
        }
        match self.sleeper.swap(0, AcqRel) {
            0 => {}
            1 | 3 => {
                let _held = self.bell.lock().unwrap();
                self.woken.notify_all();
            }
            _ => {
                *self.datagram.lock().unwrap() = true;
                self.arrived.notify_all();
            }
        }
    }

    /// As [`World::ring`], by a peer that leaves a patient sleeper asleep; true when it did.
    fn ring_patiently(&self, bit: u32) -> bool {
        self.pending.fetch_or(bit, AcqRel);
        fence(SeqCst);
        let left = self.sleeper.load(Relaxed) == 3;
        if !left {
            self.ring(bit);
        }
        left
    }

    /// An object became ready.
    fn tell(&self, waiter: &Waiter) {
        if waiter.count_down() {
            self.ring(LOCAL);
        }
    }

    /// As the I/O thread reads.
    fn read_beside(&self) {
        self.read(self.pending.fetch_and(LOCAL, AcqRel));
    }

    fn read(&self, rung: u32) {
        for (at, waiters) in self.lanes.iter().enumerate().filter(|(at, _)| rung & 1 << at != 0) {
            assert!(at < 31);
            waiters.iter().for_each(|waiter| self.tell(waiter));
        }
    }

    /// A signal for the thread that sleeps on the bell, if one does.
    fn interrupt(&self) {
        let mut queue = self.bell.lock().unwrap();
        if queue.asleep {
            queue.signalled = true;
            self.woken.notify_all();
        }
    }

    fn wait(self: &Arc<Self>, waiter: &Arc<Waiter>) -> Waited {
        self.leadership.wait(&**self, waiter, None, None)
    }

    fn wait_in_thread(self: &Arc<Self>, waiter: &Arc<Waiter>) -> JoinHandle<Waited> {
        let (world, waiter) = (Arc::clone(self), Arc::clone(waiter));
        thread::spawn(move || world.wait(&waiter))
    }

    fn ring_in_thread(self: &Arc<Self>, then: impl FnOnce(&World) + 'static) -> JoinHandle<()> {
        let world = Arc::clone(self);
        thread::spawn(move || then(&world))
    }
}

impl Host for World {
    fn read_lanes(&self) {
        self.read(self.pending.swap(0, AcqRel));
    }

    fn spin(&self, _: &Waiter) {}

    fn in_no_hurry(&self, _: &Waiter) -> bool {
        self.in_no_hurry.load(Plain)
    }

    fn prepare_sleep(&self, bed: Bed) -> bool {
        let before = self.sleeper.swap(
            match bed {
                Bed::Futex => 1,
                Bed::Io => 2,
                Bed::Patient => 3,
            },
            AcqRel,
        );
        assert!(bed == Bed::Io || before == 0, "LEAD-3: a user's thread finds another in bed");
        fence(SeqCst);
        if self.pending.load(Relaxed) == 0 {
            return true;
        }
        self.awake();
        false
    }

    fn sleep(&self, bed: Bed, _: Option<Duration>) -> Sleep {
        let mut queue = self.bell.lock().unwrap();
        if self.sleeper.load(Relaxed) != if bed == Bed::Patient { 3 } else { 1 } {
            return Sleep::Woken;
        }
        assert!(!self.asleep.swap(true, Plain), "BELL-1: two threads sleep on the bell");
        queue.asleep = true;
        queue = self.woken.wait(queue).unwrap();
        queue.asleep = false;
        self.asleep.store(false, Plain);
        if std::mem::take(&mut queue.signalled) { Sleep::Interrupted } else { Sleep::Woken }
    }

    fn ring(&self) {
        World::ring(self, LOCAL);
    }

    fn take_ring(&self) -> bool {
        self.pending.fetch_and(!LOCAL, AcqRel) & LOCAL != 0
    }

    fn awake(&self) {
        self.sleeper.swap(0, AcqRel);
    }

    fn limit(&self, _: &Arc<Waiter>, _: Option<Instant>) -> Option<Duration> {
        None
    }

    fn nobody_leads(&self) {}
}

fn model(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

fn waiter() -> Arc<Waiter> {
    Arc::new(Waiter::new(1))
}

#[test]
fn a_reply_ends_the_leaders_sleep() {
    model(3, || {
        let a = waiter();
        let world = World::new(&[&[&a]]);
        let ringer = world.ring_in_thread(|world| world.ring(1));
        assert_eq!(world.wait(&a), Waited::Done);
        ringer.join().unwrap();
        assert_eq!(world.leadership.leader(), Leader::Nobody, "LEAD-1");
    });
}

#[test]
fn an_object_made_ready_by_another_thread_ends_the_leaders_sleep() {
    model(3, || {
        let a = waiter();
        let world = World::new(&[]);
        let teller = world.ring_in_thread({
            let a = Arc::clone(&a);
            move |world| world.tell(&a)
        });
        assert_eq!(world.wait(&a), Waited::Done);
        teller.join().unwrap();
    });
}

#[test]
fn the_leader_hands_over_when_it_is_done() {
    model(3, || {
        let (a, b) = (waiter(), waiter());
        let world = World::new(&[&[&a], &[&b]]);
        let first = world.wait_in_thread(&a);
        let ringer = world.ring_in_thread(|world| {
            world.ring(1);
            world.ring(2);
        });
        assert_eq!(world.wait(&b), Waited::Done);
        assert_eq!(first.join().unwrap(), Waited::Done);
        ringer.join().unwrap();
        assert_eq!(world.leadership.leader(), Leader::Nobody, "LEAD-1");
    });
}

#[test]
fn an_interrupted_leader_hands_over() {
    model(3, || {
        let (a, b) = (waiter(), waiter());
        let world = World::new(&[&[&a, &b]]);
        let first = world.wait_in_thread(&a);
        let ringer = world.ring_in_thread(|world| {
            world.interrupt();
            world.ring(1);
        });
        let here = world.wait(&b);
        let there = first.join().unwrap();
        ringer.join().unwrap();
        assert!(here == Waited::Done || there == Waited::Done, "there is one signal");
    });
}

#[test]
fn a_called_follower_that_is_done_calls_the_next() {
    model(2, || {
        let (a, b, c) = (waiter(), waiter(), waiter());
        let world = World::new(&[&[&a, &b], &[&c]]);
        let threads = [world.wait_in_thread(&a), world.wait_in_thread(&b)];
        let ringer = world.ring_in_thread(|world| {
            world.ring(1);
            world.ring(2);
        });
        assert_eq!(world.wait(&c), Waited::Done);
        ringer.join().unwrap();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Waited::Done);
        }
    });
}

#[test]
fn a_called_follower_that_is_interrupted_calls_the_next() {
    model(2, || {
        let (a, b, c) = (waiter(), waiter(), waiter());
        let world = World::new(&[&[&a], &[&b, &c]]);
        let threads = [world.wait_in_thread(&a), world.wait_in_thread(&b)];
        let ringer = world.ring_in_thread({
            let b = Arc::clone(&b);
            move |world| {
                world.ring(1);
                b.interrupt();
                world.ring(2);
            }
        });
        assert_eq!(world.wait(&c), Waited::Done);
        ringer.join().unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_call_to_all_ends_the_sleep_of_leader_and_follower() {
    model(3, || {
        let world = World::new(&[]);
        let since = Some(world.leadership.calls());
        let other = thread::spawn({
            let world = Arc::clone(&world);
            move || world.leadership.wait(&*world, &waiter(), None, since)
        });
        let caller = world.ring_in_thread(|world| {
            world.leadership.call_all();
            world.ring(LOCAL);
        });
        assert_eq!(world.leadership.wait(&*world, &waiter(), None, since), Waited::Interrupted, "WAIT-3");
        assert_eq!(other.join().unwrap(), Waited::Interrupted, "WAIT-3");
        caller.join().unwrap();
        assert_eq!(world.leadership.leader(), Leader::Nobody, "LEAD-1");
    });
}

#[test]
fn a_follower_that_waits_for_little_ends_the_leaders_patience() {
    model(2, || {
        // More than the lane brings: the leader is patient, and its time doesn't end here.
        let (many, one) = (Arc::new(Waiter::new(64)), waiter());
        let world = World::new(&[&[&one]]);
        let leader = world.wait_in_thread(&many);
        let follower = world.wait_in_thread(&one);
        // The peer is one that goes on answering: it leaves a patient sleeper alone, and is not obliged to ring again.
        let peer = world.ring_in_thread(|world| {
            world.ring_patiently(1);
        });
        assert_eq!(follower.join().unwrap(), Waited::Done);
        let _ = many.finish();
        world.ring(LOCAL);
        assert_eq!(leader.join().unwrap(), Waited::Done);
        peer.join().unwrap();
    });
}

#[test]
fn an_executor_in_no_hurry_hears_who_pays_its_ring() {
    model(3, || {
        let (a, b) = (waiter(), waiter());
        let world = World::new(&[&[&a], &[&b]]);
        world.in_no_hurry.store(true, Plain);
        // As a caller does that goes on: one ring for what two requests left unheard.
        let caller = world.ring_in_thread(|world| {
            if [1, 2].map(|lane| world.ring_patiently(lane)).contains(&true) {
                world.ring(1);
            }
        });
        assert_eq!(world.wait(&a), Waited::Done);
        assert_eq!(world.wait(&b), Waited::Done);
        caller.join().unwrap();
    });
}

#[test]
fn a_waiter_used_again_loses_nothing() {
    model(3, || {
        let a = waiter();
        let world = World::new(&[&[&a]]);
        let ringer = world.ring_in_thread(|world| {
            world.ring(1);
            world.ring(1);
        });
        assert_eq!(world.wait(&a), Waited::Done);
        a.rearm();
        // As the executor does: it looks after it made itself ready, and before it waits.
        world.read_lanes();
        if !a.done() {
            ringer.join().unwrap();
            world.read_lanes();
            return;
        }
        assert_eq!(world.wait(&a), Waited::Done);
        ringer.join().unwrap();
    });
}

#[test]
fn one_that_sleeps_alone_hears_of_its_end_and_of_calls() {
    model(3, || {
        let a = waiter();
        let caller = thread::spawn({
            let a = Arc::clone(&a);
            move || a.call()
        });
        // It has nothing else to go on by: a lost call is a sleep without end.
        assert_eq!(a.sleep(Duration::MAX), Waited::Interrupted);
        caller.join().unwrap();
        let ender = thread::spawn({
            let a = Arc::clone(&a);
            move || {
                a.call();
                let _ = a.finish();
            }
        });
        while a.sleep(Duration::MAX) != Waited::Done {}
        ender.join().unwrap();
    });
}

#[test]
fn the_io_thread_is_taken_over() {
    model(3, || {
        let a = waiter();
        let world = World::new(&[&[&a]]);
        let io = world.ring_in_thread(|world| {
            world.leadership.io_lead(true);
            // It sleeps with a time limit: here the time is over at once.
            let _ = world.leadership.io_may_sleep(world);
            if world.leadership.leader() != Leader::User {
                world.read_beside();
            }
            world.leadership.io_lead(false);
        });
        let ringer = world.ring_in_thread(|world| world.ring(1));
        assert_eq!(world.wait(&a), Waited::Done);
        io.join().unwrap();
        ringer.join().unwrap();
        assert_eq!(world.leadership.leader(), Leader::Nobody, "LEAD-1");
    });
}

#[test]
fn the_io_thread_takes_no_ring_that_is_for_who_took_over() {
    model(4, || {
        let a = waiter();
        let world = World::new(&[]);
        world.leadership.io_lead(true);
        let io = world.ring_in_thread(|world| {
            let _ = world.leadership.io_may_sleep(world);
            if world.leadership.leader() != Leader::User {
                world.read_beside();
            }
        });
        let teller = world.ring_in_thread({
            let a = Arc::clone(&a);
            move |world| world.tell(&a)
        });
        assert_eq!(world.wait(&a), Waited::Done, "LEAD-4");
        io.join().unwrap();
        teller.join().unwrap();
    });
}

#[test]
fn the_io_thread_sleeps_for_good_and_is_woken() {
    model(3, || {
        let a = waiter();
        let world = World::new(&[&[&a]]);
        let ringer = world.ring_in_thread(|world| world.ring(1));
        world.leadership.io_lead(true);
        while !a.done() {
            if world.leadership.io_may_sleep(&*world) {
                let mut arrived = world.datagram.lock().unwrap();
                while !*arrived {
                    arrived = world.arrived.wait(arrived).unwrap();
                }
                *arrived = false;
            }
            world.read_beside();
        }
        ringer.join().unwrap();
    });
}
