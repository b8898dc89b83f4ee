//! The sending half of a connection.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::Serialize;

use crate::error::NetError;
use crate::frame::{HEADER, Header, MAX_DESCRIPTORS};
use crate::poll::wait_for;

/// Small frames are gathered up to this size, so that many go in one system call.
const BATCH: usize = 64 << 10;

/// What a flush achieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// Everything is with the kernel.
    All,
    /// The socket takes no more: flush again when it is writable.
    WouldBlock,
}

/// Whole frames, sent from `sent` on; the descriptors belong to the first of them and go with its first byte.
#[derive(Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    sent: usize,
    fds: Vec<OwnedFd>,
}

/// Queues frames and sends them when the socket takes them.
#[derive(Debug, Default)]
pub struct FrameWriter {
    segments: VecDeque<Segment>,
    pending: usize,
}

impl FrameWriter {
    /// A writer with nothing queued.
    pub fn new() -> Self {
        Self::default()
    }

    /// Queues one message; its descriptors are closed here once they are sent.
    pub fn queue<T: Serialize + ?Sized>(&mut self, msg: &T, fds: Vec<OwnedFd>) -> Result<(), NetError> {
        let mut frame = postcard::to_extend(msg, vec![0; HEADER]).map_err(NetError::Encode)?;
        let header = Header::new(frame.len() - HEADER, fds.len())?;
        frame[..HEADER].copy_from_slice(&header.encode());
        self.pending += frame.len();
        match self.segments.back_mut() {
            Some(last) if fds.is_empty() && last.bytes.len() + frame.len() <= BATCH => last.bytes.extend(frame),
            _ => self.segments.push_back(Segment { bytes: frame, sent: 0, fds }),
        }
        Ok(())
    }

    /// Bytes queued and not sent.
    pub fn pending_bytes(&self) -> usize {
        self.pending
    }

    /// Sends what the socket takes.
    pub fn flush(&mut self, sock: impl AsFd) -> Result<Flushed, NetError> {
        let sock = sock.as_fd();
        while let Some(segment) = self.segments.front_mut() {
            let count = match send(sock, &segment.bytes[segment.sent..], &segment.fds) {
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                // The same number as EWOULDBLOCK.
                Err(Errno::AGAIN) => return Ok(Flushed::WouldBlock),
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(NetError::Closed),
                Err(source) => return Err(NetError::Os { what: "sendmsg", source }),
            };
            segment.fds.clear();
            segment.sent += count;
            self.pending -= count;
            if segment.sent == segment.bytes.len() {
                self.segments.pop_front();
            }
        }
        Ok(Flushed::All)
    }

    /// Queues one message and waits until everything is sent; signals don't end the wait.
    pub fn send_blocking<T: Serialize + ?Sized>(
        &mut self,
        sock: impl AsFd,
        msg: &T,
        fds: Vec<OwnedFd>,
    ) -> Result<(), NetError> {
        self.queue(msg, fds)?;
        while self.flush(&sock)? == Flushed::WouldBlock {
            match wait_for(sock.as_fd(), PollFlags::OUT, None) {
                Ok(()) | Err(NetError::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// One system call: bytes, and descriptors with the first of them (FRAME-1).
fn send(sock: BorrowedFd<'_>, bytes: &[u8], fds: &[OwnedFd]) -> rustix::io::Result<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    if fds.is_empty() {
        return rustix::net::send(sock, bytes, flags);
    }
    let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&borrowed)), "FRAME-1 no room for {} descriptors", fds.len());
    sendmsg(sock, &[IoSlice::new(bytes)], &mut control, flags)
}
