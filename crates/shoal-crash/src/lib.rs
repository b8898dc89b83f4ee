//! Crash points: the stores and sends at which a test lets a process die (DESIGN §11.4).
//!
//! - [`crash_point!`] marks one; its number and name are checked against the table, [`POINTS`], when it is compiled.
//! - `SHOAL_CRASH_POINT=NAME[:COUNT]` arms one: the process dies when it comes there for the COUNTth time.
//!   `SHOAL_CRASH_PROCESS=driver|worker|daemon` says whose processes, and `SHOAL_CRASH_ONCE=FILE` lets only that one die
//!   that makes the file. The variables are read once.
//! - Other things that tests arm are a slow store, [`store_delay`], and slow disks, [`disk_delay`].
//! - CRASH-1 all are in the dev profile, where this crate has debug assertions; in the release profile nothing is left
//!   of them. Not armed, one costs a load and a branch.
#![deny(missing_docs)]

mod points;

pub use points::{POINTS, Point, has};

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Process {
    /// The user's.
    Driver = 1,
    /// Runs tasks or an actor.
    Worker = 2,
    /// The node's.
    Daemon = 3,
}

/// Dies here when this point is armed.
#[macro_export]
macro_rules! crash_point {
    ($number:literal, $name:literal) => {{
        const { assert!($crate::has($number, $name), "the table of crash points has no such number and name") };
        $crate::reached($number);
    }};
}

/// Says what this process is; until then it dies at no point that the environment armed.
pub fn set_process(process: Process) {
    #[cfg(debug_assertions)]
    armed::set_process(process);
    #[cfg(not(debug_assertions))]
    let _ = process;
}

/// Arms a point in this process, whatever it is; 0 none.
pub fn arm(number: u32) {
    #[cfg(debug_assertions)]
    armed::arm(number);
    #[cfg(not(debug_assertions))]
    let _ = number;
}

/// Whether this is the dev profile (CRASH-1).
pub const fn is_dev() -> bool {
    cfg!(debug_assertions)
}

/// How many milliseconds a write of the directory is to take: `SHOAL_STORE_DELAY`, 0 in the release profile (CRASH-1).
pub fn store_delay() -> u64 {
    delay("SHOAL_STORE_DELAY")
}

/// How many milliseconds a read of a spilled object is to take: `SHOAL_DISK_DELAY`, 0 in the release profile (CRASH-1).
pub fn disk_delay() -> u64 {
    delay("SHOAL_DISK_DELAY")
}

fn delay(variable: &str) -> u64 {
    let given = || std::env::var(variable).ok().and_then(|text| text.parse().ok());
    is_dev().then(given).flatten().unwrap_or(0)
}

/// What [`crash_point!`] calls.
#[inline]
pub fn reached(number: u32) {
    #[cfg(debug_assertions)]
    armed::reached(number);
    #[cfg(not(debug_assertions))]
    let _ = number;
}

#[cfg(debug_assertions)]
mod armed {
    use crate::{POINTS, Process};
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    static ARMED: AtomicU32 = AtomicU32::new(0);
    static COUNT: AtomicU32 = AtomicU32::new(1);

    pub fn arm(number: u32) {
        COUNT.store(1, Relaxed);
        ARMED.store(number, Relaxed);
    }

    pub fn set_process(process: Process) {
        let Ok(text) = std::env::var("SHOAL_CRASH_POINT") else { return };
        let wanted = std::env::var("SHOAL_CRASH_PROCESS").ok();
        let name = match process {
            Process::Driver => "driver",
            Process::Worker => "worker",
            Process::Daemon => "daemon",
        };
        if wanted.is_some_and(|wanted| wanted != name) {
            return;
        }
        let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
        match (POINTS.iter().find(|point| point.name == name), count.parse()) {
            (Some(point), Ok(count)) => {
                COUNT.store(count, Relaxed);
                ARMED.store(point.number, Relaxed);
            }
            _ => eprintln!("shoal: SHOAL_CRASH_POINT={text} is not NAME[:COUNT] of a crash point"),
        }
    }

    #[inline]
    pub fn reached(number: u32) {
        if ARMED.load(Relaxed) == number {
            die(number);
        }
    }

    #[cold]
    fn die(number: u32) {
        if COUNT.fetch_sub(1, Relaxed) != 1 {
            return;
        }
        if let Some(path) = std::env::var_os("SHOAL_CRASH_ONCE")
            && std::fs::File::create_new(path).is_err()
        {
            return;
        }
        eprintln!("crash point {number} reached");
        std::process::abort();
    }
}
