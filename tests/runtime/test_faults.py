"""Deaths: of workers, of drivers, of the daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import shoal


def test_one_dying_worker_costs_one_task(two_cpus):
    @shoal.remote(max_retries=0)
    def work(i):
        if i == 50:
            os.kill(os.getpid(), signal.SIGKILL)
        return i

    refs = [work.remote(i) for i in range(101)]
    lost = []
    for i, ref in enumerate(refs):
        try:
            assert shoal.get(ref, timeout=30) == i
        except shoal.exceptions.WorkerCrashedError:
            lost.append(i)
    assert lost == [50]


def test_a_dead_workers_task_is_retried_and_says_how_it_died(two_cpus, tmp_path: Path):
    @shoal.remote(max_retries=2)
    def dies(path, times):
        with open(path, "a") as f:
            f.write("x")
        if os.path.getsize(path) <= times:
            os.kill(os.getpid(), signal.SIGSEGV)
        return "alive"

    assert shoal.get(dies.remote(str(tmp_path / "a"), 2), timeout=30) == "alive"
    with pytest.raises(shoal.exceptions.WorkerCrashedError, match="SIGSEGV"):
        shoal.get(dies.remote(str(tmp_path / "b"), 9), timeout=30)
    assert (tmp_path / "b").stat().st_size == 3


UNTOLD = """
import json, sys, time
import shoal
from shoal.core import _ffi

@shoal.remote(max_retries=0)
def large():
    return bytearray(200_000)

shoal.init(num_cpus=1)
lost = 0
for _ in range(5):
    try:
        shoal.get(large.remote(), timeout=30)
    except shoal.exceptions.WorkerCrashedError:
        lost += 1
end = time.monotonic() + 60
while (held := json.loads(_ffi.status())["object_store"]["objects"]) and time.monotonic() < end:
    time.sleep(0.01)
print(lost, held)
"""


def test_what_a_worker_put_into_the_arena_before_it_died_and_did_not_tell_of_is_freed(shoal_run):
    # Each worker seals two values at most: it dies after the second, before its reply.
    armed = {"SHOAL_CRASH_POINT": "seal.sealed:2", "SHOAL_CRASH_PROCESS": "worker"}
    assert shoal_run(UNTOLD, env=armed).stdout.split() == ["2", "0"]


def test_exceptions_are_retried_when_asked(two_cpus, tmp_path: Path):
    @shoal.remote(max_retries=3, retry_exceptions=[OSError])
    def flaky(path):
        with open(path, "a") as f:
            f.write("x")
        if os.path.getsize(path) < 3:
            raise OSError("not yet")
        return "done"

    assert shoal.get(flaky.remote(str(tmp_path / "a")), timeout=30) == "done"


def test_sys_exit_in_a_task_is_a_crash_with_its_code_and_no_retry(two_cpus, tmp_path: Path):
    @shoal.remote(max_retries=5)
    def leaves(path):
        with open(path, "a") as f:
            f.write("x")
        sys.exit(7)

    with pytest.raises(shoal.exceptions.WorkerCrashedError, match="7"):
        shoal.get(leaves.remote(str(tmp_path / "a")), timeout=30)
    assert (tmp_path / "a").stat().st_size == 1


def test_max_calls_ends_the_worker(two_cpus):
    @shoal.remote(max_calls=2)
    def where():
        return os.getpid()

    pids = [shoal.get(where.remote()) for _ in range(6)]
    assert len(set(pids)) >= 3


def test_a_killed_driver_leaves_nothing(session_root: Path, tmp_path: Path):
    code = """
import os, sys, time, shoal
shoal.init(num_cpus=2)
@shoal.remote
def pid(): return os.getpid()
@shoal.remote
class A:
    def pid(self): return os.getpid()
a = A.remote()
print(shoal.get([pid.remote(), a.pid.remote()]), flush=True)
time.sleep(60)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    with child:
        assert child.stdout is not None
        pids = eval(child.stdout.readline())
        child.kill()
        end = time.monotonic() + 60
        while any(os.path.exists(f"/proc/{pid}") for pid in pids):
            assert time.monotonic() < end, "workers outlived their driver by a minute"
            time.sleep(0.02)


def test_a_killed_daemon_is_an_error_at_once(session_root: Path, shoal_run):
    run = shoal_run(
        """
        import json, os, signal, time, shoal
        from shoal.core import _ffi
        shoal.init(num_cpus=1)
        @shoal.remote
        def f():
            return 1
        @shoal.remote
        def forever():
            time.sleep(60)
        shoal.get(f.remote())
        ref = forever.remote()
        os.kill(json.loads(_ffi.status())["pid"], signal.SIGKILL)
        t = time.monotonic()
        try:
            shoal.get(ref, timeout=20)
        except shoal.exceptions.LocalRayletDiedError:
            print("told", time.monotonic() - t < 15)
        """
    )
    assert run.stdout.split() == ["told", "True"]


def test_a_crash_shows_its_python_stack_also_after_many_workers_ended(two_cpus):
    @shoal.remote(num_cpus=0)
    class Idle:
        def here(self):
            return True

    @shoal.remote(max_retries=0)
    def crashes():
        import ctypes

        ctypes.string_at(0)

    for _ in range(3):
        actors = [Idle.remote() for _ in range(30)]
        shoal.get([a.here.remote() for a in actors], timeout=60)
        del actors
        with pytest.raises(shoal.exceptions.WorkerCrashedError, match=r"(?s)SIGSEGV.*in crashes"):
            shoal.get(crashes.remote(), timeout=30)
