//! Who asks for workers, and the workers.
use crate::{Shape, Waiter};
use shoal_types::{ActorId, JobId, LeaseId, Resources, WorkerId};
use std::sync::Arc;

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Asker {
    Actor(ActorId),
    Lease(WorkerId, u32),
}

impl Asker {
    pub fn waiter(self) -> Waiter {
        match self {
            Self::Actor(actor) => Waiter::Actor(actor),
            Self::Lease(client, key) => Waiter::Key(client, key),
        }
    }
}

/// One asker's request and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub shape: Arc<Shape>,
    /// Must be free to serve it.
    pub need: Resources,
    /// Is held from then on.
    pub hold: Resources,
    pub detached: bool,
    pub depth: u32,
    /// As last said.
    pub want: u32,
    pub seen: u64,
    /// Grants sent in all.
    pub granted: u64,
    /// Leases held now.
    pub leases: usize,
    /// When it was served last, or came: a number that only grows.
    pub turn: u64,
    /// Since when it waits: it began, or was served last.
    pub since: u64,
    /// Not looked at before, for [`Order::Warn`](crate::Order::Warn).
    pub quiet_until: u64,
    pub warned: bool,
}

impl Entry {
    /// How many leases are still to be granted.
    pub fn outstanding(&self) -> u32 {
        let unseen = u32::try_from(self.granted.saturating_sub(self.seen)).unwrap_or(u32::MAX);
        self.want.saturating_sub(unseen)
    }
}

/// What a worker does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Idle {
        since: u64,
    },
    Leased(LeaseId),
    Actor {
        actor: ActorId,
        detached: bool,
    },
    /// Asked to end; not granted until it refuses.
    Retiring,
    /// To be killed; what it holds is held until it is gone.
    Doomed,
}

#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub shape: Arc<Shape>,
    pub gpus: Vec<u32>,
    /// Never leased.
    pub fresh: bool,
    pub role: Role,
    pub hold: Resources,
    pub blocked: bool,
}

impl Worker {
    /// CPUs that it lends now.
    pub fn lent(&self) -> u64 {
        if self.blocked { self.hold.get("CPU") } else { 0 }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub shape: Arc<Shape>,
    pub gpus: Vec<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub client: WorkerId,
    pub key: u32,
    pub job: JobId,
    pub worker: WorkerId,
    pub depth: u32,
    pub since: u64,
    /// When it was asked for, used or not.
    pub recalled: Option<u64>,
    /// How often it was asked for, for when it is idle.
    pub wanted: u8,
}

/// Whether a process of shape `have` can serve `asker`, who wants `want`. `fresh`: it was never leased.
pub(crate) fn serves(asker: Asker, want: &Shape, have: &Shape, fresh: bool) -> bool {
    match asker {
        Asker::Lease(..) => have == want,
        Asker::Actor(_) => {
            fresh
                && have.function.is_none()
                && (have.job, &have.runtime_env) == (want.job, &want.runtime_env)
                && have.threads() == want.threads()
                && have.resources.get("GPU") == want.resources.get("GPU")
        }
    }
}
