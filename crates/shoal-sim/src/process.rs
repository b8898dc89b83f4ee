//! One simulated process: its core, what its user's code holds, what it runs; and one lane.
use crate::replay::Trace;
use shoal_owner::Owner;
use shoal_types::{
    ActorId, Address, ArenaLoc, ErrorValue, LaneId, LeaseId, NodeId, ObjectId, RefWire, TaskId, Value, WorkerId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A process by its number.
pub(crate) type Pid = usize;

pub(crate) fn address(pid: Pid) -> Address {
    let mut id = [0x50; 16];
    id[8..].copy_from_slice(&(pid as u64).to_be_bytes());
    Address { node: NodeId([1; 16]), worker: WorkerId(id) }
}

pub(crate) fn pid_of(worker: &WorkerId) -> Pid {
    u64::from_be_bytes(worker.0[8..].try_into().expect("eight bytes")) as Pid
}

/// Whose object it is: the id of a task begins with its process, which is what its short form shows.
pub(crate) fn owner_of(id: &ObjectId) -> Pid {
    u64::from_le_bytes(id.task.0[..8].try_into().expect("eight bytes")) as Pid
}

pub(crate) fn lane_id(caller: Pid, worker: Pid) -> LaneId {
    LaneId((caller as u64) << 32 | worker as u64)
}

pub(crate) fn ends_of(lane: LaneId) -> (Pid, Pid) {
    ((lane.0 >> 32) as Pid, (lane.0 & 0xffff_ffff) as Pid)
}

/// What the daemon has given it to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Free,
    Leased(LeaseId),
    Actor(ActorId),
    /// It was an actor, and lives on for what it owns. Calls that run there are not answered (DEATH-8).
    Lingers,
}

/// A call that runs.
pub(crate) struct Running {
    pub caller: Pid,
    pub task: TaskId,
    pub attempt: u16,
    pub num_returns: u32,
    pub retry_exceptions: bool,
    /// Of a generator: after how many unread items it waits; how many it has yielded.
    pub window: u32,
    pub yielded: u32,
    /// Python refs made from its arguments.
    pub args: Vec<RefWire>,
    /// Tasks that it waits for before it ends.
    pub children: Vec<TaskId>,
    /// It is a constructor: of which life.
    pub constructs: Option<(ActorId, u32)>,
    /// It was cancelled with its children.
    pub cancelled: bool,
}

pub(crate) struct Process {
    pub address: Address,
    pub owner: Owner,
    pub alive: bool,
    /// SIGKILL is sent: it goes on until it is gone.
    pub doomed: bool,
    pub role: Role,
    /// Python refs, each counted once.
    pub vars: Vec<RefWire>,
    pub ids: u64,
    pub running: Vec<Running>,
    /// Refs that the core said stay, between `CallDone` and the reply; `None` when it said nothing (DEATH-8).
    pub kept: Option<Vec<RefWire>>,
    /// Generators that were told to stop; calls that were cancelled; how many items were read, as it was told.
    pub stops: BTreeSet<(TaskId, u16)>,
    pub cancels: BTreeSet<TaskId>,
    pub reads: BTreeMap<(TaskId, u16), u32>,
    /// From the daemon.
    pub inbox: VecDeque<News>,
    pub trace: Trace,
}

impl Process {
    pub fn new(pid: Pid) -> Self {
        let address = address(pid);
        Self {
            address,
            owner: Owner::new(address),
            alive: true,
            doomed: false,
            role: Role::Free,
            vars: Vec::new(),
            ids: 0,
            running: Vec::new(),
            kept: None,
            stops: BTreeSet::new(),
            cancels: BTreeSet::new(),
            reads: BTreeMap::new(),
            inbox: VecDeque::new(),
            trace: Trace::default(),
        }
    }

    /// Every Python ref there is: in variables, and in the arguments of what runs.
    pub fn held(&self) -> Vec<RefWire> {
        self.vars.iter().chain(self.running.iter().flat_map(|r| &r.args)).copied().collect()
    }

    pub fn next_task(&mut self) -> TaskId {
        self.ids += 1;
        TaskId::new(pid_of(&self.address.worker).to_le_bytes(), self.ids)
    }
}

/// What the daemon says to one process.
pub(crate) enum News {
    Granted { key: u32, lease: LeaseId, worker: Pid },
    Recalled(LeaseId),
    WantedBack(LeaseId),
    ActorUp { actor: ActorId, incarnation: u32, worker: Pid, kept: Vec<RefWire> },
    ActorRestarting { actor: ActorId, incarnation: u32, worker: Pid },
    ActorDead { actor: ActorId, worker: Option<Pid>, dying: bool, lingers: bool, error: ErrorValue },
}

impl News {
    /// Whose death it tells of.
    pub fn death(&self) -> Option<Pid> {
        match self {
            Self::ActorRestarting { worker, .. } => Some(*worker),
            Self::ActorDead { worker, dying, .. } => worker.filter(|_| !dying),
            Self::Granted { .. } | Self::Recalled(_) | Self::WantedBack(_) | Self::ActorUp { .. } => None,
        }
    }
}

/// A request as it lies in a lane.
#[derive(Clone)]
pub(crate) struct Request {
    pub task: TaskId,
    pub attempt: u16,
    pub num_returns: u32,
    pub window: u32,
    pub retry_exceptions: bool,
    /// Refs nested in the arguments, those of resolved dependencies included.
    pub refs: Vec<RefWire>,
    /// Dependencies in the arena, and where.
    pub stored: Vec<(RefWire, ArenaLoc)>,
    pub actor: Option<ActorId>,
    pub taken: bool,
}

pub(crate) struct Reply {
    /// It is an item of a generator: which.
    pub item: Option<u32>,
    pub task: TaskId,
    pub attempt: u16,
    pub retryable: bool,
    pub kept: Vec<RefWire>,
    pub values: Vec<Value>,
    /// It has not begun: these are not where they should lie.
    pub lost: Vec<(RefWire, ArenaLoc)>,
}

/// From one caller to one worker.
#[derive(Default)]
pub(crate) struct Lane {
    pub requests: VecDeque<Request>,
    pub replies: VecDeque<Reply>,
}
