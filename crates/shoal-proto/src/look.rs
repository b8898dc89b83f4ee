//! What processes tell of themselves when somebody looks inside (`shoal list`, `shoal why`, `shoal.timeline`): a
//! [`Wish`] goes to every client of a node, each answers with a [`Report`] from its tables. Nothing is kept for it and
//! nothing is sent before it is asked for.
//!
//! Times are microseconds since 1970, by the clock of who reports.
use serde::{Deserialize, Serialize};
use shoal_types::{ActorId, ErrorKind, JobId, ObjectId, RefWire, Resources, TaskId, WorkerId};

/// What is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Wish {
    /// Tasks and calls that are not over, and what runs.
    pub tasks: bool,
    /// Tasks and calls that are over, as far as they are remembered.
    pub ended: bool,
    /// What ran here and when, as far as it is remembered.
    pub ran: bool,
    /// Objects.
    pub objects: bool,
    /// What every thread of Python's does now.
    pub stacks: bool,
    /// Only this process is asked.
    pub only: Option<u32>,
    /// Most rows of each kind that one process sends; the rest are counted.
    pub limit: u32,
}

/// A list that may have been cut.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rows<T> {
    /// Those that are told.
    pub rows: Vec<T>,
    /// How many more there are, or were forgotten.
    pub left_out: u64,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), left_out: 0 }
    }
}

/// Where a task or call stands, as its owner knows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Stage {
    /// Arguments of it have no value yet.
    Waiting,
    /// It wants a lease, or its turn at its actor.
    Queued,
    /// It is in the lane of a worker, which has not taken it.
    Sent,
    /// Its worker has taken it.
    Taken,
    /// It was cancelled while it ran, and still runs.
    Cancelled,
    /// It has failed, and is tried again after a rest.
    Resting,
}

/// How an actor stands to this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ActorPhase {
    /// It is not up yet, or between two lives.
    Pending,
    /// It takes calls.
    Up,
    /// Its process is gone; what becomes of it is not known yet.
    Down,
    /// For good.
    Dead,
}

/// A task or call that its owner waits for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TaskRow {
    /// Which.
    pub id: TaskId,
    /// The function's or method's name.
    pub name: String,
    /// For a call: its actor.
    pub actor: Option<ActorId>,
    /// For a call: how the actor stands.
    pub phase: Option<ActorPhase>,
    /// Where it stands.
    pub stage: Stage,
    /// For a task: the number of its scheduling key in its owner.
    pub key: Option<u32>,
    /// For a task: what it needs.
    pub needs: Resources,
    /// Nesting depth.
    pub depth: u32,
    /// Where it was sent.
    pub worker: Option<WorkerId>,
    /// Arguments without a value, at most eight.
    pub waits_for: Vec<RefWire>,
    /// How often it was tried before.
    pub attempt: u32,
    /// When it was submitted.
    pub born: u64,
    /// When a resting one is tried again.
    pub again: Option<u64>,
}

/// A task or call that is over, as its owner remembers it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EndedRow {
    /// Which.
    pub id: TaskId,
    /// The function's or method's name.
    pub name: String,
    /// For a call: its actor.
    pub actor: Option<ActorId>,
    /// How often it was tried before.
    pub attempt: u32,
    /// Who answered it; nil when nobody did.
    pub worker: WorkerId,
    /// When it was submitted.
    pub born: u64,
    /// When it was over.
    pub ended: u64,
    /// How long the user's code ran the last time, in microseconds.
    pub micros: u32,
    /// What went wrong: the kind and the beginning of the text.
    pub error: Option<(ErrorKind, String)>,
}

/// Something that ran in the process that tells it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RanRow {
    /// The task or call.
    pub id: TaskId,
    /// The function's or method's name.
    pub name: String,
    /// When it began.
    pub began: u64,
    /// How long it ran, in microseconds.
    pub micros: u32,
    /// Whether it raised.
    pub failed: bool,
}

/// Something that runs in the process that tells it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RunningRow {
    /// The task or call.
    pub id: TaskId,
    /// The function's or method's name.
    pub name: String,
    /// When it began.
    pub began: u64,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// It is a call of a threaded or async actor: others may run at the same time.
    pub beside: bool,
}

/// A generator that runs in the process that tells it, and waits until more of its items are read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UnreadRow {
    /// Its task or call.
    pub id: TaskId,
    /// Its items that nobody has read.
    pub items: u32,
}

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Place {
    /// There is none yet.
    Nowhere,
    /// In the memory of who tells it.
    Inline,
    /// In the node's arena.
    Arena,
    /// An error stands for it.
    Error,
    /// It stands for the handles of an actor and never has a value.
    Handle,
}

/// An object that a process owns or borrows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ObjectRow {
    /// The object and its owner.
    pub object: RefWire,
    /// Where its value is.
    pub place: Place,
    /// Its bytes.
    pub size: u64,
    /// Python references here.
    pub local: u32,
    /// Pending tasks and calls of this process that take it.
    pub lent: u32,
    /// Values kept here that hold it.
    pub contained: u32,
    /// Calls that run here and were given it.
    pub executing: u32,
    /// Whether this process reads it in the arena at this moment.
    pub pinned: bool,
    /// Whether this process reads it through a mapping of a file.
    pub mapped: bool,
    /// Whether a task is still to give the value.
    pub pending: bool,
    /// Other processes that hold it, as its owner counts.
    pub holders: Vec<WorkerId>,
    /// Where the reference was made, if that is recorded.
    pub site: String,
}

/// What one process tells.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Its clock when it told.
    pub now: u64,
    /// Tasks and calls that it submitted and that are not over.
    pub tasks: Rows<TaskRow>,
    /// Those that are over.
    pub ended: Rows<EndedRow>,
    /// What ran here.
    pub ran: Rows<RanRow>,
    /// What runs here.
    pub running: Vec<RunningRow>,
    /// What threads of it wait for, at most a thousand.
    pub waits: Vec<ObjectId>,
    /// Generators here that wait for a reader, at most a thousand.
    pub unread: Vec<UnreadRow>,
    /// Actors that it made whose constructors' arguments have no value yet, and those arguments.
    pub actor_waits: Vec<(ActorId, Vec<RefWire>)>,
    /// Objects.
    pub objects: Rows<ObjectRow>,
    /// The stacks of its threads, as `faulthandler` writes them.
    pub stacks: String,
    /// Why it can't tell them.
    pub no_stacks: String,
}

/// What one client of a node said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClientLook {
    /// Who.
    pub worker: WorkerId,
    /// Its process.
    pub pid: u32,
    /// Its job.
    pub job: JobId,
    /// "driver", "worker" or "tool".
    pub kind: String,
    /// An encoded [`Report`]; `None` when it did not answer.
    pub report: Option<Vec<u8>>,
    /// Why it did not: "stopped", or its state in words.
    pub silent: String,
}

/// What one node said: itself, and its clients.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeLook {
    /// JSON that the daemon made of its own tables.
    pub node: Vec<u8>,
    /// Its clients.
    pub clients: Vec<ClientLook>,
}
