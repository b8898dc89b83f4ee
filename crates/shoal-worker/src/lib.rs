//! What driver and worker share: one [`Runtime`] a process.
//!
//! In call order: [`Runtime::connect`] greets the daemon and starts the I/O thread; [`submit`](Runtime::submit) and
//! its kin turn what the user's code did into events of the owner core (`shoal-owner`) and carry its orders out;
//! [`wait`](Runtime::wait) sleeps until objects have values; a worker takes calls with
//! [`next_work`](Runtime::next_work) and answers with [`finish`](Runtime::finish); [`Runtime::close`] ends it.
//!
//! Decisions are the core's. Here are memory, sockets, threads and sleeping:
//! - RUN-1 every event of the core is handled under one lock, and its orders are carried out before the lock is free.
//! - RUN-2 nothing waits for another process, for ring space or for the GIL under that lock.
//! - RUN-3 one thread at a time sleeps on the bell: the leader (`wait`).
//! - RUN-4 a reply is handled before the news of its sender's death (DESIGN §4.10): lanes are drained first.
//! - RUN-5 the I/O thread never takes the GIL and never waits for an answer of the daemon.
#![deny(missing_docs)]

mod asking;
mod calls;
mod cancels;
mod control;
mod dead;
mod ending;
mod exec;
mod full;
mod hints;
mod hold;
mod io;
mod lanes;
mod look;
mod objects;
mod orders;
mod output;
mod pulse;
mod runtime;
mod sight;
mod sites;
mod spin;
mod stacks;
mod state;
mod stream;
mod trace;
mod unmapped;
mod wait;
mod warn;

pub use asking::Unanswered;
pub use cancels::OnCancel;
pub use exec::{Answer, CallFrame, Work};
pub use hints::give_hints;
pub use hold::Hold;
pub use look::Running;
pub use objects::{Full, INLINE_LIMIT, ValueBytes};
pub use runtime::{Fatal, Greeting, Notices, Runtime};
pub use shoal_owner::Next;
pub use shoal_store::copy_into;
pub use shoal_wait::{Waited, Waiter};
pub use sight::{Round, Sight};
pub use state::Session;
pub use stream::{NewItem, Room};
