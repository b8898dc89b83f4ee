"""Put of 1,000 arrays of 1 MiB that all stay, in an instance that has stored nothing yet."""

from __future__ import annotations

from goals import at_least, speed
from meter import Meter, Numbers, clock

ROWS = {"1 MiB": speed("put of 1 MiB, 1,000 live, first time", at_least(0.9, "F"), aim=[at_least(0.95, "F")])}
ALONE = True
MIB = 1024 * 1024


def on_api(meter: Meter) -> Numbers:
    import numpy

    count, put = meter.some(1000), meter.api.put
    array = numpy.ones(MIB, numpy.uint8)
    return {"1 MiB": count * MIB / clock(lambda: [put(array) for _ in range(count)])}
