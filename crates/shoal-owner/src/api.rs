//! The door's two sides: [`Event`]s in, [`Order`]s out.
use serde::{Deserialize, Serialize};
use shoal_proto::peer::PeerMsg;
use shoal_types::{
    ActorId, Address, ArenaLoc, CallSpec, ErrorValue, LaneId, LeaseId, ObjectId, RefWire, TaskId, TaskSpec, Value,
    WorkerId,
};

/// Something that has happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Event {
    // ---- what the user's code did
    /// A remote function was called. Each return starts with one local ref.
    TaskSubmitted(Box<TaskSpec>),
    /// An actor's method was called. Each return starts with one local ref.
    CallSubmitted(Box<CallSpec>),
    /// An actor was registered; `handle` starts with one local ref. Its constructor's refs are held until it is dead.
    /// Emits [`Order::StartActor`] once every dependency has a value.
    ActorCreated {
        /// The actor.
        actor: ActorId,
        /// The object that counts its handles.
        handle: ObjectId,
        /// The constructor's top-level refs.
        deps: Vec<RefWire>,
        /// The refs inside its other arguments.
        refs: Vec<RefWire>,
        /// How many calls may be pending here, -1 without limit; and whether calls may overtake each other.
        unordered: bool,
    },
    /// A handle of an actor that this process did not make was used for the first time.
    ActorKnown {
        /// The actor.
        actor: ActorId,
        /// Whether its calls may overtake each other.
        unordered: bool,
    },
    /// A value was put. One local ref.
    ValuePut {
        /// Its id.
        id: ObjectId,
        /// The value.
        value: Value,
    },
    /// A Python ref object came to be for an object that this process knows or, `owner` told, begins to borrow.
    RefTaken(RefWire),
    /// Python ref objects went.
    RefsDropped(Vec<ObjectId>),
    /// Somebody here waits for these, or wants to be told: a borrowed one without value is fetched from its owner.
    Wanted(Vec<ObjectId>),
    /// The user cancels the task that makes this object.
    Cancelled {
        /// One of its returns.
        id: ObjectId,
        /// Kill a running one's process.
        force: bool,
        /// Its children too.
        recursive: bool,
    },
    /// A call that runs here and is cancelled with its children is interrupted now: also what it submitted since its
    /// owner's word came is cancelled.
    Interrupted(TaskId),

    /// [`Owner::next_item`](crate::Owner::next_item) of the generator with this handle was taken: its ref has one local
    /// count.
    StreamRead(RefWire),

    // ---- execution of others' calls in this process
    /// A call from another process was taken; `refs` are lent by its caller until the reply (OWN-1).
    CallTaken {
        /// The call.
        task: TaskId,
        /// Refs inside its arguments.
        refs: Vec<RefWire>,
    },
    /// The owner of these, which this process borrows, has said with a call where they lie: nobody needs to ask.
    Placed(Vec<(ObjectId, ArenaLoc)>),
    /// A generator has yielded; its item goes to `caller` next.
    Yielded {
        /// The call.
        task: TaskId,
        /// Who called.
        caller: Address,
        /// Refs inside the item: credited to the caller before anything here lets go of them.
        refs: Vec<RefWire>,
    },
    /// It is done: `values` go to `caller`, the owner of its returns. Emits [`Order::Reply`] with the refs kept, none after
    /// [`Event::Ended`]: then nothing is to be sent.
    CallDone {
        /// The call.
        task: TaskId,
        /// Who called.
        caller: Address,
        /// Refs inside the returned values: credited to the caller before anything here lets go of them.
        refs: Vec<RefWire>,
    },

    /// This process is an actor that has ended, though it may live on for what it owns: it answers nothing more (DEATH-8).
    Ended,

    // ---- from the daemon
    /// A lease.
    Granted {
        /// For this interned key.
        key: u32,
        /// Its id.
        lease: LeaseId,
        /// The lane to the worker.
        lane: LaneId,
        /// The worker.
        worker: Address,
    },
    /// The daemon wants a lease back: at once when idle, else when what was taken is answered (queued ones are
    /// withdrawn).
    Recalled(LeaseId),
    /// A key can never be served: its waiting tasks fail.
    KeyUnschedulable {
        /// The key.
        key: u32,
        /// With this.
        error: ErrorValue,
    },
    /// The actor is up. Everything that waits is pushed.
    ActorUp {
        /// Which.
        actor: ActorId,
        /// Which life; an older one is ignored.
        incarnation: u32,
        /// The lane to it.
        lane: LaneId,
        /// Its process.
        worker: Address,
        /// To its creator: refs of the constructor's arguments that it keeps; they are credited now.
        kept: Vec<RefWire>,
    },
    /// The actor's process is gone, another is being made. `taken` are the calls in its lane that it had taken.
    ActorRestarting {
        /// Which.
        actor: ActorId,
        /// The life that ended.
        incarnation: u32,
        /// Why.
        error: ErrorValue,
        /// In how many microseconds the next life is begun.
        rest: u64,
        /// Calls that it had begun (their claim word says TAKEN) and not answered.
        taken: Vec<TaskId>,
    },
    /// The actor is gone for good.
    ActorDead {
        /// Which.
        actor: ActorId,
        /// Why.
        error: ErrorValue,
        /// The process of its last life, which is still to end: it may go on with what it was sent until
        /// [`Event::WorkerLost`] (DEATH-7).
        dying: Option<Address>,
        /// That has ended in order and lives on for what it owns: it answers nothing more (DEATH-8).
        lingers: bool,
    },
    /// A process is gone: as a lease's worker, as a borrower, as an owner. Replies in its lanes were handled before.
    WorkerLost {
        /// Who.
        worker: Address,
        /// How, for its task's result and for what it owned.
        error: ErrorValue,
        /// It ended itself on purpose: its task is not tried again.
        intended: bool,
        /// Tasks in its lanes that it had taken and not answered.
        taken: Vec<TaskId>,
    },

    /// A process that is gone had put these into the arena for us, and all that it has told of them was handled before.
    Sealed(Vec<(ObjectId, ArenaLoc)>),

    /// There is nothing any more where a value was sealed: the daemon says so, or somebody here who wanted to read it.
    StoredLost {
        /// The object.
        id: ObjectId,
        /// Where.
        loc: ArenaLoc,
        /// Why, for people.
        why: String,
    },

    // ---- from lanes and peers
    /// A call has not begun: the values of these arguments are not where they should lie.
    ArgumentsLost {
        /// The task.
        task: TaskId,
        /// The attempt that it answers; another is ignored.
        attempt: u16,
        /// Refs of the arguments that the executor keeps.
        kept: Vec<RefWire>,
        /// What is lost, and where it should lie.
        lost: Vec<(RefWire, ArenaLoc)>,
        /// Who answered.
        worker: WorkerId,
    },
    /// A reply.
    Replied {
        /// The task.
        task: TaskId,
        /// The attempt that it answers; another is ignored.
        attempt: u16,
        /// The user's exception may be tried again.
        retryable: bool,
        /// How long the user's code ran, in microseconds.
        micros: u32,
        /// Refs of the arguments that the executor keeps.
        kept: Vec<RefWire>,
        /// A value for each return; a single error stands for all.
        values: Vec<Value>,
        /// Who answered.
        worker: WorkerId,
    },
    /// An item of a generator of ours.
    Item {
        /// The generator's task.
        task: TaskId,
        /// The attempt that yielded it; another is ignored.
        attempt: u16,
        /// Which, from 0 in each attempt.
        index: u32,
        /// It.
        value: Value,
        /// Who yielded it.
        worker: WorkerId,
    },
    /// What came of [`Order::Withdraw`].
    Withdrawn {
        /// The task.
        task: TaskId,
        /// Whether the worker had not taken it: it won't run there.
        done: bool,
    },
    /// A message from another process, first in first out for each sender.
    Peer {
        /// Who.
        from: Address,
        /// Its number in the sequence from that sender; one that was seen is ignored.
        seq: u64,
        /// What.
        msg: PeerMsg,
    },
    /// [`Owner::next_deadline`](crate::Owner::next_deadline) has come.
    Ticked,
    /// Somebody waits for what a lease holds: it goes back when it is not used; said again, as soon as it is idle.
    WantedBack(LeaseId),
}

