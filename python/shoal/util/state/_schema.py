"""What is told of each thing: one dataclass each, with Ray's columns."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

_DETAIL = {"detail": True}


@dataclass
class StateSchema:
    """Base of the rows. Columns are attributes, and items: `row["state"]`."""

    @classmethod
    def columns(cls) -> list[str]:
        """Every column's name."""
        return [column.name for column in fields(cls)]

    @classmethod
    def base_columns(cls) -> list[str]:
        """Those that are told without `detail`."""
        return [column.name for column in fields(cls) if not column.metadata.get("detail")]

    def asdict(self) -> dict[str, Any]:
        """The row as a dict."""
        return asdict(self)

    def get(self, name: str, default: Any = None) -> Any:
        """A column's value, or `default` where there is no such column."""
        return getattr(self, name, default)

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None


@dataclass
class NodeState(StateSchema):
    """One node."""

    node_id: str
    node_ip: str
    is_head_node: bool
    state: str
    """ALIVE or DEAD."""
    node_name: str
    resources_total: dict[str, float]
    labels: dict[str, str]
    state_message: str | None = None
    resources_available: dict[str, float] | None = field(default=None, metadata=_DETAIL)
    start_time_ms: int | None = field(default=None, metadata=_DETAIL)
    end_time_ms: int | None = field(default=None, metadata=_DETAIL)


@dataclass
class JobState(StateSchema):
    """One job: what a driver does between `init()` and `shutdown()`."""

    job_id: str
    type: str
    status: str
    """RUNNING, SUCCEEDED (its driver said goodbye) or FAILED."""
    entrypoint: str
    driver_info: dict[str, Any] | None
    """Id, node address and process number of its driver; `None` when that is over."""
    start_time: int | None = None
    """Milliseconds since 1970, as all times here."""
    end_time: int | None = None
    submission_id: str | None = None
    message: str | None = None
    error_type: str | None = field(default=None, metadata=_DETAIL)
    metadata: dict[str, str] | None = field(default=None, metadata=_DETAIL)
    namespace: str | None = field(default=None, metadata=_DETAIL)


@dataclass
class WorkerState(StateSchema):
    """One process that runs tasks or an actor, or a driver."""

    worker_id: str
    is_alive: bool
    worker_type: str
    """WORKER or DRIVER."""
    exit_type: str | None
    node_id: str
    ip: str
    pid: int
    exit_detail: str | None = field(default=None, metadata=_DETAIL)
    job_id: str | None = field(default=None, metadata=_DETAIL)
    actor_id: str | None = field(default=None, metadata=_DETAIL)
    title: str | None = field(default=None, metadata=_DETAIL)
    """What it runs, or ran last."""
    role: str | None = field(default=None, metadata=_DETAIL)
    """idle, leased, actor, retiring, starting; driver; dead."""
    process_state: str | None = field(default=None, metadata=_DETAIL)
    """The kernel's letter for it: R, S, D, T (stopped) …"""
    resources: dict[str, float] | None = field(default=None, metadata=_DETAIL)
    """What it holds."""
    start_time_ms: int | None = field(default=None, metadata=_DETAIL)
    end_time_ms: int | None = field(default=None, metadata=_DETAIL)


@dataclass
class ActorState(StateSchema):
    """One actor."""

    actor_id: str
    class_name: str
    state: str
    """DEPENDENCIES_UNREADY, PENDING_CREATION, ALIVE, RESTARTING or DEAD."""
    job_id: str
    name: str
    node_id: str | None
    pid: int | None
    ray_namespace: str
    serialized_runtime_env: str | None = field(default=None, metadata=_DETAIL)
    required_resources: dict[str, float] | None = field(default=None, metadata=_DETAIL)
    death_cause: str | None = field(default=None, metadata=_DETAIL)
    """Why it is dead, or what ended its life before this one."""
    is_detached: bool | None = field(default=None, metadata=_DETAIL)
    placement_group_id: str | None = field(default=None, metadata=_DETAIL)
    repr_name: str | None = field(default=None, metadata=_DETAIL)
    num_restarts: int | None = field(default=None, metadata=_DETAIL)
    worker_id: str | None = field(default=None, metadata=_DETAIL)
    creator_worker_id: str | None = field(default=None, metadata=_DETAIL)


