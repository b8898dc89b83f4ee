"""1,000 actors that take no CPU, started and called, and what one takes when it idles."""

from __future__ import annotations

from cases.actors_10 import measure
from goals import at_most, memory, seconds
from meter import Meter, Numbers

ROWS = {
    "ready": seconds("1,000 actors, ready", at_most(10), aim=[at_most(5)]),
    "memory": memory("  memory of one, idle", at_most(8), aim=[at_most(4)]),
}
ALONE, SLOW, ROUNDS, LIMIT = True, True, 1, 90


def on_shoal(meter: Meter) -> Numbers:
    return measure(meter, meter.some(1000))
