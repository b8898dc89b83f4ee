"""A chain of 100 tasks, each with the result of the one before as its argument; the last result is waited for."""

from __future__ import annotations

from goals import at_least, cpu, rate
from meter import Meter, Numbers
from work import add_one

ROWS = {
    "calls": rate("chain of 100 dependent tasks, a call", at_least(0.25, "P1"), aim=[at_least(0.6, "P1")]),
    "cpu": cpu(),
}
LENGTH = 100


def on_api(meter: Meter) -> Numbers:
    api = meter.api
    task = api.remote(add_one)

    def chain() -> None:
        value = 0
        for _ in range(LENGTH):
            value = task.remote(value)
        assert api.get(value) == LENGTH

    return meter.batches(LENGTH, chain).rows()


def on_multiprocessing(meter: Meter) -> Numbers:
    """A pool knows no dependencies: each result comes back to be sent again."""

    def chain() -> None:
        value = 0
        for _ in range(LENGTH):
            value = meter.pool.apply(add_one, (value,))
        assert value == LENGTH

    return meter.batches(LENGTH, chain).rows()


def on_futures(meter: Meter) -> Numbers:
    """An executor knows no dependencies: each result comes back to be sent again."""

    def chain() -> None:
        value = 0
        for _ in range(LENGTH):
            value = meter.pool.submit(add_one, value).result()
        assert value == LENGTH

    return meter.batches(LENGTH, chain).rows()


def on_dask(meter: Meter) -> Numbers:
    def chain() -> None:
        value = 0
        for _ in range(LENGTH):
            value = meter.client.submit(add_one, value, pure=False)
        assert value.result() == LENGTH  # type: ignore[attr-defined]

    return meter.batches(LENGTH, chain).rows()
