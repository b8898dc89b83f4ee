//! What clients say to each other about objects (OWN-1…6). The daemon relays it, first in first out for each pair; the
//! receiver drops a number that it has seen, so a repeat does no harm.
use serde::{Deserialize, Serialize};
use shoal_types::{ArenaLoc, ObjectId, TaskId, Value, WorkerId};

/// One message and its place in the sequence from its sender to this receiver, from 1.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PeerFrame {
    /// Place in the sequence.
    pub seq: u64,
    /// What is said.
    pub msg: PeerMsg,
}

/// What is said.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum PeerMsg {
    /// To the owner: `holder` counts `n` more for each object. Whoever passes a ref on credits the receiver before it
    /// lets go of its own (OWN-1, OWN-2).
    Credit(Vec<Credit>),
    /// To the owner, by a holder: it counts so much less (OWN-3).
    Release(Vec<(ObjectId, u32)>),
    /// To the owner: tell me the value when there is one.
    Fetch(ObjectId),
    /// To who fetched.
    Fetched {
        /// The object.
        id: ObjectId,
        /// Its value, or the error that stands for it.
        value: Value,
    },
    /// To the owner of the task's returns: cancel it.
    CancelObject {
        /// One of the task's returns.
        id: ObjectId,
        /// Kill the worker if it runs.
        force: bool,
        /// Its children too.
        recursive: bool,
    },
    /// To the worker that runs a generator: so many of the items of this attempt were read, so it may make more.
    StreamRead {
        /// The generator's task.
        task: TaskId,
        /// Which attempt.
        attempt: u16,
        /// How many items.
        read: u32,
    },
    /// To the worker that runs a generator, or is to: no more items of this attempt are wanted, it may stop.
    StreamStop {
        /// The generator's task.
        task: TaskId,
        /// Which attempt.
        attempt: u16,
    },
    /// To who was told to stop: that attempt is over, nothing more will be said of it.
    StreamOver(TaskId),
    /// To the owner: there is nothing any more where this value was sealed.
    Lost {
        /// The object.
        id: ObjectId,
        /// Where.
        loc: ArenaLoc,
    },
    /// To the worker that runs it: interrupt it.
    CancelTask {
        /// The task.
        task: TaskId,
        /// Its children too.
        recursive: bool,
    },
}

/// `n` more for `holder`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Credit {
    /// The object.
    pub id: ObjectId,
    /// Who holds it.
    pub holder: WorkerId,
    /// How many more it counts.
    pub n: u32,
}
