"""`await ref` and `ref.future()`; other waits of event loops."""

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

    __slots__ = ("future", "loop", "ref")

    def __init__(self, ref: Any) -> None:
        self.ref, self.loop = ref, None
        self.future: Future[Any] = Future()

    def settle(self) -> None:
        """On any thread."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            value = _ffi.get(self.ref, None, False)
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(value)


def await_ref(ref: Any) -> Generator[Any, Any, Any]:
    """Awaits a ref on the running event loop; a ready one at once."""
    if not _ffi.is_ready(ref):
        token = _Awaited(ref, asyncio.get_running_loop())
        NOTIFIER.watch(token)
        yield from token.future
    return _ffi.get(ref, None, False)


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
