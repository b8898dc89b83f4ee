"""Four drivers of one instance submit tasks at the same time."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

from meter import Meter, Numbers
from together import call_for, numbers, rows, warm_up
from work import nothing

ROWS = rows("one driver", "four drivers")
LIMIT = 90


def on_api(meter: Meter) -> Numbers:
    def measure(count: int, kind: str) -> float:
        command = [sys.executable, "-m", "cases.callers_drivers", meter.system, meter.address, kind, str(meter.seconds)]
        drivers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
        ]
        for driver in drivers:
            assert driver.stdout and driver.stdout.readline() == "ready\n"
        for driver in drivers:
            assert driver.stdin
            driver.stdin.close()
        total = 0.0
        for driver in drivers:
            assert driver.stdout
            with driver.stdout:
                total += float(driver.stdout.read())
            assert driver.wait() == 0
        return total

    return numbers(measure)


def main(system: str, address: str, kind: str, seconds: float) -> None:
    """A driver: joins, warms up, says that it is ready, begins at end-of-file on its input, says its calls a second."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    api = importlib.import_module(system)
    api.init(address=address)
    task = api.remote(nothing)
    warm_up(task.remote, api.get)
    print("ready", file=answers, flush=True)
    sys.stdin.read()
    print(call_for(seconds, kind, task.remote, api.get), file=answers, flush=True)
    api.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))
