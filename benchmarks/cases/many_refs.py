"""Many references at once: in a `get`, in a value, as arguments, as returns."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from goals import at_most, seconds
from meter import Meter, Numbers, clock
from work import nothing

MUST, AIM = at_most(0.1), [at_most(0.03)]
ROWS = {
    "get": seconds("get of a list of 10,000 references", MUST, aim=AIM),
    "held": seconds("put and get of a value that holds 10,000 references", MUST, aim=AIM),
    "held by a task": seconds("  a task that takes such a value", MUST, aim=AIM),
    "arguments": seconds("10,000 reference arguments", MUST, aim=AIM),
    "returns": seconds("3,000 returns", MUST, aim=AIM),
}
TIMES = 3  # once elsewhere: 10,000 puts are ten seconds of Ray's


def on_api(meter: Meter) -> Numbers:
    api = meter.api
    many, returns = meter.some(10_000), meter.some(3000)
    task = api.remote(nothing)
    split: Any = api.remote(num_returns=returns)(lambda: range(returns))

    sets = [
        [api.put(i) for i in range(many)] for _ in range(TIMES if meter.system == "shoal" and not meter.tiny else 1)
    ]

    def typical(function: Callable[[list[Any]], object]) -> float:
        return statistics.median(clock(lambda refs=refs: function(refs)) for refs in sets)  # type: ignore[misc]

    api.get([task.remote(), *split.remote()])
    return {
        "get": typical(api.get),
        "held": typical(lambda refs: api.get(api.put(refs))),
        "held by a task": typical(lambda refs: api.get(task.remote(refs))),
        "arguments": typical(lambda refs: api.get(task.remote(*refs))),
        "returns": typical(lambda _: api.get(split.remote())),
    }


def on_dask(meter: Meter) -> Numbers:
    client, many = meter.client, meter.some(10_000)
    futures = client.scatter(list(range(many)), hash=False)
    return {
        "get": clock(lambda: client.gather(futures)),
        "arguments": clock(lambda: client.submit(nothing, *futures, pure=False).result()),
    }
