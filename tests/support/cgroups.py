"""Control groups with a real memory limit, where this machine lets us make them (root, v1 or v2)."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
DEADLINE = 10.0
"""Seconds that the processes of a group have to be gone in, when a test is over."""


@dataclass(frozen=True)
class Group:
    """A group with a limit."""

    folder: Path
    v1: bool

    @property
    def kernel_kills(self) -> int:
        """Processes in it that the kernel has killed for lack of memory."""
        text = (self.folder / ("memory.oom_control" if self.v1 else "memory.events")).read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill "))

    def command(self, *command: str) -> list[str]:
        """Runs a command inside."""
        return ["sh", "-c", f'echo $$ > {self.folder}/cgroup.procs && exec "$@"', "sh", *command]


def _own_folders() -> Iterator[tuple[Path, bool]]:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield ROOT / "memory" / path.strip("/"), True
        elif not controllers:
            yield ROOT / path.strip("/"), False


def _make(limit: int) -> Group | str:
    """A new group, or why there can be none."""
    reason = "no control group with a memory controller is here"
    for folder, v1 in _own_folders():
        if not (folder / ("memory.usage_in_bytes" if v1 else "memory.current")).exists() and not v1:
            continue
        new = folder / f"shoal-test-{os.getpid()}-{time.monotonic_ns()}"
        try:
            if not v1:
                (folder / "cgroup.subtree_control").write_text("+memory")
            new.mkdir()
            (new / ("memory.limit_in_bytes" if v1 else "memory.max")).write_text(str(limit))
            return Group(new, v1)
        except OSError as error:
            reason = f"control groups can't be made here: {error}"
            with contextlib.suppress(OSError):
                new.rmdir()
    return reason


def why_none() -> str:
    """Why no group with a limit can be made here; empty if one can."""
    made = _make(1 << 30)
    if isinstance(made, str):
        return made
    made.folder.rmdir()
    return ""


@contextlib.contextmanager
def limited(limit: int) -> Iterator[Group]:
    """A group that may use so many bytes; its processes must end soon after the block."""
    made = _make(limit)
    assert isinstance(made, Group), made
    try:
        yield made
    finally:
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                made.folder.rmdir()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
