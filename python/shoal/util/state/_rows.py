"""From a look to typed rows."""

from typing import Any

from shoal.util.state._schema import (
    ActorState,
    JobState,
    NodeState,
    ObjectState,
    TaskState,
    WorkerState,
)
from shoal.util.state._snapshot import Process, Row, Snapshot

IP = "127.0.0.1"
_ERRORS = {
    "Task": "TASK_EXECUTION_EXCEPTION",
    "WorkerCrashed": "WORKER_DIED",
    "ActorDied": "ACTOR_DIED",
    "ActorUnavailable": "ACTOR_UNAVAILABLE",
    "Cancelled": "TASK_CANCELLED",
    "OwnerDied": "OWNER_DIED",
    "ObjectLost": "OBJECT_LOST",
    "Reconstruction": "OBJECT_UNRECONSTRUCTABLE",
    "RetriesSpent": "OBJECT_UNRECONSTRUCTABLE_MAX_ATTEMPTS_EXCEEDED",
    "LineageEvicted": "OBJECT_UNRECONSTRUCTABLE_LINEAGE_EVICTED",
    "NodeDied": "NODE_DIED",
    "OutOfMemory": "OUT_OF_MEMORY",
    "Unschedulable": "TASK_UNSCHEDULABLE_ERROR",
    "ActorUnschedulable": "ACTOR_UNSCHEDULABLE_ERROR",
    "RuntimeEnv": "RUNTIME_ENV_SETUP_FAILED",
}


def job_hex(job: int) -> str:
    """A job's id as people see it."""
    return f"{job:08x}"


def _ms(micros: int | None) -> int | None:
    return None if micros is None else micros // 1000


def nodes(look: Snapshot) -> list[NodeState]:
    """Every node."""
    return [
        NodeState(
            node_id=node["node"],
            node_ip=IP,
            is_head_node=True,
            state="ALIVE",
            node_name=node["hostname"],
            resources_total=node["total"],
            labels={},
            resources_available=node["available"],
            start_time_ms=int(node["now"] / 1e3 - node["uptime"] * 1e3),
        )
        for node in look.nodes
    ]


def jobs(look: Snapshot) -> list[JobState]:
    """Every job, those that are over as far as they are remembered."""
    return [_job(row) for node in look.nodes for row in node["past_jobs"] + node["jobs"]]


def _job(row: Row) -> JobState:
    ended = row.get("ended")
    status = "RUNNING" if ended is None else "SUCCEEDED" if row["clean"] else "FAILED"
    driver = {"id": job_hex(row["job"]), "node_ip_address": IP, "pid": row["pid"]} if row["pid"] else None
    return JobState(
        job_id=job_hex(row["job"]),
        type="DRIVER",
        status=status,
        entrypoint=" ".join(row.get("argv") or []),
        driver_info=driver,
        start_time=_ms(row["began"]),
        end_time=_ms(ended),
        message=row.get("cause"),
        metadata={},
        namespace=row["namespace"],
    )


def workers(look: Snapshot) -> list[WorkerState]:
    """Every worker and driver, dead workers as far as they are remembered."""
    out = []
    for node in look.nodes:
        out += [_worker(row, node, "WORKER") for row in node["workers"]]
        out += [_worker(row, node, "DRIVER") for row in node["outsiders"] if row["kind"] == "driver"]
        out += [_worker(row, node, "WORKER") for row in node["past_workers"]]
    return out


def _worker(row: Row, node: Row, kind: str) -> WorkerState:
    dead = row.get("role") == "dead"
    exit_type = None
    if dead:
        exit_type = (
            "INTENDED_USER_EXIT" if row["intended"] else "INTENDED_SYSTEM_EXIT" if row["clean"] else "SYSTEM_ERROR"
        )
    return WorkerState(
        worker_id=row["worker"] or "",
        is_alive=not dead,
        worker_type=kind,
        exit_type=exit_type,
        node_id=node["node"],
        ip=IP,
        pid=row["pid"] or 0,
        exit_detail=row.get("cause"),
        job_id=job_hex(row["job"]),
        actor_id=row.get("actor"),
        title=row.get("title"),
        role=row.get("role", "driver"),
        process_state=row.get("state"),
        resources=row.get("holds"),
        start_time_ms=_ms(row.get("began")),
        end_time_ms=_ms(row.get("ended")),
    )


def actors(look: Snapshot) -> list[ActorState]:
    """Every actor, dead ones as far as they are remembered."""
    return [_actor(row) for row in look.actors.values()]


def _actor(row: Row) -> ActorState:
    state = row["state"]
    if state == "PENDING":
        state = "DEPENDENCIES_UNREADY" if row["stage"] == "args" else "PENDING_CREATION"
    return ActorState(
        actor_id=row["actor"],
        class_name=row["class"],
        state=state,
        job_id=job_hex(row["job"]),
        name=row["name"],
        node_id=row["node"] if row["pid"] else None,
        pid=row["pid"],
        ray_namespace=row["namespace"],
        serialized_runtime_env=row["runtime_env"] or "{}",
        required_resources=row["holds"],
        death_cause=row["cause"] or None,
        is_detached=row["detached"],
        num_restarts=row["incarnation"],
        worker_id=row["worker"],
        creator_worker_id=row["creator"],
    )


def tasks(look: Snapshot) -> list[TaskState]:
    """Every task and call, those that are over as far as they are remembered."""
    pending = [_pending(row, look) for row in look.tasks.values()]
    return pending + [_ended(row, look) for row in look.ended.values() if row["id"] not in look.tasks]


