//! The arena's free space, and which of it is warm (ARENA-5). Plain data: it decides, the server makes the system calls.
//!
//! - SPACE-1 warm ranges are free, and don't overlap.
//! - SPACE-2 a range that was used is warm until [`Space::cool`] or [`Space::squeeze`] names it, or it is taken.
use crate::grant::ClientSlot;
use crate::ranges::Ranges;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// How long freed pages are kept.
pub(crate) const WARM_FOR: Duration = Duration::from_secs(10);

/// Free bytes whose pages exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Warm {
    len: u64,
    /// Who wrote there last: it has it mapped.
    last: Option<ClientSlot>,
    /// Whether it was an exact extent.
    exact: bool,
    /// `None` until the next `cool`, which knows the time.
    since: Option<Duration>,
    /// Larger is later.
    order: u64,
}

/// A range that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Taken {
    pub offset: u64,
    pub len: u64,
    /// How much of it has no pages.
    pub cold: u64,
}

#[derive(Debug)]
pub(crate) struct Space {
    free: Ranges,
    warm: BTreeMap<u64, Warm>,
    warm_limit: u64,
    /// Whether the last [`Space::cool`] had more to cool than its budget.
    behind: bool,
    next_order: u64,
}

impl Space {
    pub fn new(capacity: u64, warm_limit: u64) -> Self {
        Self { free: Ranges::of(0, capacity), warm: BTreeMap::new(), warm_limit, behind: false, next_order: 0 }
    }

    pub fn free_bytes(&self) -> u64 {
        self.free.total()
    }

    pub fn warm_bytes(&self) -> u64 {
        self.warm.values().map(|warm| warm.len).sum()
    }

    /// Takes between `min` and `max` bytes, the warmest that fit: what this client used last, what another used, space
    /// without pages, anything. All of it lies before `end`.
    pub fn take(&mut self, slot: ClientSlot, min: u64, max: u64, end: u64) -> Option<Taken> {
        let found = self.find_warm(slot, min, max, end).or_else(|| self.find_cold(max, end));
        let (offset, len) = found.or_else(|| best_fit(&self.free_before(end), max))?;
        self.free.remove(offset, len);
        let warm = self.take_warmth(offset, len);
        Some(Taken { offset, len, cold: len - warm })
    }

    fn free_before(&self, end: u64) -> Ranges {
        let mut free = self.free.clone();
        free.remove(end, u64::MAX - end);
        free
    }

    fn find_warm(&self, slot: ClientSlot, min: u64, max: u64, end: u64) -> Option<(u64, u64)> {
        // A much larger range is left whole for an object of its size.
        let fits = |warm: &Warm| warm.len >= min && warm.len / 4 <= max;
        let before = |offset: u64, warm: &Warm| offset + warm.len.min(max) <= end;
        let best = self.warm.iter().filter(|(offset, warm)| fits(warm) && before(**offset, warm)).min_by_key(|(_, warm)| {
            (warm.last != Some(slot), warm.len.saturating_sub(max), Reverse(warm.len.min(max)), Reverse(warm.order))
        })?;
        Some((*best.0, best.1.len.min(max)))
    }

    /// Best fit among the gaps between warm ranges.
    fn find_cold(&self, len: u64, end: u64) -> Option<(u64, u64)> {
        let mut cold = self.free_before(end);
        for (&offset, warm) in &self.warm {
            cold.remove(offset, warm.len);
        }
        best_fit(&cold, len)
    }

    /// Takes the warmth off a range; returns how much there was.
    fn take_warmth(&mut self, offset: u64, len: u64) -> u64 {
        let end = offset + len;
        let hit = self.warm.range(..end).rev().take_while(|&(&o, w)| o + w.len > offset).map(|(&o, &w)| (o, w));
        let mut taken = 0;
        for (o, warm) in hit.collect::<Vec<_>>() {
            self.warm.remove(&o);
            let (from, to) = (o.max(offset), (o + warm.len).min(end));
            taken += to - from;
            if o < from {
                self.warm.insert(o, Warm { len: from - o, ..warm });
            }
            if to < o + warm.len {
                self.warm.insert(to, Warm { len: o + warm.len - to, ..warm });
            }
        }
        taken
    }

    /// Gives back a range without pages.
    pub fn put_cold(&mut self, offset: u64, len: u64) {
        self.free.insert(offset, len);
    }

