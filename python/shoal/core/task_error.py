"""`RayTaskError`, and the classes that are both it and the user's own type."""

import types
from typing import Any, cast

from shoal.core.exception_parts import Parts, fields_of, make, put_together, take_apart


class RayError(Exception):
    """Base of every exception of shoal's own."""


class RayTaskError(RayError):
    """The user's code raised. Its class is usually also the user's own type (`RayTaskError(ValueError)`).

    Attributes:
        function_name: The task or method, such as "f" or "Counter.add".
        traceback_str: The remote traceback as text; `str()` gives the same.
        cause: The user's exception, `None` when it could not travel.
        pid: The process that ran it, 0 if unknown.

    Example:
        >>> import shoal
        >>> @shoal.remote
        ... def fail():
        ...     return 1 / 0
        >>> try:
        ...     shoal.get(fail.remote())
        ... except shoal.exceptions.RayTaskError as e:
        ...     isinstance(e, ZeroDivisionError), e.function_name
        (True, 'fail')
    """

    function_name: str
    traceback_str: str
    cause: BaseException | None
    pid: int

    def __init__(
        self,
        function_name: str = "",
        traceback_str: str = "",
        cause: BaseException | None = None,
        pid: int = 0,
    ) -> None:
        super().__init__(traceback_str or function_name)
        _fill(self, function_name, traceback_str or function_name, cause, pid)

    def as_instanceof_cause(self) -> "RayTaskError":
        """This error as one that is also an instance of its cause's class; itself where that can't be made."""
        return as_both(self.function_name, self.traceback_str, self.cause, self.pid)

    def __str__(self) -> str:
        return self.traceback_str

    def __reduce__(self) -> tuple[Any, ...]:
        cause = None if self.cause is None else take_apart(self.cause)
        both = type(self) is not RayTaskError
        return _rebuild, (self.function_name, self.traceback_str, cause, self.pid, both)


RayError.__module__ = RayTaskError.__module__ = "shoal.exceptions"

_OWN = ("function_name", "traceback_str", "cause", "pid")
_CLASSES: dict[type[BaseException], type[RayTaskError] | None] = {}


def as_both(function_name: str, text: str, cause: BaseException | None, pid: int = 0) -> RayTaskError:
    """The error of the user's code, as both `RayTaskError` and `cause`'s own class where such a class can be made."""
    error: RayTaskError | None = None
    both = None if cause is None or isinstance(cause, RayTaskError) else _class_of(type(cause))
    if both is not None and cause is not None:
        attributes = {name: value for name, value in cause.__dict__.items() if name not in _OWN}
        try:
            error = make(both, cause.args, fields_of(cause), attributes)
        except Exception:
            error = None
    if error is None:
        error = RayTaskError(function_name, text, cause, pid)
    _fill(error, function_name, text, cause, pid)
    if cause is not None:
        error.__cause__, error.__suppress_context__ = cause.__cause__, cause.__suppress_context__
    return error


def _fill(error: RayTaskError, function_name: str, text: str, cause: BaseException | None, pid: int) -> None:
    fields = error.__dict__
    fields["function_name"], fields["traceback_str"], fields["cause"], fields["pid"] = function_name, text, cause, pid


def _rebuild(function_name: str, text: str, cause: Parts | None, pid: int, both: bool) -> RayTaskError:
    restored = None if cause is None else put_together(cause)
    if both:
        return as_both(function_name, text, restored, pid)
    return RayTaskError(function_name, text, restored, pid)


def _class_of(cause_class: type[BaseException]) -> type[RayTaskError] | None:
    if cause_class not in _CLASSES:
        name = f"RayTaskError({cause_class.__name__})"
        body: dict[str, Any] = {"__module__": "shoal.exceptions", "__doc__": cause_class.__doc__, "__init__": _no_init}
        body |= {"__str__": RayTaskError.__str__, "__reduce__": RayTaskError.__reduce__}
        try:
            made = types.new_class(name, (RayTaskError, cause_class), {}, lambda space: space.update(body))
            _CLASSES[cause_class] = cast("type[RayTaskError]", made)
        except Exception:
            _CLASSES[cause_class] = None
    return _CLASSES[cause_class]


def _no_init(self: object, *args: object, **kwargs: object) -> None:
    """The user's `__init__` must not run again: its arguments are unknown."""
