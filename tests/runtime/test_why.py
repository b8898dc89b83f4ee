"""`shoal why` and `shoal.util.why`: every reason to wait, told from the tables of those who know it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import shoal
from shoal.util import why
from support.waits import until


@shoal.remote
def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@shoal.remote
def same(value: Any) -> Any:
    return value


@shoal.remote
def pid_of() -> int:
    return os.getpid()


@shoal.remote
def nested() -> Any:
    return shoal.get(sleep.remote(60))


@shoal.remote(num_cpus=0)
class Actor:
    def __init__(self, other: Any = None) -> None:
        self.other = other

    def meet(self, other: Any) -> None:
        self.other = other

    def call(self, mine: Path, theirs: Path) -> Any:
        mine.touch()
        while not theirs.exists():
            time.sleep(0.01)
        return shoal.get(self.other.sleep.remote(0))

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def pid(self) -> int:
        return os.getpid()


def becomes(what: Any, *patterns: str, seconds: float = 60.0) -> str:
    """Asks until the answer has a match for each pattern."""
    deadline = time.monotonic() + seconds
    while True:
        text = why(what)
        if all(re.search(pattern, text) for pattern in patterns):
            return text
        assert time.monotonic() < deadline, f"{patterns} is not in:\n{text}"
        time.sleep(0.05)


def test_a_running_task_says_where_and_for_how_long(two_cpus: object) -> None:
    ref = sleep.remote(60)
    text = becomes(ref, r"^task sleep runs in process \d+ since \d+\.\d s$")
    assert "\n" not in text


def test_a_dependency_is_followed_to_what_it_waits_for(two_cpus: object) -> None:
    first = sleep.remote(60)
    last = same.remote(same.remote(first))
    text = becomes(last, "runs in process")
    lines = [line.strip().split(" since")[0] for line in text.splitlines()]
    assert lines[:2] == ["task same waits for its argument"] * 2 and lines[2].startswith("task sleep runs in process ")


def test_what_a_blocked_task_waits_for_is_followed(two_cpus: object) -> None:
    ref = nested.remote()
    text = becomes(ref, "task nested runs in process .*, and waits itself", "\n  task sleep runs in process")
    assert text.count("\n") == 1


def test_a_resource_in_use_names_its_holders(two_cpus: object) -> None:
    actor = Actor.options(num_cpus=1, name="holder").remote()
    pid = shoal.get(actor.pid.remote())
    ref = sleep.options(num_cpus=2).remote(1)
    becomes(
        ref, rf"task sleep waits for a worker since .*: needs 2 CPU, 1 of 2 free; held by actor Actor \(pid {pid}\) 1"
    )


def test_what_no_node_can_hold_says_so(two_cpus: object) -> None:
    ref = sleep.options(num_cpus=3, resources={"disk": 1}).remote(1)
    never = "no node can ever run it: needs 3 CPU, the node has 2; needs 1 disk, the node has 0"
    becomes(ref, never)
    actor = Actor.options(num_gpus=1).remote()
    becomes(actor, r"actor Actor \(\w+\) is not up yet: no node can ever run it: needs 1 GPU, the node has 0")
    waiting = actor.pid.remote()
    becomes(waiting, r"^call Actor.pid waits for its actor since .*\n  actor Actor .* needs 1 GPU")


def test_an_actor_whose_constructor_waits(two_cpus: object) -> None:
    ref = sleep.remote(60)
    actor = Actor.remote(ref)
    becomes(actor, r"is not up yet: its constructor waits for 1 arguments\n  task sleep runs")


def test_an_actor_that_is_alive_restarting_or_dead(two_cpus: object) -> None:
    actor = Actor.options(max_restarts=1).remote()
    pid = shoal.get(actor.pid.remote())
    assert why(actor).endswith(f"is alive in process {pid} and runs nothing")
    call = actor.sleep.remote(60)
    becomes(actor, rf"is alive in process {pid}, runs 1 calls\n  call Actor.sleep runs in process {pid}")
    later = actor.pid.remote()
    becomes(later, "has been sent to process .*, which runs something else first\n  call Actor.sleep runs")
    shoal.kill(actor)
    becomes(actor, r"is dead: .*shoal\.kill")
    becomes(call, "has no value but an error")


def test_a_stopped_process_is_called_stopped(two_cpus: object) -> None:
    actor = Actor.remote()
    pid = shoal.get(actor.pid.remote())
    os.kill(pid, signal.SIGSTOP)
    ref = actor.pid.remote()
    try:
        becomes(ref, rf"process {pid}, which is stopped \(SIGSTOP; 'kill -CONT {pid}' lets it go on\)")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert shoal.get(ref) == pid


def test_a_cancelled_task_that_still_runs_says_so(two_cpus: object, tmp_path: Path) -> None:
    @shoal.remote
    def stuck(began: Path) -> None:
        import ctypes

        # The interrupt of a cancel would end the C function as well; code that heeds none keeps it blocked.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        began.touch()
        ctypes.PyDLL(None).sleep(60)

    ref = stuck.remote(tmp_path / "began")
    until((tmp_path / "began").exists)
    shoal.cancel(ref)
    with pytest.raises(shoal.exceptions.TaskCancelledError):
        shoal.get(ref)
    text = why(ref.hex()[:32])
    assert "was cancelled, and its code still runs in process" in text and "force=True" in text
    pid = int(text.split("in process ")[1].split(":")[0])
    os.kill(pid, signal.SIGKILL)


def test_values_and_errors_are_told(two_cpus: object) -> None:
    @shoal.remote
    def fail() -> None:
        raise KeyError("no such thing")

    assert re.fullmatch(r"object \w{40} has its value \(\d+ bytes, in the memory of process \d+\)", why(shoal.put(1)))
    assert "in the object store" in why(shoal.put(bytes(1 << 20)))
    ref = fail.remote()
    becomes(ref, "has no value but an error: KeyError: 'no such thing'")
    assert "task fail failed after" in why(ref.hex()[:32])


class Counts:
    def count(self) -> Any:
        yield from range(10)

    def pid(self) -> int:
        return os.getpid()


class CountsAsync(Counts):
    async def count(self) -> Any:
        for i in range(10):
            yield i


@pytest.mark.parametrize("kind", ["task", "sync", "threaded", "async"])
def test_a_generator_that_waits_for_its_reader(two_cpus: object, kind: str) -> None:
    if kind == "task":
        count, name = shoal.remote(Counts.count).options(_generator_backpressure_num_objects=2), r"task \S*count"
        stream, behind = count.remote(None), None
    else:
        options = {"max_concurrency": 2} if kind == "threaded" else {}
        actor = shoal.remote(CountsAsync if kind == "async" else Counts).options(**options).remote()
        stream, name = actor.count.options(_generator_backpressure_num_objects=2).remote(), r"call Counts\w*\.count"
        behind = actor.pid.remote() if kind == "sync" else None
    becomes(stream, rf"^{name} waits in process \d+ for somebody to read on: 2 of its items are unread$")
    becomes(stream.completed(), rf"^{name} waits in process \d+ for somebody to read on")
    if behind is not None:
        becomes(behind, rf"runs something else first\n  {name} waits in process \d+ for somebody to read on")
    from shoal.util.explain import circles, look

    assert circles(look(30.0)) == []
    assert [shoal.get(ref) for ref in stream] == list(range(10))


def test_actors_that_wait_for_each_other_are_named(two_cpus: object, tmp_path: Path) -> None:
    one, two = Actor.options(name="one").remote(), Actor.options(name="two").remote()
    shoal.get([one.meet.remote(two), two.meet.remote(one)])
    files = tmp_path / "one", tmp_path / "two"
    calls = [one.call.remote(*files), two.call.remote(*files[::-1])]
    circle = "a circle: .*actor Actor 'one'.* waits for .*actor Actor 'two'.*; none of them can go on"
    becomes(calls[0], circle.replace("'one'", "'(one|two)'").replace("'two'", "'(one|two)'"))
    from shoal.core import _ffi

    command = [
        sys.executable,
        "-c",
        "from shoal.cli import main; main()",
        "why",
        "--address",
        _ffi.session()["address"],
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.stdout.count("a circle: ") == 1, run


def test_ids_names_and_process_numbers_are_understood(two_cpus: object) -> None:
    actor = Actor.options(name="known").remote()
    pid = shoal.get(actor.pid.remote())
    assert why("known") == why(actor) == why(actor._actor_id.hex())
    assert why(str(pid)).startswith(f"process {pid}")
    assert why(str(pid)).splitlines()[1].strip() == why(actor)
    idle = shoal.get(pid_of.remote())
    becomes(str(idle), rf"^process {idle} runs no task$")
    ref = shoal.put(1)
    assert why(ref.hex()[:36]) == why(ref)
    assert "is not known to any process that answered" in why("ab" * 20)


def test_what_can_t_be_asked_for_is_refused(two_cpus: object) -> None:
    with pytest.raises(
        TypeError, match="why\\(\\) takes an ObjectRef, a generator, an actor's handle or an id, not 'int'"
    ):
        why(3)
    for nothing in ("nonsense", ""):
        with pytest.raises(ValueError, match=f"nothing in the instance has the id '{nothing}'"):
            why(nothing)
    refs = [sleep.remote(60), sleep.remote(60)]
    with pytest.raises(ValueError, match="stands for 2 things: task "):
        why(refs[0].hex()[:8])
