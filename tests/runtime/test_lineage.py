"""Values that are lost from the object store and made again, and those that can't be."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shoal
from shoal import exceptions
from shoal.core import _ffi
from support.waits import until

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


@shoal.remote(max_retries=3)
def gated(folder: Path) -> bytearray:
    """A second run waits for a file `go`."""
    first = folder / "first"
    while first.exists() and not (folder / "go").exists():
        time.sleep(0.005)
    first.touch()
    return bytearray(LARGE)


@shoal.remote
def when_there(path: Path) -> bool:
    while not path.exists():
        time.sleep(0.005)
    return True


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


@shoal.remote(max_restarts=-1, max_task_retries=-1, num_cpus=1)
class Measures:
    """Takes a CPU, also while its constructor waits for an argument, unless it lends it."""

    def __init__(self, value: bytearray, beside: Any = None) -> None:
        self.value, self.beside = value, beside

    def lengths(self) -> tuple[int, int]:
        return len(self.value), len(self.beside or ())

    def pid(self) -> int:
        return os.getpid()


@TELLS
def test_an_actor_restarts_with_arguments_that_are_made_again(one_cpu, tmp_path: Path, tell: bool):
    first, second = tmp_path / "first", tmp_path / "second"
    argument = make.remote(first)
    longest = longer.remote(argument, second)
    actor = Measures.remote(argument, beside=longest)
    assert get(actor.lengths.remote()) == (LARGE, LARGE + 1)
    for n in (2, 3):
        for ref in (argument, longest):
            _ffi.lose(ref, tell)
        os.kill(get(actor.pid.remote()), signal.SIGKILL)
        assert get(actor.lengths.remote()) == (LARGE, LARGE + 1)
        assert (runs(first), runs(second)) == (n, n)


def test_an_actor_starts_with_an_argument_that_nobody_else_holds_and_that_is_made_again(one_cpu, tmp_path: Path):
    path = tmp_path / "runs"
    argument = make.remote(path)
    actor = Measures.remote(argument)
    assert get(actor.lengths.remote()) == (LARGE, 0)
    _ffi.lose(argument, False)
    del argument
    os.kill(get(actor.pid.remote()), signal.SIGKILL)
    assert get(actor.lengths.remote()) == (LARGE, 0) and runs(path) == 2


def test_an_actor_whose_argument_cannot_be_made_again_says_why(one_cpu):
    argument = shoal.put(bytearray(LARGE))
    actor = Measures.remote(argument)
    assert get(actor.lengths.remote()) == (LARGE, 0)
    _ffi.lose(argument, False)
    os.kill(get(actor.pid.remote()), signal.SIGKILL)
    with pytest.raises(exceptions.ActorDiedError, match=r"ReconstructionFailedError: .*made again: it was put"):
        get(actor.lengths.remote())


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
    refs = []
    for _ in range(10):
        # One ends after the other: the oldest is what ended first.
        refs.append(make.remote(tmp_path / "runs"))
        get(refs[-1])
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


@shoal.remote(max_retries=3)
def nest(path: Path) -> list[Any]:
    with path.open("a") as file:
        file.write("x")
    return [shoal.put(bytearray(LARGE)), bytearray(LARGE)]


@TELLS
def test_a_value_that_holds_references_is_made_again_with_others(two_cpus, tmp_path: Path, tell: bool):
    path = tmp_path / "runs"
    ref = nest.remote(path)
    first = get(ref)[0]
    _ffi.lose(ref, tell)
    second = get(ref)[0]
    assert first != second and runs(path) == 2
    _ffi.lose(ref, tell)
    assert get(inner_length.remote([ref])) == 2 and runs(path) == 3
    assert len(get(first)) == len(get(second)) == len(get(get(ref)[0])) == LARGE
    del ref, first, second
    # Else something holds what nobody can reach.
    until(lambda: json.loads(_ffi.status())["object_store"]["object_bytes"] == 0)


def test_wait_says_not_ready_while_a_value_is_made_again(two_cpus, tmp_path: Path):
    ref, other = gated.remote(tmp_path), make.remote(tmp_path / "runs")
    # Seen ready before: by a look, and by a wait that had to sleep.
    assert shoal.wait([ref, other], num_returns=2, timeout=30)[1] == []
    assert shoal.wait([ref, other], num_returns=2, timeout=0)[1] == []
    _ffi.lose(ref, True)
    for _ in range(2):
        assert shoal.wait([ref, other], num_returns=2, timeout=0.1) == ([other], [ref])
        assert shoal.wait([other, ref], num_returns=1, timeout=30) == ([other], [ref])
    waits = threading.Thread(target=shoal.wait, args=([ref],))
    waits.start()
    (tmp_path / "go").touch()
    assert shoal.wait([other, ref], num_returns=2, timeout=30)[1] == []
    waits.join()
    assert len(get(ref)) == LARGE
    # Where nobody has told the owner, only a reader finds out.
    (tmp_path / "go").unlink()
    _ffi.lose(ref, False)
    assert shoal.wait([ref], timeout=0)[0] == [ref]

    def found_out() -> bool:
        with pytest.raises(exceptions.GetTimeoutError):
            shoal.get(ref, timeout=0.1)
        return shoal.wait([ref], timeout=0)[1] == [ref]

    until(found_out)
    (tmp_path / "go").touch()
    assert len(get(ref)) == LARGE


def test_an_event_loop_goes_on_while_a_value_is_made_again(two_cpus, tmp_path: Path):
    ref = gated.remote(tmp_path)
    get(ref)

    async def waits() -> int:
        asyncio.get_running_loop().call_later(0.1, (tmp_path / "go").touch)
        return len(await ref)

    _ffi.lose(ref, False)
    assert asyncio.run(waits()) == LARGE
    (tmp_path / "go").unlink()
    _ffi.lose(ref, False)
    future = ref.future()
    assert not future.done()
    (tmp_path / "go").touch()
    assert len(future.result(30)) == LARGE


def test_a_get_has_one_time_limit_also_when_a_value_is_lost_meanwhile(two_cpus, tmp_path: Path):
    slow, ref = when_there.remote(tmp_path / "slow"), gated.remote(tmp_path)
    get(ref)
    _ffi.lose(ref, False)
    release = threading.Timer(3, (tmp_path / "slow").touch)
    release.start()
    begun = time.monotonic()
    with pytest.raises(exceptions.GetTimeoutError, match=" 4 s"):
        shoal.get([slow, ref], timeout=4)
    # With a limit that began again, it would be 7 s.
    assert time.monotonic() - begun < 6.5
    release.join()
    (tmp_path / "go").touch()
    assert len(get(ref)) == LARGE


BLOCK = 4 << 20


@shoal.remote
def block(path: Path, number: int) -> np.ndarray:
    note(path, f"block {number}")
    return np.full(BLOCK // 8, number, dtype=np.int64)


@shoal.remote
def plus_one(path: Path, array: np.ndarray) -> np.ndarray:
    note(path, f"plus {array[0]}")
    return array + 1


def note(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")


def damage_spill_files() -> int:
    """Changes bytes in each file of the daemon's that has no name any more; how many there were."""
    pid, found = json.loads(_ffi.status())["pid"], 0
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        name = os.readlink(fd)
        if not name.endswith(" (deleted)") or name.startswith("/memfd:"):
            continue
        found += 1
        with fd.open("r+b") as file:
            for at in range(100, fd.stat().st_size, 1 << 20):
                file.seek(at)
                file.write(b"damage")
    return found


