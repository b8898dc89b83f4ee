//! Sockets between the processes of one node: framed messages with descriptors, wake-up datagrams, readiness.
//!
//! In call order:
//! 1. a daemon [`listen`]s on a path and [`accept`]s; a process [`connect`]s; each checks [`same_user`];
//! 2. both sides keep a [`FrameWriter`] and a [`FrameReader`] for the connection;
//!    (where it may have opened all that it may, [`FrameReader::fill_if_room`], and [`Room`] when there is none);
//! 3. an I/O thread waits in a [`Poller`] for its sockets, its [`WakeSocket`], its [`EventFd`] and the
//!    [`PidFd`]s of processes whose end matters to it.
//!
//! ```
//! # fn main() -> Result<(), shoal_net::NetError> {
//! use shoal_net::{FrameReader, FrameWriter};
//!
//! let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
//! let file: std::os::fd::OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
//! FrameWriter::new().send_blocking(&a, &("hello", 7u32), vec![file])?;
//! let ((text, number), fds) = FrameReader::new().recv_blocking::<(String, u32)>(&b, None)?;
//! assert_eq!((text.as_str(), number, fds.len()), ("hello", 7, 1));
//! # Ok(())
//! # }
//! ```
//!
//! Not here: what the messages are, when to read or write, TLS and other nodes.
//!
//! - NET-1 nothing here waits, except what says `blocking` in its name, [`connect`], and [`Poller::wait`].
//! - NET-2 every descriptor that is made or received is close-on-exec and owned; on any error it is closed.
//! - NET-3 no length or count from a peer is used before it was checked; memory grows with what arrived, not with
//!   what was announced.
#![deny(missing_docs)]

pub mod broken;
mod datagram;
mod error;
mod frame;
mod path;
mod peer;
mod poll;
mod process;
mod reader;
mod room;
mod writer;

pub use datagram::{WAKE_NAME, WakeSocket};
pub use error::NetError;
pub use frame::{MAX_DESCRIPTORS, MAX_FRAME, VERSION};
pub use path::{accept, connect, listen};
pub use peer::{peer_cred, same_user};
pub use poll::{Event, EventFd, Interest, Poller};
pub use process::{PidFd, process_start_time};
pub use reader::{Filled, FrameReader};
pub use room::Room;
pub use writer::{Flushed, FrameWriter};
