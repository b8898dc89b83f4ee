"""Hints on standard error: each once a process, only where it is sure, never where they are turned off."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from support.programs import Run
from support.streams import SHOWN

Runner = Callable[..., Run]

HEAD = (
    SHOWN
    + """
import time
import numpy as np
import shoal

shoal.init(num_cpus=CPUS)

@shoal.remote
def size(value, *more):
    return len(value)

@shoal.remote
def nothing():
    pass

@shoal.remote
def nap(seconds):
    time.sleep(seconds)
    return seconds
"""
)

COPIES = (
    HEAD
    + """
value = np.zeros(1 << 19)  # 4 MiB
print(sum(shoal.get([size.remote(value) for _ in range(20)])))
"""
)

SHORT = (
    HEAD
    + """
# A round on a CPU that others want, too, may take longer than these do.
for _ in range(ROUNDS):
    shoal.get([nothing.remote() for _ in range(8_000)])
    if sys.stderr.wait_for("hint", 0.3):
        break
"""
)

IN_TURN = (
    HEAD
    + """
# It is looked at each eighth, and told when it has gone on for 5 s.
for n in range(17):
    shoal.get(nap.remote(0.7 if 7 <= n < 15 else 0.02))
"""
)


def hints(run: Run) -> list[str]:
    return [line for line in run.stderr.splitlines() if line.startswith("shoal: hint: ")]


OFF = " (SHOAL_HINTS=0 turns hints off)"


def test_the_same_large_value_passed_again_and_again_is_to_be_put(shoal_run: Runner) -> None:
    run = shoal_run(COPIES.replace("CPUS", "2"))
    assert hints(run) == [
        "shoal: hint: the same value of 4.0 MiB was passed to size 5 times, and copied each time; ref = "
        f"shoal.put(value) copies it once, and size.remote(ref) passes it{OFF}"
    ]


def test_very_short_tasks_are_to_be_mapped(shoal_run: Runner) -> None:
    run = shoal_run(SHORT.replace("CPUS", "2").replace("ROUNDS", "50"))
    (told,) = hints(run)
    assert told.endswith(
        " calls of nothing took less than 10 µs each, less than it costs to send one; nothing.map(values) sends many "
        f"in one message{OFF}"
    )


def test_tasks_that_are_waited_for_one_by_one_are_to_be_called_together(shoal_run: Runner) -> None:
    run = shoal_run(IN_TURN.replace("CPUS", "3"))
    (told,) = hints(run)
    assert re.fullmatch(
        r"shoal: hint: 16 tasks in a row were each waited for before the next was called, while [23] CPUs were idle; "
        r"if they don't need each other's results, call all of them, then shoal\.get\(\[\.\.\.\]\) the list "
        r"\(SHOAL_HINTS=0 turns hints off\)",
        told,
    )


@pytest.mark.parametrize("program", [COPIES, SHORT], ids=["copies", "short"])
def test_hints_can_be_turned_off(shoal_run: Runner, program: str) -> None:
    run = shoal_run(program.replace("CPUS", "2").replace("ROUNDS", "3"), env={"SHOAL_HINTS": "0"})
    assert run.stderr == ""


def test_ordinary_programs_are_told_nothing(shoal_run: Runner) -> None:
    run = shoal_run(
        HEAD.replace("CPUS", "2")
        + """
@shoal.remote(num_cpus=0)
class Counter:
    def __init__(self):
        self.n = 0
    def add(self):
        self.n += 1
        return self.n

# Another value each time, though in the same place and of the same length.
value = np.zeros(1 << 19)
for n in range(20):
    value[n] = n
    shoal.get(size.remote(value))
# Put once, and small ones.
ref = shoal.put(value)
shoal.get([size.remote(ref) for _ in range(20)])
small = np.zeros(1 << 14)
shoal.get([size.remote(small) for _ in range(50)])
# An actor, call by call; an array of tiny tasks; tasks that were called together.
counter = Counter.remote()
for _ in range(12_000):
    shoal.get(counter.add.remote())
list(size.map(["x"] * 30_000))
shoal.get([nap.remote(0.01) for _ in range(100)])
"""
    )
    assert run.stderr == ""
