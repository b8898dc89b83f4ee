"""Log files of an instance: which there are, and what is in them.

Whoever reads them reads files: nothing asks the processes that write, and nothing slows them down.
"""

import codecs
import contextlib
import fnmatch
import os
import select
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shoal.core.checks import wrong_type, wrong_value
from shoal.util.state._exception import RayStateApiException
from shoal.util.state._snapshot import Row, Snapshot, take
from shoal.util.state._trail import Trail

_SUFFIXES = ("out", "err")


def list_logs(
    address: str | None = None,
    node_id: str | None = None,
    node_ip: str | None = None,
    glob_filter: str | None = None,
    timeout: float = 30.0,
) -> dict[str, list[str]]:
    """The instance's log files.

    Args:
        address: The instance, as `list_tasks` takes it.
        node_id: The node; `None`: the only one.
        node_ip: The same by its address.
        glob_filter: Only names that match, such as `"worker-*.err"`; `None`: all.
        timeout: Seconds to wait for the node.

    Returns:
        Names by what writes them: "worker_out", "worker_err", "node". Older parts of a file have `.1` and so on behind
        their name.

    Raises:
        ConnectionError: There is no instance.
        ValueError: There is no such node.

    Example:
        >>> import shoal
        >>> from shoal.util.state import list_logs
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> "node.log" in list_logs()["node"]
        True
    """
    folder = folder_of(_nodes(address, timeout), node_id, node_ip)
    found: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)):
        if fnmatch.fnmatchcase(name, glob_filter or "*"):
            found.setdefault(_kind(name), []).append(name)
    return found


def _kind(name: str) -> str:
    if not name.startswith("worker-"):
        return "node"
    return "worker_err" if ".err" in name else "worker_out"


def get_log(
    address: str | None = None,
    node_id: str | None = None,
    node_ip: str | None = None,
    filename: str | None = None,
    actor_id: str | None = None,
    task_id: str | None = None,
    pid: int | None = None,
    follow: bool = False,
    tail: int = -1,
    timeout: float = 30.0,
    suffix: str = "out",
    encoding: str | None = "utf-8",
    errors: str | None = "strict",
    submission_id: str | None = None,
    attempt_number: int = 0,
    _interval: float | None = None,
) -> Iterator[str]:
    """What one process has written, over all parts of its log file.

    Exactly one of `filename`, `actor_id`, `task_id` and `pid` says which.

    Args:
        address: The instance, as `list_tasks` takes it.
        node_id: The node; `None`: the only one.
        node_ip: The same by its address.
        filename: A name that `list_logs` tells.
        actor_id: An actor's id: the log of its last life.
        task_id: A task's id: the log of the process that ran it, which others that ran there wrote to as well.
        pid: A worker's process.
        follow: Whether to go on with what is written from now on, until the instance ends.
        tail: How many lines to begin with, the last ones; -1: all.
        timeout: Seconds to wait for the node, and for processes that are asked for the task.
        suffix: "out" for standard output, "err" for standard error.
        encoding: Of the text.
        errors: What to do with bytes that are none of it, as `bytes.decode` takes it.
        submission_id: Not supported yet.
        attempt_number: Taken for Ray's sake: a task's log is that of its last attempt.
        _interval: Taken for Ray's sake: what is written is told as it comes.

    Yields:
        Pieces of text.

    Raises:
        ConnectionError: There is no instance.
        ValueError: None or several of the four are given, or there is no such file, actor, task, process or node.

    Example:
        >>> import shoal
        >>> from shoal.util.state import get_log
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> isinstance("".join(get_log(filename="node.log")), str)
        True
    """
    if submission_id is not None:
        raise ValueError("submission_id is not supported yet")
    if suffix not in _SUFFIXES:
        raise wrong_value("suffix", "'out' or 'err'", suffix)
    given = {"filename": filename, "actor_id": actor_id, "task_id": task_id, "pid": pid}
    given = {name: what for name, what in given.items() if what is not None}
    if len(given) != 1:
        raise ValueError(
            f"get_log() takes one of filename, actor_id, task_id and pid, not {', '.join(given) or 'none'}"
        )
    check_tail(tail)
    codecs.lookup(encoding or "utf-8")
    look = _nodes(address, timeout, tasks=task_id is not None)
    folder = folder_of(look, node_id, node_ip)
    name = filename or writer(look, *next(iter(given.items()))).file(suffix)
    trail = Trail(path_of(folder, name))
    decoder = codecs.getincrementaldecoder(encoding or "utf-8")(errors or "strict")
    pieces = followed(folder, daemon_of(look), trail, tail) if follow else trail.last(tail)
    return _decoded(trail, pieces, decoder)


def _decoded(trail: Trail, pieces: Iterator[bytes], decoder: codecs.IncrementalDecoder) -> Iterator[str]:
    with contextlib.closing(trail):
        for piece in pieces:
            if text := decoder.decode(piece):
                yield text
        if text := decoder.decode(b"", final=True):
            yield text


def check_tail(tail: Any) -> None:
    """Refuses what is no number of lines."""
    takes = "a whole number of lines ≥ 0, or -1 for all"
    if isinstance(tail, bool) or not isinstance(tail, int):
        raise wrong_type("tail", takes, tail)
    if tail < -1:
        raise wrong_value("tail", takes, tail)


def followed(folder: str, daemon: int, trail: Trail, tail: int) -> Iterator[bytes]:
    """The last lines of a log, then what is added to it until the instance ends."""
    with changes(folder, daemon) as changed:
        yield from trail.last(tail)
        while changed():
            yield from trail.more()
        yield from trail.more()


