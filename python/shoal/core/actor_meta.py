"""What the handles of an actor need to know of its class, as JSON that travels with them."""

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from shoal.core.checks import STREAMING
from shoal.core.signature import ANYTHING, Plain, plain_of

# Where `@method` keeps its options.
MARK = "__shoal_method__"
ASYNC_CONCURRENCY = 1000
_HOOKS = {"__shoal_save__", "__shoal_restore__"}
_NOT_METHODS = frozenset(dir(object)) | {"__init__", "__new__", "__class_getitem__", "__del__"} | _HOOKS
# Every actor has these.
BUILT_IN = ("__ray_ready__", "__ray_terminate__", "__ray_call__")


class MethodMeta(NamedTuple):
    """One method."""

    num_returns: int
    group: str
    max_task_retries: int | None
    retry_exceptions: bool | tuple[type[BaseException], ...]
    """A tuple only by `.options()`; what `@method` lists is looked up in the actor's process."""
    shape: Plain
    backpressure: int = 0


class ActorMeta(NamedTuple):
    """One class with the options of one actor."""

    class_name: str
    methods: dict[str, MethodMeta]
    is_async: bool
    max_concurrency: int
    groups: dict[str, int]
    max_task_retries: int
    name: str

    @property
    def sync(self) -> bool:
        """Whether it runs one call at a time, on its process's main thread."""
        return not self.is_async and self.max_concurrency == 1 and not self.groups

    def encode(self) -> str:
        """As JSON."""
        return json.dumps(self, separators=(",", ":"))


@functools.lru_cache(maxsize=256)
def decode(text: str) -> ActorMeta:
    """The inverse of `ActorMeta.encode`."""
    class_name, methods, *rest = json.loads(text)
    return ActorMeta(class_name, {key: MethodMeta(*row) for key, row in methods.items()}, *rest)


def describe(cls: type, options: Mapping[str, Any]) -> ActorMeta:
    """The meta of `cls` as an actor with these checked options.

    Raises:
        ValueError: A method names a concurrency group that the options don't have.
    """
    functions = methods_of(cls)
    is_async = any(map(_is_async, functions.values()))
    groups = dict(options.get("concurrency_groups", {}))
    methods = {name: _method(cls, name, function) for name, function in functions.items()}
    for name, method in methods.items():
        if method.group and method.group not in groups:
            raise ValueError(
                f"{cls.__name__}.{name} names the concurrency group {method.group!r}, which the actor lacks"
            )
    limit = options.get("max_concurrency", ASYNC_CONCURRENCY if is_async else 1)
    retries, name = options.get("max_task_retries", 0), options.get("name", "")
    return ActorMeta(cls.__name__, methods, is_async, limit, groups, retries, name)


def methods_of(cls: type) -> dict[str, Callable[..., Any]]:
    """The functions of `cls` and its bases that can be called as methods, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for name in dir(cls):
        if name in _NOT_METHODS or name in BUILT_IN:
            continue
        value = inspect.getattr_static(cls, name, None)
        function = value.__func__ if isinstance(value, staticmethod | classmethod) else value
        if inspect.isroutine(function) and not inspect.isbuiltin(function):
            found[name] = function
    return found


def _is_async(function: Callable[..., Any]) -> bool:
    function = inspect.unwrap(function) if not inspect.iscoroutinefunction(function) else function
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _method(cls: type, name: str, function: Callable[..., Any]) -> MethodMeta:
    marked: dict[str, Any] = getattr(function, MARK, {})
    streaming = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    is_static = isinstance(inspect.getattr_static(cls, name), staticmethod)
    return MethodMeta(
        marked.get("num_returns", STREAMING if streaming else 1),
        marked.get("concurrency_group", ""),
        marked.get("max_task_retries"),
        bool(marked.get("retry_exceptions", False)),
        plain_of(function, skip_first=not is_static),
        marked.get("_generator_backpressure_num_objects", 0),
    )


def constructor_shape(cls: Any) -> Plain:
    """What the class itself takes."""
    plain: Any = object
    if cls.__init__ is not plain.__init__:
        return plain_of(cls.__init__, skip_first=True)
    return ANYTHING if cls.__new__ is not plain.__new__ else [[], 0, 0, False, [], [], False]
