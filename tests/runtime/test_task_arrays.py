"""Task arrays: `f.map`, and `ActorPool.map` of a method's name."""

from __future__ import annotations

import itertools
import os
import time

import pytest

import shoal
from shoal.exceptions import RayTaskError, TaskCancelledError, WorkerCrashedError


@shoal.remote
def square(x):
    return x * x


@shoal.remote
def picky(x):
    if x % 100 == 7:
        raise KeyError(x)
    return x


def test_results_come_in_the_order_of_the_items(shared_instance):
    assert list(square.map(range(20_000))) == [x * x for x in range(20_000)]
    assert list(square.map([])) == []
    assert list(square.map(x for x in (3, 4))) == [9, 16]
    assert list(square.map(range(10), chunk=3)) == [x * x for x in range(10)]


def test_several_iterables_end_with_the_shortest(shared_instance):
    @shoal.remote
    def add(a, b, c):
        return a + b + c

    assert list(add.map(range(5), itertools.count(10), [1, 1, 1, 1])) == [11, 13, 15, 17]


def test_an_endless_iterable_is_read_no_further_than_the_results(shared_instance):
    taken = itertools.count()
    results = square.map(taken, chunk=10)
    assert [next(results) for _ in range(25)] == [x * x for x in range(25)]
    assert next(taken) <= 25 + 10 * (3 * 2 + 1)
    results.close()
    with pytest.raises(StopIteration):
        next(results)


def test_an_error_is_raised_at_its_item_and_the_others_go_on(shared_instance):
    results, got, failed = picky.map(range(1000), chunk=64), [], []
    while True:
        try:
            got.append(next(results))
        except StopIteration:
            break
        except KeyError as error:
            assert isinstance(error, RayTaskError)
            assert "picky" in str(error) and "raise KeyError(x)" in str(error)
            failed.append(error.cause.args[0])
    assert failed == list(range(7, 1000, 100))
    assert got == [x for x in range(1000) if x % 100 != 7]


def test_a_stop_iteration_of_the_function_is_an_error_not_an_end(shared_instance):
    @shoal.remote
    def stops(x):
        if x == 2:
            raise StopIteration
        return x

    results = stops.map(range(5), chunk=5)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        next(results)
    assert list(results) == [3, 4]


def test_retry_exceptions_counts_for_an_item(shared_instance, tmp_path):
    @shoal.remote(retry_exceptions=[ConnectionError], max_retries=2)
    def flaky(folder, x):
        with open(f"{folder}/{x}", "a") as file:
            file.write(".")
        if x == 3 and os.path.getsize(f"{folder}/{x}") < 3:
            raise ConnectionError(x)
        if x == 4:
            raise ConnectionError("always")
        return x

    results = flaky.map(itertools.repeat(str(tmp_path)), range(6), chunk=6)
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ConnectionError, match="always"):
        next(results)
    assert list(results) == [5]
    assert {name: (tmp_path / name).stat().st_size for name in "012345"} == {
        "0": 1,
        "1": 1,
        "2": 1,
        "3": 3,
        "4": 3,
        "5": 1,
    }


def test_references_among_the_items_are_replaced_by_their_values(shared_instance):
    refs = list(square.map(range(40), refs=True))
    assert all(isinstance(ref, shoal.ObjectRef) for ref in refs)
    assert list(square.map(refs)) == [x**4 for x in range(40)]
    assert shoal.get(refs[5]) == 25


def test_as_references_each_item_has_its_own_error(shared_instance):
    refs = list(picky.map(range(20), refs=True, chunk=8))
    assert len(refs) == 20
    assert shoal.get(refs[:7] + refs[8:]) == [x for x in range(20) if x != 7]
    with pytest.raises(KeyError):
        shoal.get(refs[7])
    with pytest.raises(KeyError):
        shoal.get(list(picky.map([7], refs=True)))


