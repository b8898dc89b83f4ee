"""Ctrl-C, exits, forks and sessions inside sessions."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

import shoal
from shoal.util import state
from support.waits import until


@shoal.remote
def add(a, b):
    return a + b


def test_ctrl_c_in_wait_and_in_a_get_that_follows_another_thread(shoal_run):
    run = shoal_run(
        """
        import os, signal, threading, time, shoal
        shoal.init(num_cpus=1)
        @shoal.remote
        def forever():
            time.sleep(60)
        @shoal.remote
        def one():
            return 1
        never, other = forever.remote(), forever.remote()
        def interrupted(call):
            timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
            begun = time.monotonic()
            try:
                timer.start()
                call()
            except KeyboardInterrupt:
                print("interrupted", time.monotonic() - begun < 20)
            timer.join()
        interrupted(lambda: shoal.wait([never]))
        leading = threading.Thread(target=lambda: shoal.wait([never, other], num_returns=2))
        leading.start()
        time.sleep(0.1)
        interrupted(lambda: shoal.get(never))
        interrupted(lambda: shoal.get([never, never]))
        shoal.cancel(never, other)
        leading.join()
        print(shoal.get(one.remote(), timeout=20))
        """
    )
    assert run.stdout.split() == ["interrupted", "True"] * 3 + ["1"]
    assert run.stderr == ""


def test_an_exit_in_an_actor_ends_it_with_its_reason(two_cpus):
    @shoal.remote(max_restarts=3)
    class A:
        def leave(self):
            sys.exit(5)

        def pid(self):
            return os.getpid()

    a = A.remote()
    shoal.get(a.pid.remote())
    with pytest.raises(shoal.exceptions.ActorDiedError, match="5"):
        shoal.get(a.leave.remote(), timeout=20)
    with pytest.raises(shoal.exceptions.ActorDiedError):
        shoal.get(a.pid.remote(), timeout=20)


@pytest.mark.parametrize("how", ["sys.exit(4)", "os._exit(4)", "exit from a thread", "an exception"])
def test_a_driver_that_ends_in_the_middle_of_everything(shoal_run, how):
    run = shoal_run(
        """
        import os, sys, threading, time, shoal
        shoal.init(num_cpus=2)
        @shoal.remote
        def work(i):
            time.sleep(0.01)
            return i
        @shoal.remote
        class A:
            def f(self, x):
                time.sleep(0.01)
                return x
        actors = [A.remote() for _ in range(2)]
        refs = [work.remote(i) for i in range(200)]
        refs += [a.f.remote(shoal.put(b"x" * 200_000)) for a in actors for _ in range(20)]
        waits = threading.Thread(target=lambda: shoal.wait(refs, num_returns=240, timeout=30), daemon=True)
        waits.start()
        shoal.get(refs[:5])
        future = refs[-1].future()
        how = sys.argv[1]
        if how == "sys.exit(4)":
            sys.exit(4)
        if how == "os._exit(4)":
            os._exit(4)
        if how == "an exception":
            raise SystemExit(4)
        threading.Thread(target=lambda: os._exit(4)).start()
        time.sleep(30)
        """,
        how,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (4, "", "")


def test_a_pool_of_forked_processes_in_driver_task_and_actor(two_cpus):
    import multiprocessing

    def pool():
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return pool.map(abs, range(-20, 0))

    expected = list(range(20, 0, -1))

    @shoal.remote
    class A:
        def __init__(self):
            self.kept = shoal.put(b"k" * 300_000)

        def pool(self):
            value = shoal.get(self.kept)
            return pool(), len(value), len(shoal.get(self.kept))

    kept = shoal.put(b"z" * 300_000)
    task = shoal.remote(pool)
    a = A.remote()
    assert pool() == expected
    assert shoal.get([task.remote() for _ in range(4)], timeout=40) == [expected] * 4
    assert shoal.get(a.pool.remote(), timeout=20) == (expected, 300_000, 300_000)
    assert len(shoal.get(kept)) == 300_000


def test_calls_in_a_forked_child_raise_one_sentence(two_cpus):
    ref = shoal.put(1)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            shoal.get(ref)
            said = "no error"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    said = os.read(read, 4096).decode()
    os.close(read)
    assert said.startswith("RuntimeError: this process was forked") and "\n" not in said
    assert shoal.get(ref) == 1


def test_a_child_of_a_driver_may_begin_its_own(two_cpus):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            shoal.init(num_cpus=1)
            os.write(write, str(shoal.get(add.remote(1, 2), timeout=20)).encode())
            shoal.shutdown()
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    said = os.read(read, 100)
    os.close(read)
    assert said == b"3"
    assert shoal.get(add.remote(2, 2)) == 4


def test_init_inside_a_task_joins_and_so_does_a_subprocess(two_cpus):
    @shoal.remote
    def inside():
        context = shoal.init(ignore_reinit_error=True)
        code = "import shoal; c = shoal.init(); six = shoal.remote(lambda: 6)\n"
        code += "print(c.address_info['address'], shoal.get(six.remote()))"
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=40)
        return context.address_info["address"], child.stdout.split(), child.stderr, os.environ["SHOAL_ADDRESS"]

    mine, child, error, address = shoal.get(inside.remote(), timeout=50)
    assert error == ""
    assert child == [mine, "6"]
    assert address == mine


def test_sessions_leave_descriptors_and_threads_level():
    def level() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    before = None
    for i in range(60):
        shoal.init(num_cpus=1)
        ref = add.remote(i, 1)
        if i % 2:
            assert shoal.get(ref, timeout=20) == i + 1
        if i % 5 == 0:
            ref.future()
        shoal.shutdown()
        del ref
        if i == 10:
            before = level()
    assert before is not None
    # The kernel wakes whoever joins a thread a moment before it takes the thread off /proc.
    deadline = time.monotonic() + 60
    while any(now > then for now, then in zip(level(), before, strict=True)):
        assert time.monotonic() < deadline, f"descriptors, threads: {before} after session 10, {level()} after 60"
        time.sleep(0.01)


def test_shutdown_while_threads_wait_and_call(shoal_run):
    run = shoal_run(
        """
        import threading, time, shoal
        @shoal.remote
        def forever():
            time.sleep(60)
        for _ in range(10):
            shoal.init(num_cpus=1)
            ref = forever.remote()
            told = []
            def waits():
                try:
                    shoal.get(ref, timeout=20)
                except shoal.exceptions.RayError as error:
                    told.append(type(error).__name__)
            threads = [threading.Thread(target=f) for f in (waits, waits)]
            for thread in threads:
                thread.start()
            time.sleep(0.05)
            shoal.shutdown()
            for thread in threads:
                thread.join(20)
                assert not thread.is_alive(), "a wait outlived its session"
            assert len(told) == 2, told
        print("ok")
        """
    )
    assert run.stdout == "ok\n"


def test_a_session_without_output_leaves_nothing_mapped():
    for logs in (True, False, False):
        shoal.init(num_cpus=1, log_to_driver=logs)
        assert shoal.get(add.remote(1, 2), timeout=20) == 3
        shoal.shutdown()
        with open("/proc/self/maps") as maps:
            left = [line for line in maps if "/memfd:shoal" in line]
        assert not left, f"log_to_driver={logs}: {left}"


@shoal.remote(num_cpus=0)
class Shelf:
    def keep(self, refs):
        self.refs = refs

    def give(self):
        return self.refs


def test_an_object_goes_when_its_last_holder_is_a_driver_that_died_unheard(two_cpus):
    """The holder is of another job, and had the ref from an actor: it never spoke with the owner (DEATH-6)."""
    from shoal.core import _ffi

    ref = shoal.put("x")
    name = ref.hex()
    shelf = Shelf.options(name="shelf").remote()
    shoal.get(shelf.keep.remote([ref]))
    code = """
import sys, shoal
shoal.init(address=sys.argv[1], namespace=sys.argv[2])
refs = shoal.get(shoal.get_actor("shelf").give.remote())
print(len(refs), flush=True)
sys.stdin.read()
"""
    where = [_ffi.session()["address"], shoal.get_runtime_context().namespace]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, *where], **pipes) as other:
        assert other.stdout.readline() == "1\n"
        shoal.get(shelf.keep.remote(None))
        del ref
        assert state.get_objects(name), "the other driver holds it"
        other.kill()
    until(lambda: not state.get_objects(name))
