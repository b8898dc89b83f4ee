//! Who is at the other end of a Unix socket.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

use crate::error::NetError;

/// Process and user id of the peer, as they were when it connected (or listened). The process id is 0 for a process
/// outside this process-id namespace.
pub fn peer_cred(sock: impl AsFd) -> Result<(u32, u32), NetError> {
    // Not rustix's call: its process ids can't be 0.
    let mut cred = MaybeUninit::<libc::ucred>::zeroed();
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    let fd = sock.as_fd().as_raw_fd();
    // SAFETY: `cred` has room for `len` bytes.
    let rc = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED, cred.as_mut_ptr().cast(), &mut len) };
    if rc != 0 {
        let source = Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO);
        return Err(NetError::Os { what: "getsockopt(SO_PEERCRED)", source });
    }
    // SAFETY: zeroed, then written; any bits are valid integers.
    let cred = unsafe { cred.assume_init() };
    Ok((u32::try_from(cred.pid).unwrap_or(0), cred.uid))
}

/// Refuses a peer that runs as another user; root is no exception, in either direction.
pub fn same_user(sock: impl AsFd) -> Result<(), NetError> {
    let (_, found) = peer_cred(sock)?;
    let expected = rustix::process::geteuid().as_raw();
    if found == expected { Ok(()) } else { Err(NetError::OtherUser { found, expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_of_one_process_and_user() {
        let (a, _b) = std::os::unix::net::UnixStream::pair().unwrap();
        let uid = rustix::process::getuid().as_raw();
        assert_eq!(peer_cred(&a).unwrap(), (std::process::id(), uid));
        same_user(&a).unwrap();
    }

    #[test]
    fn what_is_no_socket_is_an_error() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(matches!(peer_cred(&file), Err(NetError::Os { source: Errno::NOTSOCK, .. })));
    }
}