def name_of(row: Row, look: Snapshot) -> str:
    """A task's function, or a call's class and method."""
    cls = look.actors.get(row["actor"], {}).get("class") if row["actor"] else None
    return f"{cls}.{row['name']}" if cls else str(row["name"])


def _base(row: Row, look: Snapshot, state: str) -> dict[str, Any]:
    owner: Process = row["owner"]
    actor, worker = row["actor"], row["worker"]
    name = name_of(row, look)
    known = worker in look.pids
    return {
        "task_id": row["id"],
        "attempt_number": row["attempt"],
        "name": name,
        "state": state,
        "job_id": job_hex(owner.job),
        "actor_id": actor,
        "type": "ACTOR_TASK" if actor else "NORMAL_TASK",
        "func_or_class_name": name,
        "node_id": owner.node_id if known else None,
        "worker_id": worker if known else None,
        "worker_pid": look.pids.get(worker) if known else None,
        "owner_worker_id": owner.worker_id,
        "owner_pid": owner.pid,
        "creation_time_ms": _ms(row["born"]),
    }


def state_of(row: Row, look: Snapshot) -> str:
    """Ray's word for where a task that is not over stands."""
    stage = row["stage"]
    if stage == "Waiting":
        return "PENDING_ARGS_AVAIL"
    if stage == "Resting":
        return "PENDING_NODE_ASSIGNMENT"
    if stage == "Queued":
        up = row["actor"] and row["phase"] == "Up"
        return "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY" if up else "PENDING_NODE_ASSIGNMENT"
    if stage == "Sent":
        return "SUBMITTED_TO_WORKER"
    if look.is_queued(row):
        return "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY"
    running = look.running.get(row["id"])
    # Which of several calls it is that waits is not told.
    waits = running is not None and not running["beside"] and running["owner"].report["waits"]
    return "RUNNING_IN_RAY_GET" if waits else "RUNNING"


def _pending(row: Row, look: Snapshot) -> TaskState:
    running = look.running.get(row["id"])
    return TaskState(
        **_base(row, look, state_of(row, look)),
        error_type="TASK_CANCELLED" if row["stage"] == "Cancelled" else None,
        required_resources={name: n / 10_000 for name, n in row["needs"].items()},
        start_time_ms=_ms(running["began"]) if running else None,
        waits_for=[ref["id"] for ref in row["waits_for"]],
    )


def _ended(row: Row, look: Snapshot) -> TaskState:
    kind, text = row["error"] or (None, None)
    ran = look.ran.get(row["id"])
    began = ran["began"] if ran else row["ended"] - row["micros"] if row["micros"] else None
    ended = ran["began"] + ran["micros"] if ran else row["ended"]
    return TaskState(
        **_base(row, look, "FAILED" if kind else "FINISHED"),
        error_type=_ERRORS.get(kind, kind) if kind else None,
        error_message=text,
        start_time_ms=_ms(began),
        end_time_ms=_ms(ended),
        waits_for=[],
    )


def objects(look: Snapshot) -> list[ObjectState]:
    """Every object, once for each process that holds it."""
    return [_object(row, look) for row in look.rows("objects")]


def reference_type(row: Row) -> str:
    """Ray's word for why a process keeps an object."""
    if row["place"] == "Handle":
        return "ACTOR_HANDLE"
    if row["lent"] or row["executing"]:
        return "USED_BY_PENDING_TASK"
    if row["contained"]:
        return "CAPTURED_IN_OBJECT"
    if row["pinned"] or row["mapped"]:
        return "PINNED_IN_MEMORY"
    return "LOCAL_REFERENCE" if row["local"] else "UNKNOWN_STATUS"


def made_by(task: str, look: Snapshot) -> str | None:
    """Which call returned an object, if its task is known."""
    made = look.tasks.get(task) or look.ended.get(task)
    return f"(returned by {name_of(made, look)})" if made is not None else None


def _place(row: Row, look: Snapshot) -> str:
    """Where the value is: processes know that it is in the object store, its node knows whether on a disk.

    What is mapped is, though its node forgets it with the last reference.
    """
    on_disk = row["mapped"] or row["object"]["id"] in look.on_disk
    return "Spilled" if row["place"] == "Arena" and on_disk else str(row["place"])


def _object(row: Row, look: Snapshot) -> ObjectState:
    holder: Process = row["owner"]
    ref, place = row["object"], _place(row, look)
    task = look.tasks.get(ref["id"][:32])
    status = "FINISHED" if place in ("Inline", "Arena", "Spilled") else "FAILED" if place == "Error" else "-"
    if place == "Nowhere" and task is not None:
        status = state_of(task, look)
    owner = ref["owner"]["worker"]
    return ObjectState(
        object_id=ref["id"],
        object_size=row["size"],
        task_status=status,
        reference_type=reference_type(row),
        call_site=row["site"] or made_by(ref["id"][:32], look) or "disabled",
        type="DRIVER" if holder.kind == "driver" else "WORKER",
        pid=holder.pid,
        ip=IP,
        attempt_number=task["attempt"] if task else 0,
        place=place.lower(),
        worker_id=holder.worker_id,
        owner_worker_id=owner,
        owner_pid=look.pids.get(owner),
        local_references=row["local"],
        pending_uses=row["lent"] + row["executing"],
        captured_in=row["contained"],
        pinned=row["pinned"],
        mapped=row["mapped"],
        holders=row["holders"],
    )
