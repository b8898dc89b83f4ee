//! A deterministic simulator: many processes' cores (`shoal_owner::Owner`) against a daemon of a page, in one thread.
//!
//! - [`World`] holds the processes, the queues between them, their lanes and the daemon. Everything that real threads and
//!   sockets would decide is a choice from [`Choices`]: which queue moves next, what the user's code does, who dies.
//! - [`World::step`] makes one choice; [`World::settle`] lets everything come to rest; [`World::finish`] drops every
//!   ref and checks that nothing is left.
//! - [`replay`] runs a recorded trace of one process, of the simulator or of a real run, through a fresh core.
//!
//! ```
//! let mut world = shoal_sim::World::new(shoal_sim::Choices::seeded(7), shoal_sim::Options::default());
//! (0..200).for_each(|_| world.step());
//! world.finish();
//! ```
//!
//! What it keeps to, as the real relay and lanes do:
//! - SIM-1 messages of a pair of processes keep their order; pairs overtake each other; a message may come twice.
//! - SIM-2 news of a death comes after all that the dead had relayed; its replies are read first.
//! - SIM-3 a lane's requests are taken in order; a request is withdrawn only while nobody has taken it.
//! - SIM-4 a worker has one lease or one actor at a time.
//! - SIM-5 who is killed goes on for a while: an actor is told to be dead at once, its process dies later.
//!
//! What it checks, with the seed printed when it fails:
//! - nothing is freed early: an object that any live process has an entry for is known to its live owner;
//! - no place in the arena is freed twice, or by another than the owner;
//! - each item of a generator is read once, by the owner's process in order; one that waits has unread items;
//! - a generator that yields the same each time has all its items at the end, whatever was lost and made again;
//! - a task runs at most once more than it has retries;
//! - an ordered actor runs the calls of one process in the order of submission, in each life;
//! - at rest every result is there, for its owner and for who fetches it; after the last drop nothing is left.
//!
//! `SHOAL_SIM_LOG=1` prints every event with its orders, `SHOAL_SIM_SEED` runs one seed of a test alone, `SHOAL_SIM_RUNS`
//! many, from `SHOAL_SIM_FROM` on.
//!
//! Objects for which a count was lost with a dead process are exempt from the first and the last: those that it had lent
//! to calls still running for it, those that a reply it never read says are kept, and those that a call running in it
//! was lent and had credited to others by messages still under way, unless one daemon relays all; of one that dies amid
//! its orders also those that it was about to credit, and those that it had credited for a value that did not leave
//! (AUDIT-1 in `audit`).
//!
//! [`Habit`] says what the users' programs do most: chains of lenders and actors that die often are rare by chance.
//! [`Schedule`] says who moves next: what is held up for long, or waits until nothing else can move, is rare by chance.
#![deny(missing_docs)]

mod audit;
mod carry;
mod choices;
mod daemon;
mod execute;
mod process;
mod replay;
mod schedule;
mod stream;
mod user;
mod world;

pub use choices::Choices;
pub use replay::{ReplayError, Trace, replay};
pub use schedule::Schedule;
pub use world::{Habit, Options, World};
