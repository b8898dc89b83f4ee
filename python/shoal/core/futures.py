"""`await ref` and `ref.future()`; other waits of event loops.

A value that turns out to be lost when it is read is awaited once more: neither an event loop nor the notifier's thread
waits while it is made again.
"""

import asyncio
from collections.abc import Generator
from concurrent.futures import Future
from typing import Any

from shoal.core import _ffi
from shoal.core.notifier import NOTIFIER


class _Awaited:
    """An asyncio future that waits for what the notifier can watch."""

    __slots__ = ("future", "loop", "ref")

    def __init__(self, ref: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.ref, self.loop = ref, loop
        self.future: asyncio.Future[None] = loop.create_future()

    def settle(self) -> None:
        """On the loop's thread."""
        if not self.future.done():
            self.future.set_result(None)


class _Promised:
    """A concurrent future that waits for the value of a ref."""

    __slots__ = ("_runs", "future", "loop", "ref")

    def __init__(self, ref: Any) -> None:
        self.ref, self.loop, self._runs = ref, None, False
        self.future: Future[Any] = Future()

    def settle(self) -> None:
        """On any thread."""
        if not self._runs and not self.future.set_running_or_notify_cancel():
            return
        self._runs = True
        try:
            there = _ffi.get_now(self.ref)
            if there is None:
                NOTIFIER.watch(self)
        except BaseException as error:
            self.future.set_exception(error)
        else:
            if there is not None:
                self.future.set_result(there[0])


def await_ref(ref: Any) -> Generator[Any, Any, Any]:
    """Awaits a ref on the running event loop; a ready one at once."""
    while True:
        if not _ffi.is_ready(ref):
            token = _Awaited(ref, asyncio.get_running_loop())
            NOTIFIER.watch(token)
            yield from token.future
        there = _ffi.get_now(ref)
        if there is not None:
            return there[0]


async def when(what: Any) -> None:
    """Waits until a generator has an item, or one that runs here may go on (a `_core.Call`)."""
    token = _Awaited(what, asyncio.get_running_loop())
    NOTIFIER.watch(token)
    await token.future


def future_of(ref: Any) -> "Future[Any]":
    """A concurrent future for the value of a ref; a ready one is resolved at once."""
    token = _Promised(ref)
    if _ffi.is_ready(ref):
        token.settle()
    else:
        NOTIFIER.watch(token)
    return token.future
