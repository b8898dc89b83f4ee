"""A process dies at each numbered store and send: the program ends with right answers or a documented error.

The points are the table of `crates/shoal-crash`, printed by `python tests/chaos/test_crash_points.py`. Once in a
program one process dies at one of them. Nothing may hang, and nothing may stay behind. The long form
(`SHOAL_CHAOS_ROUNDS`) tries each point in every other kind of process, too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from support.programs import Run

TABLE = Path(__file__).parents[2] / "crates/shoal-crash/src/points.rs"
ROW = re.compile(r'^\s+(\d+) "([\w.]+)" (driver|worker|daemon) "(.*)";$', re.MULTILINE)
SECONDS = 30
SIGABRT = 6


class Point(NamedTuple):
    """A row of the table."""

    number: int
    name: str
    process: str
    text: str


POINTS = [Point(int(number), *rest) for number, *rest in ROW.findall(TABLE.read_text())]

NOT_PASSED = {"writer.dropped", "spill.kept"}
"""What only a failing copy comes to, or a pin in the nick of time: the tests of shoal-store do."""

KINDS = ("driver", "worker", "daemon")
OTHERS = [
    point._replace(process=kind)
    for point in POINTS
    for kind in KINDS
    if kind != point.process and "SHOAL_CHAOS_ROUNDS" in os.environ
]

PROGRAM = """
import json
import sys
import time

import shoal
from shoal.core import _ffi
from shoal.exceptions import RayError

DOCUMENTED = (
    "WorkerCrashedError", "ActorDiedError", "ActorUnavailableError", "OwnerDiedError", "ObjectLostError",
    "LocalRayletDiedError", "RaySystemError",
)


@shoal.remote(max_retries=3)
def add(a, b):
    return a + b


@shoal.remote(max_retries=3)
def large(n):
    return bytearray(b"x" * n)


@shoal.remote(max_retries=3)
def length(value):
    return len(value)


@shoal.remote(max_retries=3)
def nested(refs):
    return [shoal.put(bytearray(200_000)), sum(shoal.get(refs))]


@shoal.remote(max_retries=3)
def nap(seconds):
    time.sleep(seconds)
    return 1


@shoal.remote(max_retries=3)
def churn():
    for _ in range(200):
        shoal.put(bytearray(1_000_000))
    return 1


@shoal.remote(max_restarts=2, max_task_retries=2)
class Keeper:
    def __init__(self, refs):
        self.refs = refs

    def keep(self, refs):
        self.refs += refs
        return len(refs)

    def first(self):
        return shoal.get(self.refs[0])


def check(name, work, right):
    try:
        got = work()
    except (RayError, RuntimeError) as error:
        names = {cls.__name__ for cls in type(error).__mro__}
        names |= {cls.__name__ for cls in type(error.__cause__).__mro__}
        assert names & set(DOCUMENTED), f"{name}: {type(error)}: {error}"
        print("error", name, type(error).__name__)
    else:
        assert got == right, f"{name}: {got!r}, not {right!r}"
        print("right", name)


def get(ref):
    return shoal.get(ref, timeout=20)


def keeper():
    actor = Keeper.remote([one])
    return get([actor.keep.remote([one]), actor.first.remote()])


def left():
    end = time.monotonic() + 60
    while (objects := json.loads(_ffi.status())["object_store"]["objects"]) and time.monotonic() < end:
        time.sleep(0.05)
    return objects


def spilled():
    blocks = [shoal.put(bytearray(bytes([n]) * 6_000_000)) for n in range(20)]
    return [[get(length.remote(block)) for block in blocks[:3]], [get(block)[-1] for block in blocks]]


try:
    shoal.init(num_cpus=2, object_store_memory=64 << 20)
    one = shoal.put(1)
except (RayError, RuntimeError) as error:
    print("error", type(error).__name__)
    sys.exit(0)
check("tasks", lambda: get([add.remote(i, one) for i in range(50)]), list(range(1, 51)))
check("large", lambda: get(length.remote(large.remote(400_000))), 400_000)
check("got", lambda: len(get(large.remote(300_000))), 300_000)
check("nested", lambda: get(nested.remote([one, add.remote(1, 1)]))[1], 3)
check("inner", lambda: len(get(get(nested.remote([one]))[0])), 200_000)
check("actor", keeper, [1, 1])
check("churn", lambda: get(churn.remote()), 1)
check("quick", lambda: get([nap.remote(0) for _ in range(50)]), [1] * 50)
check("behind a slow one", lambda: get([nap.remote(s) for s in (0.05, 0.05, *[0] * 40)]), [1] * 42)
check("spilled", spilled, [[6_000_000] * 3, list(range(20))])
check("larger than the arena", lambda: len(get(shoal.put(bytearray(70_000_000)))), 70_000_000)
# Longer than a lease is kept without work.
time.sleep(0.4)
del one
check("the arena", left, 0)
shoal.shutdown()
print("end")
"""


@pytest.mark.parametrize("point", [*POINTS, *OTHERS], ids=lambda point: f"{point.name}-{point.process}")
def test_a_death_there_costs_what_is_documented(point: Point, shoal_run: Callable[..., Run], tmp_path: Path) -> None:
    died = tmp_path / "died"
    armed = {"SHOAL_CRASH_POINT": point.name, "SHOAL_CRASH_PROCESS": point.process, "SHOAL_CRASH_ONCE": str(died)}
    run = shoal_run(PROGRAM, env=armed, timeout=SECONDS, check=False)
    assert died.exists() or point.name in NOT_PASSED or point in OTHERS, f"it was not passed\n{run}"
    if point.process == "driver" and died.exists():
        assert run.returncode == -SIGABRT, run
        return
    assert run.returncode == 0, run
    # Tasks are tried again, so one dead worker costs no answer but what it owned itself.
    if point.process == "worker":
        errors = re.findall(r"^error (.*)$", run.stdout, re.MULTILINE)
        assert set(errors) <= {"inner OwnerDiedError", "inner ObjectLostError"}, run


if __name__ == "__main__":
    for number, name, process, text in POINTS:
        print(f"{number:>3}  {name:20} {process:7} {text}")
