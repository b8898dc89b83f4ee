//! Workers' output: from their pipes into files, and whole lines to their driver.
//!
//! - LOGS-1 what was read is in the file before its lines are told; a file that can't be written stops nobody.
//! - LOGS-2 for each stream, lines are told in order; those that are left out ([`burst`]) leave a mark in their place.
//! - LOGS-3 what is kept for a driver that doesn't read is bounded (`Conn`): its lines are left out and counted.
//! - LOGS-4 a line has the name that its stream's last mark gave ([`marks`]), and ends with its task.
mod burst;
mod file;
mod marks;
mod split;

use crate::conn::Conn;
use crate::node::Node;
use crate::token::Token;
use burst::Burst;
use file::LogFile;
use marks::{Marks, Part};
use shoal_net::Interest;
use shoal_proto::control::{LogLine, LogsWanted, ToClient};
use shoal_types::{JobId, WorkerId};
use split::Splitter;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Last lines that are shown with a crash.
const TAIL: usize = 20;
/// Bytes read from one pipe before others have their turn.
const TURN: usize = 256 << 10;
/// The same when the driver says goodbye: what a pipe holds is less.
const LAST: usize = 1 << 20;
/// How often a line that redraws itself is sent: microseconds.
const REDRAW: u64 = 100_000;

/// One of a worker's two streams.
#[derive(Default)]
pub(crate) struct Stream {
    pipe: Option<OwnedFd>,
    file: Option<LogFile>,
    marks: Marks,
    /// Who writes to it, as far as it said so.
    name: Option<Arc<str>>,
    splitter: Splitter,
    burst: Burst,
    /// What the driver was told last of a line that redraws itself.
    drawn: Vec<u8>,
    drawn_at: u64,
}

/// What a read gave.
#[derive(PartialEq, Eq)]
enum Got {
    Bytes,
    Nothing,
    End,
}

impl Stream {
    pub fn new(pipe: OwnedFd) -> Self {
        Self { pipe: Some(pipe), ..Self::default() }
    }

    fn read(&self, buf: &mut [u8]) -> (Got, usize) {
        let Some(pipe) = &self.pipe else { return (Got::End, 0) };
        match rustix::io::read(pipe, buf) {
            Ok(0) => (Got::End, 0),
            Ok(n) => (Got::Bytes, n),
            Err(rustix::io::Errno::INTR) => (Got::Bytes, 0),
            Err(rustix::io::Errno::AGAIN) => (Got::Nothing, 0),
            Err(_) => (Got::End, 0),
        }
    }

    /// Words for lines that the driver does not get.
    fn left_out_text(&self, lines: u64) -> Option<Vec<u8>> {
        let path = self.file.as_ref().map(|f| f.path.display().to_string()).unwrap_or_default();
        (lines > 0).then(|| format!("… {lines} lines left out, see {path}").into_bytes())
    }

    /// The driver hears no more of it.
    fn end(&mut self, pieces: &mut Vec<Piece>) {
        let left_out = self.burst.take_all_left_out();
        mark(self, left_out, pieces);
    }

    /// When something is due that no new output brings about.
    fn due(&self, live: bool) -> Option<u64> {
        let redraw =
            (live && self.splitter.redrawn().is_some_and(|now| now != self.drawn)).then_some(self.drawn_at + REDRAW);
        [redraw, self.burst.due()].into_iter().flatten().min()
    }
}

/// A piece of a stream on its way to the driver.
struct Piece {
    name: Option<Arc<str>>,
    text: Vec<u8>,
    redraw: bool,
}

/// Both streams of a worker, and what it wrote last.
#[derive(Default)]
pub(crate) struct Output {
    out: Stream,
    err: Stream,
    tail: Tail,
}

impl Output {
    pub fn new(out: Stream, err: Stream) -> Self {
        Self { out, err, tail: Tail::default() }
    }

    fn stream(&mut self, stderr: bool) -> &mut Stream {
        if stderr { &mut self.err } else { &mut self.out }
    }

    /// The last lines, each indented; empty when there are none.
    pub fn tail_text(&self) -> String {
        self.tail.text()
    }
}

#[derive(Default)]
struct Tail(VecDeque<Vec<u8>>);

impl Tail {
    fn remember(&mut self, line: &[u8]) {
        let mut place = if self.0.len() < TAIL { Vec::new() } else { self.0.pop_front().unwrap_or_default() };
        place.clear();
        place.extend_from_slice(line);
        self.0.push_back(place);
    }