def test_what_a_damaged_spill_file_held_is_made_again_two_steps_deep(tmp_path: Path):
    notes = tmp_path / "notes"
    with shoal.init(num_cpus=2, object_store_memory=64 << 20, object_spilling_directory=tmp_path / "spill"):
        firsts = [block.remote(notes, 100 * number) for number in range(20)]
        # What is between them is let go of: it has to be made, too.
        lasts = [plus_one.remote(notes, plus_one.remote(notes, first)) for first in firsts]
        assert len(shoal.wait(lasts, num_returns=20, timeout=60)[0]) == 20
        before = notes.read_text().splitlines()
        assert sorted(before) == sorted(
            f"{what} {100 * number + more}"
            for number in range(20)
            for what, more in [("block", 0), ("plus", 0), ("plus", 1)]
        )
        assert damage_spill_files() > 0
        for number, last in enumerate(lasts):
            array = get(last)
            assert array.shape == (BLOCK // 8,) and bool((array == 100 * number + 2).all())
            del array
        again = notes.read_text().splitlines()[len(before) :]
        # The owner found the last value damaged, a worker the first: all three steps ran again. Which were in memory
        # still, and so whole, is a matter of who ended last.
        steps = ({f"block {first}", f"plus {first}", f"plus {first + 1}"} for first in range(0, 2000, 100))
        assert any(three <= set(again) for three in steps), again
        # Nothing ran more often than it had to.
        assert len(again) == len(set(again)), again


@shoal.remote
def blocks(path: Path, n: int) -> Iterator[np.ndarray]:
    note(path, "blocks")
    for number in range(n):
        yield np.full(BLOCK // 8, number, dtype=np.int64)


def test_items_that_a_damaged_spill_file_held_are_made_again(tmp_path: Path):
    notes = tmp_path / "notes"
    with shoal.init(num_cpus=2, object_store_memory=64 << 20, object_spilling_directory=tmp_path / "spill"):
        stream = blocks.options(_generator_backpressure_num_objects=-1, max_retries=-1).remote(notes, 40)
        refs = list(stream)
        assert damage_spill_files() > 0
        # While they are made again, others go to new files.
        for number, ref in enumerate(refs):
            array = get(ref)
            assert array.shape == (BLOCK // 8,) and bool((array == number).all())
            del array
        assert len(notes.read_text().splitlines()) > 1
