"""Task arrays: many small calls of one function in few messages (`f.map`, and `ActorPool.map` of a method's name).

The items are cut into chunks; a chunk is one task. How many items go into one follows from how long they take: it is
meant to run for `TARGET` seconds. `_WINDOW` chunks for each CPU are under way or unread, so that memory is bounded by
what the reader has not taken.

- ARRAY-1 results come in the order of the items, one for each.
- ARRAY-2 an error is its item's: the others of its chunk have their results. A chunk that is lost as a whole (its
  worker died, it was cancelled) is the error of each of its items.
- ARRAY-3 at most `window` chunks are submitted and not yet begun to be read; nothing more is taken from the iterable.
"""

import pickle
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, starmap
from typing import Any

from shoal.core import _ffi

TARGET = 0.005
"""Seconds that a chunk is meant to run."""

_MOST = 4096
"""Items in a chunk."""

_MOST_BYTES = 1 << 20
"""Pickled bytes of a chunk's items, as far as its first one is like the others."""

_GROWTH = 4
"""A chunk has at most so many times the items of the last one measured."""

_REFS = 16
"""Items in a chunk of references, which nobody measures."""

_WINDOW = 3
"""Chunks for each CPU."""

Outcome = tuple[list[Any], dict[int, tuple[str, bytes]], float]
"""What a chunk gives: results, the packed error of each failed item, seconds."""


Tries = tuple[int, tuple[type[BaseException], ...] | None]
"""Retries of one item (-1: without limit), and the exceptions that allow one (`None`: all)."""


def run_chunk(function: Callable[..., Any], items: list[Any], many: bool, name: str, tries: Tries) -> Outcome:
    """Runs the calls of one chunk, in the worker.

    Args:
        function: The user's.
        items: Its arguments: one for each call, or with `many` a tuple of them.
        many: Whether an item holds several arguments.
        name: Of the function, for tracebacks.
        tries: How often, and after which exceptions, a call is tried again.
    """
    from shoal.core.errors import pack_error

    begin = time.perf_counter()
    if _has_refs(items, many):
        function = _resolving(function)
    call = starmap if many else map
    results: list[Any] = []
    failures: dict[int, tuple[str, bytes]] = {}
    failed_at, left, rest = -1, 0, iter(items)
    while True:
        try:
            # What was made before an exception stays in the list; `rest` is behind the item that raised.
            results.extend(call(function, rest))
            if len(results) == len(items):
                return results, failures, time.perf_counter() - begin
            raise RuntimeError(f"{name}() raised StopIteration")
        except Exception as error:
            if len(results) != failed_at:
                failed_at, left = len(results), tries[0]
            if left and (tries[1] is None or isinstance(error, tries[1])):
                left, rest = left - 1, iter(items[len(results) :])
                continue
            message, pickled, _ = pack_error(error, name, None)
            failures[len(results)] = (message, pickled)
            results.append(None)


def run_returns(function: Callable[..., Any], items: list[Any], many: bool, name: str, tries: Tries) -> list[Any]:
    """As `run_chunk`, for a task with one return for each item: a failed one's is its error."""
    results, failures, _ = run_chunk(function, items, many, name, tries)
    for at, (message, pickled) in failures.items():
        results[at] = _ffi.Failed(message, pickled)
    return results


def _has_refs(items: list[Any], many: bool) -> bool:
    if many:
        return any(type(value) is _ffi.ObjectRef for item in items for value in item)
    return _ffi.ObjectRef in set(map(type, items))


