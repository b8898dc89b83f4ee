//! What a scheduling key holds: its queue, its leases, what the daemon was told; and how long functions take.
//!
//! Pure data and policy: no order is made here.
//!
//! - LEASE-1 a queue is sorted by the place a task got when it was first queued: withdrawn and retried ones return to
//!   theirs, before all that came later.
//! - LEASE-2 what is in flight on a lease is expected to take [`WINDOW_MICROS`] at most, and is [`WINDOW_CALLS`] at
//!   most, unless it is one task. A function that was never measured fills a lease.
//! - LEASE-3 a lease whose first task has stalled, and one that is called back, takes nothing more.
//! - LEASE-7 a lease that somebody else waits for is kept without work for [`REST_MICROS`] at most, and only for a key
//!   whose pauses between an answer and the next task have lately been that short.
//! - LEASE-8 a task goes to the first lease, in the order of their grants, that is at work and is expected to be through with
//!   all it has within [`WAKE_MICROS`]; only when there is none to the least loaded.
use rustc_hash::FxHashMap;
use shoal_types::{Address, FunctionId, LaneId, LeaseId, TaskId};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// What may wait in a lane: no task shall stay behind others for longer (DESIGN §4.5).
pub(crate) const WINDOW_MICROS: u32 = 2_000;
/// A bound for functions of no length at all, so that a ring of 16 KiB and a late cancel stay cheap.
pub(crate) const WINDOW_CALLS: usize = 256;
/// What it costs to wake a worker: less work than that is not worth it (LEASE-8).
pub(crate) const WAKE_MICROS: u32 = 50;
/// A lease without work is kept so long, for the next call of a loop …
pub(crate) const IDLE_MICROS: u64 = 200_000;
/// … and so long while somebody else waits for it: about what it costs to ask for another, a few times over.
pub(crate) const REST_MICROS: u64 = 500;
/// LEASE-7: trust in a loop grows to this, by one a short pause; what was kept in vain costs half of it.
const MOST_TRUST: u8 = 8;
/// More leases than this are never asked for at once.
pub(crate) const MAX_WANT: u32 = 4_096;
/// One slow call counts no more than this, so that a function's window opens again after a few quick ones.
const SAMPLE_CAP: u32 = 2 * WINDOW_MICROS;

/// How much somebody else wants a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    No,
    /// It goes when it is not used.
    Unused,
    /// It goes as soon as it is idle.
    Idle,
}

/// The right to use one worker.
pub(crate) struct Lease {
    pub id: LeaseId,
    pub lane: LaneId,
    pub worker: Address,
    /// In the order of pushing, with the expected microseconds of each.
    pub in_flight: VecDeque<(TaskId, u32)>,
    /// Sum of the expected microseconds.
    pub load: u32,
    /// When the first of `in_flight` became first, or the lease idle.
    pub since: u64,
    /// LEASE-3: the first task has run for too long.
    pub stalled: bool,
    /// The daemon wants it back.
    pub recalled: bool,
    /// Whether somebody else waits for it.
    pub wanted: Wanted,
    /// The worker is to be killed for this cancelled task, once nothing else is in flight on it.
    pub kill_for: Option<TaskId>,
}

impl Lease {
    fn takes(&self, cost: u32) -> bool {
        let open = !self.stalled && !self.recalled;
        let room = self.load + cost <= WINDOW_MICROS && self.in_flight.len() < WINDOW_CALLS;
        open && (room || self.in_flight.is_empty())
    }

    /// Takes a task out; whether it was there.
    pub fn remove(&mut self, task: &TaskId) -> bool {
        let Some(at) = self.in_flight.iter().position(|(t, _)| t == task) else { return false };
        let (_, cost) = self.in_flight.remove(at).expect("found above");
        self.load -= cost;
        true
    }

    /// When it must be looked at again: the first has stalled, or it was idle for long.
    pub fn deadline(&self) -> Option<u64> {
        match self.in_flight.len() {
            0 if self.wanted != Wanted::No => Some(self.since + REST_MICROS),
            0 => Some(self.since + IDLE_MICROS),
            1 => None,
            _ if self.stalled => None,
            _ => Some(self.since + u64::from(WINDOW_MICROS)),
        }
    }
}

/// One scheduling key.
pub(crate) struct Key {
    /// (place, task). May name tasks that were cancelled since; they are passed over.
    pub queue: VecDeque<(u64, TaskId)>,
    /// How many of them are alive.
    pub live: u32,
    /// How many alive ones of each nesting depth.
    depths: SmallVec<[(u32, u32); 2]>,
    next_place: u64,
    pub leases: Vec<Lease>,
    /// Grants so far.
    pub seen: u64,
    /// What the daemon takes our demand to be: the last told less the grants since.
    pub told: u32,
    /// A grant came in this event.
    pub granted: bool,
    /// It is in the list of keys to look after at the end of this event.
    pub dirty: bool,
    /// When its last task in flight was answered.
    pub idle_since: u64,
    /// LEASE-7.
    trust: u8,
}

