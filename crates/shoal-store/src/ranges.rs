//! A set of bytes, kept as ranges that don't touch.
use std::collections::BTreeMap;

/// Ranges by first byte.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// All of one range.
    pub fn of(offset: u64, len: u64) -> Self {
        Self(BTreeMap::from([(offset, len)]))
    }

    /// (first byte, length), in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().map(|(&offset, &len)| (offset, len))
    }

    /// Bytes in all.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Adds a range; what is there already stays.
    pub fn insert(&mut self, offset: u64, len: u64) {
        if len == 0 {
            return;
        }
        let (mut start, mut end) = (offset, offset + len);
        let touching = self.0.range(..=end).rev().take_while(|&(&o, &l)| o + l >= offset).map(|(&o, &l)| (o, l));
        for (o, l) in touching.collect::<Vec<_>>() {
            self.0.remove(&o);
            start = start.min(o);
            end = end.max(o + l);
        }
        self.0.insert(start, end - start);
    }

    /// What of a range isn't there.
    pub fn gaps_in(&self, offset: u64, len: u64) -> Self {
        let mut gaps = Self::of(offset, len);
        for (o, l) in self.iter() {
            gaps.remove(o, l);
        }
        gaps
    }

    /// Takes a range out, and returns those parts of it that were there.
    pub fn remove(&mut self, offset: u64, len: u64) -> Vec<(u64, u64)> {
        let end = offset + len;
        let hit = self.0.range(..end).rev().take_while(|&(&o, &l)| o + l > offset).map(|(&o, &l)| (o, l));
        let hit = hit.collect::<Vec<_>>();
        let mut taken = Vec::with_capacity(hit.len());
        for (o, l) in hit.into_iter().rev() {
            self.0.remove(&o);
            let (from, to) = (o.max(offset), (o + l).min(end));
            if o < from {
                self.0.insert(o, from - o);
            }
            if to < o + l {
                self.0.insert(to, o + l - to);
            }
            if from < to {
                taken.push((from, to - from));
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_like_a_set_of_bytes(steps in prop::collection::vec((any::<bool>(), 0u64..60, 1u64..12), 1..60)) {
            let (mut ranges, mut model) = (Ranges::default(), [false; 80]);
            for (add, offset, len) in steps {
                let span = offset as usize..(offset + len) as usize;
                if add {
                    ranges.insert(offset, len);
                } else {
                    let taken: u64 = ranges.remove(offset, len).iter().map(|r| r.1).sum();
                    prop_assert_eq!(taken, model[span.clone()].iter().filter(|b| **b).count() as u64);
                }
                model[span.clone()].fill(add);
                let gaps = ranges.gaps_in(offset, len);
                let missing = model[span].iter().filter(|there| !**there).count() as u64;
                prop_assert_eq!(gaps.total(), missing);
                prop_assert!(gaps.iter().all(|(o, l)| !model[o as usize..(o + l) as usize].contains(&true)));
                let mut seen = [false; 80];
                let mut last_end = None;
                for (o, l) in ranges.iter() {
                    prop_assert!(l > 0 && last_end.is_none_or(|end| end < o), "not coalesced");
                    last_end = Some(o + l);
                    seen[o as usize..(o + l) as usize].fill(true);
                }
                prop_assert_eq!(seen, model);
            }
        }
    }
}
