"""Four actors call four other actors at the same time."""

from __future__ import annotations

from typing import Any

from meter import Meter, Numbers
from together import call_for, numbers, rows, warm_up
from work import Counter

ROWS = rows("an actor that calls an actor", "four that call four")


def on_api(meter: Meter) -> Numbers:
    api, seconds = meter.api, meter.seconds

    class Caller:
        def __init__(self, counter: Any) -> None:
            self.counter = counter

        def warm_up(self) -> None:
            warm_up(self.counter.next.remote, api.get)

        def call(self, kind: str) -> float:
            return call_for(seconds, kind, self.counter.next.remote, api.get)

    def measure(count: int, kind: str) -> float:
        counters = [api.remote(num_cpus=0)(Counter).remote() for _ in range(count)]
        callers: Any = [api.remote(num_cpus=0)(Caller).remote(counter) for counter in counters]
        api.get([caller.warm_up.remote() for caller in callers])
        rates = api.get([caller.call.remote(kind) for caller in callers])
        for actor in counters + callers:
            api.kill(actor)
        return float(sum(rates))

    return numbers(measure)
