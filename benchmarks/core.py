"""The cases: what a task, an actor call, an object and a start cost. A case returns one number for each of its rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from processes import Instance, cpu_seconds, pss, switches

import shoal

SIZE = 64 * 1024 * 1024
IDLE_AFTER = 15
IDLE_FOR = 10


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    title: str
    unit: str
    scale: float = 1.0
    floor: str = ""
    share: float = 0.0  # goal: at least this share of the floor
    least: float = 0.0  # goal: at least this, in the unit
    most: float = 0.0  # goal: at most this, in the unit


@dataclass(frozen=True)
class Case:
    """A function that measures once, and the rows that its numbers fill."""

    run: Callable[[Bench], list[float]]
    rows: tuple[Row, ...]
    rounds: int | None
    slow: bool

    @property
    def name(self) -> str:
        return self.run.__name__


CASES: list[Case] = []


def case(*rows: Row, rounds: int | None = None, slow: bool = False) -> Callable[[Any], Any]:
    """Adds a case; `rounds` caps how often it runs, `slow` leaves it out of a quick run."""

    def add(function: Any) -> Any:
        CASES.append(Case(function, rows, rounds, slow))
        return function

    return add


@shoal.remote
def nothing(*_: object) -> None:
    return None


@shoal.remote
def where() -> int:
    return os.getpid()


@shoal.remote
class Counter:
    def __init__(self) -> None:
        self.n = 0

    def next(self) -> int:
        self.n += 1
        return self.n


@dataclass
class Bench:
    """The running instance, and how much to do."""

    folder: str
    quick: bool

    def count(self, full: int) -> int:
        return max(full // 4, 1) if self.quick else full

    @contextmanager
    def cpu(self) -> Iterator[list[float]]:
        """Fills the list with the CPU seconds that the block took in all processes of the instance."""
        taken: list[float] = []
        others, driver = Instance.find(self.folder).cpu_seconds(), cpu_seconds(os.getpid())
        yield taken
        # The driver first: looking for the others takes milliseconds of its own time.
        driver = cpu_seconds(os.getpid()) - driver
        taken.append(driver + Instance.find(self.folder).cpu_seconds() - others)


def by_placement(bench: Bench, function: Callable[[], object]) -> list[float]:
    """Calls a second where the kernel likes to put the two processes, on one core, and on two."""
    count = bench.count(4000)
    instance = Instance.find(bench.folder)
    cores = sorted(os.sched_getaffinity(0))
    rates = [rate(count, function)]
    for workers in (cores[0], cores[-1]):
        with instance.pinned(cores[0], workers):
            rate(100, function)
            rates.append(rate(count, function))
    return rates


def rate(count: int, function: Callable[[], object]) -> float:
    """Calls a second of `function`."""
    begin = time.perf_counter()
    for _ in range(count):
        function()
    return count / (time.perf_counter() - begin)


@case(
    Row("synchronous task, unpinned", "/s", floor="P2", share=0.8),
    Row("  both on one core", "/s", floor="P1"),
    Row("  on two cores", "/s", floor="P2"),
)
def task_sync(bench: Bench) -> list[float]:
    assert shoal.get(where.remote()) != os.getpid()
    return by_placement(bench, lambda: shoal.get(nothing.remote()))


@case(Row("pipelined tasks", "/s", least=30_000), Row("  CPU of all processes", "µs each", scale=1e6, most=40))
def task_pipelined(bench: Bench) -> list[float]:
    count = bench.count(20_000)
    shoal.get([nothing.remote() for _ in range(200)])
    with bench.cpu() as cpu:
        begin = time.perf_counter()
        shoal.get([nothing.remote() for _ in range(count)])
        taken = time.perf_counter() - begin
    return [count / taken, cpu[0] / count]


@case(Row("task array, an item", "/s"), Row("  CPU of all processes", "µs each", scale=1e6, most=3))
def task_array(bench: Bench) -> list[float]:
    count = bench.count(1_000_000)
    for _ in nothing.map(range(20_000)):
        pass
    with bench.cpu() as cpu:
        begin = time.perf_counter()
        for _ in nothing.map(range(count)):
            pass
        taken = time.perf_counter() - begin
    return [count / taken, cpu[0] / count]


@case(Row("pipelined tasks, 3 arguments", "/s"), Row("  CPU of all processes", "µs each", scale=1e6))
def task_arguments(bench: Bench) -> list[float]:
    count = bench.count(20_000)
    shoal.get([nothing.remote(1, "two", 3.0) for _ in range(200)])
    with bench.cpu() as cpu:
        begin = time.perf_counter()
        shoal.get([nothing.remote(i, "two", 3.0) for i in range(count)])
        taken = time.perf_counter() - begin
    return [count / taken, cpu[0] / count]


@case(
    Row("synchronous actor call, unpinned", "/s", floor="P2"),
    Row("  both on one core", "/s", floor="P1"),
    Row("  on two cores", "/s", floor="P2"),
)
def actor_sync(bench: Bench) -> list[float]:
    counter = Counter.remote()
    shoal.get(counter.next.remote())
    return by_placement(bench, lambda: shoal.get(counter.next.remote()))


@case(Row("pipelined actor calls", "/s"), Row("  CPU of all processes", "µs each", scale=1e6, most=30))
def actor_pipelined(bench: Bench) -> list[float]:
    count = bench.count(20_000)
    counter = Counter.remote()
    shoal.get([counter.next.remote() for _ in range(200)])
    with bench.cpu() as cpu:
        begin = time.perf_counter()
        shoal.get([counter.next.remote() for _ in range(count)])
        taken = time.perf_counter() - begin
    return [count / taken, cpu[0] / count]


@case(Row("put of 64 MiB, dropped each time", "GB/s", scale=1e-9, floor="C", share=0.6))
def put_large(bench: Bench) -> list[float]:
    import numpy

    array = numpy.ones(SIZE, numpy.uint8)
    for _ in range(2):  # the first touches fresh pages
        shoal.put(array)
    return [SIZE * rate(bench.count(12), lambda: shoal.put(array))]


@case(Row("get of 64 MiB, mapped", "µs", scale=1e6))
def get_large(bench: Bench) -> list[float]:
    import numpy

    ref = shoal.put(numpy.ones(SIZE, numpy.uint8))
    return [1 / rate(bench.count(2000), lambda: shoal.get(ref))]


@case(Row("put of a small value", "µs", scale=1e6), Row("get of it", "µs", scale=1e6))
def put_get_small(bench: Bench) -> list[float]:
    ref = shoal.put(("small", 1))
    count = bench.count(20_000)
    return [1 / rate(count, lambda: shoal.put(("small", 1))), 1 / rate(count, lambda: shoal.get(ref))]


def make_actors(count: int) -> float:
    begin = time.perf_counter()
    actors = [Counter.options(num_cpus=0).remote() for _ in range(count)]
    assert shoal.get([actor.next.remote() for actor in actors]) == [1] * count
    taken = time.perf_counter() - begin
    for actor in actors:
        shoal.kill(actor)
    return taken


@case(Row("10 actors up and called", "s", most=0.3), rounds=5)
def actors_10(bench: Bench) -> list[float]:
    return [make_actors(10)]


@case(Row("200 actors up and called", "s", most=5), rounds=1, slow=True)
def actors_200(bench: Bench) -> list[float]:
    return [make_actors(200)]


START = """
import json, time
a = time.perf_counter()
import shoal
b = time.perf_counter()
@shoal.remote
def f(): return 1
c = time.perf_counter()
shoal.init("local")
d = time.perf_counter()
assert shoal.get(f.remote()) == 1
e = time.perf_counter()
print(json.dumps([b - a, d - c, e - c]))
"""


@case(
    Row("import shoal", "s", most=0.1),
    Row("init()", "s", most=0.15),
    Row("first result after init() began", "s", most=0.3),
    rounds=9,
)
def start(bench: Bench) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="ss-", ignore_cleanup_errors=True) as folder:
        env = dict(os.environ, SHOAL_TMPDIR=folder)
        values: list[float] = json.loads(subprocess.check_output([sys.executable, "-c", START], env=env))
    return values


@case(
    Row("memory of daemon + zygote", "MB", scale=1e-6, most=80),
    Row("memory of a worker", "MB", scale=1e-6, most=15),
    rounds=1,
)
def memory(bench: Bench) -> list[float]:
    shoal.get([nothing.remote() for _ in range(100)])
    instance = Instance.find(bench.folder)
    workers = sorted(map(pss, instance.workers))
    return [sum(map(pss, instance.daemons + instance.zygotes)), workers[len(workers) // 2] if workers else 0]


@case(Row(f"wake-ups in {IDLE_FOR} s of idleness", "", most=0.5), rounds=1, slow=True)
def idle(bench: Bench) -> list[float]:
    shoal.get(nothing.remote())
    time.sleep(IDLE_AFTER)
    instance = Instance.find(bench.folder)
    pids = instance.daemons + instance.zygotes + instance.workers
    before = sum(map(switches, pids))
    time.sleep(IDLE_FOR)
    return [sum(map(switches, pids)) - before]
