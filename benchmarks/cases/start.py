"""From nothing to a first result, in a fresh process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from goals import at_most, seconds
from meter import Meter, Numbers

ROWS = {
    "import": seconds("import", at_most(0.1), aim=[at_most(0.05)]),
    "init": seconds("init", at_most(0.15), aim=[at_most(0.075)]),
    "result": seconds("from init to the first result", at_most(0.3), aim=[at_most(0.15)]),
}
STARTS_ITSELF = True
TIMES = 3

PROGRAM = """
import json, os, sys, time
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
if __name__ == "__main__":
    a = time.perf_counter()
    {load}
    b = time.perf_counter()
    {start}
    c = time.perf_counter()
    {call}
    d = time.perf_counter()
    json.dump([b - a, c - b, d - b], answers)
    answers.flush()
    {end}
"""


def measure(meter: Meter, load: str, start: str, call: str, end: str) -> Numbers:
    program = PROGRAM.format(load=load, start=start, call=call, end=end)
    command = [sys.executable, "-c", program]
    times = [json.loads(subprocess.check_output(command)) for _ in range(1 if meter.tiny else TIMES)]
    return dict(zip(ROWS, map(statistics.median, zip(*times, strict=True)), strict=True))


def on_shoal(meter: Meter) -> Numbers:
    return measure(
        meter, "import shoal", "shoal.init('local')", "shoal.get(shoal.remote(lambda: 1).remote())", "shoal.shutdown()"
    )


def on_ray(meter: Meter) -> Numbers:
    return measure(
        meter, "import ray", "ray.init('local')", "ray.get(ray.remote(lambda: 1).remote())", "ray.shutdown()"
    )


def on_multiprocessing(meter: Meter) -> Numbers:
    return measure(
        meter, "import multiprocessing", "pool = multiprocessing.Pool()", "pool.apply(int)", "pool.terminate()"
    )


def on_futures(meter: Meter) -> Numbers:
    return measure(
        meter,
        "from concurrent.futures import ProcessPoolExecutor",
        "pool = ProcessPoolExecutor()",
        "pool.submit(int).result()",
        "pool.shutdown()",
    )


def on_dask(meter: Meter) -> Numbers:
    return measure(
        meter,
        "import distributed",
        "client = distributed.Client(dashboard_address=None)",
        "client.submit(int).result()",
        "client.shutdown()",
    )
