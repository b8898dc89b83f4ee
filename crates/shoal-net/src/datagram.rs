//! Wake-ups by datagram: for a process whose I/O thread sleeps in its poll.
//!
//! - WAKE-1 a datagram says only "look": it has no content, may be lost when one is already waiting, and may come
//!   from anybody on the machine. What to look at stands in the bell.
//! - WAKE-2 the name is random and abstract: it leaves no file, and ends with the socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, recv, sendto, socket_with,
};

use crate::error::NetError;

/// Bytes of a wake-up socket's name.
pub const WAKE_NAME: usize = 16;

/// The socket on which a process is woken.
#[derive(Debug)]
pub struct WakeSocket(OwnedFd);

impl WakeSocket {
    /// Makes one, and the name by which peers [`wake`](Self::wake) it.
    pub fn bind() -> Result<(Self, [u8; WAKE_NAME]), NetError> {
        loop {
            let name = random_name()?;
            let sock = new_socket()?;
            match bind(&sock, &address(&name)?) {
                Ok(()) => return Ok((WakeSocket(sock), name)),
                Err(Errno::ADDRINUSE) => {}
                Err(source) => return Err(NetError::Os { what: "bind", source }),
            }
        }
    }

    /// Takes all wake-ups that wait; true if there were any.
    pub fn drain(&self) -> bool {
        let mut any = false;
        while recv(&self.0, &mut [0_u8; 1], RecvFlags::DONTWAIT | RecvFlags::TRUNC).is_ok() {
            any = true;
        }
        any
    }

    /// Wakes the process that bound `name`, from this socket. False if there is none any more.
    pub fn wake(&self, name: &[u8; WAKE_NAME]) -> Result<bool, NetError> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match sendto(&self.0, &[0], flags, &address(name)?) {
            // A full queue wakes as well as one more.
            Ok(_) | Err(Errno::AGAIN) => Ok(true),
            Err(Errno::CONNREFUSED) => Ok(false),
            Err(source) => Err(NetError::Os { what: "sendto", source }),
        }
    }

    /// The descriptor to poll for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for WakeSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

fn new_socket() -> Result<OwnedFd, NetError> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).map_err(NetError::os("socket"))
}

fn address(name: &[u8; WAKE_NAME]) -> Result<SocketAddrUnix, NetError> {
    SocketAddrUnix::new_abstract_name(name).map_err(NetError::os("socket address"))
}

fn random_name() -> Result<[u8; WAKE_NAME], NetError> {
    let mut name = [0; WAKE_NAME];
    // SAFETY: `name` has room for its length; so few bytes come whole or not at all.
    let got = unsafe { libc::getrandom(name.as_mut_ptr().cast(), name.len(), 0) };
    if usize::try_from(got) == Ok(name.len()) {
        return Ok(name);
    }
    let source = Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO);
    Err(NetError::Os { what: "getrandom", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_are_counted_once_and_never_wait() {
        let (socket, name) = WakeSocket::bind().unwrap();
        let (peer, _) = WakeSocket::bind().unwrap();
        assert!(!socket.drain());
        for _ in 0..10_000 {
            assert!(peer.wake(&name).unwrap());
        }
        assert!(socket.drain());
        assert!(!socket.drain());
    }

    #[test]
    fn a_socket_that_is_gone_is_told() {
        let (socket, name) = WakeSocket::bind().unwrap();
        let (peer, _) = WakeSocket::bind().unwrap();
        drop(socket);
        assert!(!peer.wake(&name).unwrap());
    }

    #[test]
    fn names_differ() {
        let (_a, first) = WakeSocket::bind().unwrap();
        let (_b, second) = WakeSocket::bind().unwrap();
        assert_ne!(first, second);
    }
}
