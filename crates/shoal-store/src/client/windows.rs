//! Writable mappings of leased ranges.
//!
//! A few are kept after their chunk went back, because the server gives ranges back to their last lessee (ARENA-5) and
//! because a new mapping costs a fault for each page, even a warm one: copying 64 MiB took 32 ms through a new mapping, 6
//! through one that was there (measured). It relaxes "mapped writable until sealed full" on purpose: a process can
//! write, by a stray pointer of its own, to ranges that it once leased, at most [`KEPT`] of them; never to the rest.
use super::Shared;
use crate::error::StoreError;
use crate::mapping::{Mapping, Use};
use std::collections::VecDeque;
use std::sync::Arc;

const KEPT: usize = 8;

/// The latest first.
#[derive(Default)]
pub(super) struct Windows(VecDeque<Arc<Mapping>>);

impl Shared {
    /// A writable mapping that shows at least that range.
    pub fn window(&self, offset: u64, len: u64) -> Result<Arc<Mapping>, StoreError> {
        let mut windows = self.windows.lock();
        let kept = windows.0.iter().position(|window| window.covers(offset, len)).and_then(|i| windows.0.remove(i));
        let window = match kept {
            Some(window) => window,
            None => Arc::new(Mapping::new(&self.fd, offset, len, Use::Write, Some(self.fork.clone()))?),
        };
        windows.0.push_front(window.clone());
        windows.0.truncate(KEPT);
        Ok(window)
    }
}
