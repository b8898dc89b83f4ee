"""One look at an instance: what its nodes and processes told, with the ways to find things in it."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Row = dict[str, Any]

# Most rows of one kind that one process sends.
MOST = 10_000


@dataclass(frozen=True)
class Process:
    """A process of the instance."""

    worker_id: str
    pid: int
    kind: str
    """driver, worker or tool."""
    job: int
    node_id: str
    silent: str
    """Why it did not answer; empty when it did, or was not asked."""
    report: Row | None


class Snapshot:
    """What was told, and indices over it."""

    def __init__(self, nodes: list[Row]) -> None:
        self.nodes: list[Row] = [entry["node"] for entry in nodes]
        self.processes = [_process(client, entry["node"]) for entry in nodes for client in entry["clients"]]

    @cached_property
    def by_worker(self) -> dict[str, Process]:
        """Processes that were asked, by id."""
        return {process.worker_id: process for process in self.processes}

    @cached_property
    def pids(self) -> dict[str, int]:
        """Process numbers by worker id, of all that the nodes know."""
        known = {row["worker"]: row["pid"] for node in self.nodes for row in _all_workers(node) if row["worker"]}
        return {**known, **{process.worker_id: process.pid for process in self.processes}}

    @cached_property
    def jobs_of(self) -> dict[str, int]:
        """Jobs by worker id."""
        return {row["worker"]: row["job"] for node in self.nodes for row in _all_workers(node) if row["worker"]}

    @cached_property
    def actors(self) -> dict[str, Row]:
        """Actors by id; each has `node` besides what its node told."""
        return {row["actor"]: {**row, "node": node["node"]} for node in self.nodes for row in node["actors"]}

    @cached_property
    def tasks(self) -> dict[str, Row]:
        """Tasks and calls that are not over, by id; each has `owner`, a `Process`."""
        return {row["id"]: row for row in self.rows("tasks")}

    @cached_property
    def ended(self) -> dict[str, Row]:
        """Those that are over."""
        return {row["id"]: row for row in self.rows("ended")}

    @cached_property
    def ran(self) -> dict[str, Row]:
        """What ran, by task; told by who ran it."""
        return {row["id"]: row for row in self.rows("ran")}

    @cached_property
    def running(self) -> dict[str, Row]:
        """What runs, by task; told by who runs it."""
        return {row["id"]: {**row, "owner": process} for process, row in self._each("running")}

    @cached_property
    def unread(self) -> dict[str, Row]:
        """Generators that wait until more of their items are read, by task; told by who runs them."""
        return {row["id"]: row for _, row in self._each("unread")}

    @cached_property
    def on_disk(self) -> set[str]:
        """Objects that lie on a disk only."""
        return {id for node in self.nodes for id in node["on_disk"]}

    def rows(self, kind: str) -> list[Row]:
        """Rows of one kind of every process, each with `owner`."""
        out = []
        for process in self.processes:
            if process.report is not None:
                out += [{**row, "owner": process} for row in process.report[kind]["rows"]]
        return out

    def is_queued(self, row: Row) -> bool:
        """Whether a call that its actor's process has taken waits there until others are over."""
        process = self.by_worker.get(row["worker"])
        told = process is not None and process.report is not None
        return bool(row["actor"]) and row["stage"] == "Taken" and told and row["id"] not in self.running

    def _each(self, kind: str) -> list[tuple[Process, Row]]:
        return [(p, row) for p in self.processes if p.report is not None for row in p.report[kind]]

    def left_out(self, kind: str) -> int:
        """How many rows of a kind were not sent."""
        return sum(p.report[kind]["left_out"] for p in self.processes if p.report is not None)

    def silent(self) -> list[Process]:
        """Who was asked and did not answer."""
        return [process for process in self.processes if process.silent]


def _process(client: Row, node: Row) -> Process:
    keys = ("pid", "kind", "job", "silent", "report")
    return Process(worker_id=client["worker"], node_id=node["node"], **{key: client[key] for key in keys})


def _all_workers(node: Row) -> list[Row]:
    found: list[Row] = node["past_workers"] + node["workers"] + node["outsiders"]
    return found


def take(*wishes: str, only: int | None = None, timeout: float = 30.0) -> Snapshot:
    """Looks at the instance of this process's session.

    Args:
        *wishes: What processes are to tell: "tasks" that are not over and what runs; tasks that are "ended"; what "ran"
            in them; "objects"; "stacks" of their threads. Without any, they are not asked.
        only: The one process that is asked; `None`: all.
        timeout: Seconds to wait for who does not answer.
    """
    from shoal.core import _ffi

    return Snapshot(json.loads(_ffi.look(list(wishes), only, MOST, timeout)))
