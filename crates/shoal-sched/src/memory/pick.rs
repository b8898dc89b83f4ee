//! MEM-3, MEM-4.
use super::{Holding, Kind};
use shoal_types::WorkerId;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Who goes, when so many bytes are lacking.
pub(super) fn pick(lacking: u64, all: &[Holding]) -> Vec<&Holding> {
    let sum = |some: &[&Holding]| some.iter().map(|h| h.bytes).sum::<u64>();
    let idle: Vec<_> = all.iter().filter(|h| h.kind == Kind::Idle).collect();
    if !idle.is_empty() && sum(&idle) >= lacking {
        return idle;
    }
    let mut gone = if sum(&idle) >= lacking / 8 { idle } else { Vec::new() };
    gone.extend(busiest(lacking, all));
    gone
}

/// The one that goes of those that run something.
fn busiest(lacking: u64, all: &[Holding]) -> Option<&Holding> {
    let sum = |some: &[&Holding]| some.iter().map(|h| h.bytes).sum::<u64>();
    let busy: Vec<_> = all.iter().filter(|h| rank(h).is_some()).collect();
    if busy.is_empty() || sum(&busy) < lacking / 8 {
        return None;
    }
    // Where none is enough alone, any of them is a beginning.
    let enough: Vec<_> = busy.iter().copied().filter(|h| h.bytes >= lacking).collect();
    newest_of_largest(if enough.is_empty() { &busy } else { &enough })
}

fn newest_of_largest<'a>(some: &[&'a Holding]) -> Option<&'a Holding> {
    let first = some.iter().filter_map(|h| rank(h)).min()?;
    let some = some.iter().filter(|h| rank(h) == Some(first));
    let mut owners: BTreeMap<WorkerId, u64> = BTreeMap::new();
    for h in some.clone() {
        *owners.entry(h.owner).or_default() += h.bytes;
    }
    some.copied().min_by_key(|h| (Reverse(owners[&h.owner]), h.owner, Reverse(h.since), h.worker))
}

/// The lower goes first.
fn rank(h: &Holding) -> Option<u8> {
    match (h.kind, h.retriable) {
        (Kind::Task, true) => Some(0),
        (Kind::Actor, true) => Some(1),
        (Kind::Task, false) => Some(2),
        (Kind::Actor, false) => Some(3),
        (Kind::Idle | Kind::Other, _) => None,
    }
}
