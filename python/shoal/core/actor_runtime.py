"""An actor in its process: the instance, and for threaded and async actors who runs which call when.

A sync actor's calls are run by the Rust main loop on the main thread; it only needs the instance. For the others the
main loop hands each call to `dispatch`, which returns at once; the call is answered from where it ran.

- A concurrency group has a limit of its own; the default group has `max_concurrency`. Within a group calls start in the
  order of arrival.
- In an async actor everything, the constructor included, runs on one event loop on a thread of its own.
"""

import threading
from typing import TYPE_CHECKING, Any

from shoal.core import actor_meta
from shoal.core.actor_exit import ActorExit
from shoal.core.actor_meta import MARK, ActorMeta
from shoal.core.errors import RetryTypes
from shoal.core.export import load
from shoal.core.live import LIVE
from shoal.core.notifier import NOTIFIER

if TYPE_CHECKING:
    from shoal.core.actor_kept import Kept


class ActorRuntime:
    """What `become_actor` gives to the Rust main loop.

    Attributes:
        sync: Whether the main loop runs the methods itself, by `getattr(instance, method)`.
        instance: The user's object, or what stands before it (`actor_kept`).
    """

    def __init__(self, meta: ActorMeta, instance: Any, executor: Any, kept: "Kept | None" = None) -> None:
        self.sync = executor is None
        self.kept = kept
        self.instance = kept.instance(instance) if kept is not None and self.sync else instance
        self.meta = meta
        self._class = type(instance)
        self._executor = executor

    def dispatch(
        self, call: Any, method: str, group: str, args: tuple[Any, ...], kwargs: dict[str, Any] | None
    ) -> None:
        """Starts or queues a call and returns at once.

        Args:
            call: A `_core.Call`, answered later by `done` or `failed`.
            method: The method's name.
            group: Its concurrency group, "" for the method's own.
            args: Positional arguments.
            kwargs: Arguments by name, `None` for none.
        """
        if not group:
            known = self.meta.methods.get(method)
            group = known.group if known is not None else ""
        if self.kept is not None:
            call = self.kept.call(call, method)
        self._executor.start(call, group, getattr(self.instance, method), args, kwargs or {})

    def cancel(self, task_id: bytes) -> bool:
        """Withdraws a queued call or interrupts a running one; whether there was one."""
        return not self.sync and bool(self._executor.cancel(task_id))

    def retry_types(self, name: str) -> RetryTypes | None:
        """What `@method(retry_exceptions=[...])` of a method lists; `None` for every exception."""
        function = getattr(self._class, name.rpartition(".")[2], None)
        listed = getattr(function, MARK, {}).get("retry_exceptions")
        return listed if isinstance(listed, tuple) else None


_ACTOR: ActorRuntime | None = None
_STARTING = False
_ACTOR_ID: bytes | None = None
_INCARNATION = 0


def current_actor() -> ActorRuntime | None:
    """The actor of this process, if it is one whose constructor is done."""
    return _ACTOR


def actor_id() -> bytes | None:
    """The id of the actor that this process is."""
    return _ACTOR_ID


def incarnation() -> int:
    """How often this actor was restarted."""
    return _INCARNATION


def coroutine_call() -> Any | None:
    """The call that the running coroutine of an async actor belongs to."""
    from shoal.core.actor_async import CURRENT_CALL

    return CURRENT_CALL.get(None)


def raise_if_cancelled() -> None:
    """Ends a cancelled call of an async actor that blocks its event loop.

    Raises:
        CancelledError: The call that runs was cancelled.
    """
    from asyncio import CancelledError

    call = coroutine_call()
    if call is not None and call.cancelled:
        raise CancelledError


def in_actor() -> bool:
    """Whether this process is an actor, or is becoming one."""
    return (_ACTOR is not None or _STARTING) and LIVE.in_worker


def become_actor(class_blob: bytes, meta: str, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> ActorRuntime:
    """Makes the user's object and what runs its calls.

    Raises:
        BaseException: Whatever the constructor raises.
    """
    global _ACTOR, _ACTOR_ID, _INCARNATION, _STARTING
    from shoal.core import _ffi

    current = _ffi.current() or {}
    _ACTOR_ID, _INCARNATION = current.get("actor_id"), current.get("attempt", 0)
    cls, persistent = load(class_blob)
    described = actor_meta.decode(meta)
    cls = _with_built_ins(cls)
    _STARTING, kept = True, None
    try:
        if described.sync:
            instance, executor = cls(*args, **(kwargs or {})), None
        else:
            executor = _executor(described)
            # Cancels of calls that run beside others come by way of its thread.
            NOTIFIER.start()
            instance = executor.construct(cls, args, kwargs or {})
        if persistent is not None:
            from shoal.core.actor_kept import Kept

            kept = Kept(persistent, instance, getattr(executor, "loop", None), sync=described.sync)
    finally:
        _STARTING = False
    _ACTOR = ActorRuntime(described, instance, executor, kept)
    return _ACTOR


def finish() -> None:
    """Saves what an actor with `persistent=` hasn't saved yet, and nothing later: it ends."""
    if _ACTOR is not None and _ACTOR.kept is not None:
        _ACTOR.kept.saver.close()


def exit_from_thread(reason: str) -> None:
    """Ends an actor that isn't sync from one of its threads; the main thread follows."""
    from shoal.core import _ffi

    if _ACTOR is not None and _ACTOR.kept is not None:
        # Before nothing is answered any more: who waits for a save that is due has its answer.
        _ACTOR.kept.saver.flush()
    _ffi.exit_actor(reason)


def _executor(meta: ActorMeta) -> Any:
    if meta.is_async:
        from shoal.core.actor_async import AsyncExecutor

        return AsyncExecutor(meta)
    from shoal.core.actor_threads import ThreadExecutor

    return ThreadExecutor(meta)


def _ready(self: Any) -> bool:
    return True


def _terminate(self: Any) -> None:
    raise ActorExit("__ray_terminate__()")


def _call(self: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
    return function(self, *args, **kwargs)


_BUILT_INS = {"__ray_ready__": _ready, "__ray_terminate__": _terminate, "__ray_call__": _call}


def _with_built_ins(cls: type) -> type:
    """The class with the methods that every actor has; a subclass where it can't be changed."""
    missing = {name: function for name, function in _BUILT_INS.items() if not hasattr(cls, name)}
    try:
        for name, function in missing.items():
            setattr(cls, name, function)
    except TypeError:
        body = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__, **missing}
        return type(cls)(cls.__name__, (cls,), body)
    return cls


def ends_actor(exc: BaseException) -> str | None:
    """Words for an exception that ends the actor, `None` for any other."""
    if isinstance(exc, ActorExit):
        return f"the actor ended itself by {exc.how}"
    if isinstance(exc, SystemExit):
        return f"the actor ended itself by sys.exit({'' if exc.code is None else repr(exc.code)})"
    if type(exc).__name__ == "AsyncioActorExit":
        return "the actor ended itself by AsyncioActorExit"
    return None


def start_thread(target: Any, name: str, *args: Any) -> threading.Thread:
    """A daemon thread: an actor's process ends when Rust says so."""
    thread = threading.Thread(target=target, name=name, args=args, daemon=True)
    thread.start()
    return thread
