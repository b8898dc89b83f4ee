//! Stream sockets at a path.
//!
//! - PATH-1 a socket's file has mode 0600 from its first moment: the descriptor's mode, set before `bind`, is what
//!   Linux makes the file with.
//! - PATH-2 an old socket's file is removed only when nobody answers on it. Who listens does so under a lock of
//!   the folder, so that nobody removes what another has just made.
//! - PATH-3 a path too long for a socket address goes through `/proc/self/fd/N/name`, N being its opened folder.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, FlockOperation, Mode, OFlags, flock, stat, unlink};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, socket_with};

use crate::error::NetError;

/// Bytes of a path in a socket address, less the zero at its end.
const MAX_PATH: usize = 107;
const BACKLOG: i32 = 1024;

/// Listens at `path`, which becomes a socket that only this user can connect to. The descriptor doesn't block.
pub fn listen(path: impl AsRef<Path>) -> Result<OwnedFd, NetError> {
    let path = path.as_ref();
    let (folder, _) = split(path)?;
    let lock = open_folder(folder, OFlags::RDONLY)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(NetError::os("flock"))?;
    let place = Place::of(path)?;
    match bind_and_listen(&place) {
        Err(NetError::Os { source: Errno::ADDRINUSE, .. }) => {}
        result => return result,
    }
    remove_stale(path, &place)?;
    bind_and_listen(&place)
}

/// Takes the next connection from a listener; `None` when there is none now. The descriptor doesn't block.
pub fn accept(listener: impl AsFd) -> Result<Option<OwnedFd>, NetError> {
    loop {
        match accept_with(&listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(sock) => return Ok(Some(sock)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(source) => return Err(NetError::Os { what: "accept4", source }),
        }
    }
}

/// Connects to the listener at `path`; waits while its backlog is full.
pub fn connect(path: impl AsRef<Path>) -> Result<OwnedFd, NetError> {
    try_connect(&Place::of(path.as_ref())?, SocketFlags::CLOEXEC).map_err(NetError::os("connect"))
}

/// An address, and the folder that it may go through.
struct Place {
    addr: SocketAddrUnix,
    _folder: Option<OwnedFd>,
}

impl Place {
    fn of(path: &Path) -> Result<Self, NetError> {
        let bad = |_| NetError::BadPath { path: path.to_owned() };
        let (folder, name) = split(path)?;
        if path.as_os_str().len() <= MAX_PATH {
            return Ok(Place { addr: SocketAddrUnix::new(path).map_err(bad)?, _folder: None });
        }
        let folder = open_folder(folder, OFlags::PATH)?;
        let short: PathBuf = ["/proc/self/fd".as_ref(), folder.as_raw_fd().to_string().as_ref(), name].iter().collect();
        if short.as_os_str().len() > MAX_PATH {
            return Err(bad(Errno::NAMETOOLONG));
        }
        Ok(Place { addr: SocketAddrUnix::new(&short).map_err(bad)?, _folder: Some(folder) })
    }
}

/// The folder and the name in it.
fn split(path: &Path) -> Result<(&Path, &OsStr), NetError> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(NetError::BadPath { path: path.to_owned() });
    };
    Ok((if folder.as_os_str().is_empty() { Path::new(".") } else { folder }, name))
}

fn open_folder(folder: &Path, how: OFlags) -> Result<OwnedFd, NetError> {
    let flags = how | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::empty()).map_err(NetError::os("open the socket's folder"))
}

fn new_socket(flags: SocketFlags) -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

fn bind_and_listen(place: &Place) -> Result<OwnedFd, NetError> {
    let sock = new_socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).map_err(NetError::os("socket"))?;
    rustix::fs::fchmod(&sock, Mode::RUSR | Mode::WUSR).map_err(NetError::os("fchmod"))?;
    bind(&sock, &place.addr).map_err(NetError::os("bind"))?;
    rustix::net::listen(&sock, BACKLOG).map_err(NetError::os("listen"))?;
    Ok(sock)
}

fn try_connect(place: &Place, flags: SocketFlags) -> rustix::io::Result<OwnedFd> {
    let sock = new_socket(flags)?;
    rustix::io::retry_on_intr(|| rustix::net::connect(&sock, &place.addr))?;
    Ok(sock)
}

/// PATH-2, under the folder's lock.
fn remove_stale(path: &Path, place: &Place) -> Result<(), NetError> {
    let in_use = || NetError::InUse { path: path.to_owned() };
    let kind = match stat(path) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode),
        Err(Errno::NOENT) => return Ok(()),
        Err(source) => return Err(NetError::Os { what: "stat", source }),
    };
    if kind != FileType::Socket {
        return Err(in_use());
    }
    match try_connect(place, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
        Err(Errno::CONNREFUSED) => {}
        // Also EAGAIN: a full backlog is an answer.
        _ => return Err(in_use()),
    }
    match unlink(path) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(source) => Err(NetError::Os { what: "unlink", source }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// A folder of the test's own, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("shoal-net-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn round_trip(path: &Path) {
        let listener = listen(path).unwrap();
        assert!(accept(&listener).unwrap().is_none());
        let client = connect(path).unwrap();
        let server = accept(&listener).unwrap().unwrap();
        rustix::io::write(&client, b"x").unwrap();
        assert_eq!(rustix::io::read(&server, &mut [0; 8]).unwrap(), 1);
        assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o600, "PATH-1");
    }

    #[test]
    fn a_short_path_works() {
        let folder = Folder::new("short");
        round_trip(&folder.0.join("s"));
    }

    #[test]
    fn a_long_path_works_and_a_long_name_does_not() {
        let folder = Folder::new("long");
        let deep = folder.0.join("d".repeat(100)).join("e".repeat(100));
        std::fs::create_dir_all(&deep).unwrap();
        round_trip(&deep.join("sock"));
        assert!(matches!(listen(deep.join("n".repeat(100))), Err(NetError::BadPath { .. })));
    }

    #[test]
    fn a_stale_socket_is_replaced_a_live_one_is_not() {
        let folder = Folder::new("stale");
        let path = folder.0.join("s");
        let first = listen(&path).unwrap();
        assert!(matches!(listen(&path), Err(NetError::InUse { .. })));
        drop(first);
        assert!(matches!(connect(&path), Err(NetError::Os { source: Errno::CONNREFUSED, .. })));
        round_trip(&path);
    }

    #[test]
    fn a_file_is_left_alone() {
        let folder = Folder::new("file");
        let path = folder.0.join("s");
        std::fs::write(&path, "mine").unwrap();
        assert!(matches!(listen(&path), Err(NetError::InUse { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn of_many_listeners_one_wins() {
        let folder = Folder::new("race");
        let path = folder.0.join("s");
        drop(listen(&path).unwrap());
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| listen(&path))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    }
}
