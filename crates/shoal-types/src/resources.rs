//! Amounts of what a node has and a task needs, in fixed point of 1/10,000, so that sums are exact.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One whole CPU, GPU or custom resource.
pub const UNIT: u64 = 10_000;

/// Named amounts in 1/10,000 (`CPU`, `GPU`, custom); `memory` and `object_store_memory` are in bytes × 10,000 too, so
/// that one rule serves all. An absent name is zero; zeros are not stored.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Resources(BTreeMap<String, u64>);

impl Resources {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// From (name, amount in 1/10,000) pairs.
    pub fn from_pairs<S: Into<String>>(pairs: impl IntoIterator<Item = (S, u64)>) -> Self {
        let mut out = Self::new();
        for (name, amount) in pairs {
            out.set(name, amount);
        }
        out
    }

    /// The amount of `name`, 0 when absent.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Sets the amount of `name`.
    pub fn set(&mut self, name: impl Into<String>, amount: u64) {
        let name = name.into();
        if amount == 0 {
            self.0.remove(&name);
        } else {
            self.0.insert(name, amount);
        }
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// (name, amount) in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// Whether `need` fits into what is here.
    pub fn covers(&self, need: &Self) -> bool {
        need.iter().all(|(name, amount)| self.get(name) >= amount)
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            self.set(name, self.get(name) + amount);
        }
    }

    /// Takes `other` away; what is not there stays zero.
    pub fn subtract(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            self.set(name, self.get(name).saturating_sub(amount));
        }
    }
}