/// Something to do.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Build the frame of this task or call from `Owner::task` / `Owner::call` and the values of its dependencies, and
    /// push it.
    Push {
        /// Where.
        lane: LaneId,
        /// What.
        task: TaskId,
        /// Number of this attempt, to be answered with.
        attempt: u16,
    },
    /// Take it back from the lane unless the worker has taken it; answer with [`Event::Withdrawn`].
    Withdraw {
        /// Where.
        lane: LaneId,
        /// What.
        task: TaskId,
    },
    /// Tell the daemon how many leases more this key could use.
    Demand {
        /// The key.
        key: u32,
        /// How many.
        want: u32,
        /// Grants seen so far.
        seen: u64,
        /// Depth of the deepest that waits.
        depth: u32,
    },
    /// Give a lease back.
    ReturnLease(LeaseId),
    /// Relay to that process.
    Send {
        /// Whom.
        to: Address,
        /// Place in the sequence to it.
        seq: u64,
        /// What.
        msg: PeerMsg,
    },
    /// The object has a value now: wake who waits.
    Ready(ObjectId),
    /// Nobody needs this stored value.
    Free {
        /// The object.
        id: ObjectId,
        /// Where it lies.
        loc: ArenaLoc,
    },
    /// Ask the daemon for a lane to the actor and news of its life.
    WatchActor(ActorId),
    /// The constructor's dependencies have values (or one is an error): send the arguments to the daemon.
    StartActor {
        /// The actor.
        actor: ActorId,
        /// The error among them.
        error: Option<ErrorValue>,
    },
    /// The last handle is gone.
    ActorOutOfScope(ActorId),
    /// Push the reply of this call, with the refs that stay here.
    Reply {
        /// The call.
        task: TaskId,
        /// Refs of its arguments that this process keeps.
        kept: Vec<RefWire>,
    },
    /// Kill this worker's process (`cancel(force=True)`).
    KillWorker(WorkerId),
    /// The object, which had a value, has none any more: that was lost, and another is on its way.
    Unready(ObjectId),
    /// Ask the daemon for news of this process's death: it holds an object of ours, and never spoke with us (DEATH-6).
    WatchProcess(WorkerId),
}
