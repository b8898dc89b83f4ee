//! What can go wrong with a connection.

use std::path::PathBuf;

use rustix::io::Errno;

/// An error of a socket, a frame or a process handle.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The kernel refused. Fatal for the object at hand, unless the reason says otherwise.
    #[error("{what}: {source}")]
    Os {
        /// The call that failed.
        what: &'static str,
        /// The kernel's reason.
        source: Errno,
    },
    /// The peer has closed the connection. Fatal for it.
    #[error("connection closed by the peer")]
    Closed,
    /// The time limit of a blocking call passed. Retry: nothing is lost.
    #[error("timed out")]
    TimedOut,
    /// A signal was handled during a blocking call. Retry: nothing is lost.
    #[error("interrupted by a signal")]
    Interrupted,
    /// A frame is larger than [`MAX_FRAME`](crate::MAX_FRAME). Sending: nothing was queued. Receiving: fatal.
    #[error("frame of {len} bytes, the limit is {limit}")]
    FrameTooLarge {
        /// Bytes of the message.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// More descriptors than one frame, or one connection's backlog, may hold. Sending: nothing was queued.
    #[error("{count} descriptors, the limit is {limit}")]
    TooManyDescriptors {
        /// How many there were.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// The peer speaks another version of the protocol. Fatal for the connection.
    #[error("frame of version {found}, this is version {expected}")]
    Version {
        /// The peer's version.
        found: u8,
        /// Ours.
        expected: u8,
    },
    /// A message doesn't decode as the expected type. Fatal for the connection.
    #[error("message of {len} bytes doesn't decode: {source}")]
    Decode {
        /// Bytes of the message.
        len: usize,
        /// postcard's reason.
        source: postcard::Error,
    },
    /// A message decodes, and something is left. Fatal for the connection.
    #[error("{count} bytes after the end of a message")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// A message doesn't encode. Nothing was queued.
    #[error("message doesn't encode: {0}")]
    Encode(postcard::Error),
    /// The kernel dropped descriptors, because this process may open no more. Fatal for the connection.
    #[error("descriptors were lost: this process has as many open as its limit allows")]
    DescriptorsLost,
    /// Frames and descriptors don't match. Fatal for the connection.
    #[error("{found} descriptors arrived where {expected} were announced")]
    DescriptorMismatch {
        /// What the frame says.
        expected: usize,
        /// What is there.
        found: usize,
    },
    /// The peer runs as another user. Close the connection without a word.
    #[error("peer runs as user {found}, only user {expected} is served")]
    OtherUser {
        /// The peer's user id.
        found: u32,
        /// Ours.
        expected: u32,
    },
    /// Somebody answers on the socket, or the path is no socket. Choose another path.
    #[error("{path}: in use")]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// A path has no folder and name that a socket could have.
    #[error("{path}: not a path for a socket")]
    BadPath {
        /// The path.
        path: PathBuf,
    },
    /// `/proc` doesn't say when a process started: it has ended, or it isn't the one that was meant.
    #[error("process {pid} has ended")]
    NoProcess {
        /// Its id.
        pid: u32,
    },
}

impl NetError {
    pub(crate) fn os(what: &'static str) -> impl FnOnce(Errno) -> Self {
        move |source| NetError::Os { what, source }
    }
}
