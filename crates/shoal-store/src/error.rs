//! What can go wrong, and whether trying again can help.
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use shoal_types::{ObjectId, WorkerId};

/// One object that takes space, for `ObjectStoreFullError`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holder {
    /// The object.
    pub id: ObjectId,
    /// The process that owns it.
    pub owner: WorkerId,
    /// Its length in bytes.
    pub len: u64,
}

/// Everything that a call of this crate can fail with.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// No room, in the arena or in the machine. Retry after evicting, spilling or freeing.
    #[error("object store full: {wanted} bytes wanted, {used} of {capacity} in use{}", left(*.machine))]
    Full {
        /// Bytes asked for.
        wanted: u64,
        /// Bytes of the arena in use; 0 when a client found the machine full.
        used: u64,
        /// Bytes of the arena.
        capacity: u64,
        /// Bytes that the machine and the cgroup have left; `u64::MAX` when they weren't the reason.
        machine: u64,
    },
    /// The object isn't there any more: freed, being freed, or never sealed. Ask its owner.
    #[error("object {0} is gone from the arena")]
    Gone(ObjectId),
    /// This process is a forked child of the client. Fatal for this handle; a child attaches for itself.
    #[error("the object store was opened before a fork")]
    Forked,
    /// All pin slots of this client are taken. Retry after dropping some pins.
    #[error("too many objects pinned by one process")]
    TooManyPins,
    /// The slot is unknown: the client died or never joined. Fatal for that client.
    #[error("unknown client slot {0}")]
    UnknownClient(u32),
    /// A grant or size that can't be of this arena. Fatal.
    #[error("{0} is out of the arena's bounds")]
    OutOfBounds(&'static str),
    /// The kernel refused. Fatal, unless the errno says otherwise.
    #[error("{what}: {errno}")]
    System {
        /// The call.
        what: &'static str,
        /// Its error.
        errno: Errno,
    },
}

/// What the machine has left, where that is the reason.
fn left(machine: u64) -> String {
    if machine == u64::MAX { String::new() } else { format!(", {machine} left in the machine") }
}

/// For `map_err`: a kernel error with the name of the call.
pub(crate) fn system(what: &'static str) -> impl Fn(Errno) -> StoreError {
    move |errno| StoreError::System { what, errno }
}
