//! Client ↔ node daemon. A client is a driver, a worker, a zygote or a tool (`shoal status`).
use crate::look::{NodeLook, Wish};
use serde::{Deserialize, Serialize};
use shoal_types::{
    ActorId, ActorSpec, Address, ArenaLoc, ErrorValue, JobId, LaneId, LeaseId, LeaseKey, NodeId, ObjectId, RefWire,
    Resources, WorkerId,
};

/// What a client says. Descriptors that ride along are named in brackets.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ToNode {
    /// First message of a driver or worker. [bell]
    Hello(Hello),
    /// "For this key I could use `want` leases more than the `seen` that I have been granted so far." Level-triggered:
    /// replaces what was said before.
    Demand {
        /// The key, interned by this client.
        key: u32,
        /// What the key means; with its first use only.
        spec: Option<LeaseKey>,
        /// How many more leases.
        want: u32,
        /// How many grants of this key the client had seen when it said so.
        seen: u64,
        /// Nesting depth of the deepest task that waits; the deepest is served first.
        depth: u32,
    },
    /// The lease is over; the worker is idle, its lane stays.
    ReturnLease(LeaseId),
    /// This worker's task (or every method of this actor) waits: its CPUs are lent.
    Blocked,
    /// It goes on: its CPUs are taken back.
    Unblocked,
    /// Chunks of the arena that are full or given up: offset and generation of each.
    ReturnChunks(Vec<(u64, u32)>),
    /// Objects that nobody needs any more.
    Free(Vec<(ObjectId, ArenaLoc)>),
    /// A pin went that a free waits for (`ArenaClient::take_sweep_hint`).
    Unpinned,
    /// The arguments of a registered actor are ready: start it. `args` is an encoded `lane::ArgsFrame`.
    StartActor {
        /// The actor.
        actor: ActorId,
        /// Its constructor's arguments, resolved.
        args: Vec<u8>,
        /// An error among them: the actor is dead before it lived.
        error: Option<ErrorValue>,
    },
    /// Tell me of this actor's life; open a lane when it is up.
    WatchActor(ActorId),
    /// By the actor's worker: the constructor is done.
    ActorStarted {
        /// The actor.
        actor: ActorId,
        /// Which life.
        incarnation: u32,
        /// What the constructor raised, if it did.
        error: Option<ErrorValue>,
        /// Refs of the constructor's arguments that the actor keeps.
        kept: Vec<RefWire>,
    },
    /// By the actor's worker: it ends on its own wish (`exit_actor`, `sys.exit`); no restart.
    ActorExit {
        /// The actor.
        actor: ActorId,
        /// Why, for people.
        reason: String,
    },
    /// By the creator: the last handle is gone.
    ActorOutOfScope(ActorId),
    /// To another client of this node.
    Relay {
        /// Whom.
        to: WorkerId,
        /// An encoded `peer::PeerFrame`.
        body: Vec<u8>,
    },
    /// Kill this worker's process: it runs a task that is cancelled with `force`.
    KillWorker(WorkerId),
    /// A question with an answer.
    Request {
        /// Chosen by the client.
        req: u64,
        /// The question.
        body: Request,
    },
    /// By a worker that was asked to retire: whether it goes (else it holds something that others need).
    Retiring(bool),
    /// By a worker whose task called `sys.exit(code)` or that reached its `max_calls`: I end now, on purpose.
    Leaving {
        /// What to tell whoever waits for it; `None` when nothing is lost.
        reason: Option<String>,
    },
    /// By a worker that is done but owns what others hold, or has unfinished children (OWN-6): no lease, no actor here
    /// any more; the process ends when nobody needs it.
    Lingering,
    /// A range of a file that this client got is not written after all: its name.
    GiveUpFile(ArenaLoc),
    /// Mappings of objects in files that this client has let go of, one for each [`Response::Mapped`].
    Unmapped(Vec<(ObjectId, ArenaLoc)>),
    /// A driver ends its job in order.
    Bye,
    /// The answer to [`ToClient::Look`].
    Looked {
        /// Its number.
        look: u64,
        /// An encoded `look::Report`.
        report: Vec<u8>,
    },
    /// By an actor's worker: it has something to save when its job or instance ends, so it is asked to end then
    /// ([`ToClient::EndActor`]) and killed only if it does not.
    SavesAtEnd,
    /// Nobody waits for the answer to this [`Request::Space`] or [`Request::Locate`] any more. It is answered all the same:
    /// with what it asked for, if that was on its way, else with [`Response::Done`].
    GiveUp(u64),
    /// Tell me when this process ends ([`ToClient::WorkerDied`]), or that it has. Who spoke with it, has a lane with it or is
    /// of its job is told without asking.
    WatchProcess(WorkerId),
}

