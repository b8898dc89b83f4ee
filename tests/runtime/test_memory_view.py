"""`shoal memory`: every reference with its size, place, holders and the line that made it; and a full store's error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shoal
from shoal.util import state
from support.programs import Run
from support.waits import is_stopped, until

Runner = Callable[..., Run]
LARGE = 1 << 20


@shoal.remote
def make(size: int) -> bytes:
    return bytes(size)


@shoal.remote(num_cpus=0)
class Keeper:
    def keep(self, refs: list[Any]) -> int:
        self.refs = refs
        return os.getpid()

    def read(self) -> int:
        self.values = shoal.get(self.refs)
        return len(self.values)


def memory(*args: str, code: int = 0) -> str:
    from shoal.core import _ffi

    call = [sys.executable, "-c", "from shoal.cli import main; main(prog_name='shoal')", "memory", *args]
    run = subprocess.run([*call, "--address", _ffi.session()["address"]], capture_output=True, text=True, timeout=60)
    assert run.returncode == code, run.stderr
    return run.stdout + run.stderr


def line_of(text: str, ref: Any, pid: int) -> list[str]:
    return next(line for line in text.splitlines() if ref.hex() in line and line.startswith(f"{pid} ")).split()


def here() -> str:
    return f"{__file__}:{sys._getframe(1).f_lineno - 1}"


def test_a_large_value_shows_its_line_its_place_and_who_holds_it(two_cpus: object) -> None:
    import numpy as np

    ref = shoal.put(np.zeros(LARGE))
    made = here()
    keeper = Keeper.remote()
    pid = shoal.get(keeper.keep.remote([ref]))
    text = memory()
    name = "test_a_large_value_shows_its_line_its_place_and_who_holds_it"
    own = line_of(text, ref, os.getpid())
    assert own[1] == "DRIVER" and own[5:] == ["arena", "LOCAL_REFERENCE", str(os.getpid()), str(pid), made, "in", name]
    theirs = line_of(text, ref, pid)
    assert theirs[1] == "WORKER" and theirs[3:8] == [*own[3:6], "LOCAL_REFERENCE", own[7]]
    assert "object store: 1 objects, " in text
    assert shoal.get(keeper.read.remote()) == 1
    assert line_of(memory(), ref, pid)[6] == "LOCAL_REFERENCE+PINNED_IN_MEMORY"
    rows = {row.pid: row for row in state.get_objects(ref.hex())}
    assert rows[pid].pinned and not rows[os.getpid()].pinned and rows[os.getpid()].call_site == f"{made} in {name}"


def test_a_value_that_is_still_read_when_its_reference_is_gone_is_shown(two_cpus: object) -> None:
    import numpy as np

    ref = shoal.put(np.zeros(LARGE))
    id, value = ref.hex(), shoal.get(ref)
    del ref
    text = memory()
    line = next(line for line in text.splitlines() if id in line).split()
    assert line[0] == str(os.getpid()) and line[5:7] == ["arena", "PINNED_IN_MEMORY"] and value.size == LARGE


def test_what_lies_on_a_disk_and_who_maps_it_is_shown(tmp_path: Path) -> None:
    import numpy as np

    with shoal.init(num_cpus=2, object_store_memory=64 * LARGE, object_spilling_directory=tmp_path):
        keeper = Keeper.remote()
        mapped, refs = shoal.put(np.zeros(30 * LARGE // 8)), [shoal.put(np.zeros(LARGE)) for _ in range(20)]
        pid = shoal.get(keeper.keep.remote([mapped]))
        text = memory()
        # More than a quarter of shared memory never comes back there.
        assert line_of(text, mapped, os.getpid())[5:7] == ["spilled", "LOCAL_REFERENCE"]
        assert [line_of(text, ref, os.getpid())[5] for ref in (refs[0], refs[-1])] == ["spilled", "arena"]
        assert "\non disk: " in text and ", 0 of them mapped; files take " in text
        assert shoal.get(keeper.read.remote()) == 1
        text = memory()
        assert line_of(text, mapped, pid)[5:7] == ["spilled", "LOCAL_REFERENCE+MAPPED_FROM_DISK"]
        assert ", 1 of them mapped; " in text
        row = next(row for row in state.get_objects(mapped.hex()) if row.pid == pid)
        assert (row.place, row.mapped, row.pinned) == ("spilled", True, False)
        assert "on a disk, held by process" in shoal.util.why(mapped)
        value = shoal.get(mapped)
        id, size = mapped.hex(), value.size
        del mapped
        shoal.get(keeper.keep.remote([]))
        line = next(line for line in memory().splitlines() if id in line and line.startswith(f"{os.getpid()} ")).split()
        assert line[5:7] == ["spilled", "MAPPED_FROM_DISK"] and value.size == size


@pytest.mark.parametrize("end", [signal.SIGCONT, signal.SIGKILL], ids=["goes on", "dies"])
@pytest.mark.parametrize("command", ["memory", "stack"])
def test_a_reader_that_stops_in_the_middle_holds_nobody_up(two_cpus: object, command: str, end: signal.Signals) -> None:
    from shoal.core import _ffi

    refs = [shoal.put(number) for number in range(10_000)]
    shoal.get([make.remote(1) for _ in range(100)])

    def tools() -> list[int]:
        return [row["pid"] for row in json.loads(_ffi.status())["processes"] if row["kind"] == "tool"]

    def stopped_while_it_looks() -> subprocess.Popen[bytes]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            # Nobody reads its output either, which is more than a pipe holds.
            reader = subprocess.Popen(call, stdout=subprocess.PIPE)
            while reader.poll() is None:
                if tools() == [reader.pid]:
                    reader.send_signal(signal.SIGSTOP)
                    until(lambda reader=reader: is_stopped(reader.pid) or reader.poll() is not None)
                    # Its end may be on its way to the daemon: what comes after the first answer is told by the second.
                    if tools() == tools() == [reader.pid]:
                        return reader
                    break
            # It was done before.
            reader.kill()
            reader.communicate()
        raise AssertionError("it was too quick each time")

    call = [sys.executable, "-c", "from shoal.cli import main; main(prog_name='shoal')", command]
    call += ["--address", _ffi.session()["address"]]
    reader = stopped_while_it_looks()
    try:
        begun = time.monotonic()
        assert shoal.get([make.remote(LARGE) for _ in range(100)], timeout=60)
        assert time.monotonic() - begun < 20 and tools() == [reader.pid]
        assert len(memory()) > 100_000 and state.list_nodes()[0].state == "ALIVE"
        reader.send_signal(end)
        said = reader.communicate(timeout=60)[0]
    finally:
        reader.kill()
        reader.communicate()
    until(lambda: tools() == [])
    assert reader.returncode == (0 if end == signal.SIGCONT else -signal.SIGKILL) and len(refs) == 10_000
    assert end != signal.SIGCONT or len(said) > 1_000


def test_large_arguments_and_returns_say_whose_they_are(two_cpus: object, tmp_path: Path) -> None:
    @shoal.remote
    def wait_for(path: str, value: bytes) -> int:
        while not os.path.exists(path):
            time.sleep(0.01)
        return len(value)

    ref = make.remote(LARGE)
    waits = wait_for.remote(str(tmp_path / "go"), bytes(LARGE))
    passed = here()
    shoal.wait([ref])
    text = memory("--sort-by", "PID")
    assert line_of(text, ref, os.getpid())[-3:] == ["(returned", "by", "make)"]
    argument = next(line for line in text.splitlines() if passed in line).split()
    assert argument[6] == "USED_BY_PENDING_TASK"
    (tmp_path / "go").touch()
    assert shoal.get(waits) == LARGE


def test_the_lines_of_all_references_are_recorded_when_wished(shoal_run: Runner) -> None:
    run = shoal_run(
        """
