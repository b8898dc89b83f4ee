"""What the Rust core calls back: one object, given to `_core.set_hooks` once a process."""

import os
import sys
import threading
import warnings
from collections.abc import Callable, Generator
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from shoal.core import actor_runtime, errors, export, serialization
from shoal.core.live import LIVE
from shoal.core.tracebacks import is_own

if TYPE_CHECKING:
    from concurrent.futures import Future


class Hooks:
    """Every method is called with the GIL held, from any thread unless it says otherwise."""

    def serialize(self, obj: Any) -> tuple[bytes, list[Any]]:
        """The pickle of `obj` and its out-of-band buffers. Pickles once: references are met once each."""
        return serialization.serialize(obj)

    def deserialize(self, pickled: Any, buffers: list[Any]) -> Any:
        """The object again."""
        return serialization.deserialize(pickled, buffers)

    def unserializable(self, exc: BaseException, obj: Any, where: str) -> BaseException:
        """The error to raise for an object that `serialize` failed on; `where` is the name of the call."""
        from shoal.core.unserializable import explain

        return explain(exc, obj, _place(where, sys._getframe(1).f_code))

    def ref_pickled(self) -> None:
        """A reference was pickled, and for no call: who did it is warned (OWN-4), but for an export's (OWN-5)."""
        place = serialization.place()
        if place is not serialization.Place.EXPORT:
            where = "outside of a call" if place is None else "into a value that is saved"
            text = f"an ObjectRef or actor handle was pickled {where}: what it names is kept until the session ends"
            warnings.warn(text, stacklevel=_depth())

    def make_exception(self, kind: str, message: str, pickled: bytes, actor_id: bytes | None) -> BaseException:
        """The exception for an error that arrived; `kind` is a variant of `ErrorKind`, "GetTimeout", "NotConnected"."""
        return errors.make_exception(kind, message, pickled, actor_id)

    def name_taken(self, name: str, namespace: str) -> BaseException:
        """The exception for a name that another actor has."""
        return errors.name_taken(name, namespace)

    def pack_error(
        self, exc: BaseException, name: str, retry_types: errors.RetryTypes | None
    ) -> tuple[str, bytes, bool]:
        """Text, pickled parts (may be empty) and whether a retry is wanted, for what the user's code raised."""
        actor = actor_runtime.current_actor()
        if retry_types is None and actor is not None:
            retry_types = actor.retry_types(name)
        return errors.pack_error(exc, name, retry_types)

    def system_exit_text(self, exc: BaseException) -> str:
        """Words for a task or an actor's method that raised SystemExit."""
        actor = actor_runtime.current_actor()
        return (actor_runtime.ends_actor(exc) if actor is not None else None) or errors.system_exit_text(exc)

    def load_function(self, blob: bytes) -> tuple[Callable[..., Any], errors.RetryTypes | None]:
        """A remote function and the exceptions that it is retried for."""
        return export.load_function(blob)

    def end_output(self, renamed: bool) -> None:
        """A task that has written something is over; or what runs next has another name."""
        from shoal.runtime import marks

        marks.end(renamed)

    def become_actor(
        self, class_blob: bytes, meta: str, args: tuple[Any, ...], kwargs: dict[str, Any] | None
    ) -> actor_runtime.ActorRuntime:
        """Makes the actor of this process, on the main thread; raises what its constructor raises."""
        return actor_runtime.become_actor(class_blob, meta, args, kwargs)

    def finish_actor(self) -> None:
        """Saves what an actor with `persistent=` hasn't saved yet: it ends, in order."""
        actor_runtime.finish()

    def cancel_call(self, task_id: bytes) -> bool:
        """Cancels a call that was dispatched; whether it was there (or may have been, in an async actor)."""
        actor = actor_runtime.current_actor()
        return actor is not None and actor.cancel(task_id)

    def raise_pending(self) -> None:
        """Raises what a cancel has in store for this thread, which waits in `get` or `wait`.

        To run Python is all that a thread needs for an exception set by another; a coroutine is told here, as its
        event loop stands still.
        """
        if threading.get_ident() == LIVE.async_thread:
            actor_runtime.raise_if_cancelled()

    def coroutine_call(self) -> Any | None:
        """The call that the running coroutine belongs to, on the event loop's thread; `None` for none."""
        return actor_runtime.coroutine_call()

    def await_ref(self, ref: Any) -> Generator[Any, Any, Any]:
        """What `ObjectRef.__await__` returns."""
        from shoal.core import futures

        return futures.await_ref(ref)

    def future_of(self, ref: Any) -> "Future[Any]":
        """What `ObjectRef.future` returns."""
        from shoal.core import futures

        return futures.future_of(ref)

    def make_generator(self, stream: Any) -> Any:
        """What a call of a generator gives."""
        from shoal.core.generators import ObjectRefGenerator

        return ObjectRefGenerator(stream)

    def call_site(self) -> str:
        """The line of the user's code that is at work on this thread, and its function."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and is_own(frame.f_code.co_filename):
            frame = frame.f_back
        if frame is None:
            return "shoal itself"
        return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"

    def make_dynamic(self, refs: list[Any]) -> Any:
        """The value of a generator called with `num_returns="dynamic"`."""
        from shoal.core.generators import DynamicObjectRefGenerator

        return DynamicObjectRefGenerator(refs)


_LIBRARY = os.path.join(os.path.dirname(os.__file__), "")


def _depth() -> int:
    """Which frame above the caller's is the user's; where none is, one beyond the outermost."""
    depth = 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not _is_users(frame.f_code.co_filename):
        depth, frame = depth + 1, frame.f_back
    return depth


def _is_users(filename: str) -> bool:
    """Whether a file is neither shoal's, nor of Python's library, which a loop or thread may be run by, nor pickles."""
    of_library = filename.startswith(_LIBRARY) and "site-packages" not in filename
    return not (is_own(filename) or of_library or "/cloudpickle/" in filename)


def _place(name: str, caller: CodeType) -> str:
    """Words for what was being serialized, told by which Python function called into the core."""
    if is_own(caller.co_filename) and caller.co_name == "remote":
        return f"an argument of {name}()"
    if is_own(caller.co_filename) and caller.co_name == "put":
        return "the value given to put()"
    return f"the value that {name}() returned"


HOOKS = Hooks()
