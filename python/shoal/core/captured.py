"""What a function or class takes along: closures, globals, defaults, attributes."""

import types
from collections.abc import Iterator
from typing import Any


def captured(target: Any) -> Iterator[tuple[str, Any]]:
    """Words and value of each thing that pickling `target` by value takes along."""
    if isinstance(target, types.FunctionType):
        yield from _of_function(target)
    elif isinstance(target, type):
        for name, value in vars(target).items():
            member = value.__func__ if isinstance(value, staticmethod | classmethod) else value
            if isinstance(member, types.FunctionType):
                for what, inner in _of_function(member):
                    yield f"{what} in the method {name!r}", inner
            elif not name.startswith("__"):
                yield f"the class attribute {name!r}", value


def _of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield f"the variable {name!r} of the enclosing function", cell.cell_contents
        except ValueError:
            continue  # not assigned yet
    for name in sorted(_global_names(function.__code__)):
        if name in function.__globals__:
            yield f"the global variable {name!r}", function.__globals__[name]
    for value in function.__defaults__ or ():
        yield "a default argument", value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield f"the default of {name!r}", value


def _global_names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names


def largest(target: Any, at_least: int) -> list[tuple[str, int]]:
    """Words and pickled size of the captured things of at least so many bytes, largest first."""
    from shoal.core.serialization import dumps

    found = []
    for what, value in captured(target):
        try:
            size = len(dumps(value))
        except Exception:
            continue
        if size >= at_least:
            found.append((what, size))
    return sorted(found, key=lambda item: -item[1])[:5]