def _resolving(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with references among its arguments replaced by their values, as in `f.remote(ref)`."""

    def resolved(*args: Any) -> Any:
        return function(*[_ffi.get(arg, None, False) if type(arg) is _ffi.ObjectRef else arg for arg in args])

    return resolved


class TaskArray(Iterator[Any]):
    """The results of a task array, in the order of its items. Made by `f.map(...)`.

    `next()` gives the next result or raises that item's error; the iterator goes on with the item after it.
    """

    def __init__(
        self,
        send: Callable[[list[Any]], Any],
        items: Iterator[Any],
        window: int,
        chunk: int | None,
        name: str,
    ) -> None:
        self._send = send
        self._items = items
        self._window = window
        self._name = name
        self._fixed = chunk is not None
        self._size = chunk or 1
        self._sent: deque[tuple[Any, int]] = deque()
        self._results: Iterator[Any] = iter(())
        self._failures: dict[int, tuple[str, bytes]] = {}
        self._lost: tuple[BaseException, int] | None = None
        self._at = 0
        self._fill()

    def __iter__(self) -> "TaskArray":
        return self

    def __next__(self) -> Any:
        while True:
            if self._lost is not None:
                return self._raise_lost(*self._lost)
            for result in self._results:
                if self._failures:
                    self._at += 1
                    failed = self._failures.get(self._at - 1)
                    if failed is not None:
                        raise _exception(*failed)
                return result
            if not self._sent:
                raise StopIteration
            self._take()

    def _raise_lost(self, error: BaseException, items: int) -> Any:
        self._lost = (error, items - 1) if items > 1 else None
        raise error

    def _take(self) -> None:
        """Waits for the oldest chunk. Ctrl-C leaves everything as it was."""
        from shoal.exceptions import RayError

        ref, count = self._sent[0]
        try:
            results, self._failures, seconds = _ffi.get(ref, None, False)
        except RayError as error:
            self._lost = error, count
        else:
            self._results, self._at = iter(results), 0
            self._measure(count, seconds)
        self._sent.popleft()
        self._fill()

    def _measure(self, count: int, seconds: float) -> None:
        if not self._fixed:
            fits = int(TARGET * count / seconds) if seconds > 0 else _MOST
            self._size = max(1, min(fits, count * _GROWTH, _MOST))

    def _fill(self) -> None:
        while len(self._sent) < self._window:
            chunk = _cut(self._items, self._size, self._fixed)
            if not chunk:
                return
            self._sent.append((self._send(chunk), len(chunk)))

    def close(self) -> None:
        """Ends the iteration: what is under way is cancelled, nothing more is submitted."""
        self._items = iter(())
        self._results, self._lost = iter(()), None
        if self._sent:
            from shoal.runtime.api import cancel

            cancel(*(ref for ref, _ in self._sent))
            self._sent.clear()

    def __repr__(self) -> str:
        return f"<task array of {self._name}: chunks of {self._size}, {len(self._sent)} under way>"


def references(
    send: Callable[[list[Any], int], Any], items: Iterator[Any], chunk: int | None
) -> Iterator["_ffi.ObjectRef[Any]"]:
    """References of the results, in the order of the items; a chunk is submitted when its first one is asked for."""
    while part := _cut(items, chunk or _REFS, chunk is not None):
        refs = send(part, len(part))
        yield from refs if len(part) > 1 else [refs]


def _cut(items: Iterator[Any], size: int, fixed: bool) -> list[Any]:
    """The next items: at most `size`, fewer when they are large."""
    chunk = list(islice(items, 1))
    if chunk and size > 1:
        if not fixed:
            size = min(size, max(1, _MOST_BYTES // _bytes_of(chunk[0])))
        chunk += islice(items, size - 1)
    return chunk


def _bytes_of(item: Any) -> int:
    try:
        return len(pickle.dumps(item, 5))
    except Exception:
        # By value, like a function of `__main__`: seldom, and seldom small.
        return 4096


def _exception(message: str, pickled: bytes) -> BaseException:
    from shoal.core.errors import make_exception

    return make_exception("Task", message, pickled, None)


def rows(iterable: Iterable[Any], more: tuple[Iterable[Any], ...], what: str) -> Iterator[Any]:
    """The items of a task array: as they are, or tuples of several iterables that end with the shortest.

    Raises:
        TypeError: One can't be iterated.
    """
    iterators: list[Iterator[Any]] = []
    for place, one in enumerate((iterable, *more), start=1):
        try:
            iterators.append(iter(one))
        except TypeError:
            raise TypeError(f"{what} takes iterables; argument {place} is a {type(one).__name__!r}") from None
    return zip(*iterators, strict=False) if more else iterators[0]


def check_chunk(what: str, chunk: Any) -> int | None:
    """`chunk=` as it was given.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is below 1.
    """
    from shoal.core.checks import wrong_type, wrong_value

    if chunk is None:
        return None
    if isinstance(chunk, bool) or not isinstance(chunk, int):
        raise wrong_type(f"{what}(chunk=)", "a whole number ≥ 1, or None", chunk)
    if chunk < 1:
        raise wrong_value(f"{what}(chunk=)", "a whole number ≥ 1, or None", chunk)
    return chunk


def window(cpus_of_one: float) -> int:
    """How many chunks are to be under way, by the CPUs of the cluster and of one call."""
    from shoal.runtime.cluster import cluster_resources

    at_once = cluster_resources().get("CPU", 1.0) / (cpus_of_one or 1.0)
    return int(_WINDOW * max(1.0, at_once))