/// Unknown keys are trusted once: keeping a lease in vain costs less than the turn that its loss may cost.
impl Default for Key {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            live: 0,
            depths: SmallVec::new(),
            next_place: 0,
            leases: Vec::new(),
            seen: 0,
            told: 0,
            granted: false,
            dirty: false,
            idle_since: 0,
            trust: 1,
        }
    }
}

impl Key {
    /// A task comes: how long the pause was, if there was one.
    pub fn note_pause(&mut self, now: u64) {
        let paused = self.live == 0 && self.leases.iter().all(|l| l.in_flight.is_empty());
        if paused && now.saturating_sub(self.idle_since) < REST_MICROS {
            self.trust = (self.trust + 1).min(MOST_TRUST);
        }
    }

    /// A lease was kept in vain while somebody waited.
    pub fn kept_in_vain(&mut self) {
        self.trust = self.trust.saturating_sub(MOST_TRUST / 2);
    }

    /// Whether an idle lease that others wait for is worth keeping for a moment.
    pub fn is_a_loop(&self) -> bool {
        self.trust > 0
    }

    /// At the end, with a new place.
    pub fn append(&mut self, task: TaskId, depth: u32) -> u64 {
        self.next_place += 1;
        self.queue.push_back((self.next_place, task));
        self.count(depth, 1);
        self.next_place
    }

    /// Back to its place (LEASE-1).
    pub fn put_back(&mut self, place: u64, task: TaskId, depth: u32) {
        let at = self.queue.partition_point(|(p, _)| *p < place);
        self.queue.insert(at, (place, task));
        self.count(depth, 1);
    }

    /// One alive task came to the queue or left it.
    pub fn count(&mut self, depth: u32, n: i32) {
        self.live = self.live.checked_add_signed(n).expect("LEASE-1: more tasks left a queue than came");
        match self.depths.iter_mut().find(|(d, _)| *d == depth) {
            Some((_, count)) => *count = count.checked_add_signed(n).expect("LEASE-1: depth count"),
            None => self.depths.push((depth, n as u32)),
        }
    }

    /// Nesting depth of the deepest that waits.
    pub fn depth(&self) -> u32 {
        self.depths.iter().filter(|(_, n)| *n > 0).map(|(d, _)| *d).max().unwrap_or(0)
    }

    /// The lease that takes one more of this cost (LEASE-8).
    pub fn best(&mut self, cost: u32) -> Option<&mut Lease> {
        let at_work = |l: &Lease| !l.in_flight.is_empty() && l.load + cost <= WAKE_MICROS;
        let taking = self.leases.iter_mut().enumerate().filter(|(_, l)| l.takes(cost));
        let rank = |at: usize, l: &Lease| if at_work(l) { (0, at as u32, 0) } else { (1, l.load, l.in_flight.len()) };
        taking.min_by_key(|(at, l)| rank(*at, l)).map(|(_, l)| l)
    }

    pub fn lease(&mut self, id: LeaseId) -> Option<&mut Lease> {
        self.leases.iter_mut().find(|l| l.id == id)
    }

    /// How many leases more to ask for, when it is time to say so.
    pub fn ask(&mut self) -> Option<u32> {
        let (want, told) = (self.live.min(MAX_WANT), self.told);
        let granted = std::mem::take(&mut self.granted);
        let say = (want == 0) != (told == 0) || want > told.saturating_mul(2) || (granted && want != told);
        if say {
            self.told = want;
        }
        say.then_some(want)
    }
}

/// Measured lengths of functions: moving averages in sixteenths of a microsecond.
#[derive(Default)]
pub(crate) struct Lengths(FxHashMap<FunctionId, u32>);

impl Lengths {
    /// Expected microseconds of one call (LEASE-2).
    pub fn cost(&self, function: &FunctionId) -> u32 {
        self.0.get(function).map_or(WINDOW_MICROS, |x| (x / 16).max(1))
    }

    /// A call took so long.
    pub fn measured(&mut self, function: FunctionId, micros: u32) {
        let sample = micros.min(SAMPLE_CAP) * 16;
        self.0.entry(function).and_modify(|x| *x = *x - *x / 8 + sample / 8).or_insert(sample);
    }

    /// A call runs for longer than a window already.
    pub fn stalled(&mut self, function: FunctionId) {
        let long = WINDOW_MICROS * 16;
        self.0.entry(function).and_modify(|x| *x = long.max(*x)).or_insert(long);
    }
}
