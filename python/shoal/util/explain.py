"""Why something waits: from the tables of every process, and the scheduler's own refusals."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from shoal.util.state._snapshot import Row, Snapshot, take

_DEEP = 12
_WIDE = 3


def why(what: Any, *, timeout: float = 5.0) -> str:
    """Says why a value isn't there yet, or what an actor does: which arguments, resources, processes it waits for.

    Args:
        what: An `ObjectRef`, a generator that a call gave, or an actor's handle; or an id, as hexadecimal digits.
        timeout: Seconds to wait for processes that don't answer; they are named.

    Returns:
        A sentence; below it, indented, why that is so, as far as it goes. Actors or tasks that wait for each other are
        named.

    Raises:
        TypeError: `what` is none of these.
        ValueError: The id is no id of the instance's, or stands for several.

    Example:
        >>> import shoal
        >>> ref = shoal.put("x")
        >>> print(shoal.util.why(ref))  # doctest: +ELLIPSIS
        object ... has its value (... bytes, in the memory of process ...)
    """
    from shoal.runtime.session import ensure

    id = _id_of(what)
    ensure()
    return explain(look(timeout), id)


def _id_of(what: Any) -> str:
    from shoal.core import _ffi
    from shoal.core.actor_handle import ActorHandle
    from shoal.core.generators import ObjectRefGenerator

    if isinstance(what, _ffi.ObjectRef):
        return what.hex()
    if isinstance(what, ObjectRefGenerator):
        return str(what.task_id().hex())
    if isinstance(what, ActorHandle):
        return what._actor_id.hex()
    if isinstance(what, str):
        return what
    raise TypeError(f"why() takes an ObjectRef, a generator, an actor's handle or an id, not {type(what).__name__!r}")


def look(timeout: float) -> Snapshot:
    """What `explain` needs."""
    return take("tasks", "ended", "objects", timeout=timeout)


def explain(found: Snapshot, id: str) -> str:
    """The answer of `why` for an id, or the beginning of one, a process number or an actor's name."""
    return "\n".join(_Explainer(found).of_id(id))


def explain_all(found: Snapshot) -> str:
    """Everything that waits for long, and every circle."""
    return "\n".join(_Explainer(found).of_all())


def circles(found: Snapshot) -> list[str]:
    """A sentence for each circle of tasks that wait for each other."""
    explainer = _Explainer(found)
    return [explainer.circle_text(circle) for circle in explainer.circles()]


@dataclass
class _Page:
    """Lines so far, and what is being told above this line."""

    lines: list[str] = field(default_factory=list)
    path: list[str] = field(default_factory=list)

    def say(self, depth: int, text: str) -> None:
        self.lines.append("  " * depth + text)


