"""Hours of mixed work leave memory, descriptors and threads as they were.

`SHOAL_SOAK_SECONDS` says how long; `make soak` runs an hour. A short run can't tell a slope of a megabyte an hour from
the noise of an allocator: it has a bound on the growth itself.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from pathlib import Path

import pytest

from support.programs import run_command

SECONDS = float(os.environ.get("SHOAL_SOAK_SECONDS", "12"))
LONG = 1800.0
"""Seconds from which on the slope is judged."""
SLOPE = 1024.0
"""KiB an hour."""
GROWTH = 6 * 1024.0
"""KiB from the second quarter of a short run to its last."""
TESTS = Path(__file__).parents[1]
PROGRAM = TESTS / "support" / "soak.py"


def quarter(values: list[float], which: int) -> list[float]:
    size = len(values) // 4
    return values[which * size : (which + 1) * size]


@pytest.mark.timeout(SECONDS + 120)
def test_memory_descriptors_and_threads_stay_level():
    run = run_command(
        [sys.executable, PROGRAM, str(SECONDS), "1"], timeout=SECONDS + 90, env={"PYTHONPATH": str(TESTS)}
    )
    seen = json.loads(run.stdout.splitlines()[-1])
    samples = seen.pop("samples")
    print(f"{seen} in {SECONDS:g} s; {len(samples)} looks")
    assert seen["held"] == 0
    assert seen["steps"] > SECONDS and seen["killed"] > SECONDS / 10
    for name in ("driver", "daemon", "zygote"):
        series = {what: [s[name][what] for s in samples] for what in ("memory", "threads", "descriptors")}
        times = [s["at"] for s in samples]
        # The first quarter warms up.
        first = len(samples) // 4
        slope = 3600 * statistics.linear_regression(times[first:], series["memory"][first:]).slope
        before, after = (statistics.median(quarter(series["memory"], which)) for which in (1, 3))
        print(f"{name}: {before:.0f} KiB, then {after:.0f} KiB; {slope:.0f} KiB an hour")
        if SECONDS >= LONG:
            assert slope <= SLOPE, f"{name} grows by {slope:.0f} KiB an hour"
        assert after - before <= GROWTH, f"{name} has grown from {before:.0f} to {after:.0f} KiB"
        assert max(series["threads"][-first:]) <= max(series["threads"][: 2 * first]), name
        # Those of workers that come and go are among the daemon's.
        spare = 16 if name == "daemon" else 2
        assert max(series["descriptors"][-first:]) <= max(series["descriptors"][: 2 * first]) + spare, name
