"""Get of a stored array of 64 MiB in another process: the first time there, and again."""

from __future__ import annotations

import statistics
import time
from typing import Any

from goals import at_most, micros
from meter import Meter, Numbers

ROWS = {
    "first": micros("get of 64 MiB, first in a process", at_most(50), aim=[at_most(25)]),
    "again": micros("  again", at_most(10), aim=[at_most(5)]),
    "here": micros("  where it was put"),
}
MIB = 1024 * 1024


def on_api(meter: Meter) -> Numbers:
    import numpy

    api = meter.api
    array = numpy.ones(meter.some(64) * MIB, numpy.uint8)

    class Reader:
        def __init__(self) -> None:
            import numpy  # noqa: F401 - its import is no part of a get

        def read(self, held: list[Any]) -> tuple[float, float]:
            begin = time.perf_counter()
            api.get(held[0])
            first = time.perf_counter() - begin
            again = []
            for _ in range(50):
                begin = time.perf_counter()
                api.get(held[0])
                again.append(time.perf_counter() - begin)
            return first, statistics.median(again)

    reader: Any = api.remote(num_cpus=0)(Reader)
    ref = api.put(array)
    times = []
    for _ in range(meter.some(5)):
        actor = reader.remote()
        times.append(api.get(actor.read.remote([ref])))
        api.kill(actor)
    first, again = (statistics.median(column) for column in zip(*times, strict=True))
    return {"first": first, "again": again, "here": 1 / meter.rate(lambda: api.get(ref)).calls}


def on_multiprocessing(meter: Meter) -> Numbers:
    """By hand: a worker of the pool attaches a block of shared memory."""
    from multiprocessing.shared_memory import SharedMemory

    block = SharedMemory(create=True, size=meter.some(64) * MIB)
    first = statistics.median(meter.pool.apply(attach, (block.name,)) for _ in range(5))
    block.close()
    block.unlink()
    return {"first": first}


def attach(name: str) -> float:
    from multiprocessing.shared_memory import SharedMemory

    begin = time.perf_counter()
    block = SharedMemory(name)
    taken = time.perf_counter() - begin
    block.close()
    return taken
