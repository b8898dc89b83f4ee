"""10 actors started and called, and what one takes when it idles."""

from __future__ import annotations

import statistics

import processes
from goals import at_most, memory, seconds
from meter import Meter, Numbers, clock
from work import Counter

ROWS = {
    "ready": seconds("10 actors, ready", at_most(0.1), aim=[at_most(0.05)]),
    "memory": memory("  memory of one, idle", at_most(8), aim=[at_most(4)]),
}
COUNT = 10


def measure(meter: Meter, count: int) -> Numbers:
    api = meter.api
    cls = api.remote(num_cpus=0)(Counter)
    actors = []

    def start() -> None:
        actors.extend(cls.remote() for _ in range(count))
        assert api.get([actor.next.remote() for actor in actors]) == [1] * count

    ready = clock(start)
    memory = statistics.median(map(processes.pss, api.get([actor.pid.remote() for actor in actors])))
    for actor in actors:
        api.kill(actor)
    return {"ready": ready, "memory": memory}


def on_api(meter: Meter) -> Numbers:
    return measure(meter, meter.some(COUNT))
