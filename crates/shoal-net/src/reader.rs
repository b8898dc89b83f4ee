//! The receiving half of a connection.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recv, recvmsg};
use serde::de::DeserializeOwned;

use crate::error::NetError;
use crate::frame::{HEADER, Header, MAX_DESCRIPTORS};
use crate::poll::wait_for;

/// What one read asks for at least.
const CHUNK: usize = 16 << 10;
/// A buffer that grew beyond this is given back when it is empty.
const KEEP: usize = 256 << 10;
/// Descriptors that may wait for their frames: against a peer that sends them without end.
const MAX_WAITING: usize = 4 * MAX_DESCRIPTORS;

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// Some bytes: ask for frames.
    Data,
    /// Nothing now: fill again when the socket is readable.
    WouldBlock,
    /// The peer has closed; frames that came before can still be had.
    Eof,
}

/// What one system call gave.
enum Received {
    Bytes {
        count: usize,
        fds: Vec<OwnedFd>,
        /// Not all descriptors are among `fds`.
        cut: bool,
    },
    Nothing(Filled),
}

/// Gathers bytes and descriptors, and gives out whole frames. After an error the connection is of no more use.
#[derive(Debug, Default)]
pub struct FrameReader {
    /// Initialised memory, of which `start..end` was received and not given out.
    buf: Vec<u8>,
    start: usize,
    end: usize,
    fds: VecDeque<OwnedFd>,
}

impl FrameReader {
    /// A reader that has received nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads once. Call [`next`](Self::next) until it gives none before filling again.
    pub fn fill(&mut self, sock: impl AsFd) -> Result<Filled, NetError> {
        self.make_room();
        match self.receive(sock.as_fd(), RecvFlags::empty())? {
            Received::Bytes { cut: true, .. } => Err(NetError::DescriptorsLost),
            Received::Bytes { count, fds, .. } => self.keep(count, fds),
            Received::Nothing(filled) => Ok(filled),
        }
    }

    /// As [`fill`](Self::fill), with one more system call. `None` when descriptors came that this process has no room
    /// for: nothing was taken, so nothing is lost (FRAME-4).
    pub fn fill_if_room(&mut self, sock: impl AsFd) -> Result<Option<Filled>, NetError> {
        self.make_room();
        loop {
            match self.receive(sock.as_fd(), RecvFlags::PEEK)? {
                Received::Bytes { cut: true, .. } => return Ok(None),
                // A look that fills the buffer also shows the descriptors of what comes next: a longer one tells whose.
                Received::Bytes { count, fds, .. } if !fds.is_empty() && self.end + count == self.buf.len() => {
                    self.buf.resize(2 * self.buf.len(), 0);
                }
                Received::Bytes { count, fds, .. } => {
                    self.take(sock.as_fd(), count)?;
                    return self.keep(count, fds).map(Some);
                }
                Received::Nothing(filled) => return Ok(Some(filled)),
            }
        }
    }

    /// The next whole frame with its descriptors.
    #[allow(clippy::should_implement_trait)]
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<Option<(T, Vec<OwnedFd>)>, NetError> {
        let bytes = &self.buf[self.start..self.end];
        let Some(header) = Header::decode(bytes)? else {
            return if bytes.is_empty() { self.check_stray().map(|()| None) } else { Ok(None) };
        };
        let Some(body) = bytes.get(HEADER..HEADER + header.len) else { return Ok(None) };
        let msg = decode(body)?;
        if self.fds.len() < header.nfds {
            return Err(NetError::DescriptorMismatch { expected: header.nfds, found: self.fds.len() });
        }
        self.start += HEADER + header.len;
        Ok(Some((msg, self.fds.drain(..header.nfds).collect())))
    }

    /// Waits for one frame, at most `timeout` in all. Time and signals lose nothing: call again.
    pub fn recv_blocking<T: DeserializeOwned>(
        &mut self,
        sock: impl AsFd,
        timeout: Option<Duration>,
    ) -> Result<(T, Vec<OwnedFd>), NetError> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if let Some(frame) = self.next()? {
                return Ok(frame);
            }
            match self.fill(&sock)? {
                Filled::Data => {}
                Filled::Eof => return Err(NetError::Closed),
                Filled::WouldBlock => wait_for(sock.as_fd(), PollFlags::IN, deadline)?,
            }
        }
    }

    /// Whether the bytes at hand end within a frame. After [`Filled::Eof`] and the last frame, true means that the
    /// peer died while it wrote.
    pub fn is_partial(&self) -> bool {
        self.start != self.end
    }

    /// Moves what is left to the front and makes the buffer large enough for a read (NET-3: by doubling).
    fn make_room(&mut self) {
        if self.start != 0 {
            self.buf.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == 0 && self.buf.len() > KEEP {
            self.buf = Vec::new();
        }
        if self.buf.len() - self.end < CHUNK {
            self.buf.resize((2 * self.end).max(CHUNK), 0);
        }
    }

    /// One system call, into the free part of the buffer.
    fn receive(&mut self, sock: BorrowedFd<'_>, more: RecvFlags) -> Result<Received, NetError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC | more;
        let got = loop {
            let mut into = [IoSliceMut::new(&mut self.buf[self.end..])];
            match recvmsg(sock, &mut into, &mut control, flags) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Received::Nothing(Filled::WouldBlock)),
                Err(Errno::CONNRESET) => return Ok(Received::Nothing(Filled::Eof)),
                Err(source) => return Err(NetError::Os { what: "recvmsg", source }),
                Ok(got) => break got,
            }
        };
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                fds.extend(some);
            }
        }
        if got.bytes == 0 {
            return Ok(Received::Nothing(Filled::Eof));
        }
        Ok(Received::Bytes { count: got.bytes, fds, cut: got.flags.contains(ReturnFlags::CTRUNC) })
    }

    /// Takes from the socket what was looked at; the kernel's copies of its descriptors go.
    fn take(&mut self, sock: BorrowedFd<'_>, count: usize) -> Result<(), NetError> {
        let (mut from, end) = (self.end, self.end + count);
        while from < end {
            match recv(sock, &mut self.buf[from..end], RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return Err(NetError::Closed),
                Ok((_, taken)) => from += taken,
                Err(Errno::INTR) => {}
                Err(source) => return Err(NetError::Os { what: "recv", source }),
            }
        }
        Ok(())
    }

    /// Received bytes and descriptors join what waits.
    fn keep(&mut self, count: usize, fds: Vec<OwnedFd>) -> Result<Filled, NetError> {
        self.end += count;
        self.fds.extend(fds);
        if self.fds.len() > MAX_WAITING {
            return Err(NetError::TooManyDescriptors { count: self.fds.len(), limit: MAX_WAITING });
        }
        Ok(Filled::Data)
    }

    /// FRAME-3.
    fn check_stray(&self) -> Result<(), NetError> {
        if self.fds.is_empty() {
            return Ok(());
        }
        Err(NetError::DescriptorMismatch { expected: 0, found: self.fds.len() })
    }
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, NetError> {
    match postcard::take_from_bytes(body) {
        Ok((msg, [])) => Ok(msg),
        Ok((_, rest)) => Err(NetError::TrailingBytes { count: rest.len() }),
        Err(source) => Err(NetError::Decode { len: body.len(), source }),
    }
}
