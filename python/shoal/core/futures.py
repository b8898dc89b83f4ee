"""Futures, `await` and log lines: the one thread of ours that takes the GIL.

"shoal-notify" is started when something first needs it, sleeps in `_core.events()`, and ends with the session. It wakes
each event loop once for all that became ready in one batch; values are fetched by who waits for them.
"""

import asyncio
import sys
import threading
from collections.abc import Generator
from concurrent.futures import Future
from typing import Any

from shoal.core import _ffi

Line = tuple[str, int, bool, str]


class _Awaited:
    """An asyncio future that waits for a ref to be ready."""

    __slots__ = ("future", "loop", "ref")

    def __init__(self, ref: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.ref, self.loop = ref, loop
        self.future: asyncio.Future[None] = loop.create_future()


class _Promised:
    """A concurrent future that waits for the value of a ref."""

    __slots__ = ("future", "ref")

    def __init__(self, ref: Any) -> None:
        self.ref = ref
        self.future: Future[Any] = Future()


class Notifier:
    """The thread, and what it is to resolve."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pending: set[_Awaited | _Promised] = set()

    def start(self) -> None:
        """Starts the thread unless it runs."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="shoal-notify", daemon=True)
                self._thread.start()

    def watch(self, token: _Awaited | _Promised) -> None:
        """Resolves `token` when its ref is ready."""
        self.start()
        self._pending.add(token)
        _ffi.watch(token.ref, token)

    def join(self, timeout: float | None = 5.0) -> None:
        """Waits for the thread's end, which the end of the session brings; at most `timeout` seconds."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        self._thread = None

    def forget(self) -> None:
        """In a forked child: the thread is the parent's."""
        self.__init__()  # type: ignore[misc]

    def _serve(self) -> None:
        while True:
            events = _ffi.events()
            if not events:
                break
            lines = [what for kind, what in events if kind == "log"]
            if lines:
                write(lines)
            ready = [what for kind, what in events if kind == "ready"]
            if ready:
                self._resolve(ready)
            # Nothing may be kept alive until the next batch.
            del events, lines, ready
        self._resolve(list(self._pending))

    def _resolve(self, tokens: list[Any]) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
        for token in tokens:
            self._pending.discard(token)
            if isinstance(token, _Promised):
                _settle(token)
            else:
                loops.setdefault(token.loop, []).append(token.future)
        for loop, futures in loops.items():
            try:
                loop.call_soon_threadsafe(_wake, futures)
            except RuntimeError:
                pass  # the loop is closed: nobody waits any more


def _wake(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


def _settle(token: _Promised) -> None:
    if not token.future.set_running_or_notify_cancel():
        return
    try:
        value = _ffi.get(token.ref, None, False)
    except BaseException as error:
        token.future.set_exception(error)
    else:
        token.future.set_result(value)


NOTIFIER = Notifier()


def is_ready(ref: Any) -> bool:
    """Whether the value, or its error, is there."""
    return bool(_ffi.wait([ref], 1, 0.0, False)[0])


def await_ref(ref: Any) -> Generator[Any, Any, Any]:
    """Awaits a ref on the running event loop; a ready one at once."""
    if not is_ready(ref):
        token = _Awaited(ref, asyncio.get_running_loop())
        NOTIFIER.watch(token)
        yield from token.future
    return _ffi.get(ref, None, False)


def future_of(ref: Any) -> "Future[Any]":
    """A concurrent future for the value of a ref; a ready one is resolved at once."""
    token = _Promised(ref)
    if is_ready(ref):
        _settle(token)
    else:
        NOTIFIER.watch(token)
    return token.future


def write(lines: list[Line]) -> None:
    """Prints the lines of workers, each whole, under the name and pid of who wrote it."""
    for to_stderr in (False, True):
        text = "".join(f"({name} pid={pid}) {line}\n" for name, pid, stderr, line in lines if stderr is to_stderr)
        stream = sys.stderr if to_stderr else sys.stdout
        if text and stream is not None:
            try:
                stream.write(text)
                stream.flush()
            except (OSError, ValueError):
                pass  # closed, or a pipe that nobody reads
