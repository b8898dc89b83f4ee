"""Tasks in tasks: no deadlock, and processes by depth, not breadth."""

from __future__ import annotations

import os

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
