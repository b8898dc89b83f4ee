"""Exceptions as plain parts: class, arguments, fields, attributes, causes.

Pickle calls an exception's class with `args`, which fails for each class whose `__init__` takes something else. Here an
exception is taken apart and put together again without running its `__init__`. Causes travel, tracebacks don't.
"""

import types
from typing import Any, cast

Parts = tuple[Any, ...]

# Set by the interpreter, handled by name, or of no meaning elsewhere.
_NOT_FIELDS = frozenset(("args",))
_CUSTOM = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")
# A chain of causes longer than this is cut.
_MAX_DEPTH = 20


def take_apart(exc: BaseException, depth: int = 0) -> Parts:
    """The parts of `exc` and of what caused it, for `put_together`."""
    links: list[Parts | None] = [None, None]
    if depth < _MAX_DEPTH:
        if exc.__cause__ is not None:
            links[0] = take_apart(exc.__cause__, depth + 1)
        elif exc.__context__ is not None and not exc.__suppress_context__:
            links[1] = take_apart(exc.__context__, depth + 1)
    chain = (links[0], links[1], exc.__suppress_context__)
    if pickles_itself(type(exc)):
        return ("whole", exc, chain)
    if isinstance(exc, BaseExceptionGroup) and len(exc.args) == 2:
        members = [take_apart(member, depth + 1) for member in exc.exceptions]
        return ("group", type(exc), exc.args[0], members, dict(exc.__dict__), chain)
    return ("parts", type(exc), exc.args, fields_of(exc), dict(exc.__dict__), chain)


def put_together(parts: Parts) -> BaseException:
    """The exception that `take_apart` took apart."""
    kind, chain = parts[0], parts[-1]
    if kind == "whole":
        exc = cast("BaseException", parts[1])
    elif kind == "group":
        members = [put_together(member) for member in parts[3]]
        exc = make(parts[1], (parts[2], members), {}, parts[4])
    else:
        exc = make(parts[1], parts[2], parts[3], parts[4])
    cause, context, suppress = chain
    exc.__cause__ = put_together(cause) if cause else None
    exc.__context__ = put_together(context) if context else None
    exc.__suppress_context__ = suppress
    return exc


def pickles_itself(cls: type[BaseException]) -> bool:
    """Whether the class says itself how it pickles."""
    for base in cls.__mro__:
        if base.__module__ == "builtins":
            continue
        if any(name in vars(base) for name in _CUSTOM):
            return True
    return False


def fields_of(exc: BaseException) -> dict[str, Any]:
    """What C code and `__slots__` keep outside `__dict__`, such as `errno`."""
    fields = {}
    for cls in type(exc).__mro__:
        for name, member in vars(cls).items():
            if (
                name in _NOT_FIELDS
                or name[:2] == "__"
                or not isinstance(member, types.MemberDescriptorType | types.GetSetDescriptorType)
            ):
                continue
            try:
                fields[name] = member.__get__(exc, type(exc))
            except AttributeError:
                pass
    return fields


def make(cls: type[BaseException], args: tuple[Any, ...], fields: dict[str, Any], attributes: dict[str, Any]) -> Any:
    """An instance of `cls` without a call of its `__init__`."""
    exc = _new(cls)(cls, *args)
    exc.args = args
    for name, value in fields.items():
        try:
            setattr(exc, name, value)
        except (AttributeError, TypeError):
            pass
    exc.__dict__.update(attributes)
    return exc


def _new(cls: type[BaseException]) -> Any:
    """The `__new__` of the nearest builtin base: only those of groups and `OSError` look at their arguments."""
    for base in cls.__mro__:
        if base.__module__ == "builtins" and "__new__" in vars(base):
            return vars(base)["__new__"]
    return BaseException.__new__
