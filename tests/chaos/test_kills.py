"""Processes killed at random while work runs: every answer is right, nothing stays behind.

`SHOAL_CHAOS_ROUNDS` makes it longer; `make chaos` sets it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import shoal
from shoal.core import _ffi

ROUNDS = int(os.environ.get("SHOAL_CHAOS_ROUNDS", "3"))
TASKS = 2_000


def alive(kinds: tuple[str, ...]) -> list[int]:
    return [p["pid"] for p in json.loads(_ffi.status())["processes"] if p["kind"] in kinds and p["pid"]]


@contextmanager
def killing(seed: int, kinds: tuple[str, ...], every: float, most: int) -> Iterator[list[int]]:
    """Kills a process of one of these kinds about each `every` seconds until the block ends, at most `most`."""
    choose, over, killed = random.Random(seed), threading.Event(), list[int]()

    def run() -> None:
        while len(killed) < most and not over.wait(every * choose.uniform(0.5, 1.5)):
            victims = alive(kinds)
            if victims:
                victim = choose.choice(victims)
                try:
                    os.kill(victim, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                killed.append(victim)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


@pytest.fixture
def instance() -> Iterator[None]:
    shoal.init(num_cpus=2, object_store_memory=300 << 20)
    yield
    shoal.shutdown()


@shoal.remote(max_retries=-1)
def square(i):
    return i * i


@shoal.remote(max_retries=-1)
def large(i):
    return bytes([i % 256]) * 150_000


@shoal.remote(max_retries=-1)
def length(*parts):
    return sum(len(p) for p in parts)


@shoal.remote(max_retries=-1)
def nested(n):
    if n == 0:
        return 1
    return sum(shoal.get([nested.remote(n - 1) for _ in range(2)]))


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_2_000_tasks_while_workers_die(instance, seed):
    with killing(seed, ("worker",), 0.02, 10) as killed:
        while len(killed) < 10:
            refs = [square.remote(i) for i in range(TASKS)]
            assert shoal.get(refs, timeout=50) == [i * i for i in range(TASKS)]
            parts = [large.remote(i) for i in range(50)]
            assert shoal.get(length.remote(*parts), timeout=50) == 50 * 150_000


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_tree_of_tasks_while_workers_and_zygotes_die(instance, seed):
    with killing(seed, ("worker", "zygote"), 0.2, 6) as killed:
        while len(killed) < 6:
            assert shoal.get(nested.remote(5), timeout=50) == 32


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_actors_and_tasks_while_any_of_them_die(instance, seed):
    @shoal.remote(max_restarts=-1, max_task_retries=-1, num_cpus=0)
    class Echo:
        def back(self, i):
            return i

        def ask(self, i):
            return shoal.get(square.remote(i))

    actors = [Echo.remote() for _ in range(3)]
    with killing(seed, ("worker",), 0.05, 10) as killed:
        while len(killed) < 10:
            refs = [actors[i % 3].back.remote(i) for i in range(600)] + [a.ask.remote(7) for a in actors]
            assert shoal.get(refs, timeout=50) == [*range(600), 49, 49, 49]
    assert shoal.get([a.back.remote(1) for a in actors], timeout=50) == [1, 1, 1]


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_what_the_dead_owned_and_borrowed_is_freed(instance, seed):
    @shoal.remote(max_retries=-1)
    def makes():
        return [shoal.put(b"m" * 120_000) for _ in range(3)]

    with killing(seed, ("worker",), 0.03, 10) as killed:
        while len(killed) < 10:
            refs = shoal.get(makes.remote(), timeout=50)
            for ref in refs:
                try:
                    assert len(shoal.get(ref, timeout=20)) == 120_000
                except shoal.exceptions.OwnerDiedError:
                    continue
    del ref, refs
    end = time.monotonic() + 5
    while held := json.loads(_ffi.status())["object_store"]["object_bytes"]:
        assert time.monotonic() < end, f"{held} bytes are held by nobody"
        time.sleep(0.01)
