"""The machine's clock is set back and forward while an instance runs (libfaketime): deadlines don't move."""

from __future__ import annotations

from pathlib import Path

import pytest

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
needs_faketime = pytest.mark.skipif(not LIBRARIES, reason="needs libfaketime (on Debian: apt-get install libfaketime)")

PROGRAM = """
import asyncio, json, os, sys, threading, time
import shoal

def set_clock(offset):
    with open(os.environ["FAKETIME_TIMESTAMP_FILE"] + ".new", "w") as file:
        file.write(offset)
    os.replace(file.name, os.environ["FAKETIME_TIMESTAMP_FILE"])

def while_it_jumps(call):
    # Seconds that a call takes while the clock is set back by a day, then forward by two.
    begun, wall = time.monotonic(), time.time()
    back = threading.Timer(0.2, set_clock, ("-1d",))
    forward = threading.Timer(0.5, set_clock, ("+1d",))
    back.start(), forward.start()
    call()
    seconds = time.monotonic() - begun
    back.join(), forward.join()
    assert abs(time.time() - wall) > 80_000, "the clock is not set"
    set_clock("+0d")
    # A deadline that moved with the clock would be a day off, or gone at once.
    return 0.9 < seconds < 30

@shoal.remote
def wall():
    return time.time()

@shoal.remote
def pid():
    return os.getpid()

@shoal.remote
class Never:
    def comes(self):
        threading.Event().wait()

def expires(call):
    try:
        call()
    except (shoal.exceptions.GetTimeoutError, TimeoutError):
        return
    raise AssertionError("it came")

async def awaits(ref):
    await asyncio.wait_for(ref, 1.0)

shoal.init(num_cpus=2)
from shoal.core import _ffi
status = lambda: json.loads(_ffi.status())
shoal.get(wall.remote())
set_clock("-1d")
print("seen in workers", abs(shoal.get(wall.remote()) - time.time()) < 3600)
set_clock("+0d")
never = Never.options(num_cpus=0).remote().comes.remote()
print("get", while_it_jumps(lambda: expires(lambda: shoal.get(never, timeout=1.0))))
print("wait", while_it_jumps(lambda: shoal.wait([never], timeout=1.0)))
print("await", while_it_jumps(lambda: expires(lambda: asyncio.run(awaits(never)))))
print("future", while_it_jumps(lambda: expires(lambda: never.future().result(timeout=1.0))))

# A kept lease goes back after 200 ms without work, though the clock stands a day back.
shoal.get([pid.remote() for _ in range(8)])
set_clock("-1d")
end = time.monotonic() + 20
while status()["workers"]["leased"] and time.monotonic() < end:
    threading.Event().wait(0.02)
print("leases", status()["workers"]["leased"])

# Idle workers beyond twice the CPUs end after 5 s; one more is the actor.
nested = shoal.remote(lambda depth: shoal.get(nested.remote(depth - 1)) if depth else 0)
shoal.get(nested.remote(8), timeout=30)
set_clock("+1d")
workers = lambda: sum(p["kind"] == "worker" for p in status()["processes"])
begun, many = time.monotonic(), workers()
while workers() > 5 and time.monotonic() < begun + 20:
    threading.Event().wait(0.1)
print("retired", many > 5, workers() <= 5, time.monotonic() - begun > 3)
print("goes on", len(shoal.get([pid.remote() for _ in range(50)], timeout=20)))
shoal.shutdown()
"""


@needs_faketime
def test_no_deadline_moves_when_the_clock_is_set(shoal_run, tmp_path):
    clock = tmp_path / "clock"
    clock.write_text("+0d")
    run = shoal_run(
        PROGRAM,
        env={
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        },
        timeout=80,
    )
    assert run.stdout.splitlines() == [
        "seen in workers True",
        "get True",
        "wait True",
        "await True",
        "future True",
        "leases 0",
        "retired True True True",
        "goes on 50",
    ]
