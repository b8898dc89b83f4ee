//! How many files the daemon may have open, and for how many workers that is enough.
//!
//! - FILES-1 a worker is not started when what is known to be open, with what it will need itself, passes the limit: it
//!   would be forked and then find nobody who can take its connection.
use crate::config::NodeError;
use crate::node::Node;
use rustix::process::{Resource, getrlimit};

/// Those of the daemon itself, of tools that look at it, and of messages on their way.
const OWN: u64 = 24;
/// Those of a worker: two pipes, two logs, its connection, process, doorbell; one on its way.
const WORKER: u64 = 8;
/// Those of a driver or tool: its connection, process, doorbell.
const CLIENT: u64 = 3;
/// Fewer are an error at the start.
const LEAST: u64 = OWN + CLIENT + 2 * WORKER;

/// How many files the daemon may have open.
pub(crate) fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Whether an instance can do anything under the limit.
pub(crate) fn check() -> Result<(), NodeError> {
    match limit() {
        limit if limit < LEAST => Err(NodeError::FewFiles { limit, least: LEAST, worker: WORKER }),
        _ => Ok(()),
    }
}

/// Workers for which the limit is enough while there is one client.
pub(crate) fn most_workers() -> usize {
    usize::try_from(limit().saturating_sub(OWN + CLIENT) / WORKER).unwrap_or(usize::MAX)
}

impl Node {
    /// Why there is no room for one more worker, if there is none (FILES-1).
    pub(crate) fn no_room_for_a_worker(&self) -> Option<String> {
        let (limit, workers) = (limit(), self.procs.len() as u64);
        let others = self.clients.values().filter(|client| client.start.is_none()).count() as u64;
        let needed = OWN + CLIENT * others + WORKER * (workers + 1);
        (needed > limit).then(|| {
            format!(
                "the node daemon may open no more than {limit} files (the hard limit, 'ulimit -Hn'), which is enough for \
                 {workers} worker processes: have fewer of them, or raise the limit before the instance starts"
            )
        })
    }
}
