"""Deaths in the middle of things, and what must not be noticed of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import shoal
from shoal.core import _ffi
from support.waits import until


def processes(kind: str) -> list[int]:
    return [p["pid"] for p in json.loads(_ffi.status())["processes"] if p["kind"] == kind and p["pid"]]


def gone(pid: int) -> bool:
    return not os.path.exists(f"/proc/{pid}")


@shoal.remote
def double(i):
    return 2 * i


@shoal.remote
def where():
    return os.getpid()


def test_with_no_retries_exactly_the_taken_ones_fail(two_cpus, tmp_path: Path):
    @shoal.remote(max_retries=0)
    def work(i, folder):
        open(f"{folder}/{i}.taken", "w").close()
        time.sleep(0.002)
        open(f"{folder}/{i}.done", "w").close()
        return i

    refs = [work.remote(i, str(tmp_path)) for i in range(600)]
    killed = 0
    while killed < 4:
        until(lambda: processes("worker"))
        try:
            os.kill(processes("worker")[killed % 2], signal.SIGKILL)
            killed += 1
        except (ProcessLookupError, IndexError):
            continue
        until(lambda: len(processes("worker")) >= 2)
        shoal.wait(refs, num_returns=min(600, 100 * killed), timeout=20)
    failed = []
    for i, ref in enumerate(refs):
        try:
            assert shoal.get(ref, timeout=30) == i
        except shoal.exceptions.WorkerCrashedError:
            failed.append(i)
    assert len(failed) <= killed
    begun, ended = ({int(path.stem) for path in tmp_path.glob(f"*.{what}")} for what in ("taken", "done"))
    assert begun | set(failed) == set(range(600))
    assert begun - ended <= set(failed)


def test_actor_calls_in_order_once_right_across_restarts(two_cpus):
    @shoal.remote(max_restarts=-1, max_task_retries=-1)
    class Log:
        def __init__(self):
            self.last = {}

        def add(self, who, i):
            before = self.last.get(who, -1)
            self.last[who] = i
            return who, i, before, os.getpid()

    log = Log.remote()
    results: dict[str, list[tuple[str, int, int, int]]] = {}

    def stream(who: str) -> None:
        refs = [log.add.remote(who, i) for i in range(800)]
        results[who] = shoal.get(refs, timeout=50)

    threads = [threading.Thread(target=stream, args=(f"t{k}",)) for k in range(2)]
    for thread in threads:
        thread.start()
    killed: set[int] = set()
    while len(killed) < 6 and any(t.is_alive() for t in threads):
        actors = [a for a in json.loads(_ffi.status())["actors"] if a["pid"] and a["pid"] not in killed]
        for actor in actors:
            try:
                os.kill(actor["pid"], signal.SIGKILL)
                killed.add(actor["pid"])
            except ProcessLookupError:
                pass
    for thread in threads:
        thread.join()
    assert killed
    for who, answers in results.items():
        assert [(w, i) for w, i, _, _ in answers] == [(who, i) for i in range(800)]
        for (_, i, before, pid), (_, _, _, earlier) in zip(answers[1:], answers, strict=False):
            # The one before it, or nothing at the beginning of a life; a retry may find itself.
            assert before in (i - 1, i, -1) and (before != -1 or pid != earlier or i == 0), (who, i, before)


def test_a_killed_zygote_is_replaced_and_workers_go_on(two_cpus, tmp_path: Path):
    @shoal.remote
    def waits(path):
        while not os.path.exists(path):
            time.sleep(0.01)
        return os.getpid()

    pid = shoal.get(where.remote())
    ref = waits.remote(str(tmp_path / "go"))
    (zygote,) = processes("zygote")
    os.kill(zygote, signal.SIGKILL)
    until(lambda: zygote not in processes("zygote"))

    @shoal.remote
    class A:
        def pid(self):
            return os.getpid()

    actors = [A.remote() for _ in range(3)]
    pids = shoal.get([a.pid.remote() for a in actors], timeout=30)
    assert len(set(pids)) == 3
    (tmp_path / "go").touch()
    assert not gone(shoal.get(ref, timeout=20)) and not gone(pid)
    assert processes("zygote") != [zygote]
    # Workers of the dead zygote are still reaped and reported.
    with pytest.raises(shoal.exceptions.WorkerCrashedError, match="SIGKILL"):
        shoal.get(shoal.remote(max_retries=0)(lambda: os.kill(os.getpid(), signal.SIGKILL)).remote(), timeout=20)


def test_a_stopped_worker_holds_up_its_one_task(two_cpus, tmp_path: Path):
    @shoal.remote
    def stops(path):
        with open(path, "w") as file:
            file.write(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)
        return "went on"

    shoal.get([double.remote(i) for i in range(500)])
    path = tmp_path / "pid"
    refs = [double.remote(i) for i in range(200)]
    stopped = stops.remote(str(path))
    more = [double.remote(i) for i in range(500)]
    assert shoal.get(refs + more, timeout=60) == [2 * i for i in [*range(200), *range(500)]]
    until(lambda: path.exists() and path.read_text())
    assert not shoal.wait([stopped], timeout=0.1)[0]
    os.kill(int(path.read_text()), signal.SIGCONT)
    assert shoal.get(stopped, timeout=20) == "went on"


BUSY_DRIVER = """
import os, sys, time, shoal
shoal.init({address}num_cpus=2) if not {joined} else shoal.init({address})
@shoal.remote
def f(i):
    time.sleep(0.001)
    return i, os.getpid()
