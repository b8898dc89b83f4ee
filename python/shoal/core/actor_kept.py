"""Actors with `persistent=`: what stands between their methods and whoever runs them.

A sync actor's methods are run by the Rust main loop, which asks the instance for them: it gets a `KeptInstance` in its
place. A threaded or async actor's executor gets a `KeptCall` in the place of the call, and answers that.
"""

import functools
import threading
import types
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from shoal.core import _ffi
from shoal.core.actor_meta import MARK
from shoal.core.actor_saved import Saver, SyncSaver
from shoal.core.actor_state import ActorState
from shoal.core.live import LIVE
from shoal.core.persistent import Persistence

if TYPE_CHECKING:
    from concurrent.futures import Future

_READ_ONLY = frozenset(("__ray_ready__",))


class Kept:
    """How this process's actor is saved."""

    def __init__(self, option: Persistence, instance: Any, loop: Any, *, sync: bool) -> None:
        """Restores the instance, or saves what its constructor made; `loop` is an async actor's event loop."""
        state = ActorState(option, instance)
        state.begin()
        self._class = type(instance)
        if option.seconds is not None:
            _ffi.saves_at_end()
        self.saver: Saver = (
            SyncSaver(state, option.seconds) if sync else Saver(state, option.seconds, _taker(state, loop))
        )

    def changes(self, method: str) -> bool:
        """Whether a method may change the state."""
        marked = getattr(getattr(self._class, method, None), MARK, {})
        return method not in _READ_ONLY and not marked.get("read_only", False)

    def instance(self, instance: Any) -> "KeptInstance":
        """What the main loop of a sync actor gets."""
        assert isinstance(self.saver, SyncSaver)
        return KeptInstance(instance, self.saver, self.changes)

    def call(self, call: Any, method: str) -> "KeptCall":
        """What the executor of another actor gets."""
        return KeptCall(call, self.saver, self.changes(method))


def _taker(state: ActorState, loop: Any) -> Callable[[], bytes]:
    """Takes the state where it may be taken: on the loop's thread, or anywhere."""
    if loop is None:
        return state.take

    def take() -> bytes:
        if threading.get_ident() == LIVE.async_thread:
            return state.take()
        from concurrent.futures import Future

        future: Future[bytes] = Future()

        def on_loop() -> None:
            try:
                future.set_result(state.take())
            except BaseException as error:
                future.set_exception(error)

        loop.call_soon_threadsafe(on_loop)
        return future.result()

    return take


class KeptInstance:
    """A sync actor's instance with methods that save when they end."""

    def __init__(self, instance: Any, saver: SyncSaver, changes: Callable[[str], bool]) -> None:
        def look_up(name: str) -> Callable[..., Any]:
            return _kept(getattr(instance, name), saver, changes(name))

        # No name that a method could have.
        self.__dict__["shoal look-up"] = look_up

    def __getattr__(self, name: str) -> Any:
        method = self.__dict__[name] = self.__dict__["shoal look-up"](name)
        return method


def _kept(method: Callable[..., Any], saver: SyncSaver, changes: bool) -> Callable[..., Any]:
    @functools.wraps(method)
    def run(*args: Any, **kwargs: Any) -> Any:
        result = _step(saver, changes, method, args, kwargs)
        if isinstance(result, types.GeneratorType):
            return _items(saver, changes, result)
        return _Steps(saver, changes, result) if isinstance(result, Iterator) else result

    return run


def _step(saver: SyncSaver, changes: bool, step: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Runs the user's code and saves. A cancel interrupts the one and not the other."""
    LIVE.shielded = True
    try:
        saver.enter(changes)
        try:
            LIVE.shielded = False
            if _ffi.interrupt_wanted():
                raise KeyboardInterrupt
            return step(*args, **kwargs)
        finally:
            LIVE.shielded = True
            saver.leave(changes)
    finally:
        LIVE.shielded = False


def _items(saver: SyncSaver, changes: bool, generator: Iterator[Any]) -> Iterator[Any]:
    """The items of a generator, each after what it depends on was saved."""
    end = object()
    try:
        while (item := _step(saver, changes, next, (generator, end), {})) is not end:
            yield item
    finally:
        generator.close()  # type: ignore[attr-defined]


class _Steps:
    """An iterator that is no generator: run here, its items are saved as those of one; as a value it stays itself."""

    def __init__(self, saver: SyncSaver, changes: bool, items: Iterator[Any]) -> None:
        self._saver, self._changes, self._items = saver, changes, items

    def __iter__(self) -> "_Steps":
        return self

    def __next__(self) -> Any:
        return _step(self._saver, self._changes, next, (self._items,), {})

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._items.__reduce_ex__(protocol)


class _Saved:
    """Waits for a save as a reply does."""

    def __init__(self) -> None:
        from concurrent.futures import Future

        self.future: Future[None] = Future()

    def release(self, error: BaseException | None = None) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)


class KeptCall:
    """A call in hand whose answer waits for the state to be saved."""

    __slots__ = ("_begun", "_call", "_changes", "_saver", "name", "task_id")

    def __init__(self, call: Any, saver: Saver, changes: bool) -> None:
        self._call, self._saver, self._changes, self._begun = call, saver, changes, False
        self.task_id, self.name = call.task_id, call.name

    @property
    def cancelled(self) -> bool:
        return bool(self._call.cancelled)

    def enter(self) -> None:
        if not self._begun:
            self._begun = True
            if self._changes:
                self._saver.change()
        self._call.enter()

    def leave(self) -> None:
        self._call.leave()

    def done(self, value: Any) -> None:
        self._call.hold(value)
        self._over()

    def failed(self, exception: BaseException) -> None:
        self._call.hold_failed(exception)
        self._over()

    @property
    def streaming(self) -> bool:
        return bool(self._call.streaming)

    @property
    def watched(self) -> Any:
        """What the notifier can watch."""
        return self._call

    def run(self, generator: Any, quiet: Callable[[], None]) -> None:
        """Sends the items of a generator, each after the state that it comes from was saved."""
        # What can't be iterated is for who runs it to tell.
        self._call.run(self._saved_items(generator) if isinstance(generator, Iterable) else generator, quiet)

    def begin(self) -> None:
        self._call.begin()

    def room(self) -> bool | None:
        room: bool | None = self._call.room()
        return room

    async def item(self, item: Any) -> None:
        import asyncio

        saved = asyncio.wrap_future(self._save())
        try:
            await saved
        finally:
            # Who is cancelled meanwhile doesn't ask for its error.
            saved.cancel()
        self._call.item(item)

    def _saved_items(self, items: Iterable[Any]) -> Iterator[Any]:
        try:
            for item in items:
                self._save().result()
                yield item
        finally:
            if isinstance(items, Generator):
                items.close()

    def _save(self) -> "Future[None]":
        """Is done when what has changed so far is saved; at once where nobody waits for that."""
        saved = _Saved()
        self._saver.answer(saved)
        return saved.future

    def _over(self) -> None:
        if not self._begun:
            self._call.release()
            return
        if self._changes:
            self._saver.changed()
        self._saver.answer(self._call)
