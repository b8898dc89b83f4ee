"""When an actor's state is saved, and which replies wait for it.

- SAVE-1 with "call" no reply leaves that can depend on a state which isn't saved: that of a method which may change the
  state waits for a save taken after it ended; that of a read-only one, too, where a change may have come before it.
- SAVE-2 a save takes the state between two methods of a sync actor, between two steps of an async actor's loop, and at
  any moment of a threaded actor (its `__shoal_save__` holds what locks it needs).
- SAVE-3 a reply is made before the save that it waits for is taken, and doesn't change any more.
- SAVE-4 after a failed save the state stays as it is in memory, the calls that waited get `PersistenceError`, and so
  does each later call until a save succeeds, which then has everything. With seconds, too, replies wait from then on.
- SAVE-5 an actor that has ended saves nothing any more, though its process may live on and its threads change it: the
  state may be its successor's by then.
"""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from shoal.core.actor_state import ActorState


class Saver:
    """Says who waits for a save, and saves in the background; its thread is started when it is first needed."""

    def __init__(self, state: ActorState, seconds: float | None, take: Callable[[], bytes]) -> None:
        self._state, self._seconds, self._take = state, seconds, take
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._running = 0
        self._saving = 0
        self._dirty = False
        self._failed = False
        self._closed = False
        self._due: float | None = None
        self._waiting: list[Any] = []

    @property
    def owes(self) -> bool:
        """Whether a reply may not leave before the next save."""
        return (self._seconds is None or self._failed) and (self._dirty or self._saving > 0)

    def change(self) -> None:
        """A method begins that may change the state."""
        with self._lock:
            self._running += 1
            self._soil()

    def changed(self) -> None:
        """It has ended."""
        with self._lock:
            self._running -= 1

    def answer(self, call: Any) -> None:
        """Sends the reply that `call` holds, at once or after the next save (SAVE-1)."""
        with self._lock:
            wait = self.owes
            if wait:
                self._waiting.append(call)
                self._kick()
        if not wait:
            call.release()

    def save(self) -> BaseException | None:
        """Saves now, and answers the calls that waited for it; the error, if there was one."""
        with self._lock:
            group, self._waiting = self._waiting, []
            # What changes from here on may come too late for the state that is taken now.
            self._dirty, self._due = self._running > 0, None
            self._saving += 1
        error = None if self._closed else self._try()
        with self._lock:
            self._saving -= 1
            self._failed = error is not None
            if self._dirty or error is not None:
                self._soil()
            self._wake.notify_all()
        for call in group:
            call.release(error)
        return error

    def flush(self) -> None:
        """Saves what isn't saved yet."""
        if self._dirty or self._waiting:
            _tell(self.save())

    def close(self) -> None:
        """Does that a last time, and waits for a save that is under way (SAVE-5)."""
        self.flush()
        with self._lock:
            self._closed = True
            self._wake.wait_for(lambda: self._saving == 0)

    def _soil(self) -> None:
        if self._closed:
            return
        self._dirty = True
        if self._seconds is not None and self._due is None:
            self._due = time.monotonic() + self._seconds
            self._kick()

    def _kick(self) -> None:
        if self._thread is None:
            from shoal.core.actor_runtime import start_thread

            self._thread = start_thread(self._serve, "shoal-saver")
        self._wake.notify_all()

    def _serve(self) -> None:
        while True:
            with self._lock:
                while not self._waiting and not self._is_due():
                    self._wake.wait(None if self._due is None else self._due - time.monotonic())
            self._save_in_background()

    def _is_due(self) -> bool:
        return self._due is not None and self._due <= time.monotonic()

    def _save_in_background(self) -> None:
        error = self.save()
        if self._seconds is not None:
            _tell(error)

    def _try(self) -> BaseException | None:
        try:
            self._state.save(self._take)
        except BaseException as error:
            return error
        return None


class SyncSaver(Saver):
    """Of a sync actor: with "call" everything happens on its main thread, which is where methods run."""

    def __init__(self, state: ActorState, seconds: float | None) -> None:
        super().__init__(state, seconds, state.take)
        self._rest = threading.Lock()
        """Held while a method runs or the state is saved (SAVE-2)."""
        self._overdue = False

    def enter(self, changes: bool) -> None:
        """A method begins."""
        self._rest.acquire()
        if changes:
            self.change()

    def leave(self, changes: bool) -> None:
        """It has ended; returns when its reply may leave.

        Raises:
            PersistenceError: The state could not be saved.
        """
        if changes:
            self.changed()
        self._rest.release()
        # Looked at after `release`: who then finds the lock taken has set it before (see `_save_in_background`).
        if self.owes or self._overdue:
            with self._rest:
                self._overdue = False
                error = self.save()
            if error is not None:
                raise error

    def _save_in_background(self) -> None:
        self._overdue = True
        if self._rest.acquire(blocking=False):
            try:
                self._overdue = False
                _tell(self.save())
            finally:
                self._rest.release()
        else:
            # The method that runs saves when it ends.
            with self._lock:
                self._due = None


def _tell(error: BaseException | None) -> None:
    """Where no caller waits for the news, the actor's output has it."""
    if error is not None:
        print(f"shoal: {error}", file=sys.stderr, flush=True)