    /// Gives back a range with pages, last used by `last`.
    pub fn put_warm(&mut self, offset: u64, len: u64, last: Option<ClientSlot>, exact: bool) {
        self.free.insert(offset, len);
        let (mut start, mut end) = (offset, offset + len);
        let same = |warm: &Warm| !exact && !warm.exact && warm.last == last;
        if let Some((&o, before)) = self.warm.range(..start).next_back()
            && o + before.len == start
            && same(before)
        {
            start = o;
            self.warm.remove(&o);
        }
        if let Some(after) = self.warm.get(&end).filter(|after| same(after)).copied() {
            self.warm.remove(&end);
            end += after.len;
        }
        self.next_order += 1;
        self.warm.insert(start, Warm { len: end - start, last, exact, since: None, order: self.next_order });
    }

    /// A client is gone: nothing is kept for it.
    pub fn forget(&mut self, slot: ClientSlot) {
        for warm in self.warm.values_mut().filter(|warm| warm.last == Some(slot)) {
            warm.last = None;
        }
    }

    /// Cools what is too old or too much, at most `budget` bytes a call: returns what to punch out. The latest exact
    /// extent of each client doesn't count as too much: a loop that puts one large object again and again finds it warm.
    pub fn cool(&mut self, now: Duration, budget: u64) -> Vec<(u64, u64)> {
        for warm in self.warm.values_mut() {
            warm.since.get_or_insert(now);
        }
        let mut latest_first = self.warm.iter().map(|(&offset, &warm)| (offset, warm)).collect::<Vec<_>>();
        latest_first.sort_by_key(|(_, warm)| Reverse(warm.order));
        let (mut kept, mut exempt, mut victims) = (0, HashSet::new(), Vec::new());
        for (offset, warm) in latest_first {
            let old = warm.since.is_some_and(|since| now.saturating_sub(since) >= WARM_FOR);
            let is_exempt = warm.exact && warm.last.is_some_and(|slot| exempt.insert(slot));
            let counts = if is_exempt { 0 } else { warm.len };
            if old || kept + counts > self.warm_limit {
                victims.push((offset, warm.len));
            } else {
                kept += counts;
            }
        }
        victims.reverse();
        self.behind = victims.iter().map(|(_, len)| len).sum::<u64>() > budget;
        self.chill(victims, budget)
    }

    /// Cools the oldest ranges, at least `bytes` where there are as many: returns what to punch out.
    pub fn squeeze(&mut self, bytes: u64) -> Vec<(u64, u64)> {
        let mut oldest_first =
            self.warm.iter().map(|(&offset, warm)| (warm.order, offset, warm.len)).collect::<Vec<_>>();
        oldest_first.sort_unstable();
        self.chill(oldest_first.into_iter().map(|(_, offset, len)| (offset, len)).collect(), bytes)
    }

    fn chill(&mut self, ranges: Vec<(u64, u64)>, mut budget: u64) -> Vec<(u64, u64)> {
        let mut chilled = Vec::new();
        for (offset, len) in ranges {
            let len = len.min(budget);
            if len == 0 {
                break;
            }
            self.take_warmth(offset, len);
            budget -= len;
            chilled.push((offset, len));
        }
        chilled
    }

    /// For tests: SPACE-1.
    #[cfg(test)]
    pub fn check(&self) {
        let mut free = self.free.clone();
        for (&offset, warm) in &self.warm {
            assert_eq!(free.remove(offset, warm.len), [(offset, warm.len)], "SPACE-1");
        }
    }

    /// For tests: what is free.
    #[cfg(test)]
    pub fn free_ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.free.iter()
    }

    /// When `cool` has something to do again.
    pub fn next_cool(&self, now: Duration) -> Option<Duration> {
        let oldest = self.warm.values().map(|warm| warm.since.unwrap_or(now)).min()?;
        Some(if self.behind { now } else { (oldest + WARM_FOR).max(now) })
    }
}

