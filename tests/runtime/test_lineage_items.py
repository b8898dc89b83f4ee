"""Items of generators that are lost from the object store and made again, and those that can't be."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import shoal
from shoal import exceptions
from shoal.core import _ffi

LARGE = 300_000
TELLS = pytest.mark.parametrize("tell", [True, False], ids=["the daemon tells", "a reader finds out"])


@shoal.remote(max_retries=3)
def items(folder: Path, n: int) -> Iterator[bytearray]:
    """Item i is i bytes longer; each run adds a byte to the file `runs`."""
    with (folder / "runs").open("a") as file:
        file.write("x")
    for i in range(n):
        yield bytearray(LARGE + i)


@shoal.remote(max_retries=3)
def without_end(folder: Path) -> Iterator[bytearray]:
    """Says with files `ended1`, `ended2` that a run was closed."""
    with (folder / "runs").open("a") as file:
        file.write("x")
    number = runs(folder)
    try:
        i = 0
        while True:
            yield bytearray(LARGE + i)
            i += 1
    finally:
        (folder / f"ended{number}").touch()


@shoal.remote(max_retries=3)
def gated(folder: Path, n: int) -> Iterator[bytearray]:
    """A second run waits for a file `go`."""
    with (folder / "runs").open("a") as file:
        file.write("x")
    while runs(folder) > 1 and not (folder / "go").exists():
        time.sleep(0.005)
    for i in range(n):
        yield bytearray(LARGE + i)


@shoal.remote(max_retries=3)
def fickle(folder: Path, again: str) -> Iterator[bytearray]:
    """The first run yields three items, others one; then they raise or end."""
    first = not (folder / "first").exists()
    (folder / "first").touch()
    yield bytearray(LARGE)
    if first:
        yield bytearray(LARGE + 1)
        yield bytearray(LARGE + 2)
    elif again == "raise":
        raise ValueError("another time")


@shoal.remote(max_retries=0)
def inner_length(refs: list[Any]) -> int:
    return len(shoal.get(refs[0]))


@shoal.remote(max_retries=3)
def double(value: bytearray) -> bytearray:
    return value + value


@shoal.remote(max_retries=3)
def doubled(value: bytearray, n: int) -> Iterator[bytearray]:
    for _ in range(n):
        yield value + value


def runs(folder: Path) -> int:
    path = folder / "runs"
    return path.stat().st_size if path.exists() else 0


def get(ref: Any) -> Any:
    return shoal.get(ref, timeout=30)


def until_there(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} is not there"
        time.sleep(0.005)


@TELLS
def test_a_lost_item_is_made_again(two_cpus, tmp_path: Path, tell: bool):
    refs = list(items.remote(tmp_path, 4))
    get(refs)
    for n, ref in enumerate([refs[2], refs[0], refs[3]]):
        _ffi.lose(ref, tell)
        assert [len(value) for value in get(refs)] == [LARGE + i for i in range(4)]
        # The run for the one before may yield this one before it hears that it may stop.
        assert 2 <= runs(tmp_path) <= n + 2
    while runs(tmp_path) < 4:
        _ffi.lose(refs[1], tell)
        get(refs[1])
    _ffi.lose(refs[1], tell)
    with pytest.raises(exceptions.ObjectReconstructionFailedMaxAttemptsExceededError, match="max_retries"):
        get(refs[1])
    assert runs(tmp_path) == 4
    assert [len(get(refs[i])) for i in (0, 2, 3)] == [LARGE + i for i in (0, 2, 3)]


def test_several_lost_items_take_one_run(two_cpus, tmp_path: Path):
    refs = list(gated.remote(tmp_path, 6))
    get(refs)
    for i in (4, 0, 3):
        _ffi.lose(refs[i], True)
    assert shoal.wait(refs, num_returns=6, timeout=0) == ([refs[1], refs[2], refs[5]], [refs[0], refs[3], refs[4]])
    (tmp_path / "go").touch()
    assert [len(value) for value in get(refs)] == [LARGE + i for i in range(6)]
    assert runs(tmp_path) == 2


@TELLS
@pytest.mark.parametrize("window", [1, 3, -1])
def test_an_item_that_is_lost_while_the_stream_is_open(two_cpus, tmp_path: Path, tell: bool, window: int):
    stream = items.options(_generator_backpressure_num_objects=window).remote(tmp_path, 8)
    first, second = next(stream), next(stream)
    get([first, second])
    _ffi.lose(first, tell)
    # Nobody reads on meanwhile: the generator waits at its `yield`, or has ended.
    assert len(get(first)) == LARGE and runs(tmp_path) == 2
    assert [len(get(ref)) for ref in stream] == [LARGE + i for i in range(2, 8)]
    assert len(get(second)) == LARGE + 1 and runs(tmp_path) == 2
    with pytest.raises(StopIteration):
        next(stream)
    assert get(stream.completed()) is None


@TELLS
def test_items_of_a_generator_without_end_that_was_closed(two_cpus, tmp_path: Path, tell: bool):
    stream = without_end.options(_generator_backpressure_num_objects=2).remote(tmp_path)
    refs = [next(stream) for _ in range(3)]
    get(refs)
    del stream
    until_there(tmp_path / "ended1")
    _ffi.lose(refs[2], tell)
    assert [len(value) for value in get(refs)] == [LARGE + i for i in range(3)]
    # The second run is closed as soon as it has given what was missing.
    until_there(tmp_path / "ended2")
    assert runs(tmp_path) == 2


def test_a_stream_is_closed_while_an_item_is_made_again(two_cpus, tmp_path: Path):
    stream = gated.options(_generator_backpressure_num_objects=2).remote(tmp_path, 1000)
    refs = [next(stream) for _ in range(2)]
    get(refs)
    _ffi.lose(refs[1], True)
    del stream
    (tmp_path / "go").touch()
    assert [len(value) for value in get(refs)] == [LARGE, LARGE + 1] and runs(tmp_path) == 2


@TELLS
def test_another_process_gets_the_item_that_is_made_again(two_cpus, tmp_path: Path, tell: bool):
    refs = list(items.remote(tmp_path, 3))
    get(refs)
    _ffi.lose(refs[1], tell)
    assert get(inner_length.remote([refs[1]])) == LARGE + 1
    _ffi.lose(refs[2], tell)
    assert len(get(double.remote(refs[2]))) == 2 * (LARGE + 2)
    assert runs(tmp_path) in (2, 3)


def test_items_of_a_dynamic_generator(two_cpus, tmp_path: Path):
    refs = list(get(items.options(num_returns="dynamic").remote(tmp_path, 3)))
    get(refs)
    _ffi.lose(refs[1], True)
    assert [len(value) for value in get(refs)] == [LARGE + i for i in range(3)] and runs(tmp_path) == 2


def test_what_an_item_was_made_of_is_made_again(two_cpus, tmp_path: Path):
    [source] = items.remote(tmp_path, 1)
    stream = doubled.remote(source, 2)
    last = double.remote(next(stream))
    assert len(get(last)) == 4 * LARGE
    # It holds its argument until it is over.
    get(stream.completed())
    del source, stream
    # What was dropped is let go of before space is sought for a large value.
    shoal.put(bytearray(LARGE))
    _ffi.lose(last, True)
    assert len(get(last)) == 4 * LARGE and runs(tmp_path) == 2


@pytest.mark.parametrize(
    ("again", "text"), [("end", "ended after 1 items"), ("raise", r"raised after 1 items \(ValueError: another time\)")]
)
def test_a_generator_that_yields_something_else_the_second_time(two_cpus, tmp_path: Path, again: str, text: str):
    refs = list(fickle.remote(tmp_path, again))
    get(refs)
    _ffi.lose(refs[0], True)
    assert len(get(refs[0])) == LARGE
    _ffi.lose(refs[2], True)
    with pytest.raises(exceptions.StreamingGeneratorReplayInconsistentError, match=text) as raised:
        get(refs[2])
    assert refs[2].hex() in str(raised.value)
    assert len(get(refs[1])) == LARGE + 1


def test_a_generator_that_raised_has_its_items_made_again(two_cpus, tmp_path: Path):
    @shoal.remote(max_retries=1)
    def fails(path: Path) -> Iterator[bytearray]:
        yield bytearray(LARGE)
        raise ValueError("as it should")

    good, bad = fails.remote(tmp_path)
    get(good)
    _ffi.lose(good, True)
    assert len(get(good)) == LARGE
    with pytest.raises(ValueError, match="as it should"):
        get(bad)


def test_a_worker_that_dies_while_an_item_is_made_again(two_cpus, tmp_path: Path):
    @shoal.remote(max_retries=2)
    def dies_once(folder: Path) -> Iterator[bytearray]:
        with (folder / "runs").open("a") as file:
            file.write("x")
        if runs(folder) == 2:
            os._exit(1)
        yield bytearray(LARGE)

    [ref] = dies_once.remote(tmp_path)
    get(ref)
    _ffi.lose(ref, True)
    assert len(get(ref)) == LARGE and runs(tmp_path) == 3


def test_items_that_cannot_be_made_again_say_why(two_cpus, tmp_path: Path):
    @shoal.remote
    class Maker:
        def items(self) -> Iterator[bytearray]:
            yield bytearray(LARGE)

    maker = Maker.remote()
    for stream, text in [
        (items.options(max_retries=0).remote(tmp_path, 1), "max_retries=0"),
        (maker.items.remote(), "a method of an actor made it"),
    ]:
        [ref] = stream
        get(ref)
        _ffi.lose(ref, True)
        with pytest.raises(exceptions.ObjectReconstructionFailedError, match=text):
            get(ref)

    stream = without_end.options(_generator_backpressure_num_objects=1).remote(tmp_path)
    ref = next(stream)
    get(ref)
    shoal.cancel(stream)
    with pytest.raises(exceptions.TaskCancelledError):
        [get(ref) for ref in stream]
    _ffi.lose(ref, True)
    with pytest.raises(exceptions.ObjectReconstructionFailedError, match="cancelled"):
        get(ref)
