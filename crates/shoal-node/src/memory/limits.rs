//! `memory=` enforced: a control group for each worker that asked for memory (setting `enforce_memory`).
//!
//! All of an instance lie in one folder, `shoal-PID-START` (process number and start time of the daemon), below the group that
//! the daemon is in: so every limit around it goes on to hold. A v2 group that has processes of its own can't have groups with
//! limits below it, so there the folder is made beside it, if it has no limit itself.
//!
//! - LIMIT-1 the group is there, with its limit and the worker in it, before the worker's first task or constructor.
//! - LIMIT-2 what is left in it when the worker has ended is killed, and the group removed. The folder goes with the
//!   instance: by the daemon, else by a zygote (its name is in the session's file `cgroup`), else by the next that is made.
use super::reader::{Group, Reader, Version};
use crate::sys;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const NAME: &str = "shoal-";

/// The instance's folder of groups.
pub(super) struct Limits {
    folder: PathBuf,
    version: Version,
    /// Groups that could not be removed yet.
    left: Vec<PathBuf>,
}

/// One worker's group.
pub(crate) struct WorkerGroup {
    group: Group,
    /// Bytes.
    pub limit: u64,
}

impl Limits {
    /// Makes the folder, and removes those of daemons that are gone.
    pub fn new(reader: &Reader, pid: u32) -> io::Result<Self> {
        let own = reader.groups().first().ok_or_else(|| {
            io::Error::other("there is no control group for memory here; without one, leave the setting off")
        })?;
        let (parent, version) = (place_below(own)?, own.version);
        sweep(&parent);
        let start = sys::start_of(pid).unwrap_or(0);
        let folder = parent.join(format!("{NAME}{pid}-{start}"));
        let told = |e: io::Error| {
            io::Error::new(
                e.kind(),
                format!("{} can't be made ({e}): run as root, or leave the setting off", folder.display()),
            )
        };
        fs::create_dir(&folder).map_err(told)?;
        let this = Self { folder, version, left: Vec::new() };
        if version == Version::V2 {
            fs::write(this.folder.join("cgroup.subtree_control"), "+memory")?;
        }
        Ok(this)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A group with this limit and this process in it (LIMIT-1).
    pub fn hold(&self, start: u64, pid: u32, limit: u64) -> io::Result<WorkerGroup> {
        let folder = self.folder.join(start.to_string());
        fs::create_dir(&folder)?;
        let group = Group { version: self.version, name: format!("control group {}", folder.display()), folder };
        fs::write(group.limit_file(), limit.to_string())?;
        if self.version == Version::V2 {
            // Where there is swap: the limit is of both. And who is over it goes with its child processes.
            let _ = fs::write(group.folder.join("memory.swap.max"), "0");
            let _ = fs::write(group.folder.join("memory.oom.group"), "1");
        }
        fs::write(group.folder.join("cgroup.procs"), pid.to_string())?;
        Ok(WorkerGroup { group, limit })
    }

    /// The worker has ended (LIMIT-2): whether the kernel had killed anything in its group.
    pub fn release(&mut self, held: &WorkerGroup) -> bool {
        let killed = held.group.kernel_kills().is_some_and(|n| n > 0);
        self.left.push(held.group.folder.clone());
        self.clear();
        killed
    }

    fn clear(&mut self) {
        self.left.retain(|folder| {
            kill_all(folder);
            fs::remove_dir(folder).is_err() && folder.exists()
        });
    }

    /// The instance ends.
    pub fn end(&mut self) {
        self.clear();
        remove_tree(&self.folder);
    }
}

/// Where groups with limits of their own may be made.
fn place_below(own: &Group) -> io::Result<PathBuf> {
    if own.version == Version::V1 {
        return Ok(own.folder.clone());
    }
    let has_memory = |folder: &Path| {
        let control = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
        control.split_whitespace().any(|c| c == "memory")
    };
    if has_memory(&own.folder) || fs::write(own.folder.join("cgroup.subtree_control"), "+memory").is_ok() {
        return Ok(own.folder.clone());
    }
    let parent = own.folder.parent().filter(|parent| own.limit().is_none() && has_memory(parent));
    parent.map(Path::to_owned).ok_or_else(|| {
        io::Error::other(format!(
            "{} has processes and can't be divided; give it over to this user",
            own.folder.display()
        ))
    })
}

/// Folders of daemons that are gone.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let parts = name.strip_prefix(NAME).and_then(|rest| rest.split_once('-'));
        if let Some((Ok(pid), Ok(start))) = parts.map(|(pid, start)| (pid.parse::<u32>(), start.parse::<u64>()))
            && sys::start_of(pid) != Some(start)
        {
            remove_tree(&entry.path());
        }
    }
}

fn remove_tree(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            kill_all(&entry.path());
            let _ = fs::remove_dir(entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

fn kill_all(folder: &Path) {
    for pid in fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default().lines() {
        if let Ok(pid) = pid.parse() {
            sys::kill_process(pid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of v2 in an ordinary folder: what is written, and where.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("shoal-limits-{}-{name}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(root)
        }

        fn text(&self, path: &str) -> String {
            fs::read_to_string(self.0.join(path)).unwrap()
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    const OWN: [(&str, &str); 3] = [
        ("proc/self/cgroup", "0::/user/scope\n"),
        ("sys/fs/cgroup/user/scope/memory.current", "5\n"),
        ("sys/fs/cgroup/user/scope/cgroup.subtree_control", "memory pids\n"),
    ];

    #[test]
    fn in_v2_the_group_has_its_limit_before_the_process_is_in_it() {
        let tree = Tree::new("v2", &OWN);
        let limits = Limits::new(&Reader::new(&tree.0), std::process::id()).unwrap();
        let held = limits.hold(7, 4242, 1 << 20).unwrap();
        let inside = |name: &str| fs::read_to_string(limits.folder().join("7").join(name)).unwrap();
        assert_eq!((&*inside("memory.max"), &*inside("cgroup.procs"), held.limit), ("1048576", "4242", 1 << 20));
        assert!(limits.folder().starts_with(tree.0.join("sys/fs/cgroup/user/scope")));
        assert_eq!(tree.text("sys/fs/cgroup/user/scope/cgroup.subtree_control"), "memory pids\n");
    }

    #[test]
    fn folders_of_daemons_that_are_gone_are_swept() {
        let tree = Tree::new("sweep", &OWN);
        let scope = tree.0.join("sys/fs/cgroup/user/scope");
        let own = format!("shoal-{}-{}", std::process::id(), sys::start_of(std::process::id()).unwrap());
        for name in ["shoal-1-1", "shoal-nothing", &own] {
            fs::create_dir(scope.join(name)).unwrap();
        }
        sweep(&scope);
        assert!(!scope.join("shoal-1-1").exists() && scope.join("shoal-nothing").exists() && scope.join(own).exists());
    }

    #[test]
    fn where_there_is_no_group_it_says_so() {
        let tree = Tree::new("none", &[("proc/self/cgroup", "0::/\n")]);
        let error = Limits::new(&Reader::new(&tree.0), 1).err().unwrap();
        assert_eq!(error.to_string(), "there is no control group for memory here; without one, leave the setting off");
    }
}
