"""The state of this process's actor: taken from the instance, given to a store, and back.

- STATE-1 the state is what `__shoal_save__()` returns, else the attributes; it is pickled at once, so that what happens
  to the instance later doesn't change what is saved.
- STATE-2 what is written is in the order in which it was taken: one lock is held over both.
- STATE-3 a state that is what the store has already is not written again.
"""

import inspect
import pickle
import threading
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from shoal.core.persistent import Persistence
from shoal.core.serialization import to_bytes
from shoal.exceptions import PersistenceError


class ActorState:
    """An instance and where its state is saved."""

    def __init__(self, option: Persistence, instance: Any) -> None:
        self._store, self.key, self._instance = option.store, option.key, instance
        self._name = type(instance).__qualname__
        self._lock = threading.Lock()
        self._written = b""

    def begin(self) -> None:
        """Gives the instance what is saved; where nothing is, saves what `__init__` made.

        Raises:
            PersistenceError: The store failed, or the state can't be pickled, or not be given back.
            Exception: What `__shoal_save__` or `__shoal_restore__` raises.
        """
        for hook in ("__shoal_save__", "__shoal_restore__"):
            if inspect.iscoroutinefunction(getattr(self._instance, hook, None)):
                raise TypeError(f"{self._name}.{hook} is async: it has to be a plain method")
        if not self._ask("looking for", self._store.exists, self.key):
            self.save(self.take)
            return
        state = self._ask("restoring", self._store.restore, self.key)
        restore = self._restore_hook()
        if restore is not None:
            restore(state)
        elif _are_attributes(state):
            _set_attributes(self._instance, state)
        else:
            text = f"what is saved as {self.key!r} is a {type(state).__qualname__}, and no dict of attributes"
            raise PersistenceError(f"{text}: {self._name} needs __shoal_restore__(state) to take it", key=self.key)

    def take(self) -> bytes:
        """The state now, pickled (STATE-1)."""
        save = getattr(self._instance, "__shoal_save__", None)
        try:
            state = save() if save is not None else object.__getstate__(self._instance)
        except Exception as error:
            text = f"__shoal_save__() of {self._name} raised {type(error).__name__}: {error}"
            raise PersistenceError(text, key=self.key) from error
        if (state is None or not _are_attributes(state)) and save is not None and self._restore_hook() is None:
            text = f"__shoal_save__() of {self._name} returned a {type(state).__qualname__}"
            hint = "define __shoal_restore__(state) to take it back, or return a dict of attributes"
            raise PersistenceError(f"{text}: {hint}", key=self.key)
        try:
            return to_bytes(state)
        except Exception as error:
            from shoal.core.unserializable import explain

            told = explain(error, state, f"the state of {self._name}")
            hint = "" if save is not None else "; define __shoal_save__() to say what its state is"
            raise PersistenceError(f"{told}{hint}", key=self.key) from error

    def save(self, take: Callable[[], bytes]) -> None:
        """Takes the state by `take` and writes it (STATE-2, STATE-3).

        Raises:
            PersistenceError: It could not be taken or written.
        """
        with self._lock:
            pickled = take()
            digest = blake2b(pickled, digest_size=16).digest()
            if digest == self._written:
                return
            # If writing fails, what the store has is not known.
            self._written = b""
            write = getattr(self._store, "write_bytes", None)
            if write is not None:
                self._ask("saving", write, self.key, pickled)
            else:
                self._ask("saving", self._store.save, self.key, pickle.loads(pickled))
            self._written = digest

    def _restore_hook(self) -> Callable[[Any], None] | None:
        hook: Callable[[Any], None] | None = getattr(self._instance, "__shoal_restore__", None)
        return hook

    def _ask(self, what: str, question: Callable[..., Any], *args: Any) -> Any:
        try:
            return question(*args)
        except PersistenceError as error:
            raise PersistenceError(f"{what} the state of {self._name}: {error}", key=self.key) from error
        except Exception as error:
            text = f"{what} the state of {self._name} as {self.key!r} failed: {type(error).__name__}: {error}"
            raise PersistenceError(text, key=self.key) from error


def _are_attributes(state: Any) -> bool:
    """Whether it is what `object.__getstate__` gives: a dict, `None`, or a pair of such, the second for `__slots__`."""
    parts = state if isinstance(state, tuple) and len(state) == 2 else (state,)
    return all(part is None or isinstance(part, dict) for part in parts)


def _set_attributes(instance: Any, state: Any) -> None:
    """The inverse of `object.__getstate__`."""
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    if attributes:
        vars(instance).update(attributes)
    for name, value in (slots or {}).items():
        object.__setattr__(instance, name, value)
