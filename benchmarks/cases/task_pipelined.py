"""1,000 and 10,000 tasks submitted at once, then all results."""

from __future__ import annotations

from collections.abc import Callable

from goals import BUSY, at_least, at_most, cpu, rate
from meter import Meter, Numbers
from work import nothing

ROWS = {
    "calls": rate("1,000 pipelined tasks", BUSY),
    "cpu": cpu(at_most(20), aim=[at_most(10)]),
    "calls of 10,000": rate("10,000 pipelined tasks", at_least(0.6, "cores/cpu of 10,000")),
    "cpu of 10,000": cpu(at_most(20), aim=[at_most(10)]),
}


def both(meter: Meter, calls: Callable[[int], object]) -> Numbers:
    few, many = meter.some(1000), meter.some(10_000)
    numbers = meter.batches(few, lambda: calls(few)).rows()
    return numbers | meter.batches(many, lambda: calls(many)).rows("calls of 10,000", "cpu of 10,000")


def on_api(meter: Meter) -> Numbers:
    api = meter.api
    task = api.remote(nothing)
    return both(meter, lambda count: api.get([task.remote() for _ in range(count)]))


def on_multiprocessing(meter: Meter) -> Numbers:
    submit = meter.pool.apply_async
    return both(meter, lambda count: [result.get() for result in [submit(nothing) for _ in range(count)]])


def on_futures(meter: Meter) -> Numbers:
    submit = meter.pool.submit
    return both(meter, lambda count: [future.result() for future in [submit(nothing) for _ in range(count)]])


def on_dask(meter: Meter) -> Numbers:
    client = meter.client
    return both(meter, lambda count: client.gather([client.submit(nothing, pure=False) for _ in range(count)]))