@contextlib.contextmanager
def changes(folder: str, daemon: int) -> Iterator[Any]:
    """Gives a function that waits until a file of the folder has changed; false when the instance has ended."""
    from shoal.core import _ffi

    watch = _ffi.watch_folder(folder)
    try:
        end = os.pidfd_open(daemon)
    except ProcessLookupError:
        end = None
    poll = select.poll()
    for fd in (watch, end):
        if fd is not None:
            poll.register(fd, select.POLLIN)

    def changed() -> bool:
        ready = {fd for fd, _ in poll.poll()} if end is not None else set()
        with contextlib.suppress(BlockingIOError):
            while os.read(watch, 1 << 16):
                pass
        return end is not None and end not in ready

    try:
        yield changed
    finally:
        os.close(watch)
        if end is not None:
            os.close(end)


def _nodes(address: str | None, timeout: float, tasks: bool = False) -> Snapshot:
    from shoal.runtime.attach import attached

    with attached(address):
        return take(*(("tasks", "ended") if tasks else ()), timeout=float(timeout))


def folder_of(look: Snapshot, node_id: str | None = None, node_ip: str | None = None) -> str:
    """Where a node's log files are."""
    from shoal.util.state._rows import IP

    node = look.nodes[0]
    if node_id not in (None, node["node"]) or node_ip not in (None, IP):
        given = f"id {node_id!r}" if node_id is not None else f"address {node_ip!r}"
        raise ValueError(f"there is no node with the {given}; there is {node['node']} at {IP}")
    return os.path.join(node["session"], "logs")


def daemon_of(look: Snapshot) -> int:
    """The process of the node's daemon."""
    pid: int = look.nodes[0]["pid"]
    return pid


def path_of(folder: str, name: str) -> str:
    """The path of a log file; refuses names that are none of the folder's."""
    path = os.path.join(folder, name)
    if os.path.basename(name) == name and (os.path.exists(path) or name.startswith("worker-")):
        return path
    raise ValueError(f"there is no log file {name!r} in {folder}; list_logs() tells which there are")


@dataclass(frozen=True)
class Writer:
    """A worker process that writes logs."""

    pid: int
    title: str

    def file(self, suffix: str) -> str:
        """The name of its log file."""
        return f"worker-{self.pid}.{suffix}"


def writer(look: Snapshot, kind: str, id: Any) -> Writer:
    """Who writes the log of an actor, a task or a process."""
    if kind == "pid":
        return _of_pid(look, id)
    return _of_actor(look, str(id)) if kind == "actor_id" else _of_task(look, str(id))


def workers(look: Snapshot) -> list[Row]:
    """Workers of the node, those that are over first."""
    found: list[Row] = [row for node in look.nodes for row in node["past_workers"] + node["workers"] if row["pid"]]
    return found


def _of_pid(look: Snapshot, pid: Any) -> Writer:
    if isinstance(pid, bool) or not isinstance(pid, int):
        raise wrong_type("pid", "the number of a process", pid)
    for row in reversed(workers(look)):
        if row["pid"] == pid:
            return Writer(pid, row["title"] or "")
    raise ValueError(f"process {pid} is no worker of the instance that is known")


def _of_actor(look: Snapshot, id: str) -> Writer:
    full = actor_named(look, id)
    rows = [row for row in workers(look) if row["actor"] == full]
    if not rows:
        actor = look.actors[full]
        cause = f": {actor['cause'].splitlines()[0]}" if actor["cause"] else ""
        raise ValueError(f"no process of actor {full} ({actor['class']}, {actor['state']}) is known{cause}")
    return Writer(rows[-1]["pid"], rows[-1]["title"] or "")


def actor_named(look: Snapshot, id: str) -> str:
    """The whole id of the actor of which `id` is the id, the beginning of it, or the name."""
    named = [full for full, row in look.actors.items() if row["name"] == id and row["state"] != "DEAD"]
    return named[0] if len(named) == 1 else unique("actor", id, look.actors)


def unique(kind: str, id: str, known: Any) -> str:
    """The whole id of which `id` is the beginning."""
    hits = [full for full in known if full.startswith(id.lower())]
    if len(hits) == 1 and id:
        return str(hits[0])
    how = f"stands for {len(hits)} of them" if hits else "is not known"
    raise ValueError(f"{kind} {id!r} {how}; `shoal list {kind}s` tells which there are")


def others_in_log(look: Snapshot, task_id: str) -> str | None:
    """Words for what else is in the log of a task's process; `None` if nothing else has run there.

    What its tasks write, C code and children too, goes through one pipe, and the log does not say whose a line is.
    """
    row = _known_task(look, task_id)
    process = look.by_worker.get(row["worker"])
    pid = look.pids[row["worker"]]
    if process is None or process.report is None:
        return f"this is all that process {pid} has written; other tasks may have run there, too"
    ran, running = process.report["ran"], process.report["running"]
    others = {one["id"] for one in (*ran["rows"], *running)} - {row["id"]}
    count = len(others) + ran["left_out"]
    if count == 0:
        return None
    which = f"{count:,} other tasks or calls" if count > 1 else "one other task or call"
    return f"this is all that process {pid} has written, in which {which} ran, too; lines don't say whose they are"


def _known_task(look: Snapshot, id: str) -> Row:
    """The task of which `id` is the beginning, if it was sent to a process that is known."""
    known = {**look.ended, **look.tasks}
    row = known[unique("task", id[:32], known)]
    if row["worker"] not in look.pids:
        raise ValueError(f"task {row['id']} ({row['name']}) has not been sent to a process that is known")
    return row


def _of_task(look: Snapshot, id: str) -> Writer:
    if look.silent():
        names = ", ".join(f"{process.pid} ({process.silent})" for process in look.silent())
        raise RayStateApiException(f"processes that may know the task don't answer: {names}")
    row = _known_task(look, id)
    return Writer(look.pids[row["worker"]], row["name"])
