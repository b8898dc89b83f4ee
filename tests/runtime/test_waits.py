"""`wait`: rounds over the same refs, by one thread and by several; refs of one object; lists that change meanwhile."""

from __future__ import annotations

import copy
import os
import sys
import threading

import pytest

import shoal


@shoal.remote
def after(gate, value):
    shoal.get(gate.passed.remote(value))
    return value


@shoal.remote(num_cpus=0, max_concurrency=100)
class Gate:
    """Calls wait until their value is let through."""

    def __init__(self):
        self.open = {}
        self.lock = threading.Lock()

    def event(self, value):
        with self.lock:
            return self.open.setdefault(value, threading.Event())

    def passed(self, value):
        self.event(value).wait()

    def let(self, value):
        self.event(value).set()


@pytest.fixture
def gate(two_cpus):
    return Gate.remote()


def waiting(gate, count):
    return [gate.passed.remote(i) for i in range(count)]


def test_a_loop_of_waits_drains_in_any_order(gate):
    refs = waiting(gate, 20)
    order = [7, 0, 19, 3, 4, 5, 18, 1]
    rest = refs
    for value in order:
        assert shoal.wait(rest, timeout=0) == ([], rest)
        gate.let.remote(value)
        ready, rest = shoal.wait(rest)
        assert ready == [refs[value]]
        assert rest == [ref for ref in refs if ref in rest]
    assert [refs.index(ref) for ref in rest] == sorted(set(range(20)) - set(order))
    for value in range(20):
        gate.let.remote(value)
    ready, none = shoal.wait(rest, num_returns=12)
    assert ready == rest and none == []


def test_ready_ones_here_and_there(two_cpus):
    @shoal.remote
    def never():
        threading.Event().wait()

    refs = [never.remote() if i % 3 == 0 else shoal.put(i) for i in range(30)]
    ready, rest = shoal.wait(refs, num_returns=11)
    there = [ref for i, ref in enumerate(refs) if i % 3]
    assert ready == there[:11] and rest == [ref for ref in refs if ref not in ready]
    ready, rest = shoal.wait(refs, num_returns=30, timeout=0.1)
    assert ready == there and len(rest) == 10


def test_threads_wait_for_the_same_refs(gate):
    refs = waiting(gate, 8)
    seen = []

    def one():
        seen.append(shoal.wait(refs, num_returns=8)[0] == refs)

    def first():
        seen.append(shoal.wait(refs[4:])[0] == [refs[6]])

    threads = [threading.Thread(target=f) for f in (one, first, one, first)]
    for thread in threads:
        thread.start()
    gate.let.remote(6)
    for thread in threads[1::2]:
        thread.join()
    for value in range(8):
        gate.let.remote(value)
    for thread in threads[::2]:
        thread.join()
    assert seen == [True] * 4


def test_two_refs_of_one_object_are_the_same(two_cpus):
    ref = shoal.put(1)
    with pytest.raises(ValueError, match="one twice"):
        shoal.wait([ref, shoal.put(2), copy.copy(ref)], num_returns=3)

    @shoal.remote
    def there(refs):
        try:
            shoal.wait([refs[0], refs[0]])
        except ValueError:
            return len(shoal.wait(refs, num_returns=2)[0])

    assert shoal.get(there.remote([ref, shoal.put(3)])) == 2


def test_the_list_may_change_meanwhile(gate):
    refs = waiting(gate, 3)
    given = list(refs)

    def change():
        given.clear()
        gate.let.remote(1)

    thread = threading.Timer(0.2, change)
    thread.start()
    assert shoal.wait(given) == ([refs[1]], [refs[0], refs[2]])
    thread.join()
    for value in (0, 2):
        gate.let.remote(value)


def test_refs_waited_for_in_vain_may_go(gate):
    for _ in range(50):
        refs = [after.remote(gate, 1) for _ in range(3)]
        assert shoal.wait(refs, timeout=0) == ([], refs)
        shoal.cancel(*refs)
        del refs
    kept = waiting(gate, 2)
    assert shoal.wait(kept, timeout=0)[0] == []
    gate.let.remote(0)
    assert shoal.wait(kept)[0] == kept[:1]


def test_failures_are_ready(two_cpus):
    @shoal.remote(max_retries=0)
    def dies():
        os._exit(1)

    refs = [dies.remote(), dies.remote()]
    assert shoal.wait(refs, num_returns=2) == (refs, [])


def test_the_end_of_a_session_ends_a_wait(gate):
    refs, errors, begun = waiting(gate, 2), [], threading.Event()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)  # who says that it begins goes on until it sleeps

    def wait():
        begun.set()
        try:
            shoal.wait(refs)
        except shoal.exceptions.RayError as error:
            errors.append(str(error))

    assert shoal.wait(refs, timeout=0)[0] == []
    thread = threading.Thread(target=wait)
    thread.start()
    begun.wait()
    shoal.shutdown()
    thread.join()
    sys.setswitchinterval(interval)
    assert len(errors) == 1
