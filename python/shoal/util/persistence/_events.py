"""State as the sum of its events.

- EVENT-1 events are numbered from 1 without gaps; each is a value of its own in the store, saved before it counts.
- EVENT-2 the snapshot says up to which number it is; what it covers is forgotten only after it was saved.
- EVENT-3 after a failed save the store decides what happened: the state is read from it again.
- EVENT-4 the latest event stays, also when a snapshot covers it. So a log that finds the next event there, or its own
  latest gone, knows that another one has written meanwhile, and overwrites nothing.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from shoal.core import checks
from shoal.exceptions import PersistenceError
from shoal.util.persistence._base import BasePersistence

State = TypeVar("State")


class EventLog(Generic[State]):
    """A log of events in a store, the state that they add up to, and a snapshot of it now and then.

    It is read from the store when it is first used: the latest snapshot, then each later event by `apply`. One process
    writes a log at a time: `append` looks whether another has written since, but between that look and its own save
    nothing holds the other up.

    Args:
        store: Where; any store of this module, or one's own.
        key: The log's name in it; its values are `key/snapshot` and `key/event/NUMBER`.
        apply: Gives the state after an event, from the state before it and the event; it may change and return the
            state that it got. It is called for an event before it is saved: what it refuses by raising is not logged.
        initial: The state before the first event; a function gives it anew each time.
        snapshot_every: After how many events the state is saved, too.
        history: Whether events that a snapshot covers stay (`events()` gives them).

    Raises:
        TypeError: `store` has no `exists`, `save` and `restore`, or `apply` is no function.
        ValueError: `snapshot_every` is below 1, or the store can't delete and `history` is false.

    Example:
        >>> import tempfile
        >>> from shoal.util.persistence import EventLog, FilePersistence
        >>> folder = tempfile.TemporaryDirectory()
        >>> store = FilePersistence(folder.name)
        >>> log = EventLog(store, "account-7", apply=lambda balance, amount: balance + amount, initial=100)
        >>> log.append(11)
        111
        >>> log.append(-30)
        81
        >>> EventLog(store, "account-7", apply=lambda balance, amount: balance + amount, initial=100).state
        81
    """

    def __init__(
        self,
        store: BasePersistence,
        key: str,
        *,
        apply: Callable[[State, Any], State],
        initial: State | Callable[[], State],
        snapshot_every: int = 100,
        history: bool = False,
    ) -> None:
        self._store, self._key = checks.store("EventLog(store=)", store), checks.text("EventLog(key=)", key)
        if not callable(apply):
            raise checks.wrong_type("EventLog(apply=)", "a function of a state and an event", apply)
        self._apply, self._initial = apply, initial
        self._every = int(checks.whole(1)("EventLog(snapshot_every=)", snapshot_every))
        self._history = checks.truth("EventLog(history=)", history)
        if not history and getattr(type(store), "delete", BasePersistence.delete) is BasePersistence.delete:
            raise ValueError(f"{type(store).__name__} has no delete(): EventLog needs history=True with it")
        self._start()

    def _start(self) -> None:
        self._lock = threading.RLock()
        self._known: tuple[State, int, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_known")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    @property
    def state(self) -> State:
        """The state after all events."""
        with self._lock:
            return self._load()[0]

    def __len__(self) -> int:
        """How many events there were, forgotten ones included."""
        with self._lock:
            return self._load()[1]

    def append(self, event: Any) -> State:
        """Adds an event; when it returns, the event outlives this process.

        Returns:
            The state after it.

        Raises:
            PersistenceError: It could not be saved, or another process has written to the log since it was read here;
                the event is not logged then, and the log is read again, so that the next `append` may succeed.
            Exception: What `apply` raises; the event is then not logged, and the state is read again.
        """
        with self._lock:
            state, number, snapshot = self._load()
            # Whatever goes wrong from here on: what counts is in the store (EVENT-3).
            self._known = None
            self._check_alone(number)
            state = self._apply(state, event)
            number += 1
            self._store.save(self._event(number), event)
            if number - snapshot >= self._every:
                self._save_snapshot(state, number, snapshot)
                snapshot = number
            self._known = (state, number, snapshot)
            return state

    def snapshot(self) -> None:
        """Saves the state now."""
        with self._lock:
            state, number, snapshot = self._load()
            if number > snapshot:
                self._save_snapshot(state, number, snapshot)
                self._known = (state, number, number)

    def events(self, after: int = 0) -> Iterator[Any]:
        """The events that are kept, from number `after` + 1 on; those that a snapshot covers only with `history`."""
        with self._lock:
            last, snapshot = self._load()[1:]
        first = 1 if self._history else snapshot + 1
        for number in range(max(first, after + 1), last + 1):
            yield self._store.restore(self._event(number))

    def _load(self) -> tuple[State, int, int]:
        if self._known is None:
            self._known = self._replay()
        return self._known

    def _replay(self) -> tuple[State, int, int]:
        saved = self._store.restore(self._snapshot)
        if saved is None:
            state, snapshot = self._first(), 0
        else:
            state, snapshot = saved["state"], saved["number"]
        number = snapshot
        while self._store.exists(self._event(number + 1)):
            number += 1
            state = self._apply(state, self._store.restore(self._event(number)))
        return state, number, snapshot

    def _check_alone(self, number: int) -> None:
        """Raises when the latest event isn't number `number` any more (EVENT-4)."""
        exists = self._store.exists
        # With history nothing goes; then what comes next says it all.
        covered = not self._history and (not exists(self._event(number)) if number else exists(self._snapshot))
        if covered or exists(self._event(number + 1)):
            text = (
                f"another process has written to the log {self._key!r} since it was read here; this event is not logged"
            )
            raise PersistenceError(f"{text}, the next one may be: the log is read again", key=self._key)

    def _first(self) -> State:
        initial: Any = self._initial
        if callable(initial):
            return initial()  # type: ignore[no-any-return]
        # `apply` may change it in place.
        import copy

        return copy.deepcopy(initial)  # type: ignore[no-any-return]

    def _save_snapshot(self, state: State, number: int, before: int) -> None:
        self._store.save(self._snapshot, {"number": number, "state": state})
        if not self._history:
            for old in range(before, number):
                self._store.delete(self._event(old))

    @property
    def _snapshot(self) -> str:
        return f"{self._key}/snapshot"

    def _event(self, number: int) -> str:
        return f"{self._key}/event/{number:016}"
