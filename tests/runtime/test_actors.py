"""Actors: state, order, kinds, names, life and death."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time

import pytest

import shoal
from shoal.util import state
from support.waits import until


@shoal.remote
class Counter:
    def __init__(self, start=0):
        self.n = start

    def add(self, k=1):
        self.n += k
        return self.n

    def pid(self):
        return os.getpid()

    def fail(self):
        raise ValueError("on purpose")


def test_calls_run_in_the_callers_order(two_cpus):
    counter = Counter.remote()
    assert shoal.get([counter.add.remote() for _ in range(2000)]) == list(range(1, 2001))


def test_a_slow_dependency_holds_up_later_calls_of_a_sync_actor(two_cpus):
    @shoal.remote
    def later():
        time.sleep(0.2)
        return 100

    counter = Counter.remote()
    first, second = counter.add.remote(later.remote()), counter.add.remote()
    assert shoal.get([second, first]) == [101, 100]


def test_an_exception_leaves_the_actor_alive(two_cpus):
    counter = Counter.remote(5)
    with pytest.raises(ValueError, match="on purpose") as caught:
        shoal.get(counter.fail.remote())
    assert str(caught.value).startswith("shoal::Counter.fail() (pid=")
    assert shoal.get(counter.add.remote()) == 6


def test_a_handle_works_in_a_task_and_in_another_actor(two_cpus):
    @shoal.remote
    def through(handle):
        return shoal.get(handle.add.remote(10))

    counter = Counter.remote()
    assert shoal.get(through.remote(counter)) == 10
    assert shoal.get(counter.add.remote()) == 11


def test_a_killed_actor_restarts_with_its_arguments(two_cpus):
    counter = Counter.options(max_restarts=1, max_task_retries=3).remote(40)
    pid = shoal.get(counter.pid.remote())
    os.kill(pid, signal.SIGKILL)
    assert shoal.get(counter.add.remote(), timeout=20) == 41
    second = shoal.get(counter.pid.remote())
    assert second != pid
    os.kill(second, signal.SIGKILL)
    with pytest.raises(shoal.exceptions.ActorDiedError):
        shoal.get(counter.add.remote(), timeout=20)


def test_kill_ends_an_actor_for_good(two_cpus):
    counter = Counter.options(max_restarts=5).remote()
    shoal.get(counter.add.remote())
    shoal.kill(counter)
    with pytest.raises(shoal.exceptions.RayActorError):
        shoal.get(counter.add.remote(), timeout=20)


def test_what_a_killed_actor_was_lent_is_let_go_when_its_process_is_gone(two_cpus):
    @shoal.remote
    class Slow:
        def __init__(self, kept):
            self.kept = kept

        def hold(self, part):
            time.sleep(600)

    def mine():
        return [row.object_id for row in state.list_objects(limit=1_000) if row.pid == os.getpid()]

    for up in (True, False, True):
        kept, part = shoal.put(bytes(1 << 20)), shoal.put(bytes(1 << 20))
        actor = Slow.remote([kept])
        if up:
            shoal.get(actor.__ray_ready__.remote(), timeout=60)
        held = [actor.hold.remote([part]) for _ in range(20)]
        shoal.kill(actor)
        for ref in held:
            with pytest.raises(shoal.exceptions.ActorDiedError):
                shoal.get(ref, timeout=20)
        del kept, part, actor, held, ref
        until(lambda: not mine())


@shoal.remote
class Ender:
    """Ends itself, and lives on for what others hold of it."""

    def asks(self, other):
        return [other.never.remote()]

    def ends_with(self, keeper, parts):
        shoal.get(keeper.keep.remote([shoal.put(parts)]))
        shoal.actor.exit_actor()


@shoal.remote(num_cpus=0)
class Keeper:
    def never(self):
        time.sleep(600)

    def keep(self, refs):
        self.refs = refs

    def read(self):
        return len(shoal.get(shoal.get(self.refs[0])[0]))


def test_who_has_ended_and_lives_on_hears_of_the_death_of_an_actor_that_it_called(two_cpus):
    ender, other, keeper = Ender.remote(), Keeper.remote(), Keeper.remote()
    [held] = shoal.get(ender.asks.remote(other))
    with pytest.raises(shoal.exceptions.ActorDiedError):
        shoal.get(ender.ends_with.remote(keeper, []), timeout=60)
    shoal.kill(other)
    with pytest.raises(shoal.exceptions.ActorDiedError):
        shoal.get(held, timeout=60)


def test_what_an_actor_put_before_it_ended_itself_holds_what_its_last_call_was_given(two_cpus):
    ender, keeper, part = Ender.remote(), Keeper.remote(), shoal.put(bytes(1 << 20))
    with pytest.raises(shoal.exceptions.ActorDiedError):
        shoal.get(ender.ends_with.remote(keeper, [part]), timeout=60)
    del part
    assert shoal.get(keeper.read.remote(), timeout=60) == 1 << 20
    shoal.kill(keeper)
    del ender, keeper
    until(lambda: not [row for row in state.list_objects(limit=1_000) if row.pid == os.getpid()])


def test_names_are_unique_and_found(two_cpus):
    kept = Counter.options(name="the counter").remote(1)
    assert shoal.get(shoal.get_actor("the counter").add.remote()) == 2
    with pytest.raises(ValueError, match="the counter"):
        Counter.options(name="the counter").remote()
    same = Counter.options(name="the counter", get_if_exists=True).remote()
    assert same == kept and shoal.get(same.add.remote()) == 3
    shoal.kill(kept)


def test_an_async_actor_interleaves_and_has_a_task_and_a_context(two_cpus):
    @shoal.remote
    class Async:
        async def __aenter__(self):
            return self

        async def bounded(self):
            assert asyncio.current_task() is not None
            async with asyncio.timeout(5), asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0))
            return "ok"

        async def together(self, n):
            self.here = getattr(self, "here", 0) + 1
            while self.here < n:
                await asyncio.sleep(0.001)
            return self.here

    actor = Async.remote()
    assert shoal.get(actor.bounded.remote()) == "ok"
    assert shoal.get([actor.together.remote(50) for _ in range(50)], timeout=20) == [50] * 50


def test_a_threaded_actor_runs_calls_side_by_side(two_cpus):
    @shoal.remote(max_concurrency=4)
    class Threaded:
        def __init__(self):
            self.barrier = threading.Barrier(4)

        def meet(self):
            return self.barrier.wait(10) >= 0

    actor = Threaded.remote()
    assert shoal.get([actor.meet.remote() for _ in range(4)], timeout=20) == [True] * 4


def test_exit_actor_ends_it_without_restart(two_cpus):
    @shoal.remote(max_restarts=3)
    class Leaver:
        def leave(self):
            shoal.actor.exit_actor()

        def here(self):
            return True

    leaver = Leaver.remote()
    assert shoal.get(leaver.here.remote())
    leaver.leave.remote()
    with pytest.raises(shoal.exceptions.RayActorError):
        shoal.get(leaver.here.remote(), timeout=20)


def test_a_failed_constructor_is_the_cause_of_every_call(two_cpus):
    @shoal.remote
    class Bad:
        def __init__(self):
            raise RuntimeError("cannot begin")

        def f(self):
            return 1

    with pytest.raises(shoal.exceptions.RayActorError, match="cannot begin") as caught:
        shoal.get(Bad.remote().f.remote(), timeout=20)
    assert "shoal::Bad.__init__() (pid=" in str(caught.value)


def test_the_last_handles_end_is_the_actors_end(two_cpus):
    counter = Counter.remote()
    pid = shoal.get(counter.pid.remote())
    del counter
    end = time.monotonic() + 60
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < end, "the actor outlived its last handle"
        time.sleep(0.01)


def test_many_actors(two_cpus):
    actors = [Counter.options(num_cpus=0).remote(i) for i in range(30)]
    assert shoal.get([a.add.remote() for a in actors], timeout=60) == list(range(1, 31))


def test_under_compat_a_named_actor_ends_with_its_handles(shoal_run):
    run = shoal_run(
        """
        import os, time
        import ray
        ray.init(num_cpus=1)
        @ray.remote
        class A:
            def pid(self):
                return os.getpid()
        a = A.options(name="a").remote()
        pid = ray.get(a.pid.remote())
        del a
        end = time.monotonic() + 60
        while os.path.exists(f"/proc/{pid}") and time.monotonic() < end:
            time.sleep(0.01)
        try:
            ray.get_actor("a")
        except ValueError:
            print("ended")
        """,
        env={"SHOAL_COMPAT": "1", "PYTHONPATH": str(_compat_path())},
    )
    assert run.stdout == "ended\n"


def _compat_path():
    from pathlib import Path

    return Path(shoal.__file__).parent / "compat" / "path"


def test_an_actor_knows_itself(two_cpus):
    @shoal.remote
    class Self:
        def handle(self):
            return shoal.get_runtime_context().current_actor

        def one(self):
            return 1

    actor = Self.remote()
    mine = shoal.get(actor.handle.remote())
    assert mine == actor and shoal.get(mine.one.remote()) == 1
    with pytest.raises(RuntimeError, match="only inside an actor"):
        _ = shoal.get_runtime_context().current_actor


def test_a_call_learns_that_it_is_cancelled(two_cpus):
    @shoal.remote(max_concurrency=2)
    class Worker:
        def __init__(self):
            self.begun = self.ended = False

        def loops(self):
            self.begun = True
            try:
                while not shoal.get_runtime_context().is_canceled():
                    time.sleep(0.005)
            finally:
                self.ended = True

        def state(self):
            return self.begun, self.ended

    worker = Worker.remote()
    ref = worker.loops.remote()
    while not shoal.get(worker.state.remote())[0]:
        pass
    shoal.cancel(ref)
    with pytest.raises(shoal.exceptions.TaskCancelledError):
        shoal.get(ref, timeout=10)
    while not shoal.get(worker.state.remote(), timeout=10)[1]:
        pass


def test_an_actor_that_another_kills_before_its_creator_hears_that_it_is_registered_is_dead_for_that_too(shoal_run):
    run = shoal_run(
        """
import shoal, time

shoal.init(num_cpus=2)

@shoal.remote
class Named:
    def here(self):
        return True

@shoal.remote
def kill_it():
    while True:
        try:
            actor = shoal.get_actor("early")
        except ValueError:
            time.sleep(0.001)
        else:
            shoal.kill(actor)
            return True

# It has begun to look when the actor is registered; the answer to that comes half a second later.
killed = kill_it.remote()
named = Named.options(name="early").remote()
print(shoal.get(killed, timeout=60))
try:
    shoal.get(named.here.remote(), timeout=60)
except shoal.exceptions.ActorDiedError as error:
    print("killed" in str(error))
print(shoal.get(Named.options(name="early").remote().here.remote(), timeout=60))
""",
        env={"SHOAL_STORE_DELAY": "500"},
    )
    assert run.stdout.split() == ["True", "True", "True"]
