//! Tasks and calls that are over, for who looks inside.
//!
//! - HIST-1 at most [`KEPT`] are remembered; the oldest goes, and is counted.
//! - HIST-2 remembering one is a few stores into memory that is there: nothing is allocated for one that went well.
//! - HIST-3 whether tasks are too short is looked at when the ring has gone round: once in ten thousand.
use crate::{Owner, calls::Call, tasks::Answer, tasks::Task};
use shoal_proto::look::{EndedRow, Rows};
use shoal_types::{ActorId, ErrorKind, ErrorValue, TaskId, Value, WorkerId};
use std::sync::Arc;

/// About a megabyte.
const KEPT: usize = 10_000;
/// A task of fewer microseconds is shorter than what it costs to send it.
const SHORT: u32 = 10;
/// So many remembered tasks in fewer microseconds are a loop, and not the day of a server.
const LOOP: u64 = 10_000_000;
/// Characters of an error's text.
const TEXT: usize = 500;

/// How a task or call ended.
pub(crate) struct End {
    worker: WorkerId,
    micros: u32,
    error: Option<(ErrorKind, Box<str>)>,
}

impl End {
    /// A reply is its result.
    pub fn of(answer: &Answer) -> Self {
        let error = match &answer.values[..] {
            [Value::Error(error), ..] => Some(brief(error)),
            [] | [Value::Inline { .. } | Value::Stored { .. }, ..] => None,
        };
        Self { worker: answer.worker, micros: answer.micros, error }
    }

    /// Before this reply it had this as its result.
    pub fn late(answer: &Answer, error: &ErrorValue) -> Self {
        Self { error: Some(brief(error)), ..Self::of(answer) }
    }

    /// It has no reply.
    pub fn failed(error: &ErrorValue) -> Self {
        Self { worker: WorkerId::NIL, micros: 0, error: Some(brief(error)) }
    }
}

/// The kind and the end of the text: a traceback says last what it is about.
fn brief(error: &ErrorValue) -> (ErrorKind, Box<str>) {
    let text = error.message.trim_end();
    let from = text.char_indices().rev().nth(TEXT - 1).map_or(0, |(at, _)| at);
    (error.kind, text[from..].into())
}

struct Ended {
    id: TaskId,
    name: Arc<str>,
    actor: Option<ActorId>,
    attempt: u32,
    born: u64,
    ended: u64,
    end: End,
}

/// The ring of them.
#[derive(Default)]
pub(crate) struct History {
    rows: Vec<Ended>,
    next: usize,
    lost: u64,
    /// A function whose tasks are very short, and how many of those in the ring are its.
    short: Option<(Arc<str>, usize)>,
}

impl History {
    fn push(&mut self, row: Ended) {
        if self.rows.len() < KEPT {
            if self.rows.capacity() == 0 {
                self.rows.reserve_exact(KEPT);
            }
            return self.rows.push(row);
        }
        if self.next == 0 {
            self.short = self.find_short();
        }
        self.rows[self.next] = row;
        self.next = (self.next + 1) % KEPT;
        self.lost += 1;
    }

    /// The function that nine of ten remembered tasks were of, if each was very short and all came in a loop.
    fn find_short(&self) -> Option<(Arc<str>, usize)> {
        let last = self.rows.last()?;
        let short = |e: &&Ended| {
            e.actor.is_none() && e.end.error.is_none() && e.end.micros < SHORT && Arc::ptr_eq(&e.name, &last.name)
        };
        let count = self.rows.iter().filter(short).count();
        let in_a_loop = last.ended.saturating_sub(self.rows[0].born) < LOOP;
        (count >= KEPT / 10 * 9 && in_a_loop).then(|| (Arc::clone(&last.name), count))
    }
}

impl Owner {
    pub(crate) fn remember_task(&mut self, task: &Task, end: End) {
        let (id, name, attempt) = (task.spec.id, Arc::clone(&task.spec.name), task.retries);
        self.history.push(Ended { id, name, actor: None, attempt, born: task.born, ended: self.now, end });
    }

    pub(crate) fn remember_call(&mut self, call: &Call, end: End) {
        let (id, name, attempt) = (call.spec.id, Arc::clone(&call.spec.method), call.retries);
        let actor = Some(call.spec.actor);
        self.history.push(Ended { id, name, actor, attempt, born: call.born, ended: self.now, end });
    }

    /// A function whose tasks are shorter than what sending them costs, and how many of the last ones were its: told
    /// once for each round of the ring.
    pub fn take_short(&mut self) -> Option<(Arc<str>, usize)> {
        self.history.short.take()
    }

    /// Tasks and calls that are over, the last first; times by the core's clock.
    pub fn ended_rows(&self, limit: usize) -> Rows<EndedRow> {
        let History { rows, next, lost, .. } = &self.history;
        let newest_first = rows[..*next].iter().rev().chain(rows[*next..].iter().rev());
        let told: Vec<_> = newest_first.take(limit).map(row).collect();
        let left_out = lost + (rows.len() - told.len()) as u64;
        Rows { rows: told, left_out }
    }
}

fn row(e: &Ended) -> EndedRow {
    EndedRow {
        id: e.id,
        name: e.name.to_string(),
        actor: e.actor,
        attempt: e.attempt,
        worker: e.end.worker,
        born: e.born,
        ended: e.ended,
        micros: e.end.micros,
        error: e.end.error.as_ref().map(|(kind, text)| (*kind, text.to_string())),
    }
}