class _Explainer:
    def __init__(self, found: Snapshot) -> None:
        self.found = found
        self.waits = [row for node in found.nodes for row in node["waits"]]
        self.by_key = {(row["client"], row["key"]): row for row in self.waits if "key" in row}
        self.by_actor = {row["actor"]: row for row in self.waits if "actor" in row}
        self.workers = {row["worker"]: row for node in found.nodes for row in node["workers"] if row["worker"]}
        self.names = {row["name"]: id for id, row in found.actors.items() if row["name"] and row["state"] != "DEAD"}
        self.now = max((node["now"] for node in found.nodes), default=0)
        self._objects: dict[str, list[Row]] | None = None

    @property
    def objects(self) -> dict[str, list[Row]]:
        if self._objects is None:
            self._objects = {}
            for row in self.found.rows("objects"):
                self._objects.setdefault(row["object"]["id"], []).append(row)
        return self._objects

    # What is asked for.

    def of_id(self, id: str) -> list[str]:
        page = _Page()
        kind, full = self.resolve(id)
        if kind == "object":
            self.object(page, 0, full)
        elif kind == "task":
            self.task(page, 0, full)
        elif kind == "actor":
            self.actor(page, 0, full)
        else:
            self.process(page, 0, full)
        return page.lines

    def resolve(self, id: str) -> tuple[str, str]:
        """What kind of thing an id, its beginning, a process number or a name stands for, and its whole id."""
        if id in self.names:
            return "actor", self.names[id]
        pids = [worker for worker, pid in self.found.pids.items() if id.isdigit() and pid == int(id)]
        if len(pids) == 1:
            return "process", pids[0]
        low = id.lower()
        known: dict[str, Iterable[str]] = {
            "actor": self.found.actors,
            "task": {**self.found.ended, **self.found.tasks},
            "object": {} if len(low) <= 32 else self.objects,
            "process": self.found.pids,
        }
        hits = [(kind, full) for kind, ids in known.items() for full in ids if low and full.startswith(low)]
        if not hits and len(low) == 40:
            return "object", low
        if not hits:
            raise ValueError(f"nothing in the instance has the id {id!r}")
        if len(hits) > 1:
            some = ", ".join(f"{kind} {full}" for kind, full in hits[:4])
            raise ValueError(f"{id!r} stands for {len(hits)} things: {some}{' …' if len(hits) > 4 else ''}")
        return hits[0]

    def of_all(self) -> list[str]:
        page = _Page()
        for row in self.waits:
            who = self.waiter_text(row)
            page.say(0, f"{who}: {row['text']} ({_seconds(row['seconds'])})")
        for process in self.found.silent():
            page.say(0, f"process {process.pid} is {process.silent}")
        for circle in self.circles():
            page.say(0, self.circle_text(circle))
        if not page.lines:
            page.say(0, "nothing waits for a worker or a resource, and no tasks wait for each other in a circle")
        return page.lines

    def waiter_text(self, row: Row) -> str:
        if "actor" in row:
            return self.actor_name(row["actor"])
        names = sorted(
            {
                task["name"]
                for task in self.found.tasks.values()
                if task["stage"] == "Queued" and (task["owner"].worker_id, task["key"]) == (row["client"], row["key"])
            }
        )
        shown = ", ".join(names[:_WIDE]) or "tasks"
        return f"{row['count']} of {shown} by process {self.found.pids.get(row['client'])}"

    # One thing each; `depth` is the indentation.

    def object(self, page: _Page, depth: int, id: str) -> None:
        task = self.found.tasks.get(id[:32])
        if task is not None and task["stage"] != "Cancelled":
            return self.task(page, depth, id[:32])
        rows = self.objects.get(id, [])
        owned = next((row for row in rows if row["object"]["owner"]["worker"] == row["owner"].worker_id), None)
        row = owned or (rows[0] if rows else None)
        name = f"object {id}"
        if row is None:
            page.say(depth, f"{name} is not known to any process that answered: it was freed, or its owner is gone")
        elif row["place"] == "Handle":
            page.say(depth, f"{name} stands for the handles of an actor")
        elif row["place"] == "Error":
            page.say(depth, f"{name} has no value but an error: {self.error_of(id)}")
        elif row["place"] == "Nowhere":
            owner = row["object"]["owner"]["worker"]
            page.say(depth, f"{name} has no value yet; its owner is {self.process_text(owner)}")
        else:
            where = {"Inline": "in the memory of process", "Arena": "in the object store, held by process"}
            place = "on a disk, held by process" if id in self.found.on_disk else where[row["place"]]
            page.say(depth, f"{name} has its value ({row['size']:,} bytes, {place} {row['owner'].pid})")
        if task is not None:
            self.task(page, depth + 1, id[:32])

    def error_of(self, id: str) -> str:
        ended = self.found.ended.get(id[:32])
        if ended is None or ended["error"] is None:
            return "which one, its owner no longer knows"
        kind, text = ended["error"]
        return str(text).strip().rsplit("\n", 1)[-1] or str(kind)

    def task(self, page: _Page, depth: int, id: str) -> None:
        row = self.found.tasks.get(id)
        if row is None:
            return self.ended(page, depth, id)
        if id in page.path:
            circle = page.path[page.path.index(id) :]
            return page.say(depth, self.circle_text(circle))
        if depth > _DEEP:
            return page.say(depth, "…")
        page.path.append(id)
        try:
            getattr(self, f"_{row['stage'].lower()}")(page, depth, row)
        finally:
            page.path.pop()

    def ended(self, page: _Page, depth: int, id: str) -> None:
        row = self.found.ended.get(id)
        if row is None:
            page.say(depth, f"task {id} is not known to any process that answered")
            return
        took = f"after {_seconds((row['ended'] - row['born']) / 1e6)}"
        how = f"failed {took}: {self.error_of(id)}" if row["error"] else f"is done, {took}"
        page.say(depth, f"{self.task_name(row)} {how}")

    def _waiting(self, page: _Page, depth: int, row: Row) -> None:
        refs = row["waits_for"]
        count = f"{len(refs)} of its arguments" if len(refs) > 1 else "its argument"
        page.say(depth, f"{self.task_name(row)} waits for {count}{self.since(row)}")
        self._objects_of(page, depth, [ref["id"] for ref in refs])

    def _objects_of(self, page: _Page, depth: int, ids: list[str]) -> None:
        for id in ids[:_WIDE]:
            self.object(page, depth + 1, id)
        if len(ids) > _WIDE:
            page.say(depth + 1, f"and {len(ids) - _WIDE} more")

    def _resting(self, page: _Page, depth: int, row: Row) -> None:
        rest = _seconds(max(0.0, (row["again"] - self.now) / 1e6))
        page.say(depth, f"{self.task_name(row)} has failed {row['attempt']} times and is tried again in {rest}")

    def _queued(self, page: _Page, depth: int, row: Row) -> None:
        if row["actor"]:
            return self._queued_call(page, depth, row)
        wait = self.by_key.get((row["owner"].worker_id, row["key"]))
        name = self.task_name(row)
        if wait is None:
            return page.say(depth, f"{name} waits for its turn behind other tasks of process {row['owner'].pid}")
        behind = f" with {wait['count'] - 1} others" if wait["count"] > 1 else ""
        page.say(depth, f"{name} waits{behind} for a worker{self.since(row)}: {wait['text']}")

    def _queued_call(self, page: _Page, depth: int, row: Row) -> None:
        name = self.task_name(row)
        if row["phase"] != "Up":
            page.say(depth, f"{name} waits for its actor{self.since(row)}")
            return self.actor(page, depth + 1, row["actor"])
        earlier = [
            other
            for other in self.found.tasks.values()
            if other["actor"] == row["actor"] and other["owner"] is row["owner"] and other["id"] < row["id"]
        ]
        waiting = [other for other in earlier if other["stage"] == "Waiting"]
        if not waiting:
            return page.say(depth, f"{name} is about to be sent to its actor")
        page.say(depth, f"{name} waits for its turn: an earlier call of process {row['owner'].pid} is not ready")
        self.task(page, depth + 1, waiting[0]["id"])

    def _sent(self, page: _Page, depth: int, row: Row) -> None:
        before = self.ahead(row)
        where = self.process_text(row["worker"])
        name = self.task_name(row)
        if before is None:
            return page.say(depth, f"{name} has been sent to {where}, which has not begun it{self.stopped(row)}")
        page.say(depth, f"{name} has been sent to {where}, which runs something else first")
        self.task(page, depth + 1, before)

    def _taken(self, page: _Page, depth: int, row: Row) -> None:
        running = self.found.running.get(row["id"])
        name, where = self.task_name(row), self.process_text(row["worker"])
        since = f" since {_seconds((self.now - running['began']) / 1e6)}" if running else self.since(row)
        if self.found.is_queued(row):
            page.say(depth, f"{name} waits in {where} until one of the calls that run there is over{self.stopped(row)}")
            return self._objects_of(page, depth, self.waits_of(row["worker"]))
        unread = self.found.unread.get(row["id"])
        if unread is not None:
            reason = f"{unread['items']:,} of its items are unread{self.stopped(row)}"
            return page.say(depth, f"{name} waits in {where} for somebody to read on: {reason}")
        waits = self.waits_of(row["worker"])
        page.say(depth, f"{name} runs in {where}{since}{self.stopped(row)}" + (", and waits itself" if waits else ""))
        self._objects_of(page, depth, waits)

    def _cancelled(self, page: _Page, depth: int, row: Row) -> None:
        where = self.process_text(row["worker"])
        runs = f"was cancelled, and its code still runs in {where}{self.stopped(row)}"
        hint = "it is in C code, or catches KeyboardInterrupt; cancel(force=True) kills the process"
        page.say(depth, f"{self.task_name(row)} {runs}: {hint}")

    def actor(self, page: _Page, depth: int, id: str) -> None:
        row = self.found.actors.get(id)
        if row is None:
            return page.say(depth, f"actor {id} is not known")
        name, state = self.actor_name(id), row["state"]
        if state == "DEAD":
            return page.say(depth, f"{name} is dead: {row['cause']}")
        if state == "ALIVE":
            return self._alive(page, depth, id, row)
        because = f" because its last life ended ({row['cause'].splitlines()[0]})" if row["cause"] else ""
        begin = f"{name} is being restarted{because}" if state == "RESTARTING" else f"{name} is not up yet"
        if row["stage"] == "args":
            refs = self.constructor_waits(id)
            page.say(depth, f"{begin}: its constructor waits for {len(refs)} arguments")
            return self._objects_of(page, depth, refs)
        if row["stage"] == "resting":
            return page.say(depth, f"{begin}: several of its lives were short, so it rests before the next")
        if row["stage"] == "placing":
            wait = self.by_actor.get(id)
            return page.say(depth, f"{begin}: {wait['text'] if wait else 'its process is about to start'}")
        page.say(depth, f"{begin}: its constructor runs in {self.process_text(row['worker'])}")
        self._objects_of(page, depth, self.waits_of(row["worker"]))

    def _alive(self, page: _Page, depth: int, id: str, row: Row) -> None:
        calls = [call for call in self.found.tasks.values() if call["actor"] == id]
        taken = [call for call in calls if call["stage"] in ("Taken", "Cancelled")]
        where = self.process_text(row["worker"])
        rest = len(calls) - len(taken)
        queued = f", {rest} calls wait" if rest else ""
        if not taken:
            return page.say(depth, f"{self.actor_name(id)} is alive in {where} and runs nothing{queued}")
        page.say(depth, f"{self.actor_name(id)} is alive in {where}, runs {len(taken)} calls{queued}")
        for call in taken[:_WIDE]:
            self.task(page, depth + 1, call["id"])

    def process(self, page: _Page, depth: int, id: str) -> None:
        actor = next((actor for actor, row in self.found.actors.items() if row["worker"] == id), None)
        runs = [t for t in self.found.tasks.values() if t["worker"] == id and t["stage"] in ("Taken", "Cancelled")]
        waits = self.waits_of(id)
        process = self.found.by_worker.get(id)
        answers = process is not None and not process.silent
        idle = answers and actor is None and not runs and not waits
        page.say(depth, self.process_text(id) + (" runs no task" if idle else ""))
        if actor is not None:
            return self.actor(page, depth + 1, actor)
        for task in runs:
            self.task(page, depth + 1, task["id"])
        self._objects_of(page, depth, waits)

    # Words.

    def task_name(self, row: Row) -> str:
        cls = self.found.actors.get(row["actor"], {}).get("class") if row["actor"] else None
        return f"call {cls}.{row['name']}" if cls else f"task {row['name']}"

    def actor_name(self, id: str) -> str:
        row = self.found.actors.get(id, {})
        given = f" {row['name']!r}" if row.get("name") else ""
        return f"actor {row.get('class', '')}{given} ({id})"

    def process_text(self, worker: str | None) -> str:
        if worker is None:
            return "a process that is not known"
        pid = self.found.pids.get(worker)
        if pid is None:
            return f"process {worker[:8]}, which is gone"
        process = self.found.by_worker.get(worker)
        if process is not None and process.silent == "stopped":
            return f"process {pid}, which is stopped (SIGSTOP; 'kill -CONT {pid}' lets it go on)"
        if process is not None and process.silent:
            return f"process {pid}, which does not answer ({process.silent})"
        return f"process {pid}"

    def stopped(self, row: Row) -> str:
        state = self.workers.get(row["worker"], {}).get("state")
        return ", in an uninterruptible wait of the kernel" if state == "D" else ""

    def since(self, row: Row) -> str:
        return f" since {_seconds((self.now - row['born']) / 1e6)}"

    # Who waits for whom.

    def waits_of(self, worker: str | None) -> list[str]:
        """Objects without a value that threads of a process wait for."""
        process = self.found.by_worker.get(worker or "")
        return list(process.report["waits"]) if process is not None and process.report is not None else []

    def constructor_waits(self, actor: str) -> list[str]:
        reports = [p.report for p in self.found.processes if p.report is not None]
        return [ref["id"] for report in reports for id, refs in report["actor_waits"] if id == actor for ref in refs]

    def ahead(self, row: Row) -> str | None:
        """What the worker of a sent task runs."""
        running = [t for t in self.found.tasks.values() if t["worker"] == row["worker"] and t["stage"] == "Taken"]
        return running[0]["id"] if running else None

    def awaited(self, id: str) -> Iterator[str]:
        """Tasks that a task waits for."""
        row = self.found.tasks[id]
        if row["stage"] == "Waiting":
            ids = [ref["id"] for ref in row["waits_for"]]
        elif row["stage"] == "Taken":
            ids = [] if id in self.found.unread else self.waits_of(row["worker"])
        elif row["stage"] == "Sent":
            before = self.ahead(row)
            ids = [before] if before else []
        else:
            ids = []
        yield from (id[:32] for id in ids if id[:32] in self.found.tasks)

    def circles(self) -> list[list[str]]:
        """Tasks that wait for each other, each circle once."""
        found: dict[frozenset[str], list[str]] = {}
        done: set[str] = set()
        for start in self.found.tasks:
            stack = [(start, self.awaited(start))] if start not in done else []
            path = [start]
            while stack:
                task, rest = stack[-1]
                following = next(rest, None)
                if following is None:
                    done.add(task)
                    stack.pop()
                    path.pop()
                elif following in path:
                    circle = path[path.index(following) :]
                    found.setdefault(frozenset(circle), circle)
                elif following not in done:
                    stack.append((following, self.awaited(following)))
                    path.append(following)
        return list(found.values())

    def circle_text(self, circle: list[str]) -> str:
        rows = [self.found.tasks[id] for id in circle]
        names = [
            f"{self.task_name(row)} of {self.actor_name(row['actor'])}" if row["actor"] else self.task_name(row)
            for row in rows
        ]
        chain = ", which waits for ".join([*names[1:], names[0]])
        return f"a circle: {names[0]} waits for {chain}; none of them can go on"


def _seconds(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 36_000 else f"{seconds / 3600:.0f} h"


__all__ = ["circles", "explain", "explain_all", "look", "why"]
