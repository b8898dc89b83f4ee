"""One call of an actor at a time: make it, wait for its result."""

from __future__ import annotations

from goals import at_least, cpu, rate
from meter import Meter, Numbers
from work import Counter

ROWS = {
    "calls": rate("synchronous actor call", at_least(0.3, "P1"), at_least(2, "P2"), aim=[at_least(0.7, "P1")]),
    "cpu": cpu(),
    "one core": rate("  all on one core"),
    "two cores": rate("  on two cores"),
}


def on_shoal(meter: Meter) -> Numbers:
    api = meter.api
    counter = api.remote(Counter).remote()
    return meter.by_placement(lambda: api.get(counter.next.remote()))


def on_ray(meter: Meter) -> Numbers:
    api = meter.api
    counter = api.remote(Counter).remote()
    return meter.rate(lambda: api.get(counter.next.remote())).rows()


def on_multiprocessing(meter: Meter) -> Numbers:
    """A manager's process holds the object; a proxy calls it."""
    from multiprocessing.managers import BaseManager

    class Manager(BaseManager):
        pass

    Manager.register("Counter", Counter)
    with Manager() as manager:
        counter = manager.Counter()  # type: ignore[attr-defined]
        return meter.rate(lambda: counter.next()).rows()


def on_dask(meter: Meter) -> Numbers:
    counter = meter.client.submit(Counter, actor=True).result()
    return meter.rate(lambda: counter.next().result()).rows()
