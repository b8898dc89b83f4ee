//! What is remembered of the last so many, and no longer: processes that are gone, say.
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::hash::Hash;

/// A map with a bound: who comes first goes first.
#[derive(Clone, Debug)]
pub struct Recent<K, V> {
    most: usize,
    map: FxHashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    /// Empty, for at most so many entries.
    pub fn new(most: usize) -> Self {
        Self { most, map: FxHashMap::default(), order: VecDeque::new() }
    }

    /// Remembers a value, unless there is one for this key; whether there was none.
    pub fn insert(&mut self, key: K, value: V) -> bool {
        if self.map.contains_key(&key) {
            return false;
        }
        if self.order.len() >= self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.map.remove(&oldest);
        }
        self.map.insert(key, value);
        self.order.push_back(key);
        true
    }

    /// The value, if it is remembered.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    /// Whether it is remembered.
    pub fn contains(&self, key: &K) -> bool {
        self.map.contains_key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_and_a_second_value_changes_nothing() {
        let mut recent = Recent::new(2);
        assert!(recent.insert(1, "a") && recent.insert(2, "b") && !recent.insert(1, "c"));
        assert_eq!((recent.get(&1), recent.contains(&2)), (Some(&"a"), true));
        assert!(recent.insert(3, "d"));
        assert_eq!((recent.get(&1), recent.get(&2), recent.get(&3)), (None, Some(&"b"), Some(&"d")));
    }
}
