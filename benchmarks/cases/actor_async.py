"""1,000 calls at once of an actor whose methods are coroutines."""

from __future__ import annotations

from goals import BUSY, at_most, cpu, rate
from meter import Meter, Numbers
from work import AsyncCounter

ROWS = {"calls": rate("async actor, 1,000 calls at once", BUSY), "cpu": cpu(at_most(30), aim=[at_most(15)])}


def on_api(meter: Meter) -> Numbers:
    api, count = meter.api, meter.some(1000)
    counter = api.remote(AsyncCounter).remote()
    return meter.batches(count, lambda: api.get([counter.next.remote() for _ in range(count)])).rows()


def on_dask(meter: Meter) -> Numbers:
    count = meter.some(1000)
    counter = meter.client.submit(AsyncCounter, actor=True).result()
    return meter.batches(count, lambda: [f.result() for f in [counter.next() for _ in range(count)]]).rows()