def test_a_worker_s_death_costs_a_try_of_its_chunk(shared_instance, tmp_path):
    @shoal.remote(max_retries=1)
    def dies_once(mark, x):
        if x == 5 and not os.path.exists(mark):
            open(mark, "w").close()
            os.kill(os.getpid(), 9)
        return x

    assert list(dies_once.map(itertools.repeat(str(tmp_path / "mark")), range(10), chunk=5)) == list(range(10))

    @shoal.remote(max_retries=0)
    def dies(x):
        if x == 5:
            os.kill(os.getpid(), 9)
        return x

    results, got, lost = dies.map(range(12), chunk=4), [], 0
    for _ in range(12):
        try:
            got.append(next(results))
        except WorkerCrashedError:
            lost += 1
    assert lost == 4
    assert got == [0, 1, 2, 3, 8, 9, 10, 11]


def test_chunks_grow_with_short_calls_and_not_with_long_ones(shared_instance):
    results = square.map(range(100_000))
    # One that others kept from its CPU is measured as a long one: sooner or later one isn't.
    assert any("chunks of 4096" in repr(results) for _ in results)
    results.close()

    @shoal.remote
    def slow(x):
        time.sleep(0.05)
        return x

    results = slow.map(range(12))
    assert list(results) == list(range(12))
    assert "chunks of 1," in repr(results)


def test_large_items_travel_in_small_chunks(shared_instance):
    sizes = shoal.remote(lambda data: len(data)).map(bytes(300_000) for _ in range(40))
    assert list(sizes) == [300_000] * 40


def test_close_cancels_what_is_under_way(shared_instance, tmp_path):
    @shoal.remote
    def waits(path, x):
        open(f"{path}/{x}", "w").close()
        time.sleep(60)

    results = waits.map(itertools.repeat(str(tmp_path)), range(4), chunk=1)
    refs = [ref for ref, _ in results._sent]
    while not any(tmp_path.iterdir()):
        time.sleep(0.01)
    results.close()
    for ref in refs:
        with pytest.raises(TaskCancelledError):
            shoal.get(ref, timeout=20)


def test_from_inside_a_task_with_options(shared_instance):
    @shoal.remote
    def outer(n):
        return sum(square.options(num_cpus=0.5, name="squares").map(range(n)))

    assert shoal.get(outer.remote(1000), timeout=30) == sum(x * x for x in range(1000))


def test_wrong_arguments_say_what_is_taken(shared_instance):
    with pytest.raises(TypeError, match=r"square.map\(\) takes iterables; argument 1 is a 'int'"):
        square.map(5)
    with pytest.raises(TypeError, match="argument 2 is a 'NoneType'"):
        square.map([1], None)
    with pytest.raises(ValueError, match=r"square.map\(chunk=\) takes a whole number ≥ 1, or None, not 0"):
        square.map([1], chunk=0)
    with pytest.raises(TypeError, match=r"square.map\(chunk=\) takes a whole number ≥ 1, or None, not 1.5"):
        square.map([1], chunk=1.5)
    with pytest.raises(ValueError, match="takes a function with one return"):
        square.options(num_returns=2).map([1])


def test_a_pool_maps_a_method_by_name(shared_instance):
    @shoal.remote(num_cpus=0)
    class Adder:
        def __init__(self, n):
            self.n = n

        def add(self, x):
            if x == 13:
                raise ValueError("unlucky")
            return x + self.n

        async def later(self, x):
            return x

    @shoal.remote(num_cpus=0)
    class Async:
        async def later(self, x):
            return x

    pool = shoal.util.ActorPool([Adder.remote(1), Adder.remote(1)])
    results = pool.map("add", range(1000))
    assert [next(results) for _ in range(13)] == list(range(1, 14))
    with pytest.raises(ValueError, match="unlucky"):
        next(results)
    assert list(results) == list(range(15, 1001))
    assert list(pool.map(lambda actor, x: actor.add.remote(x), [1, 2])) == [2, 3]
    with pytest.raises(AttributeError):
        pool.map("missing", [1])
    with pytest.raises(ValueError, match="needs the name of a method"):
        pool.map(lambda actor, x: actor.add.remote(x), [1], chunk=5)
    with pytest.raises(ValueError, match="takes the name of a method that is not"):
        next(shoal.util.ActorPool([Async.remote()]).map("later", [1]))
    with pytest.raises(ValueError, match="needs an idle actor"):
        shoal.util.ActorPool([]).map("add", [1])
