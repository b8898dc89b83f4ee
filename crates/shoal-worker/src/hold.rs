//! Who waits lets go of the GIL, and pays a switch interval (5 ms) to have it back while another thread computes. So a
//! wait that is likely to be short may be slept through with the GIL (DESIGN §4.13).
//!
//! - HOLD-1 only when taking it back has cost more than 1 ms within the last 100 ms, and the last wait was short.
//! - HOLD-2 at most 200 µs at a time; one that is longer is gone on with without the GIL, and ends the holding until
//!   taking it back is slow again.
//! - HOLD-3 at most half of the time: 10 ms in 20.
//! - HOLD-4 never while something is due that this process's own thread of Python's is to do.
use std::time::{Duration, Instant};

const SLOW: Duration = Duration::from_millis(1);
const LATELY: Duration = Duration::from_millis(100);
const SHORT: Duration = Duration::from_micros(200);
const WINDOW: Duration = Duration::from_millis(20);

/// What the last waits of a process were like.
pub struct Hold {
    /// When taking the GIL back was slow.
    slow: Option<Instant>,
    /// How long the last wait was.
    last: Duration,
    /// When the window began, and how long the GIL was held in it.
    window: Option<Instant>,
    held: Duration,
}

impl Default for Hold {
    fn default() -> Self {
        Self::new()
    }
}

impl Hold {
    /// Nothing has been waited for.
    pub const fn new() -> Self {
        Self { slow: None, last: Duration::ZERO, window: None, held: Duration::ZERO }
    }

    /// Until when a wait that begins now may hold the GIL, if it may.
    pub fn until(&self, now: Instant) -> Option<Instant> {
        self.may_hold(now).then(|| now + SHORT)
    }

    fn may_hold(&self, now: Instant) -> bool {
        let lately = self.slow.is_some_and(|at| now - at < LATELY);
        let spent = self.held >= WINDOW / 2 && self.window.is_some_and(|begin| now - begin < WINDOW);
        lately && self.last < SHORT && !spent
    }

    /// A wait without the GIL ended at `woke`; at `now` it was back.
    pub fn let_go(&mut self, begin: Instant, woke: Instant, now: Instant) {
        self.last = woke - begin;
        self.slow = (now - woke > SLOW).then_some(now);
    }

    /// A wait with the GIL ended.
    pub fn kept(&mut self, begin: Instant, now: Instant) {
        self.last = now - begin;
        if self.last >= SHORT {
            self.slow = None;
        }
        if self.window.is_none_or(|window| now - window >= WINDOW) {
            (self.window, self.held) = (Some(begin), Duration::ZERO);
        }
        self.held += self.last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(n: u64) -> Duration {
        Duration::from_micros(n)
    }

    fn slow_at(now: Instant) -> Hold {
        let mut record = Hold::new();
        record.let_go(now - micros(5040), now - micros(5000), now);
        record
    }

    #[test]
    fn held_only_after_a_slow_return_and_a_short_wait() {
        let now = Instant::now();
        assert!(!Hold::new().may_hold(now));
        let mut record = slow_at(now);
        assert!(record.may_hold(now) && !record.may_hold(now + LATELY));
        record.let_go(now, now + micros(250), now + micros(6000));
        assert!(!record.may_hold(now + micros(6000)));
        record.let_go(now, now + micros(50), now + micros(60));
        assert!(!record.may_hold(now + micros(60)));
    }

    #[test]
    fn one_in_vain_ends_the_holding() {
        let now = Instant::now();
        let mut record = slow_at(now);
        record.kept(now, now + SHORT);
        record.last = micros(10);
        assert!(!record.may_hold(now + SHORT));
    }

    #[test]
    fn held_at_most_half_of_the_time() {
        let begin = Instant::now();
        let (mut record, mut now, mut held) = (slow_at(begin), begin, Duration::ZERO);
        while now < begin + WINDOW {
            if record.may_hold(now) {
                record.kept(now, now + micros(100));
                held += micros(100);
            }
            now += micros(100);
        }
        assert_eq!(held, WINDOW / 2);
        assert!(record.may_hold(now));
    }
}
