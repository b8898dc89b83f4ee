"""Remote functions: arguments, returns, errors, order of readiness."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import shoal


@shoal.remote
def echo(*args, **kwargs):
    return args, kwargs


@shoal.remote
def add(a, b):
    return a + b


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -1,
        2**62,
        2**70,
        1.5,
        "",
        "text",
        "é" * 100,
        "\ud800",
        b"",
        b"x" * 100,
        [1, [2]],
        {"a": (1, {2})},
    ],
)
def test_a_value_comes_back_as_it_went(two_cpus, value):
    assert shoal.get(echo.remote(value, key=value)) == ((value,), {"key": value})
    assert shoal.get(shoal.put(value)) == value
    assert type(shoal.get(shoal.put(value))) is type(value)


def test_top_level_refs_are_replaced_by_values_and_nested_ones_are_not(two_cpus):
    ref = shoal.put(7)
    (args, kwargs) = shoal.get(echo.remote(ref, [ref], key=ref))
    assert args[0] == 7 and kwargs == {"key": 7}
    assert args[1][0] == ref and shoal.get(args[1][0]) == 7


def test_a_chain_of_tasks_runs_in_order(two_cpus):
    ref = add.remote(0, 1)
    for _ in range(200):
        ref = add.remote(ref, 1)
    assert shoal.get(ref) == 201


def test_several_returns_and_none(two_cpus):
    @shoal.remote(num_returns=3)
    def three():
        return 1, 2, 3

    @shoal.remote(num_returns=0)
    def nothing():
        return None

    assert shoal.get(three.remote()) == [1, 2, 3]
    assert nothing.remote() is None
    with pytest.raises(ValueError, match="num_returns"):
        shoal.get(three.options(num_returns=2).remote())


def test_ten_thousand_small_tasks(two_cpus):
    refs = [add.remote(i, 1) for i in range(10_000)]
    assert shoal.get(refs) == list(range(1, 10_001))


def test_an_error_is_both_the_users_type_and_ours_with_the_users_line(two_cpus):
    @shoal.remote
    def fails():
        raise KeyError("not there") from ValueError("the reason")

    with pytest.raises(KeyError) as caught:
        shoal.get(fails.remote())
    assert isinstance(caught.value, shoal.exceptions.RayTaskError)
    assert 'raise KeyError("not there")' in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)
    assert "the reason" in str(caught.value)


def test_an_error_flows_through_the_tasks_that_depend_on_it(two_cpus):
    @shoal.remote
    def fails():
        raise ZeroDivisionError("first")

    with pytest.raises(ZeroDivisionError, match="first"):
        shoal.get(add.remote(add.remote(fails.remote(), 1), 1))


def test_what_cannot_be_pickled_arrives_as_text(two_cpus):
    class Stubborn(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a} {b}")

        def __reduce__(self):
            raise TypeError("no")

    @shoal.remote
    def fails():
        raise Stubborn("the", "cause")

    with pytest.raises(shoal.exceptions.RayTaskError, match="the cause"):
        shoal.get(fails.remote())


def test_what_cannot_be_serialised_says_which_variable(two_cpus):
    import threading

    lock = threading.Lock()

    @shoal.remote
    def uses():
        return lock

    with pytest.raises(TypeError, match="lock"):
        uses.remote()


def test_wait_gives_what_is_ready_in_the_lists_order(two_cpus, tmp_path: Path):
    gate = tmp_path / "gate"

    @shoal.remote
    def held():
        while not gate.exists():
            time.sleep(0.005)
        return "held"

    slow, quick = held.remote(), add.remote(1, 1)
    ready, rest = shoal.wait([slow, quick])
    assert ready == [quick] and rest == [slow]
    assert shoal.wait([slow], timeout=0) == ([], [slow])
    with pytest.raises(shoal.exceptions.GetTimeoutError, match=r"1 of 1 objects were not ready .* shoal.util.why"):
        shoal.get(slow, timeout=0.01)
    gate.touch()
    assert shoal.wait([slow, quick], num_returns=2) == ([slow, quick], [])
    assert shoal.get(slow) == "held"


def test_a_task_that_polls_for_a_file_which_a_later_task_makes(two_cpus, tmp_path: Path):
    gate = tmp_path / "gate"

    @shoal.remote
    def maybe(path):
        if path is None:
            return
        while not os.path.exists(path):
            time.sleep(0.005)

    @shoal.remote
    def make(path):
        Path(path).touch()

    shoal.get([maybe.remote(None) for _ in range(1000)])  # the function is known as short now
    refs = [maybe.remote(str(gate)), *(maybe.remote(None) for _ in range(20)), make.remote(str(gate))]
    shoal.get(refs, timeout=30)


def test_a_task_runs_while_its_caller_goes_on(one_cpu, tmp_path: Path):
    """Both on one CPU, and the worker used to many: nobody rings for a single one before the caller waits."""

    @shoal.remote
    def touch(path):
        if path:
            Path(path).touch()
        return os.getpid()

    before = os.sched_getaffinity(0)
    for pid in (os.getpid(), shoal.get(touch.remote(None))):
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), {min(before)})
    try:
        for each in range(20):
            shoal.get([touch.remote(None) for _ in range(500)])
            gate = tmp_path / str(each)
            refs = [touch.remote(None) for _ in range(100)]
            refs.append(touch.remote(str(gate)))
            end = time.monotonic() + 30
            while not gate.exists():
                assert time.monotonic() < end
            shoal.get(refs)
    finally:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(thread), before)


def test_workers_are_named_for_what_they_run(two_cpus):
    @shoal.remote
    def visible():
        return Path("/proc/self/cmdline").read_bytes().split(b"\0")[0].decode(), os.getpid()

    name, pid = shoal.get(visible.remote())
    assert name.startswith("shoal::") and "visible" in name and pid != os.getpid()


def test_a_queued_and_a_running_task_are_cancelled(one_cpu, tmp_path: Path):
    begun = tmp_path / "begun"

    @shoal.remote
    def forever():
        begun.touch()
        while True:
            time.sleep(0.01)

    running = forever.remote()
    while not begun.exists():
        time.sleep(0.005)
    queued = add.remote(1, 1)
    shoal.cancel(queued, running)
    for ref in (queued, running):
        with pytest.raises(shoal.exceptions.TaskCancelledError):
            shoal.get(ref, timeout=10)
    assert shoal.get(add.remote(2, 2), timeout=10) == 4
