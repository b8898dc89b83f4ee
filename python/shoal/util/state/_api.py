"""list, get and summarise."""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from shoal.core.checks import wrong_type, wrong_value
from shoal.util.state import _rows
from shoal.util.state._exception import RayStateApiException
from shoal.util.state._filters import Filter, apply, check, found
from shoal.util.state._schema import (
    ActorState,
    ActorSummaries,
    ActorSummaryPerClass,
    JobState,
    NodeState,
    ObjectState,
    ObjectSummaries,
    ObjectSummaryPerKey,
    StateSchema,
    TaskState,
    TaskSummaries,
    TaskSummaryPerFuncOrClassName,
    WorkerState,
)
from shoal.util.state._snapshot import MOST, Snapshot, take

_Made = tuple[Callable[[Snapshot], list[Any]], type[StateSchema], tuple[str, ...], tuple[str, ...]]
# How a kind is made from a look, its schema, what processes are asked for, lists whose cut is a loss.
_KINDS: dict[str, _Made] = {
    "nodes": (_rows.nodes, NodeState, (), ()),
    "jobs": (_rows.jobs, JobState, (), ()),
    "workers": (_rows.workers, WorkerState, (), ()),
    "actors": (_rows.actors, ActorState, (), ()),
    "tasks": (_rows.tasks, TaskState, ("tasks", "ended", "ran"), ("tasks",)),
    "objects": (_rows.objects, ObjectState, ("tasks", "objects"), ("tasks", "objects")),
}


def snapshot(kind: str, address: str | None, timeout: float) -> Snapshot:
    """A look with what rows of this kind need."""
    from shoal.runtime.attach import attached

    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise wrong_type("timeout", "a number of seconds > 0", timeout)
    if not timeout > 0:
        raise wrong_value("timeout", "a number of seconds > 0", timeout)
    with attached(address):
        return take(*_KINDS[kind][2], timeout=float(timeout))


def _complete(look: Snapshot, kind: str, raise_on_missing_output: bool) -> None:
    lost = [f"process {process.pid} is {process.silent}" for process in look.silent()]
    cut = sum(look.left_out(name) for name in _KINDS[kind][3])
    if cut:
        lost.append(f"{cut:,} rows are beyond the {MOST:,} that one process sends")
    if not lost:
        return
    text = f"not every one of the {kind} is known: {'; '.join(lost)}"
    if raise_on_missing_output:
        raise RayStateApiException(f"{text} (raise_on_missing_output=False shows the others)")
    warnings.warn(text, RuntimeWarning, stacklevel=4)


def _list(
    kind: str,
    address: str | None,
    filters: Sequence[Filter] | None,
    limit: int,
    timeout: float,
    detail: bool,
    raise_on_missing_output: bool,
    explain: bool,
) -> list[Any]:
    make, schema, _, _ = _KINDS[kind]
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise wrong_type("limit", f"a whole number from 1 to {MOST}", limit)
    if not 1 <= limit <= MOST:
        raise wrong_value("limit", f"a whole number from 1 to {MOST}", limit)
    wanted = check(filters, schema.columns())
    look = snapshot(kind, address, timeout)
    _complete(look, kind, raise_on_missing_output)
    every = make(look)
    rows = apply(every, wanted)
    if explain and every and not rows:
        warnings.warn(f"no {kind[:-1]} of {len(every)} passes: {found(every, wanted)}", RuntimeWarning, stacklevel=3)
    if explain and len(rows) > limit:
        warnings.warn(f"{limit} of {len(rows)} {kind} are shown: limit={limit}", RuntimeWarning, stacklevel=3)
    rows = rows[:limit]
    if not detail:
        for row in rows:
            _blank(row)
    return rows


def _blank(row: StateSchema) -> None:
    """Columns of detail that were not asked for are `None`, as in Ray."""
    for name in set(row.columns()) - set(row.base_columns()):
        setattr(row, name, None)


