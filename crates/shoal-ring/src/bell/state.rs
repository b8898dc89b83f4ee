//! The bell's algorithm, over the machine's memory or loom's.

use super::page::Page;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use crate::sync::{AtomicU32, fence};

/// Lane slots of a bell.
pub const SLOTS: u32 = 64 * 64;

const AWAKE: u32 = 0;

/// Where a thread is about to sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Sleep {
    /// On the bell's futex.
    Futex = 1,
    /// In the I/O thread's poll, which a datagram wakes.
    Io = 2,
    /// On the bell's futex, in no hurry (BELL-7).
    Patient = 3,
}

/// What ringing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "`NeedsDatagram` leaves the wake to the caller"]
pub enum Ring {
    /// Nobody slept: the bit is enough.
    Awake,
    /// The sleeper was woken.
    WokeFutex,
    /// The caller must now wake the I/O thread: by datagram from a peer, by event from inside.
    NeedsDatagram,
    /// The sleeper is patient: the caller is to ring again before it sleeps.
    LeftAsleep,
}

/// How a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Somebody rang, or nobody did: look.
    Woken,
    /// The time is over.
    Timeout,
    /// A signal was handled on this thread.
    Interrupted,
}

/// Rings `slot` from another process (BELL-2, BELL-3).
pub(super) fn ring(page: &Page, slot: u32) -> Ring {
    match announce(page, slot) {
        AWAKE => Ring::Awake,
        _ => wake_sleeper(page),
    }
}

/// As [`ring`], but leaves a patient sleeper asleep (BELL-7).
pub(super) fn ring_patiently(page: &Page, slot: u32) -> Ring {
    match announce(page, slot) {
        AWAKE => Ring::Awake,
        s if s == Sleep::Patient as u32 => Ring::LeftAsleep,
        _ => wake_sleeper(page),
    }
}

/// Sets the bits; then who sleeps.
fn announce(page: &Page, slot: u32) -> u32 {
    let slot = slot % SLOTS;
    page.ready(slot / 64).fetch_or(1 << (slot % 64), AcqRel);
    page.summary().fetch_or(1 << (slot / 64), AcqRel);
    fence(SeqCst);
    page.sleeper().load(Relaxed)
}

fn wake_sleeper(page: &Page) -> Ring {
    let sleeper = page.sleeper().swap(AWAKE, AcqRel);
    wake(page, sleeper)
}

fn wake(page: &Page, sleeper: u32) -> Ring {
    match sleeper {
        AWAKE => Ring::Awake,
        s if s == Sleep::Io as u32 => Ring::NeedsDatagram,
        // 1, 3, or nonsense from a bad peer: a wake too many does no harm.
        _ => {
            page.futex_wake();
            Ring::WokeFutex
        }
    }
}

/// The owner's private half of the bell.
#[derive(Debug)]
pub(super) struct Own {
    asleep: AtomicU32,
    local: AtomicU32,
}

impl Own {
    pub(super) fn new() -> Self {
        Own { asleep: AtomicU32::new(AWAKE), local: AtomicU32::new(0) }
    }

    /// Rings from inside the owner's process (BELL-5).
    pub(super) fn ring(&self, page: &Page) -> Ring {
        self.local.swap(1, AcqRel);
        fence(SeqCst);
        if self.asleep.load(Relaxed) == AWAKE {
            return Ring::Awake;
        }
        let asleep = self.asleep.swap(AWAKE, AcqRel);
        if asleep != AWAKE {
            page.sleeper().swap(AWAKE, AcqRel);
        }
        wake(page, asleep)
    }

    /// Says that this thread is about to sleep; true if it may (BELL-2).
    pub(super) fn prepare_sleep(&self, page: &Page, kind: Sleep) -> bool {
        self.set(page, kind as u32);
        fence(SeqCst);
        if !self.pending(page) {
            return true;
        }
        self.awake(page);
        false
    }

    /// Says that no thread sleeps on the bell any more.
    pub(super) fn awake(&self, page: &Page) {
        self.set(page, AWAKE);
    }

    /// Writes both words. Swaps, not stores: loom doesn't know that a swap by another thread, which read an earlier
    /// store, also comes before a later one. It costs nanoseconds next to a sleep.
    fn set(&self, page: &Page, kind: u32) {
        self.asleep.swap(kind, AcqRel);
        page.sleeper().swap(kind, AcqRel);
    }

    /// Whether a drain would find anything.
    pub(super) fn pending(&self, page: &Page) -> bool {
        page.summary().load(Relaxed) != 0 || self.local.load(Relaxed) != 0
    }

    /// Names every ready slot once; true if rung from inside (BELL-4).
    pub(super) fn drain(&self, page: &Page, each: impl FnMut(u32)) -> bool {
        let local = self.take_ring();
        self.drain_lanes(page, each);
        local
    }

    /// Takes a ring from inside; whether there was one.
    pub(super) fn take_ring(&self) -> bool {
        self.local.load(Relaxed) != 0 && self.local.swap(0, AcqRel) != 0
    }

    /// The same by a thread that doesn't sleep on the bell: a ring from inside is left to who does.
    pub(super) fn drain_lanes(&self, page: &Page, mut each: impl FnMut(u32)) {
        if page.summary().load(Relaxed) == 0 {
            return;
        }
        for word in bits(page.summary().swap(0, Acquire)) {
            for bit in bits(page.ready(word).swap(0, Acquire)) {
                each(word * 64 + bit);
            }
        }
    }
}

/// The places of the bits that are set, lowest first.
fn bits(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(bit)
    })
}
