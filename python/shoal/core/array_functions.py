"""The remote functions behind `f.map`: each call of one runs a chunk of items."""

from collections.abc import Callable
from typing import Any

from shoal.core.remote_function import RemoteFunction
from shoal.core.task_array import Tries, run_chunk, run_returns
from shoal.core.templates import DEFAULT_MAX_RETRIES


def array_function(remote: RemoteFunction, many: bool, *, as_refs: bool) -> RemoteFunction:
    """What runs a chunk of `remote`: made once, with its options.

    Args:
        remote: The user's remote function.
        many: Whether an item holds several arguments.
        as_refs: Whether each item is a return of its own.
    """
    known = remote._arrays.get((many, as_refs))
    if known is None:
        known = remote._arrays[many, as_refs] = _make(remote, many, as_refs)
    return known


def _make(remote: RemoteFunction, many: bool, as_refs: bool) -> RemoteFunction:
    options = {name: value for name, value in remote._options.items() if name != "retry_exceptions"}
    chunk = _chunk(remote._function, many, remote._name, _tries(remote), as_refs)
    made = RemoteFunction.__new__(RemoteFunction)
    made.__setstate__((chunk, remote._name, {**options, "name": options.get("name", remote._name)}))
    return made


def _tries(remote: RemoteFunction) -> Tries:
    """An item is tried again where it ran."""
    retry = remote._options.get("retry_exceptions", False)
    if not retry:
        return 0, None
    most = int(remote._options.get("max_retries", DEFAULT_MAX_RETRIES))
    return most, retry if isinstance(retry, tuple) else None


def _chunk(
    function: Callable[..., Any], many: bool, name: str, tries: Tries, as_refs: bool
) -> Callable[[list[Any]], Any]:
    run: Callable[..., Any] = run_returns if as_refs else run_chunk

    def chunk(items: list[Any]) -> Any:
        made = run(function, items, many, name, tries)
        return made[0] if as_refs and len(made) == 1 else made

    return chunk
