"""Tracebacks with the user's lines: frames of shoal itself are folded away."""

import os
import traceback

from shoal.core.task_error import RayTaskError

_HOME = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


def describe(exc: BaseException, name: str) -> str:
    """What a caller is shown: who raised, in which process, and the remote traceback.

    Args:
        exc: What was raised.
        name: The task or method, such as "f" or "Counter.add".
    """
    return f"shoal::{name}() (pid={os.getpid()})\n{text_of(exc)}"


def text_of(exc: BaseException) -> str:
    """The traceback of `exc` and its causes, without shoal's own frames and without the final newline."""
    try:
        report = traceback.TracebackException.from_exception(exc, capture_locals=False)
        _fold(report, exc, set())
        return "".join(report.format()).rstrip("\n")
    except Exception as error:
        # The user's own `__str__`, `__repr__` or `__getattr__` may raise anything.
        return f"{type(exc).__name__}: (its text can't be had: {type(error).__name__})"


def is_own(filename: str) -> bool:
    """Whether a file belongs to shoal."""
    return filename.startswith(_HOME)


def _fold(report: traceback.TracebackException, exc: BaseException, seen: set[int]) -> None:
    if id(report) in seen:
        return
    seen.add(id(report))
    report.stack = traceback.StackSummary.from_list([frame for frame in report.stack if not is_own(frame.filename)])
    if isinstance(exc, RayTaskError):
        # Its text has the whole remote chain already.
        report.__cause__ = report.__context__ = None
    for other, inner in ((report.__cause__, exc.__cause__), (report.__context__, exc.__context__)):
        if other is not None and inner is not None:
            _fold(other, inner, seen)
    if isinstance(exc, BaseExceptionGroup):
        for member, inner in zip(report.exceptions or (), exc.exceptions, strict=False):
            _fold(member, inner, seen)
