//! Two processes: a child connects to a path, shows who it is, passes a descriptor, and ends.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use shoal_net::{
    FrameReader, FrameWriter, Interest, NetError, PidFd, Poller, WakeSocket, accept, connect, listen, peer_cred,
    same_user,
};

const LIMIT: Option<Duration> = Some(Duration::from_secs(20));
const ROLE: &str = "SHOAL_NET_TEST_PATH";

/// What the child does: this very test binary, told by a variable where to connect.
#[test]
fn child() {
    let Some(path) = std::env::var_os(ROLE) else { return };
    let sock = connect(PathBuf::from(path)).unwrap();
    same_user(&sock).unwrap();
    let (mut writer, mut reader) = (FrameWriter::new(), FrameReader::new());
    let (read, mut write) = std::io::pipe().unwrap();
    writer.send_blocking(&sock, &std::process::id(), vec![read.into()]).unwrap();
    let (name, _) = reader.recv_blocking::<[u8; 16]>(&sock, LIMIT).unwrap();
    write.write_all(b"from the child").unwrap();
    drop(write);
    let (own, _) = WakeSocket::bind().unwrap();
    assert!(own.wake(&name).unwrap());
    // Lives until the parent closes the connection.
    assert!(matches!(reader.recv_blocking::<u8>(&sock, LIMIT), Err(NetError::Closed)));
}

fn wait_readable(fd: impl std::os::fd::AsFd) {
    let (poller, mut events) = (Poller::new().unwrap(), Vec::new());
    poller.add(fd, 0, Interest::Read).unwrap();
    poller.wait(&mut events, LIMIT).unwrap();
    assert!(events.len() == 1 && events[0].readable, "{events:?}");
}

fn spawn(path: &Path) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child"]).env(ROLE, path).stdout(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_child_connects_passes_a_descriptor_and_wakes() {
    let path = std::env::temp_dir().join(format!("shoal-net-{}-child", std::process::id()));
    let listener = listen(&path).unwrap();
    let mut child = spawn(&path);
    wait_readable(&listener);
    let sock = accept(&listener).unwrap().unwrap();
    std::fs::remove_file(&path).unwrap();
    same_user(&sock).unwrap();
    assert_eq!(peer_cred(&sock).unwrap().0, child.id());

    let (socket, name) = WakeSocket::bind().unwrap();
    let (mut writer, mut reader) = (FrameWriter::new(), FrameReader::new());
    let (pid, mut fds) = reader.recv_blocking::<u32>(&sock, LIMIT).unwrap();
    assert_eq!(pid, child.id());
    writer.send_blocking(&sock, &name, vec![]).unwrap();
    wait_readable(&socket);
    assert!(socket.drain());
    let mut text = String::new();
    File::from(fds.remove(0)).read_to_string(&mut text).unwrap();
    assert_eq!(text, "from the child");

    let process = PidFd::open(pid).unwrap();
    assert!(!process.has_exited());
    drop(sock);
    wait_readable(&process);
    assert!(child.wait().unwrap().success());
}
