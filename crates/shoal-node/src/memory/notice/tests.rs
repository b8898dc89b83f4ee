//! The kernel itself tells: of stalls that a process of a small control group really has.
use super::*;
use rustix::event::{PollFd, PollFlags, poll};
use std::fs;
use std::time::{Duration, Instant};

const LIMIT: u64 = 16 << 20;
const FILE: usize = 24 << 20;
/// So many that some of them stall at any moment, on a machine that gives them little of its CPUs, too.
const THRASHERS: usize = 32;

/// A window that the kernel doesn't take leaves a file that is ready with an error for ever.
#[test]
fn the_kernel_takes_the_request_to_tell_of_stalls() {
    let path = Path::new("/proc/pressure/memory");
    if !path.exists() {
        eprintln!("skipped: this kernel does not tell of stalls");
        return;
    }
    let file = stalls(path).unwrap();
    assert!(!ready(&file, Duration::ZERO).contains(PollFlags::ERR));
}

#[test]
fn stalls_of_a_group_are_told_by_its_file_and_by_the_machines() {
    let Some(groups) = Groups::make() else {
        eprintln!("skipped: no control group with a limit can be made here");
        return;
    };
    let mut files = groups.pressure_files();
    assert!(!files.is_empty());
    let _thrashers = Thrashers::begin(&groups);
    let end = Instant::now() + Duration::from_secs(60);
    while let Some((path, file)) = files.first() {
        assert!(Instant::now() < end, "nothing is told by {}", path.display());
        let ready = ready(file, Duration::from_secs(1));
        assert!(!ready.contains(PollFlags::ERR), "{}", path.display());
        if ready.contains(PollFlags::PRI) {
            files.remove(0);
        }
    }
}

fn ready(file: &File, wait: Duration) -> PollFlags {
    let mut fds = [PollFd::new(file, PollFlags::PRI)];
    poll(&mut fds, Some(&wait.try_into().unwrap())).unwrap();
    fds[0].revents()
}

/// A group with a limit, and, where that is one of v1, one of v2 beside it.
struct Groups {
    folders: Vec<PathBuf>,
}

impl Groups {
    fn make() -> Option<Self> {
        let own = Reader::new(Path::new("/")).groups().first()?.clone();
        let mut groups = Self { folders: Vec::new() };
        if own.version == Version::V2 {
            fs::write(own.folder.join("cgroup.subtree_control"), "+memory").ok()?;
        }
        let limited = groups.add(own.folder)?;
        let limit = Group { version: own.version, folder: limited, name: String::new() }.limit_file();
        fs::write(limit, LIMIT.to_string()).ok()?;
        if own.version == Version::V1 {
            // Hybrid: its files tell of stalls, though it has no memory controller.
            groups.add("/sys/fs/cgroup/unified".into());
        }
        Some(groups)
    }

    fn add(&mut self, parent: PathBuf) -> Option<PathBuf> {
        let folder = parent.join(format!("shoal-stalls-{}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        self.folders.push(folder.clone());
        Some(folder)
    }

    fn pressure_files(&self) -> Vec<(PathBuf, File)> {
        let own = self.folders.iter().map(|folder| folder.join("memory.pressure"));
        let all = own.chain([PathBuf::from("/proc/pressure/memory")]).filter(|path| path.exists());
        all.map(|path| (path.clone(), stalls(&path).unwrap())).collect()
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let end = Instant::now() + Duration::from_secs(10);
        for folder in &self.folders {
            // Who died in it leaves it a moment later.
            while fs::remove_dir(folder).is_err() && Instant::now() < end {
                std::thread::yield_now();
            }
        }
    }
}

/// Processes that read more than their group may hold, again and again.
struct Thrashers {
    pids: Vec<i32>,
    file: PathBuf,
}

impl Thrashers {
    fn begin(groups: &Groups) -> Self {
        let path = std::env::temp_dir().join(format!("shoal-stalls-{}", std::process::id()));
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        file.write_all(&vec![1; FILE]).unwrap();
        file.sync_all().unwrap();
        // Whoever reads a page first pays for it.
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        // SAFETY: a fresh mapping of a file that stays as long as it is.
        let bytes = unsafe {
            let at = libc::mmap(std::ptr::null_mut(), FILE, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), 0);
            assert_ne!(at, libc::MAP_FAILED);
            assert_eq!(libc::madvise(at, FILE, libc::MADV_RANDOM), 0);
            at.cast::<u8>()
        };
        let mut this = Self { pids: Vec::new(), file: path };
        for n in 0..THRASHERS {
            let pid = fork_stopped(bytes, n * FILE / THRASHERS);
            this.pids.push(pid);
            for folder in &groups.folders {
                fs::write(folder.join("cgroup.procs"), pid.to_string()).unwrap();
            }
        }
        // SAFETY: children of ours that have not been waited for.
        this.pids.iter().for_each(|pid| _ = unsafe { libc::kill(*pid, libc::SIGCONT) });
        this
    }
}

/// A child that stops, and then reads from there on, round and round.
fn fork_stopped(bytes: *const u8, first: usize) -> i32 {
    // SAFETY: the child only reads memory and waits, and ends with this thread.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: as above.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::raise(libc::SIGSTOP);
            let mut at = first;
            loop {
                bytes.add(at).read_volatile();
                at = (at + 4096) % FILE;
            }
        }
    }
    let mut status = 0;
    // SAFETY: a child of ours that has not been waited for.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, libc::WUNTRACED) }, pid);
    assert!(libc::WIFSTOPPED(status));
    pid
}

impl Drop for Thrashers {
    fn drop(&mut self) {
        for pid in &self.pids {
            // SAFETY: as above.
            unsafe {
                libc::kill(*pid, libc::SIGKILL);
                libc::waitpid(*pid, std::ptr::null_mut(), 0);
            }
        }
        let _ = fs::remove_file(&self.file);
    }
}
