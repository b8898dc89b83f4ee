//! Data that every other crate speaks of: ids, addresses, resources, values, task specifications, errors.
//!
//! Owns no behaviour beyond construction, comparison and display. In call order: [`ids`] name things, [`resources`]
//! count what a task needs, [`value`] is what a task takes and gives, [`task`] says what to run, [`error`] is what
//! comes back when it didn't, [`backoff`] when to try again; [`recent`] is a map with a bound.
#![deny(missing_docs)]

mod backoff;
pub mod error;
pub mod ids;
pub mod recent;
pub mod resources;
pub mod task;
pub mod value;

pub use backoff::backoff;
pub use error::{ErrorKind, ErrorValue};
pub use ids::{ActorId, Address, FunctionId, JobId, LaneId, LeaseId, NodeId, ObjectId, RefWire, TaskId, WorkerId};
pub use recent::Recent;
pub use resources::{Resources, UNIT};
pub use task::{ActorSpec, Args, CallSpec, DYNAMIC, LeaseKey, STREAMING, TaskSpec, is_stream};
pub use value::{ArenaLoc, Value};
