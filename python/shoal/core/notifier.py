"""The one thread of ours that takes the GIL: log lines, futures, event loops.

"shoal-notify" is started when something first needs it, sleeps in `_core.events()`, and ends with the session. It wakes
each event loop once for all that became ready in one batch; values are fetched by who waits for them.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from shoal.core import _ffi, screen
from shoal.exceptions import RaySystemError


class Token(Protocol):
    """Something that waits for a ref."""

    ref: Any
    loop: Any
    """Its event loop; `None` when it is settled on this thread."""

    def settle(self) -> None:
        """The ref is ready, or the session has ended."""


class _Thread(threading.Thread):
    """Has a `run` of its own: a notebook's kernel patches that of `Thread`, so that what a thread prints appears in the
    cell that started it. Lines of workers belong into the cell that runs.
    """

    def __init__(self, serve: Callable[[], None]) -> None:
        super().__init__(name="shoal-notify", daemon=True)
        self._serve = serve

    def run(self) -> None:
        self._serve()


class Notifier:
    """The thread, and what it is to resolve."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pending: set[Token] = set()
        self._screen = screen.Screen()

    def start(self) -> None:
        """Starts the thread unless it runs."""
        with self._lock:
            if self._thread is None:
                self._thread = _Thread(self._serve)
                self._thread.start()

    def watch(self, token: Token) -> None:
        """Settles `token` when its ref is ready."""
        self.start()
        self._pending.add(token)
        try:
            _ffi.watch(token.ref, token)
        except BaseException:
            self._pending.discard(token)
            raise

    def join(self, timeout: float = 5.0) -> None:
        """Waits for the thread's end, which the end of the session brings; at most `timeout` seconds."""
        thread = self._thread
        if thread is None:
            # The session is kept until its events are read, and nobody else reads them.
            while _ffi.events() is not None:
                pass
        elif thread is not threading.current_thread():
            thread.join(timeout)
        self._thread = None

    def forget(self) -> None:
        """In a forked child: the thread is the parent's."""
        self._lock, self._thread, self._pending = threading.Lock(), None, set()
        self._screen.forget()

    def _serve(self) -> None:
        while True:
            events = _ffi.events()
            if events is None:
                break
            lines = [what for kind, what in events if kind == "log"]
            if lines:
                self._screen.write(lines)
            for kind, what in events:
                if kind == "left_out":
                    screen.left_out(what)
                elif kind == "warning":
                    screen.warn(what)
                elif kind == "stacks":
                    _tell_stacks()
            ready = [what for kind, what in events if kind == "ready"]
            if ready:
                self._resolve(ready)
            # Nothing may be kept alive until the next batch.
            del events, lines, ready
        self._screen.finish()
        self._resolve(list(self._pending))

    def _resolve(self, tokens: Iterable[Token]) -> None:
        loops: dict[Any, list[Token]] = {}
        for token in tokens:
            self._pending.discard(token)
            if token.loop is None:
                token.settle()
            else:
                loops.setdefault(token.loop, []).append(token)
        for loop, waiting in loops.items():
            try:
                loop.call_soon_threadsafe(_settle_all, waiting)
            except RuntimeError:
                pass  # the loop is closed: nobody waits any more


def _settle_all(tokens: list[Token]) -> None:
    for token in tokens:
        token.settle()


def _tell_stacks() -> None:
    """Tells what the threads of this process do, but this one: as `faulthandler` writes it, with names."""
    import sys
    import traceback

    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = []
    for ident, frame in sys._current_frames().items():
        if ident != threading.get_ident():
            lines = [f"Thread {names.get(ident, hex(ident))} (most recent call first):"]
            for at, line in traceback.walk_stack(frame):
                lines.append(f'  File "{at.f_code.co_filename}", line {line} in {at.f_code.co_name}')
            parts.append("\n".join(lines))
    with contextlib.suppress(RaySystemError):
        _ffi.tell_stacks("\n\n".join(parts))


NOTIFIER = Notifier()
os.register_at_fork(after_in_child=NOTIFIER.forget)
