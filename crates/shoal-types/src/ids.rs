//! Newtype ids. Random ids are 16 bytes; a task's id is its submitter's random prefix and a counter, so that making
//! one needs no system call. In formats for people (JSON) an id is its hexadecimal digits.
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

macro_rules! id16 {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Deserialize)]
        pub struct $name(pub [u8; 16]);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                if to.is_human_readable() {
                    to.collect_str(self)
                } else {
                    to.serialize_newtype_struct(stringify!($name), &self.0)
                }
            }
        }

        impl $name {
            /// The id of nothing: all bits set.
            pub const NIL: Self = Self([0xff; 16]);

            /// Whether this is [`Self::NIL`].
            pub fn is_nil(&self) -> bool {
                *self == Self::NIL
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:02x}{:02x}{:02x}{:02x}…{:02x})", stringify!($name), self.0[0], self.0[1], self.0[2], self.0[3], self.0[15])
            }
        }
    )+};
}

id16! {
    /// One node daemon's life.
    NodeId,
    /// One process that maps the arena: a driver or a worker.
    WorkerId,
    /// One actor, through all its incarnations.
    ActorId,
    /// One task or one `put`: eight random bytes of the submitting process, then a big-endian counter.
    TaskId,
    /// Content hash of a pickled function or class.
    FunctionId,
}

impl TaskId {
    /// The `counter`-th task of the process whose random prefix is `prefix`.
    pub fn new(prefix: [u8; 8], counter: u64) -> Self {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&prefix);
        id[8..].copy_from_slice(&counter.to_be_bytes());
        Self(id)
    }
}

/// One driver's job on this instance.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
pub struct JobId(pub u32);

/// One grant of a worker to an owner. Unique within a daemon's life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
pub struct LeaseId(pub u64);

/// One caller→executor connection. Unique within a daemon's life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
pub struct LaneId(pub u64);

/// The `index`-th return value of a task; a `put` is index 0 of an id of its own; an actor's handle is
/// [`ObjectId::ACTOR_INDEX`] of its creation task.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Deserialize)]
pub struct ObjectId {
    /// The task or `put` that made it.
    pub task: TaskId,
    /// Which of its returns.
    pub index: u32,
}

impl ObjectId {
    /// The index of the object that stands for the handles of an actor; it never has a value.
    pub const ACTOR_INDEX: u32 = u32::MAX;
    /// The index of the object that stands for a generator: it counts those who may read its items, and has a value
    /// when its task is over.
    pub const STREAM_INDEX: u32 = u32::MAX - 1;
    /// The index that stands for the next item of a generator: what who waits for one waits for. Its owner has no entry
    /// for it; another process's has a value, with the item's ref inside, while an item is there that was not read.
    pub const NEXT_INDEX: u32 = u32::MAX - 2;
    /// The index of a frame of a lane that no ring holds: it lies in the arena until its reader has taken it.
    pub const FRAME_INDEX: u32 = u32::MAX - 3;

    /// Return `index` of `task`.
    pub fn new(task: TaskId, index: u32) -> Self {
        Self { task, index }
    }

    /// Sixteen bytes of task, four of index, big-endian.
    pub fn to_bytes(self) -> [u8; 20] {
        let mut out = [0; 20];
        out[..16].copy_from_slice(&self.task.0);
        out[16..].copy_from_slice(&self.index.to_be_bytes());
        out
    }

    /// The inverse of [`ObjectId::to_bytes`].
    pub fn from_bytes(bytes: &[u8; 20]) -> Self {
        let (mut task, mut index) = ([0; 16], [0; 4]);
        task.copy_from_slice(&bytes[..16]);
        index.copy_from_slice(&bytes[16..]);
        Self { task: TaskId(task), index: u32::from_be_bytes(index) }
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.collect_str(self) } else { (self.task, self.index).serialize(to) }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:08x}", self.task, self.index)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.{}", self.task, self.index)
    }
}

/// Where a process is to be found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
pub struct Address {
    /// Its node.
    pub node: NodeId,
    /// The process.
    pub worker: WorkerId,
}

/// An `ObjectRef` as it travels (OWN-6): the object, and its owner's address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct RefWire {
    /// The object.
    pub id: ObjectId,
    /// The process that owns it.
    pub owner: Address,
}

impl RefWire {
    /// Length of [`RefWire::to_bytes`].
    pub const LEN: usize = 52;

    /// Object (20 bytes), owner's node (16), owner (16).
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..20].copy_from_slice(&self.id.to_bytes());
        out[20..36].copy_from_slice(&self.owner.node.0);
        out[36..].copy_from_slice(&self.owner.worker.0);
        out
    }

    /// The inverse of [`RefWire::to_bytes`]; `None` when the length is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let id = ObjectId::from_bytes(bytes.get(..20)?.try_into().ok()?);
        let node = NodeId(bytes.get(20..36)?.try_into().ok()?);
        let worker = WorkerId(bytes.get(36..Self::LEN)?.try_into().ok()?);
        (bytes.len() == Self::LEN).then_some(Self { id, owner: Address { node, worker } })
    }
}
