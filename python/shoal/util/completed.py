"""`as_completed` and `map_unordered`."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import shoal


def as_completed(refs: Sequence[Any], chunk_size: int = 10, yield_obj_refs: bool = False) -> Iterator[Any]:
    """The values of references, each as soon as it is ready.

    Args:
        refs: Different references.
        chunk_size: How many are fetched at once at most.
        yield_obj_refs: Whether the references themselves are given, not their values.

    Raises:
        ValueError: `chunk_size` is below 1.

    Example:
        >>> import shoal
        >>> sorted(shoal.util.as_completed([shoal.put(1), shoal.put(2)]))
        [1, 2]
    """
    if chunk_size < 1:
        raise ValueError(f"as_completed(chunk_size=) takes a whole number ≥ 1, not {chunk_size}")
    rest = list(refs)
    while rest:
        ready, rest = shoal.wait(rest, num_returns=1)
        more = min(chunk_size - 1, len(rest))
        if more:
            also, rest = shoal.wait(rest, num_returns=more, timeout=0)
            ready += also
        yield from ready if yield_obj_refs else shoal.get(ready)


def map_unordered(
    fn: Any,
    items: Iterable[Any],
    backpressure_size: int | None = 100,
    chunk_size: int = 10,
    yield_obj_refs: bool = False,
) -> Iterator[Any]:
    """Calls a remote function for each item; the values, each as soon as it is ready.

    Args:
        fn: A remote function of one argument.
        items: What it is called with.
        backpressure_size: How many calls may be under way; `None` for all.
        chunk_size: How many values are fetched at once at most.
        yield_obj_refs: Whether references are given, not values.

    Raises:
        ValueError: `backpressure_size` is below `chunk_size`.

    Example:
        >>> import shoal
        >>> @shoal.remote
        ... def double(x):
        ...     return 2 * x
        >>> sorted(shoal.util.map_unordered(double, [1, 2, 3]))
        [2, 4, 6]
    """
    limit = backpressure_size
    if limit is not None and limit < chunk_size:
        raise ValueError(f"map_unordered(backpressure_size={limit}) is below chunk_size={chunk_size}")
    source = iter(items)
    running = [fn.remote(item) for item in (source if limit is None else islice(source, limit))]
    while running:
        ready, running = shoal.wait(running, num_returns=1)
        more = min(chunk_size - 1, len(running))
        if more:
            also, running = shoal.wait(running, num_returns=more, timeout=0)
            ready += also
        running += [fn.remote(item) for item in islice(source, len(ready))]
        yield from ready if yield_obj_refs else shoal.get(ready)
