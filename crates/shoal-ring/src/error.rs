//! What can go wrong with shared memory.

use rustix::io::Errno;

/// An error of a ring, a lane or a bell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// The peer wrote what no correct peer writes. Fatal for the lane: close it, and treat the peer as dead.
    #[error("corrupt ring: {what} is {value} at position {position}")]
    Corrupt {
        /// The field that is wrong.
        what: &'static str,
        /// The stream position at which it was read.
        position: u64,
        /// The value that was read.
        value: u64,
    },
    /// The descriptor isn't one of a lane or bell of this version. Fatal for that descriptor.
    #[error("not shared memory of ours: {what} is {found}, expected {expected}")]
    Layout {
        /// The field that is wrong.
        what: &'static str,
        /// What was found.
        found: u64,
        /// What was expected (a value or a bound).
        expected: u64,
    },
    /// The kernel refused; worth a retry only when memory or descriptors become free.
    #[error("{what}: {source}")]
    Os {
        /// The call that failed.
        what: &'static str,
        /// The kernel's reason.
        source: Errno,
    },
}

#[cfg(not(all(loom, test)))]
impl RingError {
    pub(crate) fn os(what: &'static str) -> impl FnOnce(Errno) -> Self {
        move |source| RingError::Os { what, source }
    }
}
