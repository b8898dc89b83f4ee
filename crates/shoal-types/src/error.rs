//! Errors as they travel: a kind, which Python maps to one exception class, a text that always arrives, and the pickled
//! exception when there is one.
use crate::ActorId;
use serde::{Deserialize, Serialize};

/// Which exception class of `shoal.exceptions` stands for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ErrorKind {
    /// The user's code raised: `RayTaskError`, and the user's own type.
    Task,
    /// `WorkerCrashedError`.
    WorkerCrashed,
    /// `ActorDiedError`.
    ActorDied,
    /// `ActorUnavailableError`.
    ActorUnavailable,
    /// `TaskCancelledError`.
    Cancelled,
    /// `OwnerDiedError`.
    OwnerDied,
    /// `ObjectLostError`.
    ObjectLost,
    /// `ObjectReconstructionFailedError`: it is lost, and nothing can make it again.
    Reconstruction,
    /// `ObjectReconstructionFailedMaxAttemptsExceededError`: its task has no try left.
    RetriesSpent,
    /// `ObjectReconstructionFailedLineageEvictedError`: what was kept of its task had to go.
    LineageEvicted,
    /// `ObjectStoreFullError`.
    StoreFull,
    /// `LocalRayletDiedError`.
    NodeDied,
    /// `TaskUnschedulableError`.
    Unschedulable,
    /// `ActorUnschedulableError`.
    ActorUnschedulable,
    /// `PendingCallsLimitExceeded`.
    PendingCalls,
    /// `RuntimeEnvSetupError`.
    RuntimeEnv,
    /// `RaySystemError`.
    System,
    /// `ObjectRefStreamEndOfStreamError`: a generator has no further item.
    EndOfStream,
    /// `StreamingGeneratorReplayInconsistentError`.
    ReplayInconsistent,
    /// `OutOfMemoryError`: its process was killed because memory ran out.
    OutOfMemory,
}

/// One error.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErrorValue {
    /// Its class.
    pub kind: ErrorKind,
    /// What to show, with the remote traceback for [`ErrorKind::Task`].
    pub message: String,
    /// For [`ErrorKind::Task`]: what `shoal.core.errors` packed. Empty otherwise.
    pub pickled: Vec<u8>,
    /// The actor it is about, if any.
    pub actor: Option<ActorId>,
}

impl ErrorValue {
    /// An error of the runtime's own.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), pickled: Vec::new(), actor: None }
    }
}
