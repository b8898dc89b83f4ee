//! `wait` over many refs: whether an object is ready is a load or two in its ref, no look-up.
//!
//! - SIGHT-1 what a ref has seen ready stays so until some value is lost and made again (LIN-5): the ref notes how many
//!   were lost before it saw it, and is looked up once more when there are more now. That is rare, and costs a look-up
//!   a ref.
//! - SIGHT-2 a ref that was looked at in vain gets a [`Watch`], which stays among its object's watchers until there is a
//!   value or the ref goes. So a loop of `wait` asks the core once for each object, not once a round.
//! - SIGHT-3 a round is one `wait`. Its number is written into the watches that it waits for under the state lock, and
//!   they become ready under the same lock: each counts exactly once. A watch that another live round has is left to
//!   it, and watched for once more by the object's id.
use crate::runtime::Runtime;
use crate::state::{State, Watcher};
use shoal_owner::Event;
use shoal_types::ObjectId;
use shoal_wait::Waiter;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::{Arc, OnceLock};

/// What a ref knows of its object's readiness; a part of the ref.
#[derive(Default)]
pub struct Sight {
    seen: Seen,
    round: AtomicU64,
    watch: OnceLock<Arc<Watch>>,
}

/// Shared by a ref and the object's watchers.
#[derive(Default)]
pub(crate) struct Watch {
    seen: Seen,
    round: AtomicU64,
}

/// Zero, or one more than the number of losses before the object was seen ready.
#[derive(Default)]
struct Seen(AtomicU64);

impl Seen {
    fn since(&self, losses: u64) -> bool {
        self.0.load(Acquire) > losses
    }

    fn set(&self, losses: u64) {
        self.0.store(losses + 1, Release);
    }
}

/// One `wait` that has to sleep.
pub struct Round {
    number: u64,
    /// How many values had been lost when it began.
    pub losses: u64,
    /// Done when enough of the round's objects are ready.
    pub waiter: Arc<Waiter>,
    /// Watched for by their ids (SIGHT-3).
    shared: Vec<ObjectId>,
}

impl Sight {
    /// Whether the object was seen ready after so many losses ([`Runtime::losses`]).
    #[inline]
    pub fn is_ready(&self, losses: u64) -> bool {
        self.seen.since(losses) || self.watch.get().is_some_and(|watch| watch.seen.since(losses))
    }

    /// Notes that this round has met the ref; false when it had before. Rounds note one after the other (the GIL).
    #[inline]
    pub fn meet(&self, round: u64) -> bool {
        let first = self.round.load(Relaxed) != round;
        self.round.store(round, Relaxed);
        first
    }

    /// The ref goes; before its release is told, so that who hears of that finds the watch abandoned.
    pub fn forget(&mut self) {
        self.watch.take();
    }
}

impl Watch {
    /// Whether it is among its object's watchers.
    fn waits(&self) -> bool {
        self.seen.0.load(Relaxed) == 0
    }

    /// Whether its ref is gone.
    pub(crate) fn abandoned(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
    }
}

impl State {
    /// Whether somebody waits for this watch now.
    pub(crate) fn round_of(&self, watch: &Watch) -> Option<&Arc<Waiter>> {
        let number = watch.round.load(Relaxed);
        self.rounds.iter().find(|(other, _)| *other == number).map(|(_, waiter)| waiter)
    }

    /// Refs to these are gone.
    pub(crate) fn forget_watches(&mut self, dropped: &[ObjectId]) {
        if self.watchers.is_empty() {
            return;
        }
        for id in dropped {
            self.keep_watchers(id, |watcher| !matches!(watcher, Watcher::Ref(watch) if watch.abandoned()));
        }
    }
}

impl Runtime {
    /// How many values were lost so far, to be made again.
    #[inline]
    pub fn losses(&self) -> u64 {
        self.losses.load(Acquire)
    }

    /// An object has no value any more; under the state lock.
    pub(crate) fn unready(&self) {
        self.losses.fetch_add(1, Release);
    }

