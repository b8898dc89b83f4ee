"""The Rust core as Python sees it. Only `shoal.core._ffi` imports it; everything else goes through that module."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from typing import Any, Generic, Self, TypeVar, final

_T = TypeVar("_T")

__all__ = [
    "ActorRef",
    "BufferView",
    "Call",
    "Failed",
    "ObjectRef",
    "StreamRef",
    "Template",
    "actor_from_bytes",
    "begin_output",
    "cancel",
    "connect_driver",
    "connect_tool",
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
    "get_now",
    "give_hints",
    "interrupt_wanted",
    "is_of_call",
    "is_ready",
    "kill_actor",
    "kv_get",
    "kv_put",
    "leave",
    "look",
    "lose",
    "named_actors",
    "node_main",
    "nodes",
    "own_actor",
    "put",
    "record_sites",
    "ref_from_bytes",
    "run_worker",
    "runs_loop",
    "saves_at_end",
    "session",
    "set_hooks",
    "set_title",
    "status",
    "stop_instance",
    "stream_from_bytes",
    "tell_stacks",
    "tell_stacks_on",
    "wait",
    "wait_mixed",
    "watch",
    "watch_folder",
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
class StreamRef:
    """A counted name of a generator: whoever holds one may take items, in its owner's process and in others."""

    @property
    def task_id(self) -> bytes: ...
    def next(self, timeout: float | None) -> ObjectRef[Any] | None: ...
    """None when there is none within `timeout` seconds; StopIteration after the last."""
    def ready(self) -> bool: ...
    def finished(self) -> bool: ...
    def completed(self) -> ObjectRef[None]: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

def stream_from_bytes(wire: bytes) -> StreamRef: ...

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
        backpressure: int,
    ) -> Template: ...
    def submit(self, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Any: ...
    """One ref, a list of refs for `num_returns` > 1, None for 0; a generator for -1, one ref for -2 ("dynamic")."""

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
    def stream(
        self,
        method: str,
        group: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None,
        num_returns: int,
        max_retries: int,
        retry_exceptions: bool,
        backpressure: int,
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
    def hold(self, value: Any) -> None: ...
    """Makes the answer and keeps it for `release`; what happens to `value` from here on doesn't change it."""
    def hold_failed(self, exception: BaseException) -> None: ...
    def release(self, exception: BaseException | None = None) -> None: ...
    """Sends what is held; with an exception that instead."""
    @property
    def streaming(self) -> bool: ...
    """Whether it is a generator whose items are sent as they come."""
    def run(self, generator: Any, quiet: Callable[[], None]) -> None: ...
    """Sends the items of a sync generator to its end, waiting on this thread while too many are unread."""
    def begin(self) -> None: ...
    def item(self, item: Any) -> None: ...
    def room(self) -> bool | None: ...
    """True: it may go on; False: nobody reads it any more; None: it is to wait (`watch`)."""
    def enter(self) -> None: ...
    """Makes it the current call of this thread (`current_task`, nesting depth)."""
    def leave(self) -> None: ...

def actor_from_bytes(wire: bytes) -> ActorRef: ...
def forked() -> None: ...
def set_hooks(hooks: Any) -> None: ...
def connect_driver(sock_fd: int, namespace: str, start: str, logs: str, fold: bool) -> dict[str, Any]: ...
def connect_tool(address: str) -> dict[str, Any]: ...
def connect_worker(address: str, start: int) -> dict[str, Any]: ...
def disconnect(at_exit: bool) -> None: ...
def connected() -> bool: ...
def session() -> dict[str, Any]: ...
def run_worker() -> int: ...

"""The worker's main loop, on the main thread; returns the exit code."""

def put(value: Any) -> ObjectRef[Any]: ...
def get(refs: Any, timeout: float | None, copy: bool) -> Any: ...
def get_now(ref: ObjectRef[Any]) -> tuple[Any] | None: ...
def wait(refs: list[ObjectRef[Any]], num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]] | None: ...

"""None when something else than an ObjectRef is in the list."""

def wait_mixed(
    refs: Sequence[ObjectRef[Any] | StreamRef], num_returns: int, timeout: float | None
) -> tuple[list[Any], list[Any]]: ...
def cancel(ref: ObjectRef[Any], force: bool, recursive: bool) -> None: ...
def runs_loop() -> None: ...
def is_ready(ref: ObjectRef[Any]) -> bool: ...
def is_of_call(ref: ObjectRef[Any]) -> bool: ...
def watch(ref: ObjectRef[Any] | StreamRef | Call, token: Any) -> None: ...
def events() -> list[tuple[str, Any]] | None: ...

"""Blocks until something is due: ("ready", token) or ("log", (name, pid, stderr, line)); None when the session ends."""

def create_actor(spec: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> ActorRef: ...
def get_actor(name: str, namespace: str) -> ActorRef | None: ...
def kill_actor(actor: ActorRef, no_restart: bool) -> None: ...
def own_actor() -> ActorRef | None: ...
def named_actors() -> list[tuple[str, str]]: ...
def nodes() -> list[dict[str, Any]]: ...
def status() -> str: ...
def look(wishes: list[str], only: int | None, limit: int, timeout: float) -> str: ...

"""What every node and its clients tell, as JSON; see `shoal.util.state`."""

def tell_stacks(text: str) -> None: ...

"""The stacks of this process's threads, for who has asked by the event "stacks"."""

def tell_stacks_on(signal: int, file: int) -> None: ...

"""`faulthandler` writes a worker's stacks into `file`, a memory file that is given away, on this signal."""

def watch_folder(folder: str) -> int: ...

"""A descriptor that is readable when a file in `folder` was made, written or renamed. Close it with `os.close`."""

def give_hints(on: bool) -> None: ...

"""Whether hints are given on standard error."""

def record_sites(all: bool) -> None: ...

"""Whether the place of every reference is recorded, or only that of large values."""

def lose(ref: ObjectRef[Any], tell: bool) -> None: ...

"""For tests, in the dev profile alone: loses a value of this process's that lies in the object store; `tell` says
whether the daemon says so, or who reads it finds out."""

def stop_instance() -> None: ...
def kv_get(key: bytes) -> bytes | None: ...
def kv_put(key: bytes, value: bytes) -> None: ...
def current() -> dict[str, Any] | None: ...

"""The task or call that this thread runs: task_id, name, depth, attempt, cancelled, actor_id; None in a driver."""

def interrupt_wanted() -> bool: ...

"""In a worker's signal handler: whether the running task is the one to interrupt."""

def saves_at_end() -> None: ...

"""In an actor: it is to be asked to end, and waited for, when its job or instance ends."""

def set_title(title: str) -> None: ...
def begin_output() -> str: ...

"""In a worker: the task that runs writes its first text; its name."""

def leave(reason: str | None) -> None: ...

"""In a worker: this process ends now on purpose."""

def exit_actor(reason: str) -> None: ...
def node_main(config: str, client_fd: int, zygote_fd: int, zygote_pid: int) -> int: ...
