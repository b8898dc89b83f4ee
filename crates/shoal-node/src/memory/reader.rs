//! How much memory is used of how much, as the kernel tells it.
//!
//! The places that are looked at: each control group from this process's own up to the root of its hierarchy that has a
//! limit (v2, or the v1 memory controller), and the machine. Which of them is closest to its limit counts. What can be
//! dropped at once, pages of files that nobody has used lately, is not counted as used; shared memory is.
use shoal_sched::memory::Reading;
use std::path::{Path, PathBuf};

/// v1 says "no limit" by a number near the largest that there is.
const NO_LIMIT: u64 = 1 << 60;

/// Which files a control group has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Version {
    V1,
    V2,
}

/// One control group of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Group {
    pub version: Version,
    pub folder: PathBuf,
    /// For people.
    pub name: String,
}

impl Group {
    pub fn limit_file(&self) -> PathBuf {
        self.folder.join(if self.version == Version::V1 { "memory.limit_in_bytes" } else { "memory.max" })
    }

    pub fn usage_file(&self) -> PathBuf {
        self.folder.join(if self.version == Version::V1 { "memory.usage_in_bytes" } else { "memory.current" })
    }

    /// Its limit, if it has one.
    pub fn limit(&self) -> Option<u64> {
        number(&self.limit_file()).filter(|n| *n < NO_LIMIT)
    }

    /// Bytes in use, and of these what can't be dropped at once.
    fn usage(&self) -> Option<(u64, u64)> {
        let name = if self.version == Version::V1 { "total_inactive_file" } else { "inactive_file" };
        let usage = number(&self.usage_file())?;
        Some((usage, usage.saturating_sub(field(&self.folder.join("memory.stat"), name).unwrap_or(0))))
    }

    /// Processes in it that the kernel has killed for lack of memory.
    pub fn kernel_kills(&self) -> Option<u64> {
        let file = if self.version == Version::V1 { "memory.oom_control" } else { "memory.events" };
        field(&self.folder.join(file), "oom_kill")
    }
}

/// Reads below `root`, which is "/" but in tests.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    root: PathBuf,
    groups: Vec<Group>,
}

impl Reader {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), groups: find_groups(root) }
    }

    /// From this process's own group up.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The kernel's file of stalls for lack of memory: of the group, else of the machine.
    pub fn pressure_file(&self) -> PathBuf {
        let own = self.groups.first().filter(|g| g.version == Version::V2).map(|g| g.folder.join("memory.pressure"));
        own.filter(|path| path.exists()).unwrap_or_else(|| self.root.join("proc/pressure/memory"))
    }

    /// The place that is closest to its limit. `tells(group, its limit)`: the kernel gives notice when the group's use
    /// passes `threshold`.
    pub fn read(&self, threshold: f64, tells: impl Fn(&Group, u64) -> bool) -> Option<Reading> {
        let mut places = Vec::new();
        let mut unnoticed: Option<u64> = None;
        let mut note = |room: u64| unnoticed = Some(unnoticed.map_or(room, |least| least.min(room)));
        let allowed = |limit: u64| (limit as f64 * threshold) as u64;
        for group in &self.groups {
            let Some((limit, (raw, used))) = group.limit().and_then(|limit| Some((limit, group.usage()?))) else {
                continue;
            };
            // The notice is of a crossing, files included: above it the kernel is silent.
            if raw >= allowed(limit) || !tells(group, limit) {
                note(allowed(limit).saturating_sub(used));
            }
            places.push((used, limit, group.name.clone()));
        }
        if let Some((used, limit)) = self.machine() {
            note(allowed(limit).saturating_sub(used));
            places.push((used, limit, "the machine".into()));
        }
        let share = |place: &(u64, u64, String)| place.0 as f64 / place.1.max(1) as f64;
        let (used, limit, place) = places.into_iter().max_by(|a, b| share(a).total_cmp(&share(b)))?;
        Some(Reading { used, limit, place, unnoticed })
    }

    /// The innermost place that has a limit: (used, limit, place).
    pub fn innermost(&self) -> Option<(u64, u64, String)> {
        let limited = |g: &Group| Some((g.usage()?.1, g.limit()?, g.name.clone()));
        let machine = || self.machine().map(|(used, limit)| (used, limit, "the machine".to_owned()));
        self.groups.iter().find_map(limited).or_else(machine)
    }

    fn machine(&self) -> Option<(u64, u64)> {
        let text = std::fs::read_to_string(self.root.join("proc/meminfo")).ok()?;
        let kib = |name: &str| {
            text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok())
        };
        let (total, available): (u64, u64) = (kib("MemTotal")?, kib("MemAvailable")?);
        Some((total.saturating_sub(available) << 10, total << 10))
    }

    /// Processes that the kernel has killed for lack of memory: in our own group, else on the machine.
    pub fn kernel_kills(&self) -> u64 {
        let own = self.groups.first().and_then(Group::kernel_kills);
        own.or_else(|| field(&self.root.join("proc/vmstat"), "oom_kill")).unwrap_or(0)
    }

    /// What a process alone holds in memory: what comes back when it ends. Without the pages that it maps of files and
    /// of shared memory. Doesn't wait for the process, as `smaps` would.
    pub fn held_by(&self, pid: u32) -> u64 {
        let text = std::fs::read_to_string(self.root.join(format!("proc/{pid}/status"))).unwrap_or_default();
        let kib = |name: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        (kib("RssAnon") + kib("VmSwap")) << 10
    }
}

