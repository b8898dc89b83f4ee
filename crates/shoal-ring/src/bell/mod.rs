//! The doorbell: one page a process, mapped by its peers, that says which lanes have something and who sleeps.
//!
//! ```text
//!    0  magic u64 "shoalbel"   8  version u32
//!   64  sleeper u32: 0 awake, 1 asleep on this word (futex), 2 asleep in the I/O thread (send a datagram),
//!                   3 asleep on this word, and patient
//!  128  summary u64: bit w = word w of `ready` is worth a look
//!  192  ready 64 × u64: bit b of word w = lane slot 64 w + b
//!  704  title: sequence u32, then at 712 64 bytes of UTF-8, padded with zeros
//!  832  blocked u32
//!  840  task u64: when what runs began, and whether it may run again
//! ```
//! In the process's own memory, unseen by peers: `asleep`, a copy of what it wrote to `sleeper`, and `local`, the
//! bit of wakes from inside.
//!
//! - BELL-1 at most one thread of the owner sleeps on the bell at a time (the leader, or the I/O thread).
//! - BELL-2 ringing is: set the ready bit, set the summary bit, full fence, read `sleeper`. Falling asleep is:
//!   write `sleeper`, full fence, read `summary`. **No wake-up is lost**, by Dekker's argument: the two fences have
//!   an order. Is the ringer's first, the sleeper reads the bit and stays awake. Is the sleeper's first, the
//!   ringer reads `sleeper ≠ 0` and wakes it. Likewise with `local` and `asleep` for rings from inside.
//! - BELL-3 who finds `sleeper ≠ 0` swaps it for 0; only who got the old value enters the kernel. The swap comes
//!   before the wake, so a thread that hasn't reached the kernel yet finds the word changed and returns at once.
//! - BELL-4 draining swaps `summary` for 0 *before* the words that it names. A bit set after its word was swapped
//!   is followed by its summary bit, so the next drain finds it. What was pushed before ringing is seen after
//!   draining (release, acquire). A drain may name a lane that has nothing.
//! - BELL-5 a ringer that dies between swap and wake leaves a sleeper that peers believe awake. [`Bell::ring_self`]
//!   goes by `asleep`, which no peer can write, and so always wakes; the notice of the peer's death comes that way.
//! - BELL-6 a signal ends [`Bell::sleep_futex`] with [`Wake::Interrupted`], also if its handler was installed with
//!   `SA_RESTART`: the wait always carries a timeout, and the kernel restarts only waits without one.
//! - BELL-7 a patient sleeper is left asleep by who will ring again before it sleeps itself
//!   ([`PeerBell::ring_patiently`]); the bits are set all the same. It sleeps with a time limit, for who breaks its word.

mod state;

#[cfg(not(all(loom, test)))]
mod page;
#[cfg(not(all(loom, test)))]
mod shared;
#[cfg(not(all(loom, test)))]
mod title;
#[cfg(not(all(loom, test)))]
pub use shared::{Bell, PeerBell};
#[cfg(not(all(loom, test)))]
pub use title::TITLE_BYTES;

#[cfg(all(loom, test))]
#[path = "model.rs"]
mod page;

pub use state::{Ring, SLOTS, Sleep, Wake};

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
