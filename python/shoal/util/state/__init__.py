"""What an instance does and holds: tasks, actors, objects, workers, nodes and jobs as rows.

Every call looks anew: it asks each process, which answers from its tables. Nothing is kept for it, and no work slows
down while nobody looks.

Example:
    >>> import shoal
    >>> from shoal.util.state import list_nodes
    >>> context = shoal.init(num_cpus=2, ignore_reinit_error=True)
    >>> [node["state"] for node in list_nodes()]
    ['ALIVE']
"""

from shoal.util.state._api import (
    get_actor,
    get_job,
    get_node,
    get_objects,
    get_task,
    get_worker,
    list_actors,
    list_jobs,
    list_nodes,
    list_objects,
    list_tasks,
    list_workers,
    summarize_actors,
    summarize_objects,
    summarize_tasks,
)
from shoal.util.state._exception import RayStateApiException
from shoal.util.state._logs import get_log, list_logs
from shoal.util.state._schema import (
    ActorState,
    ActorSummaries,
    JobState,
    NodeState,
    ObjectState,
    ObjectSummaries,
    StackState,
    TaskState,
    TaskSummaries,
    WorkerState,
)
from shoal.util.state._stacks import list_stacks

__all__ = [
    "ActorState",
    "ActorSummaries",
    "JobState",
    "NodeState",
    "ObjectState",
    "ObjectSummaries",
    "RayStateApiException",
    "StackState",
    "TaskState",
    "TaskSummaries",
    "WorkerState",
    "get_actor",
    "get_job",
    "get_log",
    "get_node",
    "get_objects",
    "get_task",
    "get_worker",
    "list_actors",
    "list_jobs",
    "list_logs",
    "list_nodes",
    "list_objects",
    "list_stacks",
    "list_tasks",
    "list_workers",
    "summarize_actors",
    "summarize_objects",
    "summarize_tasks",
]
