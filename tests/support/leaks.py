"""What a test leaves behind: processes, threads, descriptors, sockets, shared memory.

A process is ours when its environment or one of its ancestors' names the folder of this test run, or when it holds a
file of that folder open: daemons are no children of the process that started them, and a title written by `ps` tricks
may lie over the environment. So another run on the same machine is never taken for ours.
"""

from __future__ import annotations

import contextlib
import gc
import os
import stat
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEADLINE = 5.0
"""Seconds that everything has to be gone in."""

_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.1


@dataclass(frozen=True)
class Process:
    """One process, told from a later one of the same number by its start time."""

    pid: int
    started: str

    @property
    def title(self) -> str:
        return _read(f"/proc/{self.pid}/cmdline").replace(b"\0", b" ").decode(errors="replace").strip() or "?"

    def __str__(self) -> str:
        return f"{self.pid} ({self.title})"


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _links(folder: str) -> Iterator[tuple[str, str]]:
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            yield name, os.readlink(f"{folder}/{name}")
        except OSError:
            pass


def processes(folder: Path) -> set[Process]:
    """Every living process of ours, this one left out."""
    needle = str(folder).encode()
    alive: dict[int, tuple[int, str]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            state, _, rest = _read(f"/proc/{name}/stat").rpartition(b")")[2].strip().partition(b" ")
            fields = rest.split()
            if fields and state not in (b"Z", b"X"):
                alive[int(name)] = (int(fields[0]), fields[18].decode())
    verdicts: dict[int, bool] = {0: False, 1: False, os.getpid(): True}

    def ours(pid: int) -> bool:
        if pid not in verdicts:
            verdicts[pid] = False  # ends a circle, should numbers be reused under our hands
            verdicts[pid] = pid in alive and (
                needle in _read(f"/proc/{pid}/environ")
                or any(target.startswith(str(folder)) for _, target in _links(f"/proc/{pid}/fd"))
                or ours(alive[pid][0])
            )
        return verdicts[pid]

    return {Process(pid, alive[pid][1]) for pid in alive if pid != os.getpid() and ours(pid)}


def _descriptors() -> Counter[str]:
    """What this process holds open; sockets and pipes by kind, since their numbers change."""
    held: Counter[str] = Counter()
    for _, target in _links("/proc/self/fd"):
        if target != f"/proc/{os.getpid()}/fd":
            held[target.partition(":[")[0]] += 1
    return held


def _shared_memory() -> Counter[str]:
    """Memory files mapped here, whether or not a descriptor still names them."""
    mapped = {
        " ".join(line.split()[3:]) for line in Path("/proc/self/maps").read_text().splitlines() if "/memfd:" in line
    }
    return Counter(" ".join(line.split()[2:]) for line in mapped)


def _threads() -> Counter[str]:
    """Threads by the name that the kernel has for them, which those made by Rust have, too."""
    return Counter(_read(f"/proc/self/task/{tid}/comm").decode().strip() for tid in os.listdir("/proc/self/task"))


def _sockets(folder: Path) -> set[str]:
    found = set()
    for place, folders, files in os.walk(folder):
        # A run has thousands of closed logs.
        folders[:] = [name for name in folders if name != "logs"]
        found |= {f"{place}/{name}" for name in files if stat.S_ISSOCK(_mode(f"{place}/{name}"))}
    return found


def _mode(path: str) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


@dataclass(frozen=True)
class Snapshot:
    """What is there at one moment."""

    processes: set[Process]
    threads: Counter[str]
    descriptors: Counter[str]
    memory: Counter[str]
    sockets: set[str]

    @classmethod
    def take(cls, folder: Path) -> Snapshot:
        return cls(processes(folder), _threads(), _descriptors(), _shared_memory(), _sockets(folder))

    def more_than(self, before: Snapshot) -> list[str]:
        """One line for each thing that was not there before."""
        lines = [f"process {process}" for process in self.processes - before.processes]
        for kind in ("threads", "descriptors", "memory"):
            extra: Counter[str] = getattr(self, kind) - getattr(before, kind)
            lines += [f"{kind}: {count} more of {name}" for name, count in extra.items()]
        return sorted(lines + [f"socket {path}" for path in self.sockets - before.sockets])


def after(before: Snapshot, folder: Path, deadline: float = DEADLINE) -> list[str]:
    """What is still there beyond `before`, waited for until nothing is or `deadline` seconds have passed."""
    end = time.monotonic() + deadline
    pause = _FIRST_PAUSE
    left = Snapshot.take(folder).more_than(before)
    if left:
        gc.collect()
    while left and time.monotonic() < end:
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
        left = Snapshot.take(folder).more_than(before)
    return left + _stacks(left)


def _stacks(left: list[str]) -> list[str]:
    if not any(line.startswith("threads") for line in left):
        return []
    return [f"Python thread {thread.name}" for thread in threading.enumerate() if thread is not threading.main_thread()]


@contextlib.contextmanager
def none(folder: Path, deadline: float = DEADLINE) -> Iterator[None]:
    """Asserts that the block leaves nothing behind."""
    before = Snapshot.take(folder)
    yield
    left = after(before, folder, deadline)
    assert not left, f"left behind {deadline:g} s later:\n  " + "\n  ".join(left)
