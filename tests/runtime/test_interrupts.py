"""Ctrl-C, cancels and timeouts while the object store is waited for: at once, and the store is as it was before."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import shoal
from shoal.core import _ffi
from shoal.exceptions import GetTimeoutError, TaskCancelledError
from support.waits import until

MIB = 1 << 20
LARGE = 32 * MIB
AT_ONCE = 0.5
"""Seconds, for the fastest of a few tries: others use this machine, too."""
TRIES = 3
LONG = "30000"
"""Milliseconds that a read of a disk takes: far more than any test waits."""


def store() -> dict:
    """What is in use in the arena and on disk, and who waits for room."""
    store = json.loads(_ffi.status())["object_store"]
    return {"used": store["used"], **store["spilled"]}


def block(size: int) -> np.ndarray:
    return np.ones(size // 8)


def interrupted(call: Callable[[], object], waits: Callable[[], object]) -> float:
    """Seconds from a Ctrl-C, sent once `waits()`, to its exception."""
    sent = []

    def send() -> None:
        until(waits)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    sends = threading.Thread(target=send)
    sends.start()
    with pytest.raises(KeyboardInterrupt):
        call()
    late = time.monotonic() - sent[0]
    sends.join()
    return late


def cancelled(call: Callable[[], shoal.ObjectRef], waits: Callable[[], object], ended: Callable[[], object]) -> float:
    """Seconds from a cancel, sent once `waits()`, until `ended()` where it runs; its caller hears of it before."""
    ref = call()
    until(waits)
    sent = time.monotonic()
    shoal.cancel(ref)
    with pytest.raises(TaskCancelledError):
        shoal.get(ref, timeout=20)
    until(ended)
    return time.monotonic() - sent


@pytest.fixture
def full(tmp_path: Path):
    """An instance with 24 MiB free in its arena, and a disk that takes nothing."""
    config = {"local_fs_capacity_threshold": 0.0001, "object_store_full_seconds": 60}
    with shoal.init(
        num_cpus=2, object_store_memory=64 * MIB, object_spilling_directory=tmp_path, _system_config=config
    ):
        yield [shoal.put(block(8 * MIB)) for _ in range(5)]


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An instance whose disk reads take very long, and a reference to what is on it alone."""
    monkeypatch.setenv("SHOAL_DISK_DELAY", LONG)
    with shoal.init(num_cpus=1, object_store_memory=64 * MIB, object_spilling_directory=tmp_path):
        refs = [shoal.put(block(8 * MIB)) for _ in range(20)]
        yield refs


def the_cpu_is_free() -> bool:
    """Whether another task runs at once: there is one CPU, and who waits for a disk keeps it."""
    return bool(shoal.get(takes.remote(block(8)), timeout=20) == 1)


def waits_for_room() -> bool:
    return bool(store()["waiting"] > 0)


def nobody_waits_for_room() -> bool:
    return not waits_for_room()


@shoal.remote(max_retries=0)
def puts(size):
    shoal.put(block(size))


@shoal.remote(max_retries=0)
def returns(size):
    return block(size)


@shoal.remote(max_retries=0)
def gets(refs, path):
    Path(path).touch()
    return shoal.get(refs[0]).sum()


@shoal.remote(max_retries=0)
def takes(array):
    return array.sum()


@shoal.remote
class Threads:
    def puts(self, size):
        shoal.put(block(size))

    def returns(self, size):
        return block(size)

    def ready(self):
        return True


@shoal.remote
class Coroutines:
    async def puts(self, size):
        shoal.put(block(size))

    async def ready(self):
        return True


def test_ctrl_c_in_a_put_that_waits_for_room_comes_at_once_and_leaves_nothing(full):
    before = store()
    late = [interrupted(lambda: shoal.put(block(LARGE)), waits_for_room) for _ in range(TRIES)]
    assert min(late) < AT_ONCE, late
    until(lambda: store() == before)
    del full[:]
    until(lambda: store()["used"] < 8 * MIB)
    assert shoal.get(shoal.put(block(LARGE))).sum() == LARGE // 8


def test_ctrl_c_in_a_call_whose_argument_waits_for_room(full):
    before = store()
    late = [interrupted(lambda: takes.remote(block(LARGE)), waits_for_room) for _ in range(TRIES)]
    assert min(late) < AT_ONCE, late
    until(lambda: store() == before)


def test_ctrl_c_in_a_put_of_more_than_the_arena_while_a_daemon_is_stopped_leaves_no_file(tmp_path):
    with shoal.init(num_cpus=1, object_store_memory=64 * MIB, object_spilling_directory=tmp_path):
        shoal.put(1)
        before, pid = store(), json.loads(_ffi.status())["pid"]
        late = []
        for _ in range(TRIES):
            os.kill(pid, signal.SIGSTOP)
            try:
                began = time.monotonic()
                late.append(
                    interrupted(lambda: shoal.put(block(100 * MIB)), lambda began=began: time.monotonic() > began + 0.5)
                )
            finally:
                os.kill(pid, signal.SIGCONT)
            until(lambda: store() == before)
        assert min(late) < AT_ONCE, late


