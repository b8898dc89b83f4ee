//! Waiting: one leader sleeps on the process's bell and reads its lanes, followers sleep on words of their own
//! (DESIGN §4.7). A leaf, so that loom can have it; what is read, and the bell itself, belong to the [`Host`].
//!
//! In call order:
//! 1. who needs objects makes a [`Waiter`] for their number, and tells whoever makes them ready;
//! 2. it calls [`Leadership::wait`]: it leads if nobody does, else it follows;
//! 3. who makes an object ready calls [`Waiter::count_down`], and wakes the leader where that says so;
//! 4. who waits for what the I/O thread reads sleeps on its own word: [`Waiter::sleep`];
//! 5. who has something for a thread that waits, and no signal to send it, calls all: [`Leadership::call_all`];
//! 6. while no thread waits, the I/O thread may lead: [`Leadership::io_lead`], [`Leadership::io_may_sleep`].
//!
//! ```
//! # use shoal_wait::{Bed, Host, Leadership, Sleep, Waited, Waiter};
//! # use std::{sync::Arc, time::{Duration, Instant}};
//! # struct Nothing;
//! # impl Host for Nothing {
//! #     fn read_lanes(&self) {}
//! #     fn spin(&self, _: &Waiter) {}
//! #     fn in_no_hurry(&self, _: &Waiter) -> bool { false }
//! #     fn prepare_sleep(&self, _: Bed) -> bool { true }
//! #     fn sleep(&self, _: Bed, _: Option<Duration>) -> Sleep { Sleep::Timeout }
//! #     fn ring(&self) {}
//! #     fn take_ring(&self) -> bool { false }
//! #     fn awake(&self) {}
//! #     fn limit(&self, _: &Arc<Waiter>, _: Option<Instant>) -> Option<Duration> { None }
//! #     fn nobody_leads(&self) {}
//! # }
//! # let host = Nothing;
//! let leadership = Leadership::new();
//! let waiter = Arc::new(Waiter::new(1));
//! assert_eq!(leadership.wait(&host, &waiter, Some(Instant::now()), None), Waited::Timeout);
//! assert!(!waiter.count_down()); // its thread doesn't sleep on the bell: nobody is to be rung
//! assert_eq!(leadership.wait(&host, &waiter, None, None), Waited::Done);
//! ```
//!
//! - LEAD-1 the leader changes to `User` by whoever waits, back to `Nobody` by that same thread on every way out.
//! - LEAD-2 who fails to lead puts itself among the followers and looks again; who stops leading calls one follower;
//!   **a follower that goes without leading looks whether anybody leads, and else calls the next.** Without that, a
//!   follower that is called while it is done, late or interrupted takes the call with it.
//! - LEAD-3 the I/O thread prepares its sleep on the bell under `turn`, only while it leads; a user's thread takes over
//!   under `turn` too. So the sleeper word is always that of the leader.
//! - LEAD-4 a ring from inside is for the leader, and nobody else takes it: the I/O thread does so under `turn` alone, while it
//!   leads. It reads lanes beside that, for a thread may take over at any moment.
//! - PATIENCE-1 a leader sleeps in no hurry while it waits for many objects, or its host says that who rings goes on, and each
//!   follower waits for many: one that comes and waits for few rings it.
//! - PATIENCE-2 for half a millisecond at most, below what a lease may make no progress for; one that passed in vain is
//!   followed by a sleep like any other.
//! - WAIT-1 `DONE` is set once, by whoever counts the last object down; it is never cleared while the thread looks.
//! - WAIT-2 who sets a bit of the word and then finds `parked` wakes; who parks sets `parked` and then looks at the
//!   word; a fence on both sides, so one of them sees the other. The same for `DONE` and `leading`.
//! - WAIT-3 who calls all counts the call first, then calls the followers and rings the bell; who is about to sleep looks at
//!   the count after it is a follower, or has read the lanes. **A thread reads the count first, then looks whether there
//!   is anything for it, then waits**: what comes after that look is a call after its `since`.
#![deny(missing_docs)]

mod host;
mod leadership;
mod sync;
mod waiter;

pub use host::{Bed, Host, Sleep};
pub use leadership::{Leader, Leadership, Waited};
pub use waiter::Waiter;

#[cfg(all(loom, test))]
mod loom_tests;
#[cfg(all(not(loom), test))]
mod tests;
