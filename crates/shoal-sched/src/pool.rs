//! What is free: signed amounts, and how much of each GPU.
use shoal_types::{Resources, UNIT};
use std::collections::BTreeMap;

/// Amounts in 1/10,000; negative after an `Unblocked` (SCHED-1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pool {
    free: BTreeMap<String, i64>,
    gpus: Vec<i64>,
}

impl Pool {
    pub fn new(total: &Resources) -> Self {
        let free = total.iter().map(|(name, amount)| (name.to_owned(), signed(amount))).collect();
        Self { free, gpus: vec![signed(UNIT); (total.get("GPU") / UNIT) as usize] }
    }

    pub fn get(&self, name: &str) -> i64 {
        self.free.get(name).copied().unwrap_or(0)
    }

    /// What is free, negative amounts as nothing.
    pub fn available(&self) -> Resources {
        Resources::from_pairs(self.free.iter().map(|(name, n)| (name.clone(), u64::try_from(*n).unwrap_or(0))))
    }

    pub fn fits(&self, need: &Resources) -> bool {
        need.iter().all(|(name, amount)| self.get(name) >= signed(amount)) && self.pick_gpus(need).is_some()
    }

    /// Names of which there is not enough for `need`.
    pub fn lacking<'a>(&'a self, need: &'a Resources) -> impl Iterator<Item = &'a str> {
        need.iter().filter(|(name, amount)| self.get(name) < signed(*amount)).map(|(name, _)| name)
    }

    /// Whether these GPUs have room for what `need` asks of each.
    pub fn gpus_fit(&self, ids: &[u32], need: &Resources) -> bool {
        let share = signed(need.get("GPU").min(UNIT));
        ids.iter().all(|id| self.gpus.get(*id as usize).is_some_and(|free| *free >= share))
    }

    /// Ids for `need`: whole GPUs that nobody uses, or for a part the fullest one that has room.
    pub fn pick_gpus(&self, need: &Resources) -> Option<Vec<u32>> {
        let amount = need.get("GPU");
        let ids = 0..self.gpus.len() as u32;
        if amount == 0 {
            return Some(Vec::new());
        }
        if amount < UNIT {
            let room = ids.filter(|id| self.gpus[*id as usize] >= signed(amount));
            return room.min_by_key(|id| self.gpus[*id as usize]).map(|id| vec![id]);
        }
        let whole = amount.div_ceil(UNIT) as usize;
        let picked: Vec<u32> = ids.filter(|id| self.gpus[*id as usize] == signed(UNIT)).take(whole).collect();
        (picked.len() == whole).then_some(picked)
    }

    pub fn take(&mut self, amounts: &Resources, gpus: &[u32]) {
        self.change(amounts, gpus, -1);
    }

    pub fn give(&mut self, amounts: &Resources, gpus: &[u32]) {
        self.change(amounts, gpus, 1);
    }

    /// Adds or takes CPUs only: lending.
    pub fn add_cpus(&mut self, amount: i64) {
        if amount != 0 {
            *self.free.entry("CPU".into()).or_default() += amount;
        }
    }

    fn change(&mut self, amounts: &Resources, gpus: &[u32], sign: i64) {
        for (name, amount) in amounts.iter() {
            *self.free.entry(name.to_owned()).or_default() += sign * signed(amount);
        }
        let share = signed(amounts.get("GPU").min(UNIT));
        for id in gpus {
            if let Some(free) = self.gpus.get_mut(*id as usize) {
                *free += sign * share;
            }
        }
    }
}

pub(crate) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX / 4)
}
