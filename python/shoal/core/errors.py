"""Errors on their way: packed where they are raised, made into exceptions where they arrive."""

import os
import pickle
from typing import Any

from shoal import exceptions
from shoal.core.exception_parts import Parts, put_together, take_apart
from shoal.core.task_error import RayError, RayTaskError, as_both
from shoal.core.tracebacks import describe

RetryTypes = tuple[type[BaseException], ...]

# Variants of `ErrorKind` in crates/shoal-types/src/error.rs, and what only this process can meet.
_SIMPLE: dict[str, type[RayError]] = {
    "WorkerCrashed": exceptions.WorkerCrashedError,
    "Cancelled": exceptions.TaskCancelledError,
    "OutOfMemory": exceptions.OutOfMemoryError,
    "OwnerDied": exceptions.OwnerDiedError,
    "ObjectLost": exceptions.ObjectLostError,
    "Reconstruction": exceptions.ObjectReconstructionFailedError,
    "RetriesSpent": exceptions.ObjectReconstructionFailedMaxAttemptsExceededError,
    "LineageEvicted": exceptions.ObjectReconstructionFailedLineageEvictedError,
    "StoreFull": exceptions.ObjectStoreFullError,
    "NodeDied": exceptions.LocalRayletDiedError,
    "Unschedulable": exceptions.TaskUnschedulableError,
    "ActorUnschedulable": exceptions.ActorUnschedulableError,
    "PendingCalls": exceptions.PendingCallsLimitExceeded,
    "RuntimeEnv": exceptions.RuntimeEnvSetupError,
    "System": exceptions.RaySystemError,
    "EndOfStream": exceptions.ObjectRefStreamEndOfStreamError,
    "ReplayInconsistent": exceptions.StreamingGeneratorReplayInconsistentError,
    "NotConnected": exceptions.RaySystemError,
    "GetTimeout": exceptions.GetTimeoutError,
}
_OF_ACTORS: dict[str, type[exceptions.RayActorError]] = {
    "ActorDied": exceptions.ActorDiedError,
    "ActorUnavailable": exceptions.ActorUnavailableError,
}


def make_exception(kind: str, message: str, pickled: bytes, actor_id: bytes | None) -> BaseException:
    """The exception to raise for an error that arrived."""
    if kind == "Task":
        return _task_error(message, pickled)
    if kind in _OF_ACTORS:
        return _actor_error(kind, message, pickled, actor_id)
    return _SIMPLE.get(kind, exceptions.RaySystemError)(message)


def _actor_error(kind: str, message: str, pickled: bytes, actor_id: bytes | None) -> BaseException:
    error = _OF_ACTORS[kind](message, actor_id=None if actor_id is None else actor_id.hex())
    if pickled:
        # The constructor raised; the text is its traceback.
        error.args = (f"the actor died because its constructor raised an exception:\n{message}",)
        try:
            error.__cause__ = put_together(pickle.loads(pickled)[2])
        except Exception:
            pass
    return error


def _task_error(message: str, pickled: bytes) -> RayTaskError:
    if not pickled:
        return RayTaskError(_name_in(message), message)
    try:
        name, pid, parts = pickle.loads(pickled)
        cause = put_together(parts)
    except Exception as error:
        note = f"(The exception itself could not be unpickled here: {type(error).__name__}: {error})"
        return RayTaskError(_name_in(message), f"{message}\n{note}")
    return as_both(name, message, cause, pid)


def _name_in(message: str) -> str:
    head = message.partition("\n")[0]
    return head.removeprefix("shoal::").partition("(")[0] if head.startswith("shoal::") else ""


def pack_error(exc: BaseException, name: str, retry_types: RetryTypes | None) -> tuple[str, bytes, bool]:
    """What travels for an exception of the user's code.

    Args:
        exc: What was raised.
        name: The task or method.
        retry_types: What `retry_exceptions` lists, `None` for every type.

    Returns:
        The text with the remote traceback, the pickled parts (empty when they can't be pickled), and whether a retry
        is wanted for this type.
    """
    retryable = isinstance(exc, Exception) and (retry_types is None or isinstance(exc, retry_types))
    message = describe(exc, name)
    # An error that passed through is still the first function's: its own type is what the caller wants to catch.
    cause = exc.cause if isinstance(exc, RayTaskError) and exc.cause is not None else exc
    return message, _pack(cause, name), retryable


def _pack(exc: BaseException, name: str) -> bytes:
    from shoal.core.serialization import dumps

    for parts in (take_apart, _plainer):
        try:
            pickled = dumps((name, os.getpid(), parts(exc)))
            put_together(pickle.loads(pickled)[2])
            return pickled
        except Exception:
            continue
    return b""


def _plainer(exc: BaseException) -> Parts:
    """The parts of `exc` with text for the arguments that don't pickle, and without such attributes and causes."""
    from shoal.core.exception_parts import fields_of

    args = tuple(arg if _pickles(arg) else repr(arg) for arg in exc.args)
    fields = {name: value for name, value in fields_of(exc).items() if _pickles(value)}
    attributes = {name: value for name, value in exc.__dict__.items() if _pickles(value)}
    return ("parts", type(exc), args, fields, attributes, (None, None, exc.__suppress_context__))


def _pickles(value: Any) -> bool:
    from shoal.core.serialization import dumps

    try:
        pickle.loads(dumps(value))
    except Exception:
        return False
    return True


def system_exit_text(exc: BaseException) -> str:
    """Words for a task that called `sys.exit()`."""
    code = getattr(exc, "code", None)
    if code is None or code == 0:
        return "the task ended its process with sys.exit(): exit code 0"
    if isinstance(code, int):
        return f"the task ended its process with sys.exit({code}): exit code {code}"
    return f"the task ended its process with sys.exit({code!r}): exit code 1"


def name_taken(name: str, namespace: str) -> BaseException:
    """For an actor whose name another one has."""
    text = (
        f"the actor name {name!r} is taken in the namespace {namespace!r}; kill that actor, or use get_if_exists=True"
    )
    return exceptions.ActorAlreadyExistsError(text)
