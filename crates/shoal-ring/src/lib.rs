//! Shared memory between two processes of one node: byte rings, lanes made of two rings, and the doorbell.
//!
//! In call order:
//! 1. each process makes its [`Bell`] once and hands the descriptor to its peers, who map it as [`PeerBell`];
//! 2. [`Lane::create`] makes a lane's memory; one process maps it as [`CallerLane`], the other as [`WorkerLane`];
//! 3. the caller [pushes](Producer::push) requests and rings; the worker drains its bell and
//!    [takes](Consumer::take) them; replies go the other way;
//! 4. the caller may [withdraw](Producer::withdraw) what the worker hasn't taken.
//!
//! ```
//! # fn main() -> Result<(), shoal_ring::RingError> {
//! use shoal_ring::{Bell, CallerLane, Lane, PeerBell, Ring, Withdrawal, WorkerLane};
//!
//! let (bell, bell_fd) = Bell::create()?; // the worker's
//! let worker_bell = PeerBell::map(&bell_fd)?; // the caller's view of it
//! let fd = Lane::create(1, 0, 7)?;
//! let mut caller = CallerLane::map(&fd)?;
//! let mut worker = WorkerLane::map(&fd)?;
//!
//! let first = caller.requests.push(&[b"head", b"body"]).expect("an empty ring");
//! let second = caller.requests.push(&[b"never mind"]).expect("a nearly empty ring");
//! assert_eq!(caller.requests.withdraw(second), Withdrawal::Withdrawn);
//! assert_eq!(worker_bell.ring(caller.worker_slot()), Ring::Awake); // else it was woken, or needs a datagram
//!
//! let mut request = Vec::new();
//! bell.drain(|slot| assert_eq!(slot, worker.worker_slot()));
//! assert!(worker.requests.take(&mut request)?.is_some());
//! assert_eq!(request, b"headbody");
//! assert!(worker.requests.take(&mut request)?.is_none());
//! assert!(caller.requests.is_taken(first));
//! # Ok(())
//! # }
//! ```
//!
//! Not here: what the frames mean, who leads a wait, how long to spin, who tells a peer's death.
//!
//! - SHM-1 whatever is read from shared memory is copied to a local, checked, then used. No Rust reference to
//!   plain data points into it: only atomics and raw copies.
//! - SHM-2 no offset is taken from shared memory unchecked: positions are masked by a capacity that was checked
//!   against the file's size, and the file is sealed against shrinking, so that a bad peer can't cause SIGBUS.
//! - SHM-3 mappings are not inherited by `fork`; dropping one in a forked child unmaps nothing. A child must not
//!   use its parent's rings and bells at all (the layer above makes them inert).
#![deny(missing_docs)]

mod error;
#[cfg_attr(all(loom, test), allow(dead_code))]
mod starved;
mod sync;

pub mod bell;
pub mod ring;

#[cfg(not(all(loom, test)))]
mod lane;
#[cfg(not(all(loom, test)))]
mod map;

pub use error::RingError;
pub use ring::{Consumer, Position, Producer, Taken, Withdrawal};

#[cfg(not(all(loom, test)))]
pub use bell::{Bell, PeerBell};
pub use bell::{Ring, SLOTS, Sleep, Wake};
#[cfg(not(all(loom, test)))]
pub use lane::{CallerLane, DEFAULT_RING, Lane, LaneStatus, WorkerLane};
#[cfg(not(all(loom, test)))]
pub use map::Mapping;
#[cfg(not(all(loom, test)))]
pub use ring::{Mem, RING_HEADER};
