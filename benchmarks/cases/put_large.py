"""Put of large arrays into memory that was used before."""

from __future__ import annotations

from collections import deque
from typing import Any

from goals import at_least, speed
from meter import Meter, Numbers, clock

MUST, AIM = at_least(0.8, "C"), [at_least(0.95, "C")]
ROWS = {
    "64 MiB": speed("put of 64 MiB, dropped each time", MUST, aim=AIM),
    "1 MiB": speed("put of 1 MiB, 1,000 times, 64 live", MUST, aim=AIM),
}
MIB = 1024 * 1024


def on_api(meter: Meter) -> Numbers:
    import numpy

    api = meter.api
    size = meter.some(64) * MIB
    large, small = numpy.ones(size, numpy.uint8), numpy.ones(MIB, numpy.uint8)
    live: deque[Any] = deque(maxlen=64)
    api.put(large)  # touches fresh pages

    def window(count: int) -> None:
        for _ in range(count):
            live.append(api.put(small))

    count = meter.some(1000)
    whole = size * meter.rate(lambda: api.put(large)).calls
    window(count)
    return {"64 MiB": whole, "1 MiB": count * MIB / clock(lambda: window(count))}


def on_multiprocessing(meter: Meter) -> Numbers:
    """By hand: a block of shared memory for each array, unlinked each time."""
    from multiprocessing.shared_memory import SharedMemory

    import numpy

    size = meter.some(64) * MIB
    large = numpy.ones(size, numpy.uint8)

    def put() -> None:
        block = SharedMemory(create=True, size=size)
        numpy.copyto(numpy.ndarray(size, numpy.uint8, block.buf), large)
        block.close()
        block.unlink()

    return {"64 MiB": size * meter.rate(put).calls}


def on_dask(meter: Meter) -> Numbers:
    import numpy

    size = meter.some(64) * MIB
    large = numpy.ones(size, numpy.uint8)
    return {"64 MiB": size * meter.rate(lambda: meter.client.scatter(large, hash=False)).calls}
