"""Remote functions: what `@remote` makes of a function."""

import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shoal.core.live import LIVE
from shoal.core.options import Scope, check_options
from shoal.core.signature import Shape

_WHAT = "@remote of a function"
# `f.options(...)` in a loop gives the same function again, ready to be called; so many of them are kept.
_MAX_DERIVED = 64


class RemoteFunction:
    """A function whose calls run elsewhere: `f.remote(...)` returns at once, with a reference to the value.

    Made by `@remote`. Its options are checked when they are given; the function is pickled at the first call of a
    session, and once for all further ones.

    Example:
        >>> import shoal
        >>> @shoal.remote(num_cpus=1)
        ... def add(a, b):
        ...     return a + b
        >>> shoal.get(add.remote(1, 2))
        3
    """

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        name = getattr(function, "__qualname__", getattr(function, "__name__", "function"))
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise ValueError(f"{name} is an async function, which can't be a task; make it a method of an actor")
        self._function = function
        self._name = name.rpartition("<locals>.")[2]
        self._options = check_options(Scope.TASK, options, what=_WHAT)
        self._start()
        self._look()

    def _start(self) -> None:
        """Empty caches. Nothing looks at the function yet: while a pickle is loaded it may be half made."""
        self._low, self._high = 1, 0
        self._shape: Any = None
        self._epoch = 0
        self._template: Any = None
        self._exports: dict[object, tuple[int, Any]] = {}
        self._derived: dict[object, RemoteFunction] = {}
        self._arrays: dict[tuple[bool, bool], RemoteFunction] = {}

    def _look(self) -> None:
        """Takes name, documentation and shape from the function."""
        self._shape = Shape.of(self._function, self._name)
        self._low, self._high = self._shape.low, self._shape.high
        self.__name__ = getattr(self._function, "__name__", self._name)
        self.__qualname__ = getattr(self._function, "__qualname__", self._name)
        self.__module__ = getattr(self._function, "__module__", "")
        self.__doc__ = getattr(self._function, "__doc__", None)
        self.__wrapped__ = self._function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises a TypeError: a remote function is called with `.remote()`."""
        raise TypeError(
            f"a remote function can't be called directly: instead of '{self._name}()' use '{self._name}.remote()'"
        )

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Submits a call and returns at once.

        Args:
            *args: Arguments; a reference among them is replaced by its value, one inside another value is passed on.
            **kwargs: The same by name.

        Returns:
            An `ObjectRef`, a list of them for `num_returns` > 1, `None` for 0; an `ObjectRefGenerator` for a generator.

        Raises:
            TypeError: The arguments don't fit the function, or can't be serialized.
        """
        if self._epoch != LIVE.epoch or not self._epoch:
            self._prepare(args, kwargs)
        if kwargs or not self._low <= len(args) <= self._high:
            self._shape.check(args, kwargs)
        return self._template.submit(args, kwargs or None)

    def map(self, iterable: Iterable[Any], *more: Iterable[Any], chunk: int | None = None, refs: bool = False) -> Any:
        """Calls the function for each item: what to reach for when single tasks are too small to be worth a message.

        Many items travel in one message, and are one task; `max_retries` counts for it as a whole, `retry_exceptions`
        for an item. Items may be references: their values are the arguments.

        Args:
            iterable: First arguments. It is read as results are taken, and may be endless.
            *more: Iterables of further arguments; the shortest ends it.
            chunk: Items in one message; `None` to go by how long they take (about 5 ms of work, 4,096 items at most).
            refs: Whether to give references of the results instead of the results.

        Returns:
            An iterator of the results in the order of the items, as they come; an item's error is raised when it is
            its turn, and the iterator goes on behind it. With `refs=True` an iterator of `ObjectRef`s.

        Raises:
            TypeError: An argument is no iterable, or `chunk` no whole number.
            ValueError: `chunk` is below 1, or the function has several returns, or none.

        Example:
            >>> import shoal
            >>> @shoal.remote
            ... def square(x):
            ...     return x * x
            >>> sum(square.map(range(1000)))
            332833500
        """
        from shoal.core import task_array
        from shoal.core.array_functions import array_function

        what = f"{self._name}.map"
        if self._options.get("num_returns", 1) != 1 or inspect.isgeneratorfunction(self._function):
            raise ValueError(f"{what}() takes a function with one return, and {self._name} has another number")
        size = task_array.check_chunk(what, chunk)
        items = task_array.rows(iterable, more, f"{what}()")
        if refs:
            many = array_function(self, bool(more), as_refs=True)
            return task_array.references(lambda part, n: many.options(num_returns=n).remote(part), items, size)
        send = array_function(self, bool(more), as_refs=False).remote
        return task_array.TaskArray(send, items, task_array.window(self._cpus()), size, self._name)

    def _cpus(self) -> float:
        return float(self._options.get("num_cpus", 1.0))

    def options(self, **options: Any) -> "RemoteFunction":
        """The same function with other options; those not given stay.

        Raises:
            ValueError: An option is unknown, not supported yet, or out of range.
            TypeError: An option has the wrong type.
        """
        key = tuple((name, type(value), value) for name, value in options.items())
        try:
            known = self._derived.get(key)
        except TypeError:
            # A value that can't be hashed, such as a dict of resources.
            return self._derive(options)
        if known is None:
            known = self._derive(options)
            if len(self._derived) < _MAX_DERIVED:
                self._derived[key] = known
        return known

    def _derive(self, options: Mapping[str, Any]) -> "RemoteFunction":
        checked = check_options(Scope.TASK, options, what=f"{self._name}.options()", in_options=True)
        other = RemoteFunction.__new__(RemoteFunction)
        # What was unset by None falls back to the default.
        kept = {name: value for name, value in self._options.items() if name not in options}
        other.__setstate__((self._function, self._name, {**kept, **checked}))
        other._look()
        other._exports = self._exports
        return other

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        """Not supported yet: graphs of calls."""
        raise ValueError("bind() is not supported yet")

    def _prepare(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Makes the template of this session, which a wrong call must not begin."""
        from shoal.core import _ffi
        from shoal.core.templates import template_arguments
        from shoal.runtime.session import ensure

        self._look()
        self._shape.check(args, kwargs)
        ensure()
        export = self._export()
        self._template = _ffi.Template(
            function_id=export.id,
            pickled=export.blob,
            **template_arguments(self._options, self._name, inspect.isgeneratorfunction(self._function)),
        )
        self._epoch = LIVE.epoch

    def _export(self) -> Any:
        """The pickled function: made once a session, shared by the copies that `options()` makes."""
        from shoal.core.export import export

        retry = self._options.get("retry_exceptions", False)
        retry_types = retry if isinstance(retry, tuple) else None
        epoch, made = self._exports.get(retry_types, (0, None))
        if epoch != LIVE.epoch:
            made = export(self._function, retry_types, f"the function {self._name}")
            self._exports[retry_types] = (LIVE.epoch, made)
        return made

    def __getstate__(self) -> tuple[Any, ...]:
        return self._function, self._name, self._options

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._function, self._name, self._options = state
        self._start()

    def __repr__(self) -> str:
        return f"<remote function {self._name}>"


def is_function(target: object) -> bool:
    """Whether `@remote` takes it for a function: a Python function, or one that Cython compiled."""
    return isinstance(target, types.FunctionType) or type(target).__name__ == "cython_function_or_method"
