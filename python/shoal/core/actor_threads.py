"""Threaded actors: a pool of plain threads for each concurrency group, started on demand."""

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from shoal.core.actor_meta import ActorMeta
from shoal.core.actor_runtime import ends_actor, exit_from_thread, start_thread
from shoal.core.interrupts import raise_in_thread

Work = tuple[Any, Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class _Pool:
    """The threads of one group: never more than its limit, none before it is needed."""

    def __init__(self, name: str, limit: int) -> None:
        self.name, self.limit = name, limit
        self.lock = threading.Lock()
        self.wake = threading.Condition(self.lock)
        self.queue: deque[Work] = deque()
        self.threads = 0
        self.idle = 0
        self.running: dict[bytes, int] = {}

    def add(self, work: Work) -> None:
        with self.lock:
            # A cancel that came before found nothing here; one that comes after this finds the call.
            late = work[0].cancelled
            number = 0 if late else self._queue(work)
        if late:
            work[0].failed(cancelled())
        elif number:
            start_thread(self._serve, f"shoal-{self.name or 'actor'}-{number}")

    def _queue(self, work: Work) -> int:
        """The number of the thread that is to be started for it, 0 for none. Under the lock."""
        self.queue.append(work)
        if self.idle >= len(self.queue):
            self.wake.notify()
        elif self.threads < self.limit:
            self.threads += 1
            return self.threads
        return 0

    def _serve(self) -> None:
        while True:
            with self.lock:
                while not self.queue:
                    self.idle += 1
                    self.wake.wait()
                    self.idle -= 1
                work = self.queue.popleft()
            task_id = work[0].task_id
            run(*work, partial(self._loud, task_id), partial(self._quiet, task_id))
            del work

    def _loud(self, task_id: bytes) -> None:
        """On the thread of a call: from here on a cancel interrupts it."""
        with self.lock:
            self.running[task_id] = threading.get_ident()

    def _quiet(self, task_id: bytes) -> None:
        """On the thread of a call: from here on no cancel interrupts it."""
        while True:
            try:
                with self.lock:
                    self.running.pop(task_id, None)
                # Where an interrupt that was on its way comes up.
                return _nothing()
            except KeyboardInterrupt:
                continue

    def cancel(self, task_id: bytes) -> bool:
        with self.lock:
            ident = self.running.get(task_id)
            if ident is not None:
                return raise_in_thread(ident, KeyboardInterrupt)
            for work in self.queue:
                if work[0].task_id == task_id:
                    self.queue.remove(work)
                    break
            else:
                return False
        work[0].failed(cancelled())
        return True


def cancelled() -> BaseException:
    """For a call that never ran."""
    from shoal.exceptions import TaskCancelledError

    return TaskCancelledError("the call was cancelled before it ran")


def _nothing() -> None:
    pass


def run(
    call: Any,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    loud: Callable[[], None],
    quiet: Callable[[], None],
) -> None:
    """Runs one call on this thread and answers it.

    Cancels interrupt it from `loud()` to `quiet()`, and nothing but the call's own code: there is an answer in any
    case, and the thread goes on. While the answer is made, the making itself looks whether the call is cancelled.
    """
    value: Any = None
    failure: BaseException | None = None
    try:
        loud()
        # One that came before found nobody to interrupt.
        if call.cancelled:
            raise cancelled()
        try:
            call.enter()
            value = function(*args, **kwargs)
            if call.streaming:
                call.run(value, quiet)
                value = None
        finally:
            call.leave()
    except BaseException as error:
        failure = error
    while True:
        try:
            quiet()
            break
        except KeyboardInterrupt as interrupt:
            failure = failure or interrupt
    if failure is None:
        call.done(value)
        return
    try:
        answer_failure(call, failure)
    finally:
        # Its traceback has this frame, and so the arguments.
        del failure


def answer_failure(call: Any, error: BaseException) -> None:
    """Answers a call that raised. An exit ends the actor: then the answer goes nowhere."""
    reason = ends_actor(error)
    if reason is not None:
        exit_from_thread(reason)
    call.failed(error)


class ThreadExecutor:
    """Who runs the calls of a threaded actor."""

    def __init__(self, meta: ActorMeta) -> None:
        self._pools = {"": _Pool("", meta.max_concurrency)}
        self._pools |= {name: _Pool(name, limit) for name, limit in meta.groups.items()}

    def construct(self, cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Makes the instance, on this thread."""
        return cls(*args, **kwargs)

    def start(
        self, call: Any, group: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Queues a call in its group."""
        self._pools.get(group, self._pools[""]).add((call, function, args, kwargs))

    def cancel(self, task_id: bytes) -> bool:
        """Withdraws a queued call or interrupts a running one."""
        return any(pool.cancel(task_id) for pool in self._pools.values())
