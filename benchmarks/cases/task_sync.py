"""One task at a time: submit it, wait for its result."""

from __future__ import annotations

import os

from goals import at_least, cpu, rate
from meter import Meter, Numbers
from work import nothing, where

ROWS = {
    "calls": rate("synchronous task", at_least(0.25, "P1"), at_least(2, "P2"), aim=[at_least(0.6, "P1")]),
    "cpu": cpu(),
    "one core": rate("  all on one core"),
    "two cores": rate("  on two cores"),
}


def on_shoal(meter: Meter) -> Numbers:
    task, api = meter.api.remote(nothing), meter.api
    assert api.get(api.remote(where).remote()) != os.getpid()
    return meter.by_placement(lambda: api.get(task.remote()))


def on_ray(meter: Meter) -> Numbers:
    task, api = meter.api.remote(nothing), meter.api
    return meter.rate(lambda: api.get(task.remote())).rows()


def on_multiprocessing(meter: Meter) -> Numbers:
    return meter.rate(lambda: meter.pool.apply(nothing)).rows()


def on_futures(meter: Meter) -> Numbers:
    return meter.rate(lambda: meter.pool.submit(nothing).result()).rows()


def on_dask(meter: Meter) -> Numbers:
    return meter.rate(lambda: meter.client.submit(nothing, pure=False).result()).rows()
