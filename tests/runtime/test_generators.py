"""Generators: items as they come, in order, once; how far they run ahead; every way to end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import shoal
from support.waits import until

SOON = 30.0
"""Seconds within which what happens at once has happened."""


def say(path: str, text: object) -> None:
    Path(path + ".new").write_text(str(text))
    os.replace(path + ".new", path)


def said(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def stays(path: Path, text: str, seconds: float = 0.3) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert said(path) == text
        time.sleep(0.02)


@shoal.remote
def count(n, fail_at=None):
    for i in range(n):
        if i == fail_at:
            raise ValueError(f"at {i}")
        yield i


@shoal.remote
def told(path):
    """Says how far it came, and how it ended."""
    i = -1
    try:
        while True:
            i += 1
            say(path, i)
            yield i
    finally:
        say(path + ".end", i)


class Plain:
    def count(self, n, fail_at=None):
        for i in range(n):
            if i == fail_at:
                raise ValueError(f"at {i}")
            yield i

    def pid(self):
        return os.getpid()


class Async:
    async def count(self, n, fail_at=None):
        for i in range(n):
            if i == fail_at:
                raise ValueError(f"at {i}")
            await asyncio.sleep(0)
            yield i

    def pid(self):
        return os.getpid()

    def count_sync(self, n, fail_at=None):
        yield from Plain.count(self, n, fail_at)


KINDS = ["task", "sync actor", "threaded actor", "async actor", "sync generator of an async actor"]


def generator(kind):
    """The remote generator of that kind, and what keeps it alive."""
    if kind == "task":
        return count, None
    if kind.endswith("async actor"):
        actor = shoal.remote(Async).remote()
        return (actor.count_sync if kind.startswith("sync generator") else actor.count), actor
    actor = shoal.remote(Plain).options(max_concurrency=2 if kind == "threaded actor" else 1).remote()
    return actor.count, actor


@pytest.mark.parametrize("kind", KINDS)
def test_items_come_in_order_and_a_failure_is_the_last(two_cpus, kind):
    items, _actor = generator(kind)
    assert [shoal.get(ref) for ref in items.remote(50)] == list(range(50))
    assert list(items.remote(0)) == []
    stream = items.remote(5, fail_at=3)
    refs = list(stream)
    assert shoal.get(refs[:3]) == [0, 1, 2] and len(refs) == 4
    with pytest.raises(ValueError, match="at 3"):
        shoal.get(refs[3])
    assert shoal.get(stream.completed()) is None
    with pytest.raises(StopIteration):
        next(stream)
    assert stream.is_finished() and not stream.next_ready()


@pytest.mark.parametrize("kind", KINDS)
def test_async_for_gives_the_same(two_cpus, kind):
    items, _actor = generator(kind)

    async def read():
        return [await ref async for ref in items.remote(20)]

    assert asyncio.run(read()) == list(range(20))


@pytest.mark.parametrize("kind", KINDS)
def test_dynamic_is_one_value_of_all_items(two_cpus, kind):
    items, _actor = generator(kind)
    ref = items.options(num_returns="dynamic").remote(4)
    assert isinstance(ref, shoal.ObjectRef)
    found = shoal.get(ref)
    assert isinstance(found, shoal.DynamicObjectRefGenerator) and len(found) == 4
    assert shoal.get(list(found)) == [0, 1, 2, 3]
    *good, bad = shoal.get(items.options(num_returns="dynamic").remote(4, fail_at=2))
    assert shoal.get(good) == [0, 1]
    with pytest.raises(ValueError, match="at 2"):
        shoal.get(bad)


def test_a_number_of_returns_takes_the_items_of_a_generator(one_cpu):
    assert shoal.get(count.options(num_returns=3).remote(3)) == [0, 1, 2]
    first, *failed = count.options(num_returns=3).remote(3, fail_at=1)
    assert shoal.get(first) == 0
    for ref in failed:
        with pytest.raises(ValueError, match="at 1"):
            shoal.get(ref)


def test_what_is_no_generator_cannot_stream(one_cpu):
    @shoal.remote(num_returns="streaming")
    def plain():
        return 5

    with pytest.raises(TypeError, match=r'plain was called with num_returns="streaming" or "dynamic" and gave no'):
        shoal.get(next(plain.remote()))

    with pytest.raises(TypeError, match=r'it is a \'generator\': .*num_returns="streaming" sends the items one by one'):
        shoal.get(count.options(num_returns=1).remote(3))


class Gives:
    def five(self):
        return 5

    def items(self):
        return [1, 2, 3]


class GivesAsync(Gives):
    async def five(self):
        return 5

    async def items(self):
        return [1, 2, 3]


class GivesBoth(Gives):
    async def one(self):
        return 1


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("kind", ["sync", "threaded", "async", "plain methods of an async"])
def test_a_method_that_is_no_generator_streams_what_can_be_iterated(two_cpus, tmp_path, kind, persistent):
    from shoal.util.persistence import FilePersistence, Persistence

    cls = {"async": GivesAsync, "plain methods of an async": GivesBoth}.get(kind, Gives)
    options = {"max_concurrency": 2} if kind == "threaded" else {}
    if persistent:
        options["persistent"] = Persistence(FilePersistence(tmp_path), "it")
    actor = shoal.remote(cls).options(**options).remote()
    assert shoal.get(list(actor.items.options(num_returns="streaming").remote())) == [1, 2, 3]
    assert shoal.get(list(shoal.get(actor.items.options(num_returns="dynamic").remote()))) == [1, 2, 3]
    with pytest.raises(TypeError, match=r'five was called with num_returns="streaming" or "dynamic" and gave no gen'):
        shoal.get(next(actor.five.options(num_returns="streaming").remote()))


def test_an_item_is_there_before_the_next_is_made(one_cpu, tmp_path):
    @shoal.remote
    def in_turn(path):
        yield 1
        until(lambda: os.path.exists(path))
        yield 2

    path = tmp_path / "go"
    stream = in_turn.remote(str(path))
    assert shoal.get(next(stream)) == 1
    assert stream._next_sync(0.05).is_nil() and not stream.next_ready() and not stream.is_finished()
    assert asyncio.run(stream._next_async(0.05)).is_nil()
    path.touch()
    assert shoal.get(stream._next_sync(SOON)) == 2
    assert shoal.get(stream.completed(), timeout=SOON) is None


def test_wait_takes_generators(two_cpus, tmp_path):
    go = tmp_path / "go"

    @shoal.remote
    def held(path):
        until(lambda: os.path.exists(path))
        yield 1

    waiting, one = held.remote(str(go)), count.remote(1)
    ready, rest = shoal.wait([waiting, one], timeout=SOON)
    assert ready == [one] and rest == [waiting] and ready[0] is one
    assert shoal.get(next(one)) == 0
    # At its end it is ready, too: `next` would not wait.
    assert shoal.wait([one], timeout=SOON) == ([one], [])
    assert shoal.wait([waiting], timeout=0) == ([], [waiting])
    go.touch()
    assert shoal.wait([waiting, shoal.put(1)], num_returns=2, timeout=SOON)[1] == []
    with pytest.raises(ValueError, match="one twice"):
        shoal.wait([waiting, waiting])


def test_large_items_lie_in_the_arena_and_are_freed_as_they_go(one_cpu):
    @shoal.remote
    def arrays(n):
        for i in range(n):
            yield np.full(1 << 17, i)

    # 400 MB through an arena that may be smaller.
    total = 0
    for ref in arrays.options(_generator_backpressure_num_objects=4).remote(400):
        total += int(shoal.get(ref)[-1])
    assert total == sum(range(400))


def test_references_in_items_are_held(two_cpus):
    @shoal.remote
    def nested(given):
        for i in range(5):
            yield [shoal.put(np.full(20_000, i)), given[0]]

    mine = shoal.put("mine")
    for i, ref in enumerate(nested.remote([mine])):
        inner, back = shoal.get(ref)
        assert int(shoal.get(inner)[0]) == i and shoal.get(back) == "mine"


@pytest.mark.parametrize("limit", [1, 3])
def test_a_generator_waits_while_so_many_items_are_unread(one_cpu, tmp_path, limit):
    path = tmp_path / "at"
    stream = told.options(_generator_backpressure_num_objects=limit).remote(str(path))
    for read in range(4):
        until(lambda read=read: said(path) == str(read + limit - 1))
        stays(path, str(read + limit - 1), 0.1)
        assert shoal.get(next(stream)) == read


def test_unread_bytes_count_without_an_option_and_minus_one_lifts_the_limit(one_cpu, tmp_path):
    @shoal.remote
    def large(path):
        for i in range(20):
            say(path, i)
            yield bytes(8 << 20)

    path = tmp_path / "limited"
    stream = large.remote(str(path))
    until(lambda: said(path) == "7")
    stays(path, "7")
    assert sum(1 for _ in stream) == 20

    path = tmp_path / "free"
    stream = large.options(_generator_backpressure_num_objects=-1).remote(str(path))
    until(lambda: said(path) == "19")


def test_who_waits_for_a_reader_lends_its_cpu(one_cpu, tmp_path):
    stream = told.options(_generator_backpressure_num_objects=1).remote(str(tmp_path / "at"))
    until(lambda: said(tmp_path / "at") == "0")
    assert [shoal.get(ref, timeout=SOON) for ref in count.remote(3)] == [0, 1, 2]
    assert shoal.get(next(stream)) == 0


class Told:
    def told(self, path):
        i = -1
        try:
            while True:
                i += 1
                say(path, i)
                yield i
        finally:
            say(path + ".end", i)

    async def told_async(self, path):
        i = -1
        try:
            while True:
                i += 1
                say(path, i)
                yield i
                await asyncio.sleep(0)
        finally:
            say(path + ".end", i)

    def pid(self):
        return os.getpid()


def endless(kind, window):
    if kind == "task":
        return told.options(_generator_backpressure_num_objects=window), None
    options = {"max_concurrency": 2} if kind == "threaded actor" else {}
    if kind == "async actor":
        actor = shoal.remote(Told).remote()
        return actor.told_async.options(_generator_backpressure_num_objects=window), actor

    class Sync:
        told = Told.told
        pid = Told.pid

    actor = shoal.remote(Sync).options(**options).remote()
    return actor.told.options(_generator_backpressure_num_objects=window), actor


WAYS = ["task", "sync actor", "threaded actor", "async actor"]


@pytest.mark.parametrize("window", [2, 50_000], ids=["waiting", "running"])
@pytest.mark.parametrize("kind", WAYS)
def test_a_generator_that_is_dropped_is_closed_at_its_yield(two_cpus, tmp_path, kind, window):
    items, actor = endless(kind, window)
    stream = items.remote(str(tmp_path / "at"))
    kept = next(stream)
    until(lambda: said(tmp_path / "at") not in ("", "0"))
    del stream
    until(lambda: (tmp_path / "at.end").exists())
    assert shoal.get(kept) == 0
    if actor is not None:
        assert shoal.get(actor.pid.remote(), timeout=SOON) > 0


@pytest.mark.parametrize("window", [2, 50_000], ids=["waiting", "running"])
@pytest.mark.parametrize("kind", WAYS)
def test_a_generator_that_is_cancelled_ends_with_the_error(two_cpus, tmp_path, kind, window):
    items, actor = endless(kind, window)
    stream = items.remote(str(tmp_path / "at"))
    assert shoal.get(next(stream)) == 0
    shoal.cancel(stream)
    with pytest.raises(shoal.exceptions.TaskCancelledError):
        for ref in stream:
            shoal.get(ref, timeout=SOON)
    with pytest.raises(StopIteration):
        next(stream)
    until(lambda: (tmp_path / "at.end").exists())
    if actor is not None:
        assert shoal.get(actor.pid.remote(), timeout=SOON) > 0


def test_a_generator_that_never_began_is_dropped_and_cancelled(one_cpu, tmp_path):
    first = told.options(_generator_backpressure_num_objects=50_000).remote(str(tmp_path / "first"))
    next(first)
    dropped, cancelled = count.remote(5), count.remote(5)
    shoal.cancel(cancelled)
    with pytest.raises(shoal.exceptions.TaskCancelledError):
        shoal.get(next(cancelled), timeout=SOON)
    del dropped
    del first
    assert [shoal.get(ref, timeout=SOON) for ref in count.remote(2)] == [0, 1]


def test_a_retry_goes_on_where_the_first_attempt_ended(one_cpu, tmp_path):
    @shoal.remote(max_retries=2)
    def dies_once(path):
        for i in range(6):
            if i == 4 and not os.path.exists(path):
                open(path, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            yield [i, np.full(30_000, i)]

    found = [shoal.get(ref, timeout=3 * SOON) for ref in dies_once.remote(str(tmp_path / "died"))]
    assert [i for i, _ in found] == list(range(6)) and all(int(a[0]) == i for i, a in found)


def test_retry_exceptions_replays_and_fewer_items_are_an_error(one_cpu, tmp_path):
    @shoal.remote(max_retries=1, retry_exceptions=True)
    def raises_once(path, second):
        first = not os.path.exists(path)
        open(path, "w").close()
        yield from range(3 if first else second)
        if first:
            raise ValueError("once")

    assert shoal.get(list(raises_once.remote(str(tmp_path / "a"), 5))) == [0, 1, 2, 3, 4]
    *good, bad = raises_once.remote(str(tmp_path / "b"), 2)
    assert shoal.get(good) == [0, 1, 2]
    with pytest.raises(shoal.exceptions.StreamingGeneratorReplayInconsistentError, match="yielded 2 items, an earlier"):
        shoal.get(bad)


@pytest.mark.parametrize("retries", [0, 1])
def test_an_actor_that_restarts_in_mid_stream(two_cpus, tmp_path, retries):
    @shoal.remote(max_restarts=1, max_task_retries=retries)
    class Dies:
        def items(self, path):
            for i in range(5):
                if i == 3 and not os.path.exists(path):
                    open(path, "w").close()
                    os.kill(os.getpid(), signal.SIGKILL)
                yield i

    actor = Dies.remote()
    refs = list(actor.items.remote(str(tmp_path / "died")))
    if retries:
        assert shoal.get(refs) == [0, 1, 2, 3, 4]
    else:
        assert shoal.get(refs[:-1]) == [0, 1, 2]
        with pytest.raises(shoal.exceptions.ActorUnavailableError):
            shoal.get(refs[-1])
    again = actor.items.options(max_task_retries=-1).remote(str(tmp_path / "died"))
    assert shoal.get(list(again)) == [0, 1, 2, 3, 4]


def test_a_worker_that_dies_without_retries_ends_the_stream(one_cpu):
    @shoal.remote(max_retries=0)
    def dies():
        yield 1
        os.kill(os.getpid(), signal.SIGKILL)

    first, last = dies.remote()
    assert shoal.get(first) == 1
    with pytest.raises(shoal.exceptions.WorkerCrashedError):
        shoal.get(last)


@shoal.remote(num_cpus=0)
def eat(stream, n):
    return [shoal.get(next(stream)) for _ in range(n)]


@shoal.remote(num_cpus=0)
def eat_all(stream):
    return [shoal.get(ref) for ref in stream]


def test_other_processes_read_the_same_generator(two_cpus):
    stream = count.remote(30)
    assert shoal.get(eat.remote(stream, 5), timeout=SOON) == [0, 1, 2, 3, 4]
    parts = shoal.get([eat_all.remote(stream) for _ in range(3)], timeout=2 * SOON)
    assert sorted(i for part in parts for i in part) == list(range(5, 30))
    assert all(part == sorted(part) for part in parts)
    assert list(stream) == [] and stream.is_finished()


def test_a_generator_that_a_task_returns_is_read_by_its_caller(two_cpus):
    @shoal.remote(num_cpus=0)
    def makes(n):
        return count.remote(n)

    stream = shoal.get(makes.remote(20), timeout=SOON)
    assert [shoal.get(ref, timeout=SOON) for ref in stream] == list(range(20))

    async def read(stream):
        return [await ref async for ref in stream]

    assert asyncio.run(read(shoal.get(makes.remote(3)))) == [0, 1, 2]
    ready, _ = shoal.wait([shoal.get(makes.remote(1))], timeout=SOON)
    assert len(ready) == 1 and shoal.get(next(ready[0])) == 0


def test_the_last_reader_in_another_process_stops_it(two_cpus, tmp_path):
    items = told.options(_generator_backpressure_num_objects=2)
    stream = items.remote(str(tmp_path / "at"))
    reading = eat.remote(stream, 10)
    del stream
    assert shoal.get(reading, timeout=SOON) == list(range(10))
    until(lambda: (tmp_path / "at.end").exists())


def test_the_death_of_who_called_stops_it_and_tells_its_readers(two_cpus, tmp_path):
    @shoal.remote(max_restarts=0)
    class Caller:
        def call(self, actor, path):
            self.stream = actor.told.options(_generator_backpressure_num_objects=2).remote(path)
            return [self.stream, os.getpid()]

    class Sync:
        told = Told.told

    actor = shoal.remote(Sync).remote()
    caller = Caller.remote()
    stream, pid = shoal.get(caller.call.remote(actor, str(tmp_path / "at")))
    assert shoal.get(next(stream), timeout=SOON) == 0
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(shoal.exceptions.OwnerDiedError):
        for _ in range(10):
            next(stream)
    until(lambda: (tmp_path / "at.end").exists())


def test_a_session_that_ends_ends_its_generators(shoal_run):
    shoal_run(
        """
        import shoal, time
        shoal.init(num_cpus=1)
        @shoal.remote
        def slow():
            yield 1
            time.sleep(60)
        stream = slow.remote()
        next(stream)
        shoal.shutdown()
        try:
            next(stream)
        except shoal.exceptions.RaySystemError as error:
            assert "session that has ended" in str(error), error
        else:
            raise AssertionError
        del stream
        """
    )


def test_what_it_is(one_cpu):
    stream = count.remote(2)
    assert isinstance(stream, shoal.ObjectRefGenerator) and iter(stream) is stream and shoal.get(stream) is stream
    assert stream.task_id().hex() in repr(stream) and next(stream).hex().startswith(stream.task_id().hex())
    assert stream == stream and hash(stream) != hash(count.remote(2))


@pytest.mark.parametrize("kind", ["sync", "threaded", "async"])
def test_an_item_leaves_when_the_state_that_it_comes_from_is_saved(two_cpus, tmp_path, kind):
    from shoal.util.persistence import FilePersistence, Persistence

    class Keeps:
        n = 0

        def count(self, k):
            for _ in range(k):
                self.n += 1
                yield [self.n, os.getpid()]

        def __shoal_save__(self):
            return self.n

        def __shoal_restore__(self, n):
            self.n = n

    class KeepsAsync(Keeps):
        async def count(self, k):
            for _ in range(k):
                self.n += 1
                yield [self.n, os.getpid()]

    options = {"max_concurrency": 2} if kind == "threaded" else {}
    cls = shoal.remote(KeepsAsync if kind == "async" else Keeps)
    store = Persistence(FilePersistence(str(tmp_path)), "it", every="call")
    actor = cls.options(persistent=store, max_restarts=1, max_task_retries=1, **options).remote()
    stream = actor.count.options(_generator_backpressure_num_objects=1).remote(100)
    [shoal.get(next(stream)) for _ in range(4)]
    n, pid = shoal.get(next(stream))
    os.kill(pid, signal.SIGKILL)
    del stream
    again = shoal.get(next(actor.count.remote(1)), timeout=SOON)[0]
    assert n == 5 and again in (6, 7)
