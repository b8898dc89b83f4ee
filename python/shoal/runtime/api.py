"""`get`, `put`, `wait`, `cancel`, `kill`, `get_actor`: arguments checked, the rest done by the core."""

import math
import threading
from collections.abc import Sequence
from typing import Any, TypeVar, overload

from shoal.core import _ffi
from shoal.core.actor_handle import ActorHandle
from shoal.core.checks import wrong_type, wrong_value
from shoal.core.generators import ObjectRefGenerator
from shoal.core.live import LIVE
from shoal.runtime.session import ensure

T = TypeVar("T")
_ObjectRef = _ffi.ObjectRef


@overload
def get(refs: "_ffi.ObjectRef[T]", *, timeout: float | None = None, copy: bool = False) -> T: ...


@overload
def get(refs: "Sequence[_ffi.ObjectRef[T]]", *, timeout: float | None = None, copy: bool = False) -> list[T]: ...


def get(refs: Any, *, timeout: float | None = None, copy: bool = False) -> Any:
    """Waits for a value and returns it; for a list, its values in order.

    Large arrays are read-only views of shared memory. Ctrl-C ends the wait at once.

    Args:
        refs: An `ObjectRef`, or a list of them.
        timeout: Seconds to wait at most; 0 only looks, `None` waits for ever.
        copy: Whether arrays are to be private and writable.

    Returns:
        The value, or a list of values; an `ObjectRefGenerator` itself.

    Raises:
        GetTimeoutError: The time is up (a `TimeoutError`).
        RayTaskError: The task raised; it is also an instance of the exception's own class.
        RayError: The value can't be had; the subclass says why.
        ValueError: `refs` is neither a reference nor a list, or `timeout` is negative.
        TypeError: The list has something else than references in it.

    Example:
        >>> import shoal
        >>> shoal.get(shoal.put("x"))
        'x'
    """
    if timeout is not None:
        timeout = _seconds("get", timeout)
    if type(refs) is not _ObjectRef:
        if isinstance(refs, ObjectRefGenerator):
            return refs
        _check_list(refs)
        if not refs:
            return []
    if LIVE.forked:
        # Says what such a child may do. Otherwise refs themselves say that they are of no session, and none is begun.
        ensure()
    if LIVE.async_thread and LIVE.async_thread == threading.get_ident():
        _warn_blocking()
    return _ffi.get(refs, timeout, copy)


def _check_list(refs: Any) -> None:
    if not isinstance(refs, list):
        raise ValueError(f"get() takes an ObjectRef or a list of them, not {type(refs).__name__!r}")
    for kind in set(map(type, refs)):
        if kind is not _ObjectRef:
            raise TypeError(f"get() takes a list of ObjectRefs, and this one has a {kind.__name__!r} in it")


def _is_ref(value: Any) -> bool:
    return type(value) is _ObjectRef


def _seconds(what: str, timeout: Any) -> float:
    if isinstance(timeout, bool) or not hasattr(timeout, "__float__"):
        raise wrong_type(f"{what}(timeout=)", "a number of seconds ≥ 0 or None", timeout)
    seconds = float(timeout)
    if math.isnan(seconds) or seconds < 0:
        raise wrong_value(f"{what}(timeout=)", "a number of seconds ≥ 0 or None", timeout)
    return seconds


def _warn_blocking() -> None:
    from shoal.util import log_once

    if log_once("shoal: blocking get in an async method"):
        import warnings

        warnings.warn(
            "get() in an async method blocks the actor's event loop; use 'await ref' or 'await asyncio.gather(*refs)'",
            RuntimeWarning,
            stacklevel=3,
        )


def put(value: T, *, _owner: Any = None, _tensor_transport: str | None = None) -> "_ffi.ObjectRef[T]":
    """Stores a value, and returns a reference that any task or actor may be given.

    Args:
        value: Anything that can be pickled, but no reference.
        _owner: Not supported yet.
        _tensor_transport: Not supported yet.

    Raises:
        TypeError: `value` is a reference, or can't be pickled; the text says which part of it can't.
        ObjectStoreFullError: The object store has no room.

    Example:
        >>> import shoal
        >>> shoal.get(shoal.put([1, 2]))
        [1, 2]
    """
    if _owner is not None or _tensor_transport not in (None, "object_store"):
        raise ValueError("put(_owner=, _tensor_transport=) is not supported yet")
    if type(value) is _ObjectRef:
        raise TypeError("put() of an ObjectRef is not possible: pass the reference itself, or put it in a list")
    if not LIVE.epoch:
        ensure()
    return _ffi.put(value)


def wait(
    refs: "Sequence[_ffi.ObjectRef[T]]",
    *,
    num_returns: int = 1,
    timeout: float | None = None,
    fetch_local: bool = True,
) -> "tuple[list[_ffi.ObjectRef[T]], list[_ffi.ObjectRef[T]]]":
    """Waits until some of the values are ready.

    Args:
        refs: A list of different `ObjectRef`s; an `ObjectRefGenerator` among them is ready when it has an item, or none
            will come.
        num_returns: How many to wait for.
        timeout: Seconds to wait at most; `None` waits for ever.
        fetch_local: Whether "ready" also means that the value is on this node.

    Returns:
        At most `num_returns` ready ones, and the rest, both in the order of the list.

    Raises:
        TypeError: `refs` is no list of `ObjectRef`s.
        ValueError: One is given twice, `num_returns` is below 1 or above their number, or `timeout` is negative.

    Example:
        >>> import shoal
        >>> ready, rest = shoal.wait([shoal.put(1)])
        >>> len(ready), len(rest)
        (1, 0)
    """
    if _is_ref(refs):
        raise TypeError("wait() takes a list of ObjectRefs, not a single ObjectRef")
    if not isinstance(refs, list):
        raise TypeError(f"wait() takes a list of ObjectRefs, not {type(refs).__name__!r}")
    if timeout is not None:
        timeout = _seconds("wait", timeout)
    if not refs:
        return [], []
    _check_count(num_returns, len(refs))
    if not LIVE.epoch:
        # As in `get`.
        _check_different(refs)
        if LIVE.forked:
            ensure()
    return _ffi.wait(refs, num_returns, timeout) or _wait_mixed(refs, num_returns, timeout)


