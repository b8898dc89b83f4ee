//! Whether a waiter spins before it sleeps: waking an idle CPU costs 60 µs, a line of cache from another one 0.1.
//!
//! - SPIN-1 nobody spins for a peer on its own CPU, nor longer than 50 µs, or 5 while it holds the GIL (HOLD-2): a reply
//!   that takes longer is slept for.
//! - SPIN-2 a caller spins while its last callee has a request in hand.
//! - SPIN-3 an executor that has answered spins for the next request only when its last gaps were short. One in vain
//!   ends that, until twice as many as the last time were short in a row; each 16 that were take half of that back.
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

pub(crate) const LIMIT: Duration = Duration::from_micros(50);
pub(crate) const LIMIT_WITH_GIL: Duration = Duration::from_micros(5);
/// A gap that spinning would have made short enough: waking is part of it.
const SHORT: Duration = Duration::from_micros(150);
const LEAST: u32 = 4;
const MOST: u32 = 64;
const HALVES: u32 = 16;

/// Spins while `more` says so. True when that ended it, not the limit.
pub(crate) fn spin_while(limit: Duration, more: impl Fn() -> bool) -> bool {
    let end = Instant::now() + limit;
    while more() {
        if Instant::now() > end {
            return false;
        }
        for _ in 0..32 {
            std::hint::spin_loop();
        }
    }
    true
}

/// Whether a peer runs on another CPU than this thread.
pub(crate) fn elsewhere(cpu: Option<u32>) -> bool {
    cpu.is_some_and(|cpu| cpu as usize != rustix::thread::sched_getcpu())
}

/// The gaps of an executor between a reply and the next request. Written by its thread only.
#[derive(Default)]
pub(crate) struct Gaps {
    short: AtomicU32,
    /// How many have to be short in a row, less [`LEAST`].
    needed: AtomicU32,
}

impl Gaps {
    /// SPIN-3.
    pub(crate) fn are_short(&self) -> bool {
        self.short.load(Relaxed) >= LEAST + self.needed.load(Relaxed)
    }

    /// The executor has waited so long for a request.
    pub(crate) fn note(&self, gap: Duration) {
        let short = if gap < SHORT { self.short.load(Relaxed).saturating_add(1) } else { 0 };
        self.short.store(short, Relaxed);
        if short.is_multiple_of(HALVES) && short > 0 {
            self.needed.store(self.needed.load(Relaxed) / 2, Relaxed);
        }
    }

    /// It has spun and nothing came.
    pub(crate) fn in_vain(&self) {
        let needed = LEAST + self.needed.load(Relaxed);
        self.short.store(0, Relaxed);
        self.needed.store((2 * needed).min(MOST) - LEAST, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short_ones(gaps: &Gaps) -> u32 {
        (0..)
            .find(|_| {
                gaps.are_short() || {
                    gaps.note(Duration::from_micros(80));
                    false
                }
            })
            .unwrap()
    }

    #[test]
    fn an_executor_spins_after_short_gaps_and_the_later_the_more_it_was_in_vain() {
        let gaps = Gaps::default();
        assert_eq!(short_ones(&gaps), 4);
        gaps.note(Duration::from_millis(1));
        assert_eq!(short_ones(&gaps), 4);
        gaps.in_vain();
        assert_eq!(short_ones(&gaps), 8);
        (0..20).for_each(|_| gaps.in_vain());
        assert!((20..=MOST).contains(&short_ones(&gaps)));
        (0..6 * HALVES).for_each(|_| gaps.note(Duration::ZERO));
        gaps.note(Duration::from_millis(1));
        assert_eq!(short_ones(&gaps), 4);
    }

    #[test]
    fn spinning_has_an_end() {
        assert!(!spin_while(LIMIT, || true));
        assert!(spin_while(LIMIT, || false));
        assert!(!elsewhere(None));
    }
}
