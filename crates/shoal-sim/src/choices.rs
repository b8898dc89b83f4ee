//! Where a simulated run gets its choices from: a seed, or a list that a property test makes and shrinks.

/// A source of choices. Equal sources make equal runs.
#[derive(Clone, Debug)]
pub enum Choices {
    /// xorshift64*.
    Seeded {
        /// To begin again with.
        seed: u64,
        /// Where it is now.
        state: u64,
    },
    /// Read once; then the run is over.
    Listed {
        /// What is chosen.
        list: Vec<u16>,
        /// How many were used.
        used: usize,
    },
}

impl Choices {
    /// From a seed.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded { seed, state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1) }
    }

    /// From a list.
    pub fn listed(list: Vec<u16>) -> Self {
        Self::Listed { list, used: 0 }
    }

    /// Whether there is nothing left to choose from.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Seeded { .. } => false,
            Self::Listed { list, used } => *used >= list.len(),
        }
    }

    /// A number below `n`; 0 when the list is over.
    ///
    /// # Panics
    /// With `n` = 0.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "a choice among nothing");
        match self {
            Self::Seeded { state: x, .. } => {
                *x ^= *x >> 12;
                *x ^= *x << 25;
                *x ^= *x >> 27;
                (x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
            }
            Self::Listed { list, used } => {
                let chosen = list.get(*used).copied().unwrap_or(0);
                *used += 1;
                usize::from(chosen) % n
            }
        }
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len())]) }
    }
}
