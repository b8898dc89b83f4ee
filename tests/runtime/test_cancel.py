"""Cancelling: what a running call is interrupted in, its children, and force."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

import shoal
from shoal.exceptions import TaskCancelledError
from support.waits import until, until_there

SOON = 20.0
"""Seconds that the caller's answer may take on a busy machine: what is cancelled would run for a minute."""


def touch(path: Path) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.new")
    new.write_text(str(os.getpid()))
    os.replace(new, path)


def cancelled(ref, **options) -> None:
    begun = time.monotonic()
    shoal.cancel(ref, **options)
    with pytest.raises(TaskCancelledError):
        shoal.get(ref, timeout=2 * SOON)
    assert time.monotonic() - begun < SOON


@shoal.remote
def pid():
    return os.getpid()


@shoal.remote
def naps(path, seconds=60.0):
    """Says that it began, and how it ended."""
    try:
        touch(path)
        time.sleep(seconds)
    except KeyboardInterrupt:
        touch(path.with_suffix(".interrupted"))
        raise
    touch(path.with_suffix(".done"))


def test_who_catches_the_interrupt_gets_the_next_one_half_a_second_later(one_cpu, tmp_path: Path):
    @shoal.remote
    def stubborn():
        for i in range(3):
            try:
                touch(tmp_path / f"{i}")
                time.sleep(60)
            except KeyboardInterrupt:
                pass
        touch(tmp_path / "end")

    ref = stubborn.remote()
    worker = int(until_there(tmp_path / "0"))
    cancelled(ref)
    until_there(tmp_path / "end")
    assert shoal.get(pid.remote(), timeout=SOON) == worker


@pytest.mark.parametrize("how", ["with the GIL", "without the GIL"])
def test_c_code_goes_on_and_its_worker_lives(one_cpu, tmp_path: Path, how):
    @shoal.remote
    def computes():
        touch(tmp_path / "begun")
        if how == "with the GIL":
            return sum(range(60_000_000))
        return hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 3_000_000)

    ref = computes.remote()
    worker = int(until_there(tmp_path / "begun"))
    cancelled(ref)
    # It takes no interrupt; the CPU is free when it ends, and the process is the same.
    assert shoal.get(pid.remote(), timeout=60) == worker


def test_force_kills_the_process_of_that_task_alone(one_cpu, tmp_path: Path):
    @shoal.remote
    def deaf():
        touch(tmp_path / "begun")
        while True:
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                pass

    ref, behind = deaf.remote(), [pid.options(max_retries=0).remote() for _ in range(20)]
    worker = int(until_there(tmp_path / "begun"))
    cancelled(ref, force=True)
    assert worker not in shoal.get(behind, timeout=20)


def test_force_is_an_error_for_calls_of_actors(one_cpu):
    @shoal.remote
    class Sleeper:
        def sleep(self):
            time.sleep(60)

    actor = Sleeper.remote()
    ref, task = actor.sleep.remote(), pid.remote()
    with pytest.raises(ValueError) as error:
        shoal.cancel(task, ref, force=True)
    text = f"cancel(force=True) can't be used for a call of an actor ({ref}): it would end the actor; "
    assert str(error.value) == text + "use kill() for that, or cancel() without force"
    assert shoal.get(task, timeout=20) > 0
    cancelled(ref)


def test_children_and_their_children_are_cancelled(two_cpus, tmp_path: Path):
    @shoal.remote
    def middle(name):
        refs = [naps.remote(tmp_path / f"{name}-{i}") for i in range(2)]
        return shoal.get(refs)

    @shoal.remote
    def top():
        return shoal.get([middle.remote(f"grandchild-{i}") for i in range(2)])

    ref = top.remote()
    begun = until_some(tmp_path, "grandchild-?-?", 2)
    cancelled(ref)
    for path in begun:
        until_there(path.with_suffix(".interrupted"))
    time.sleep(0.2)
    # Nobody begins later, and all CPUs are free: two can wait for each other.
    assert sorted(p.name for p in tmp_path.glob("grandchild-?-?")) == sorted(p.name for p in begun)

    @shoal.remote
    def meets(own, other):
        own.touch()
        until(other.exists)

    a, b = tmp_path / "a", tmp_path / "b"
    shoal.get([meets.remote(a, b), meets.remote(b, a)], timeout=20)


def until_some(folder: Path, pattern: str, n: int) -> list[Path]:
    until(lambda: len(list(folder.glob(pattern))) >= n)
    return list(folder.glob(pattern))


def test_without_recursive_children_go_on(two_cpus, tmp_path: Path):
    @shoal.remote
    def top():
        return shoal.get(naps.remote(tmp_path / "child", 1.0))

    ref = top.remote()
    until_there(tmp_path / "child")
    cancelled(ref, recursive=False)
    until_there(tmp_path / "child.done")


def test_what_a_task_submits_to_clean_up_runs(two_cpus, tmp_path: Path):
    @shoal.remote
    def tidy():
        try:
            touch(tmp_path / "begun")
            time.sleep(60)
        finally:
            shoal.get(naps.remote(tmp_path / "cleaned", 0.0))

    ref = tidy.remote()
    until_there(tmp_path / "begun")
    cancelled(ref)
    until_there(tmp_path / "cleaned.done")


class Plain:
    def nap(self, path):
        try:
            touch(path)
            for _ in range(6000):
                time.sleep(0.01)
        except KeyboardInterrupt:
            touch(path.with_suffix(".interrupted"))
            raise

    def calls(self, path):
        return shoal.get(naps.remote(path))

    def one(self):
        return 1


