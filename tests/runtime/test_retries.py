"""Retries: when, how often, at whose cost."""

from __future__ import annotations

import os
import re
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

import shoal
from shoal.util import why

FIRST = 0.025
"""Seconds that the second try more waits at least; each later one waits for twice as long."""


def tries(path: Path) -> list[float]:
    """When it was tried, in seconds."""
    return [float(line) for line in path.read_text().split()] if path.exists() else []


def until(path: Path, n: int) -> list[float]:
    deadline = time.monotonic() + 30
    while len(tries(path)) < n:
        assert time.monotonic() < deadline, f"only {len(tries(path))} tries"
        time.sleep(0.01)
    return tries(path)


def rests(times: list[float]) -> None:
    """The first try more is for nothing, the others rest for at least so long."""
    for n, (before, after) in enumerate(pairwise(times[1:])):
        assert after - before >= FIRST * 2**n, times


@shoal.remote
def note(path: Path, kill: bool) -> None:
    with path.open("a") as file:
        file.write(f"{time.monotonic()}\n")
    if kill:
        os.kill(os.getpid(), signal.SIGKILL)
    raise OSError("not yet")


@shoal.remote(max_retries=0)
def same(i: int) -> int:
    return i


@pytest.mark.parametrize("kill", [False, True], ids=["raises", "dies"])
def test_tries_rest_for_ever_longer(two_cpus, tmp_path: Path, kill: bool):
    path = tmp_path / "tries"
    ref = note.options(max_retries=5, retry_exceptions=[OSError]).remote(path, kill)
    with pytest.raises(shoal.exceptions.WorkerCrashedError if kill else OSError):
        shoal.get(ref, timeout=60)
    assert len(tries(path)) == 6
    rests(tries(path))


def test_a_poison_task_ends_alone(two_cpus, tmp_path: Path):
    path = tmp_path / "tries"
    refs = [same.remote(i) for i in range(100)]
    poison = note.options(max_retries=3).remote(path, True)
    refs += [same.remote(i) for i in range(100, 200)]
    # None of them is tried twice, so none of them was harmed.
    assert shoal.get(refs, timeout=60) == list(range(200))
    with pytest.raises(shoal.exceptions.WorkerCrashedError, match="SIGKILL"):
        shoal.get(poison, timeout=60)
    assert len(tries(path)) == 4
    assert shoal.get([same.remote(i) for i in range(100)], timeout=60) == list(range(100))


def test_a_task_that_rests_says_so_and_is_cancelled_at_once(two_cpus, tmp_path: Path):
    path = tmp_path / "tries"
    ref = note.options(max_retries=-1, retry_exceptions=True).remote(path, False)
    until(path, 6)
    text = why(ref)
    while "is tried again in" not in text:
        text = why(ref)
    assert re.search(r"has failed [5-9] times and is tried again in", text), text
    shoal.cancel(ref)
    with pytest.raises(shoal.exceptions.TaskCancelledError):
        shoal.get(ref, timeout=10)


def test_only_the_exceptions_that_are_listed_are_tried_again(two_cpus, tmp_path: Path):
    def times(path: Path, **options: object) -> int:
        with pytest.raises(OSError, match="not yet"):
            shoal.get(note.options(max_retries=1, **options).remote(path, False), timeout=30)
        return len(tries(path))

    assert times(tmp_path / "listed", retry_exceptions=[ValueError, OSError]) == 2
    assert times(tmp_path / "a base", retry_exceptions=[Exception]) == 2
    assert times(tmp_path / "another", retry_exceptions=[ValueError]) == 1
    assert times(tmp_path / "all", retry_exceptions=True) == 2
    assert times(tmp_path / "none") == 1


@shoal.remote(max_restarts=-1, num_cpus=0)
class Fragile:
    def __init__(self, path: Path) -> None:
        with path.open("a") as file:
            file.write(f"{time.monotonic()}\n")
        os.kill(os.getpid(), signal.SIGKILL)

    def call(self) -> int:
        return 1


def test_an_actor_that_dies_again_and_again_rests_between_its_lives(two_cpus, tmp_path: Path):
    path = tmp_path / "lives"
    actor = Fragile.remote(path)
    ref = actor.call.remote()
    times = until(path, 7)
    # A life begins when the process is asked for, and notes its time a little later.
    assert times[-1] - times[0] >= FIRST * (2**5 - 1) / 2, times
    text = why(ref)
    while "rests before the next" not in text:
        text = why(ref)
    shoal.kill(actor)
    with pytest.raises(shoal.exceptions.ActorDiedError):
        shoal.get(ref, timeout=10)
