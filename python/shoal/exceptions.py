"""Every exception that shoal raises, under Ray's names and base classes.

All of them pickle with their fields. An error of the user's code arrives as a class that is both `RayTaskError` and
the user's own type, so that it is caught by either.

Example:
    >>> import shoal
    >>> @shoal.remote
    ... def fail():
    ...     raise KeyError("no such thing")
    >>> try:
    ...     shoal.get(fail.remote())
    ... except KeyError as e:
    ...     isinstance(e, shoal.exceptions.RayTaskError)
    True
"""

from shoal.core.task_error import RayError as RayError
from shoal.core.task_error import RayTaskError as RayTaskError


class _ActorError(RayError):
    """Base of the errors that name an actor."""

    def __init__(self, message: str = "", *, actor_id: str | None = None) -> None:
        super().__init__(message)
        self.actor_id = actor_id
        """The actor, as hexadecimal digits."""


class _ObjectError(RayError):
    """Base of the errors that name an object."""

    def __init__(self, message: str = "", *, object_ref_hex: str | None = None) -> None:
        super().__init__(message)
        self.object_ref_hex = object_ref_hex
        """The object, as hexadecimal digits."""


class TaskCancelledError(RayError):
    """The task was cancelled: `cancel()` was called for it, or for the task that made it."""

    def __init__(self, message: str = "", *, task_id: str | None = None) -> None:
        super().__init__(message)
        self.task_id = task_id
        """The task, as hexadecimal digits."""


class LocalRayletDiedError(RayError):
    """The node daemon of this process died, and with it its workers and objects."""


class WorkerCrashedError(RayError):
    """The process that ran the task died, or left by `sys.exit()`; retries, if any, are used up."""


class RayActorError(_ActorError):
    """The actor can't answer: it is dead, or out of reach for now. `actor_id` says which."""


class ActorDiedError(RayActorError):
    """The actor is dead and will not be restarted; the text says why."""


class ActorUnavailableError(RayActorError):
    """The actor is being restarted; the text says whether the call had begun, and when the next life begins."""


class RaySystemError(RayError):
    """Something of shoal's own broke; the text has its code and the log's path."""


class StreamingGeneratorReplayInconsistentError(RaySystemError):
    """A retried generator gave fewer or other items than before."""


class RayChannelError(RaySystemError):
    """A channel of a compiled graph failed."""


class RayChannelTimeoutError(RayChannelError, TimeoutError):
    """A channel of a compiled graph gave nothing within its time."""


class RayCgraphCapacityExceeded(RaySystemError):
    """A compiled graph has as many executions in flight as it takes."""


class RayDirectTransportError(RaySystemError):
    """A direct transfer between devices failed."""


class AuthenticationError(RayError):
    """The instance did not accept this process's token."""


class UserCodeException(RayError):
    """Code of the user's that a library called raised."""


class ObjectStoreFullError(RayError):
    """The object store has no room; the text lists its largest holders."""


class OutOfDiskError(RayError):
    """The disk that objects spill to is full."""


class OutOfMemoryError(RayError):
    """The memory monitor ended the process; the text says who used how much of how much."""


class NodeDiedError(RayError):
    """The node that ran it died."""


class ObjectLostError(_ObjectError):
    """The value is gone, and can't be made again. `object_ref_hex` says which."""


class ObjectFetchTimedOutError(ObjectLostError):
    """The value could not be fetched from another node in time."""


class ReferenceCountingAssertionError(ObjectLostError, AssertionError):
    """The value was deleted while a reference to it was held."""


class ObjectFreedError(ObjectLostError):
    """The value was freed by hand."""


class OwnerDiedError(ObjectLostError):
    """The process that owned the value died."""


class ObjectReconstructionFailedError(ObjectLostError):
    """The task that made the value could not be run again."""


class ObjectReconstructionFailedMaxAttemptsExceededError(ObjectReconstructionFailedError):
    """The task that made the value has no retries left."""


class ObjectReconstructionFailedLineageEvictedError(ObjectReconstructionFailedError):
    """What would be needed to make the value again was given up for room."""


class RpcError(RayError):
    """A message between processes failed. `rpc_code` is its status, if there is one."""

    def __init__(self, message: str = "", *, rpc_code: int | None = None) -> None:
        super().__init__(message)
        self.rpc_code = rpc_code
        """The status code of the transport."""


class GetTimeoutError(RayError, TimeoutError):
    """`get(timeout=...)` ran out of time."""


class PlasmaObjectNotAvailable(RayError):
    """The value is not in this node's object store now."""


class AsyncioActorExit(RayError):
    """Raised inside an asyncio actor to end it."""


class RuntimeEnvSetupError(RayError):
    """The runtime environment could not be made; the text says which part and why."""


class TaskPlacementGroupRemoved(RayError):
    """The task's placement group was removed."""


class ActorPlacementGroupRemoved(RayError):
    """The actor's placement group was removed."""


class PendingCallsLimitExceeded(RayError):
    """The caller has `max_pending_calls` calls of this actor pending already."""


class TaskUnschedulableError(RayError):
    """No node can ever run the task; the text says what it needs and what there is."""


class ActorUnschedulableError(RayError):
    """No node can ever hold the actor; the text says what it needs and what there is."""


class ObjectRefStreamEndOfStreamError(RayError):
    """A generator has no further item."""


class OufOfBandObjectRefSerializationException(RayError):
    """An `ObjectRef` was pickled outside a call, which was forbidden. (The name is Ray's.)"""


class UnserializableException(RayError):
    """An exception could not be unpickled; its text is all there is."""


class CrossLanguageError(RayError):
    """A call into another language failed."""


class PersistenceError(RayError):
    """A value or an actor's state could not be saved, or what was saved can't be read. `key` says which."""

    def __init__(self, message: str = "", *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key
        """The key in the store."""


class ActorAlreadyExistsError(RayError, ValueError):
    """Another actor of this namespace has the name."""


class ActorHandleNotFoundError(RayError, ValueError):
    """No actor has this name in this namespace, or the handle belongs to another instance."""


__all__ = sorted(
    name
    for name, value in list(globals().items())
    if not name.startswith("_") and isinstance(value, type) and issubclass(value, RayError)
)
