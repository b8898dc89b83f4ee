"""Three functions called in turn, one at a time: a lease serves them all."""

from __future__ import annotations

from goals import at_least, cpu, rate
from meter import Meter, Numbers
from work import first, second, third

ROWS = {
    "calls": rate("three functions called in turn, a call", at_least(0.25, "P1"), aim=[at_least(0.6, "P1")]),
    "cpu": cpu(),
}
FUNCTIONS = (first, second, third)


def on_api(meter: Meter) -> Numbers:
    api = meter.api
    tasks = [api.remote(function) for function in FUNCTIONS]

    def turn() -> None:
        assert [api.get(task.remote()) for task in tasks] == [1, 2, 3]

    return meter.batches(3, turn).rows()


def on_multiprocessing(meter: Meter) -> Numbers:
    return meter.batches(3, lambda: [meter.pool.apply(function) for function in FUNCTIONS]).rows()


def on_futures(meter: Meter) -> Numbers:
    return meter.batches(3, lambda: [meter.pool.submit(function).result() for function in FUNCTIONS]).rows()


def on_dask(meter: Meter) -> Numbers:
    submit = meter.client.submit
    return meter.batches(3, lambda: [submit(function, pure=False).result() for function in FUNCTIONS]).rows()
