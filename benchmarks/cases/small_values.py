"""Put and get of a small value in one process."""

from __future__ import annotations

from goals import at_least, rate
from meter import Meter, Numbers

ROWS = {
    "put": rate("put of a small value", at_least(500_000), aim=[at_least(1_000_000)]),
    "get": rate("get of it", at_least(1_000_000), aim=[at_least(2_000_000)]),
}


def on_api(meter: Meter) -> Numbers:
    api = meter.api
    value = ("small", 1)
    ref = api.put(value)
    return {"put": meter.rate(lambda: api.put(value)).calls, "get": meter.rate(lambda: api.get(ref)).calls}


def on_dask(meter: Meter) -> Numbers:
    """Dask has no put that stays here; `scatter` sends the value to a worker."""
    client = meter.client
    values = [("small", 1)]  # a tuple or list is scattered item by item
    (future,) = client.scatter(values, hash=False)
    return {
        "put": meter.rate(lambda: client.scatter(values, hash=False)).calls,
        "get": meter.rate(lambda: future.result()).calls,
    }
