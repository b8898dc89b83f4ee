"""A thread that computes beside one that calls: neither keeps the GIL from the other (HOLD-1…4).

The interval at which Python makes a thread let go of the GIL is set so long that paying it at each call is seen.
"""

from __future__ import annotations

import sys
import threading
import time

import pytest

import shoal

INTERVAL = 0.25
CALLS = 200


@shoal.remote(num_cpus=0)
class Counter:
    def __init__(self):
        self.n = 0

    def next(self):
        self.n += 1
        return self.n


@pytest.fixture
def computing(two_cpus):
    """Another thread computes; the list has how often it went round."""
    rounds, stop = [0], threading.Event()

    def compute():
        while not stop.is_set():
            sum(range(100))
            rounds[0] += 1

    before = sys.getswitchinterval()
    thread = threading.Thread(target=compute)
    sys.setswitchinterval(INTERVAL)
    thread.start()
    yield rounds
    stop.set()
    sys.setswitchinterval(before)
    thread.join()


def test_calls_do_not_pay_a_switch_interval_each(computing):
    counter = Counter.remote()
    assert shoal.get(counter.next.remote()) == 1
    begin = time.monotonic()
    assert [shoal.get(counter.next.remote()) for _ in range(CALLS)] == list(range(2, CALLS + 2))
    assert time.monotonic() - begin < CALLS * INTERVAL / 2
    rounds = computing[0]
    while computing[0] == rounds:
        shoal.get(counter.next.remote())


def test_long_waits_let_the_other_thread_compute(computing):
    @shoal.remote
    def nap():
        time.sleep(INTERVAL / 2)

    shoal.get(nap.remote())
    for _ in range(5):
        rounds = computing[0]
        shoal.get(nap.remote())
        assert computing[0] > rounds
