//! Workers' output: from their pipes into files, and whole lines to their driver.
use crate::node::Node;
use crate::token::Token;
use shoal_net::Interest;
use shoal_proto::control::{LogLine, ToClient};
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

/// Last lines that are shown with a crash.
const TAIL: usize = 20;
/// A line is cut there; what follows is a line of its own.
const LONGEST: usize = 64 << 10;
/// Bytes read from one pipe before others have their turn.
const TURN: usize = 256 << 10;

/// One of a worker's two streams.
#[derive(Default)]
pub(crate) struct Stream {
    pipe: Option<OwnedFd>,
    file: Option<File>,
    /// A line without its end yet.
    partial: Vec<u8>,
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

    /// Reads once: into the file as it is, into `lines` as far as they are whole.
    fn read(&mut self, buf: &mut [u8], lines: &mut Vec<Vec<u8>>) -> (Got, usize) {
        let Some(pipe) = &self.pipe else { return (Got::End, 0) };
        let n = match rustix::io::read(pipe, &mut *buf) {
            Ok(0) => return (Got::End, 0),
            Ok(n) => n,
            Err(rustix::io::Errno::INTR) => return (Got::Bytes, 0),
            Err(rustix::io::Errno::AGAIN) => return (Got::Nothing, 0),
            Err(_) => return (Got::End, 0),
        };
        if let Some(file) = &mut self.file {
            // A full disk must not stop the worker; its driver still gets the lines.
            let _ = file.write_all(&buf[..n]);
        }
        self.partial.extend_from_slice(&buf[..n]);
        self.split(lines);
        (Got::Bytes, n)
    }

    fn split(&mut self, lines: &mut Vec<Vec<u8>>) {
        let mut rest = self.partial.as_slice();
        while let Some(at) = rest.iter().take(LONGEST).position(|b| *b == b'\n') {
            lines.push(rest[..at].to_vec());
            rest = &rest[at + 1..];
        }
        while rest.len() >= LONGEST {
            lines.push(rest[..LONGEST].to_vec());
            rest = &rest[LONGEST..];
        }
        self.partial = rest.to_vec();
    }

    fn finish(&mut self, lines: &mut Vec<Vec<u8>>) {
        if !self.partial.is_empty() {
            lines.push(std::mem::take(&mut self.partial));
        }
        (self.pipe, self.file) = (None, None);
    }
}

/// Both streams of a worker, and what it wrote last.
#[derive(Default)]
pub(crate) struct Output {
    pub out: Stream,
    pub err: Stream,
    tail: VecDeque<Vec<u8>>,
}

impl Output {
    pub fn new(out: Stream, err: Stream) -> Self {
        Self { out, err, tail: VecDeque::new() }
    }

    fn stream(&mut self, stderr: bool) -> &mut Stream {
        if stderr { &mut self.err } else { &mut self.out }
    }

    fn remember(&mut self, lines: &[Vec<u8>]) {
        self.tail.extend(lines.iter().cloned());
        let extra = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..extra);
    }

    /// The last lines, each indented; empty when there are none.
    pub fn tail_text(&self) -> String {
        let line = |line: &Vec<u8>| format!("\n  {}", String::from_utf8_lossy(line));
        let text: String = self.tail.iter().map(line).collect();
        if text.is_empty() { text } else { format!("\nits last lines of output:{text}") }
    }
}

impl Node {
    /// The worker's process is known: its pipes are read from now on.
    pub(crate) fn open_logs(&mut self, start: u64, pid: u32) {
        let folder = self.config.session.join("logs");
        let Some(proc) = self.procs.get_mut(&start) else { return };
        for (stderr, end, token) in [(false, "out", Token::Out(start)), (true, "err", Token::Err(start))] {
            let stream = proc.output.stream(stderr);
            stream.file = File::create(folder.join(format!("worker-{pid}.{end}"))).ok();
            if let Some(pipe) = &stream.pipe {
                let _ = self.poller.add(pipe, token.into(), Interest::Read);
            }
        }
    }

    /// A worker's pipe is readable.
    pub(crate) fn on_output(&mut self, start: u64, stderr: bool) {
        // An event may be older than the end of its process.
        let Some(proc) = self.procs.get_mut(&start) else { return };
        let mut buf = std::mem::take(&mut self.buffer);
        let (mut lines, mut total) = (Vec::new(), 0);
        let stream = proc.output.stream(stderr);
        while total < TURN {
            let (got, n) = stream.read(&mut buf, &mut lines);
            total += n;
            if got == Got::Bytes {
                continue;
            }
            if got == Got::End {
                stream.finish(&mut lines);
            }
            break;
        }
        self.buffer = buf;
        self.tell_lines(start, stderr, lines);
    }

    /// The worker is gone: what is left in its pipes is read, and both are closed.
    pub(crate) fn drain_output(&mut self, start: u64) {
        for stderr in [false, true] {
            let mut lines = Vec::new();
            let mut buf = std::mem::take(&mut self.buffer);
            if let Some(proc) = self.procs.get_mut(&start) {
                let stream = proc.output.stream(stderr);
                while stream.read(&mut buf, &mut lines).0 == Got::Bytes {}
                stream.finish(&mut lines);
            }
            self.buffer = buf;
            self.tell_lines(start, stderr, lines);
        }
    }

    fn tell_lines(&mut self, start: u64, stderr: bool, lines: Vec<Vec<u8>>) {
        let Some(proc) = self.procs.get_mut(&start).filter(|_| !lines.is_empty()) else { return };
        proc.output.remember(&lines);
        let (job, pid) = (proc.job, proc.pid.unwrap_or(0));
        let name = proc.worker.and_then(|w| self.clients.get(&w)).and_then(|c| c.title.title()).unwrap_or_default();
        let Some(driver) = self.jobs.get(&job).filter(|j| j.logs).map(|j| j.driver) else { return };
        let line = |line| LogLine { name: name.clone(), pid, stderr, line };
        self.send(driver, &ToClient::Logs(lines.into_iter().map(line).collect()), Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_long_ones_are_cut() {
        let (read, write) = crate::sys::pipe().unwrap();
        let (mut stream, mut lines, mut buf) = (Stream::new(read), Vec::new(), vec![0; 128 << 10]);
        rustix::io::write(&write, b"one\ntw").unwrap();
        assert!(stream.read(&mut buf, &mut lines).0 == Got::Bytes);
        assert_eq!(lines, [b"one".to_vec()]);
        rustix::io::write(&write, b"o\n\nend").unwrap();
        drop(write);
        while stream.read(&mut buf, &mut lines).0 == Got::Bytes {}
        stream.finish(&mut lines);
        assert_eq!(lines[1..], [b"two".to_vec(), Vec::new(), b"end".to_vec()]);
        stream.partial = vec![b'x'; LONGEST + 3];
        lines.clear();
        stream.split(&mut lines);
        assert_eq!((lines.len(), lines[0].len(), stream.partial.len()), (1, LONGEST, 3));
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut output = Output::default();
        assert_eq!(output.tail_text(), "");
        output.remember(&(0..50).map(|i| format!("line {i}").into_bytes()).collect::<Vec<_>>());
        assert!(output.tail_text().starts_with("\nits last lines of output:\n  line 30\n"));
        assert!(output.tail_text().ends_with("line 49"));
    }
}
