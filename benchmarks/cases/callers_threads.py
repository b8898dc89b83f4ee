"""Four threads of one process submit tasks at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from meter import Meter, Numbers
from together import call_for, numbers, rows, warm_up
from work import nothing

ROWS = rows("one submitting thread", "four threads")


def on_api(meter: Meter) -> Numbers:
    api = meter.api
    task = api.remote(nothing)

    def measure(count: int, kind: str) -> float:
        warm = Barrier(count)

        def caller() -> float:
            warm_up(task.remote, api.get)
            warm.wait()
            return call_for(meter.seconds, kind, task.remote, api.get)

        with ThreadPoolExecutor(count) as threads:
            callers = [threads.submit(caller) for _ in range(count)]
            return sum(caller.result() for caller in callers)

    return numbers(measure)
