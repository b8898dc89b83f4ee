"""The Rust core as Python sees it. Only `shoal.core._ffi` imports it; everything else goes through that module."""

from collections.abc import Generator, Sequence
from concurrent.futures import Future
from typing import Any, Generic, Self, TypeVar, final

_T = TypeVar("_T")

__all__ = [
    "ActorRef",
    "BufferView",
    "Call",
    "Failed",
    "ObjectRef",
    "Template",
    "actor_from_bytes",
    "cancel",
    "connect_driver",
    "connect_worker",
    "connected",
    "create_actor",
    "current",
    "disconnect",
    "events",
    "exit_actor",
    "forked",
    "get",
    "get_actor",
    "interrupt_wanted",
    "kill_actor",
    "kv_get",
    "kv_put",
    "leave",
    "named_actors",
    "node_main",
    "nodes",
    "own_actor",
    "put",
    "ref_from_bytes",
    "run_worker",
    "session",
    "set_hooks",
    "set_title",
    "status",
    "stop_instance",
    "wait",
    "watch",
]

@final
class ObjectRef(Generic[_T]):
    """A value that is or will be somewhere. Made by calls and `put` only."""

    def hex(self) -> str: ...
    def binary(self) -> bytes: ...
    def is_nil(self) -> bool: ...
    def owner(self) -> bytes: ...
    """Id of the owning process."""
    def future(self) -> Future[_T]: ...
    def __await__(self) -> Generator[Any, None, _T]: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __copy__(self) -> ObjectRef[_T]: ...
    def __deepcopy__(self, _memo: Any, /) -> ObjectRef[_T]: ...
    @classmethod
    def __class_getitem__(cls, key: Any) -> Any: ...
    @classmethod
    def nil(cls) -> ObjectRef[Any]: ...

def ref_from_bytes(wire: bytes) -> ObjectRef[Any]: ...

@final
class BufferView:
    """Read-only bytes of a stored value, pinned while anything looks at them."""

    def __len__(self) -> int: ...

@final
class Template:
    """Everything that `.remote()` needs besides arguments."""

    def __new__(
        cls,
        *,
        function_id: bytes,
        pickled: bytes,
        name: str,
        num_returns: int,
        max_retries: int,
        retry_exceptions: bool,
        resources: dict[str, float],
        runtime_env: str,
        max_calls: int,
    ) -> Template: ...
    def submit(self, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Any: ...
    """One ref, a list of refs for `num_returns` > 1, None for 0."""

@final
class ActorRef:
    """An actor as a process knows it; counted while it lives unless `weak`."""

    actor_id: bytes
    class_name: str
    meta: str
    weak: bool

    def call(
        self,
        method: str,
        group: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None,
        num_returns: int,
        max_retries: int,
        retry_exceptions: bool,
    ) -> Any: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Failed:
    """Instead of a returned value: what went wrong with this one (`pack_error`'s text and bytes)."""

    def __new__(cls, message: str, pickled: bytes) -> Self: ...

@final
class Call:
    """A call of an actor's method in hand (threaded and async actors): answered once, from any thread."""

    @property
    def task_id(self) -> bytes: ...
    @property
    def name(self) -> str: ...
    @property
    def cancelled(self) -> bool: ...
    def done(self, value: Any) -> None: ...
    def failed(self, exception: BaseException) -> None: ...
    def enter(self) -> None: ...
    """Makes it the current call of this thread (`current_task`, nesting depth)."""
    def leave(self) -> None: ...

def actor_from_bytes(wire: bytes) -> ActorRef: ...
def forked() -> None: ...
def set_hooks(hooks: Any) -> None: ...
def connect_driver(sock_fd: int, namespace: str, start: str, logs: bool) -> dict[str, Any]: ...
def connect_worker(address: str, start: int) -> dict[str, Any]: ...
def disconnect(at_exit: bool) -> None: ...
def connected() -> bool: ...
def session() -> dict[str, Any]: ...
def run_worker() -> int: ...

"""The worker's main loop, on the main thread; returns the exit code."""

def put(value: Any) -> ObjectRef[Any]: ...
def get(refs: Any, timeout: float | None, copy: bool) -> Any: ...
def wait(
    refs: Sequence[ObjectRef[Any]], num_returns: int, timeout: float | None, fetch_local: bool
) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]: ...
def cancel(ref: ObjectRef[Any], force: bool, recursive: bool) -> None: ...
def watch(ref: ObjectRef[Any], token: Any) -> None: ...
def events() -> list[tuple[str, Any]] | None: ...

"""Blocks until something is due: ("ready", token) or ("log", (name, pid, stderr, line)); None when the session ends."""

def create_actor(spec: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> ActorRef: ...
def get_actor(name: str, namespace: str) -> ActorRef | None: ...
def kill_actor(actor: ActorRef, no_restart: bool) -> None: ...
def own_actor() -> ActorRef | None: ...
def named_actors() -> list[tuple[str, str]]: ...
def nodes() -> list[dict[str, Any]]: ...
def status() -> str: ...
def stop_instance() -> None: ...
def kv_get(key: bytes) -> bytes | None: ...
def kv_put(key: bytes, value: bytes) -> None: ...
def current() -> dict[str, Any] | None: ...

"""The task or call that this thread runs: task_id, name, depth, attempt, cancelled, actor_id; None in a driver."""

def interrupt_wanted() -> bool: ...

"""In a worker's signal handler: whether the running task is the one to interrupt."""

def set_title(title: str) -> None: ...
def leave(reason: str | None) -> None: ...

"""In a worker: this process ends now on purpose."""

def exit_actor(reason: str) -> None: ...
def node_main(config: str, client_fd: int, zygote_fd: int, zygote_pid: int) -> int: ...
