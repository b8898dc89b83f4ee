"""Values that are lost from the object store and made again, and those that can't be."""

from __future__ import annotations

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
def make(path: Path, size: int = LARGE) -> bytearray:
    with path.open("a") as file:
        file.write("x")
    return bytearray(b"v" * size)


@shoal.remote(max_retries=3)
def longer(value: bytearray, path: Path) -> bytearray:
    with path.open("a") as file:
        file.write("x")
    return value + b"w"


@shoal.remote(max_retries=0)
def length(value: Any) -> int:
    return len(value)


@shoal.remote(max_retries=0)
def inner_length(refs: list[Any]) -> int:
    return len(shoal.get(refs[0]))


def runs(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def get(ref: Any) -> Any:
    return shoal.get(ref, timeout=30)


@TELLS
def test_a_lost_value_is_made_again(two_cpus, tmp_path: Path, tell: bool):
    path = tmp_path / "runs"
    ref = make.remote(path)
    assert len(get(ref)) == LARGE
    for n in (2, 3, 4):
        _ffi.lose(ref, tell)
        assert len(get(ref)) == LARGE and runs(path) == n
    _ffi.lose(ref, tell)
    with pytest.raises(exceptions.ObjectReconstructionFailedMaxAttemptsExceededError, match="max_retries"):
        get(ref)
    assert runs(path) == 4


@TELLS
def test_a_task_that_may_run_once_waits_for_its_lost_argument(two_cpus, tmp_path: Path, tell: bool):
    path = tmp_path / "runs"
    ref = make.remote(path)
    get(ref)
    _ffi.lose(ref, tell)
    assert get([length.remote(ref) for _ in range(5)]) == [LARGE] * 5
    assert runs(path) == 2


@TELLS
def test_a_borrower_gets_the_value_that_is_made_again(two_cpus, tmp_path: Path, tell: bool):
    @shoal.remote
    class Holder:
        def hold(self, refs: list[Any]) -> int:
            self.refs = refs
            return len(shoal.get(refs[0]))

        def length(self) -> int:
            return len(shoal.get(self.refs[0]))

    path = tmp_path / "runs"
    ref, holder = make.remote(path), Holder.remote()
    assert get(holder.hold.remote([ref])) == LARGE
    _ffi.lose(ref, tell)
    assert get(holder.length.remote()) == LARGE
    assert get(inner_length.remote([ref])) == LARGE and runs(path) == 2


def test_several_steps_are_made_again_from_where_they_are_missing(two_cpus, tmp_path: Path):
    path = tmp_path / "runs"
    ref = make.remote(path)
    for _ in range(4):
        ref = longer.remote(ref, path)
    assert len(get(ref)) == LARGE + 4 and runs(path) == 5
    _ffi.lose(ref, True)
    # The four before it were let go of, so all five run again.
    assert len(get(ref)) == LARGE + 4 and runs(path) == 10


def test_an_actor_keeps_its_order_and_unordered_calls_wait(two_cpus, tmp_path: Path):
    @shoal.remote
    class Keeper:
        def __init__(self) -> None:
            self.seen: list[int] = []

        def see(self, n: int, value: Any = None) -> list[int]:
            self.seen.append(n)
            return self.seen

    path = tmp_path / "runs"
    keeper, ref = Keeper.remote(), make.remote(path)
    get([ref, keeper.see.remote(0)])
    _ffi.lose(ref, True)
    calls = [keeper.see.remote(1, ref), keeper.see.remote(2)]
    assert get(calls)[-1] == [0, 1, 2] and runs(path) == 2


def test_what_cannot_be_made_again_says_why(two_cpus, tmp_path: Path):
    @shoal.remote
    class Maker:
        def make(self) -> bytearray:
            return bytearray(LARGE)

    def why(ref: Any, error: type[Exception] = exceptions.ObjectReconstructionFailedError) -> str:
        get(ref)
        _ffi.lose(ref, True)
        with pytest.raises(error) as raised:
            get(ref)
        assert isinstance(raised.value, exceptions.ObjectLostError)
        return str(raised.value)

    put = shoal.put(bytearray(LARGE))
    maker = Maker.remote()
    assert "it was put" in why(put)
    assert "a method of an actor made it" in why(maker.make.remote())
    assert "max_retries=0" in why(make.options(max_retries=0).remote(tmp_path / "runs"))
    # Its argument was put, and let go of.
    argument = shoal.put(bytearray(LARGE))
    made = longer.remote(argument, tmp_path / "runs")
    get(made)
    name = argument.hex()
    del argument
    # What was dropped is let go of before space is sought for a large value.
    shoal.put(bytearray(LARGE))
    text = why(made)
    assert name in text and "nothing is kept of how it was made" in text


@pytest.fixture
def little_lineage() -> Iterator[None]:
    with shoal.init(num_cpus=2, _system_config={"max_lineage_bytes": 2_000}):
        yield
    shoal.shutdown()


def test_beyond_the_bound_the_oldest_is_let_go_and_says_so(little_lineage, tmp_path: Path):
    refs = [make.remote(tmp_path / "runs") for _ in range(10)]
    get(refs)
    for ref in (refs[0], refs[-1]):
        _ffi.lose(ref, True)
    with pytest.raises(exceptions.ObjectReconstructionFailedLineageEvictedError, match="SHOAL_MAX_LINEAGE_BYTES"):
        get(refs[0])
    assert len(get(refs[-1])) == LARGE


def test_everything_that_can_be_lost_is_made_again_under_load(two_cpus, tmp_path: Path):
    refs = [make.options(max_retries=-1).remote(tmp_path / str(n), LARGE + n) for n in range(20)]
    get(refs)
    for round in range(5):
        for n, ref in enumerate(refs):
            if (n + round) % 3 == 0:
                _ffi.lose(ref, n % 2 == 0)
        lengths = [length.remote(ref) for ref in refs]
        assert get(lengths) == [LARGE + n for n in range(20)]