@shoal.remote
class A:
    def f(self, x):
        return os.getpid()
actors = [A.remote() for _ in range(2)]
pids = set(shoal.get([a.f.remote(0) for a in actors]))
puts, refs = [], []
n = 0
while True:
    refs = [f.remote(i) for i in range(100)] + [a.f.remote(b"x" * 1000) for a in actors for _ in range(50)]
    puts = (puts + [shoal.put(b"y" * 300_000)])[-20:]
    pids |= {{r[1] for r in shoal.get(refs[:20])}}
    n += 1
    if n == 5:
        print(*pids, flush=True)
"""


def busy_driver(address: str = "") -> subprocess.Popen[str]:
    code = BUSY_DRIVER.format(address=f"address={address!r}, " if address else "", joined=bool(address))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("after", [0, 0.03, 0.1])
def test_a_driver_killed_in_the_middle_leaves_nothing(session_root: Path, after):
    # What it leaves is found by the fixture of every test.
    with busy_driver() as driver:
        assert driver.stdout is not None
        pids = [int(pid) for pid in driver.stdout.readline().split()]
        assert pids
        time.sleep(after)
        driver.kill()
        until(lambda: all(gone(pid) for pid in pids))


@pytest.fixture
def persistent(session_root: Path):
    from shoal.runtime import launch

    config = {"num_cpus": 2, "object_store_memory": 200 << 20, "memory": 4 << 30}
    info = launch.start_persistent(config)
    yield info["address"]
    record = launch.read_current()
    assert record is not None
    os.kill(record["pid"], signal.SIGTERM)
    launch.forget_current(record)


def test_a_killed_driver_does_not_disturb_another(persistent):
    shoal.init(persistent)
    with busy_driver(persistent) as driver:
        assert driver.stdout is not None
        pids = [int(pid) for pid in driver.stdout.readline().split()]
        refs = [double.remote(i) for i in range(2000)]
        kept = shoal.put(b"z" * 1_000_000)
        driver.kill()
        assert shoal.get(refs, timeout=30) == [2 * i for i in range(2000)]
        assert len(shoal.get(kept)) == 1_000_000
        until(lambda: all(gone(pid) for pid in pids))
    until(lambda: json.loads(_ffi.status())["object_store"]["object_bytes"] < 1_100_000)
    shoal.shutdown()


def test_a_killed_daemon_is_told_at_once_everywhere(two_cpus, tmp_path: Path):
    @shoal.remote
    def forever(path):
        with open(path, "w") as file:
            file.write(str(os.getpid()))
        time.sleep(60)

    refs = [forever.remote(str(tmp_path / f"{i}")) for i in range(2)]
    told: list[float] = []

    def waits(ref):
        try:
            shoal.get(ref, timeout=30)
        except shoal.exceptions.LocalRayletDiedError:
            told.append(time.monotonic())

    threads = [threading.Thread(target=waits, args=(ref,)) for ref in [*refs, refs[0]]]
    for thread in threads:
        thread.start()
    for i in range(2):
        until(lambda i=i: (tmp_path / f"{i}").exists() and (tmp_path / f"{i}").read_text())
    daemon = json.loads(_ffi.status())["pid"]
    begun = time.monotonic()
    os.kill(daemon, signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert len(told) == 3 and max(told) - begun < 20
    for call in (lambda: double.remote(1), lambda: shoal.put(1), shoal.nodes):
        with pytest.raises(shoal.exceptions.LocalRayletDiedError):
            call()
    until(lambda: all(gone(int((tmp_path / f"{i}").read_text())) for i in range(2)))
    shoal.shutdown()
    shoal.init(num_cpus=1)
    assert shoal.get(double.remote(4), timeout=20) == 8
