//! Lanes that this process can't map: its address space or its descriptors are used up. And those that the daemon
//! refuses, for it can't open them (LANES-3).
//!
//! - UNMAPPED-1 who would have called over such a lane fails at once, with the reason: the queued tasks of its key, every
//!   call of its actor from here. What has a lane goes on.
//! - UNMAPPED-2 a worker that can't map a caller's lane ends: what it doesn't hear it would never answer.
use crate::runtime::Runtime;
use crate::state::State;
use rustix::process::{Resource, getrlimit};
use shoal_owner::Event;
use shoal_types::{Address, ErrorKind, ErrorValue, LaneId};

impl Runtime {
    pub(crate) fn cannot_map(&self, lane: LaneId, caller: bool, peer: Address, why: &dyn std::fmt::Display) {
        let text = format!("this process cannot map its lane to {}: {why}{}", peer.worker, limits());
        if !caller {
            shoal_net::say!("{text}");
            // SAFETY: nothing of this process is to run any more; its daemon tells its callers.
            unsafe { libc::_exit(1) };
        }
        self.lock().unmapped.insert(lane, ErrorValue::new(ErrorKind::System, text));
    }
}

/// UNMAPPED-1: the event that comes before `event`, or in its place, when its lane could not be had.
pub(crate) fn instead(state: &mut State, event: Event) -> [Option<Event>; 2] {
    let lane = match &event {
        Event::Granted { lane, .. } | Event::ActorUp { lane, .. } => lane,
        _ => return [Some(event), None],
    };
    let Some(error) = state.unmapped.get(lane).cloned() else { return [Some(event), None] };
    match event {
        // The key wants nothing any more, so the lease goes back by itself.
        Event::Granted { key, .. } => [Some(Event::KeyUnschedulable { key, error }), Some(event)],
        // It lives: what it was made with stays lent, and what it keeps of that is credited.
        Event::ActorUp { actor, worker, .. } => {
            let error = ErrorValue { actor: Some(actor), ..error };
            [Some(Event::ActorDead { actor, error, dying: Some(worker), lingers: false }), Some(event)]
        }
        event => [Some(event), None],
    }
}

/// For people: which limits of this process are set.
pub(crate) fn limits() -> String {
    let space = getrlimit(Resource::As).current.map(|n| format!("{} MiB of address space (ulimit -v)", n >> 20));
    let files = getrlimit(Resource::Nofile).current.map(|n| format!("{n} open files (ulimit -n)"));
    let both: Vec<String> = [space, files].into_iter().flatten().collect();
    if both.is_empty() { String::new() } else { format!("; this process may have {}", both.join(" and ")) }
}
