"""Beginning and ending: again and again, side by side, in forked children, in the middle of things."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

import shoal

SESSIONS = 100 if "SHOAL_SOAK_SECONDS" in os.environ else 30


@shoal.remote
def add(a, b):
    return a + b


def test_many_sessions_in_one_process():
    for i in range(SESSIONS):
        shoal.init(num_cpus=1)
        if i % 10 == 0:
            assert shoal.get(add.remote(i, 1)) == i + 1
        shoal.shutdown()
    shoal.shutdown()


def test_refs_of_an_older_session_raise_one_sentence():
    shoal.init(num_cpus=1)
    old = shoal.put(1)
    shoal.shutdown()
    shoal.init(num_cpus=1)
    with pytest.raises(shoal.exceptions.RaySystemError, match="session that has ended"):
        shoal.get(old)
    shoal.shutdown()


def test_programs_side_by_side(session_root, tmp_path):
    code = """
import shoal
shoal.init(num_cpus=1)
@shoal.remote
def f(i): return i
assert shoal.get([f.remote(i) for i in range(50)]) == list(range(50))
"""
    children = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(5)]
    assert [c.wait(60) for c in children] == [0] * 5


def test_every_thread_may_call(two_cpus):
    out: dict[int, list[int]] = {}

    def work(k):
        out[k] = [shoal.get(add.remote(k, i)) for i in range(50)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert out == {k: [k + i for i in range(50)] for k in range(8)}


def test_fork_in_driver_and_task(two_cpus):
    import multiprocessing

    ref = shoal.put(b"x" * 500_000)
    value = shoal.get(ref)
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        assert pool.map(abs, [-1, -2, -3]) == [1, 2, 3]

    @shoal.remote
    def forks():
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return pool.map(abs, range(-5, 0))

    assert shoal.get(forks.remote(), timeout=30) == [5, 4, 3, 2, 1]
    assert shoal.get(ref) == value


def test_lines_of_workers_reach_the_driver_whole(shoal_run):
    run = shoal_run(
        """
        import shoal
        shoal.init(num_cpus=1)
        @shoal.remote
        def talks():
            import sys
            for i in range(200):
                print("line", i, "x" * 50)
            print("to stderr", file=sys.stderr)
        shoal.get(talks.remote())
        shoal.shutdown()
        """
    )
    lines = [line for line in run.stdout.splitlines() if "line" in line]
    assert [line.split(") ")[1].split()[1] for line in lines] == [str(i) for i in range(200)]
    assert all(line.startswith("(talks pid=") for line in lines)
    assert "to stderr" in run.stderr


def test_ctrl_c_in_get_comes_at_once(shoal_run):
    run = shoal_run(
        """
        import os, signal, threading, time, shoal
        shoal.init(num_cpus=1)
        @shoal.remote
        def forever():
            time.sleep(60)
        t = time.monotonic()
        try:
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
            shoal.get(forever.remote())
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - t < 30)
        """
    )
    assert run.stdout.split() == ["interrupted", "True"]


def test_a_script_with_everything_in_main(shoal_run):
    run = shoal_run(
        """
        import dataclasses, enum, shoal
        class Colour(enum.Enum):
            RED = 1
        @dataclasses.dataclass
        class Point:
            x: int
            colour: Colour = Colour.RED
        @shoal.remote
        def move(p):
            return Point(p.x + 1, p.colour)
        if __name__ == "__main__":
            assert shoal.get(move.remote(Point(1))) == Point(2)
            print("ok")
        """
    )
    assert run.stdout == "ok\n"


def test_exit_in_the_middle_is_silent_and_has_its_code(shoal_run):
    run = shoal_run(
        """
        import sys, time, shoal
        shoal.init(num_cpus=2)
        @shoal.remote
        def forever():
            time.sleep(60)
        refs = [forever.remote() for _ in range(10)]
        sys.exit(3)
        """,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (3, "", "")