def _wait_mixed(refs: list[Any], num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
    """For a list that has something else than refs in it."""
    _check_different(refs)
    plain = [ref._stream if isinstance(ref, ObjectRefGenerator) else ref for ref in refs]
    given = {id(one): ref for one, ref in zip(plain, refs, strict=True)}
    ready, rest = _ffi.wait_mixed(plain, num_returns, timeout)
    return [given[id(one)] for one in ready], [given[id(one)] for one in rest]


def _check_different(refs: list[Any]) -> None:
    for kind in set(map(type, refs)):
        if kind is not _ObjectRef and kind is not ObjectRefGenerator:
            raise TypeError(f"wait() takes a list of ObjectRefs, and this one has a {kind.__name__!r} in it")
    if len(set(refs)) != len(refs):
        raise ValueError("wait() takes a list of different ObjectRefs, and this one has one twice")


def _check_count(num_returns: Any, given: int) -> None:
    if isinstance(num_returns, bool) or not isinstance(num_returns, int):
        raise wrong_type("wait(num_returns=)", "a whole number ≥ 1", num_returns)
    if num_returns < 1:
        raise wrong_value("wait(num_returns=)", "a whole number ≥ 1", num_returns)
    if num_returns > given:
        raise ValueError(f"wait(num_returns={num_returns}) is more than the {given} ObjectRefs given")


def cancel(*refs: "_ffi.ObjectRef[Any] | ObjectRefGenerator[Any]", force: bool = False, recursive: bool = True) -> None:
    """Cancels the tasks that make these values: queued ones never run, running ones get a `KeyboardInterrupt`.

    `get` of a cancelled one raises `TaskCancelledError` at once. What is done already stays as it is.

    Args:
        *refs: References or generators that calls gave.
        force: Whether the process of a running task is killed at once. Without it none is ever killed: code that
            takes no interrupt, such as a long call into C, goes on until it ends, and its CPU is free then.
        recursive: Whether the tasks and calls that they have submitted are cancelled, too, and theirs in turn.

    Raises:
        TypeError: Something else than a reference was given.
        ValueError: `force=True` for a call of an actor that this process made.

    Example:
        >>> import shoal, time
        >>> @shoal.remote
        ... def nap():
        ...     time.sleep(60)
        >>> shoal.cancel(nap.remote())
    """
    if not refs:
        raise TypeError("cancel() takes at least one ObjectRef")
    for ref in refs:
        if not _is_ref(ref) and not isinstance(ref, ObjectRefGenerator):
            given: Any = ref
            hint = "; an actor is ended by kill()" if isinstance(given, ActorHandle) else ""
            if isinstance(given, list | tuple | set):
                hint = ": cancel(*refs) cancels several"
            raise TypeError(f"cancel() takes ObjectRefs, not {type(ref).__name__!r}{hint}")
    plain = [ref.completed() if isinstance(ref, ObjectRefGenerator) else ref for ref in refs]
    if force:
        calls = [ref for ref in plain if _ffi.is_of_call(ref)]
        if calls:
            raise ValueError(
                f"cancel(force=True) can't be used for a call of an actor ({calls[0]}): it would end the "
                "actor; use kill() for that, or cancel() without force"
            )
    for ref in plain:
        _ffi.cancel(ref, bool(force), bool(recursive))


def kill(actor: Any, *, no_restart: bool = True) -> None:
    """Ends an actor at once, whatever it does; calls that it has not answered get `ActorDiedError`.

    Args:
        actor: Its handle.
        no_restart: Whether it stays dead; with False it is restarted if it has restarts left.

    Raises:
        ValueError: Something else than a handle was given.

    Example:
        >>> import shoal
        >>> @shoal.remote
        ... class A:
        ...     pass
        >>> shoal.kill(A.remote())
    """
    if not isinstance(actor, ActorHandle):
        hint = "; a task is ended by cancel()" if _is_ref(actor) else ""
        raise ValueError(f"kill() takes the handle of an actor, not {type(actor).__name__!r}{hint}")
    _ffi.kill_actor(actor._shoal_ref, bool(no_restart))


def get_actor(name: str, namespace: str | None = None) -> ActorHandle:
    """The handle of a named actor. It doesn't keep the actor alive.

    Args:
        name: The name that its creator gave.
        namespace: Where to look; `None` for this session's own.

    Raises:
        ActorHandleNotFoundError: No actor has the name there (a `ValueError`).
        ValueError: The name or the namespace is empty.
        TypeError: One is no string.

    Example:
        >>> import shoal
        >>> @shoal.remote
        ... class A:
        ...     def one(self):
        ...         return 1
        >>> a = A.options(name="the one").remote()
        >>> shoal.get(shoal.get_actor("the one").one.remote())
        1
    """
    from shoal.core.checks import text

    text("get_actor(name=)", name)
    if namespace is not None:
        text("get_actor(namespace=)", namespace)
    ensure()
    where = namespace or _ffi.session()["namespace"]
    ref = _ffi.get_actor(name, where)
    if ref is None:
        from shoal.exceptions import ActorHandleNotFoundError

        raise ActorHandleNotFoundError(
            f"no actor has the name {name!r} in the namespace {where!r}: it never was, it is dead, or its name belongs "
            "to another namespace"
        )
    return ActorHandle(ref)
