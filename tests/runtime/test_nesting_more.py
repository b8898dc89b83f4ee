"""No deadlock: depth, breadth, actors among tasks, CPUs that are lent while somebody waits."""

from __future__ import annotations

import os
import threading
import time

import pytest

import shoal


@shoal.remote
def deep(n):
    if n == 0:
        return 1
    return shoal.get(deep.remote(n - 1)) + 1


@shoal.remote
def leaf(i):
    return i, os.getpid()


@shoal.remote
def tree(depth, width):
    if depth == 0:
        return {os.getpid()}
    below = shoal.get([tree.remote(depth - 1, width) for _ in range(width)])
    return {os.getpid()}.union(*below)


def test_recursion_of_depth_200(one_cpu):
    assert shoal.get(deep.remote(200), timeout=50) == 201


def test_fan_out_of_10_000_from_the_driver(one_cpu):
    pairs = shoal.get([leaf.remote(i) for i in range(10_000)], timeout=50)
    assert [i for i, _ in pairs] == list(range(10_000))
    assert len({pid for _, pid in pairs}) <= 3


def test_processes_follow_depth_not_breadth(one_cpu):
    pids = shoal.get(tree.remote(4, 6), timeout=50)
    # 1,555 tasks, five of them nested in each other at a time.
    assert len(pids) <= 16


def test_many_roots_that_nest_end_with_one_cpu(one_cpu):
    assert shoal.get([deep.remote(5) for _ in range(40)], timeout=50) == [6] * 40


def test_tasks_and_actors_that_call_each_other(two_cpus):
    @shoal.remote
    class Sums:
        def __init__(self):
            self.total = 0

        def add(self, refs):
            self.total += sum(shoal.get(refs))
            return self.total

    @shoal.remote
    def work(sums, n):
        refs = [shoal.put(1) for _ in range(n)]
        inner = shoal.get([leaf.remote(i) for i in range(5)])
        shoal.get(sums.add.remote(refs))
        return len(inner)

    actors = [Sums.remote() for _ in range(4)]
    out = shoal.get([work.remote(actors[i % 4], 3) for i in range(100)], timeout=50)
    assert out == [5] * 100
    assert shoal.get([a.add.remote([]) for a in actors]) == [75] * 4


@pytest.mark.parametrize("how", ["get", "wait", "get with timeout"])
def test_a_task_that_waits_lends_its_cpu(one_cpu, how):
    @shoal.remote
    def outer():
        ref = leaf.remote(7)
        if how == "get":
            return shoal.get(ref)[0]
        if how == "wait":
            ready, _ = shoal.wait([ref], timeout=30)
            return shoal.get(ready[0])[0]
        return shoal.get(ref, timeout=30)[0]

    assert shoal.get(outer.remote(), timeout=20) == 7


def test_an_actor_with_a_cpu_lends_it_while_it_waits(one_cpu):
    @shoal.remote(num_cpus=1)
    class Holder:
        def ask(self):
            return shoal.get(leaf.remote(3))[0]

    holder = Holder.remote()
    assert shoal.get(holder.ask.remote(), timeout=20) == 3
    shoal.kill(holder)


def test_a_threaded_actor_lends_its_cpu_only_while_all_its_methods_wait(one_cpu, tmp_path):
    @shoal.remote(num_cpus=1, max_concurrency=2)
    class Holder:
        def ask(self, path):
            open(f"{path}/asks", "w").close()
            return shoal.get(leaf.remote(3))[0]

        def work_until(self, path):
            while not os.path.exists(f"{path}/stop"):
                time.sleep(0.01)
            return "worked"

    holder = Holder.remote()
    busy = holder.work_until.remote(str(tmp_path))
    asks = holder.ask.remote(str(tmp_path))
    end = time.monotonic() + 20
    while not (tmp_path / "asks").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    ready, _ = shoal.wait([asks], timeout=0.5)
    assert not ready, "the actor lent its CPU while one of its methods worked"
    (tmp_path / "stop").touch()
    assert shoal.get([busy, asks], timeout=20) == ["worked", 3]
    shoal.kill(holder)


def test_a_task_that_polls_for_what_a_later_task_makes(two_cpus, tmp_path):
    @shoal.remote
    def quick():
        return None

    @shoal.remote
    def turn(path, wait):
        if not wait:
            open(path, "w").close()
            return "made"
        while not os.path.exists(path):
            time.sleep(0.005)
        return "seen"

    path = str(tmp_path / "file")
    # The function is known to be short, so that more than one call may be sent to a worker at once.
    shoal.get([turn.remote(str(tmp_path / f"f{i}"), False) for i in range(200)])
    refs = [turn.remote(path, True), turn.remote(path, False), quick.remote()]
    assert shoal.get(refs, timeout=20) == ["seen", "made", None]


def test_threads_of_a_task_wait_side_by_side(one_cpu):
    @shoal.remote
    def threads():
        out = {}

        def one(i):
            out[i] = shoal.get(leaf.remote(i))[0]

        started = [threading.Thread(target=one, args=(i,)) for i in range(8)]
        for t in started:
            t.start()
        for t in started:
            t.join()
        return sorted(out)

    assert shoal.get(threads.remote(), timeout=20) == list(range(8))
