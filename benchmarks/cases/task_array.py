"""A function called for each of 1,000,000 small items, by what each system has for that."""

from __future__ import annotations

from goals import at_most, cpu, rate
from meter import Meter, Numbers
from work import nothing

ROWS = {"calls": rate("task array of 1,000,000 items, an item"), "cpu": cpu(at_most(3), aim=[at_most(1)])}
COUNT = 1_000_000


def on_shoal(meter: Meter) -> Numbers:
    task, count = meter.api.remote(nothing), meter.some(COUNT)
    for _ in task.map(range(20_000)):
        pass
    return meter.batch(count, lambda: sum(1 for _ in task.map(range(count)))).rows()


def on_multiprocessing(meter: Meter) -> Numbers:
    """`Pool.map` cuts the items into four chunks a worker."""
    count = meter.some(COUNT)
    return meter.batch(count, lambda: meter.pool.map(nothing, range(count))).rows()


def on_futures(meter: Meter) -> Numbers:
    """`map` sends single items unless told otherwise; told to send 4,096 here, the most that shoal takes."""
    count = meter.some(COUNT)
    return meter.batch(count, lambda: sum(1 for _ in meter.pool.map(nothing, range(count), chunksize=4096))).rows()


def on_dask(meter: Meter) -> Numbers:
    """`Client.map` makes a task of each item: 2,000 of them here."""
    client, count = meter.client, meter.some(2_000)
    return meter.batch(count, lambda: client.gather(client.map(nothing, range(count), pure=False))).rows()
