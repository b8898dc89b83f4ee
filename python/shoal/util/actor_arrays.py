"""Task arrays over the actors of a pool: `ActorPool.map` of a method's name."""

from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import Any

_DEPTH = 2
"""Chunks that an actor has at once: one runs while the next is on its way."""


def method_array(actors: list[Any], method: str, values: Iterable[Any], chunk: int | None) -> Iterator[Any]:
    """The results of `method` for each value, in the order of the values; the actors take turns.

    Raises:
        AttributeError: The actors have no such method.
        TypeError: `values` is no iterable, or `chunk` no whole number.
        ValueError: `chunk` is below 1.
    """
    from shoal.core import task_array

    for actor in actors:
        getattr(actor, method)
    what = "ActorPool.map"
    size = task_array.check_chunk(what, chunk)
    items = task_array.rows(values, (), f"{what}()")
    turns = cycle(actors)

    def send(part: list[Any]) -> Any:
        return next(turns).__ray_call__.remote(_run, method, part)

    return task_array.TaskArray(send, items, _DEPTH * len(actors), size, method)


def _run(actor: Any, method: str, items: list[Any]) -> Any:
    import inspect

    from shoal.core.task_array import run_chunk

    function = getattr(actor, method)
    name = f"{type(actor).__name__}.{method}"
    if inspect.iscoroutinefunction(function):
        raise ValueError(f"{name} is async: ActorPool.map() takes the name of a method that is not")
    return run_chunk(function, items, False, name, (0, None))
