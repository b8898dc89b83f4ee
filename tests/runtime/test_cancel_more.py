"""Cancelling: at once for the caller, and nobody else notices."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

import shoal
from support.waits import until_there

SOON = 20.0
"""Seconds that an answer may take on a busy machine: what is cancelled would run for a minute."""


def say_pid(path: str) -> None:
    Path(path + ".new").write_text(str(os.getpid()))
    os.replace(path + ".new", path)


def cancelled_soon(*refs) -> None:
    begun = time.monotonic()
    shoal.cancel(*refs)
    for ref in refs:
        with pytest.raises(shoal.exceptions.TaskCancelledError):
            shoal.get(ref, timeout=2 * SOON)
    assert time.monotonic() - begun < SOON


@shoal.remote
def pid():
    return os.getpid()


@shoal.remote
def spins(path):
    say_pid(path)
    while True:
        pass


@shoal.remote
def sleeps(path):
    say_pid(path)
    time.sleep(60)


@shoal.remote
def blocks(path):
    inner = sleeps.remote(path + ".inner")
    say_pid(path)
    return shoal.get(inner)


@pytest.mark.parametrize("how", [spins, sleeps, blocks], ids=["in Python", "in time.sleep", "in get"])
def test_a_running_task_is_cancelled_and_its_worker_goes_on(one_cpu, tmp_path: Path, how):
    path = tmp_path / "pid"
    ref = how.remote(str(path))
    until_there(path)
    cancelled_soon(ref)
    if how is not blocks:
        # The one worker has its CPU back at once, and is the same process.
        assert shoal.get(pid.remote(), timeout=SOON) == int(path.read_text())


def test_a_cancel_right_after_the_call_finds_it_wherever_it_is(one_cpu, tmp_path: Path):
    shoal.get(pid.remote())
    for i in range(60):
        ref = sleeps.remote(str(tmp_path / f"{i}"))
        if i % 3:
            time.sleep(0.0005 * (i % 3) * (i % 7))
        cancelled_soon(ref)
        # Had the task gone on, this would wait for a minute.
        assert shoal.get(pid.remote(), timeout=SOON)


def test_tasks_behind_a_cancelled_one_are_unharmed(one_cpu, tmp_path: Path):
    shoal.get([pid.remote() for _ in range(50)])
    for i in range(10):
        ref = sleeps.remote(str(tmp_path / f"{i}"))
        behind = [pid.remote() for _ in range(50)]
        until_there(tmp_path / f"{i}")
        cancelled_soon(ref)
        assert len(set(shoal.get(behind, timeout=SOON))) <= 2


def test_queued_and_waiting_tasks_are_cancelled(one_cpu, tmp_path: Path):
    path = tmp_path / "begun"
    running = sleeps.remote(str(path))
    until_there(path)

    @shoal.remote
    def add(a, b):
        return a, b

    queued = [pid.remote() for _ in range(20)]
    waiting = [add.remote(running, 1) for _ in range(5)]
    cancelled_soon(*queued, *waiting)
    cancelled_soon(running)
    assert shoal.get(pid.remote(), timeout=SOON)


def test_a_finished_task_keeps_its_value(one_cpu):
    ref = pid.remote()
    value = shoal.get(ref)
    shoal.cancel(ref)
    assert shoal.get(ref) == value


@pytest.mark.parametrize("kind", ["sync", "threaded", "async"])
def test_actor_calls_queued_and_running_are_cancelled(two_cpus, tmp_path: Path, kind):
    class Plain:
        def wait(self, path):
            Path(path).touch()
            while True:
                time.sleep(0.01)

        def pid(self):
            return os.getpid()

    class Async:
        async def wait(self, path):
            Path(path).touch()
            await asyncio.sleep(60)

        async def pid(self):
            return os.getpid()

    cls = shoal.remote(Async if kind == "async" else Plain)
    if kind == "threaded":
        actor = cls.options(max_concurrency=2).remote()
        busy = actor.wait.remote(str(tmp_path / "other"))
        until_there(tmp_path / "other")
    else:
        actor = cls.options(max_concurrency=1).remote() if kind == "async" else cls.remote()
        busy = None
    before = shoal.get(actor.pid.remote(), timeout=SOON)
    for i in range(5):
        path = tmp_path / f"{i}"
        running = actor.wait.remote(str(path))
        until_there(path)
        queued = [actor.wait.remote(str(tmp_path / f"{i}.queued.{n}")) for n in range(5)]
        cancelled_soon(*queued)
        cancelled_soon(running)
        assert shoal.get(actor.pid.remote(), timeout=SOON) == before
    assert not list(tmp_path.glob("*.queued.*"))
    if busy is not None:
        cancelled_soon(busy)


def waits_until_interrupted(wait, path: str) -> None:
    """Notes when it began and when it ended, on a clock that is the same for every process."""
    try:
        Path(path).touch()
        wait()
    finally:
        Path(path + ".new").write_text(str(time.monotonic()))
        os.replace(path + ".new", path + ".ended")


@shoal.remote
class Threads:
    def get(self, refs, path):
        waits_until_interrupted(lambda: shoal.get(refs[0]), path)

    def wait(self, refs, path):
        waits_until_interrupted(lambda: shoal.wait(refs), path)

    def pid(self):
        return os.getpid()


@shoal.remote
class Coroutines:
    async def get(self, refs, path):
        waits_until_interrupted(lambda: shoal.get(refs[0]), path)

    async def pid(self):
        return os.getpid()


@pytest.mark.parametrize(
    ("cls", "method", "together"),
    [(Threads, "get", 1), (Threads, "get", 5), (Threads, "wait", 5), (Coroutines, "get", 1)],
    ids=["get", "five gets", "five waits", "coroutine"],
)
def test_a_cancel_of_a_call_that_waits_is_an_event_for_its_thread(two_cpus, tmp_path: Path, cls, method, together):
    actor = cls.options(max_concurrency=8).remote()
    before = shoal.get(actor.pid.remote(), timeout=SOON)
    never = sleeps.options(num_cpus=0).remote(str(tmp_path / "never"))
    late = []
    for i in range(3):
        paths = [tmp_path / f"{i}.{n}" for n in range(together)]
        refs = [getattr(actor, method).remote([never], str(path)) for path in paths]
        for path in paths:
            until_there(path)
        # From the file to the wait. One leads and sleeps on the bell, the others sleep on words of their own.
        time.sleep(0.1)
        for ref, path in zip(refs, paths, strict=True):
            sent = time.monotonic()
            cancelled_soon(ref)
            late.append(float(until_there(path.with_name(path.name + ".ended"))) - sent)
    # Without a call it was the second look, once a second.
    assert sorted(late)[len(late) // 2] < 0.5, late
    assert shoal.get(actor.pid.remote(), timeout=SOON) == before
