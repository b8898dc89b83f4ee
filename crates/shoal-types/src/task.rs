//! What is to run: tasks, actors, calls of actors.
use crate::{ActorId, FunctionId, ObjectId, RefWire, Resources, TaskId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// `num_returns` of a generator whose items are given to the caller as they come.
pub const STREAMING: u32 = u32::MAX;
/// `num_returns` of a generator whose items are given to the caller all at once, when it is done.
pub const DYNAMIC: u32 = u32::MAX - 1;

/// Whether a call with so many returns is a generator: one object that stands for it, and as many as it yields.
pub fn is_stream(num_returns: u32) -> bool {
    num_returns >= DYNAMIC
}

/// The scheduling key: tasks with equal keys may share a lease.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct LeaseKey {
    /// What a worker needs to hold while it runs.
    pub resources: Resources,
    /// Encoded runtime environment (JSON with sorted keys), empty for the job's own.
    pub runtime_env: String,
    /// With `max_calls`: the function that has the worker to itself, and after how many calls the worker ends.
    pub max_calls: Option<(FunctionId, u32)>,
}

/// The arguments of one call: slots in order, positional then keyword. The encoding is `shoal-proto::lane::Args`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Args {
    /// Encoded slots; a slot that is a top-level ref names its place in `deps`.
    pub bytes: Vec<u8>,
    /// Top-level refs: awaited and replaced by their values.
    pub deps: Vec<RefWire>,
    /// Refs inside the other slots: passed on as refs.
    pub refs: Vec<RefWire>,
}

/// One call of a remote function, as its owner keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Its id; its returns are `ObjectId::new(id, 0..num_returns)`, of a generator see [`is_stream`].
    pub id: TaskId,
    /// What to call.
    pub function: FunctionId,
    /// The function's name, for people.
    pub name: Arc<str>,
    /// Scheduling key, interned by the owner's process.
    pub key: u32,
    /// How many values it returns; [`STREAMING`] and [`DYNAMIC`] for generators.
    pub num_returns: u32,
    /// Of a generator: after how many items that nobody has read it waits; 0 when only their bytes count, `u32::MAX`
    /// without any limit.
    pub window: u32,
    /// How many more times it may run after a worker's death; -1 is without limit.
    pub max_retries: i32,
    /// Whether an exception of the user's may be retried too (the worker tells which).
    pub retry_exceptions: bool,
    /// Nesting depth: a driver's tasks have 0, theirs 1.
    pub depth: u32,
    /// The task or call that submitted it, whose recursive cancel takes it along; `None` in a driver.
    pub parent: Option<TaskId>,
    /// What it is called with.
    pub args: Args,
}

/// One call of an actor's method, as its caller keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CallSpec {
    /// Its id.
    pub id: TaskId,
    /// The actor.
    pub actor: ActorId,
    /// The object that counts the actor's handles: held while the call is pending. `None` for a weak handle.
    pub handle: Option<RefWire>,
    /// The method's name.
    pub method: Arc<str>,
    /// Concurrency group, empty for the method's own.
    pub group: Arc<str>,
    /// How many values it returns; [`STREAMING`] and [`DYNAMIC`] for generators.
    pub num_returns: u32,
    /// Of a generator: after how many items that nobody has read it waits; 0 when only their bytes count, `u32::MAX`
    /// without any limit.
    pub window: u32,
    /// How many more times it may run after the actor's death; -1 is without limit.
    pub max_retries: i32,
    /// Whether an exception of the user's may be retried too.
    pub retry_exceptions: bool,
    /// The task or call that submitted it, whose recursive cancel takes it along; `None` in a driver.
    pub parent: Option<TaskId>,
    /// What it is called with.
    pub args: Args,
}

/// What the GCS keeps of an actor: enough to make it again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ActorSpec {
    /// Its id.
    pub id: ActorId,
    /// The object that counts its handles, owned by its creator.
    pub handle: RefWire,
    /// The class.
    pub class: FunctionId,
    /// The class's name, for people.
    pub class_name: String,
    /// The pickled class.
    pub class_bytes: Arc<[u8]>,
    /// Given name, empty for none.
    pub name: String,
    /// Where the name holds.
    pub namespace: String,
    /// Whether it outlives its job.
    pub detached: bool,
    /// Whether a named one lives without handles until its job ends (else it ends with its handles, as in Ray).
    pub named_lives_on: bool,
    /// Held while it lives.
    pub resources: Resources,
    /// Needed on the node that it is placed on (1 CPU unless an explicit number was given).
    pub placement: Resources,
    /// Encoded runtime environment, empty for the job's own.
    pub runtime_env: String,
    /// How often it is made again; -1 is without limit.
    pub max_restarts: i32,
    /// Retries of its calls unless the call says otherwise.
    pub max_task_retries: i32,
    /// Whether calls may overtake each other: threaded, async, or asked for.
    pub unordered: bool,
    /// The constructor's arguments. `deps` are resolved by the creator before it registers the actor's start.
    pub args: Args,
    /// What Python needs to make the actor and its handles (JSON: methods with their options, groups,
    /// `max_concurrency`, whether it is async).
    pub meta: String,
    /// How many calls one caller may have pending; -1 is without limit.
    pub max_pending_calls: i32,
    /// Nesting depth of its creator plus one.
    pub depth: u32,
}

impl TaskSpec {
    /// A driver's, with one return, no argument and no retries.
    pub fn new(id: TaskId, function: FunctionId, name: Arc<str>) -> Self {
        Self {
            id,
            function,
            name,
            key: 0,
            num_returns: 1,
            window: 0,
            max_retries: 0,
            retry_exceptions: false,
            depth: 0,
            parent: None,
            args: Args::default(),
        }
    }

    /// Its return objects.
    pub fn returns(&self) -> impl Iterator<Item = ObjectId> + use<> {
        returns(self.id, self.num_returns)
    }
}

impl CallSpec {
    /// Its return objects.
    pub fn returns(&self) -> impl Iterator<Item = ObjectId> + use<> {
        returns(self.id, self.num_returns)
    }
}

fn returns(id: TaskId, n: u32) -> impl Iterator<Item = ObjectId> {
    let (first, n) = if is_stream(n) { (ObjectId::STREAM_INDEX, 1) } else { (0, n) };
    (first..first + n).map(move |i| ObjectId::new(id, i))
}
