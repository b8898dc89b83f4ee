"""More than the arena holds: values go to disk and come back right."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import shoal
import shoal.util.state
from shoal.core import _ffi
from support.programs import may_mount, run_command

MIB = 1 << 20
LIVE = 2_000_000_000 if "SHOAL_SOAK_SECONDS" in os.environ else 700_000_000
"""Bytes of values that are kept at once, in an arena of a tenth of it."""


def store() -> dict:
    return json.loads(_ffi.status())["object_store"]


def settles(predicate, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def block(number: int, size: int) -> np.ndarray:
    """An array whose every part says which it is."""
    return np.full(size // 8, number, dtype=np.int64)


def is_block(array: np.ndarray, number: int, size: int) -> bool:
    return array.shape == (size // 8,) and bool((array == number).all())


@pytest.fixture
def small(tmp_path: Path):
    """An instance with an arena of 64 MiB that spills to a folder of this test's."""
    with shoal.init(num_cpus=2, object_store_memory=64 * MIB, object_spilling_directory=tmp_path / "spill"):
        yield tmp_path / "spill"


@pytest.mark.parametrize("held", [True, False])
def test_an_arena_takes_ten_times_its_size_of_live_puts(tmp_path, held):
    count = 100
    size = LIVE // count
    with shoal.init(num_cpus=1, object_store_memory=LIVE // 10, object_spilling_directory=str(tmp_path)):
        refs, arrays = [], []
        for number in range(count):
            refs.append(shoal.put(block(number, size)))
            if held:
                arrays.append(shoal.get(refs[-1]))
        assert all(is_block(array, number, size) for number, array in enumerate(arrays))
        assert store()["spilled"]["file_bytes"] > 0.85 * LIVE
        for number in reversed(range(count)):
            assert is_block(shoal.get(refs[number]), number, size)
        arrays.clear()
        refs.clear()
        gc.collect()
        assert settles(lambda: store()["spilled"] == dict.fromkeys(store()["spilled"], 0)), store()
    assert os.listdir(tmp_path) == []


def test_small_objects_are_spilled_together_and_come_back(small):
    size = 160_000
    refs = [shoal.put(block(number, size)) for number in range(1000)]
    spilled = store()["spilled"]
    assert spilled["objects"] > 500 and spilled["files"] <= 4, spilled
    assert all(is_block(array, number, size) for number, array in enumerate(shoal.get(refs)))
    assert all(is_block(shoal.get(ref), number, size) for number, ref in enumerate(refs))


def test_objects_larger_than_the_arena(small):
    size = 150 * MIB

    @shoal.remote
    def double(array):
        return array * 2

    ref = shoal.put(block(21, size))
    array = shoal.get(ref)
    assert is_block(array, 21, size) and not array.flags.writeable
    assert is_block(shoal.get(double.remote(ref)), 42, size)


def test_a_get_of_more_than_the_arena_holds(small):
    size = 12 * MIB

    @shoal.remote
    def make(number):
        return block(number, size)

    arrays = shoal.get([make.remote(number) for number in range(20)])
    assert all(is_block(array, number, size) for number, array in enumerate(arrays))


def test_tasks_with_large_pinned_arguments_and_returns_do_not_deadlock(small):
    size = 24 * MIB

    @shoal.remote
    def add(left, right):
        return left + right

    ones = [shoal.put(block(number, size)) for number in range(6)]
    held = shoal.get(ones)
    sums = [add.remote(ones[number], ones[(number + 1) % 6]) for number in range(6)]
    held += shoal.get(sums, timeout=60)
    again = shoal.get([add.remote(ref, ref) for ref in sums], timeout=60)
    assert [int(array[-1]) for array in held[6:]] == [1, 3, 5, 7, 9, 5]
    assert [int(array[0]) for array in again] == [2, 6, 10, 14, 18, 10]


def test_an_actor_keeps_more_than_the_arena_and_others_read_it(small):
    @shoal.remote
    class Keeper:
        def fill(self, count, size):
            self.refs = [shoal.put(block(number, size)) for number in range(count)]
            return self.refs

    keeper = Keeper.remote()
    refs = shoal.get(keeper.fill.remote(20, 8 * MIB))
    assert all(is_block(shoal.get(ref), number, 8 * MIB) for number, ref in enumerate(refs))
    assert store()["spilled"]["objects"] > 5
    shoal.kill(keeper)
    assert settles(lambda: store()["spilled"]["files"] == 0), store()


def test_small_objects_of_idle_processes_make_room_when_somebody_waits(small):
    """They lie in chunks that their processes still have open, and would keep for ever."""

    @shoal.remote(num_cpus=0)
    class Keeper:
        def fill(self):
            self.refs = [shoal.put(block(number, 200_000)) for number in range(4)]
            return self.refs

    keepers = [Keeper.remote() for _ in range(20)]
    refs = shoal.get([keeper.fill.remote() for keeper in keepers])
    held = shoal.get(shoal.put(block(7, 30 * MIB)))
    used = store()["used"]
    assert store()["spilled"]["objects"] == 0 and used > 49 * MIB
    # Nobody waits for others to answer: it is mapped from its file.
    first = shoal.put(block(1, 16 * MIB))
    assert settles(lambda: store()["used"] < used - 3 * MIB), store()
    second = shoal.put(block(2, 16 * MIB))
    on_disk = [shoal.util.state.get_objects(ref.hex())[0].place for ref in (first, second)]
    assert on_disk == ["spilled", "arena"] and is_block(held, 7, 30 * MIB)
    for some in refs:
        assert all(is_block(array, number, 200_000) for number, array in enumerate(shoal.get(some)))


def test_a_frame_that_no_ring_holds_goes_while_everything_is_pinned(small):
    @shoal.remote
    def many(*args):
        return [arg[:10_000] for arg in args]

    held = [shoal.get(shoal.put(block(number, 5 * MIB))) for number in range(20)]
    out = shoal.get(many.remote(*[bytes([number]) * 50_000 for number in range(10)]), timeout=20)
    assert [value[0] for value in out] == list(range(10)) and len(held) == 20


def test_several_folders_take_turns(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    with shoal.init(num_cpus=1, object_store_memory=64 * MIB, object_spilling_directory=folders) as context:
        refs = [shoal.put(block(number, 4 * MIB)) for number in range(60)]
        pid = json.loads(_ffi.status())["pid"]
        used = {Path(name).parent for name in spill_files(pid).values()}
        assert used == set(folders), context
        assert all(is_block(shoal.get(ref), number, 4 * MIB) for number, ref in enumerate(refs))


def spill_files(pid: int) -> dict[str, str]:
    """Files without a name that a process has open: where they were made, by how to open them."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            name = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        if name.endswith(" (deleted)") and not name.startswith("/memfd:"):
            found[f"/proc/{pid}/fd/{fd}"] = name
    return found


@pytest.mark.parametrize("damage", ["changed", "cut off"])
def test_what_cannot_be_read_back_is_lost_with_its_reason(small, damage):
    refs = [shoal.put(block(number, 4 * MIB)) for number in range(40)]
    pid = json.loads(_ffi.status())["pid"]
    for path in spill_files(pid):
        with open(path, "r+b") as file:
            if damage == "changed":
                for at in range(0, os.path.getsize(path), MIB):
                    file.seek(at + 100)
                    file.write(b"damage")
            else:
                file.truncate(0)
    with pytest.raises(shoal.exceptions.ObjectLostError, match="spilled and can't be read back"):
        shoal.get(refs[0])
    # Its neighbours in the arena are as they were, and so is the instance.
    assert is_block(shoal.get(refs[-1]), 39, 4 * MIB)
    assert is_block(shoal.get(shoal.put(block(7, MIB))), 7, MIB)


def test_a_reader_that_is_killed_while_it_waits_harms_nobody(small):
    refs = [shoal.put(block(number, 8 * MIB)) for number in range(20)]

    @shoal.remote(max_retries=0)
    def read(refs):
        while True:
            for number, ref in enumerate(refs):
                assert is_block(shoal.get(ref), number, 8 * MIB)

    readers = [read.remote(refs) for _ in range(2)]
    # A worker that is killed before it has begun is no try of the task: another one is.
    while len(shoal.wait(readers, num_returns=2, timeout=0.1)[0]) < 2:
        for worker in json.loads(_ffi.status())["processes"]:
            if worker["kind"] == "worker" and worker["pid"]:
                os.kill(worker["pid"], signal.SIGKILL)
    for reader in readers:
        with pytest.raises(shoal.exceptions.WorkerCrashedError):
            shoal.get(reader)
    assert all(is_block(shoal.get(ref), number, 8 * MIB) for number, ref in enumerate(refs))


def test_nothing_of_a_killed_daemon_stays(tmp_path, shoal_run):
    run = shoal_run(
        f"""
import json, os, signal, time
import numpy as np
import shoal
from shoal.core import _ffi
shoal.init(num_cpus=1, object_store_memory=64 << 20, object_spilling_directory={str(tmp_path / "spill")!r})
refs = [shoal.put(np.ones(1 << 20)) for _ in range(30)]
status = json.loads(_ffi.status())
print(status["object_store"]["spilled"]["objects"] > 5, os.listdir({str(tmp_path / "spill")!r}))
os.kill(status["pid"], signal.SIGKILL)
"""
    )
    assert run.stdout == "True []\n", run
    assert os.listdir(tmp_path / "spill") == []


@pytest.mark.skipif(not may_mount(), reason="needs root and unshare --mount, for a small disk")
@pytest.mark.parametrize(("limit", "why"), [(1.0, "No space left on device"), (0.5, "local_fs_capacity_threshold")])
def test_a_put_into_a_full_disk_waits_and_then_names_the_largest(tmp_path, limit, why):
    disk, program = tmp_path / "disk", tmp_path / "program.py"
    disk.mkdir()
    program.write_text(f"""
import numpy as np
import shoal, time
shoal.init(num_cpus=1, object_store_memory=64 << 20, object_spilling_directory={str(disk)!r},
           _system_config={{"local_fs_capacity_threshold": {limit}, "object_store_full_seconds": 0.5}})
refs = []
try:
    while True:
        refs.append(shoal.put(np.full(1 << 20, len(refs))))
except shoal.exceptions.ObjectStoreFullError as error:
    print(error)
began = time.monotonic()
try:
    shoal.put(np.ones(1 << 20))
except shoal.exceptions.ObjectStoreFullError:
    print("waited", 0.4 < time.monotonic() - began < 30)
print("readable", all((shoal.get(ref) == n).all() for n, ref in enumerate(refs)))
print("enough", len(refs) * 8 > 130)
del refs[:3]
print(shoal.get(shoal.put(np.ones(1 << 20))).sum())
""")
    script = f"mount -t tmpfs -o size=100m tmpfs {disk} && exec {sys.executable} {program}"
    run = run_command(["unshare", "--mount", "sh", "-c", script], timeout=60)
    *error, waited, readable, enough, last = run.stdout.splitlines()
    told = "\n".join(error)
    assert why in told and "bytes, on disk: object" in told and "of process" in told, run
    # The machine has room; it is the disk that has none.
    assert re.match(
        r"object store full: \d+ bytes wanted, \d+ of 67108864 in use; nothing more can be spilled", told
    ), told
    assert (waited, readable, last) == ("waited True", "readable True", "1048576.0"), run
    assert enough == f"enough {limit == 1.0}", run


def test_without_spilling_a_full_store_is_an_error(session_root):
    off = {"automatic_object_spilling_enabled": False, "object_store_full_seconds": 0.1}
    full = pytest.raises(shoal.exceptions.ObjectStoreFullError, match="automatic_object_spilling_enabled")
    with shoal.init(num_cpus=1, object_store_memory=64 * MIB, _system_config=off), full:
        [shoal.put(block(number, 8 * MIB)) for number in range(10)]


def test_folders_that_cannot_be_used_are_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    for given, words in [
        (tmp_path / "file" / "below", "Not a directory"),
        ("/proc/1/spill", "can't be spilled to /proc/1/spill"),
        ("s3://bucket/spill", "folders of this machine"),
        (["/tmp", ""], "a folder or a list of folders"),
    ]:
        with pytest.raises(ValueError, match=words):
            shoal.init(num_cpus=1, object_spilling_directory=given)
    with pytest.raises(TypeError, match="object_spilling_directory takes a folder"):
        shoal.init(num_cpus=1, object_spilling_directory=7)


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_no_privilege_is_needed(tmp_path):
    """Root without its capabilities may do no more than any user with folders of their own."""
    code = f"""
import numpy as np
import shoal
shoal.init(num_cpus=1, object_store_memory=64 << 20, object_spilling_directory={str(tmp_path / "spill")!r})
refs = [shoal.put(np.full(1 << 20, n)) for n in range(30)]
held = [shoal.get(ref) for ref in refs]
print(all((array == n).all() for n, array in enumerate(held)))
"""
    run = run_command(["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", code])
    assert run.stdout == "True\n", run


def pages() -> int:
    """Bytes of the machine's memory that the object store's files hold."""
    folder, held = f"/proc/{json.loads(_ffi.status())['pid']}/fd", 0
    for fd in os.listdir(folder):
        with contextlib.suppress(OSError):
            if os.readlink(f"{folder}/{fd}").startswith("/memfd:"):
                held += os.stat(f"{folder}/{fd}").st_blocks * 512
    return held


def test_warm_pages_go_back_to_the_machine_after_ten_seconds(tmp_path):
    with shoal.init(num_cpus=1, object_store_memory=1 << 30, object_spilling_directory=tmp_path):
        refs = [shoal.put(block(number, 40 * MIB)) for number in range(5)]
        full = pages()
        assert full > 200 * MIB
        refs.clear()
        gc.collect()
        assert settles(lambda: store()["used"] < 8 * MIB)
        assert settles(lambda: pages() < full - 150 * MIB), (full, pages())
