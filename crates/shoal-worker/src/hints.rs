//! Hints: what a program could have for less, each said once a process on standard error.
//!
//! - HINT-1 the way of a call pays next to nothing for them: only a value that is copied anyway is looked at, only a `get`
//!   that waits is counted, and what is over is looked through once in ten thousand calls.
//! - HINT-2 when in doubt, nothing is said.
use crate::runtime::Runtime;
use parking_lot::Mutex;
use rustc_hash::FxHasher;
use shoal_proto::control::{Request, Response};
use shoal_types::{ObjectId, TaskId, UNIT};
use std::hash::Hasher;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Values that are remembered as copied.
const REMEMBERED: usize = 8;
/// Bytes and times from which on copying the same value again is worth a word.
const COPIED: u64 = 16 << 20;
const COPIES: u32 = 5;
/// Whole values that are compared in a process's life.
const COMPARED: u32 = 400;
/// Places of a value that are looked at first.
const PLACES: usize = 32;
/// `get`s in a row of what was called just before: how often they are looked at, for how long they must go on.
const STEP: u32 = 8;
const LONG: Duration = Duration::from_secs(5);

static OFF: AtomicBool = AtomicBool::new(false);
static SAID: [AtomicBool; 3] = [const { AtomicBool::new(false) }; 3];

/// What there is to say.
#[derive(Clone, Copy)]
enum Hint {
    Put,
    Map,
    Together,
}

impl Hint {
    fn is_due(self) -> bool {
        !OFF.load(Relaxed) && !SAID[self as usize].load(Relaxed)
    }
}

/// Turns hints on or off.
pub fn give_hints(on: bool) {
    OFF.store(!on, Relaxed);
}

#[derive(Default)]
pub(crate) struct Hints {
    copies: Mutex<Copies>,
    in_turn: AtomicU32,
    since: Mutex<Option<Instant>>,
}

/// A value that was copied for a call.
struct Copied {
    at: usize,
    len: usize,
    sample: u64,
    whole: Option<u64>,
    times: u32,
}

#[derive(Default)]
struct Copies {
    seen: Vec<Copied>,
    next: usize,
    compared: u32,
}

impl Copies {
    /// How often exactly this value has been copied, if that is often: same place, same bytes.
    fn note(&mut self, at: usize, value: &[u8]) -> Option<u32> {
        let (len, sample) = (value.len(), sample(value));
        let same = |c: &&mut Copied| (c.at, c.len, c.sample) == (at, len, sample);
        let Some(seen) = self.seen.iter_mut().find(same) else {
            self.remember(Copied { at, len, sample, whole: None, times: 1 });
            return None;
        };
        if self.compared >= COMPARED {
            return None;
        }
        self.compared += 1;
        let whole = hash(value);
        if seen.whole.replace(whole).is_some_and(|before| before != whole) {
            seen.times = 0;
        }
        seen.times += 1;
        (seen.times >= COPIES && u64::from(seen.times) * len as u64 >= COPIED).then_some(seen.times)
    }

    fn remember(&mut self, copied: Copied) {
        if self.seen.len() < REMEMBERED {
            return self.seen.push(copied);
        }
        self.seen[self.next] = copied;
        self.next = (self.next + 1) % REMEMBERED;
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

fn sample(value: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    let step = (value.len() / PLACES).max(8);
    value.chunks(step).for_each(|part| hasher.write(&part[..part.len().min(8)]));
    hasher.finish()
}

impl Runtime {
    fn hint(&self, hint: Hint, text: &str) {
        if hint.is_due() && !SAID[hint as usize].swap(true, Relaxed) {
            self.warn(format!("hint: {text} (SHOAL_HINTS=0 turns hints off)"));
        }
    }

    /// A large argument of `function` is copied into the object store. `at`: its object's address.
    pub fn hint_copied(&self, at: usize, value: &[u8], function: &str) {
        if !Hint::Put.is_due() {
            return;
        }
        let Some(times) = self.hints.copies.lock().note(at, value) else { return };
        let size = value.len() as f64 / f64::from(1 << 20);
        let text = format!(
            "the same value of {size:.1} MiB was passed to {function} {times} times, and copied each time; \
             ref = shoal.put(value) copies it once, and {function}.remote(ref) passes it"
        );
        self.hint(Hint::Put, &text);
    }

    /// Whether somebody who is about to wait for this object alone has done so many times in a row, each time with what
    /// was called last: then [`Runtime::hint_together`] is to be called, without the GIL.
    pub fn waits_in_turn(&self, id: &ObjectId) -> bool {
        if id.task != self.last_task() {
            self.hints.in_turn.store(0, Relaxed);
            return false;
        }
        let times = self.hints.in_turn.load(Relaxed) + 1;
        self.hints.in_turn.store(times, Relaxed);
        if !times.is_multiple_of(STEP) || !Hint::Together.is_due() {
            return false;
        }
        let mut since = self.hints.since.lock();
        match *since {
            Some(begin) if times > STEP => begin.elapsed() >= LONG,
            _ => {
                *since = Some(Instant::now());
                false
            }
        }
    }

    /// See [`Runtime::waits_in_turn`]: says so when it is tasks that are waited for, and a CPU is idle meanwhile.
    pub fn hint_together(&self, id: &ObjectId) {
        *self.hints.since.lock() = Some(Instant::now());
        if self.is_of_call(id) {
            return;
        }
        let Ok(Response::Nodes(nodes)) = self.ask(Request::Nodes) else { return };
        let idle: u64 = nodes.iter().map(|node| node.available.get("CPU") / UNIT).sum();
        let times = self.hints.in_turn.load(Relaxed);
        if idle > 0 {
            let text = format!(
                "{times} tasks in a row were each waited for before the next was called, while {idle} CPUs were idle; if \
                 they don't need each other's results, call all of them, then shoal.get([...]) the list"
            );
            self.hint(Hint::Together, &text);
        }
    }

    /// The core has seen that tasks are shorter than what sending them costs.
    pub(crate) fn hint_map(&self, function: &str, calls: usize) {
        let text = format!(
            "{calls} calls of {function} took less than 10 µs each, less than it costs to send one; \
             {function}.map(values) sends many in one message"
        );
        self.hint(Hint::Map, &text);
    }

    fn last_task(&self) -> TaskId {
        TaskId::new(self.prefix, self.counter.load(Relaxed).wrapping_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(copies: &mut Copies, value: &[u8], n: u32) -> Vec<u32> {
        (0..n).filter_map(|_| copies.note(7, value)).collect()
    }

    #[test]
    fn the_same_value_is_told_when_it_is_much_and_often() {
        assert_eq!(times(&mut Copies::default(), &vec![1; 4 << 20], 6), [5, 6]);
        assert_eq!(times(&mut Copies::default(), &vec![1; 1 << 20], 17), [16, 17]);
        assert_eq!(times(&mut Copies::default(), &vec![1; 100 << 10], 100), []);
    }

    #[test]
    fn a_value_that_changed_anywhere_is_another() {
        let (mut copies, mut value) = (Copies::default(), vec![0; 4 << 20]);
        for n in 0..50 {
            value[1_000_003 + n] = 1;
            assert_eq!(copies.note(7, &value), None, "changed between the places that are looked at first");
        }
    }

    #[test]
    fn other_objects_with_the_same_bytes_are_others_and_only_so_many_are_remembered() {
        let (mut copies, value) = (Copies::default(), vec![0; 4 << 20]);
        for at in 0..50 {
            assert_eq!(copies.note(at, &value), None);
        }
        assert_eq!(copies.seen.len(), REMEMBERED);
    }
}
