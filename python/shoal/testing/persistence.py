"""What every store of `shoal.util.persistence` has to do."""

import pickle
import threading
from typing import Any

from shoal.util.persistence import BasePersistence, EventLog

KEYS = [
    "a",
    "a/b",
    "a/c",
    "b",
    "..",
    ".hidden",
    "with space",
    "%2F",
    "*?[x]",
    "ünïcode ☃",
    "k" * 300,
    "A",
    "a_b",
    "a%b",
]
"""Keys that a store takes, and keeps apart."""


class PersistenceContract:
    """The tests of a store: subclass it as `TestMyStore` and define `make`.

    Example:
        >>> from shoal.testing import PersistenceContract
        >>> from shoal.util.persistence import FilePersistence
        >>> class TestFiles(PersistenceContract):
        ...     def make(self):
        ...         return FilePersistence("/tmp/states")
    """

    def make(self) -> BasePersistence:
        """A store of the place under test; two that were made in one test see the same values."""
        raise NotImplementedError("a PersistenceContract defines make()")

    def test_what_is_saved_is_restored(self) -> None:
        """Also by another store of the same place."""
        store = self.make()
        value = {"n": 1, "bytes": bytes(range(256)), "list": [None, 1.5, "ü"], ("a", 1): {2, 3}}
        store.save("contract", value)
        assert store.exists("contract") is True
        assert store.restore("contract") == value
        assert self.make().restore("contract") == value

    def test_a_save_takes_the_place_of_the_one_before(self) -> None:
        """Whole: nothing of a longer value stays."""
        store = self.make()
        values: list[Any] = ["x" * 100_000, "y", [], None, 0]
        for value in values:
            store.save("contract", value)
            assert store.restore("contract") == value
            assert store.exists("contract")

    def test_what_was_never_saved_is_none(self) -> None:
        """And doesn't exist."""
        store = self.make()
        assert store.exists("nothing") is False
        assert store.restore("nothing") is None
        store.delete("nothing")

    def test_a_deleted_value_is_gone(self) -> None:
        """And may be saved again."""
        store = self.make()
        store.save("contract", 1)
        store.delete("contract")
        assert not store.exists("contract")
        assert store.restore("contract") is None
        store.save("contract", 2)
        assert store.restore("contract") == 2

    def test_keys_are_any_text_and_kept_apart(self) -> None:
        """Separators, wild cards, capitals, long ones."""
        store = self.make()
        for number, key in enumerate(KEYS):
            store.save(key, number)
        for number, key in enumerate(KEYS):
            assert store.restore(key) == number, key
        assert set(KEYS) <= set(store.list())

    def test_keys_are_listed_by_their_beginning(self) -> None:
        """Sorted; a prefix means itself."""
        store = self.make()
        for key in ("p/2", "p/1", "p%", "p_1", "P/3", "q"):
            store.save(key, 0)
        assert store.list("p/") == ["p/1", "p/2"]
        assert store.list("p_") == ["p_1"]
        assert store.list("p%") == ["p%"]
        assert store.list("P") == ["P/3"]
        assert store.list("none of them") == []

    def test_a_large_value(self) -> None:
        """Of some megabytes."""
        store = self.make()
        value = bytes(range(256)) * (5 << 12)
        store.save("contract", value)
        assert store.restore("contract") == value

    def test_a_store_travels_by_pickle(self) -> None:
        """After it was used, too."""
        store = self.make()
        store.save("contract", 1)
        other: Any = pickle.loads(pickle.dumps(store))
        assert other.restore("contract") == 1
        other.save("contract", 2)
        assert store.restore("contract") == 2
        close = getattr(other, "close", None)
        if close is not None:
            close()

    def test_threads_save_keys_of_their_own(self) -> None:
        """At the same time."""
        store, errors = self.make(), list[BaseException]()

        def work(number: int) -> None:
            try:
                for turn in range(10):
                    store.save(f"thread {number}", (number, turn))
                    assert store.restore(f"thread {number}") == (number, turn)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []

    def test_a_log_of_events(self) -> None:
        """Its state is that of all events, whatever was snapshot; it may be read from the store at any time."""
        log = self._log()
        for number in range(8):
            assert log.append(number) == [*range(number + 1)]
            assert self._log().state == log.state
        assert len(self._log()) == 8

    def _log(self) -> "EventLog[list[int]]":
        def apply(numbers: list[int], number: int) -> list[int]:
            return [*numbers, number]

        return EventLog(self.make(), "contract/log", apply=apply, initial=list[int], snapshot_every=3)
