//! System calls that neither `std` nor `shoal-net` has.
use crate::config::NodeError;
use crate::descriptors;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Sixteen random bytes.
pub(crate) fn random_id() -> [u8; 16] {
    let mut out = [0; 16];
    rustix::rand::getrandom(&mut out, rustix::rand::GetRandomFlags::empty()).expect("getrandom gives 16 bytes at once");
    out
}

/// A clock that only goes forward, from the daemon's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    pub fn micros(&self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }
}

/// Orphans of our workers become ours, so that we can reap them; and all descriptors that we may have are ours to use.
pub(crate) fn prepare_process() {
    // SAFETY: plain system calls on plain values; a failure leaves things as they were.
    unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        let mut limit = std::mem::zeroed::<libc::rlimit>();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// A descriptor that reads SIGCHLD, SIGTERM, SIGINT and SIGHUP, which are blocked from here on.
pub(crate) fn signal_fd() -> Result<OwnedFd, NodeError> {
    // SAFETY: the set is plain memory of this frame; the descriptor is new and ours.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut set);
        for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(&mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        let fd = libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 {
            return Err(NodeError::os("signalfd")(std::io::Error::last_os_error()));
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// The next pending signal's number.
pub(crate) fn next_signal(fd: BorrowedFd<'_>) -> Option<i32> {
    let mut buf = [0; size_of::<libc::signalfd_siginfo>()];
    let read = rustix::io::read(fd, &mut buf).ok()?;
    (read == buf.len()).then(|| i32::from_ne_bytes([buf[0], buf[1], buf[2], buf[3]]))
}

/// Takes one ended child of ours: its number and wait status. Its process group is killed before its number is free.
pub(crate) fn reap() -> Option<(u32, i32)> {
    // SAFETY: `info` and `status` are plain memory of this frame.
    unsafe {
        let mut info = std::mem::zeroed::<libc::siginfo_t>();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        if libc::waitid(libc::P_ALL, 0, &mut info, flags) != 0 || info.si_pid() == 0 {
            return None;
        }
        let (pid, mut status) = (info.si_pid(), 0);
        if libc::getpgid(pid) == pid {
            libc::kill(-pid, libc::SIGKILL);
        }
        (libc::waitpid(pid, &mut status, libc::WNOHANG) == pid).then_some((pid as u32, status))
    }
}

/// Kills a worker: its process and all of its group.
pub(crate) fn kill_group(pid: u32) {
    let Ok(pid) = i32::try_from(pid) else { return };
    if pid > 1 {
        // SAFETY: plain system calls. The second one is for a child that has not yet made its group.
        unsafe {
            libc::kill(-pid, libc::SIGKILL);
            libc::kill(pid, libc::SIGKILL);
        }
    }
}

/// Kills a process alone: the children of a zygote live on.
pub(crate) fn kill_process(pid: u32) {
    let Ok(pid) = i32::try_from(pid) else { return };
    if pid > 1 {
        // SAFETY: a plain system call.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

/// Another descriptor of the same file, close-on-exec.
pub(crate) fn dup(fd: &OwnedFd) -> Option<OwnedFd> {
    fd.try_clone().ok()
}

/// The same, or why there is none.
pub(crate) fn spare(fd: &OwnedFd) -> Result<OwnedFd, String> {
    let limit = || format!("the daemon may have {} open files (ulimit -n)", descriptors::limit());
    fd.try_clone().map_err(|error| format!("{error}; {}", limit()))
}

/// A pipe: our end doesn't block, both are close-on-exec.
pub(crate) fn pipe() -> Option<(OwnedFd, OwnedFd)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).ok()?;
    rustix::io::ioctl_fionbio(&read, true).ok()?;
    Some((read, write))
}

/// No more will be written: the peer reads end-of-file, while we still see its own.
pub(crate) fn half_close(fd: &OwnedFd) {
    let _ = rustix::net::shutdown(fd, rustix::net::Shutdown::Write);
}

/// The session that a process belongs to: for what runs inside a worker, the worker.
pub(crate) fn session_of(pid: u32) -> Option<u32> {
    // SAFETY: a plain system call.
    let sid = unsafe { libc::getsid(i32::try_from(pid).ok()?) };
    u32::try_from(sid).ok()
}

/// Every process that can be seen.
pub(crate) fn all_processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Holds a folder against all others that ask so, until the descriptor is closed; `None`: somebody has it.
pub(crate) fn lock_folder(path: &std::path::Path) -> Option<OwnedFd> {
    let folder = std::fs::File::open(path).ok()?;
    rustix::fs::flock(&folder, rustix::fs::FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(folder.into())
}

/// The parent of a process.
pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// When a process began, in the kernel's ticks: with its number it is one process for ever.
pub(crate) fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// A line of `/proc/PID/stat`.
pub(crate) struct ProcStat {
    /// R, S, D, T (stopped), t (stopped by a debugger), Z.
    pub state: char,
    /// When it began: microseconds since 1970.
    pub began: u64,
}

impl ProcStat {
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let ticks: u64 = fields.nth(18)?.parse().ok()?;
        // SAFETY: a plain library call.
        let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok().filter(|n| *n > 0)?;
        let up = std::fs::read_to_string("/proc/uptime").ok()?;
        let up: f64 = up.split_ascii_whitespace().next()?.parse().ok()?;
        let booted = crate::tables::unix_now().saturating_sub((up * 1e6) as u64);
        Some(Self { state, began: booted + ticks * 1_000_000 / per_second })
    }
}

/// Lets a descriptor survive an exec.
pub(crate) fn keep_over_exec(fd: i32) -> std::io::Result<()> {
    // SAFETY: a plain system call, allowed between fork and exec.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// For the raw number that a child is told.
pub(crate) fn number(fd: &OwnedFd) -> i32 {
    fd.as_raw_fd()
}

/// Waits until a descriptor is readable; `false` when the time has passed.
pub(crate) fn wait_readable(fd: impl AsFd, limit: Duration) -> bool {
    let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    let limit = rustix::time::Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
    rustix::event::poll(&mut fds, Some(&limit)).is_ok_and(|n| n > 0)
}
