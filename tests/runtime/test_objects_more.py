"""Ownership when processes die, and frames and counts of a size that nothing was made for."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

import shoal
from shoal.core import _ffi

BIG = 300_000


def object_bytes() -> int:
    return json.loads(_ffi.status())["object_store"]["object_bytes"]


def freed_to(size: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while (now := object_bytes()) > size:
        assert time.monotonic() < end, f"{now} bytes are held, {size} expected"
        time.sleep(0.01)


@shoal.remote
class Holder:
    def __init__(self):
        self.refs = []

    def take(self, refs):
        self.refs += refs
        return len(self.refs)

    def give(self):
        return self.refs

    def make(self, n):
        return [shoal.put(b"m" * BIG) for _ in range(n)]

    def sizes(self):
        return [len(v) for v in shoal.get(self.refs)]

    def drop(self):
        self.refs.clear()

    def pid(self):
        return os.getpid()


def die(actor) -> None:
    pid = shoal.get(actor.pid.remote(), timeout=30)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(shoal.exceptions.RayActorError):
        shoal.get(actor.pid.remote(), timeout=30)


def test_a_ref_through_several_processes_is_freed_with_the_last(two_cpus):
    before = object_bytes()
    a, b, c = (Holder.remote() for _ in range(3))
    ref = shoal.put(b"x" * BIG)
    shoal.get(a.take.remote([ref]))
    shoal.get(b.take.remote(shoal.get(a.give.remote())))
    del ref
    shoal.get(a.drop.remote())

    @shoal.remote
    def carry(source, target):
        return shoal.get(target.take.remote(shoal.get(source.give.remote())))

    assert shoal.get(carry.remote(b, c), timeout=30) == 1
    shoal.get(b.drop.remote())
    time.sleep(0.1)
    assert object_bytes() - before >= BIG
    assert shoal.get(c.sizes.remote(), timeout=30) == [BIG]
    shoal.get(c.drop.remote())
    freed_to(before)


def test_a_borrower_that_dies_lets_go(two_cpus):
    before = object_bytes()
    a, b = Holder.remote(), Holder.remote()
    ref = shoal.put(b"x" * BIG)
    shoal.get([a.take.remote([ref]), b.take.remote([ref])])
    del ref
    die(a)
    assert shoal.get(b.sizes.remote(), timeout=30) == [BIG]
    die(b)
    freed_to(before)


def test_an_owner_that_dies_takes_its_objects_and_says_why(two_cpus):
    before = object_bytes()
    owner, keeper = Holder.remote(), Holder.remote()
    refs = shoal.get(owner.make.remote(3))
    shoal.get(keeper.take.remote(refs))
    assert len(shoal.get(refs[0])) == BIG
    die(owner)
    for ref in refs:
        with pytest.raises(shoal.exceptions.OwnerDiedError, match="SIGKILL"):
            shoal.get(ref, timeout=30)
    with pytest.raises(shoal.exceptions.OwnerDiedError, match="SIGKILL"):
        shoal.get(keeper.sizes.remote(), timeout=30)
    with pytest.raises(shoal.exceptions.OwnerDiedError):
        shoal.get(shoal.remote(lambda x: x).remote(refs[0]), timeout=30)
    freed_to(before)


def test_10_000_refs_inside_a_value(two_cpus):
    before = object_bytes()

    @shoal.remote
    def total(refs):
        return sum(shoal.get(refs))

    refs = [shoal.put(i) for i in range(10_000)]
    outer = shoal.put(refs)
    del refs
    assert shoal.get(total.remote(outer), timeout=30) == sum(range(10_000))
    inner = shoal.get(outer)
    del outer
    assert shoal.get(inner[9_999]) == 9_999
    del inner
    freed_to(before)


def test_10_000_ref_arguments(two_cpus):
    @shoal.remote
    def total(*values):
        return sum(values)

    refs = [shoal.put(i) for i in range(10_000)]
    assert shoal.get(total.remote(*refs), timeout=30) == sum(range(10_000))


def test_3_000_returns(two_cpus):
    @shoal.remote(num_returns=3_000)
    def many():
        return range(3_000)

    refs = many.remote()
    assert shoal.get(refs, timeout=30) == list(range(3_000))


def test_a_function_larger_than_the_ring(two_cpus):
    table = os.urandom(3 << 20)

    @shoal.remote
    def size():
        return len(table)

    assert shoal.get([size.remote() for _ in range(20)], timeout=30) == [3 << 20] * 20


def test_many_inline_arguments_and_replies_larger_than_the_ring(two_cpus):
    @shoal.remote(num_returns=20)
    def back(*parts):
        return parts

    parts = [bytes([i]) * 90_000 for i in range(20)]
    for _ in range(5):
        assert shoal.get(back.remote(*parts), timeout=30) == parts


def test_replies_beyond_the_ring_do_not_wait_for_a_long_call(two_cpus):
    @shoal.remote
    class A:
        def part(self, i):
            return bytes([i]) * 12_000

        def long(self):
            time.sleep(60)

    actor = A.remote()
    shoal.get(actor.part.remote(0))
    refs = [actor.part.remote(i) for i in range(60)]
    long = actor.long.remote()
    # Replies gather while nobody reads; then the actor is busy.
    time.sleep(0.3)
    assert shoal.get(refs, timeout=30) == [bytes([i]) * 12_000 for i in range(60)]
    del long


def test_50_000_calls_queue_at_a_slow_actor(two_cpus):
    @shoal.remote
    class Slow:
        def __init__(self):
            self.n = 0
            time.sleep(0.5)

        def next(self, i):
            self.n += 1
            return self.n

    slow = Slow.remote()
    refs = [slow.next.remote(i) for i in range(50_000)]
    assert shoal.get(refs, timeout=50) == list(range(1, 50_001))


def test_the_objects_of_a_killed_tasks_worker_are_freed(two_cpus):
    before = object_bytes()

    @shoal.remote(max_retries=0)
    def dies():
        kept = [shoal.put(b"k" * BIG) for _ in range(5)]
        os.kill(os.getpid(), signal.SIGKILL)
        return kept

    with pytest.raises(shoal.exceptions.WorkerCrashedError):
        shoal.get(dies.remote(), timeout=20)
    freed_to(before)


def test_a_frame_finds_space_where_objects_find_none(session_root):
    off = {"automatic_object_spilling_enabled": False, "object_store_full_seconds": 0.1}
    with shoal.init(num_cpus=1, object_store_memory=100 << 20, _system_config=off):

        @shoal.remote
        def many(*args):
            return len(args)

        assert shoal.get(many.remote()) == 0
        kept = []
        with pytest.raises(shoal.exceptions.ObjectStoreFullError):
            while True:
                kept.append(shoal.put(b"x" * 110_000))
        # Its arguments are inline; together they are larger than the ring.
        assert shoal.get(many.remote(*[b"x" * 50_000 for _ in range(10)]), timeout=20) == 10
