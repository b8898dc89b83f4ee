"""The processes that descend from one, and what they cost: CPU time, memory, wake-ups."""

from __future__ import annotations

import collections
import contextlib
import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the state on; empty when the process is gone."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def descendants(root: int) -> list[int]:
    """The processes under `root`, those included that have ended and wait for their parent."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat(int(name))):
            children.setdefault(int(fields[1]), []).append(int(name))
    found, new = [], [root]
    while new:
        new = [child for parent in new for child in children.get(parent, ())]
        found += new
    return found


def parent(pid: int) -> int:
    """0 when the process is gone."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, of its threads that have ended, too; 0 when it is gone."""
    with contextlib.suppress(OSError):
        return time.clock_gettime(~pid << 3 | 2)  # the kernel's name for the CPU clock of another process
    return 0.0


@dataclass(frozen=True)
class Used:
    """The CPU seconds of a process so far."""

    began: int  # when, in the kernel's ticks since it started: process numbers are used again
    parent: int
    own: float
    reaped: float  # of children that it has waited for, with theirs; in steps of a tick (10 ms)


def used(root: int, but: int = 0) -> dict[int, Used]:
    """What each process under `root` has used. `but`'s own time is left out: it is the one that looks."""
    found = {}
    for pid in descendants(root):
        if fields := _stat(pid):
            own = 0.0 if pid == but else cpu_seconds(pid)
            found[pid] = Used(int(fields[19]), int(fields[1]), own, (int(fields[13]) + int(fields[14])) / TICKS)
    return found


def spent(before: dict[int, Used], after: dict[int, Used]) -> float:
    """CPU seconds of all processes from one look to the next.

    Who has ended meanwhile is in the sum of who waited for it. If nobody did, its time since the first look is
    not known, and counts as none.
    """
    stayed = {pid for pid, old in before.items() if pid in after and after[pid].began == old.began}
    known: collections.Counter[int] = collections.Counter()  # what of a parent's sum is not new
    for pid, old in before.items():
        if pid in stayed:
            known[pid] += old.reaped
            continue
        heir = old.parent
        while heir in before and heir not in stayed:
            heir = before[heir].parent
        known[heir] += old.own + old.reaped
    own = sum(now.own - (before[pid].own if pid in stayed else 0.0) for pid, now in after.items())
    return own + sum(max(0.0, now.reaped - known[pid]) for pid, now in after.items())


def pss(pid: int) -> int:
    """Memory of a process in bytes, what it shares counted in parts."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def sleeps(pid: int, but: Collection[int] = ()) -> dict[str, int]:
    """How often each thread of a process went to sleep of its own will so far: once more than it was woken."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        if int(thread.name) in but:
            continue
        status = _read(f"{thread}/status")
        for line in status.splitlines():
            if line.startswith(b"voluntary_ctxt_switches:"):
                found[f"{pid}/{thread.name} {_read(f'{thread}/comm').decode().strip()}"] = int(line.split()[1])
    return found


def command(pid: int) -> str:
    return _read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


@contextlib.contextmanager
def pinned(where: dict[int, int]) -> Iterator[None]:
    """Keeps each process, given as its id, with all its threads on one core."""
    every = os.sched_getaffinity(0)
    try:
        for pid, core in where.items():
            _allow(pid, {core})
        yield
    finally:
        for pid in where:
            _allow(pid, every)


def _allow(pid: int, cores: Collection[int]) -> None:
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), cores)