@pytest.mark.parametrize("call", [puts, returns], ids=["put", "return"])
def test_a_cancel_of_a_task_that_waits_for_room_comes_at_once_and_leaves_nothing(full, call):
    before = store()
    late = [cancelled(lambda: call.remote(LARGE), waits_for_room, nobody_waits_for_room) for _ in range(TRIES)]
    assert min(late) < AT_ONCE, late
    until(lambda: store() == before)
    del full[:]
    assert shoal.get(returns.remote(LARGE), timeout=20).sum() == LARGE // 8


@pytest.mark.parametrize(
    ("cls", "options", "method"),
    [(Threads, {}, "puts"), (Threads, {"max_concurrency": 2}, "puts"), (Threads, {"max_concurrency": 2}, "returns"),
     (Coroutines, {}, "puts")],
    ids=["method", "thread", "return of a thread", "coroutine"],
)  # fmt: skip
def test_a_cancel_of_an_actors_call_that_waits_for_room(full, cls, options, method):
    actor = cls.options(**options).remote()
    shoal.get(actor.ready.remote())
    before = store()
    calls = [lambda: getattr(actor, method).remote(LARGE)] * TRIES
    late = [cancelled(call, waits_for_room, nobody_waits_for_room) for call in calls]
    assert min(late) < AT_ONCE, late
    until(lambda: store() == before)
    assert shoal.get(actor.ready.remote(), timeout=20)


class Get:
    """A get that says since when it waits."""

    def __init__(self, refs: object) -> None:
        self.refs, self.began = refs, None

    def __call__(self) -> None:
        self.began = time.monotonic()
        shoal.get(self.refs)

    def waits(self) -> bool:
        return self.began is not None and time.monotonic() > self.began + 0.1


def test_ctrl_c_in_a_get_that_waits_for_a_disk_comes_at_once(slow):
    late = [interrupted(get, get.waits) for get in (Get(slow[0]) for _ in range(TRIES))]
    assert min(late) < AT_ONCE, late
    # What nobody has waited for is still there.
    assert shoal.get(slow[-1]).sum() == MIB


def test_a_cancel_of_a_task_that_waits_for_a_disk_comes_at_once(slow, tmp_path):
    path = tmp_path / "began"

    def waits() -> bool:
        return path.exists() and time.time() > path.stat().st_mtime + 0.1

    def get() -> shoal.ObjectRef:
        path.unlink(missing_ok=True)
        return gets.remote(slow[:1], str(path))

    late = [cancelled(get, waits, the_cpu_is_free) for _ in range(TRIES)]
    assert min(late) < AT_ONCE, late


def test_a_cancel_of_a_task_whose_argument_waits_for_a_disk_comes_at_once(slow):
    shoal.get(takes.remote(slow[-1]))

    late = []
    for _ in range(TRIES):
        began = time.monotonic()
        waits = partial(lambda began: time.monotonic() > began + 0.3, began)
        late.append(cancelled(lambda: takes.remote(slow[0]), waits, the_cpu_is_free))
    assert min(late) < AT_ONCE, late


def test_what_was_interrupted_comes_back_right(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOAL_DISK_DELAY", "300")
    with shoal.init(num_cpus=1, object_store_memory=64 * MIB, object_spilling_directory=tmp_path):
        refs = [shoal.put(np.full(MIB, number)) for number in range(20)]
        get = Get(refs)
        interrupted(get, get.waits)
        arrays = shoal.get(refs)
        assert all((array == number).all() for number, array in enumerate(arrays))
        del arrays
        refs.clear()
        until(lambda: not any(store()[key] for key in ("bytes", "mapped", "files", "waiting")))


@shoal.remote(max_retries=0)
def tries(refs, seconds):
    with pytest.raises(GetTimeoutError):
        shoal.get(refs, timeout=seconds)
    return True


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_a_get_of_what_a_disk_is_read_for_ends_with_its_time(slow, seconds):
    for refs in (slow[0], slow[1:3], [slow[-1], slow[3]]):
        began = time.monotonic()
        with pytest.raises(GetTimeoutError, match="not read from disk within"):
            shoal.get(refs, timeout=seconds)
        # Not with the disk, which takes half a minute.
        assert seconds <= time.monotonic() - began < 10
    assert shoal.get(tries.remote(slow[4:5], seconds), timeout=20)


def test_what_a_get_had_no_time_for_is_got_later_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("SHOAL_DISK_DELAY", "200")
    with shoal.init(num_cpus=1, object_store_memory=64 * MIB, object_spilling_directory=tmp_path):
        refs = [shoal.put(np.full(MIB, number)) for number in range(20)]
        for ref in refs[:2]:
            with pytest.raises(GetTimeoutError):
                shoal.get(ref, timeout=0.01)

        # Its read goes on meanwhile: then it lies at another place of the arena, and takes no time of a disk.
        def there() -> bool:
            try:
                return bool((shoal.get(refs[0], timeout=0) == 0).all())
            except GetTimeoutError:
                return False

        until(there)
        arrays = shoal.get(refs, timeout=60)
        assert all((array == number).all() for number, array in enumerate(arrays))
        del arrays, ref
        refs.clear()
        until(lambda: not any(store()[key] for key in ("bytes", "mapped", "files", "waiting")))
