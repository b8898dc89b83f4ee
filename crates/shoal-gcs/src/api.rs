//! The door's two sides: [`Event`]s in, [`Order`]s out.
use serde::{Deserialize, Serialize};
use shoal_types::{ActorId, ActorSpec, ErrorValue, JobId, NodeId, RefWire, Resources, WorkerId};

/// A question of a client that waits for its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// Who.
    pub client: WorkerId,
    /// Its number.
    pub req: u64,
}

/// How a process ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Exit {
    /// For people: signal or exit code, process, the log's last lines.
    pub text: String,
    /// It ended in order: it was asked to, or asked for it.
    pub clean: bool,
    /// How long it lived, in microseconds.
    pub lived: u64,
}

/// Something that has happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// A node belongs to the cluster from now on.
    NodeJoined {
        /// Its id.
        node: NodeId,
        /// Its host's name.
        hostname: String,
        /// Where its daemon listens.
        address: String,
        /// What it has.
        total: Resources,
    },
    /// A job's driver is there.
    JobStarted {
        /// The job.
        job: JobId,
        /// Its driver.
        driver: WorkerId,
    },
    /// A job's driver is gone.
    JobEnded {
        /// The job.
        job: JobId,
        /// How.
        exit: Exit,
    },
    /// A client makes an actor.
    Register {
        /// Who asks.
        ask: Ask,
        /// Its job.
        job: JobId,
        /// The actor.
        spec: Box<ActorSpec>,
    },
    /// Its constructor's arguments are there, or an error among them.
    ArgsReady {
        /// The actor.
        actor: ActorId,
        /// The arguments.
        args: Vec<u8>,
        /// Why there are none.
        error: Option<ErrorValue>,
    },
    /// The scheduler gave it a worker.
    Assigned {
        /// The actor.
        actor: ActorId,
        /// The worker.
        worker: WorkerId,
    },
    /// The scheduler can't.
    Unplaceable {
        /// The actor.
        actor: ActorId,
        /// Why.
        error: ErrorValue,
    },
    /// The constructor is done.
    Started {
        /// Who says so.
        worker: WorkerId,
        /// The actor.
        actor: ActorId,
        /// Which life.
        incarnation: u32,
        /// What the constructor raised.
        error: Option<ErrorValue>,
        /// Refs of its arguments that the actor keeps.
        kept: Vec<RefWire>,
    },
    /// A client wants to hear of the actor.
    Watch {
        /// The actor.
        actor: ActorId,
        /// Who.
        client: WorkerId,
    },
    /// The actor ends on its own wish.
    ExitWished {
        /// Who says so.
        worker: WorkerId,
        /// The actor.
        actor: ActorId,
        /// Why, for people.
        reason: String,
    },
    /// Nobody holds a handle any more.
    OutOfScope(ActorId),
    /// A client kills it.
    Kill {
        /// Who asks.
        ask: Ask,
        /// The actor.
        actor: ActorId,
        /// For good, or only this life.
        no_restart: bool,
    },
    /// A client asks for the actor of that name.
    NameAsked {
        /// Who asks.
        ask: Ask,
        /// The name.
        name: String,
        /// Where.
        namespace: String,
    },
    /// A client asks for all names.
    NamesAsked(Ask),
    /// A client's process is gone: an actor's worker, a creator, a watcher.
    ClientLost {
        /// Who.
        client: WorkerId,
        /// How.
        exit: Exit,
    },
    /// A client has ended in order, and lives on for what it owns.
    ClientLingers {
        /// Who.
        client: WorkerId,
        /// How.
        exit: Exit,
    },
    /// The time of [`Order::Rest`] is over.
    Rested {
        /// Which.
        actor: ActorId,
        /// The life to come, as the order said.
        incarnation: u32,
    },
    /// A client stores a value.
    KvPut {
        /// Who asks.
        ask: Ask,
        /// The key.
        key: Vec<u8>,
        /// The value.
        value: Vec<u8>,
    },
    /// A client asks for a value.
    KvGet {
        /// Who asks.
        ask: Ask,
        /// The key.
        key: Vec<u8>,
    },
    /// A write is stored.
    Stored(u64),
}

