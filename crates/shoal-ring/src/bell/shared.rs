//! The owner's and the peer's view of a bell.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use super::page::Page;
use super::state::{self, Own, Ring, Sleep, Wake};
use super::title;
use crate::error::RingError;
use crate::sync::Ordering::Relaxed;

/// This process's bell. Any thread may ring it; one at a time sleeps on it (BELL-1).
#[derive(Debug)]
pub struct Bell {
    page: Page,
    own: Own,
}

impl Bell {
    /// Makes a bell, and the descriptor by which peers map it.
    pub fn create() -> Result<(Self, OwnedFd), RingError> {
        let (page, fd) = Page::create()?;
        Ok((Bell { page, own: Own::new() }, fd))
    }

    /// Maps the bell of another process: the same as [`PeerBell::map`].
    pub fn map_peer(fd: impl AsFd) -> Result<PeerBell, RingError> {
        PeerBell::map(fd)
    }

    /// Wakes the sleeper from another thread of this process. On [`Ring::NeedsDatagram`] the I/O thread sleeps in
    /// its poll: signal its event.
    pub fn ring_self(&self) -> Ring {
        self.own.ring(&self.page)
    }

    /// Whether a drain would find anything: one look for who spins.
    pub fn pending(&self) -> bool {
        self.own.pending(&self.page)
    }

    /// Names every ready lane slot once. True if it was rung from inside.
    pub fn drain(&self, each: impl FnMut(u32)) -> bool {
        self.own.drain(&self.page, each)
    }

    /// Takes a ring from inside; whether there was one.
    pub fn take_ring(&self) -> bool {
        self.own.take_ring()
    }

    /// As [`drain`](Self::drain), for a thread that never sleeps on the bell: a ring from inside stays for who does.
    pub fn drain_lanes(&self, each: impl FnMut(u32)) {
        self.own.drain_lanes(&self.page, each);
    }

    /// Says that this thread is about to sleep. False if something is ready: drain, don't sleep.
    pub fn prepare_sleep(&self, kind: Sleep) -> bool {
        self.own.prepare_sleep(&self.page, kind)
    }

    /// Sleeps after a [`prepare_sleep`](Self::prepare_sleep) of the same kind, which is not [`Sleep::Io`]; `None` means
    /// until rung. Call [`awake`](Self::awake) afterwards.
    pub fn sleep_futex(&self, kind: Sleep, timeout: Option<Duration>) -> Wake {
        self.page.futex_wait(kind, timeout)
    }

    /// Says that no thread sleeps on the bell any more.
    pub fn awake(&self) {
        self.own.awake(&self.page);
    }

    /// Says what runs now, for the daemon's log prefixes; cut to [`TITLE_BYTES`](super::TITLE_BYTES).
    pub fn set_title(&self, text: &str) {
        title::write(&self.page, text);
    }

    /// What peers see of it: it may have been cut.
    pub fn title(&self) -> Option<String> {
        title::read(&self.page)
    }

    /// Says when what runs now began, in microseconds of the monotonic clock, and that it will not be tried again.
    pub fn set_task(&self, began: u64, last_try: bool) {
        self.page.task().store((began << 1) | u64::from(last_try), Relaxed);
    }

    /// A word that peers can read, with a meaning that the layer above gives.
    pub fn blocked(&self) -> &AtomicU32 {
        self.page.blocked()
    }
}

/// Another process's bell.
#[derive(Debug)]
pub struct PeerBell(Page);

impl PeerBell {
    /// Maps a bell by its descriptor, which isn't needed afterwards.
    pub fn map(fd: impl AsFd) -> Result<Self, RingError> {
        Page::map(fd).map(PeerBell)
    }

    /// Says that lane `slot` has something, and wakes the peer if it sleeps on the futex.
    pub fn ring(&self, slot: u32) -> Ring {
        state::ring(&self.0, slot)
    }

    /// The same, but a patient peer is left asleep: on [`Ring::LeftAsleep`] the caller promises to [`ring`](Self::ring)
    /// before it sleeps.
    pub fn ring_patiently(&self, slot: u32) -> Ring {
        state::ring_patiently(&self.0, slot)
    }

    /// What the peer says it runs; `None` if it is being written all the time or isn't text.
    pub fn title(&self) -> Option<String> {
        title::read(&self.0)
    }

    /// What the peer said with [`Bell::set_task`] last.
    pub fn task(&self) -> (u64, bool) {
        let word = self.0.task().load(Relaxed);
        (word >> 1, word & 1 == 1)
    }

    /// The peer's word of [`Bell::blocked`].
    pub fn blocked(&self) -> &AtomicU32 {
        self.0.blocked()
    }
}
