//! With real threads: what the models leave out, time.
use crate::{Bed, Host, Leadership, Sleep, Waited, Waiter};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A bell that nobody rings from outside.
#[derive(Default)]
struct Quiet {
    rung: Mutex<bool>,
    woken: Condvar,
    in_no_hurry: bool,
    beds: Mutex<Vec<Bed>>,
}

impl Quiet {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.woken.notify_all();
    }
}

impl Host for Quiet {
    fn read_lanes(&self) {}
    fn spin(&self, _: &Waiter) {}
    fn in_no_hurry(&self, _: &Waiter) -> bool {
        self.in_no_hurry
    }
    fn prepare_sleep(&self, bed: Bed) -> bool {
        self.beds.lock().unwrap().push(bed);
        !std::mem::take(&mut *self.rung.lock().unwrap())
    }
    fn sleep(&self, _: Bed, limit: Option<Duration>) -> Sleep {
        let rung = self.rung.lock().unwrap();
        let (_rung, late) = self.woken.wait_timeout_while(rung, limit.unwrap(), |rung| !*rung).unwrap();
        if late.timed_out() { Sleep::Timeout } else { Sleep::Woken }
    }
    fn ring(&self) {
        Quiet::ring(self);
    }
    fn take_ring(&self) -> bool {
        std::mem::take(&mut *self.rung.lock().unwrap())
    }

    fn awake(&self) {}
    fn limit(&self, _: &Arc<Waiter>, deadline: Option<Instant>) -> Option<Duration> {
        Some(deadline.map_or(Duration::from_secs(60), |d| d.saturating_duration_since(Instant::now())))
    }
    fn nobody_leads(&self) {}
}

#[test]
fn leader_and_follower_each_keep_their_own_time() {
    let (host, leadership) = (Quiet::default(), Leadership::new());
    let late = |ms: u64| {
        let deadline = Instant::now() + Duration::from_millis(ms);
        let waited = leadership.wait(&host, &Arc::new(Waiter::new(1)), Some(deadline), None);
        assert!(Instant::now() >= deadline);
        waited
    };
    std::thread::scope(|scope| {
        let threads = [30, 10, 20].map(|ms| scope.spawn(move || late(ms)));
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Waited::Timeout);
        }
    });
}

#[test]
fn who_is_in_no_hurry_is_so_once_in_vain() {
    let (host, leadership) = (Quiet { in_no_hurry: true, ..Quiet::default() }, Leadership::new());
    let deadline = Some(Instant::now() + Duration::from_millis(20));
    assert_eq!(leadership.wait(&host, &Arc::new(Waiter::new(1)), deadline, None), Waited::Timeout);
    assert_eq!(*host.beds.lock().unwrap(), [Bed::Patient, Bed::Futex], "PATIENCE-2");
}

#[test]
fn a_thousand_waits_of_four_threads_all_end() {
    let (host, leadership) = (Quiet::default(), Leadership::new());
    let waiters: Vec<Vec<Arc<Waiter>>> =
        (0..4).map(|_| (0..1000).map(|_| Arc::new(Waiter::new(2))).collect()).collect();
    std::thread::scope(|scope| {
        let wait_for = |waiter: &Arc<Waiter>| assert_eq!(leadership.wait(&host, waiter, None, None), Waited::Done);
        for mine in &waiters {
            scope.spawn(move || mine.iter().for_each(wait_for));
        }
        for at in 0..1000 {
            for mine in &waiters {
                for _ in 0..2 {
                    if mine[at].count_down() {
                        host.ring();
                    }
                }
            }
        }
    });
}

#[test]
fn each_call_to_all_interrupts_each_that_waits_since_before() {
    const CALLS: usize = 100;
    let (host, leadership) = (Quiet::default(), Leadership::new());
    let (begun, waiters) = (AtomicUsize::new(0), [(); 4].map(|()| Arc::new(Waiter::new(1))));
    let wait = |waiter: &Arc<Waiter>| {
        let mut interrupted = 0;
        loop {
            let since = leadership.calls();
            begun.fetch_add(1, SeqCst);
            match leadership.wait(&host, waiter, None, Some(since)) {
                Waited::Interrupted => interrupted += 1,
                ended => return (ended, interrupted),
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = waiters.each_ref().map(|waiter| scope.spawn(|| wait(waiter)));
        let all_began = |wait: usize| {
            while begun.load(SeqCst) < waiters.len() * wait {
                std::thread::yield_now();
            }
        };
        // Nothing but a call ends these waits: one that is lost is a sleep of a minute.
        for call in 1..=CALLS {
            all_began(call);
            leadership.call_all();
            host.ring();
        }
        all_began(CALLS + 1); // who is done before it met the last call says no more than that it is done
        for waiter in &waiters {
            if waiter.finish() {
                host.ring();
            }
        }
        for thread in threads {
            assert_eq!(thread.join().unwrap(), (Waited::Done, CALLS));
        }
    });
}
