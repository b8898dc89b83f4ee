//! Room for descriptors in a process that has opened all that it may.
//!
//! - ROOM-1 while a [`Room`] lives, the process may open up to its hard limit; then its soft limit is again what it was,
//!   or what somebody set meanwhile. Other threads may open more as long, and a process that one of them starts just
//!   then keeps the higher limit: so it is for one system call, when one has found no room.

use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

/// See ROOM-1.
#[derive(Debug)]
pub struct Room {
    before: Rlimit,
    raised: Rlimit,
}

impl Room {
    /// Raises the soft limit of descriptors to the hard one. `None` where it is there, or can't be raised.
    pub fn make() -> Option<Self> {
        let now = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: now.maximum, ..now };
        if now.current == now.maximum {
            return None;
        }
        let before = prlimit(None, Resource::Nofile, raised).ok()?;
        Some(Self { before, raised })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // A limit that was allowed before is allowed: neither call fails.
        let found = prlimit(None, Resource::Nofile, self.before);
        if let Ok(set_meanwhile) = found
            && set_meanwhile != self.raised
        {
            let _ = prlimit(None, Resource::Nofile, set_meanwhile);
        }
    }
}
