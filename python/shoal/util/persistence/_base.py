"""What a store is.

- STORE-1 `save` returns when the value outlives this process; after it raised, the store has the old value or the new
  one, whole.
- STORE-2 a store is pickled with the actor that uses it: connections and locks are made when they are first needed, and
  stay behind.
- STORE-3 its methods may be called from any thread, one at a time for a key.
"""

import builtins
import pickle
from abc import ABC, abstractmethod
from typing import Any

from shoal.core.serialization import to_bytes
from shoal.exceptions import PersistenceError


class BasePersistence(ABC):
    """A store of values by key. Subclass it for a store of your own; `delete` and `list` may be left out."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether a value is saved under `key`."""

    @abstractmethod
    def save(self, key: str, data: Any) -> None:
        """Saves `data` in the place of what `key` had; when it returns, the value outlives this process.

        Raises:
            PersistenceError: It could not be saved; then `key` has the old value or the new one, whole.
        """

    @abstractmethod
    def restore(self, key: str) -> Any:
        """The value saved last under `key`, `None` when there is none.

        Raises:
            PersistenceError: It can't be read, or is damaged.
        """

    def delete(self, key: str) -> None:
        """Forgets `key`; nothing happens when it isn't there."""
        raise NotImplementedError(f"{type(self).__name__} has no delete()")

    def list(self, prefix: str = "") -> builtins.list[str]:
        """The keys that begin with `prefix`, sorted."""
        raise NotImplementedError(f"{type(self).__name__} has no list()")


class BytesPersistence(BasePersistence):
    """A store that keeps bytes: values are pickled here, classes of `__main__` by value."""

    @abstractmethod
    def read_bytes(self, key: str) -> bytes | None:
        """The bytes under `key`, `None` when there are none."""

    @abstractmethod
    def write_bytes(self, key: str, pickled: bytes) -> None:
        """Puts bytes under `key`, durably and whole (STORE-1)."""

    def save(self, key: str, data: Any) -> None:
        """Pickles `data` and writes it."""
        self.write_bytes(key, to_bytes(data))

    def restore(self, key: str) -> Any:
        """Reads and unpickles the value of `key`, `None` when there is none."""
        pickled = self.read_bytes(key)
        if pickled is None:
            return None
        try:
            return pickle.loads(pickled)
        except Exception as error:
            text = f"the value saved under {key!r} can't be unpickled: {type(error).__name__}: {error}"
            raise PersistenceError(text, key=key) from error


def needs(package: str, extra: str, user: str, error: ImportError) -> ImportError:
    """For a store whose library is not installed."""
    text = f"{user} needs {package}, which can't be imported ({error}); install it: pip install 'shoal[{extra}]'"
    return ImportError(text, name=package)


def failed(what: str, key: str, error: Exception) -> PersistenceError:
    """For a store that did not do `what`."""
    return PersistenceError(f"{what} {key!r} failed: {type(error).__name__}: {error}", key=key)