/// Questions.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Request {
    /// Space of at least so many bytes → [`Response::Chunk`] or [`Response::Full`].
    LeaseChunk(u64),
    /// Space for an object of so many bytes → [`Response::Chunk`], [`Response::File`] or [`Response::Full`].
    Space(u64),
    /// A range of a file is written: from now on the object of that name can be had → [`Response::Done`].
    SealFile {
        /// The name that came with the range.
        loc: ArenaLoc,
        /// The object.
        id: ObjectId,
        /// Its owner.
        owner: WorkerId,
        /// `shoal_store::Sum` of its bytes.
        sum: u64,
    },
    /// An object is not where it was sealed → [`Response::At`], [`Response::Mapped`] or [`Response::Lost`].
    Locate {
        /// The object.
        id: ObjectId,
        /// Its name: where it was sealed.
        loc: ArenaLoc,
        /// Places that were told before were empty again when this client came there: a mapping, please.
        map: bool,
    },
    /// Know this actor from now on; its arguments follow with [`ToNode::StartActor`] → [`Response::Registered`].
    RegisterActor(Box<ActorSpec>),
    /// → [`Response::Actor`].
    GetNamedActor {
        /// Its name.
        name: String,
        /// Where.
        namespace: String,
    },
    /// → [`Response::Done`].
    KillActor {
        /// Which.
        actor: ActorId,
        /// Dead for good, or only this life.
        no_restart: bool,
    },
    /// → [`Response::NamedActors`].
    NamedActors,
    /// → [`Response::Nodes`].
    Nodes,
    /// → [`Response::Value`].
    KvGet(Vec<u8>),
    /// → [`Response::Done`].
    KvPut(Vec<u8>, Vec<u8>),
    /// What the instance holds and does, as JSON, for `shoal status` → [`Response::Value`].
    Status,
    /// End the instance → [`Response::Done`], then the connection closes.
    Stop,
    /// Answers when every message of this client before it has been carried out → [`Response::Done`].
    Sync,
    /// For tests, in the dev profile alone: lose an object of the arena → [`Response::Done`].
    Lose {
        /// Which.
        id: ObjectId,
        /// Where it lies.
        loc: ArenaLoc,
        /// Whether to tell who asks, as its owner is told; else it is found out by reading.
        tell: bool,
    },
    /// Look inside: the node, and every client of it that answers in time → [`Response::Looks`].
    Look {
        /// What clients are to tell; `None`: they are not asked.
        wish: Option<Wish>,
        /// How long to wait for them, in microseconds.
        patience: u64,
    },
}

/// Answers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Response {
    /// It is done.
    Done,
    /// It is not: why.
    Failed(ErrorValue),
    /// A leased chunk: `shoal_store::ChunkGrant`.
    Chunk {
        /// First byte.
        offset: u64,
        /// Bytes.
        len: u64,
        /// Places in its table; 1 for the exact extent of one large object.
        entries: u32,
        /// Generation of its entries.
        generation: u32,
        /// Whether the lessee must reserve its pages (ARENA-4).
        cold: bool,
    },
    /// A range of a file, to be written through a mapping. [file]
    File {
        /// Its name, and its length.
        loc: ArenaLoc,
        /// First byte in the file.
        offset: u64,
    },
    /// The object lies there.
    At(ArenaLoc),
    /// The object is to be mapped from a file. [file]
    Mapped {
        /// First byte in the file.
        offset: u64,
        /// Bytes.
        len: u64,
    },
    /// The object is nowhere: why.
    Lost(String),
    /// The actor is known; or, with `get_if_exists`-like names, the name belongs to this one.
    Registered(Result<(), NameTaken>),
    /// The actor of that name.
    Actor(Option<Box<ActorSpec>>),
    /// (namespace, name).
    NamedActors(Vec<(String, String)>),
    /// Every node.
    Nodes(Vec<NodeInfo>),
    /// There is no space.
    Full(Box<FullStore>),
    /// Bytes of a key.
    Value(Option<Vec<u8>>),
    /// What each node said.
    Looks(Vec<NodeLook>),
}