fn best_fit(ranges: &Ranges, len: u64) -> Option<(u64, u64)> {
    ranges.iter().filter(|range| range.1 >= len).min_by_key(|range| range.1).map(|(offset, _)| (offset, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ClientSlot = ClientSlot(1);
    const B: ClientSlot = ClientSlot(2);
    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn the_last_user_gets_its_range_back() {
        let mut space = Space::new(1000, 500);
        let (a, b) = (space.take(A, 100, 100, 1000).unwrap(), space.take(B, 100, 100, 1000).unwrap());
        assert_eq!((a.cold, b.cold), (100, 100));
        space.put_warm(a.offset, 100, Some(A), false);
        space.put_warm(b.offset, 100, Some(B), false);
        assert_eq!(space.take(A, 50, 100, 1000), Some(Taken { cold: 0, ..a }));
        assert_eq!(space.take(A, 50, 100, 1000), Some(Taken { cold: 0, ..b }), "then another's");
        assert_eq!(space.take(A, 50, 100, 1000).unwrap().cold, 100);
    }

    #[test]
    fn nothing_beyond_the_end_is_taken() {
        let mut space = Space::new(1000, 900);
        assert_eq!(space.take(A, 600, 600, 500), None);
        let first = space.take(A, 500, 500, 500).unwrap();
        assert_eq!((first.offset, space.take(A, 1, 1, 500)), (0, None));
        let rest = space.take(A, 500, 500, 1000).unwrap();
        space.put_warm(rest.offset, 500, Some(A), false);
        assert_eq!(space.take(A, 100, 100, 500), None, "nor what is warm");
        assert_eq!(space.take(A, 100, 100, 1000).unwrap().cold, 0);
    }

    #[test]
    fn small_needs_leave_a_large_warm_range_whole() {
        let mut space = Space::new(1000, 900);
        let big = space.take(A, 500, 500, 1000).unwrap();
        space.put_warm(big.offset, 500, Some(A), true);
        assert_eq!(space.take(A, 10, 10, 1000).unwrap().cold, 10);
        assert_eq!(space.take(A, 500, 500, 1000), Some(Taken { cold: 0, ..big }));
    }

    #[test]
    fn warm_ranges_cool_by_age_then_by_amount() {
        let mut space = Space::new(1000, 250);
        for n in 0..3 {
            let taken = space.take(A, 100, 100, 1000).unwrap();
            assert_eq!(taken.offset, n * 100);
        }
        for n in 0..3 {
            space.put_warm(n * 100, 100, Some(ClientSlot(n as u32)), false);
        }
        assert_eq!(space.cool(S(1), u64::MAX), [(0, 100)], "300 of 250: the oldest");
        assert_eq!(space.next_cool(S(1)), Some(S(11)));
        assert_eq!(space.cool(S(10), u64::MAX), []);
        assert_eq!(space.cool(S(11), 150), [(100, 100), (200, 50)], "at most the budget");
        assert_eq!(space.next_cool(S(11)), Some(S(11)), "the rest at once");
        assert_eq!(space.cool(S(11), 150), [(250, 50)]);
        assert_eq!((space.next_cool(S(11)), space.free_bytes()), (None, 1000));
    }

    #[test]
    fn what_is_too_much_goes_budget_by_budget_and_not_only_by_age() {
        let mut space = Space::new(1000, 100);
        for n in 0..5 {
            let taken = space.take(A, 100, 100, 1000).unwrap();
            assert_eq!(taken.offset, n * 100);
        }
        for n in 0..5 {
            space.put_warm(n * 100, 100, Some(ClientSlot(n as u32)), false);
        }
        assert_eq!(space.cool(S(1), 150), [(0, 100), (100, 50)]);
        assert_eq!(space.next_cool(S(1)), Some(S(1)), "350 of 100: the rest at once");
        assert_eq!(space.cool(S(1), 150), [(150, 50), (200, 100)]);
        assert_eq!(space.cool(S(1), 150), [(300, 100)]);
        assert_eq!((space.next_cool(S(1)), space.warm_bytes()), (Some(S(11)), 100));
    }

    #[test]
    fn the_latest_exact_extent_of_a_client_is_no_excess() {
        let mut space = Space::new(1000, 50);
        let (one, two) = (space.take(A, 200, 200, 1000).unwrap(), space.take(A, 200, 200, 1000).unwrap());
        space.put_warm(one.offset, 200, Some(A), true);
        space.put_warm(two.offset, 200, Some(A), true);
        assert_eq!(space.cool(S(0), u64::MAX), [(one.offset, 200)]);
        space.forget(A);
        assert_eq!(space.cool(S(1), u64::MAX), [(two.offset, 200)]);
    }

    #[test]
    fn neighbours_of_one_client_merge() {
        let mut space = Space::new(1000, 900);
        let taken = space.take(A, 300, 300, 1000).unwrap();
        for part in [0, 200, 100] {
            space.put_warm(taken.offset + part, 100, Some(A), false);
        }
        assert_eq!(space.take(A, 300, 300, 1000), Some(Taken { cold: 0, ..taken }));
    }
}
