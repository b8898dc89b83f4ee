"""What all workers of a job write, line by line."""

import contextlib
import os
from collections.abc import Iterator

from shoal.util.state._logs import changes, check_tail, daemon_of, folder_of, unique, workers
from shoal.util.state._rows import job_hex
from shoal.util.state._snapshot import Snapshot, take
from shoal.util.state._trail import Trail


def job_lines(id: str, suffix: str, follow: bool, tail: int, timeout: float) -> Iterator[bytes]:
    """Lines of the job's workers, each under its name and process; with this process's session.

    Args:
        id: The job's id, or the beginning of it.
        suffix: "out" or "err".
        follow: Whether to go on until the instance ends.
        tail: Lines of each worker to begin with; -1: all.
        timeout: Seconds to wait for the node.
    """
    check_tail(tail)
    look = take(timeout=timeout)
    jobs = [job_hex(row["job"]) for node in look.nodes for row in node["past_jobs"] + node["jobs"]]
    job = int(unique("job", id, jobs), 16)
    with contextlib.ExitStack() as stack:
        changed = stack.enter_context(changes(folder_of(look), daemon_of(look))) if follow else None
        reader = _Job(job, suffix, follow)
        stack.callback(reader.close)
        yield from reader.add(look, tail)
        while changed is not None and changed():
            yield from reader.more()
            if reader.has_new(folder_of(look)):
                yield from reader.add(take(timeout=timeout), -1)


class _Job:
    def __init__(self, job: int, suffix: str, follow: bool) -> None:
        self.job, self.suffix, self.follow = job, suffix, follow
        self.streams: dict[str, _Stream] = {}
        self.others: set[str] = set()

    def close(self) -> None:
        for stream in self.streams.values():
            stream.trail.close()

    def add(self, look: Snapshot, tail: int) -> Iterator[bytes]:
        """Begins with the workers that a look has shown."""
        for row in workers(look):
            name = f"worker-{row['pid']}.{self.suffix}"
            if row["job"] != self.job:
                self.others.add(name)
            elif name not in self.streams and os.path.exists(path := os.path.join(folder_of(look), name)):
                stream = self.streams[name] = _Stream(Trail(path), f"({row['title'] or ''} pid={row['pid']}) ".encode())
                yield from stream.lines(stream.trail.last(tail))
                if row["role"] == "dead" or not self.follow:
                    yield from stream.end()

    def more(self) -> Iterator[bytes]:
        for stream in self.streams.values():
            yield from stream.lines(stream.trail.more())

    def has_new(self, folder: str) -> bool:
        """Whether there is a file of a worker that is not known yet."""
        ours = (name for name in os.listdir(folder) if name.endswith(f".{self.suffix}"))
        return any(name not in self.streams and name not in self.others for name in ours)


class _Stream:
    def __init__(self, trail: Trail, prefix: bytes) -> None:
        self.trail, self.prefix, self.rest = trail, prefix, b""

    def lines(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            *whole, self.rest = (self.rest + piece).split(b"\n")
            for line in whole:
                yield self.prefix + line + b"\n"

    def end(self) -> Iterator[bytes]:
        """A last line without an end is one all the same."""
        if self.rest:
            yield self.prefix + self.rest + b"\n"
            self.rest = b""
