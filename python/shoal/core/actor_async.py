"""Async actors: one event loop on a thread of its own.

Every call is an `asyncio.Task` from its first line, with a context of its own. The limit of its concurrency group says
how many are started; the rest waits in order of arrival. Sync methods of an async actor run on the loop and block it,
as in Ray.
"""

import asyncio
import contextvars
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from types import CoroutineType
from typing import Any

from shoal.core import _ffi
from shoal.core.actor_meta import ActorMeta
from shoal.core.actor_runtime import ends_actor, exit_from_thread, start_thread
from shoal.core.actor_threads import answer_failure, cancelled
from shoal.core.futures import when
from shoal.core.live import LIVE

CURRENT_CALL: contextvars.ContextVar[Any] = contextvars.ContextVar("shoal_call")
"""The call that a coroutine belongs to, inherited by the tasks that it starts."""

_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class _Entered:
    """A coroutine that makes its call the thread's current one while it runs, and only then."""

    __slots__ = ("_call", "_coroutine")

    def __init__(self, call: Any, coroutine: Any) -> None:
        self._call, self._coroutine = call, coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, enter, leave = self._coroutine, self._call.enter, self._call.leave
        step, value = coroutine.send, None
        while True:
            enter()
            try:
                yielded = step(value)
            except StopIteration as stop:
                return stop.value
            finally:
                leave()
            try:
                value = yield yielded
                step = coroutine.send
            except BaseException as error:
                step, value = coroutine.throw, error


class _Group:
    """A concurrency group, touched on the loop's thread only."""

    __slots__ = ("limit", "queue", "running")

    def __init__(self, limit: int) -> None:
        self.limit, self.running = limit, 0
        self.queue: deque[tuple[Any, Any, tuple[Any, ...], dict[str, Any]]] = deque()


class AsyncExecutor:
    """Who runs the calls of an async actor."""

    def __init__(self, meta: ActorMeta) -> None:
        self._groups = {"": _Group(meta.max_concurrency)}
        self._groups |= {name: _Group(limit) for name, limit in meta.groups.items()}
        self._arrived: deque[tuple[str, tuple[Any, Any, tuple[Any, ...], dict[str, Any]]]] = deque()
        self._tasks: dict[bytes, asyncio.Task[None]] = {}
        self._woken = False
        self._loop: asyncio.AbstractEventLoop
        up = threading.Event()
        start_thread(self._serve, "shoal-asyncio", up)
        up.wait()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Where everything of the actor runs."""
        return self._loop

    def _serve(self, up: threading.Event) -> None:
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        LIVE.async_thread = threading.get_ident()
        _ffi.runs_loop()
        self._loop.call_soon(up.set)
        while True:
            try:
                self._loop.run_forever()
            except BaseException as error:
                # A task that the user's code started raised SystemExit or KeyboardInterrupt, which end a loop.
                reason = ends_actor(error)
                if reason is not None:
                    exit_from_thread(reason)

    def construct(self, cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Makes the instance on the loop's thread, in a task; `__init__` may be async."""

        async def make() -> Any:
            initialize = vars(cls).get("__init__", getattr(cls, "__init__", None))
            if not asyncio.iscoroutinefunction(initialize):
                return cls(*args, **kwargs)
            instance: Any = object.__new__(cls) if cls.__new__ is object.__new__ else cls.__new__(cls, *args, **kwargs)
            await initialize(instance, *args, **kwargs)
            return instance

        async def kept() -> tuple[Any, BaseException | None]:
            try:
                return await make(), None
            except BaseException as error:
                # Past the loop, which would end its thread for a SystemExit.
                return None, error

        instance, error = asyncio.run_coroutine_threadsafe(kept(), self._loop).result()
        if error is not None:
            raise error
        return instance

    def start(
        self, call: Any, group: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Hands a call to the loop; one wake-up serves all that arrive before it."""
        self._arrived.append((group, (call, function, args, kwargs)))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._accept)

    def _accept(self) -> None:
        # First: what arrives from here on wakes the loop again.
        self._woken = False
        while self._arrived:
            name, work = self._arrived.popleft()
            if work[0].cancelled:
                # The cancel may have come before the call was here.
                work[0].failed(cancelled())
                continue
            group = self._groups.get(name) or self._groups[""]
            if group.running < group.limit and not group.queue:
                self._begin(group, *work)
            else:
                group.queue.append(work)

    def _fill(self, group: _Group) -> None:
        while group.queue and group.running < group.limit:
            self._begin(group, *group.queue.popleft())

    def _begin(
        self, group: _Group, call: Any, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        group.running += 1
        context = contextvars.Context()
        context.run(CURRENT_CALL.set, call)
        key = call.task_id
        coroutine = self._run(group, key, call, function, args, kwargs)
        task = asyncio.Task(coroutine, loop=self._loop, context=context, name=call.name, **_EAGER)
        if not task.done():
            self._tasks[key] = task

    async def _run(
        self,
        group: _Group,
        key: bytes,
        call: Any,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        try:
            call.enter()
            try:
                value = function(*args, **kwargs)
            finally:
                call.leave()
            if type(value) is CoroutineType and not call.streaming:
                # The common case without a coroutine in between.
                value = await _Entered(call, value)
            elif call.streaming or isinstance(value, Awaitable):
                value = await _Entered(call, _rest(call, value))
        except asyncio.CancelledError:
            call.failed(cancelled())
        except BaseException as error:
            answer_failure(call, error)
        else:
            call.done(value)
        finally:
            self._tasks.pop(key, None)
            group.running -= 1
            if group.queue:
                # Not here: eager tasks that end at once would nest.
                self._loop.call_soon(self._fill, group)

    def cancel(self, task_id: bytes) -> bool:
        """Withdraws a queued call or cancels the task of a running one, once; from any thread."""
        self._loop.call_soon_threadsafe(self._cancel, task_id)
        return True

    def _cancel(self, task_id: bytes) -> None:
        task = self._tasks.get(task_id)
        if task is not None:
            if not task.cancelling():
                task.cancel()
            return
        for group in self._groups.values():
            for work in group.queue:
                if work[0].task_id == task_id:
                    group.queue.remove(work)
                    work[0].failed(cancelled())
                    return


async def _rest(call: Any, value: Any) -> Any:
    if isinstance(value, Awaitable):
        value = await value
    return await _send_items(call, value) if call.streaming else value


async def _send_items(call: Any, generator: Any) -> None:
    """Runs a generator, async or not, to its end or until nobody reads it any more."""
    items = aiter(generator) if hasattr(generator, "__aiter__") else _as_async(_items_of(call, generator))
    call.begin()
    try:
        while await _room(call):
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            sent = call.item(item)
            if sent is not None:
                # The state that it comes from is saved first.
                await sent
            del item
    finally:
        if hasattr(items, "aclose"):
            await items.aclose()


def _items_of(call: Any, value: Any) -> Iterator[Any]:
    try:
        return iter(value)
    except TypeError:
        text = f'{call.name} was called with num_returns="streaming" or "dynamic" and gave no generator'
        raise TypeError(text) from None


async def _room(call: Any) -> bool:
    while (room := call.room()) is None:
        await when(getattr(call, "watched", call))
    return bool(room)


async def _as_async(items: Any) -> AsyncIterator[Any]:
    try:
        for item in items:
            yield item
    finally:
        if hasattr(items, "close"):
            items.close()
