"""What a program can learn about where it runs: `get_runtime_context`, `get_gpu_ids`."""

import os
from typing import TYPE_CHECKING, Any

from shoal.core import _ffi
from shoal.core.live import LIVE
from shoal.core.runtime_env import decode

if TYPE_CHECKING:
    from shoal.core.actor_handle import ActorHandle

_LATER = (
    "get_placement_group_id",
    "should_capture_child_tasks_in_placement_group",
    "gcs_address",
    "get_node_labels",
    "current_placement_group_id",
)


class RuntimeContext:
    """Where this code runs: job, node, worker, task, actor. Ids are hexadecimal strings.

    Example:
        >>> import shoal
        >>> @shoal.remote
        ... def name():
        ...     return shoal.get_runtime_context().get_task_name()
        >>> shoal.get(name.remote())
        'name'
    """

    def get_job_id(self) -> str:
        """The job's id."""
        return _hex(_ffi.session().get("job_id")) or ""

    def get_node_id(self) -> str:
        """The node's id."""
        return _hex(_ffi.session().get("node_id")) or ""

    def get_worker_id(self) -> str:
        """This process's id."""
        return _hex(_ffi.session().get("worker_id")) or ""

    def get_temp_dir(self) -> str:
        """The folder that holds the folders of sessions."""
        return str(os.path.dirname(_ffi.session()["session_dir"]))

    def get_session_name(self) -> str:
        """The name of the session's folder."""
        return str(os.path.basename(_ffi.session()["session_dir"]))

    def get_task_id(self) -> str | None:
        """The running task's or call's id, `None` in a driver."""
        return _hex(_current().get("task_id"))

    def get_task_name(self) -> str | None:
        """The running task's name, `None` in a driver."""
        name = _current().get("name")
        return None if name is None else str(name)

    def get_task_function_name(self) -> str | None:
        """The function that the running task calls, `None` in a driver."""
        return self.get_task_name()

    def get_actor_id(self) -> str | None:
        """This actor's id, `None` outside an actor."""
        from shoal.core.actor_runtime import actor_id

        return _hex(_current().get("actor_id")) or _hex(actor_id())

    def get_actor_name(self) -> str | None:
        """This actor's given name: "" without one, `None` outside an actor."""
        from shoal.core.actor_runtime import current_actor

        actor = current_actor()
        return None if actor is None else actor.meta.name

    @property
    def namespace(self) -> str:
        """Where named actors are looked up."""
        return str(_ffi.session()["namespace"])

    @property
    def was_current_actor_reconstructed(self) -> bool:
        """Whether this actor was restarted. False outside an actor."""
        from shoal.core.actor_runtime import incarnation

        return incarnation() > 0

    @property
    def current_actor(self) -> "ActorHandle":
        """A handle of the actor that runs this. It doesn't count: it keeps nobody alive.

        Raises:
            RuntimeError: Outside an actor.
        """
        from shoal.core.actor_handle import ActorHandle

        own = _ffi.own_actor()
        if own is None:
            raise RuntimeError("current_actor is known only inside an actor")
        return ActorHandle(own)

    def is_canceled(self) -> bool:
        """Whether the running task or call was cancelled: for loops that want to end by themselves."""
        return bool(_current().get("cancelled"))

    def get_assigned_resources(self) -> dict[str, float]:
        """What the running task or actor holds, by name. Empty in a driver."""
        return dict(_ffi.session().get("resources", {})) if LIVE.in_worker else {}

    def get_accelerator_ids(self) -> dict[str, list[str]]:
        """Ids of the accelerators that may be used here, by kind."""
        return {"GPU": [str(number) for number in get_gpu_ids()]}

    def get_runtime_env_string(self) -> str:
        """The runtime environment as JSON, "{}" without one."""
        import json

        return json.dumps(self.runtime_env, sort_keys=True)

    @property
    def runtime_env(self) -> dict[str, Any]:
        """The runtime environment."""
        return decode(LIVE.worker_env) if LIVE.in_worker else dict(LIVE.job_env)

    def __getattr__(self, name: str) -> Any:
        if name in _LATER:
            raise ValueError(f"get_runtime_context().{name} is not supported yet")
        raise AttributeError(f"RuntimeContext has no attribute {name!r}")

    def get(self) -> dict[str, Any]:
        """Ids by name: `job_id`, `node_id`, `namespace`, and in workers `task_id`, `actor_id`."""
        ids = {"job_id": self.get_job_id(), "node_id": self.get_node_id(), "namespace": self.namespace}
        ids |= {"task_id": self.get_task_id() or "", "actor_id": self.get_actor_id() or ""}
        return {name: value for name, value in ids.items() if value}


def _current() -> dict[str, Any]:
    """The task or call that runs here: that of the coroutine, in an async actor."""
    if LIVE.async_thread:
        from shoal.core.actor_runtime import coroutine_call

        call = coroutine_call()
        if call is not None:
            return {"task_id": call.task_id, "name": call.name, "cancelled": call.cancelled}
    return _ffi.current() or {}


def _hex(value: Any) -> str | None:
    if value is None:
        return None
    return value.hex() if isinstance(value, bytes) else f"{value:08x}" if isinstance(value, int) else str(value)


_CONTEXT = RuntimeContext()


def get_runtime_context() -> RuntimeContext:
    """Where this code runs; begins a session where there is none.

    Example:
        >>> import shoal
        >>> len(shoal.get_runtime_context().get_node_id()) > 0
        True
    """
    from shoal.runtime.session import ensure

    ensure()
    return _CONTEXT


def get_gpu_ids() -> list[int] | list[str]:
    """Ids of the GPUs that this task or actor may use; in a driver, of all that are visible.

    Returns:
        Numbers, or names where `CUDA_VISIBLE_DEVICES` holds names.

    Example:
        >>> import shoal
        >>> isinstance(shoal.get_gpu_ids(), list)
        True
    """
    if LIVE.in_worker:
        ids = [str(word) for word in _ffi.session()["gpus"]]
    else:
        from shoal.runtime.machine import gpu_ids

        ids = gpu_ids()
    return [int(word) for word in ids] if all(word.isdigit() for word in ids) else ids
