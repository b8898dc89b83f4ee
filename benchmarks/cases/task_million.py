"""1,000,000 tasks queued, then drained, and the most memory that the driver takes meanwhile, references included."""

from __future__ import annotations

from pathlib import Path

from goals import Row, at_most, cpu, seconds
from meter import Meter, Numbers
from work import nothing

ROWS = {
    "time": seconds("1,000,000 tasks queued and drained", at_most(15), aim=[at_most(7.5)]),
    "cpu": cpu(),
    "memory": Row("  the driver's memory, a task", "bytes", must=(at_most(1024),), aim=(at_most(512),)),
}
ALONE, SLOW, ROUNDS, LIMIT = True, True, 3, 90


def peak() -> int:
    """The most memory that this process has had, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError("no VmHWM in /proc/self/status")


def on_shoal(meter: Meter) -> Numbers:
    api, count = meter.api, meter.some(1_000_000)
    task = api.remote(nothing)
    api.get([task.remote() for _ in range(100)])
    before = peak()
    rate = meter.batch(count, lambda: api.get([task.remote() for _ in range(count)]))
    return {"time": rate.seconds, "cpu": rate.cpu, "memory": (peak() - before) / count}