/// What must survive the directory's own death, where the cluster is durable.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Record {
    /// A key's value.
    Kv(Vec<u8>, Vec<u8>),
    /// An actor, whole.
    Actor(Box<ActorSpec>),
    /// An actor's life.
    Life(ActorId, u32),
    /// An actor's end.
    Death(ActorId, ErrorValue),
}

/// Something to do.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Store this; then [`Event::Stored`] with the number.
    Store {
        /// Number of the write.
        write: u64,
        /// What.
        record: Record,
    },
    /// Answer a question.
    Answer {
        /// Which.
        ask: Ask,
        /// With this.
        body: shoal_proto::control::Response,
    },
    /// Its last lives were short: feed [`Event::Rested`] after so many microseconds.
    Rest {
        /// Which.
        actor: ActorId,
        /// The life to come.
        incarnation: u32,
        /// How long.
        micros: u64,
    },
    /// Ask the scheduler for a worker.
    WantWorker {
        /// For this actor.
        actor: ActorId,
        /// Its job.
        job: JobId,
    },
    /// The actor needs none any more.
    DropWant(ActorId),
    /// Make the worker this actor.
    Become {
        /// The worker.
        worker: WorkerId,
        /// Everything about it.
        spec: Box<ActorSpec>,
        /// Which life.
        incarnation: u32,
        /// The constructor's arguments.
        args: Vec<u8>,
    },
    /// Open a lane from client to worker and tell it that the actor is up.
    TellUp {
        /// Whom.
        client: WorkerId,
        /// The actor.
        actor: ActorId,
        /// Which life.
        incarnation: u32,
        /// Its worker.
        worker: WorkerId,
        /// To the creator: refs that the actor keeps.
        kept: Vec<RefWire>,
    },
    /// Tell that a life is over and another begins.
    TellRestarting {
        /// Whom.
        client: WorkerId,
        /// The actor.
        actor: ActorId,
        /// The life that ended.
        incarnation: u32,
        /// Why.
        error: ErrorValue,
    },
    /// Tell that the actor is gone for good.
    TellDead {
        /// Whom.
        client: WorkerId,
        /// The actor.
        actor: ActorId,
        /// Why.
        error: ErrorValue,
        /// The worker of its last life, which is not gone yet.
        dying: Option<WorkerId>,
        /// That was not killed: it lives on for what it owns.
        lingers: bool,
    },
    /// Ask the actor's worker to finish and end.
    End(WorkerId),
    /// Kill the actor's worker.
    Kill {
        /// The worker.
        worker: WorkerId,
        /// Why, for people.
        why: String,
    },
}

/// An actor as `shoal status` tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ActorInfo {
    /// Its id.
    pub id: ActorId,
    /// Its class.
    pub class_name: String,
    /// Its name, empty for none.
    pub name: String,
    /// Where the name holds.
    pub namespace: String,
    /// PENDING, ALIVE, RESTARTING or DEAD.
    pub state: &'static str,
    /// While it is PENDING or RESTARTING: args, placing or constructing; else empty.
    pub stage: &'static str,
    /// Its job.
    pub job: JobId,
    /// The process that made it.
    pub creator: WorkerId,
    /// Whether it outlives its job.
    pub detached: bool,
    /// What it holds while it lives.
    pub holds: Resources,
    /// What must be free to place it.
    pub needs: Resources,
    /// Encoded runtime environment.
    pub runtime_env: String,
    /// Its process.
    pub worker: Option<WorkerId>,
    /// Which life.
    pub incarnation: u32,
    /// Why it is dead, or why its last life ended; empty when there is nothing to say.
    pub cause: String,
}
