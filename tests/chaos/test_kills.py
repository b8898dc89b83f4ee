"""Processes killed and stopped at random moments while work runs: every answer is right, nothing stays behind.

A round is one process that is struck. `SHOAL_CHAOS_ROUNDS` says how many in all (30 in `make test`); `make chaos` sets
it. Four fifths strike workers, actors, zygotes and the daemon (stopped only) of an instance that goes on; the others
kill a daemon or a driver, each with an instance of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import shoal
from shoal.core import _ffi
from shoal.exceptions import LocalRayletDiedError
from support.deaths import KINDS, deaths
from support.load import Load, naps, square

ROUNDS = int(os.environ.get("SHOAL_CHAOS_ROUNDS", "30"))
BLOCK = 12
"""Rounds of one instance."""

TOLD = 1.0
"""Seconds in which everybody hears of the daemon's death; measured: 0.06 at most."""


def blocks(rounds: int) -> list[tuple[int, int]]:
    """(seed, rounds) of each instance."""
    return [(first, min(BLOCK, rounds - first)) for first in range(0, rounds, BLOCK)]


@pytest.fixture
def instance() -> Iterator[None]:
    shoal.init(num_cpus=2, object_store_memory=300 << 20)
    yield
    shoal.shutdown()


def nothing_is_held() -> None:
    end = time.monotonic() + 60
    while held := json.loads(_ffi.status())["object_store"]["object_bytes"]:
        assert time.monotonic() < end, f"{held} bytes are held by nobody"
        time.sleep(0.01)


@pytest.mark.parametrize(("seed", "rounds"), blocks(ROUNDS * 2 // 5))
def test_answers_are_right_while_anything_is_killed_or_stopped(instance, seed, rounds):
    load = Load(seed)
    with deaths(seed, rounds) as them:
        while not them.done:
            load.step()
    assert len(them.struck) == rounds
    load.calls()
    del load
    nothing_is_held()


@pytest.mark.parametrize(("seed", "rounds"), blocks(ROUNDS * 2 // 5))
def test_answers_of_threads_are_right_while_workers_and_zygotes_die(instance, seed, rounds):
    failed: list[BaseException] = []

    def works(number: int) -> None:
        load = Load(100 * seed + number, actors=1)
        try:
            while not them.done and not failed:
                load.step()
        except BaseException as error:
            failed.append(error)

    with deaths(seed, rounds, [kind for kind in KINDS if kind != "daemon"], every=0.05) as them:
        threads = [threading.Thread(target=works, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]
    assert len(them.struck) == rounds
    nothing_is_held()


class Told:
    """What blocks until the daemon dies, each in a thread of its own; when each was told."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self.other: dict[str, BaseException] = {}
        self.threads: list[threading.Thread] = []

    def start(self, name: str, blocks: Callable[[], object]) -> None:
        def run() -> None:
            try:
                blocks()
            except LocalRayletDiedError:
                self.at[name] = time.monotonic()
            except BaseException as error:
                self.other[name] = error

        thread = threading.Thread(target=run, name=name)
        self.threads.append(thread)
        thread.start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join()


def forever(step: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        while True:
            step()

    return run


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def all_gone(pids: list[int], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not all(map(gone, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("seed", range(ROUNDS // 10))
def test_a_killed_daemon_is_told_everywhere_within_a_second(seed):
    shoal.init(num_cpus=2, object_store_memory=200 << 20)
    choose, load, never = random.Random(seed), Load(seed), naps.remote(600)
    status = json.loads(_ffi.status())
    pids = [status["pid"]] + [p["pid"] for p in status["processes"] if p["pid"] and p["kind"] != "driver"]

    async def awaits() -> None:
        await asyncio.gather(*[never for _ in range(3)])

    told = Told()
    told.start("get", lambda: shoal.get(never))
    told.start("get of many", lambda: shoal.get([never, *[square.remote(i) for i in range(50)]]))
    told.start("wait", lambda: shoal.get(shoal.wait([never])[0]))
    told.start("await", lambda: asyncio.run(awaits()))
    told.start("future", lambda: never.future().result())
    told.start("tasks", forever(load.tasks))
    told.start("actors", forever(load.calls))
    told.start("put", forever(lambda: shoal.put(b"x" * 200_000)))
    told.start("new actors", forever(lambda: shoal.get(type(load)(seed, 1).echoes[0].back.remote(1))))
    told.start("nodes", forever(shoal.nodes))
    time.sleep(choose.uniform(0.05, 0.5))
    killed = time.monotonic()
    os.kill(status["pid"], signal.SIGKILL)
    told.join()
    assert not told.other
    late = {name: round(at - killed, 2) for name, at in told.at.items() if at - killed > TOLD}
    assert not late and len(told.at) == len(told.threads)
    for call in (lambda: square.remote(1), lambda: shoal.put(1), lambda: load.echoes[0].back.remote(1), shoal.nodes):
        with pytest.raises(LocalRayletDiedError):
            call()
    with pytest.raises(LocalRayletDiedError):
        shoal.get(never, timeout=0)
    assert all_gone(pids, 5)
    shoal.shutdown()


DRIVER = """
import json, sys, threading
import shoal
from support.load import Load
shoal.init(num_cpus=2, object_store_memory=200 << 20)
from shoal.core import _ffi
seed = int(sys.argv[1])
load = Load(seed)
for _ in range(3):
    load.step()
status = json.loads(_ffi.status())
print(status["pid"], *[p["pid"] for p in status["processes"] if p["pid"]], flush=True)
kept = []
while True:
    load.step()
    kept = [*kept, shoal.put(bytes(300_000))][-30:]
"""


@pytest.mark.parametrize("seed", range(max(1, ROUNDS - 4 * (ROUNDS // 5) - ROUNDS // 10)))
def test_a_killed_driver_leaves_nothing(session_root: Path, seed):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", DRIVER, str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as driver:
        assert driver.stdout is not None
        pids = [int(pid) for pid in driver.stdout.readline().split()]
        assert pids
        time.sleep(random.Random(seed).uniform(0, 0.3))
        driver.kill()
        assert all_gone(pids, 5)
