//! The end of a worker in order, and of an actor that ends by itself, on whatever thread.
//!
//! - END-1 it answers nothing from the moment that it says so: what its other threads still make of their calls is let go,
//!   and so is what that holds in the arena. Nobody hears of a result from one that is known to be dead.
//! - END-2 the main thread then has the process linger while others hold what it owns (OWN-6), or end. No other thread
//!   holds that up, nor keeps the process: in one that lingers the calls that still run are cancelled, at once and again
//!   (CANCEL-3), and what goes on nevertheless ends with the process.
//! - END-3 what was answered is not lost: replies that found no room leave before the process ends, or lingers and is told to
//!   be dead. Only a caller that reads nothing for [`UNREAD`] isn't waited for.
use crate::runtime::Runtime;
use crate::state::State;
use shoal_owner::Event;
use shoal_proto::control::ToNode;
use shoal_types::{ActorId, ArenaLoc, ObjectId, TaskId, Value};
use std::time::{Duration, Instant};

/// END-3.
const UNREAD: Duration = Duration::from_secs(30);

impl Runtime {
    /// Waits until the last replies have left (END-3). By the main thread, without the GIL.
    pub fn send_rest(&self) {
        let waiter = self.executor_waiter();
        let (mut least, mut until) = (usize::MAX, Instant::now());
        loop {
            waiter.rearm();
            let Some(left) = self.executor.unsent(self).filter(|left| *left > 0) else { return };
            if left < least {
                (least, until) = (left, Instant::now() + UNREAD);
            }
            if Instant::now() >= until {
                shoal_net::say!("{left} replies are lost: their caller has read none for {} s", UNREAD.as_secs());
                return;
            }
            self.wait_for_room(&waiter, until);
        }
    }

    /// The actor of this process ends on its own wish, without restart: says so and has the main thread follow
    /// ([`Work::End`](crate::Work::End)). Whoever says it first is heard.
    pub fn exit_actor(&self, actor: ActorId, reason: String) {
        let first = self.answer_no_more(&mut self.lock());
        if first {
            self.tell_node(&ToNode::ActorExit { actor, reason });
            self.executor.end(self);
            // The main thread may wait for a call's arguments.
            self.call_all();
        }
    }

    /// Whether the actor of this process has ended: what any of its calls waits for is not needed.
    pub fn has_ended(&self) -> bool {
        self.executor.is_over()
    }

    /// This worker is done. If others hold what it owns, or it has unfinished children, the daemon takes its lease or
    /// actor away and the thread sleeps until nobody needs it (OWN-6). Without the GIL.
    pub fn linger(&self) {
        let mut state = self.lock();
        self.answer_no_more(&mut state);
        if !state.owner.holds_for_others() {
            return;
        }
        drop(state);
        self.tell_node(&ToNode::Lingering);
        self.executor.cancels.cancel_beside();
        self.executor.linger(self);
    }

    /// Ends a lingering worker that nobody needs any more. Called by the I/O thread, which hears of releases.
    pub(crate) fn look_whether_needed(&self, state: &State) {
        if self.executor.lingers() && !state.owner.holds_for_others() {
            self.executor.exit(self);
        }
    }

    /// END-1. True the first time.
    fn answer_no_more(&self, state: &mut State) -> bool {
        let first = self.executor.be_over();
        if first {
            self.feed(state, Event::Ended);
        }
        first
    }

    /// What was stored for a caller that hears nothing of it.
    pub(crate) fn let_go(&self, state: &mut State, stored: Vec<(ObjectId, ArenaLoc)>) {
        state.to_free.extend(stored);
        self.carry_out(state);
    }
}

/// Those of a task's values that lie in the arena, the first of all being the `first`-th.
pub(crate) fn stored<'a>(
    task: TaskId,
    first: u32,
    values: impl Iterator<Item = &'a Value>,
) -> Vec<(ObjectId, ArenaLoc)> {
    let place = |(index, value): (u32, &Value)| match value {
        Value::Stored { loc, .. } => Some((ObjectId::new(task, index), *loc)),
        Value::Inline { .. } | Value::Error(_) => None,
    };
    (first..).zip(values).filter_map(place).collect()
}