/// Why there is no space.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FullStore {
    /// Of the arena and of disks, for people.
    pub why: String,
    /// The largest objects.
    pub largest: Vec<LargeObject>,
}

/// One of the largest objects of a full store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LargeObject {
    /// Which.
    pub id: ObjectId,
    /// Its owner's process; 0 when that is gone.
    pub owner: u32,
    /// Bytes.
    pub len: u64,
    /// Whether it lies on disk only.
    pub on_disk: bool,
    /// Processes that have it pinned or mapped.
    pub readers: Vec<u32>,
}

/// The name belongs to another living actor.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NameTaken {
    /// That actor.
    pub by: Box<ActorSpec>,
}

/// A node as `shoal.nodes()` tells it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Its id.
    pub id: NodeId,
    /// Whether it lives.
    pub alive: bool,
    /// Its host's name.
    pub hostname: String,
    /// Its daemon's socket.
    pub address: String,
    /// What it has.
    pub total: Resources,
    /// What is free now.
    pub available: Resources,
}

/// Greeting of a client. The daemon checks the peer's uid before it reads it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// `shoal_proto::PROTOCOL`.
    pub protocol: u32,
    /// "3.11".
    pub python: String,
    /// Its process.
    pub pid: u32,
    /// Name of its wake-up socket.
    pub wake: [u8; 16],
    /// What it is.
    pub role: Role,
}

/// What a client is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Role {
    /// A user's process. Its job begins.
    Driver {
        /// Namespace of its named actors.
        namespace: String,
        /// How its workers must be started: environment, folders, interpreter (JSON, read by `shoal.runtime.zygote`).
        start: String,
        /// What of its workers' output it wants.
        logs: LogsWanted,
    },
    /// A worker that a zygote started for this start number.
    Worker {
        /// The number in the fork request.
        start: u64,
    },
    /// A process inside a task (a subprocess of a worker) that joins the job of that worker as a driver of its own.
    Tool,
}

