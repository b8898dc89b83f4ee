//! A daemon in a process of its own, a zygote that is this test, workers that are this test's program again, and a
//! driver that is this process.
use serde_json::{Value, json};
use shoal_net::{FrameReader, FrameWriter, NetError, WakeSocket};
use shoal_proto::PROTOCOL;
use shoal_proto::control::{Hello, LogsWanted, Request, Role, ToClient, ToNode, Welcome};
use shoal_ring::Bell;
use shoal_types::{LeaseKey, Resources, UNIT, WorkerId};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// The test that is no test but the entry of the other processes.
pub fn play_role() {
    match std::env::var("SHOAL_TEST_ROLE").as_deref() {
        Ok("daemon") => {
            let config = std::env::var("SHOAL_TEST_CONFIG").unwrap();
            std::process::exit(shoal_node::run(&config, 3, 4, 0));
        }
        Ok("worker") => worker(),
        _ => {}
    }
}

fn again(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["role", "--exact", "--nocapture", "--quiet"]).env("SHOAL_TEST_ROLE", role);
    command
}

/// One connection.
pub struct Link {
    pub sock: OwnedFd,
    writer: FrameWriter,
    reader: FrameReader,
    _bell: Option<Bell>,
    _wake: Option<WakeSocket>,
    requests: u64,
}

impl Link {
    pub fn new(sock: OwnedFd) -> Self {
        Self { sock, writer: FrameWriter::new(), reader: FrameReader::new(), _bell: None, _wake: None, requests: 0 }
    }

    pub fn greet(&mut self, protocol: u32, role: Role) -> ToClient {
        let (bell, fd) = Bell::create().unwrap();
        bell.set_title("probe");
        let (wake_socket, wake) = WakeSocket::bind().unwrap();
        (self._bell, self._wake) = (Some(bell), Some(wake_socket));
        let hello = Hello { protocol, python: "3.11".into(), pid: std::process::id(), wake, role };
        self.writer.send_blocking(&self.sock, &ToNode::Hello(hello), vec![fd]).unwrap();
        self.next().expect("an answer to the greeting")
    }

    pub fn join(&mut self, role: Role) -> Welcome {
        match self.greet(PROTOCOL, role) {
            ToClient::Welcome(welcome) => *welcome,
            other => panic!("no welcome: {other:?}"),
        }
    }

    pub fn say(&mut self, msg: &ToNode) {
        self.writer.send_blocking(&self.sock, msg, vec![]).unwrap();
    }

    pub fn ask(&mut self, body: Request) {
        self.requests += 1;
        self.say(&ToNode::Request { req: self.requests, body });
    }

    pub fn want(&mut self, cpus: u64, want: u32, seen: u64) {
        let resources = Resources::from_pairs([("CPU", cpus * UNIT)]);
        let spec = Some(LeaseKey { resources, ..LeaseKey::default() });
        self.say(&ToNode::Demand { key: 1, spec, want, seen, depth: 0 });
    }

    pub fn tell(&mut self, to: WorkerId, text: &str) {
        self.say(&ToNode::Relay { to, body: text.into() });
    }

