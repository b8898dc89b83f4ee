"""The processes of one instance, told by a folder name that only they have in their environment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads that a process has; 0 when it is gone."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return 0.0
    total = 0
    for thread in threads:
        text = _read(f"/proc/{pid}/task/{thread}/schedstat")
        total += int(text.split()[0]) if text else 0
    if total:
        return total / 1e9
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()  # without schedstat: in ticks
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def children_seconds(pid: int) -> float:
    """CPU time of the children that a process has reaped, in steps of a tick (10 ms)."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def pss(pid: int) -> int:
    """Memory of a process in bytes, what it shares counted in parts."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def switches(pid: int) -> int:
    """How often the threads of a process were woken, so far."""
    total = 0
    for path in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in _read(str(path)).splitlines():
            if line.startswith(b"voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total


def _allow(pid: int, cores: Iterable[int]) -> None:
    """Lets all threads of a process run on these cores only."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), cores)


@dataclass
class Instance:
    """The processes of one instance, by their place in its tree."""

    driver: int
    daemons: list[int] = field(default_factory=list)
    zygotes: list[int] = field(default_factory=list)
    workers: list[int] = field(default_factory=list)

    @classmethod
    def find(cls, folder: str) -> Instance:
        """The instance whose daemon has `folder` in its environment, made by this process."""
        parents: dict[int, int] = {}
        for name in os.listdir("/proc"):
            fields = _read(f"/proc/{name}/stat").rpartition(b")")[2].split() if name.isdigit() else []
            if fields and fields[0] not in (b"Z", b"X"):
                parents[int(name)] = int(fields[1])
        needle = folder.encode()
        marked = {pid for pid in parents if pid != os.getpid() and needle in _read(f"/proc/{pid}/environ")}
        found = cls(os.getpid())
        found.daemons = sorted(pid for pid in marked if parents[pid] not in marked and parents[pid] != os.getpid())
        found.zygotes = sorted(pid for pid, parent in parents.items() if parent in found.daemons)
        found.workers = sorted(pid for pid, parent in parents.items() if parent in found.zygotes)
        if not found.daemons or not found.zygotes:
            raise LookupError(f"no daemon and zygote with {folder} in their environment")
        return found

    def cpu_seconds(self) -> float:
        """CPU time of all but the driver, of workers that have ended, too: whoever reaped them has their sum."""
        parents = (*self.daemons, *self.zygotes)
        return sum(map(cpu_seconds, (*parents, *self.workers))) + sum(map(children_seconds, parents))

    @contextlib.contextmanager
    def pinned(self, driver: int, workers: int) -> Iterator[None]:
        """Keeps the driver on one core and the workers on one, which may be the same."""
        every = os.sched_getaffinity(0)
        try:
            _allow(self.driver, {driver})
            for pid in self.workers:
                _allow(pid, {workers})
            yield
        finally:
            for pid in (self.driver, *self.workers):
                _allow(pid, every)