    /// A number for the next round.
    pub fn next_round(&self) -> u64 {
        self.rounds.fetch_add(1, SeqCst) + 1
    }

    /// Says that somebody waits for `needed` of these.
    pub fn begin_round(&self, number: u64, refs: &[(ObjectId, &Sight)], needed: usize) -> Round {
        let mut state = self.state.lock();
        self.drain_drops(&mut state);
        let (mut there, mut new, mut shared) = (0, Vec::new(), Vec::new());
        let (mut unseen, mut awaited, losses) = (Vec::new(), Vec::new(), self.losses());
        for (id, sight) in refs {
            if sight.is_ready(losses) {
                there += 1;
                continue;
            }
            match sight.watch.get() {
                Some(watch) if watch.waits() => awaited.push((*id, watch)),
                _ if state.owner.is_ready(id) => {
                    sight.seen.set(losses);
                    there += 1;
                }
                _ => unseen.push((*id, *sight)),
            }
        }
        let waiter = Arc::new(Waiter::new(needed.saturating_sub(there)));
        if waiter.done() || state.dead.is_some() {
            let _ = waiter.finish();
            return Round { number, losses, waiter, shared };
        }
        for (id, sight) in unseen {
            let watch = sight.watch.get_or_init(Arc::default);
            watch.seen.0.store(0, Relaxed);
            state.watchers.entry(id).or_default().push(Watcher::Ref(Arc::clone(watch)));
            new.push(id);
            awaited.push((id, watch));
        }
        for (id, watch) in awaited {
            if state.round_of(watch).is_some() {
                state.watchers.entry(id).or_default().push(Watcher::Thread(Arc::clone(&waiter)));
                shared.push(id);
            } else {
                watch.round.store(number, Relaxed);
            }
        }
        state.rounds.push((number, Arc::clone(&waiter)));
        if !new.is_empty() {
            self.feed(&mut state, Event::Wanted(new));
        }
        Round { number, losses, waiter, shared }
    }

    /// The round is over.
    pub fn end_round(&self, round: &Round) {
        let mut state = self.state.lock();
        state.rounds.retain(|(number, _)| *number != round.number);
        state.unwatch(&round.shared, &round.waiter);
    }

    /// A watched object is ready.
    pub(crate) fn saw(&self, state: &State, watch: &Watch) {
        watch.seen.set(self.losses());
        if state.round_of(watch).is_some_and(|waiter| waiter.count_down()) {
            self.wake_leader();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_types::{Address, TaskId};

    fn watched(state: &mut State, sight: &Sight) -> ObjectId {
        let id = ObjectId::new(TaskId::new([1; 8], 1), 0);
        let watch = sight.watch.get_or_init(Arc::default);
        state.watchers.entry(id).or_default().push(Watcher::Ref(Arc::clone(watch)));
        id
    }

    #[test]
    fn a_watch_goes_with_its_ref_and_no_other() {
        let mut state = State::new(Address::default());
        let (mut gone, kept) = (Sight::default(), Sight::default());
        watched(&mut state, &gone);
        let id = watched(&mut state, &kept);
        gone.forget();
        state.forget_watches(&[id]);
        assert_eq!(state.watchers[&id].len(), 1);
        drop(kept);
        state.forget_watches(&[id]);
        assert!(state.watchers.is_empty());
    }

    #[test]
    fn a_watch_is_awaited_while_its_round_lives() {
        let mut state = State::new(Address::default());
        let sight = Sight::default();
        let id = watched(&mut state, &sight);
        sight.watch.get().unwrap().round.store(7, Relaxed);
        assert!(!state.is_awaited(&state.watchers[&id]));
        state.rounds.push((7, Arc::new(Waiter::new(1))));
        assert!(state.is_awaited(&state.watchers[&id]));
    }

    #[test]
    fn a_ref_is_met_once_a_round() {
        let sight = Sight::default();
        assert!(sight.meet(1) && !sight.meet(1) && sight.meet(2));
    }
}
