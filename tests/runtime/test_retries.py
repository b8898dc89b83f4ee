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
from support.waits import until

FIRST = 0.025
"""Seconds that the second try more waits at least; each later one waits for twice as long."""


def tries(path: Path) -> list[float]:
    """When it was tried, in seconds."""
    return [float(line) for line in path.read_text().split()] if path.exists() else []


def until_tried(path: Path, n: int) -> list[float]:
    until(lambda: len(tries(path)) >= n)
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
    until_tried(path, 6)
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
    actor = Fragile.options(max_task_retries=-1).remote(path)
    ref = actor.call.remote()
    times = until_tried(path, 7)
    # A life begins when the process is asked for, and notes its time a little later.
    assert times[-1] - times[0] >= FIRST * (2**5 - 1) / 2, times
    text = why(ref)
    while "rests before the next" not in text:
        text = why(ref)
    shoal.kill(actor)
    with pytest.raises(shoal.exceptions.ActorDiedError):
        shoal.get(ref, timeout=10)


def test_a_call_without_retries_fails_while_its_actor_rests_and_says_until_when(two_cpus, tmp_path: Path):
    path = tmp_path / "lives"
    actor = Fragile.remote(path)
    until_tried(path, 7)
    text = ""
    while "is started again in" not in text:
        with pytest.raises(shoal.exceptions.ActorUnavailableError) as caught:
            shoal.get(actor.call.remote(), timeout=10)
        text = str(caught.value)
    pattern = (
        r"actor Fragile is being restarted: .*SIGKILL.*\nThe call has not run\. The actor is started again in \d\.\d s"
    )
    assert re.search(pattern, text, re.DOTALL), text
    assert caught.value.actor_id == actor._actor_id.hex()


@shoal.remote(max_restarts=-1, num_cpus=0)
class Gated:
    """Each life after the first begins when there is a file `go`."""

    def __init__(self, folder: Path) -> None:
        self.folder, first = folder, folder / "first"
        while first.exists() and not (folder / "go").exists():
            time.sleep(0.005)
        first.touch()

    def pid(self) -> int:
        return os.getpid()

    def note(self, text: str) -> str:
        with (self.folder / "notes").open("a") as file:
            file.write(f"{text}\n")
        return text

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@shoal.remote
def call_of(actor: shoal.actor.ActorHandle, retries: int) -> object:
    try:
        return shoal.get(actor.note.options(max_task_retries=retries).remote("from afar"), timeout=30)
    except shoal.exceptions.ActorUnavailableError as error:
        return str(error)


def test_calls_without_retries_are_for_the_life_that_they_were_made_for(two_cpus, tmp_path: Path):
    actor = Gated.remote(tmp_path)
    first = shoal.get(actor.pid.remote())
    doomed = [actor.die.remote(), *(actor.note.remote(f"behind {i}") for i in range(50))]
    waits = actor.note.options(max_task_retries=1).remote("was sent and waits")
    texts = []
    for ref in doomed:
        with pytest.raises(shoal.exceptions.ActorUnavailableError, match="SIGKILL") as caught:
            shoal.get(ref, timeout=20)
        texts.append(str(caught.value))
    assert "The call had begun" in texts[0] and all("The call has not run" in text for text in texts[1:])
    # No life is there: this one fails at once, here and in a process that hears of the actor only now.
    with pytest.raises(shoal.exceptions.ActorUnavailableError, match=r"The call has not run\..*max_task_retries=-1"):
        shoal.get(actor.note.remote("between"), timeout=20)
    assert "The call has not run" in str(shoal.get(call_of.remote(actor, 0), timeout=20))
    waiting = [waits, call_of.remote(actor, -1), actor.note.options(max_task_retries=-1).remote("waits")]
    assert shoal.wait(waiting, num_returns=3, timeout=0.2)[0] == []
    (tmp_path / "go").touch()
    assert shoal.get(waiting, timeout=30) == ["was sent and waits", "from afar", "waits"]
    assert shoal.get(actor.pid.remote(), timeout=20) != first
    assert sorted((tmp_path / "notes").read_text().splitlines()) == ["from afar", "waits", "was sent and waits"]


class NotYet(Exception):
    """Of the driver's module, as the actor's class is."""


class Flaky:
    def __init__(self) -> None:
        self.runs = 0

    def fails(self, text: str = "not yet") -> None:
        self.runs += 1
        raise NotYet(text)

    @shoal.method(retry_exceptions=[OSError])
    def lists(self) -> None:
        self.runs += 1
        raise NotYet("not yet")

    def items(self):
        self.runs += 1
        yield self.runs
        raise NotYet("not yet")

    def count(self) -> int:
        runs, self.runs = self.runs, 0
        return runs


class AsyncFlaky(Flaky):
    async def fails(self, text: str = "not yet") -> None:
        self.runs += 1
        raise NotYet(text)


@pytest.mark.parametrize("kind", ["sync", "threads", "async"])
def test_options_of_a_method_list_what_is_tried_again(two_cpus, kind: str):
    options = {"max_concurrency": 2} if kind == "threads" else {}
    actor = shoal.remote(max_task_retries=2, **options)(AsyncFlaky if kind == "async" else Flaky).remote()

    def runs(method: object, *args: object, **options: object) -> int:
        with pytest.raises(NotYet):
            result = method.options(**options).remote(*args)
            shoal.get(list(result) if isinstance(result, shoal.ObjectRefGenerator) else result, timeout=30)
        return shoal.get(actor.count.remote(), timeout=30)

    assert runs(actor.fails) == 1
    assert (
        runs(actor.fails, retry_exceptions=[NotYet]) == runs(actor.fails, "x", retry_exceptions=[OSError, NotYet]) == 3
    )
    assert runs(actor.fails, retry_exceptions=[OSError]) == 1
    assert runs(actor.fails, retry_exceptions=True) == 3
    assert runs(actor.fails, retry_exceptions=[Exception], max_task_retries=1) == 2
    assert runs(actor.items, retry_exceptions=[NotYet]) == 3
    # What a class lists counts unless the caller says otherwise.
    assert runs(actor.lists) == 1
    assert runs(actor.lists, retry_exceptions=[NotYet]) == runs(actor.lists, retry_exceptions=True) == 3
    # The option travels with the method.
    assert shoal.get(call_method.remote(actor.fails.options(retry_exceptions=[NotYet])), timeout=30) == "NotYet"
    assert shoal.get(actor.count.remote(), timeout=30) == 3


@shoal.remote
def call_method(method: shoal.actor.ActorMethod) -> str:
    try:
        shoal.get(method.remote(text="by name"))
    except NotYet:
        return "NotYet"
    return "no error"
