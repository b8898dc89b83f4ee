//! Crash points: each store of the shared-memory protocols has a number; armed with it, the process dies right after
//! that store. Compiled into tests and with the feature `crash-points` only.
//!
//! | number | after the store |
//! |---|---|
//! | 1 | `begin`: entry described |
//! | 2 | `begin`: OPEN |
//! | 3 | `seal`: bytes written, before SEALED |
//! | 4 | `seal`: SEALED |
//! | 5 | writer dropped: FREE |
//! | 6 | `add_chunk`: pages reserved, before `backed` |
//! | 7 | `add_chunk`: `backed` |
//! | 8 | `pin`: published |
//! | 9 | `pin`: verified |
//! | 10 | pin dropped: cleared |
//! | 11 | reset: first entry EMPTY |
//! | 12 | `free`: EVICTING |
//! | 13 | `free`: pins read |
//! | 14 | `free`: FREE |

/// The highest number.
#[cfg(test)]
pub(crate) const LAST: u32 = 14;

#[cfg(any(test, feature = "crash-points"))]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static ARMED: OnceLock<AtomicU32> = OnceLock::new();

    fn armed() -> &'static AtomicU32 {
        ARMED.get_or_init(|| {
            let number = std::env::var("SHOAL_CRASH_POINT").ok().and_then(|text| text.parse().ok());
            AtomicU32::new(number.unwrap_or(0))
        })
    }

    /// Arms one point in this process.
    #[cfg(test)]
    pub fn arm(number: u32) {
        armed().store(number, Ordering::Relaxed);
    }

    pub fn reached(number: u32, name: &str) {
        if armed().load(Ordering::Relaxed) == number {
            eprintln!("crash point {number} ({name}) reached");
            std::process::abort();
        }
    }
}

#[cfg(all(test, not(loom)))]
pub(crate) use armed::arm;
#[cfg(any(test, feature = "crash-points"))]
pub(crate) use armed::reached;

/// Dies here when this number is armed.
macro_rules! crash_point {
    ($number:literal, $name:literal) => {
        #[cfg(any(test, feature = "crash-points"))]
        crate::crash::reached($number, $name);
    };
}
pub(crate) use crash_point;
