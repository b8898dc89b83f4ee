"""Four threads of one process submit tasks at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from meter import Meter, Numbers
from together import call_for, numbers, rows
from work import nothing

ROWS = rows("one submitting thread", "four threads")


def on_api(meter: Meter) -> Numbers:
    api = meter.api
    task = api.remote(nothing)

    def measure(count: int, kind: str) -> float:
        with ThreadPoolExecutor(count) as threads:
            callers = [threads.submit(call_for, meter.seconds, kind, task.remote, api.get) for _ in range(count)]
            return sum(caller.result() for caller in callers)

    return numbers(measure)