    /// The next message; `None` at end-of-file.
    pub fn next(&mut self) -> Option<ToClient> {
        match self.reader.recv_blocking(&self.sock, Some(PATIENCE)) {
            Ok((msg, _)) => Some(msg),
            Err(NetError::Closed) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Messages up to the one that `is_it`, and that one last.
    pub fn until(&mut self, what: &str, is_it: impl Fn(&ToClient) -> bool) -> Vec<ToClient> {
        let (mut seen, end) = (Vec::new(), Instant::now() + PATIENCE);
        while Instant::now() < end {
            let Some(msg) = self.next() else { panic!("end-of-file before {what}: {seen:?}") };
            let done = is_it(&msg);
            seen.push(msg);
            if done {
                return seen;
            }
        }
        panic!("no {what}: {seen:?}");
    }

    pub fn granted(&mut self) -> WorkerId {
        let seen = self.until("grant", |m| matches!(m, ToClient::Granted { .. }));
        let Some(ToClient::Granted { worker, .. }) = seen.last() else { unreachable!() };
        worker.worker
    }
}

/// Does what it is told in relayed messages.
fn worker() {
    let start = std::env::var("SHOAL_TEST_START").unwrap().parse().unwrap();
    let path = std::env::var("SHOAL_TEST_SOCKET").unwrap();
    let mut link = Link::new(shoal_net::connect(path).unwrap());
    let welcome = link.join(Role::Worker { start });
    let driver = welcome.driver.worker;
    while let Some(msg) = link.next() {
        match msg {
            ToClient::LaneOpened { caller: false, .. } => link.tell(driver, "lane"),
            ToClient::Retire => {
                link.say(&ToNode::Retiring(true));
                std::process::exit(0);
            }
            ToClient::Relayed { body, .. } => obey(&mut link, driver, std::str::from_utf8(&body).unwrap()),
            _ => {}
        }
    }
    std::process::exit(1);
}

fn obey(link: &mut Link, driver: WorkerId, text: &str) {
    match text.split_once(' ').unwrap_or((text, "")) {
        ("exit", code) => std::process::exit(code.parse().unwrap()),
        ("print", text) => {
            print!("{}", text.replace("\\n", "\n"));
            std::io::stdout().flush().unwrap();
            link.tell(driver, "printed");
        }
        ("flood", n) => {
            let line = "x".repeat(99);
            (0..n.parse::<usize>().unwrap()).for_each(|_| println!("{line}"));
            link.tell(driver, "flooded");
        }
        ("talk-and-die", n) => {
            (0..n.parse::<usize>().unwrap()).for_each(|i| link.tell(driver, &i.to_string()));
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
        ("hang-up", _) => {
            rustix::net::shutdown(&link.sock, rustix::net::Shutdown::Both).unwrap();
            std::thread::sleep(PATIENCE);
        }
        ("leave", reason) => {
            link.say(&ToNode::Leaving { reason: Some(reason.into()) });
            std::process::exit(4);
        }
        other => panic!("{other:?}"),
    }
}

pub struct Instance {
    pub daemon: Child,
    pub driver: Link,
    pub session: PathBuf,
    zygote: Option<JoinHandle<()>>,
}

impl Instance {
    /// A daemon, and this process connected to it but not greeted.
    pub fn start(name: &str) -> Self {
        let session = std::env::temp_dir().join(format!("shoal-node-test-{}-{name}", std::process::id()));
        std::fs::create_dir_all(session.join("logs")).unwrap();
        let (driver, first) = UnixStream::pair().unwrap();
        let (zygote, its) = UnixStream::pair().unwrap();
        let config = json!({
            "session": session, "socket": session.join("node.sock"), "owned_by_first_client": true,
            "resources": {"CPU": 2 * UNIT}, "object_store_memory": 64 << 20, "settings": {"infeasible_grace": 1.0, "warn_waiting_seconds": 0.1},
            "hostname": "here", "python": "3.11", "zygote_script": "", "package_root": "",
            "start": {"executable": "x", "prefix": "x", "flags": [], "environ": {}},
        });
        let mut command = again("daemon");
        command.env("SHOAL_TEST_CONFIG", config.to_string()).stdout(Stdio::null());
        let raw = [first.as_raw_fd(), its.as_raw_fd()];
        // SAFETY: dup and dup2 are allowed between fork and exec. First out of each other's way.
        unsafe {
            command.pre_exec(move || {
                let high = raw.map(|fd| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 10));
                libc::dup2(high[0], 3);
                libc::dup2(high[1], 4);
                Ok(())
            });
        }
        let daemon = command.spawn().unwrap();
        drop((first, its));
        let path = session.join("node.sock");
        let zygote = std::thread::spawn(move || fork_for(zygote, path));
        let mut driver = driver;
        let mut byte = [0];
        driver.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"+");
        Self { daemon, driver: Link::new(driver.into()), session, zygote: Some(zygote) }
    }

    /// The same, greeted as a driver.
    pub fn joined(name: &str) -> Self {
        let mut this = Self::start(name);
        this.driver.join(driver_role());
        this
    }

    /// Waits until the log files hold so many bytes.
    pub fn logged(&self, bytes: usize) {
        let end = Instant::now() + PATIENCE;
        let size = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().metadata().unwrap().len() as usize;
        while std::fs::read_dir(self.session.join("logs")).unwrap().map(size).sum::<usize>() < bytes {
            assert!(Instant::now() < end, "the logs hold less than {bytes} bytes");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The daemon ends by itself, with this code, and leaves logs only.
    pub fn ends(mut self) {
        while self.driver.next().is_some() {}
        assert_eq!(self.daemon.wait().unwrap().code(), Some(0));
        self.zygote.take().unwrap().join().unwrap();
        let left: Vec<_> = std::fs::read_dir(&self.session).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["logs"]);
        std::fs::remove_dir_all(&self.session).unwrap();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

pub fn driver_role() -> Role {
    let start = json!({"executable": "x", "prefix": "x", "flags": [], "environ": {}}).to_string();
    Role::Driver { namespace: "ns".into(), start, logs: LogsWanted::Lines }
}

/// The zygote: starts workers as this program again, says so, and how they ended.
fn fork_for(sock: UnixStream, path: PathBuf) {
    let mut children: Vec<Child> = Vec::new();
    let (mut received, mut fds) = (Vec::new(), Vec::<OwnedFd>::new());
    sock.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    loop {
        if !receive(&sock, &mut received, &mut fds) {
            break;
        }
        while let Some(end) = received.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = received.drain(..=end).collect();
            let request: Value = serde_json::from_slice(&line).unwrap();
            let (out, err) = (fds.remove(0), fds.remove(0));
            let mut command = again("worker");
            command.env("SHOAL_TEST_START", request["start"].to_string()).env("SHOAL_TEST_SOCKET", &path);
            let child = command.process_group(0).stdout(out).stderr(err).spawn().unwrap();
            say(&sock, &json!({"start": request["start"], "pid": child.id()}));
            children.push(child);
        }
        children.retain_mut(|child| match child.try_wait().unwrap() {
            Some(status) => {
                use std::os::unix::process::ExitStatusExt;
                say(&sock, &json!({"pid": child.id(), "status": status.into_raw()}));
                false
            }
            None => true,
        });
    }
    for mut child in children {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn say(mut sock: &UnixStream, line: &Value) {
    let _ = sock.write_all(format!("{line}\n").as_bytes());
}

/// False at end-of-file.
fn receive(sock: &UnixStream, received: &mut Vec<u8>, fds: &mut Vec<OwnedFd>) -> bool {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut buf = [0; 4096];
    let mut into = [std::io::IoSliceMut::new(&mut buf)];
    let got = match recvmsg(sock.as_fd(), &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
        Ok(got) => got.bytes,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return true,
        Err(_) => return false,
    };
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(new) = message {
            fds.extend(new);
        }
    }
    received.extend_from_slice(&buf[..got]);
    got > 0
}
