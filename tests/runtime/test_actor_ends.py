"""Actors of every kind that end themselves: what they own lives on, what they run does not."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

import shoal
from shoal.core import _ffi
from support.waits import is_stopped, until, until_there

Died = shoal.exceptions.ActorDiedError
BIG = 1 << 20


class Late:
    """A large value with a ref in it, which leaves a mark when nobody has it any more."""

    def __init__(self, mark):
        self.mark, self.ref = mark, shoal.put(b"late")

    def __reduce__(self):
        return (list, ([bytes(BIG), self.ref],))

    def __del__(self):
        Path(self.mark).touch()


class Ender:
    """Puts, runs things without end, and ends itself."""

    def pid(self):
        return os.getpid()

    def put(self):
        return [shoal.put(bytes(BIG))]

    def leave(self):
        shoal.actor.exit_actor()

    def leaves_a_mark(self, path):
        atexit.register(Path(path).touch)


class OnThreads(Ender):
    """Its calls run on threads of the default group."""

    def never(self, begun):
        Path(begun).touch()
        threading.Event().wait()

    def spin(self, begun, interrupted):
        Path(begun).touch()
        try:
            while True:
                pass
        finally:
            Path(interrupted).touch()

    def answers_late(self, begun, go, gone):
        Path(begun).touch()
        while True:
            try:
                while not os.path.exists(go):
                    time.sleep(0.01)
                return Late(gone)
            except KeyboardInterrupt:
                pass

    def items(self):
        for _ in range(3):
            yield [shoal.put(b"item")]
        threading.Event().wait()


class OnALoop(Ender):
    """Its calls run on an event loop."""

    async def never(self, begun):
        Path(begun).touch()
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass

    async def spin(self, begun, interrupted):
        Path(begun).touch()
        try:
            await asyncio.sleep(600)
        finally:
            Path(interrupted).touch()

    async def answers_late(self, begun, go, gone):
        Path(begun).touch()
        while True:
            try:
                while not os.path.exists(go):
                    await asyncio.sleep(0.01)
                # No frame holds it: that of an interrupted sleep may live on in a cycle.
                return Late(gone)
            except asyncio.CancelledError:
                pass

    async def items(self):
        for _ in range(3):
            yield [shoal.put(b"item")]
        await asyncio.sleep(600)


class LeavesOnALoop(OnALoop):
    async def leave(self):
        await asyncio.sleep(0)
        shoal.actor.exit_actor()


KINDS = {
    "threads": shoal.remote(max_concurrency=8)(OnThreads),
    "groups": shoal.remote(concurrency_groups={"others": 8})(OnThreads),
    "loop": shoal.remote(OnALoop),
    "coroutines": shoal.remote(LeavesOnALoop),
}


class Made:
    """An actor, and where its long calls run."""

    def __init__(self, actor, group):
        self.actor, self.group = actor, group

    def run(self, method, *args, **options):
        """Calls a method that takes paths."""
        if self.group:
            options["concurrency_group"] = self.group
        return getattr(self.actor, method).options(**options).remote(*map(str, args))

    def get(self, method, *args):
        return shoal.get(self.run(method, *args), timeout=60)

    def leave(self):
        with pytest.raises(Died, match=r"exit_actor\(\)"):
            shoal.get(self.actor.leave.remote(), timeout=60)


@pytest.fixture(params=KINDS)
def made(request, two_cpus):
    actor = KINDS[request.param].options(max_restarts=3, name="ender").remote()
    return Made(actor, "others" if request.param == "groups" else None)


def gone(pid):
    return not os.path.exists(f"/proc/{pid}")


def stored():
    return json.loads(_ffi.status())["object_store"]["objects"]


def test_what_it_put_is_there_until_nobody_holds_it(made, tmp_path):
    pid, [ref] = made.get("pid"), made.get("put")
    made.get("leaves_a_mark", tmp_path / "ended")
    made.leave()
    with pytest.raises(Died):
        made.get("pid")
    with pytest.raises(ValueError, match="ender"):
        shoal.get_actor("ender")
    assert shoal.get(ref, timeout=60) == bytes(BIG)
    assert not (tmp_path / "ended").exists() and not gone(pid)
    del ref
    until(lambda: gone(pid))
    assert (tmp_path / "ended").exists()


def test_one_that_owns_nothing_for_others_is_gone_at_once(made, tmp_path):
    pid = made.get("pid")
    made.get("leaves_a_mark", tmp_path / "ended")
    never = made.run("never", tmp_path / "begun")
    until_there(tmp_path / "begun")
    made.leave()
    with pytest.raises(Died):
        shoal.get(never, timeout=60)
    until(lambda: gone(pid))
    assert (tmp_path / "ended").exists()


def test_its_other_calls_have_their_error_at_once_and_do_not_keep_it(made, tmp_path):
    pid, [ref] = made.get("pid"), made.get("put")
    calls = [made.run("never", tmp_path / f"begun {n}") for n in range(3)]
    calls += [made.run("spin", tmp_path / "begun 3", tmp_path / "interrupted")]
    for n in range(4):
        until_there(tmp_path / f"begun {n}")
    made.leave()
    for call in calls:
        with pytest.raises(Died, match=r"exit_actor\(\)"):
            shoal.get(call, timeout=60)
    until_there(tmp_path / "interrupted")
    assert shoal.get(ref, timeout=60) == bytes(BIG)
    del ref
    until(lambda: gone(pid))


def test_what_its_calls_answer_later_is_let_go(made, tmp_path):
    pid, [ref] = made.get("pid"), made.get("put")
    late = made.run("answers_late", tmp_path / "begun", tmp_path / "go", tmp_path / "answered")
    until_there(tmp_path / "begun")
    made.leave()
    with pytest.raises(Died):
        shoal.get(late, timeout=60)
    (tmp_path / "go").touch()
    until_there(tmp_path / "answered")
    until(lambda: stored() == 1)
    assert not gone(pid) and shoal.get(ref, timeout=60) == bytes(BIG)
    del ref
    until(lambda: gone(pid))


def test_who_reads_its_items_has_those_that_came_and_then_the_error(made):
    pid, items = made.get("pid"), made.run("items", num_returns="streaming")
    held = [shoal.get(next(items), timeout=60)[0] for _ in range(3)]
    made.leave()
    with pytest.raises(Died):
        shoal.get(next(items), timeout=60)
    assert shoal.get(held, timeout=60) == [b"item"] * 3
    del held, items
    until(lambda: gone(pid))


def test_a_task_of_an_event_loop_ends_its_actor(two_cpus):
    @shoal.remote
    class Background:
        async def starts(self):
            self.task = asyncio.create_task(self.leaves())
            return [shoal.put(b"here")]

        async def leaves(self):
            await asyncio.sleep(0.05)
            shoal.actor.exit_actor()

        async def never(self):
            await asyncio.sleep(600)

    actor = Background.remote()
    [ref] = shoal.get(actor.starts.remote(), timeout=60)
    with pytest.raises(Died, match=r"exit_actor\(\)"):
        shoal.get(actor.never.remote(), timeout=60)
    assert shoal.get(ref, timeout=60) == b"here"


ROOM = 4000
"""Twenty answers of so many bytes fill a lane."""


class Answers:
    def __init__(self):
        self.answers = 0

    def large(self):
        self.answers += 1
        return bytes(ROOM)

    def count(self):
        return self.answers

    def leave(self, mark):
        Path(mark).write_text(f"{self.answers}")
        shoal.actor.exit_actor()


@shoal.remote(num_cpus=0, max_retries=0)
def stops(actor):
    """Calls, stops itself before it reads, and says how many answers it had."""
    shoal.get(actor.large.remote())  # there is a lane to it now
    refs = [actor.large.remote() for _ in range(3000)]
    os.kill(os.getpid(), signal.SIGSTOP)
    answers = 1
    for ref in refs:
        try:
            answers += len(shoal.get(ref)) == ROOM
        except Died:
            pass
    return answers


def stopped_worker():
    """The process of a worker that is stopped, if one is."""
    pids = [process["pid"] for process in json.loads(_ffi.status())["processes"] if process["kind"] == "worker"]
    return next((pid for pid in pids if pid and is_stopped(pid)), None)


@pytest.mark.parametrize("later", [signal.SIGCONT, signal.SIGKILL])
def test_what_was_answered_before_the_end_waits_for_its_caller(two_cpus, later, tmp_path: Path):
    actor, mark = shoal.remote(Answers).options(num_cpus=0).remote(), tmp_path / "mark"
    answers = stops.remote(actor)
    until(lambda: shoal.get(actor.count.remote()) >= 100)
    caller = until(stopped_worker)
    leaving = actor.leave.remote(str(mark))
    answered = until(lambda: mark.exists() and mark.read_text())
    os.kill(caller, later)
    # Well below the half minute for which a caller that lives and reads nothing would be waited for.
    with pytest.raises(Died):
        shoal.get(leaving, timeout=20)
    if later == signal.SIGCONT:
        assert shoal.get(answers, timeout=60) == int(answered)
    else:
        with pytest.raises(shoal.exceptions.WorkerCrashedError):
            shoal.get(answers, timeout=20)


def test_what_was_answered_before_the_last_of_max_calls_arrives(two_cpus):
    @shoal.remote(max_calls=3000, max_retries=0)
    def large():
        return bytes(ROOM)

    assert {len(value) for value in shoal.get([large.remote() for _ in range(9000)], timeout=60)} == {ROOM}
