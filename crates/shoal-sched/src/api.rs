//! The door's two sides: [`Event`]s in, [`Order`]s out.
use crate::Waiter;
use serde::{Deserialize, Serialize};
use shoal_types::{ActorId, ErrorValue, FunctionId, JobId, LeaseId, LeaseKey, Resources, UNIT, WorkerId};
use std::sync::Arc;

/// What the node has, and limits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Everything that may be handed out.
    pub total: Resources,
    /// Most processes that run tasks, idle ones included.
    pub max_workers: usize,
    /// After how many microseconds a request that never fits is an error; `None` is never.
    pub infeasible_grace: Option<u64>,
    /// After how many microseconds who waits for what running work won't release is told; `None` is never.
    pub warn_after: Option<u64>,
}

impl Config {
    /// The defaults for a node that has `total`.
    pub fn new(total: Resources) -> Self {
        let cpus = (total.get("CPU") / UNIT) as usize;
        Self {
            total,
            max_workers: (64 * cpus).max(256),
            infeasible_grace: Some(30_000_000),
            warn_after: Some(10_000_000),
        }
    }

    /// Whole CPUs.
    pub(crate) fn cpus(&self) -> usize {
        (self.total.get("CPU") / UNIT) as usize
    }
}

/// What a worker process is made for, for life (SCHED-5).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Shape {
    /// Its job.
    pub job: JobId,
    /// Encoded runtime environment.
    pub runtime_env: String,
    /// What it holds while it runs.
    pub resources: Resources,
    /// With `max_calls`: the function that has it to itself.
    pub function: Option<(FunctionId, u32)>,
}

impl Shape {
    /// `OMP_NUM_THREADS`: its CPUs rounded up, at least 1.
    pub fn threads(&self) -> u64 {
        self.resources.get("CPU").div_ceil(UNIT).max(1)
    }
}

/// Something that has happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// A process that may ask for leases is there.
    ClientJoined {
        /// It.
        client: WorkerId,
        /// Its job.
        job: JobId,
        /// Whether it begins its job: workers are started ahead of its first call.
        driver: bool,
    },
    /// It is gone, with its requests and leases; who ran for it is killed.
    ClientLost(WorkerId),
    /// See `ToNode::Demand`.
    Demand {
        /// Who asks.
        client: WorkerId,
        /// For which interned key.
        key: u32,
        /// What the key means, with its first use.
        spec: Option<LeaseKey>,
        /// How many more leases than `seen`.
        want: u32,
        /// Grants that it had seen when it asked.
        seen: u64,
        /// Depth of the deepest task that waits.
        depth: u32,
    },
    /// Its holder gave a lease back: the worker is idle.
    LeaseReturned(LeaseId),
    /// A worker waits: its CPUs are lent.
    Blocked(WorkerId),
    /// It goes on: its CPUs are taken back, free or not.
    Unblocked(WorkerId),
    /// A started worker has greeted.
    WorkerReady {
        /// The number of its start.
        start: u64,
        /// Its id.
        worker: WorkerId,
    },
    /// A worker's process is gone.
    WorkerLost(WorkerId),
    /// A worker takes no more work; its process stays for what it owns. Its lease is recalled, what it held is free.
    WorkerLingers(WorkerId),
    /// A start came to nothing.
    StartFailed {
        /// Which.
        start: u64,
        /// Why, for people.
        reason: String,
    },
    /// A start came to nothing by no fault of its own: it is made again.
    StartLost(u64),
    /// An actor wants a worker.
    ActorWanted {
        /// Which.
        actor: ActorId,
        /// Its job.
        job: JobId,
        /// Held while it lives.
        hold: Resources,
        /// Needed free to place it.
        placement: Resources,
        /// Encoded runtime environment.
        runtime_env: String,
        /// Nesting depth.
        depth: u32,
        /// Whether it outlives its job.
        detached: bool,
    },
    /// The actor needs no worker any more. One that was assigned goes with [`Event::WorkerLost`].
    ActorGone(ActorId),
    /// A worker that was asked to retire holds something that others need.
    RetireRefused(WorkerId),
    /// A job's driver is gone.
    JobEnded(JobId),
    /// [`Sched::next_deadline`](crate::Sched::next_deadline) has come.
    Ticked,
}

/// Something to do.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Start a process; answer with `WorkerReady`, `StartFailed` or `StartLost`.
    StartWorker {
        /// A number of its own.
        start: u64,
        /// What for.
        shape: Arc<Shape>,
        /// Ids of the GPUs that it sees.
        gpus: Vec<u32>,
    },
    /// The client may run tasks of the key on the worker.
    Grant {
        /// Whom.
        client: WorkerId,
        /// Its key.
        key: u32,
        /// The lease.
        lease: LeaseId,
        /// Where.
        worker: WorkerId,
    },
    /// Ask for a lease back.
    Recall {
        /// Whom.
        client: WorkerId,
        /// Which.
        lease: LeaseId,
    },
    /// Ask for a lease back when it is not used. Said again, at most once a lease: as soon as it is idle.
    RecallIdle {
        /// Whom.
        client: WorkerId,
        /// Which.
        lease: LeaseId,
    },
    /// The worker is to be the actor.
    AssignActor {
        /// Which.
        actor: ActorId,
        /// Where.
        worker: WorkerId,
    },
    /// Ask an idle worker to end.
    Retire(WorkerId),
    /// Kill a worker.
    KillWorker {
        /// Which.
        worker: WorkerId,
        /// Why, for people.
        why: String,
    },
    /// Kill a process that has not greeted yet.
    KillStart(u64),
    /// Who waits has waited for long, and running work will not end it ([`Wait::lasting`](crate::Wait::lasting)):
    /// [`Sched::wait_of`](crate::Sched::wait_of) says why.
    Warn(Waiter),
    /// The key's waiting tasks can't run.
    Unschedulable {
        /// Who asked.
        client: WorkerId,
        /// Its key.
        key: u32,
        /// Why.
        error: ErrorValue,
    },
    /// The actor can't be placed.
    ActorUnschedulable {
        /// Which.
        actor: ActorId,
        /// Why.
        error: ErrorValue,
    },
}
