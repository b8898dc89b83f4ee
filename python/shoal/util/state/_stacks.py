"""What the threads of an instance's processes do now."""

import re
from typing import Any

from shoal.core.checks import wrong_type, wrong_value
from shoal.util.state._logs import actor_named, unique
from shoal.util.state._schema import StackState
from shoal.util.state._snapshot import Process, Snapshot, take

_HEAD = re.compile(r"(?:Current thread|Thread) 0x0*([0-9a-f]+)")
# Where every worker's main thread begins.
_BEGIN = re.compile(r'File ".*[/\\]shoal[/\\]runtime[/\\](?:zygote|worker)\.py"')


def list_stacks(
    address: str | None = None,
    pid: int | None = None,
    task_id: str | None = None,
    actor_id: str | None = None,
    timeout: float = 10.0,
) -> list[StackState]:
    """The Python stacks of workers and drivers, also of those whose code is stuck in C or doesn't let go of the GIL.

    A worker writes them from a signal's handler, whatever it does. A driver's signals are left to it: its stacks are
    told by a thread, as long as its code lets others have the GIL.

    Args:
        address: The instance, as `list_tasks` takes it.
        pid: Only this process.
        task_id: Only the process that runs this task; its id, or the beginning of it.
        actor_id: Only this actor's process; its id, the beginning of it, or its name.
        timeout: Seconds to wait for processes that don't answer.

    Returns:
        A row for each process, those that can't tell included: `stack` is the text, the most recent call of each thread
        first; `reason` says why there is none.

    Raises:
        ValueError: There is no such process, task or actor, or the task does not run.
        TypeError: `pid` or `timeout` is no number.
        ConnectionError: There is no instance.

    Example:
        >>> import shoal
        >>> from shoal.util.state import list_stacks
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> "DRIVER" in {row.type for row in list_stacks()}
        True
    """
    from shoal.runtime.attach import attached

    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise wrong_type("timeout", "a number of seconds > 0", timeout)
    if not timeout > 0:
        raise wrong_value("timeout", "a number of seconds > 0", timeout)
    given = {"pid": pid, "task": task_id, "actor": actor_id}
    given = {name: what for name, what in given.items() if what is not None}
    if len(given) > 1:
        raise ValueError("list_stacks() takes one of pid, task_id and actor_id, not several")
    with attached(address):
        only = _process(next(iter(given.items())), float(timeout)) if given else None
        return rows(take("stacks", "tasks", only=only, timeout=float(timeout)), only)


def rows(look: Snapshot, only: int | None = None) -> list[StackState]:
    """Rows of a look with stacks: drivers first, then workers, by their process's number."""
    titles = {row["worker"]: row["title"] for node in look.nodes for row in node["workers"]}
    told = [process for process in look.processes if process.kind != "tool" and only in (None, process.pid)]
    told.sort(key=lambda process: (process.kind != "driver", process.pid))
    return [_row(process, titles.get(process.worker_id)) for process in told]


def _row(process: Process, title: str | None) -> StackState:
    report = process.report or {}
    stack = "\n\n".join(_thread(part) for part in report.get("stacks", "").strip().split("\n\n") if part)
    reason = None
    if not stack:
        reason = process.silent or report.get("no_stacks") or "it has told nothing"
        if process.kind == "driver" and process.silent == "it did not answer in time":
            reason = "it did not answer in time: its code keeps the GIL, or it is busy"
    return StackState(
        pid=process.pid,
        type="DRIVER" if process.kind == "driver" else "WORKER",
        worker_id=process.worker_id,
        title=title or None,
        stack=stack or None,
        reason=reason,
    )


def _thread(text: str) -> str:
    """One thread's stack without what began a worker: that is its main thread."""
    head, *calls = text.split("\n")
    user = [call for call in calls if not _BEGIN.search(call)]
    if len(user) < len(calls):
        head = "Main thread (most recent call first):"
    else:
        head = _HEAD.sub(lambda found: f"Thread 0x{found[1]}", head)
    return "\n".join([head, *(user or ["  (waits for work)"])])


def _process(given: tuple[str, Any], timeout: float) -> int:
    """The number of the process that is meant."""
    kind, what = given
    if kind == "pid":
        return _known(what)
    look = take("tasks", "ended", timeout=timeout)
    if kind == "actor":
        full = actor_named(look, str(what))
        pid = look.actors[full]["pid"]
        state = look.actors[full]["state"]
    else:
        full = unique("task", str(what), {**look.ended, **look.tasks})
        row = look.tasks.get(full)
        pid = look.pids.get(row["worker"]) if row and row["stage"] in ("Taken", "Cancelled") else None
        state = row["stage"].lower() if row else "over"
    if pid is None:
        raise ValueError(f"{kind} {full} has no process now: it is {state}; `shoal why {full}` says more")
    return int(pid)


def _known(pid: Any) -> int:
    if isinstance(pid, bool) or not isinstance(pid, int):
        raise wrong_type("pid", "the number of a process", pid)
    if pid not in take().pids.values():
        raise ValueError(f"process {pid} is none of the instance's")
    return pid
