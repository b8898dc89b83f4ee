//! Looking inside: the answer to `ToClient::Look`, made on the I/O thread from tables alone, and what is remembered for
//! it.
//!
//! - LOOK-1 nobody is told anything before it is asked for; what ran is kept in a ring of fixed size, under a lock that
//!   the reply takes anyway.
//! - LOOK-2 an answer needs neither the GIL nor the thread that runs the user's code: a process that is stuck in C
//!   code tells as much as any other.
use crate::runtime::Runtime;
use crate::state::State;
use crate::stream::is_room;
use shoal_proto::control::ToNode;
use shoal_proto::look::{RanRow, Report, Rows, RunningRow, Stage, TaskRow, Wish};
use shoal_types::TaskId;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Calls that are remembered: a quarter of a megabyte.
const KEPT: usize = 4_096;
/// Most objects that are named of those that threads wait for, and most generators of those that wait for readers.
const WAITS: usize = 1_000;

/// A call that ran here.
pub(crate) struct Ran {
    pub(crate) task: TaskId,
    pub(crate) name: Arc<str>,
    pub(crate) began: Instant,
    pub(crate) micros: u32,
    pub(crate) failed: bool,
}

/// The last of them.
#[derive(Default)]
pub(crate) struct RanRing {
    rows: Vec<Ran>,
    next: usize,
    lost: u64,
}

impl RanRing {
    pub(crate) fn push(&mut self, row: Ran) {
        if self.rows.len() < KEPT {
            if self.rows.capacity() == 0 {
                self.rows.reserve_exact(KEPT);
            }
            return self.rows.push(row);
        }
        self.rows[self.next] = row;
        self.next = (self.next + 1) % KEPT;
        self.lost += 1;
    }

    /// The newest first.
    pub(crate) fn rows(&self, limit: usize, clock: &Clock) -> Rows<RanRow> {
        let newest_first = self.rows[..self.next].iter().rev().chain(self.rows[self.next..].iter().rev());
        let row = |r: &Ran| RanRow {
            id: r.task,
            name: r.name.to_string(),
            began: clock.of(r.began),
            micros: r.micros,
            failed: r.failed,
        };
        let rows: Vec<_> = newest_first.take(limit).map(row).collect();
        let left_out = self.lost + (self.rows.len() - rows.len()) as u64;
        Rows { rows, left_out }
    }
}

/// What runs on the main thread: the task, its name, since when.
pub type Running = Box<dyn Fn() -> Option<(TaskId, Arc<str>, Instant)> + Send>;

/// From this process's clocks to microseconds since 1970.
pub(crate) struct Clock {
    now: u64,
    at: Instant,
    core: u64,
}

impl Clock {
    fn new(runtime: &Runtime) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64);
        Self { now, at: Instant::now(), core: runtime.now() }
    }

    fn of(&self, then: Instant) -> u64 {
        self.now.saturating_sub(self.at.saturating_duration_since(then).as_micros() as u64)
    }

    /// Of a time by the core's clock.
    fn of_core(&self, then: u64) -> u64 {
        self.now.saturating_sub(self.core.saturating_sub(then))
    }
}

impl Runtime {
    /// Sets how the I/O thread learns what runs on the main thread.
    pub fn on_look(&self, f: Running) {
        *self.executor.running.lock() = Some(f);
    }

    /// Answers `ToClient::Look`, at once or when the stacks are there.
    pub(crate) fn look(&self, look: u64, wish: Wish) {
        if !wish.stacks {
            return self.finish_look(look, wish, String::new(), "");
        }
        if let Err(why) = self.ask_for_stacks(look, wish) {
            self.finish_look(look, wish, String::new(), why);
        }
    }

    pub(crate) fn finish_look(&self, look: u64, wish: Wish, stacks: String, no_stacks: &str) {
        let report = Report { stacks, no_stacks: no_stacks.to_owned(), ..self.report(wish) };
        let report = postcard::to_stdvec(&report).expect("a report is plain data");
        self.tell_node(&ToNode::Looked { look, report });
    }

    fn report(&self, wish: Wish) -> Report {
        let (clock, limit) = (Clock::new(self), wish.limit as usize);
        let mut report = Report { now: clock.now, ..Report::default() };
        if wish.tasks {
            report.running = self.running(limit, &clock);
        }
        if wish.ran {
            report.ran = self.executor.ran(limit, &clock);
        }
        let state = self.lock();
        if wish.tasks {
            report.tasks = tasks(&state, limit, &clock);
            let awaited = state.watchers.iter().filter(|(_, watchers)| state.is_awaited(watchers));
            report.waits = awaited.map(|(id, _)| *id).filter(|id| !is_room(id)).take(WAITS).collect();
            report.unread = state.unread().take(WAITS).collect();
            report.actor_waits = state.owner.actor_waits();
        }
        if wish.ended {
            report.ended = state.owner.ended_rows(limit);
            for row in &mut report.ended.rows {
                (row.born, row.ended) = (clock.of_core(row.born), clock.of_core(row.ended));
            }
        }
        if wish.objects {
            report.objects = state.owner.object_rows(limit);
            self.complete_objects(&state, &mut report.objects.rows, limit);
        }
        report
    }

    /// What runs on the main thread, and beside it; at most `limit` of those.
    fn running(&self, limit: usize, clock: &Clock) -> Vec<RunningRow> {
        let row = |beside: bool| {
            move |(id, name, began): (TaskId, Arc<str>, Instant)| RunningRow {
                id,
                name: name.to_string(),
                began: clock.of(began),
                cancelled: self.is_cancelled(&id),
                beside,
            }
        };
        let own = self.executor.running.lock().as_ref().and_then(|f| f());
        let others = self.executor.cancels.beside().into_iter().take(limit);
        own.into_iter().map(row(false)).chain(others.map(row(true))).collect()
    }
}

fn tasks(state: &State, limit: usize, clock: &Clock) -> Rows<TaskRow> {
    let mut rows = state.owner.task_rows(limit);
    for row in &mut rows.rows {
        row.born = clock.of_core(row.born);
        row.again = row.again.map(|at| clock.of_core(at));
        if let Some(spec) = row.key.and_then(|key| state.keys.specs.get(key as usize)) {
            row.needs = spec.resources.clone();
        }
        if row.stage == Stage::Sent && is_taken(state, &row.id) {
            row.stage = Stage::Taken;
        }
    }
    rows
}

fn is_taken(state: &State, task: &TaskId) -> bool {
    let taken = |end: &crate::lanes::CallerEnd| end.sent.get(task).map(|at| end.lane.requests.is_taken(*at));
    state.lanes.values().find_map(taken).unwrap_or(false)
}
