"""A task that submits 500 tasks and gets their results; a call is one of the 500."""

from __future__ import annotations

from typing import Any

from goals import BUSY, at_most, cpu, rate
from meter import Meter, Numbers
from work import nothing

ROWS = {
    "calls": rate("nested fan-out of 500, a task", BUSY),
    "cpu": cpu(at_most(25), aim=[at_most(12)]),
}


def on_api(meter: Meter) -> Numbers:
    api, count = meter.api, meter.some(500)
    task = api.remote(nothing)

    def fan_out(count: int) -> int:
        return len(api.get([task.remote() for _ in range(count)]))

    outer: Any = api.remote(fan_out)

    def once() -> None:
        assert api.get(outer.remote(count)) == count

    return meter.batches(count, once).rows()


def on_dask(meter: Meter) -> Numbers:
    count = meter.some(500)

    def fan_out(count: int) -> int:
        from distributed import worker_client

        with worker_client() as client:
            return len(client.gather([client.submit(nothing, pure=False) for _ in range(count)]))

    return meter.batches(count, lambda: meter.client.submit(fan_out, count, pure=False).result()).rows()
