"""The stores of shoal.util.persistence, all by one suite, and what is each one's own."""

import os
import pickle
import subprocess
import sys
import threading
import time
import uuid

import pytest

from shoal.testing import PersistenceContract
from shoal.util.persistence import (
    BasePersistence,
    EventLog,
    FilePersistence,
    PersistenceError,
    RedisPersistence,
    SQLAlchemyPersistence,
)


class _Opened(PersistenceContract):
    """Closes the stores that a test made."""

    @pytest.fixture(autouse=True)
    def _place(self, request, tmp_path):
        self.tmp_path, self.made, self.unique = tmp_path, [], f"t{uuid.uuid4().hex}"
        yield
        for store in self.made:
            store.close()

    def kept(self, store):
        self.made.append(store)
        return store


class TestFiles(PersistenceContract):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path):
        self.folder = tmp_path / "not there yet"

    def make(self):
        return FilePersistence(self.folder)


class TestSQLite(_Opened):
    def make(self):
        return self.kept(SQLAlchemyPersistence(f"sqlite:///{self.tmp_path}/state.db"))


class TestPostgreSQL(_Opened):
    @pytest.fixture(autouse=True)
    def _server(self, postgresql_url):
        self.url = postgresql_url

    def make(self):
        return self.kept(SQLAlchemyPersistence(self.url, table=self.unique))


class TestRedis(_Opened):
    @pytest.fixture(autouse=True)
    def _server(self, redis_url):
        self.url = redis_url

    def make(self):
        return self.kept(RedisPersistence(self.url, prefix=f"{self.unique}:"))


class Minimal(BasePersistence):
    """What someone writes who needs one quickly."""

    def __init__(self, place):
        self.place = place

    def exists(self, key):
        return (self.place / key.encode().hex()[:250]).exists()

    def save(self, key, data):
        (self.place / key.encode().hex()[:250]).write_bytes(pickle.dumps(data))

    def restore(self, key):
        return pickle.loads((self.place / key.encode().hex()[:250]).read_bytes()) if self.exists(key) else None


class Own(Minimal):
    def delete(self, key):
        (self.place / key.encode().hex()[:250]).unlink(missing_ok=True)

    def list(self, prefix=""):
        names = [bytes.fromhex(path.name).decode() for path in self.place.iterdir() if len(path.name) < 250]
        return sorted([name for name in names if name.startswith(prefix)] + ["k" * 300] * (not prefix))


class TestOwn(PersistenceContract):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path):
        self.place = tmp_path

    def make(self):
        return Own(self.place)


def test_a_store_of_ones_own_may_leave_out_delete_and_list(tmp_path):
    store = Minimal(tmp_path)
    with pytest.raises(NotImplementedError, match=r"Minimal has no delete\(\)"):
        store.delete("k")
    with pytest.raises(NotImplementedError, match=r"Minimal has no list\(\)"):
        store.list()
    with pytest.raises(ValueError, match=r"Minimal has no delete\(\): EventLog needs history=True with it"):
        EventLog(store, "k", apply=max, initial=0)
    assert EventLog(store, "k", apply=max, initial=0, history=True).append(3) == 3


def damage(path, how):
    data = path.read_bytes()
    path.write_bytes(how(data))


@pytest.mark.parametrize(
    "how",
    [
        lambda data: data[:-1],
        lambda data: data[:10],
        lambda data: b"",
        lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],
        lambda data: b"no state at all, but long enough to be one",
    ],
    ids=["torn", "only a head", "empty", "one bit", "another file"],
)
def test_a_damaged_file_is_told(tmp_path, how):
    store = FilePersistence(tmp_path)
    store.save("k", [1, 2, 3])
    damage(tmp_path / "k.state", how)
    with pytest.raises(PersistenceError, match="of 'k' is damaged: its checksum is wrong") as info:
        store.restore("k")
    assert info.value.key == "k"
    assert store.exists("k")
    store.save("k", 4)
    assert store.restore("k") == 4


def test_a_file_of_another_key_is_not_taken_for_ones_own(tmp_path):
    store = FilePersistence(tmp_path)
    store.save("k", 1)
    (tmp_path / "k.state").rename(tmp_path / "other.state")
    with pytest.raises(PersistenceError, match="is of 'k', not of 'other'"):
        store.restore("other")


def test_a_value_whose_class_is_gone_is_told(tmp_path):
    store = FilePersistence(tmp_path)
    store.write_bytes("k", b"cnowhere\nClass\n.")
    with pytest.raises(PersistenceError, match="the value saved under 'k' can't be unpickled: ModuleNotFoundError"):
        store.restore("k")