class Async:
    async def nap(self, path):
        touch(path)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            touch(path.with_suffix(".interrupted"))
            raise

    async def calls(self, path):
        async def inner():
            return await naps.remote(path)

        # In a task of its own, which knows its call only by its context.
        return await asyncio.gather(inner())

    async def blocks(self, path):
        return shoal.get(naps.remote(path))

    async def one(self):
        return 1


KINDS = {"sync": (Plain, 1), "threaded": (Plain, 2), "async": (Async, 2)}


@pytest.mark.parametrize("kind", KINDS)
def test_calls_of_actors_are_cancelled_with_their_children(two_cpus, tmp_path: Path, kind):
    cls, limit = KINDS[kind]
    actor = shoal.remote(cls).options(max_concurrency=limit).remote()
    parent = actor.calls.remote(tmp_path / "child")
    until_there(tmp_path / "child")
    cancelled(parent)
    until_there(tmp_path / "child.interrupted")
    assert shoal.get(actor.one.remote(), timeout=20) == 1

    @shoal.remote
    def caller(actor):
        return shoal.get(actor.nap.remote(tmp_path / "call"))

    parent = caller.remote(actor)
    until_there(tmp_path / "call")
    cancelled(parent)
    until_there(tmp_path / "call.interrupted")
    assert shoal.get(actor.one.remote(), timeout=20) == 1


@pytest.mark.parametrize("kind", ["threaded", "async"])
def test_a_call_that_blocks_its_thread_in_get_is_interrupted(two_cpus, tmp_path: Path, kind):
    cls, limit = KINDS[kind]
    actor = shoal.remote(cls).options(max_concurrency=limit).remote()
    method = actor.blocks if kind == "async" else actor.calls
    ref = method.remote(tmp_path / "child")
    until_there(tmp_path / "child")
    cancelled(ref, recursive=False)
    # Its loop is free, though the child goes on.
    assert shoal.get([actor.one.remote() for _ in range(4)], timeout=20) == [1] * 4
    assert not (tmp_path / "child.interrupted").exists()


@pytest.mark.parametrize("kind", ["threaded", "async"])
def test_a_cancel_at_any_moment_of_a_call_beside_others_finds_it(two_cpus, tmp_path: Path, kind):
    cls, limit = KINDS[kind]
    actor = shoal.remote(cls).options(max_concurrency=limit).remote()
    shoal.get(actor.one.remote())
    for i in range(40):
        ref = actor.nap.remote(tmp_path / f"{i}")
        if i % 4:
            time.sleep(0.0002 * (i % 4) * (i % 7))
        cancelled(ref)
        # Both places are free again, or this would wait for a minute.
        assert shoal.get([actor.one.remote() for _ in range(2)], timeout=20) == [1, 1]


def test_whoever_holds_a_reference_may_cancel(two_cpus, tmp_path: Path):
    @shoal.remote
    def cancels(refs):
        shoal.cancel(refs[0])
        try:
            shoal.get(refs[0], timeout=10)
        except TaskCancelledError:
            return "cancelled"

    ref = naps.remote(tmp_path / "task")
    until_there(tmp_path / "task")
    assert shoal.get(cancels.remote([ref]), timeout=20) == "cancelled"
    with pytest.raises(TaskCancelledError):
        shoal.get(ref, timeout=10)
    until_there(tmp_path / "task.interrupted")


def test_is_canceled(two_cpus, tmp_path: Path):
    @shoal.remote
    def watches():
        context = shoal.get_runtime_context()
        before = context.is_canceled()
        try:
            touch(tmp_path / "begun")
            time.sleep(60)
        except KeyboardInterrupt:
            (tmp_path / "seen.new").write_text(f"{before} {context.is_canceled()}")
            os.replace(tmp_path / "seen.new", tmp_path / "seen")

    ref = watches.remote()
    until_there(tmp_path / "begun")
    cancelled(ref)
    assert until_there(tmp_path / "seen") == "False True"

    @shoal.remote(max_concurrency=2)
    class Loop:
        async def run(self):
            touch(tmp_path / "looping")
            while not shoal.get_runtime_context().is_canceled():
                try:
                    await asyncio.sleep(0.05)
                except asyncio.CancelledError:
                    pass
            touch(tmp_path / "left")

    ref = (loop := Loop.remote()).run.remote()
    until_there(tmp_path / "looping")
    cancelled(ref)
    until_there(tmp_path / "left")
    del loop


def test_a_threads_tasks_are_children_of_the_task_that_started_it(two_cpus, tmp_path: Path):
    @shoal.remote
    def starts():
        thread = threading.Thread(target=lambda: naps.remote(tmp_path / "child"))
        thread.start()
        thread.join()
        time.sleep(60)

    ref = starts.remote()
    until_there(tmp_path / "child")
    cancelled(ref)
    until_there(tmp_path / "child.interrupted")


def test_an_argument_whose_owner_died_says_so(two_cpus, tmp_path: Path):
    @shoal.remote(max_retries=0)
    def puts():
        ref = shoal.put(bytes(1 << 20))
        try:
            return [ref]
        finally:
            touch(tmp_path / "put")

    @shoal.remote
    def length(value):
        return len(value)

    (ref,) = shoal.get(puts.remote())
    assert shoal.get(length.remote(ref)) == 1 << 20
    os.kill(int(until_there(tmp_path / "put")), 9)

    def says_so():
        try:
            return not shoal.get(length.remote(ref), timeout=SOON)
        except shoal.exceptions.OwnerDiedError:
            return True

    until(says_so)