@dataclass
class TaskState(StateSchema):
    """One task or actor call; ended ones as far as their owner remembers them (the last 10,000)."""

    task_id: str
    attempt_number: int
    name: str
    state: str
    """PENDING_ARGS_AVAIL, PENDING_NODE_ASSIGNMENT, PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY, SUBMITTED_TO_WORKER,
    RUNNING, RUNNING_IN_RAY_GET, FINISHED or FAILED."""
    job_id: str
    actor_id: str | None
    type: str
    """NORMAL_TASK or ACTOR_TASK."""
    func_or_class_name: str
    node_id: str | None
    worker_id: str | None
    worker_pid: int | None
    error_type: str | None
    owner_worker_id: str | None = field(default=None, metadata=_DETAIL)
    owner_pid: int | None = field(default=None, metadata=_DETAIL)
    required_resources: dict[str, float] | None = field(default=None, metadata=_DETAIL)
    creation_time_ms: int | None = field(default=None, metadata=_DETAIL)
    start_time_ms: int | None = field(default=None, metadata=_DETAIL)
    end_time_ms: int | None = field(default=None, metadata=_DETAIL)
    error_message: str | None = field(default=None, metadata=_DETAIL)
    """The end of the error's text."""
    waits_for: list[str] | None = field(default=None, metadata=_DETAIL)
    """Arguments that have no value yet."""


@dataclass
class ObjectState(StateSchema):
    """One object as one process holds it: an object that two processes hold has two rows."""

    object_id: str
    object_size: int
    """Bytes."""
    task_status: str
    reference_type: str
    """LOCAL_REFERENCE, PINNED_IN_MEMORY, USED_BY_PENDING_TASK, CAPTURED_IN_OBJECT, ACTOR_HANDLE or UNKNOWN_STATUS."""
    call_site: str
    """Where it was made: of values above 100 KiB that were put or passed, of others with
    `SHOAL_RECORD_REF_CREATION_SITES=1`; else the call that returns it, or "disabled".
    """
    type: str
    """DRIVER or WORKER: what holds it."""
    pid: int
    ip: str
    attempt_number: int | None = field(default=None, metadata=_DETAIL)
    place: str | None = field(default=None, metadata=_DETAIL)
    """nowhere, inline, arena, spilled, error or handle."""
    worker_id: str | None = field(default=None, metadata=_DETAIL)
    owner_worker_id: str | None = field(default=None, metadata=_DETAIL)
    owner_pid: int | None = field(default=None, metadata=_DETAIL)
    local_references: int | None = field(default=None, metadata=_DETAIL)
    pending_uses: int | None = field(default=None, metadata=_DETAIL)
    captured_in: int | None = field(default=None, metadata=_DETAIL)
    pinned: bool | None = field(default=None, metadata=_DETAIL)
    """Whether the process reads the value where it is, in shared memory."""
    mapped: bool | None = field(default=None, metadata=_DETAIL)
    """Whether the process reads the value through a mapping of the file that it was spilled to."""
    holders: list[str] | None = field(default=None, metadata=_DETAIL)
    """Other processes that hold it, as its owner counts."""


@dataclass
class StackState(StateSchema):
    """What the threads of one process do."""

    pid: int
    type: str
    """DRIVER or WORKER."""
    worker_id: str
    title: str | None
    """What it runs, or ran last."""
    stack: str | None
    """Each thread's stack, the most recent call first."""
    reason: str | None
    """Why there is none."""


@dataclass
class TaskSummaryPerFuncOrClassName:
    """How many tasks of one function are in which state."""

    func_or_class_name: str
    type: str
    state_counts: dict[str, int] = field(default_factory=dict)


@dataclass
class TaskSummaries:
    """All tasks, by function."""

    summary: dict[str, TaskSummaryPerFuncOrClassName]
    total_tasks: int
    total_actor_tasks: int
    total_actor_scheduled: int
    summary_by: str = "func_name"


@dataclass
class ActorSummaryPerClass:
    """How many actors of one class are in which state."""

    class_name: str
    state_counts: dict[str, int] = field(default_factory=dict)


@dataclass
class ActorSummaries:
    """All actors, by class."""

    summary: dict[str, ActorSummaryPerClass]
    total_actors: int
    summary_by: str = "class"


@dataclass
class ObjectSummaryPerKey:
    """The objects that were made at one place."""

    total_objects: int = 0
    total_size_mb: float = 0.0
    total_num_workers: int = 0
    total_num_nodes: int = 0
    task_state_counts: dict[str, int] = field(default_factory=dict)
    task_attempt_number_counts: dict[str, int] = field(default_factory=dict)
    ref_type_counts: dict[str, int] = field(default_factory=dict)


@dataclass
class ObjectSummaries:
    """All objects, by where they were made."""

    summary: dict[str, ObjectSummaryPerKey]
    total_objects: int
    total_size_mb: float
    callsite_enabled: bool
    summary_by: str = "callsite"
