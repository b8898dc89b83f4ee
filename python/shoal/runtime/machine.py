"""What this machine, or the container around this process, has to give."""

import math
import os

_CGROUP = "/sys/fs/cgroup"
# The arena's share of the memory that is available,
ARENA_SHARE = 0.3
# and of the addresses: each process maps it, and parts of it twice.
ADDRESS_SHARE = 0.25


def cpus() -> float:
    """CPUs: those that this process may run on, at most the cgroup's quota rounded up.

    Example:
        >>> from shoal.runtime.machine import cpus
        >>> cpus() >= 1
        True
    """
    quota = cgroup_cpus()
    allowed = len(os.sched_getaffinity(0))
    return float(min(allowed, math.ceil(quota)) if quota else allowed)


def cgroup_cpus(root: str = _CGROUP) -> float | None:
    """The CPU quota of the cgroup (v2 or v1), `None` without one."""
    for folder in _folders(root, ""):
        words = _read(f"{folder}/cpu.max").split()
        if len(words) == 2 and words[0].isdigit():
            return int(words[0]) / int(words[1])
    for folder in _folders(f"{root}/cpu", "cpu"):
        quota, period = _number(f"{folder}/cpu.cfs_quota_us"), _number(f"{folder}/cpu.cfs_period_us")
        if quota and period and quota > 0:
            return quota / period
    return None


def available_memory(root: str = _CGROUP) -> int:
    """Bytes that are available now: the machine's, at most what the cgroup has left."""
    machine = 0
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            machine = int(line.split()[1]) << 10
    left = [machine or 1 << 30]
    for folder in _folders(root, ""):
        left += _left(folder, "memory.max", "memory.current", "inactive_file")
    for folder in _folders(f"{root}/memory", "memory"):
        left += _left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    return max(min(left), 64 << 20)


def arena_bytes(available: int) -> int:
    """How large an arena is by default: a share of the memory that is `available`, and of `ulimit -v`."""
    import resource

    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    by_memory = int(available * ARENA_SHARE)
    return by_memory if space == resource.RLIM_INFINITY else min(by_memory, int(space * ADDRESS_SHARE))


def _left(folder: str, limit_file: str, usage_file: str, cache: str) -> list[int]:
    limit, usage = _number(f"{folder}/{limit_file}"), _number(f"{folder}/{usage_file}")
    # v1 says "no limit" by a number near the largest that there is.
    if limit is None or usage is None or limit >= 1 << 60:
        return []
    reclaimable = 0
    for line in _read(f"{folder}/memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == cache:
            reclaimable = int(value)
    return [max(0, limit - usage + reclaimable)]


def _folders(root: str, controller: str) -> list[str]:
    """This process's folder of a hierarchy, and the hierarchy's root: in a container that is the container's own."""
    found = [root]
    for line in _read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == controller or (controller and controller in controllers.split(",")):
            found.insert(0, f"{root}/{path.strip('/')}")
    return found


def gpu_ids() -> list[str]:
    """Ids of the GPUs that this process may use: `CUDA_VISIBLE_DEVICES`, else all that the driver lists."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [
            word.strip() for word in visible.split(",") if word.strip() and word.strip() not in ("-1", "NoDevFiles")
        ]
    try:
        return [str(number) for number in range(len(os.listdir("/proc/driver/nvidia/gpus")))]
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _number(path: str) -> int | None:
    text = _read(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None