import shoal
from shoal.util import state

shoal.init(num_cpus=1)

@shoal.remote(num_cpus=0)
class A:
    def m(self):
        return shoal.put("of the actor")

@shoal.remote
def f():
    return 1

def main():
    a = A.remote()
    small = shoal.put("x")
    result = f.remote()
    called = a.m.remote()
    inner = shoal.get(called)
    for ref in (small, result, called, inner):
        row = next(row for row in state.get_objects(ref.hex()) if row.owner_pid == row.pid)
        print(row.call_site.rsplit("/")[-1])
    for _ in range(5_000):
        shoal.put("y")
    print(state.summarize_objects()["cluster"]["callsite_enabled"])

main()
""",
        env={"SHOAL_RECORD_REF_CREATION_SITES": "1"},
    )
    assert run.stdout.splitlines() == [
        "program.py:18 in main",
        "program.py:19 in main",
        "program.py:20 in main",
        "program.py:10 in A.m",
        "True",
    ]


def test_rows_are_grouped_sorted_cut_and_counted(two_cpus: object) -> None:
    refs = [shoal.put(bytes(n * LARGE)) for n in (1, 3, 2)]
    sizes = [line.split()[3] for line in memory("--units", "MB").splitlines() if " DRIVER " in line]
    assert sizes == ["3.00", "2.00", "1.00"]
    text = memory("-n", "1")
    assert "… and 2 more" in text and text.count(" DRIVER ") == 1
    text = memory("--group-by", "STACK_TRACE", "--sort-by", "REFERENCE_TYPE", "--units", "KB")
    assert text.startswith(f"stack trace {__file__}:") and "3 objects, 6,14" in text
    assert memory("--stats-only").startswith("object store: 3 objects, ") and len(refs) == 3
    assert "Invalid value for '--units': 'TB' is not one of" in memory("--units", "TB", code=2)
    assert "no such option: --group" not in memory("--help").lower()


def test_a_stopped_process_is_named_and_the_others_are_shown(two_cpus: object) -> None:
    keeper = Keeper.remote()
    ref = shoal.put(bytes(LARGE))
    pid = shoal.get(keeper.keep.remote([ref]))
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: is_stopped(pid))
        text = memory()
        assert f"warning: process {pid} is stopped" in text and line_of(text, ref, os.getpid())
    finally:
        os.kill(pid, signal.SIGCONT)


def test_the_error_of_a_full_store_says_where_its_largest_objects_were_made_and_who_holds_them(
    shoal_run: Runner,
) -> None:
    run = shoal_run(
        """
import os
import numpy as np
import shoal

shoal.init(num_cpus=1, object_store_memory=80 << 20)

@shoal.remote(num_cpus=0)
class Keeper:
    def keep(self, refs):
        self.value = shoal.get(refs[0])
        return os.getpid()

def fill():
    return [shoal.put(np.zeros(3 << 20)) for _ in range(100)]

keeper = Keeper.remote()
first = shoal.put(np.zeros(2 << 20))
pid = shoal.get(keeper.keep.remote([first]))
print(os.getpid(), pid)
try:
    fill()
except shoal.exceptions.ObjectStoreFullError as error:
    print(error)
""",
        env={"SHOAL_AUTOMATIC_OBJECT_SPILLING_ENABLED": "0", "SHOAL_OBJECT_STORE_FULL_SECONDS": "0"},
    )
    own, pid = run.stdout.splitlines()[0].split()
    text = run.stdout
    assert "made at " in text and "program.py:15 in fill" in text
    assert f"program.py:18 in <module>; process {own} refers to it, process {pid} reads it" in text
    # Each process once, whether the daemon or the process itself told of it.
    for line in text.splitlines():
        assert all(line.count(f" process {holder} ") <= 1 for holder in (own, pid)), line
