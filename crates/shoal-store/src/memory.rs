//! What the machine and the process's cgroup have left (ARENA-4).
//!
//! Page cache that can be dropped counts as left: `MemAvailable` includes it, and of a cgroup's usage its inactive file
//! pages are taken off. The smallest limit of the cgroup and its ancestors holds. A file that can't be read limits
//! nothing.
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

const ROOT: &str = "/sys/fs/cgroup";

/// Bytes that can still be reserved.
pub(crate) fn left() -> u64 {
    let cgroups = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let meminfo = read_to_string("/proc/meminfo").unwrap_or_default();
    let machine = field(&meminfo, "MemAvailable:").map_or(u64::MAX, |kib| kib.saturating_mul(1024));
    cgroups.lines().filter_map(cgroup_left).fold(machine, u64::min)
}

/// The number after `name` in "name value" lines.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// What one line of `/proc/self/cgroup` leaves: `0::/path` (v2) or `4:memory:/path` (v1).
fn cgroup_left(line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/'));
    let (root, files) = match controllers {
        "" => (PathBuf::from(ROOT), &V2),
        list if list.split(',').any(|name| name == "memory") => (Path::new(ROOT).join("memory"), &V1),
        _ => return None,
    };
    // Inside a container the path may be the host's; then only the root is there.
    let own = root.join(path);
    own.ancestors().take_while(|folder| folder.starts_with(&root)).filter_map(|folder| files.left(folder)).min()
}

struct Files {
    limit: &'static str,
    usage: &'static str,
    droppable: &'static str,
}

const V1: Files =
    Files { limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", droppable: "total_inactive_file " };
const V2: Files = Files { limit: "memory.max", usage: "memory.current", droppable: "inactive_file " };

impl Files {
    fn left(&self, folder: &Path) -> Option<u64> {
        let number = |name: &str| read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
        let (limit, usage) = (number(self.limit)?, number(self.usage)?);
        let stat = read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let droppable = field(&stat, self.droppable).unwrap_or(0);
        Some(limit.saturating_sub(usage.saturating_sub(droppable)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_something_left() {
        let left = left();
        assert!(left > 1 << 20 && left < 1 << 50, "{left}");
    }

    #[test]
    fn droppable_page_cache_of_a_cgroup_counts_as_left() {
        let folder = std::env::temp_dir().join(format!("shoal-store-memory-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in
            [("memory.max", "1000\n"), ("memory.current", "900\n"), ("memory.stat", "anon 1\ninactive_file 300\n")]
        {
            std::fs::write(folder.join(name), text).unwrap();
        }
        assert_eq!(V2.left(&folder), Some(400));
        std::fs::write(folder.join("memory.max"), "max\n").unwrap();
        assert_eq!(V2.left(&folder), None);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
