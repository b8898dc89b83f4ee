"""`wait` over many references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from goals import at_least, at_most, rate, seconds
from meter import Meter, Numbers, clock
from work import nothing

ROWS = {
    "ready": rate("wait over 1,000 ready, for one", at_least(20_000), aim=[at_least(40_000)]),
    "all ready": rate("  for all of them", at_least(20_000), aim=[at_least(40_000)]),
    "running": rate("loop of wait that drains 1,000 running, a reference", at_least(50_000), aim=[at_least(100_000)]),
    "one by one": seconds("loop of wait over 10,000 ready, one by one", at_most(0.5), aim=[at_most(0.25)]),
}


def on_api(meter: Meter) -> Numbers:
    api = meter.api
    task = api.remote(nothing)
    count, many = meter.some(1000), meter.some(10_000)

    def drain(refs: Sequence[Any]) -> None:
        rest = list(refs)
        while rest:
            _, rest = api.wait(rest)

    ready = [api.put(i) for i in range(count)]
    more = [api.put(i) for i in range(many)]
    return {
        "ready": meter.rate(lambda: api.wait(ready)).calls,
        "all ready": meter.rate(lambda: api.wait(ready, num_returns=count)).calls,
        "running": meter.batches(count, lambda: drain([task.remote() for _ in range(count)])).calls,
        "one by one": clock(lambda: drain(more)),
    }


def on_futures(meter: Meter) -> Numbers:
    from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, wait

    submit, count = meter.pool.submit, meter.some(1000)

    def drain() -> None:
        rest = {submit(nothing) for _ in range(count)}
        while rest:
            rest = wait(rest, return_when=FIRST_COMPLETED).not_done

    ready = [submit(nothing) for _ in range(count)]
    wait(ready)
    return {
        "ready": meter.rate(lambda: wait(ready, return_when=FIRST_COMPLETED)).calls,
        "all ready": meter.rate(lambda: wait(ready, return_when=ALL_COMPLETED)).calls,
        "running": meter.batches(count, drain).calls,
    }


def on_dask(meter: Meter) -> Numbers:
    """Drains 200: 1,000 take it half a minute."""
    wait: Any = __import__("distributed").wait
    submit, count, few = meter.client.submit, meter.some(1000), meter.some(200)

    def drain() -> None:
        rest = [submit(nothing, pure=False) for _ in range(few)]
        while rest:
            rest = list(wait(rest, return_when="FIRST_COMPLETED").not_done)

    ready = [submit(nothing, pure=False) for _ in range(count)]
    wait(ready)
    return {
        "ready": meter.rate(lambda: wait(ready, return_when="FIRST_COMPLETED")).calls,
        "all ready": meter.rate(lambda: wait(ready)).calls,
        "running": meter.batches(few, drain).calls,
    }
