"""What a case measures with: calls a second with their CPU time, and the processes of the system under test."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import processes

Numbers = dict[str, float]


def cores() -> int:
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Rate:
    """Calls a second, and the CPU seconds of a call in all processes of the system."""

    calls: float
    cpu: float
    seconds: float  # of all calls together

    def rows(self, calls: str = "calls", cpu: str = "cpu") -> Numbers:
        return {calls: self.calls, cpu: self.cpu}


@dataclass
class Meter:
    """A started system, and how much a case is to do with it.

    `api` is shoal, or Ray, `address` where other drivers join it, `pool` a pool of processes, `client` Dask's:
    whichever the system has.
    """

    system: str
    root: int  # everything under this process is the system's
    seconds: float  # how long one number is measured where the case doesn't say how many calls it takes
    tiny: bool = False  # a run that only shows that the case works
    api: Any = None
    address: str = ""
    pool: Any = None
    client: Any = None

    def some(self, full: int) -> int:
        """That many, or a few in a run that only shows that the case works."""
        return min(full, 8) if self.tiny else full

    def rate(self, function: Callable[[], object]) -> Rate:
        """Calls `function` again and again: at first to warm up and to see how often it fits."""
        if self.tiny:
            return self.repeat(3, function)
        count, taken = 1, 0.0
        while taken < self.seconds / 8:
            count *= 2 if taken else 1
            taken = self.repeat(count, function).seconds
        return self.repeat(max(1, int(count * self.seconds / taken)), function)

    def repeat(self, count: int, function: Callable[[], object]) -> Rate:
        """Calls `function` that many times."""

        def loop() -> None:
            for _ in range(count):
                function()

        return self.batch(count, loop)

    def batch(self, count: int, function: Callable[[], object]) -> Rate:
        """Calls `function` once, which makes that many calls."""
        with self.cpu() as cpu:
            begin = time.perf_counter()
            function()
            taken = time.perf_counter() - begin
        return Rate(count / taken, cpu[0] / count, taken)

    def batches(self, count: int, function: Callable[[], object]) -> Rate:
        """Calls `function`, which makes `count` calls, as often as fits, and at least twice: the first warms up."""
        rate = self.rate(function)
        return Rate(rate.calls * count, rate.cpu / count, rate.seconds)

    @contextmanager
    def cpu(self) -> Iterator[list[float]]:
        """Fills the list with the CPU seconds that the block took in all processes of the system."""
        taken: list[float] = []
        here = os.getpid()
        before, own = processes.used(self.root, but=here), processes.cpu_seconds(here)
        yield taken
        # This process first: looking for the others takes milliseconds of its own time.
        own = processes.cpu_seconds(here) - own
        taken.append(own + processes.spent(before, processes.used(self.root, but=here)))

    def others(self) -> list[int]:
        """The system's processes but for this one and what started it."""
        return [pid for pid in processes.descendants(self.root) if pid not in self._own()]

    def _own(self) -> set[int]:
        return {os.getpid(), os.getppid()}

    def by_placement(self, function: Callable[[], object]) -> Numbers:
        """Calls a second where the kernel likes to put the processes, all on one core, this one on its own."""
        free = self.rate(function)
        here, *_, there = sorted(os.sched_getaffinity(0)) * 2
        numbers = free.rows()
        for row, core in (("one core", here), ("two cores", there)):
            where = dict.fromkeys(self.others(), core) | {os.getpid(): here}
            with processes.pinned(where):
                numbers[row] = self.rate(function).calls
        return numbers


def clock(function: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin
