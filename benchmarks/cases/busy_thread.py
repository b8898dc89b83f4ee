"""A thread that computes in Python beside one that calls: each wait for the interpreter's lock can cost 5 ms."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from goals import at_least, rate
from meter import Meter, Numbers
from together import call_for, warm_up
from work import Counter, nothing

ROWS = {
    "tasks": rate("synchronous tasks beside a busy thread", at_least(2000)),
    "calls": rate("  synchronous actor calls", at_least(2000)),
}


@contextmanager
def busy() -> Iterator[None]:
    """Computes in a thread."""
    over = threading.Event()

    def compute() -> None:
        n = 0
        while not over.is_set():
            for _ in range(1000):
                n = n * 7 % 1_000_003

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def calls(meter: Meter, submit: Callable[[], Any], get: Callable[[Any], object]) -> float:
    with busy():
        warm_up(submit, get)
        return call_for(meter.seconds, "synchronous", submit, get)


def on_api(meter: Meter) -> Numbers:
    api = meter.api
    task, counter = api.remote(nothing), api.remote(Counter).remote()
    return {"tasks": calls(meter, task.remote, api.get), "calls": calls(meter, counter.next.remote, api.get)}


def on_multiprocessing(meter: Meter) -> Numbers:
    return {"tasks": calls(meter, lambda: meter.pool.apply_async(nothing), lambda result: result.get())}


def on_futures(meter: Meter) -> Numbers:
    return {"tasks": calls(meter, lambda: meter.pool.submit(nothing), lambda future: future.result())}


def on_dask(meter: Meter) -> Numbers:
    return {"tasks": calls(meter, lambda: meter.client.submit(nothing, pure=False), lambda future: future.result())}
