"""What an instance takes when nothing has been called for 15 seconds: memory, and wake-ups in 10 more."""

from __future__ import annotations

import os
import sys
import threading
import time

import processes
from goals import Row, at_most, memory
from meter import Meter, Numbers
from work import nothing

WAIT, WATCH = 15, 10
ROWS = {
    "daemons": memory("idle: memory of daemon + zygote", at_most(60), aim=[at_most(30)]),
    "others": memory("  of all but the driver"),
    "wake-ups": Row("  wake-ups of everything in 10 s", "", must=(at_most(0),)),
}
ALONE, SLOW, ROUNDS = True, True, 1


def measure(meter: Meter) -> Numbers:
    """Counts all threads but the one that measures."""
    mine = {threading.get_native_id()}
    time.sleep(0.1 if meter.tiny else WAIT)
    pids = [os.getpid(), *meter.others()]
    before = {name: count for pid in pids for name, count in processes.sleeps(pid, mine).items()}
    time.sleep(0.1 if meter.tiny else WATCH)
    woken = {}
    for pid in pids:
        for name, count in processes.sleeps(pid, mine).items():
            if count != before.get(name, 0):
                woken[name] = count - before.get(name, 0)
    for name, count in sorted(woken.items(), key=lambda item: -item[1])[:10]:
        print(f"woken {count} times while idle: {name}", file=sys.stderr)
    return {"others": sum(map(processes.pss, meter.others())), "wake-ups": sum(woken.values())}


def on_shoal(meter: Meter) -> Numbers:
    api = meter.api
    api.get([api.remote(nothing).remote() for _ in range(100)])
    found = measure(meter)
    daemons = [pid for pid in meter.others() if "node.py" in processes.command(pid)]
    zygotes = [pid for pid in meter.others() if processes.parent(pid) in daemons]
    assert daemons and zygotes, [processes.command(pid) for pid in meter.others()]
    return found | {"daemons": sum(map(processes.pss, daemons + zygotes))}


def on_ray(meter: Meter) -> Numbers:
    api = meter.api
    api.get([api.remote(nothing).remote() for _ in range(100)])
    return measure(meter)


def on_multiprocessing(meter: Meter) -> Numbers:
    meter.pool.map(nothing, range(100))
    return measure(meter)


def on_futures(meter: Meter) -> Numbers:
    list(meter.pool.map(nothing, range(100)))
    return measure(meter)


def on_dask(meter: Meter) -> Numbers:
    meter.client.gather(meter.client.map(nothing, range(100), pure=False))
    return measure(meter)
