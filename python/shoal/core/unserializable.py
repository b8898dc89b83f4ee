"""Why something can't be pickled: which variable, in which function, on which path."""

import functools
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

from shoal.core.captured import captured
from shoal.core.serialization import dumps

_MAX_DEPTH = 12
_MAX_ITEMS = 10_000


class Found(NamedTuple):
    """One innermost thing that can't be pickled."""

    path: tuple[str, ...]
    value: Any
    error: BaseException


def explain(error: BaseException, obj: Any, where: str) -> TypeError:
    """The error to raise in the place of pickle's own.

    Args:
        error: What pickling raised.
        obj: What was pickled.
        where: Words for it, such as "argument 0 of f()" or "the function f".
    """
    found = find(obj, error)
    kind = type(found.value).__name__
    path = " → ".join((where, *found.path))
    text = f"{where} can't be serialized: {path} is a {kind!r}, which can't: {found.error}"
    if not found.path:
        text = f"{where} can't be serialized: it is a {kind!r}: {found.error}"
    if isinstance(found.value, types.GeneratorType | types.AsyncGeneratorType):
        text += '; list() of it can, and a remote function with num_returns="streaming" sends the items one by one'
    result = TypeError(text)
    result.__cause__ = error
    return result


def find(obj: Any, error: BaseException | None = None) -> Found:
    """The innermost part of `obj` that can't be pickled, given that `obj` can't be."""
    return _descend(obj, error or failure(obj) or TypeError("unknown"), (), set())


def failure(obj: Any) -> BaseException | None:
    """What pickling `obj` raises."""
    try:
        dumps(obj)
    except Exception as error:
        return error
    return None


def _descend(obj: Any, error: BaseException, path: tuple[str, ...], seen: set[int]) -> Found:
    if len(path) < _MAX_DEPTH:
        seen.add(id(obj))
        for what, part in parts(obj):
            if id(part) in seen:
                continue
            problem = failure(part)
            if problem is not None:
                return _descend(part, problem, (*path, what), seen)
    return Found(path, obj, error)


def parts(obj: Any) -> Iterator[tuple[str, Any]]:
    """Words and value of each thing that pickling `obj` leads to."""
    if isinstance(obj, dict):
        for number, (key, value) in enumerate(obj.items()):
            if number >= _MAX_ITEMS:
                return
            yield f"the key {_short(key)}", key
            yield f"[{_short(key)}]", value
    elif isinstance(obj, list | tuple | set | frozenset):
        for number, value in enumerate(obj):
            if number >= _MAX_ITEMS:
                return
            yield f"[{number}]", value
    elif isinstance(obj, types.MethodType):
        yield "the object of the method", obj.__self__
    elif isinstance(obj, functools.partial):
        yield "the function of the partial", obj.func
        yield "the arguments of the partial", obj.args
        yield "the arguments of the partial", obj.keywords
    elif isinstance(obj, types.FunctionType | type):
        yield from captured(obj)
    else:
        yield from _attributes(obj)


def _attributes(obj: Any) -> Iterator[tuple[str, Any]]:
    target = getattr(obj, "_function", None) or getattr(obj, "_class", None)
    if target is not None and type(obj).__module__.startswith("shoal.core."):
        yield "what it runs", target
        return
    for name, value in list(getattr(obj, "__dict__", {}).items()):
        yield f"the attribute {name!r}", value
    for cls in type(obj).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(obj, name):
                yield f"the attribute {name!r}", getattr(obj, name)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
