"""What ran when, as a trace that Perfetto and chrome://tracing open."""

import json
import os
import warnings
from collections import defaultdict
from typing import Any

from shoal.core.checks import wrong_type
from shoal.util.state._snapshot import Process, Row, Snapshot, take

Event = dict[str, Any]
_ROUNDED = 2


def timeline(filename: str | os.PathLike[str] | None = None) -> list[Event] | None:
    """What ran in each process of the instance, and what runs: a trace for https://ui.perfetto.dev.

    Each process remembers the last 4,096 tasks and calls that ran in it. Of processes that are gone, the owners of
    their tasks remember the last 10,000 each, with times that are less exact. A process has one row; tasks that ran at
    the same time in it have a row each.

    Args:
        filename: Where the trace is written, as JSON; `None`: it is returned.

    Returns:
        Events of the Chrome trace format, times in microseconds since 1970; `None` when they are written to a file.

    Raises:
        TypeError: `filename` is no path.
        OSError: The file can't be written.
        ConnectionError: There is no instance.

    Example:
        >>> import shoal
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> events = shoal.timeline()
    """
    from shoal.runtime.attach import attached

    if filename is not None and not isinstance(filename, str | os.PathLike):
        raise wrong_type("filename", "a path or None", filename)
    with attached():
        found = events(look())
    if filename is None:
        return found
    with open(filename, "w", encoding="utf-8") as file:
        json.dump(found, file)
    return None


def look(timeout: float = 30.0) -> Snapshot:
    """A look with what a trace needs; who doesn't answer is a warning."""
    found = take("tasks", "ended", "ran", timeout=timeout)
    for process in found.silent():
        text = f"process {process.pid} is {process.silent}: what it remembers is not in the timeline"
        warnings.warn(text, RuntimeWarning, stacklevel=3)
    return found


def events(found: Snapshot) -> list[Event]:
    """The trace of what was seen: names of processes, then tasks in the order of their beginning."""
    tasks = sorted([*_ran(found), *_running(found), *_gone(found)], key=lambda event: (event["ts"], -event["dur"]))
    _into_rows(tasks)
    pids = sorted({event["pid"] for event in tasks})
    return [_named(pid, found) for pid in pids] + tasks


def _ran(found: Snapshot) -> list[Event]:
    """What processes remember that still answer."""
    return [
        _event(row, row["owner"].pid, row["began"], row["micros"], "FAILED" if row["failed"] else "FINISHED", found)
        for row in found.rows("ran")
    ]


def _running(found: Snapshot) -> list[Event]:
    """What runs, up to now."""
    rows = [(row, row["owner"]) for task, row in found.running.items() if task not in found.ran]
    return [_event(row, owner.pid, row["began"], _until_now(row, owner), "RUNNING", found) for row, owner in rows]


def _until_now(row: Row, owner: Process) -> int:
    began: int = row["began"]
    now: int = owner.report["now"] if owner.report else began
    return max(now - began, 0)


def _gone(found: Snapshot) -> list[Event]:
    """What ran in processes that are gone or silent, as the tasks' owners remember it."""
    told = {process.worker_id for process in found.processes if process.report is not None}
    rows = [row for row in found.ended.values() if row["worker"] in found.pids and row["worker"] not in told]
    return [
        _event(
            row,
            found.pids[row["worker"]],
            row["ended"] - row["micros"],
            row["micros"],
            "FAILED" if row["error"] else "FINISHED",
            found,
        )
        for row in rows
    ]


def _event(row: Row, pid: int, began: int, micros: int, state: str, found: Snapshot) -> Event:
    owned = found.ended.get(row["id"]) or found.tasks.get(row["id"]) or {}
    actor = owned.get("actor")
    cls = found.actors.get(actor, {}).get("class") if actor else None
    name = f"{cls}.{row['name']}" if cls else row["name"]
    args = {"task_id": row["id"], "state": state}
    if actor:
        args["actor_id"] = actor
    return {
        "cat": "actor_task" if actor else "task",
        "name": name,
        "ph": "X",
        "pid": pid,
        "tid": 0,
        "ts": began,
        "dur": micros,
        "args": args,
    }


def _into_rows(tasks: list[Event]) -> None:
    """Gives each task the first row of its process that is free: slices of one row must not overlap.

    Both ends of a slice are rounded to microseconds; what overlaps by no more than that is cut.
    """
    last: dict[int, list[Event]] = defaultdict(list)
    for event in tasks:
        rows = last[event["pid"]]
        free = (i for i, one in enumerate(rows) if one["ts"] + one["dur"] <= event["ts"] + _ROUNDED)
        row = next(free, len(rows))
        if row < len(rows):
            rows[row]["dur"] = min(rows[row]["dur"], event["ts"] - rows[row]["ts"])
        rows[row:] = [event, *rows[row + 1 :]]
        event["tid"] = row


def _named(pid: int, found: Snapshot) -> Event:
    kind = next((process.kind for process in found.processes if process.pid == pid), "worker")
    return {"name": "process_name", "ph": "M", "pid": pid, "tid": 0, "args": {"name": f"{kind} {pid}"}}
