//! What the leader leads: the process's bell and lanes.
use crate::waiter::Waiter;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the leader is about to sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bed {
    /// On the bell's futex: a user's thread.
    Futex,
    /// In the I/O thread's poll.
    Io,
    /// On the bell's futex, by a user's thread in no hurry: peers that go on answering needn't wake it for each answer.
    Patient,
}

/// How a sleep on the bell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sleep {
    /// Somebody rang, or nobody did: look.
    Woken,
    /// The time is over.
    Timeout,
    /// A signal was handled on this thread.
    Interrupted,
}

/// The process around a [`Leadership`](crate::Leadership). Called only by threads that are in it.
pub trait Host {
    /// Reads what came, and counts down the waiters of what became ready.
    fn read_lanes(&self);
    /// Spins a moment if an answer is likely to come soon.
    fn spin(&self, waiter: &Waiter);
    /// Whether who rings for this waiter goes on and will do so again soon.
    fn in_no_hurry(&self, waiter: &Waiter) -> bool;
    /// Says that this thread is about to sleep on the bell; false if something is ready.
    fn prepare_sleep(&self, bed: Bed) -> bool;
    /// Sleeps on the bell's futex after a [`prepare_sleep`](Self::prepare_sleep) in that bed; `None` is until rung.
    fn sleep(&self, bed: Bed, limit: Option<Duration>) -> Sleep;
    /// Rings the bell from inside.
    fn ring(&self);
    /// Takes such a ring; whether there was one.
    fn take_ring(&self) -> bool;
    /// Says that no thread sleeps on the bell any more.
    fn awake(&self);
    /// How long this waiter's thread may sleep at once.
    fn limit(&self, waiter: &Arc<Waiter>, deadline: Option<Instant>) -> Option<Duration>;
    /// The last thread that waited has gone: the I/O thread is to look after what is outstanding.
    fn nobody_leads(&self);
}
