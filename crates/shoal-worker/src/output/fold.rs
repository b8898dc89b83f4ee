//! Lines that several workers write at the same time are shown once. No I/O, no clock.
//!
//! - FOLD-1 the first of equal lines is told at once; lines are equal when they differ in nothing but times of day and dates.
//! - FOLD-2 what one worker repeats by itself is told each time: only what comes from several is held.
//! - FOLD-3 held lines are told [`WINDOW`] after the first at the latest: one as it is, more as one with their count.
//! - FOLD-4 what is remembered is bounded by [`LINES`] of at most [`LONGEST`] bytes.
use rustc_hash::{FxHashMap, FxHashSet};
use shoal_proto::control::LogLine;
use std::collections::VecDeque;

/// How long a line may be held: microseconds.
pub(crate) const WINDOW: u64 = 3_000_000;
/// Different lines that are remembered.
const LINES: usize = 2_000;
/// Longer lines are told as they come.
const LONGEST: usize = 400;

type Key = (bool, Vec<u8>);

/// A line that was told, and what is held of its like.
struct Seen {
    pid: u32,
    held: u64,
    pids: FxHashSet<u32>,
    last: Option<LogLine>,
}

/// The lines of a few seconds.
#[derive(Default)]
pub(crate) struct Fold {
    seen: FxHashMap<Key, Seen>,
    /// The same in the order in which they are due.
    order: VecDeque<(u64, Key)>,
    holding: usize,
}

impl Fold {
    /// Takes a line; what is to be shown now goes to `out`.
    pub fn feed(&mut self, now: u64, line: LogLine, out: &mut Vec<LogLine>) {
        self.flush(now, out);
        if line.redraw || line.line.len() > LONGEST || line.line.iter().all(u8::is_ascii_whitespace) {
            return out.push(line);
        }
        let key = (line.stderr, without_times(&line.line));
        let Some(seen) = self.seen.get_mut(&key) else {
            let seen = Seen { pid: line.pid, held: 0, pids: FxHashSet::default(), last: None };
            self.seen.insert(key.clone(), seen);
            self.order.push_back((now + WINDOW, key));
            out.push(line);
            if self.order.len() > LINES {
                self.pop(out);
            }
            return;
        };
        if seen.held == 0 && seen.pid == line.pid {
            return out.push(line);
        }
        self.holding += usize::from(seen.held == 0);
        seen.held += 1;
        seen.pids.insert(line.pid);
        seen.last = Some(line);
    }

    /// Tells what is due.
    pub fn flush(&mut self, now: u64, out: &mut Vec<LogLine>) {
        while self.order.front().is_some_and(|(due, _)| *due <= now) {
            self.pop(out);
        }
    }

    /// Tells everything that is held.
    pub fn finish(&mut self, out: &mut Vec<LogLine>) {
        while !self.order.is_empty() {
            self.pop(out);
        }
    }

    /// When to call [`Fold::flush`]; `None`: nothing is held.
    pub fn due(&self) -> Option<u64> {
        if self.holding == 0 { None } else { self.order.front().map(|(due, _)| *due) }
    }

    fn pop(&mut self, out: &mut Vec<LogLine>) {
        let Some(seen) = self.order.pop_front().and_then(|(_, key)| self.seen.remove(&key)) else { return };
        let Some(mut line) = seen.last else { return };
        self.holding -= 1;
        if seen.held > 1 {
            let (times, workers) = (seen.held, seen.pids.len());
            let from = if workers == 1 { String::new() } else { format!(" from {workers} workers") };
            line.line.extend_from_slice(format!(" [{times} times more{from}]").as_bytes());
        }
        out.push(line);
    }
}

/// The line with its times of day and dates taken out.
fn without_times(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    for word in line.split_inclusive(u8::is_ascii_whitespace) {
        out.extend_from_slice(if is_time(word) { b"~ " } else { word });
    }
    out
}

