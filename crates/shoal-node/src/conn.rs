//! One connection: frames in, frames out, and whether it still lives.
use serde::Serialize;
use shoal_net::{Flushed, FrameReader, FrameWriter, Interest, NetError, Poller};
use shoal_proto::control::ToClient;
use shoal_types::WorkerId;
use std::os::fd::OwnedFd;

/// Queued output of a client that doesn't read: beyond this its logs are left out …
const LOGS_BOUND: usize = 8 << 20;
/// … and beyond this it is given up.
const BOUND: usize = 512 << 20;

pub(crate) struct Conn {
    pub fd: OwnedFd,
    pub reader: FrameReader,
    writer: FrameWriter,
    pub token: u64,
    /// The process at the other end when it connected.
    pub pid: u32,
    /// Who it is, after its greeting.
    pub client: Option<WorkerId>,
    /// What it says is not read any more; only its end counts.
    pub lingering: bool,
    /// The poller tells when there is room to write.
    waits: bool,
    pub dirty: bool,
}

impl Conn {
    pub fn new(fd: OwnedFd, token: u64, pid: u32) -> Self {
        let (reader, writer) = (FrameReader::new(), FrameWriter::new());
        Self { fd, reader, writer, token, pid, client: None, lingering: false, waits: false, dirty: false }
    }

    /// Whether it reads fast enough to get lines of output.
    pub fn has_room_for_logs(&self) -> bool {
        self.writer.pending_bytes() <= LOGS_BOUND
    }

    /// Queues a message; whether there was room for it.
    pub fn queue(&mut self, msg: &ToClient, fds: Vec<OwnedFd>) -> bool {
        if self.writer.pending_bytes() > BOUND {
            return false;
        }
        self.dirty = true;
        self.queue_any(msg, fds)
    }

    fn queue_any<T: Serialize>(&mut self, msg: &T, fds: Vec<OwnedFd>) -> bool {
        self.writer.queue(msg, fds).is_ok()
    }

    /// Sends what the socket takes; whether the peer is still there.
    pub fn flush(&mut self, poller: &Poller) -> bool {
        self.dirty = false;
        let waits = match self.writer.flush(&self.fd) {
            Ok(Flushed::All) => false,
            Ok(Flushed::WouldBlock) => true,
            Err(NetError::Closed) => return false,
            Err(_) => return false,
        };
        if waits != self.waits {
            self.waits = waits;
            let interest = if waits { Interest::ReadWrite } else { Interest::Read };
            let _ = poller.modify(&self.fd, self.token, interest);
        }
        true
    }
}