def list_tasks(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = 30.0,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> list[TaskState]:
    """Tasks and actor calls: those that are not over, and the last 10,000 of each process that are.

    Args:
        address: The instance, as `init` takes it; `None`: that of this process's session, else the one that runs.
        filters: (column, comparison, value) each; comparisons are =, !=, <, <=, >, >=. All must hold.
        limit: Most rows, up to 10,000.
        timeout: Seconds to wait for processes that don't answer.
        detail: Whether the columns of detail are filled in; else they are `None`.
        raise_on_missing_output: Whether a process that doesn't answer is an error; else it is a warning.
        _explain: Whether a cut at `limit` is a warning.

    Returns:
        Rows, with columns as attributes and as items.

    Raises:
        RayStateApiException: A process is stopped or silent, or has more rows than one process sends.
        ValueError: A filter, `limit` or `timeout` makes no sense.
        TypeError: `limit` or `timeout` is no number.
        ConnectionError: There is no instance.

    Example:
        >>> import shoal
        >>> from shoal.util.state import list_tasks
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> list_tasks(filters=[("name", "=", "never_called")])
        []
    """
    return _list("tasks", address, filters, limit, timeout, detail, raise_on_missing_output, _explain)


def list_actors(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = 30.0,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> list[ActorState]:
    """Actors, dead ones included.

    Arguments and errors are those of `list_tasks`.

    Example:
        >>> import shoal
        >>> from shoal.util.state import list_actors
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> list_actors(filters=[("name", "=", "nobody's")])
        []
    """
    return _list("actors", address, filters, limit, timeout, detail, raise_on_missing_output, _explain)


def list_objects(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = 30.0,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> list[ObjectState]:
    """Objects, once for each process that holds one, the largest of each process first.

    Arguments and errors are those of `list_tasks`.

    Example:
        >>> import shoal
        >>> from shoal.util.state import list_objects
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> isinstance(list_objects(), list)
        True
    """
    return _list("objects", address, filters, limit, timeout, detail, raise_on_missing_output, _explain)


def list_workers(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = 30.0,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> list[WorkerState]:
    """Processes that run tasks or an actor, and drivers; the last dead ones included.

    Arguments and errors are those of `list_tasks`.

    Example:
        >>> import shoal
        >>> from shoal.util.state import list_workers
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> [w.worker_type for w in list_workers(filters=[("worker_type", "=", "driver")])]
        ['DRIVER']
    """
    return _list("workers", address, filters, limit, timeout, detail, raise_on_missing_output, _explain)


def list_nodes(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = 30.0,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> list[NodeState]:
    """Nodes.

    Arguments and errors are those of `list_tasks`.

    Example:
        >>> import shoal
        >>> from shoal.util.state import list_nodes
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> [n.state for n in list_nodes()]
        ['ALIVE']
    """
    return _list("nodes", address, filters, limit, timeout, detail, raise_on_missing_output, _explain)


def list_jobs(
    address: str | None = None,
    filters: Sequence[Filter] | None = None,
    limit: int = 100,
    timeout: float = 30.0,
    detail: bool = False,
    raise_on_missing_output: bool = True,
    _explain: bool = False,
) -> list[JobState]:
    """Jobs, the last that are over included.

    Arguments and errors are those of `list_tasks`.

    Example:
        >>> import shoal
        >>> from shoal.util.state import list_jobs
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> [j.status for j in list_jobs()]
        ['RUNNING']
    """
    return _list("jobs", address, filters, limit, timeout, detail, raise_on_missing_output, _explain)


def _one(kind: str, column: str, id: str, address: str | None, timeout: float, explain: bool = False) -> Any:
    found = _list(kind, address, [(column, "=", id)], MOST, timeout, True, False, explain)
    return found[0] if found else None


def get_task(id: str, address: str | None = None, timeout: float = 30.0, _explain: bool = False) -> TaskState | None:
    """The task or call with this id and all its columns; `None` when it isn't known.

    Args:
        id: Its id, as hexadecimal digits.
        address: As for `list_tasks`.
        timeout: As for `list_tasks`.
        _explain: As for `list_tasks`.

    Example:
        >>> import shoal
        >>> from shoal.util.state import get_task
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> get_task("00") is None
        True
    """
    found: TaskState | None = _one("tasks", "task_id", id, address, timeout, _explain)
    return found


def get_actor(id: str, address: str | None = None, timeout: float = 30.0, _explain: bool = False) -> ActorState | None:
    """The actor with this id and all its columns; `None` when it isn't known.

    Args:
        id: Its id, as hexadecimal digits.
        address: As for `list_tasks`.
        timeout: As for `list_tasks`.
        _explain: As for `list_tasks`.

    Example:
        >>> import shoal
        >>> from shoal.util.state import get_actor
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> get_actor("00") is None
        True
    """
    found: ActorState | None = _one("actors", "actor_id", id, address, timeout, _explain)
    return found


def get_worker(
    id: str, address: str | None = None, timeout: float = 30.0, _explain: bool = False
) -> WorkerState | None:
    """The process with this id and all its columns; `None` when it isn't known.

    Args:
        id: Its id, as hexadecimal digits.
        address: As for `list_tasks`.
        timeout: As for `list_tasks`.
        _explain: As for `list_tasks`.

    Example:
        >>> import shoal
        >>> from shoal.util.state import get_worker
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> get_worker("00") is None
        True
    """
    found: WorkerState | None = _one("workers", "worker_id", id, address, timeout, _explain)
    return found


def get_node(id: str, address: str | None = None, timeout: float = 30.0, _explain: bool = False) -> NodeState | None:
    """The node with this id and all its columns; `None` when it isn't known.

    Args:
        id: Its id, as hexadecimal digits.
        address: As for `list_tasks`.
        timeout: As for `list_tasks`.
        _explain: As for `list_tasks`.

    Example:
        >>> import shoal
        >>> from shoal.util.state import get_node
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> get_node("00") is None
        True
    """
    found: NodeState | None = _one("nodes", "node_id", id, address, timeout, _explain)
    return found


def get_job(id: str, address: str | None = None, timeout: float = 30.0, _explain: bool = False) -> JobState | None:
    """The job with this id and all its columns; `None` when it isn't known.

    Args:
        id: Its id, as hexadecimal digits.
        address: As for `list_tasks`.
        timeout: As for `list_tasks`.
        _explain: As for `list_tasks`.

    Example:
        >>> import shoal
        >>> from shoal.util.state import get_job
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> get_job("00") is None
        True
    """
    found: JobState | None = _one("jobs", "job_id", id, address, timeout, _explain)
    return found


def get_objects(
    id: str, address: str | None = None, timeout: float = 30.0, _explain: bool = False
) -> list[ObjectState]:
    """The object with this id and all its columns: a row for each process that holds it.

    Args:
        id: Its id, as hexadecimal digits (`ref.hex()`).
        address: As for `list_tasks`.
        timeout: As for `list_tasks`.
        _explain: As for `list_tasks`.

    Example:
        >>> import shoal
        >>> from shoal.util.state import get_objects
        >>> ref = shoal.put("x")
        >>> [row.reference_type for row in get_objects(ref.hex())]
        ['LOCAL_REFERENCE']
    """
    return _list("objects", address, [("object_id", "=", id)], MOST, timeout, True, False, _explain)


def _summarised(kind: str, address: str | None, timeout: float, raise_on_missing_output: bool) -> list[Any]:
    look = snapshot(kind, address, timeout)
    _complete(look, kind, raise_on_missing_output)
    return _KINDS[kind][0](look)


def summarize_tasks(
    address: str | None = None, timeout: float = 30.0, raise_on_missing_output: bool = True, _explain: bool = False
) -> dict[str, Any]:
    """How many tasks and calls of each function are in which state.

    Args:
        address: As for `list_tasks`.
        timeout: As for `list_tasks`.
        raise_on_missing_output: As for `list_tasks`.
        _explain: Taken for Ray's sake.

    Returns:
        A `TaskSummaries` as a dict, under "cluster".

    Example:
        >>> import shoal
        >>> from shoal.util.state import summarize_tasks
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> summarize_tasks()["cluster"]["summary_by"]
        'func_name'
    """
    look = snapshot("tasks", address, timeout)
    _complete(look, "tasks", raise_on_missing_output)
    rows = _rows.tasks(look)
    summary: dict[str, TaskSummaryPerFuncOrClassName] = {}
    for row in rows:
        of = summary.setdefault(row.func_or_class_name, TaskSummaryPerFuncOrClassName(row.func_or_class_name, row.type))
        of.state_counts[row.state] = of.state_counts.get(row.state, 0) + 1
    kinds = Counter(row.type for row in rows)
    return {"cluster": asdict(TaskSummaries(summary, kinds["NORMAL_TASK"], kinds["ACTOR_TASK"], len(look.actors)))}


def summarize_actors(
    address: str | None = None, timeout: float = 30.0, raise_on_missing_output: bool = True, _explain: bool = False
) -> dict[str, Any]:
    """How many actors of each class are in which state.

    Arguments are those of `summarize_tasks`.

    Returns:
        An `ActorSummaries` as a dict, under "cluster".

    Example:
        >>> import shoal
        >>> from shoal.util.state import summarize_actors
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> summarize_actors()["cluster"]["summary_by"]
        'class'
    """
    rows: list[ActorState] = _summarised("actors", address, timeout, raise_on_missing_output)
    summary: dict[str, ActorSummaryPerClass] = {}
    for row in rows:
        of = summary.setdefault(row.class_name, ActorSummaryPerClass(row.class_name))
        of.state_counts[row.state] = of.state_counts.get(row.state, 0) + 1
    return {"cluster": asdict(ActorSummaries(summary, len(rows)))}


def summarize_objects(
    address: str | None = None, timeout: float = 30.0, raise_on_missing_output: bool = True, _explain: bool = False
) -> dict[str, Any]:
    """How many objects were made where, and how large they are.

    Arguments are those of `summarize_tasks`.

    Returns:
        An `ObjectSummaries` as a dict, under "cluster".

    Example:
        >>> import shoal
        >>> from shoal.util.state import summarize_objects
        >>> context = shoal.init(num_cpus=1, ignore_reinit_error=True)
        >>> summarize_objects()["cluster"]["summary_by"]
        'callsite'
    """
    rows: list[ObjectState] = _summarised("objects", address, timeout, raise_on_missing_output)
    by_site: dict[str, list[ObjectState]] = {}
    for row in rows:
        by_site.setdefault(row.call_site, []).append(row)
    size = sum(row.object_size for row in rows) / (1 << 20)
    summary = {site: _objects_of(found) for site, found in by_site.items()}
    owned = [row for row in rows if row.owner_pid == row.pid and row.reference_type != "ACTOR_HANDLE"]
    enabled = bool(owned) and all(row.call_site != "disabled" for row in owned)
    return {"cluster": asdict(ObjectSummaries(summary, len(rows), size, enabled))}


def _objects_of(rows: list[ObjectState]) -> ObjectSummaryPerKey:
    return ObjectSummaryPerKey(
        total_objects=len(rows),
        total_size_mb=sum(row.object_size for row in rows) / (1 << 20),
        total_num_workers=len({row.pid for row in rows}),
        total_num_nodes=len({row.ip for row in rows}),
        task_state_counts=dict(Counter(row.task_status for row in rows)),
        task_attempt_number_counts=dict(Counter(str(row.attempt_number) for row in rows)),
        ref_type_counts=dict(Counter(row.reference_type for row in rows)),
    )
