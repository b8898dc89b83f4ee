//! The sans-IO core that hands out one node's resources: who may run on which worker process, which processes to
//! start, and which to let go.
//!
//! One door: [`Sched::handle`] takes a past fact and appends orders; whoever runs the core carries them out in their
//! order and feeds what comes of them back. No clock, socket or random source: `now` is an argument, in microseconds of
//! any monotonic clock. Equal events give equal orders.
//!
//! ```
//! use shoal_sched::{Config, Event, Order, Sched};
//! use shoal_types::{JobId, Resources, UNIT, WorkerId};
//!
//! let mut sched = Sched::new(Config::new(Resources::from_pairs([("CPU", 2 * UNIT)])));
//! let mut orders = Vec::new();
//! sched.handle(0, Event::ClientJoined { client: WorkerId([1; 16]), job: JobId(1), driver: true }, &mut orders);
//! assert_eq!(orders.iter().filter(|o| matches!(o, Order::StartWorker { .. })).count(), 2);
//! assert_eq!(sched.next_deadline(), None);
//! ```
//!
//! - SCHED-1 what is free is the total less what every leased worker and every actor holds, plus the CPUs that blocked
//!   ones lend. It is negative only after [`Event::Unblocked`].
//! - SCHED-2 a grant needs free resources *and* an idle worker of the asker's shape. A start holds nothing: each pass
//!   matches waiting askers to starting workers anew, so that a start that fails leaves nothing behind.
//! - SCHED-3 order: the job with the fewest leases, among equals the one served longest ago; inside a job the deepest,
//!   then who has fewest leases, then who was served longest ago or came first.
//! - SCHED-4 who waits is served at last: leases that stand in its way are asked for at once, for when they are not used,
//!   and recalled when they were held for 100 ms and their holder has more than its share; what becomes free for a large
//!   request is kept for it every other 2 s, unless actors hold what it would need.
//! - SCHED-5 a worker serves one job and one shape for life; an actor gets one that has never been leased.
//! - SCHED-6 nothing waits, no worker idles, no start fails: [`Sched::next_deadline`] is `None`.
//! - SCHED-7 who has waited for [`Config::warn_after`] for what running work will not release is told so, a key or actor
//!   once; who waits for running work is looked at again after as long.
//!
//! Which process goes when memory runs out is decided beside it, in [`memory`].
#![deny(missing_docs)]

mod api;
mod check;
mod core;
mod entry;
mod life;
pub mod memory;
mod place;
mod pool;
mod pump;
mod recall;
mod time;
mod why;

pub use api::{Config, Event, Order, Shape};
pub use core::Sched;
pub use why::{Holder, Missing, Refusal, Wait, Waiter, WorkerInfo, amount};