/// What the daemon says. Descriptors that ride along are named in brackets.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ToClient {
    /// Answer to [`ToNode::Hello`]. [arena, pins]
    Welcome(Box<Welcome>),
    /// Answer to a greeting that is refused: one sentence.
    Refused(String),
    /// A lane is there. [lane, peer's bell]
    LaneOpened {
        /// Its id.
        lane: LaneId,
        /// Whether this client is its caller (else its executor).
        caller: bool,
        /// The other end.
        peer: Address,
        /// The other end's wake-up socket.
        wake: [u8; 16],
        /// This client's slot in its own bell.
        my_slot: u32,
        /// The other end's slot in the other end's bell.
        peer_slot: u32,
    },
    /// A lane to call over that can't be had: the next message names it, and one that it is closed follows.
    LaneRefused {
        /// Its number; there is no such lane.
        lane: LaneId,
        /// Why.
        error: ErrorValue,
    },
    /// The lane's other end is gone; both ends may unmap it.
    LaneClosed(LaneId),
    /// A lease.
    Granted {
        /// For this key.
        key: u32,
        /// Its id.
        lease: LeaseId,
        /// The lane to the worker, opened before.
        lane: LaneId,
        /// The worker.
        worker: Address,
    },
    /// The key can never be served (until the node changes).
    Unschedulable {
        /// The key.
        key: u32,
        /// Why.
        error: ErrorValue,
    },
    /// Tasks of the key have waited for long, and running work will not end that: to be said, with their names, on
    /// standard error.
    Waits {
        /// The key.
        key: u32,
        /// Since when and why, to follow "…have waited".
        text: String,
    },
    /// To be said on standard error.
    Warning(String),
    /// Give the lease back: at once when idle, else at the next task boundary.
    Recall(LeaseId),
    /// Somebody waits who may not interrupt: give the lease back when it is not used; said again, as soon as it is idle.
    RecallIdle(LeaseId),
    /// To a fresh worker: be this actor.
    BecomeActor {
        /// Everything about it; its `args` are empty.
        spec: Box<ActorSpec>,
        /// Which life.
        incarnation: u32,
        /// The constructor's arguments (`lane::ArgsFrame`).
        args: Vec<u8>,
    },
    /// To an actor's worker: finish and end.
    EndActor,
    /// The actor lives; the lane to it was opened before.
    ActorUp {
        /// Which.
        actor: ActorId,
        /// Which life.
        incarnation: u32,
        /// The lane.
        lane: LaneId,
        /// Its process.
        worker: Address,
        /// To the creator only: refs of the constructor's arguments that the actor keeps.
        kept: Vec<RefWire>,
    },
    /// The actor's process is gone and another is being made.
    ActorRestarting {
        /// Which.
        actor: ActorId,
        /// The life that ended.
        incarnation: u32,
        /// Why.
        error: ErrorValue,
        /// In how many microseconds the next life is begun.
        rest: u64,
    },
    /// The actor is gone for good.
    ActorDead {
        /// Which.
        actor: ActorId,
        /// Why.
        error: ErrorValue,
        /// The process of its last life, which is not gone yet: [`ToClient::WorkerDied`] follows.
        dying: Option<Address>,
        /// That was not killed: it has ended in order, and lives on for what it owns ([`ToNode::Lingering`]).
        lingers: bool,
    },
    /// A client of this node is gone. Comes after everything that it relayed.
    WorkerDied {
        /// Who.
        worker: Address,
        /// How.
        error: ErrorValue,
        /// It ended itself on purpose (`sys.exit`): its task is not tried again.
        intended: bool,
    },
    /// A client that is gone had sealed these in the arena for this one, and may not have told. Comes after its lanes
    /// were closed: what it has told is known by now.
    Sealed(Vec<(ObjectId, ArenaLoc)>),
    /// An object of this client's is not in the store any more, though nobody has freed it.
    StoredLost {
        /// Which.
        id: ObjectId,
        /// Where it was sealed: its value there is the one that is lost.
        loc: ArenaLoc,
        /// Why.
        why: String,
    },
    /// From another client of this node.
    Relayed {
        /// Who.
        from: Address,
        /// An encoded `peer::PeerFrame`.
        body: Vec<u8>,
    },
    /// The answer to a request.
    Response {
        /// The request's number.
        req: u64,
        /// The answer.
        body: Response,
    },
    /// Lines of workers' output, whole, in order for each worker.
    Logs(Vec<LogLine>),
    /// To an idle worker: end, unless you hold something that others need.
    Retire,
    /// The node is short of memory for objects: return the chunks that are not written to just now.
    ReturnChunks,
    /// To a worker: its job is over.
    Exit,
    /// Somebody looks inside: answer with [`ToNode::Looked`], from tables alone.
    Look {
        /// Its number.
        look: u64,
        /// What to tell.
        wish: Wish,
    },
}

/// What a client needs to know to begin.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// The daemon's process.
    pub pid: u32,
    /// The node.
    pub node: NodeId,
    /// The client's id.
    pub worker: WorkerId,
    /// Its job.
    pub job: JobId,
    /// The job's namespace.
    pub namespace: String,
    /// Its slot in the arena.
    pub slot: u32,
    /// Where the daemon listens: `unix:PATH`.
    pub address: String,
    /// The session folder.
    pub session: String,
    /// The driver's address, for the workers of a job.
    pub driver: Address,
    /// For a worker: the CPUs, GPUs and others that it holds.
    pub resources: Resources,
    /// For a worker: the ids of its GPUs.
    pub gpus: Vec<u32>,
    /// For a worker: its runtime environment, encoded.
    pub runtime_env: String,
    /// For a worker of a function with `max_calls`: after how many calls it ends.
    pub max_calls: Option<u32>,
    /// Bytes that it may keep of tasks that are over.
    pub lineage_bytes: u64,
}

/// What a driver wants of its workers' output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LogsWanted {
    /// Nothing.
    None,
    /// Lines, when they are finished.
    Lines,
    /// Lines, and what unfinished ones show that redraw themselves.
    Live,
}

/// One whole line of a worker's output.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogLine {
    /// What ran: a function's or a class's name.
    pub name: String,
    /// The worker's process.
    pub pid: u32,
    /// Whether it came on standard error.
    pub stderr: bool,
    /// It is not finished: it redraws itself, and this is what it shows now. Empty: nothing.
    pub redraw: bool,
    /// The line without its end.
    pub line: Vec<u8>,
}
