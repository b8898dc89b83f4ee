"""Calls of one actor submitted at once, then all results."""

from __future__ import annotations

from goals import BUSY, at_most, cpu, rate
from meter import Meter, Numbers
from work import Counter

ROWS = {"calls": rate("1,000 pipelined actor calls", BUSY), "cpu": cpu(at_most(14), aim=[at_most(8)])}


def on_api(meter: Meter) -> Numbers:
    api, count = meter.api, meter.some(1000)
    counter = api.remote(Counter).remote()
    return meter.batches(count, lambda: api.get([counter.next.remote() for _ in range(count)])).rows()


def on_dask(meter: Meter) -> Numbers:
    count = meter.some(1000)
    counter = meter.client.submit(Counter, actor=True).result()
    return meter.batches(count, lambda: [f.result() for f in [counter.next() for _ in range(count)]]).rows()