    fn text(&self) -> String {
        let line = |line: &Vec<u8>| format!("\n  {}", String::from_utf8_lossy(line));
        let text: String = self.0.iter().map(line).collect();
        if text.is_empty() { text } else { format!("\nits last lines of output:{text}") }
    }
}

/// What a driver gets.
#[derive(Clone, Copy)]
struct Terms {
    wanted: LogsWanted,
    /// It reads what it is told.
    room: bool,
    /// Lines of a stream in a second.
    limit: u64,
    now: u64,
}

/// What happens to a stream.
#[derive(Clone, Copy)]
enum Input<'a> {
    Text(&'a [u8]),
    /// Somebody else writes from now on.
    Name(&'a [u8]),
    End,
}

impl Output {
    /// Lines that end by an input, as far as the driver is to get them.
    fn split(&mut self, stderr: bool, input: Input<'_>, terms: Terms, pieces: &mut Vec<Piece>) {
        let Terms { wanted, room, limit, now } = terms;
        let (stream, tail) = if stderr { (&mut self.err, &mut self.tail) } else { (&mut self.out, &mut self.tail) };
        let left_out = if room { stream.burst.take_left_out(now) } else { 0 };
        mark(stream, left_out, pieces);
        let Stream { splitter, burst, drawn, name, .. } = stream;
        let mut tell = |line: &[u8]| {
            tail.remember(line);
            drawn.clear();
            if wanted == LogsWanted::None {
                return;
            }
            if !room {
                burst.refuse();
            } else if burst.admit(now, limit, line.len()) {
                pieces.push(Piece { name: name.clone(), text: line.to_vec(), redraw: false });
            }
        };
        match input {
            Input::Text(bytes) => splitter.feed(bytes, &mut tell),
            Input::Name(_) | Input::End => splitter.finish(&mut tell),
        }
        match input {
            Input::Text(_) if wanted == LogsWanted::Live && room => redraw(stream, now, pieces),
            Input::Text(_) => {}
            Input::Name(name) => {
                stream.name = (!name.is_empty()).then(|| String::from_utf8_lossy(name).into());
            }
            Input::End => {
                stream.end(pieces);
                stream.pipe = None;
            }
        }
    }
}

fn mark(stream: &Stream, left_out: u64, pieces: &mut Vec<Piece>) {
    let name = stream.name.clone();
    pieces.extend(stream.left_out_text(left_out).map(|text| Piece { name, text, redraw: false }));
}

/// Tells what a line that redraws itself shows now, not too often.
fn redraw(stream: &mut Stream, now: u64, pieces: &mut Vec<Piece>) {
    let Some(text) = stream.splitter.redrawn().filter(|text| *text != stream.drawn) else { return };
    if now >= stream.drawn_at + REDRAW {
        (stream.drawn, stream.drawn_at) = (text.to_vec(), now);
        pieces.push(Piece { name: stream.name.clone(), text: stream.drawn.clone(), redraw: true });
    }
}

impl Node {
    /// The worker's process is known: its pipes are read from now on.
    pub(crate) fn open_logs(&mut self, start: u64, pid: u32) {
        let folder = self.config.session.join("logs");
        let Some(proc) = self.procs.get_mut(&start) else { return };
        for (stderr, end, token) in [(false, "out", Token::Out(start)), (true, "err", Token::Err(start))] {
            let stream = proc.output.stream(stderr);
            stream.file = Some(LogFile::new(folder.join(format!("worker-{pid}.{end}"))));
            if let Some(pipe) = &stream.pipe {
                let _ = self.poller.add(pipe, token.into(), Interest::Read);
            }
        }
    }

    /// A worker's pipe is readable.
    pub(crate) fn on_output(&mut self, start: u64, stderr: bool) {
        self.read_output(start, stderr, TURN);
    }

    /// The worker is gone: what is left in its pipes is read, and both are closed.
    pub(crate) fn drain_output(&mut self, start: u64) {
        for stderr in [false, true] {
            self.read_output(start, stderr, usize::MAX);
            self.take_output(start, stderr, &[], true);
        }
    }

    /// Reads `most` bytes, or what there is.
    fn read_output(&mut self, start: u64, stderr: bool, most: usize) {
        let mut buf = std::mem::take(&mut self.buffer);
        let mut total = 0;
        while total < most {
            // An event may be older than the end of its process.
            let Some(proc) = self.procs.get_mut(&start) else { break };
            let (got, n) = proc.output.stream(stderr).read(&mut buf);
            total += n;
            if got == Got::Nothing {
                break;
            }
            self.take_output(start, stderr, &buf[..n], got == Got::End);
            if got == Got::End {
                break;
            }
        }
        self.buffer = buf;
    }

    /// What was read goes into the file; its lines go to the driver.
    fn take_output(&mut self, start: u64, stderr: bool, bytes: &[u8], end: bool) {
        let now = self.clock.micros();
        let Some(proc) = self.procs.get_mut(&start) else { return };
        let job = self.jobs.get(&proc.job);
        let (driver, wanted) = job.map_or((WorkerId::NIL, LogsWanted::None), |j| (j.driver, j.logs));
        let conn = self.clients.get(&driver).and_then(|c| self.conns.get(&c.conn));
        let room = conn.is_some_and(Conn::has_room_for_logs);
        let mut pieces = Vec::new();
        let terms = Terms { wanted, room, limit: self.config.settings.log_burst_lines, now };
        let mut marks = std::mem::take(&mut proc.output.stream(stderr).marks);
        marks.feed(bytes, end, &mut |part| match part {
            Part::Name(name) => proc.output.split(stderr, Input::Name(name), terms, &mut pieces),
            Part::Text(text) => {
                if let Some(file) = &mut proc.output.stream(stderr).file {
                    file.write(text, now, &self.config.settings);
                }
                proc.output.split(stderr, Input::Text(text), terms, &mut pieces);
            }
        });
        proc.output.stream(stderr).marks = marks;
        // Also where nothing was read: a redraw or a count may be due.
        proc.output.split(stderr, if end { Input::End } else { Input::Text(&[]) }, terms, &mut pieces);
        self.send_pieces(start, stderr, driver, pieces);
        // Without room, `Conn` tells when there is some again.
        let Some(proc) = self.procs.get_mut(&start).filter(|_| room) else { return };
        let due = proc.output.stream(stderr).due(wanted == LogsWanted::Live);
        self.logs_due = [self.logs_due, due].into_iter().flatten().min();
    }

    fn send_pieces(&mut self, start: u64, stderr: bool, driver: WorkerId, pieces: Vec<Piece>) {
        let Some(proc) = self.procs.get(&start).filter(|_| !pieces.is_empty()) else { return };
        let pid = proc.pid.unwrap_or(0);
        let name = proc.worker.and_then(|w| self.clients.get(&w)).and_then(|c| c.title.title()).unwrap_or_default();
        let line = |p: Piece| {
            let name = p.name.map_or_else(|| name.clone(), |name| name.to_string());
            LogLine { name, pid, stderr, redraw: p.redraw, line: p.text }
        };
        self.send(driver, &ToClient::Logs(pieces.into_iter().map(line).collect()), Vec::new());
    }

    /// The driver says goodbye: it hears what its workers have written until now.
    pub(crate) fn tell_last_output(&mut self, job: JobId) {
        let Some(driver) = self.jobs.get(&job).map(|j| j.driver) else { return };
        let starts = self.procs.iter().filter(|(_, p)| p.job == job).map(|(start, _)| *start);
        for start in starts.collect::<Vec<_>>() {
            for stderr in [false, true] {
                self.read_output(start, stderr, LAST);
                let mut pieces = Vec::new();
                if let Some(proc) = self.procs.get_mut(&start) {
                    proc.output.stream(stderr).end(&mut pieces);
                }
                self.send_pieces(start, stderr, driver, pieces);
            }
        }
    }

    /// A driver that had let lines pile up has read them.
    pub(crate) fn on_logs_read(&mut self) {
        self.logs_due = Some(self.clock.micros());
    }

    /// Tells what no new output brings about: redraws that were too soon, counts of lines that are missing.
    pub(crate) fn check_logs(&mut self, now: u64) {
        if self.logs_due.take_if(|due| *due <= now).is_none() {
            return;
        }
        for start in self.procs.keys().copied().collect::<Vec<_>>() {
            for stderr in [false, true] {
                self.take_output(start, stderr, &[], false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: Terms = Terms { wanted: LogsWanted::Live, room: true, limit: 3, now: 5_000_000 };

    fn told(output: &mut Output, bytes: &[u8], end: bool, terms: Terms) -> Vec<(String, bool)> {
        let mut pieces = Vec::new();
        output.split(true, Input::Text(bytes), terms, &mut pieces);
        if end {
            output.split(true, Input::End, terms, &mut pieces);
        }
        pieces.into_iter().map(|p| (String::from_utf8_lossy(&p.text).into_owned(), p.redraw)).collect()
    }

    fn line(text: &str) -> (String, bool) {
        (text.to_owned(), false)
    }

    #[test]
    fn what_is_read_is_split_and_its_end_is_known() {
        let (read, write) = crate::sys::pipe().unwrap();
        let (stream, mut buf) = (Stream::new(read), vec![0; 1 << 10]);
        rustix::io::write(&write, b"one\n").unwrap();
        assert!(stream.read(&mut buf) == (Got::Bytes, 4));
        assert!(stream.read(&mut buf) == (Got::Nothing, 0));
        drop(write);
        assert!(stream.read(&mut buf) == (Got::End, 0));
    }

    #[test]
    fn missing_lines_leave_a_mark_in_their_place() {
        let mut output = Output::default();
        output.err.file = Some(LogFile::new("/logs/w.err".into()));
        assert_eq!(told(&mut output, b"1\n2\n3\n4\n5\n", false, LIVE), [line("1"), line("2"), line("3")]);
        assert_eq!(output.err.due(true), Some(6_000_000));
        let later = Terms { now: 6_000_000, ..LIVE };
        assert_eq!(told(&mut output, b"6\n", false, later), [line("… 2 lines left out, see /logs/w.err"), line("6")]);
        assert_eq!(told(&mut output, b"7\n8\n9\n", false, later), [line("7"), line("8")]);
        assert_eq!(told(&mut output, b"", true, later), [line("… 1 lines left out, see /logs/w.err")]);
    }

    #[test]
    fn what_a_driver_has_no_room_for_is_counted_until_it_has() {
        let (mut output, full) = (Output::default(), Terms { room: false, ..LIVE });
        output.err.file = Some(LogFile::new("w".into()));
        assert_eq!(told(&mut output, b"1\n2\n", false, full), []);
        assert_eq!(told(&mut output, b"3\n", false, Terms { now: 9_000_000, ..full }), []);
        let mark = line("… 3 lines left out, see w");
        assert_eq!(told(&mut output, b"4\n", false, Terms { now: 9_000_000, ..LIVE }), [mark, line("4")]);
    }

    #[test]
    fn a_redrawn_line_is_told_now_and_then_and_once_it_is_finished() {
        let mut output = Output::default();
        assert_eq!(told(&mut output, b"\r10%", false, LIVE), [("10%".to_owned(), true)]);
        assert_eq!(told(&mut output, b"\r20%", false, LIVE), []);
        assert_eq!(output.err.due(true), Some(LIVE.now + REDRAW));
        assert_eq!(output.err.due(false), None);
        let later = Terms { now: LIVE.now + REDRAW, ..LIVE };
        assert_eq!(told(&mut output, b"", false, later), [("20%".to_owned(), true)]);
        assert_eq!(told(&mut output, b"\r99%\n", false, later), [line("99%")]);
        let plain = Terms { wanted: LogsWanted::Lines, ..later };
        assert_eq!(told(&mut output, b"\r10%", false, plain), []);
    }

    #[test]
    fn a_line_has_the_name_of_who_began_it_and_ends_with_its_task() {
        let (mut output, mut pieces) = (Output::default(), Vec::new());
        for input in [
            Input::Text(b"of nobody\n"),
            Input::Name(b"f"),
            Input::Text(b"whole\nhalf"),
            Input::Name(b""),
            Input::Name(b"g"),
            Input::Text(b"\rbar"),
            Input::Name(b"h"),
        ] {
            output.split(false, input, Terms { limit: 9, ..LIVE }, &mut pieces);
        }
        let text = |p: &Piece| (p.name.as_deref().map(str::to_owned), String::from_utf8_lossy(&p.text).into_owned());
        let told: Vec<_> = pieces.iter().filter(|p| !p.redraw).map(text).collect();
        let by = |name: &str, text: &str| (Some(name.to_owned()), text.to_owned());
        assert_eq!(told, [(None, "of nobody".to_owned()), by("f", "whole"), by("f", "half"), by("g", "bar")]);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut output = Output::default();
        assert_eq!(output.tail_text(), "");
        let text: String = (0..50).map(|i| format!("line {i}\n")).collect();
        told(&mut output, text.as_bytes(), false, LIVE);
        assert!(output.tail_text().starts_with("\nits last lines of output:\n  line 30\n"));
        assert!(output.tail_text().ends_with("line 49"));
    }
}
