//! The node daemon: the one process of a node that starts and ends the others, hands out workers and resources, owns
//! the arena, and relays. Decisions are taken by `shoal-sched` and `shoal-gcs`; this crate reads, writes, forks by way
//! of zygotes, and kills.
//!
//! [`run`] is called once, by `python/shoal/runtime/node.py`, and returns when the instance ends. Inside, in the order
//! of a round of the loop: the poller says what is ready; connections give messages ([`clients`](self)), pipes give
//! lines of output, zygotes tell of forks and ends; each becomes an event of a core; the cores' orders are carried out
//! until none is left; then every queue is flushed.
//!
//! - NODE-1 one thread, beside those that wait for disks ([`disks`](self)); nothing waits but the poller; a client that doesn't read costs memory up to a bound, and logs
//!   are dropped before that.
//! - NODE-2 a peer's user is checked before a byte of it is read.
//! - NODE-3 what a client said before it died is carried out before its death is told; its lanes are closed after.
//! - NODE-4 a worker is dead when its process has ended *and* what it wrote has been read; its process group is killed.
//! - NODE-5 nothing pending, nothing ticks.
//! - NODE-6 when [`run`] returns, no process, socket or memory of the instance is left, only closed logs.
#![deny(missing_docs)]

mod clients;
mod config;
mod conn;
mod death;
mod deliver;
mod descriptors;
mod disks;
mod ending;
mod exits;
mod greet;
mod jobs;
mod lanes;
mod logs;
mod look;
mod memory;
mod messages;
mod node;
mod orders;
mod procs;
mod requests;
mod saving;
mod spill;
mod status;
mod stored;
mod sys;
mod tables;
mod token;
mod warn;
mod zygote;
mod zygotes;

pub use config::{DriverStart, NodeConfig, NodeError};

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Runs the daemon until its instance ends; the process's exit code. `config` is JSON of a [`NodeConfig`];
/// `first_client` a connected socket, -1 for none; `zygote` the socket and the process of the zygote that was spawned
/// before this process loaded anything.
///
/// What goes wrong before the first byte is written to `first_client` is told on standard error, and there.
pub fn run(config: &str, first_client: RawFd, zygote: RawFd, zygote_pid: i32) -> i32 {
    // SAFETY: the caller hands both descriptors over; nobody else closes them.
    let own = |fd: RawFd| (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) });
    let (client, zygote) = (own(first_client), own(zygote));
    // Open until the reason is written.
    let held = client.as_ref().and_then(sys::dup);
    let started = NodeConfig::from_json(config)
        .and_then(|config| node::Node::start(config, client, zygote.map(|fd| (fd, zygote_pid.unsigned_abs()))));
    match started {
        Ok(mut node) => {
            drop(held);
            node.serve()
        }
        Err(error) => {
            let text = format!("the node daemon cannot start: {error}");
            shoal_net::say!("{text}");
            if let Some(client) = held {
                // Its process may be gone, too.
                let _ = rustix::io::write(client, text.as_bytes());
            }
            1
        }
    }
}
