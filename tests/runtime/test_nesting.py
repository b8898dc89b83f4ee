"""Tasks in tasks: no deadlock, and processes by depth, not breadth."""

from __future__ import annotations

import os
import time

import shoal


@shoal.remote
def deep(n):
    if n == 0:
        return [os.getpid()]
    return [*shoal.get(deep.remote(n - 1)), os.getpid()]


@shoal.remote
def leaf(i):
    return i, os.getpid()


@shoal.remote
def broad(n):
    return shoal.get([leaf.remote(i) for i in range(n)])


def test_recursion_deeper_than_the_cpus(one_cpu):
    pids = shoal.get(deep.remote(60), timeout=90)
    assert len(pids) == 61 and len(set(pids)) == 61


def test_fan_out_from_inside_a_task_uses_few_processes(one_cpu):
    pairs = shoal.get(broad.remote(10_000), timeout=90)
    assert [i for i, _ in pairs] == list(range(10_000))
    assert len({pid for _, pid in pairs}) <= 4


def test_refs_made_by_a_task_outlive_it(two_cpus):
    @shoal.remote
    def makes():
        return [leaf.remote(i) for i in range(10)] + [shoal.put("put here")]

    *refs, put = shoal.get(makes.remote())
    assert [shoal.get(r)[0] for r in refs] == list(range(10))
    assert shoal.get(put) == "put here"


def test_what_a_worker_owned_outlives_its_max_calls(two_cpus):
    @shoal.remote(max_calls=1)
    def makes(i):
        return os.getpid(), [shoal.put([i] * 1000), leaf.remote(i)]

    made = shoal.get([makes.remote(i) for i in range(5)], timeout=30)
    assert len({pid for pid, _ in made}) == 5
    for i, (pid, (put, returned)) in enumerate(made):
        assert os.path.exists(f"/proc/{pid}")
        assert shoal.get(put) == [i] * 1000 and shoal.get(returned)[0] == i
    del made, put, returned
    _all_end([pid])


def test_what_an_actor_owned_outlives_it(two_cpus):
    @shoal.remote
    class Maker:
        def make(self):
            return os.getpid(), shoal.put("made by an actor")

        def leave(self):
            shoal.actor.exit_actor()

    for leave in (False, True):
        maker = Maker.remote()
        pid, ref = shoal.get(maker.make.remote())
        if leave:
            maker.leave.remote()
        del maker
        assert shoal.get(leaf.remote(1))[0] == 1
        assert shoal.get(ref) == "made by an actor"
        del ref
        _all_end([pid])


def _all_end(pids):
    end = time.monotonic() + 60
    while any(os.path.exists(f"/proc/{pid}") for pid in pids):
        assert time.monotonic() < end, "a worker stays that nobody needs"
        time.sleep(0.01)
