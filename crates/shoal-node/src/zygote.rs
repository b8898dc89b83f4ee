//! One zygote: its socket, what is still to be sent to it, what it says.
//!
//! Lines of JSON both ways over a stream socket. To it: `{"start": N, …}` with two descriptors, standard output and
//! standard error of the child, that ride on the line's first byte. From it: `{"ready": true}` once,
//! `{"start": N, "pid": P}` after a fork, `{"pid": P, "status": S}` when it has reaped a child, `{"start": N,
//! "error": TEXT}` when it could not fork. End-of-file: it is gone; for it: the daemon is, so it kills its children.
use crate::exits::Ended;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::Deserialize;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

/// What makes a zygote of its own: the interpreter, its prefix and options, and variables that act at its start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ZygoteKey {
    pub executable: String,
    pub prefix: String,
    pub flags: Vec<String>,
    pub environ: Vec<(String, String)>,
}

/// Whether a variable acts when a process starts or imports, so that setting it after a fork is too late.
pub(crate) fn acts_at_start(name: &str) -> bool {
    ["LD_", "PYTHON", "MALLOC_", "LC_", "GLIBC_TUNABLES"].iter().any(|p| name.starts_with(p)) || name == "LANG"
}

/// What a zygote says.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    pub start: Option<u64>,
    pub pid: Option<u32>,
    pub status: Option<i32>,
    pub error: Option<String>,
}

struct Line {
    bytes: Vec<u8>,
    sent: usize,
    fds: Vec<OwnedFd>,
}

pub(crate) struct Zygote {
    pub key: ZygoteKey,
    pub fd: OwnedFd,
    pub pid: u32,
    pub token: u64,
    lines: VecDeque<Line>,
    received: Vec<u8>,
    up: bool,
    /// When it last said something; at first when it was started.
    pub heard: u64,
    /// Its socket is closed.
    pub closed: bool,
    /// Its process has ended, and was reaped.
    pub ended: Option<Ended>,
}

impl Zygote {
    pub fn new(key: ZygoteKey, fd: OwnedFd, pid: u32, token: u64, now: u64) -> Self {
        Self {
            key,
            fd,
            pid,
            token,
            lines: VecDeque::new(),
            received: Vec::new(),
            up: false,
            heard: now,
            closed: false,
            ended: None,
        }
    }

    /// Whether it has said anything: what it is started with is all right.
    pub fn is_up(&self) -> bool {
        self.up
    }

    pub fn queue(&mut self, line: &serde_json::Value, fds: Vec<OwnedFd>) {
        let mut bytes = line.to_string().into_bytes();
        bytes.push(b'\n');
        self.lines.push_back(Line { bytes, sent: 0, fds });
    }

    /// Sends what the socket takes: whether something is left, or the error.
    pub fn flush(&mut self) -> Result<bool, Errno> {
        while let Some(line) = self.lines.front_mut() {
            let fds: Vec<_> = line.fds.iter().map(AsFd::as_fd).collect();
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !fds.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(&fds));
            }
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match sendmsg(&self.fd, &[IoSlice::new(&line.bytes[line.sent..])], &mut control, flags) {
                Ok(n) => line.sent += n,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Ok(true),
                Err(error) => return Err(error),
            }
            line.fds.clear();
            if line.sent == line.bytes.len() {
                self.lines.pop_front();
            }
        }
        Ok(false)
    }

    /// Reads what is there: whole lines, and whether it is still there.
    pub fn read(&mut self) -> (Vec<Said>, bool) {
        let mut buf = [0; 16 << 10];
        let alive = loop {
            match rustix::net::recv(&self.fd, &mut buf, rustix::net::RecvFlags::DONTWAIT) {
                Ok((_, 0)) => break false,
                Ok((_, n)) => self.received.extend_from_slice(&buf[..n]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break true,
                Err(_) => break false,
            }
        };
        let whole = self.received.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        self.up |= whole > 0;
        let lines: Vec<u8> = self.received.drain(..whole).collect();
        let said = lines.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        (said.collect(), alive)
    }
}