WRITER = """
import sys
from shoal.util.persistence import FilePersistence
store = FilePersistence(sys.argv[1])
number = 0
while True:
    number += 1
    store.save("k", [number] * (1 + number % 50_000))
    print(number, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_value(tmp_path):
    for delay in (0.0, 0.003, 0.01, 0.02, 0.05):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        seen = int(writer.stdout.readline())
        time.sleep(delay)
        writer.kill()
        lines = writer.stdout.read().split()
        writer.stdout.close()
        writer.wait()
        seen = int(lines[-1]) if lines else seen
        value = FilePersistence(tmp_path).restore("k")
        assert value in ([seen] * (1 + seen % 50_000), [seen + 1] * (1 + (seen + 1) % 50_000))
    # What the killed writers left is used again, not added to.
    assert len(list(tmp_path.iterdir())) <= 2
    FilePersistence(tmp_path).save("k", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["k.state"]


def test_a_save_is_on_the_disk_before_it_takes_the_place_of_the_one_before(tmp_path, monkeypatch):
    """Seen by the order of the system calls: only a crash of the machine could show it."""
    calls = []

    def noted(name, call, told):
        def noting(*args):
            calls.append((name, os.path.relpath(told(args[0]), tmp_path)))
            return call(*args)

        monkeypatch.setattr(os, name, noting)

    noted("fsync", os.fsync, lambda handle: os.readlink(f"/proc/self/fd/{handle}"))
    noted("rename", os.rename, lambda path: path)
    noted("unlink", os.unlink, lambda path: path)
    store = FilePersistence(tmp_path / "a" / "b")
    store.save("k", 1)
    replaced = [("fsync", "a/b/k.state.new"), ("rename", "a/b/k.state.new"), ("fsync", "a/b")]
    assert calls == [("fsync", "."), ("fsync", "a"), *replaced]
    calls.clear()
    store.save("k", 2)
    assert calls == replaced
    calls.clear()
    store.delete("k")
    assert calls == [("unlink", "a/b/k.state"), ("fsync", "a/b")]


def test_two_writers_of_a_key_take_turns(tmp_path):
    store, values = FilePersistence(tmp_path), [bytes([n]) * 1_000_000 for n in range(4)]

    def write(value):
        for _ in range(5):
            store.save("k", value)

    threads = [threading.Thread(target=write, args=(value,)) for value in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.restore("k") in values
    assert [path.name for path in tmp_path.iterdir()] == ["k.state"]


def test_a_folder_that_cant_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    store = FilePersistence(tmp_path / "file" / "folder")
    with pytest.raises(PersistenceError, match=r"writing 'k' failed: NotADirectoryError: .*/file/folder'"):
        store.save("k", 1)
    with pytest.raises(PersistenceError, match="listing '' failed: NotADirectoryError"):
        store.list()
    assert not store.exists("k")


def test_a_database_that_is_not_there_is_told(tmp_path):
    store = SQLAlchemyPersistence(f"sqlite:///{tmp_path}/no/such/folder/db")
    for use in (lambda: store.save("k", 1), lambda: store.restore("k"), lambda: store.exists("k"), store.list):
        with pytest.raises(PersistenceError, match=r"failed: OperationalError: .*unable to open database file"):
            use()
    store.close()
    redis = RedisPersistence(f"unix://{tmp_path}/nothing.sock")
    for use in (lambda: redis.save("k", 1), lambda: redis.restore("k"), lambda: redis.exists("k"), redis.list):
        with pytest.raises(PersistenceError, match=r"failed: ConnectionError: .*nothing\.sock"):
            use()
    redis.close()


def test_passwords_are_not_shown():
    for store in (
        SQLAlchemyPersistence("postgresql+psycopg://me:secret@host/db"),
        RedisPersistence("redis://:secret@host:1/0"),
    ):
        assert "secret" not in repr(store)


@pytest.mark.parametrize(
    ("module", "use", "text"),
    [
        (
            "sqlalchemy",
            "SQLAlchemyPersistence('sqlite://')",
            r"SQLAlchemyPersistence needs SQLAlchemy, .*'shoal\[sql\]'",
        ),
        ("redis", "RedisPersistence()", r"RedisPersistence needs redis, .*pip install 'shoal\[redis\]'"),
        ("psycopg", "SQLAlchemyPersistence('postgresql+psycopg://h/d')", r"needs psycopg, .*'shoal\[sql\]'"),
    ],
)
def test_a_library_that_is_missing_is_named_when_it_is_needed(shoal_run, module, use, text):
    shoal_run(f"""
        import re, sys
        sys.modules[{module!r}] = None
        from shoal.util.persistence import *
        store = {use}
        try:
            store.exists("k")
        except ImportError as error:
            assert re.search({text!r}, str(error)), str(error)
        else:
            raise AssertionError("nothing was raised")
    """)


def test_importing_the_stores_imports_no_library(shoal_run):
    shoal_run("""
        import sys
        import shoal.util.persistence
        assert not {"sqlalchemy", "redis", "psycopg"} & set(sys.modules)
    """)


class Refusing(FilePersistence):
    """A store that fails on demand."""

    refuse = False

    def write_bytes(self, key, pickled):
        if self.refuse:
            raise PersistenceError("refused", key=key)
        super().write_bytes(key, pickled)


def total(folder, **options):
    return EventLog(Refusing(folder), "log", apply=lambda a, b: a + b, initial=0, **options)


def test_a_log_keeps_the_events_since_the_snapshot(tmp_path):
    log = total(tmp_path, snapshot_every=4)
    assert [log.append(n) for n in range(1, 7)] == [1, 3, 6, 10, 15, 21]
    assert list(log.events()) == [5, 6]
    assert FilePersistence(tmp_path).list() == [*(f"log/event/{n:016}" for n in (4, 5, 6)), "log/snapshot"]
    log.snapshot()
    assert FilePersistence(tmp_path).list() == [f"log/event/{6:016}", "log/snapshot"]
    assert list(log.events()) == []
    assert (log.state, len(log)) == (total(tmp_path).state, len(total(tmp_path))) == (21, 6)


def test_a_log_with_history_keeps_all(tmp_path):
    log = total(tmp_path, snapshot_every=2, history=True)
    for n in range(1, 6):
        log.append(n)
    assert list(log.events()) == [1, 2, 3, 4, 5]
    assert list(log.events(after=3)) == [4, 5]
    again = total(tmp_path, snapshot_every=2, history=True)
    assert again.state == 15


def test_an_event_that_is_refused_is_not_logged(tmp_path):
    def apply(amounts, amount):
        amounts.append(amount)
        if amount < 0:
            raise ValueError("negative")
        return amounts

    log = EventLog(FilePersistence(tmp_path), "log", apply=apply, initial=[])
    log.append(1)
    with pytest.raises(ValueError, match="negative"):
        log.append(-1)
    assert log.state == [1]
    assert log.append(2) == [1, 2]
    assert EventLog(FilePersistence(tmp_path), "log", apply=apply, initial=[]).state == [1, 2]


def test_after_a_failed_save_the_store_says_what_happened(tmp_path):
    log = total(tmp_path)
    log.append(1)
    Refusing.refuse = True
    try:
        with pytest.raises(PersistenceError, match="refused"):
            log.append(2)
    finally:
        Refusing.refuse = False
    assert log.state == 1
    assert log.append(5) == 6


@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("snapshot_every", [1, 2, 3, 100])
def test_what_another_process_logged_meanwhile_is_not_overwritten(tmp_path, snapshot_every, history):
    options = {"snapshot_every": snapshot_every, "history": history}
    for before, between in ((0, 1), (0, 3), (1, 1), (2, 1), (2, 4), (3, 2)):
        folder = tmp_path / f"{before}.{between}"
        one, other = total(folder, **options), total(folder, **options)
        kept = [one.append(1) for _ in range(before)]
        assert (one.state, other.state) == (before, before) and len(kept) == before
        for _ in range(between):
            other.append(10)
        with pytest.raises(PersistenceError, match="another process has written to the log 'log' since") as info:
            one.append(1)
        assert info.value.key == "log"
        assert one.append(100) == before + 10 * between + 100 == total(folder, **options).state
        assert len(total(folder, **options)) == before + between + 1


def test_a_log_that_travels_is_read_anew(tmp_path):
    log = EventLog(FilePersistence(tmp_path), "log", apply=max, initial=0)
    log.append(3)
    other = pickle.loads(pickle.dumps(log))
    assert other.append(7) == 7


WORDS = {
    "EventLog(store, '', apply=max, initial=0)": (
        "ValueError: EventLog(key=) takes a string that is not empty, not '' (str)"
    ),
    "EventLog(store, 1, apply=max, initial=0)": "TypeError: EventLog(key=) takes a string, not 1 (int)",
    "EventLog(store, 'k', apply=max, initial=0, snapshot_every=0)": (
        "ValueError: EventLog(snapshot_every=) takes a whole number ≥ 1, not 0 (int)"
    ),
    "EventLog(store, 'k', apply=max, initial=0, history=1)": (
        "TypeError: EventLog(history=) takes True or False, not 1 (int)"
    ),
    "EventLog('folder', 'k', apply=max, initial=0)": (
        "TypeError: EventLog(store=) takes an object with exists, save and restore, not 'folder' (str)"
    ),
    "EventLog(store, 'k', apply=None, initial=0)": (
        "TypeError: EventLog(apply=) takes a function of a state and an event, not None (NoneType)"
    ),
    "SQLAlchemyPersistence('sqlite://').save('k' * 513, 0)": (
        "ValueError: a key of SQLAlchemyPersistence has at most 512 characters, not 513"
    ),
}


@pytest.mark.parametrize("text", WORDS)
def test_the_words_of_a_wrong_call(tmp_path, text):
    names = {"EventLog": EventLog, "SQLAlchemyPersistence": SQLAlchemyPersistence, "store": FilePersistence(tmp_path)}
    with pytest.raises((ValueError, TypeError)) as info:
        eval(text, names)
    assert f"{type(info.value).__name__}: {info.value}" == WORDS[text]


def test_files_are_private(tmp_path):
    FilePersistence(tmp_path).save("k", 1)
    assert os.stat(tmp_path / "k.state").st_mode & 0o777 == 0o600
