//! The connection to the daemon: frames out from any thread, frames in by the I/O thread.
//!
//! - CTRL-1 a process that has opened all that it may still gets its lanes, which need no descriptor once they are mapped.
//!   What comes is looked at before it is taken (FRAME-4). Without room, the process may have more for one system call
//!   (ROOM-1); where it may have no more in any case, it gives up what it holds in reserve: as many as a frame brings.
use crate::asking::SIGN;
use crate::runtime::Runtime;
use parking_lot::Mutex;
use shoal_net::{Filled, Flushed, FrameReader, FrameWriter, NetError, Room};
use shoal_proto::control::{Request, ToClient, ToNode};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// A lane comes with its memory and its peer's bell.
const RESERVE: usize = 2;

pub(crate) struct Control {
    socket: OwnedFd,
    writer: Mutex<FrameWriter>,
    reader: Mutex<FrameReader>,
    pub(crate) full: AtomicBool,
    requests: AtomicU64,
    /// CTRL-1.
    reserve: Mutex<Vec<OwnedFd>>,
    /// Why the connection is of no more use, though the daemon lives.
    lost: OnceLock<NetError>,
}

impl Control {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        let this = Self {
            socket,
            writer: Mutex::new(FrameWriter::new()),
            reader: Mutex::new(FrameReader::new()),
            full: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            reserve: Mutex::default(),
            lost: OnceLock::new(),
        };
        this.hold_reserve();
        this
    }

    /// Takes back what [`Control::fill`] gave up, as far as there are descriptors. Nothing to do but in great need.
    pub(crate) fn hold_reserve(&self) {
        let mut reserve = self.reserve.lock();
        while reserve.len() < RESERVE
            && let Ok(fd) = self.socket.try_clone()
        {
            reserve.push(fd);
        }
    }

    /// Why the connection is of no more use, though the daemon lives.
    pub(crate) fn lost(&self) -> Option<&NetError> {
        self.lost.get()
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(crate) fn send_blocking(&self, msg: &ToNode, fds: Vec<OwnedFd>) -> Result<(), NetError> {
        self.writer.lock().send_blocking(&self.socket, msg, fds)
    }

    pub(crate) fn receive_blocking(&self, timeout: Duration) -> Result<(ToClient, Vec<OwnedFd>), NetError> {
        self.reader.lock().recv_blocking(&self.socket, Some(timeout))
    }

    /// Queues a frame; [`Control::flush`] sends it.
    pub(crate) fn queue(&self, msg: &ToNode) {
        self.writer.lock().queue(msg, Vec::new()).expect("control messages are under the frame limit");
    }

    /// Sends what is queued as far as the socket takes it; the I/O thread sends the rest. A broken connection is found
    /// by the I/O thread.
    pub(crate) fn flush(&self) {
        let result = self.writer.lock().flush(&self.socket);
        self.full.store(matches!(result, Ok(Flushed::WouldBlock)), SeqCst);
    }

    pub(crate) fn send(&self, msg: &ToNode) {
        self.queue(msg);
        self.flush();
    }

    /// Reads what is there. `None` when the daemon is gone, or the connection of no more use. Call
    /// [`Control::hold_reserve`] when what was read is done with.
    pub(crate) fn fill(&self) -> Option<Filled> {
        match self.fill_with_room() {
            Ok(Filled::Eof) => None,
            Ok(filled) => Some(filled),
            Err(error) => {
                let _ = self.lost.set(error);
                None
            }
        }
    }

    /// CTRL-1.
    fn fill_with_room(&self) -> Result<Filled, NetError> {
        let mut reader = self.reader.lock();
        if let Some(filled) = reader.fill_if_room(&self.socket)? {
            return Ok(filled);
        }
        let room = Room::make();
        if room.is_none() {
            self.reserve.lock().clear();
        }
        reader.fill(&self.socket)
    }

    pub(crate) fn next(&self) -> Result<Option<(ToClient, Vec<OwnedFd>)>, NetError> {
        self.reader.lock().next()
    }

    pub(crate) fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, SeqCst) + 1
    }
}

impl Runtime {
    /// Asks what a daemon that runs answers at once.
    pub(crate) fn ask_for_a_sign(&self) {
        let req = self.control.next_request() | SIGN;
        self.tell_node(&ToNode::Request { req, body: Request::Sync });
    }

    /// The daemon does not answer: what to say.
    pub(crate) fn silence(&self) -> String {
        let pid = self.session.pid;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        let how = match state {
            Some('T' | 't') => format!("; it is stopped, and 'kill -CONT {pid}' lets it go on"),
            _ => String::new(),
        };
        format!(
            "the node daemon (process {pid}) has not answered for 5 s{how}; calls that have a worker go on, what needs \
             the daemon waits"
        )
    }

    /// Says something to the daemon that has no answer.
    pub fn tell_node(&self, msg: &ToNode) {
        self.control.send(msg);
        if self.control.full.load(SeqCst) {
            self.kick.kick();
        }
    }
}