/// Own groups with a memory controller. In a container the path may not be there: then the container's root is.
fn find_groups(root: &Path) -> Vec<Group> {
    let lines = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut found = Vec::new();
    for line in lines.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let bases: &[&str] = match controllers {
            "" => &["sys/fs/cgroup", "sys/fs/cgroup/unified"],
            _ if controllers.split(',').any(|c| c == "memory") => &["sys/fs/cgroup/memory"],
            _ => continue,
        };
        let version = if controllers.is_empty() { Version::V2 } else { Version::V1 };
        bases.iter().for_each(|base| climb(version, &root.join(base), path, &mut found));
    }
    found
}

fn climb(version: Version, base: &Path, path: &str, found: &mut Vec<Group>) {
    let mut folder = base.join(path.trim_start_matches('/'));
    while folder.starts_with(base) {
        let inside = folder.strip_prefix(base).map(Path::to_owned).unwrap_or_default();
        let group = Group { version, name: format!("control group /{}", inside.display()), folder: folder.clone() };
        if group.usage_file().exists() {
            found.push(group);
        }
        if !folder.pop() {
            return;
        }
    }
}

fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A line "name number".
fn field(path: &Path, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file system with these files.
    struct Files(PathBuf);

    impl Files {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("shoal-reader-{}-{name}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            Self(root)
        }

        fn reading(&self, tells: bool) -> Reading {
            Reader::new(&self.0).read(0.5, |_, _| tells).unwrap()
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal: 10000 kB\nMemFree: 1 kB\nMemAvailable: 9000 kB\n");

    #[test]
    fn the_machine_counts_where_no_group_has_a_limit() {
        let files = Files::new(
            "none",
            &[
                MACHINE,
                ("proc/self/cgroup", "0::/a\n"),
                ("sys/fs/cgroup/a/memory.max", "max\n"),
                ("sys/fs/cgroup/a/memory.current", "77\n"),
            ],
        );
        let r = files.reading(false);
        assert_eq!((r.used, r.limit, &*r.place), (1000 << 10, 10000 << 10, "the machine"));
        assert_eq!(r.unnoticed, Some(4000 << 10));
    }

    #[test]
    fn of_the_groups_of_v2_the_one_that_is_closest_to_its_limit_counts() {
        let files = Files::new(
            "v2",
            &[
                MACHINE,
                ("proc/self/cgroup", "0::/a/b\n"),
                ("sys/fs/cgroup/a/b/memory.max", "1000\n"),
                ("sys/fs/cgroup/a/b/memory.current", "500\n"),
                ("sys/fs/cgroup/a/b/memory.stat", "anon 1\ninactive_file 300\n"),
                ("sys/fs/cgroup/a/b/memory.events", "oom 9\noom_kill 3\noom_group_kill 0\n"),
                ("sys/fs/cgroup/a/b/memory.pressure", ""),
                ("sys/fs/cgroup/a/memory.max", "2000\n"),
                ("sys/fs/cgroup/a/memory.current", "900\n"),
                ("sys/fs/cgroup/a/memory.stat", "inactive_file 0\n"),
            ],
        );
        let r = files.reading(false);
        assert_eq!((r.used, r.limit, &*r.place), (900, 2000, "control group /a"));
        assert_eq!(Reader::new(&files.0).innermost(), Some((200, 1000, "control group /a/b".into())));
        assert_eq!(r.unnoticed, Some(100));
        let reader = Reader::new(&files.0);
        assert_eq!(reader.kernel_kills(), 3);
        assert!(reader.pressure_file().ends_with("a/b/memory.pressure"));
    }

    #[test]
    fn of_v1_the_memory_controllers_group_counts_files_that_can_be_dropped_do_not() {
        let files = Files::new(
            "v1",
            &[
                MACHINE,
                ("proc/self/cgroup", "4:memory:/a\n3:cpu,cpuacct:/c\n0::/\n"),
                ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1000\n"),
                ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "490\n"),
                ("sys/fs/cgroup/memory/a/memory.stat", "inactive_file 1\ntotal_inactive_file 90\n"),
                ("sys/fs/cgroup/memory/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ("sys/fs/cgroup/memory/memory.usage_in_bytes", "5\n"),
            ],
        );
        let r = files.reading(false);
        assert_eq!((r.used, r.limit, &*r.place), (400, 1000, "control group /a"));
        assert_eq!(r.unnoticed, Some(100));
        // The kernel tells of the group, not of the machine.
        assert_eq!(files.reading(true).unnoticed, Some(4000 << 10));
        assert_eq!(Reader::new(&files.0).kernel_kills(), 2);
    }

    #[test]
    fn above_the_threshold_the_kernel_is_silent() {
        let files = Files::new(
            "silent",
            &[
                ("proc/self/cgroup", "4:memory:/a\n"),
                ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1000\n"),
                ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "600\n"),
                ("sys/fs/cgroup/memory/a/memory.stat", "total_inactive_file 400\n"),
            ],
        );
        assert_eq!(files.reading(true).unnoticed, Some(300));
        std::fs::write(files.0.join("sys/fs/cgroup/memory/a/memory.usage_in_bytes"), "499").unwrap();
        assert_eq!(files.reading(true).unnoticed, None);
    }

    #[test]
    fn in_a_container_whose_path_is_the_hosts_its_root_is_the_container() {
        let files = Files::new(
            "container",
            &[
                ("proc/self/cgroup", "0::/docker/0123\n"),
                ("sys/fs/cgroup/memory.max", "1000\n"),
                ("sys/fs/cgroup/memory.current", "10\n"),
            ],
        );
        assert_eq!(files.reading(false).limit, 1000);
        assert!(Reader::new(&files.0).pressure_file().ends_with("proc/pressure/memory"));
    }

    #[test]
    fn what_a_process_holds_is_its_own_pages_and_its_swap() {
        let files = Files::new(
            "status",
            &[
                MACHINE,
                ("proc/7/status", "VmRSS:\t 900 kB\nRssAnon:\t  100 kB\nRssShmem:\t 700 kB\nVmSwap:\t 20 kB\n"),
                ("proc/vmstat", "pgfault 4\noom_kill 11\n"),
            ],
        );
        let reader = Reader::new(&files.0);
        assert_eq!((reader.held_by(7), reader.held_by(8)), (120 << 10, 0));
        assert_eq!(reader.kernel_kills(), 11);
    }
}