/// "10:20:30", "2026-01-31", "[2026-01-31T10:20:30.123Z]", "10:20:30,123".
fn is_time(word: &[u8]) -> bool {
    let count = |sign: u8| word.iter().filter(|b| **b == sign).count();
    let plain = |b: &u8| b.is_ascii_digit() || b.is_ascii_whitespace() || b"-:/.,TZ+[]()".contains(b);
    let digits = word.iter().filter(|b| b.is_ascii_digit()).count();
    digits >= 6 && word.iter().all(plain) && (count(b':') >= 2 || count(b'-') == 2 || count(b'/') == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn line(pid: u32, text: &str) -> LogLine {
        LogLine { name: "f".into(), pid, stderr: false, redraw: false, line: text.into() }
    }

    fn told(fold: &mut Fold, now: u64, lines: &[(u32, &str)]) -> Vec<(u32, String)> {
        let mut out = Vec::new();
        for (pid, text) in lines {
            fold.feed(now, line(*pid, text), &mut out);
        }
        shown(out)
    }

    fn shown(out: Vec<LogLine>) -> Vec<(u32, String)> {
        out.into_iter().map(|l| (l.pid, String::from_utf8(l.line).unwrap())).collect()
    }

    fn flushed(fold: &mut Fold, now: u64) -> Vec<(u32, String)> {
        let mut out = Vec::new();
        fold.flush(now, &mut out);
        shown(out)
    }

    fn said(pid: u32, text: &str) -> (u32, String) {
        (pid, text.to_owned())
    }

    #[test]
    fn repeats_of_several_workers_are_told_once_with_their_count() {
        let mut fold = Fold::default();
        assert_eq!(
            told(&mut fold, 0, &[(1, "load"), (2, "load"), (3, "load"), (2, "two")]),
            [said(1, "load"), said(2, "two")]
        );
        assert_eq!(fold.due(), Some(3 * SECOND));
        assert_eq!(flushed(&mut fold, 2 * SECOND), []);
        assert_eq!(flushed(&mut fold, 3 * SECOND), [said(3, "load [2 times more from 2 workers]")]);
        assert_eq!(fold.due(), None);
        assert_eq!(told(&mut fold, 4 * SECOND, &[(3, "load")]), [said(3, "load")]);
    }

    #[test]
    fn one_repeat_is_told_as_it_is_and_one_worker_may_repeat_itself() {
        let mut fold = Fold::default();
        assert_eq!(told(&mut fold, 0, &[(1, "x"), (1, "x"), (2, "x")]), [said(1, "x"), said(1, "x")]);
        assert_eq!(flushed(&mut fold, 3 * SECOND), [said(2, "x")]);
        told(&mut fold, 4 * SECOND, &[(1, "y"), (2, "y"), (2, "y")]);
        assert_eq!(flushed(&mut fold, 7 * SECOND), [said(2, "y [2 times more]")]);
    }

    #[test]
    fn times_do_not_tell_lines_apart_and_other_numbers_do() {
        let mut fold = Fold::default();
        let first = "2026-01-31 10:20:30,123 INFO ready";
        assert_eq!(told(&mut fold, 0, &[(1, first), (2, "2026-01-31 10:20:31,456 INFO ready")]), [said(1, first)]);
        assert_eq!(told(&mut fold, 0, &[(1, "step 1"), (2, "step 2")]), [said(1, "step 1"), said(2, "step 2")]);
        let mut end = Vec::new();
        fold.finish(&mut end);
        assert_eq!(shown(end), [said(2, "2026-01-31 10:20:31,456 INFO ready")]);
    }

    #[test]
    fn redraws_and_empty_lines_are_told_and_memory_is_bounded() {
        let mut fold = Fold::default();
        assert_eq!(told(&mut fold, 0, &[(1, ""), (2, ""), (1, " "), (2, " ")]).len(), 4);
        let mut out = Vec::new();
        for pid in [1, 2] {
            fold.feed(0, LogLine { redraw: true, ..line(pid, "50%") }, &mut out);
        }
        assert_eq!(out.len(), 2);
        for i in 0..3 * LINES {
            fold.feed(0, line(1, &format!("line {i}")), &mut out);
        }
        assert_eq!((fold.seen.len(), fold.order.len()), (LINES, LINES));
    }
}
