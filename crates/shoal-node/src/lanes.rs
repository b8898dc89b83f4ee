//! Which lanes there are, and the slots in each client's bell.
//!
//! - LANES-1 one lane a (caller, executor) pair, used by all leases between them as long as both live.
//! - LANES-2 a slot is given out again only after the lane that had it was closed.
//! - LANES-3 news that names a lane is told also where none can be had: then of one that is refused, with the reason, and
//!   closed. The news may be all that its client waits for, and may have more to say.
use shoal_ring::SLOTS;
use shoal_types::{LaneId, WorkerId};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LaneRecord {
    pub caller: WorkerId,
    pub executor: WorkerId,
    pub caller_slot: u32,
    pub executor_slot: u32,
}

impl LaneRecord {
    /// Who is at the other end.
    pub fn peer_of(&self, worker: WorkerId) -> WorkerId {
        if self.caller == worker { self.executor } else { self.caller }
    }
}

#[derive(Default)]
pub(crate) struct Lanes {
    lanes: BTreeMap<LaneId, LaneRecord>,
    pairs: BTreeMap<(WorkerId, WorkerId), LaneId>,
    of: BTreeMap<WorkerId, BTreeSet<LaneId>>,
    slots: BTreeMap<WorkerId, Slots>,
    last: u64,
}

/// Slots of one bell.
#[derive(Default)]
struct Slots {
    next: u32,
    free: Vec<u32>,
}

impl Slots {
    fn take(&mut self) -> Option<u32> {
        self.free.pop().or_else(|| {
            let slot = self.next;
            self.next += u32::from(slot < SLOTS);
            (slot < SLOTS).then_some(slot)
        })
    }
}

impl Lanes {
    /// The pair's lane, if there is one.
    pub fn find(&self, caller: WorkerId, executor: WorkerId) -> Option<LaneId> {
        self.pairs.get(&(caller, executor)).copied()
    }

    /// Makes a lane's record; `None` when a bell has no slot left.
    pub fn open(&mut self, caller: WorkerId, executor: WorkerId) -> Option<(LaneId, LaneRecord)> {
        let caller_slot = self.slots.entry(caller).or_default().take()?;
        let Some(executor_slot) = self.slots.entry(executor).or_default().take() else {
            self.slots.entry(caller).or_default().free.push(caller_slot);
            return None;
        };
        let (lane, record) = (self.next(), LaneRecord { caller, executor, caller_slot, executor_slot });
        self.lanes.insert(lane, record);
        self.pairs.insert((caller, executor), lane);
        self.of.entry(caller).or_default().insert(lane);
        self.of.entry(executor).or_default().insert(lane);
        Some((lane, record))
    }

    /// The number of a lane that is to be, or is refused (LANES-3).
    pub fn next(&mut self) -> LaneId {
        self.last += 1;
        LaneId(self.last)
    }

    /// Everybody at the other end of this process's lanes.
    pub fn peers(&self, worker: WorkerId) -> BTreeSet<WorkerId> {
        let lanes = self.of.get(&worker).into_iter().flatten();
        lanes.filter_map(|lane| self.lanes.get(lane)).map(|record| record.peer_of(worker)).collect()
    }

    /// Closes all lanes of a process that is gone; (lane, who is at its other end).
    pub fn close_all(&mut self, worker: WorkerId) -> Vec<(LaneId, WorkerId)> {
        self.slots.remove(&worker);
        let lanes = self.of.remove(&worker).unwrap_or_default();
        lanes.into_iter().filter_map(|lane| self.close(lane, worker).map(|peer| (lane, peer))).collect()
    }

    /// Takes back a lane that nobody was told of.
    pub fn forget(&mut self, lane: LaneId) {
        let Some(record) = self.lanes.get(&lane).copied() else { return };
        self.close(lane, record.caller);
        if let Some(slots) = self.slots.get_mut(&record.caller) {
            slots.free.push(record.caller_slot);
        }
        if let Some(of) = self.of.get_mut(&record.caller) {
            of.remove(&lane);
        }
    }

    fn close(&mut self, lane: LaneId, gone: WorkerId) -> Option<WorkerId> {
        let record = self.lanes.remove(&lane)?;
        self.pairs.remove(&(record.caller, record.executor));
        let peer = record.peer_of(gone);
        let slot = if record.caller == peer { record.caller_slot } else { record.executor_slot };
        if let Some(slots) = self.slots.get_mut(&peer) {
            slots.free.push(slot);
        }
        if let Some(of) = self.of.get_mut(&peer) {
            of.remove(&lane);
        }
        Some(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_one_lane_and_a_closed_slot_comes_back() {
        let (a, b, c) = (WorkerId([1; 16]), WorkerId([2; 16]), WorkerId([3; 16]));
        let mut lanes = Lanes::default();
        let (first, record) = lanes.open(a, b).unwrap();
        assert_eq!((lanes.find(a, b), lanes.find(b, a)), (Some(first), None));
        let (second, _) = lanes.open(a, c).unwrap();
        assert_eq!(lanes.peers(a), BTreeSet::from([b, c]));
        assert_eq!(lanes.close_all(b), vec![(first, a)]);
        assert_eq!(lanes.find(a, b), None);
        let (_, again) = lanes.open(a, b).unwrap();
        assert_eq!(again.caller_slot, record.caller_slot);
        assert_eq!(lanes.close_all(a).len(), 2);
        assert!(lanes.peers(c).is_empty() && second != first);
    }

    #[test]
    fn a_full_bell_refuses_and_takes_nothing() {
        let (a, b) = (WorkerId([1; 16]), WorkerId([2; 16]));
        let mut lanes = Lanes::default();
        for i in 0..SLOTS {
            let mut id = [9; 16];
            id[..4].copy_from_slice(&i.to_le_bytes());
            assert!(lanes.open(a, WorkerId(id)).is_some());
        }
        assert!(lanes.open(b, a).is_none());
        assert!(lanes.open(b, WorkerId([7; 16])).is_some_and(|(_, record)| record.caller_slot == 0));
    }
}
