"""The fixtures themselves: a leak is seen, and another run's process is not taken for one."""

import fcntl
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from support import leaks, turns
from support.programs import ProgramTimeout

SLEEP = "import time; print('up', flush=True); time.sleep(60)"


def sleeper(**environment):
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEP], stdout=subprocess.PIPE, env=dict(os.environ, **environment)
    )
    process.stdout.readline()
    return process


def daemon(**environment):
    """The number of a process whose parent has ended."""
    start = "import subprocess as s, sys; print(s.Popen([sys.executable, '-c', sys.argv[1]], stdout=s.DEVNULL).pid)"
    return int(subprocess.check_output([sys.executable, "-c", start, SLEEP], env=dict(os.environ, **environment)))


def end(process):
    process.kill()
    process.communicate()


def test_a_process_left_behind_is_named(session_root):
    before = leaks.Snapshot.take(session_root)
    process = sleeper()
    try:
        left = leaks.after(before, session_root, deadline=0.1)
    finally:
        end(process)
    assert any(line.startswith(f"process {process.pid} (") for line in left)
    assert leaks.after(before, session_root) == []


def test_a_daemon_is_ours_by_its_environment(session_root):
    before = leaks.processes(session_root)
    pid = daemon()
    try:
        assert [process.pid for process in leaks.processes(session_root) - before] == [pid]
    finally:
        os.kill(pid, 9)


def test_a_process_of_another_run_is_not_ours(session_root):
    before = leaks.processes(session_root)
    pid = daemon(SHOAL_TMPDIR="/tmp/another")
    try:
        assert leaks.processes(session_root) == before
    finally:
        os.kill(pid, 9)


def test_a_thread_a_socket_and_memory_left_behind_are_named(session_root):
    before = leaks.Snapshot.take(session_root)
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    memory = os.memfd_create("kept")
    path = session_root / "s"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        left = leaks.after(before, session_root, deadline=0.1)
    os.close(memory)
    path.unlink()
    ended.set()
    thread.join()
    assert f"socket {path}" in left
    assert f"Python thread {thread.name}" in left
    assert any("memfd:kept" in line for line in left)
    assert "descriptors: 1 more of socket" in left


def test_a_program_is_run_and_its_output_caught(shoal_run):
    run = shoal_run("import sys\nprint(sys.argv[1])\nsys.exit(3)", "word", check=False)
    assert (run.returncode, run.stdout, run.stderr) == (3, "word\n", "")


def test_a_program_that_fails_shows_what_it_said(shoal_run):
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        shoal_run("1 / 0")


def test_a_program_that_hangs_shows_where(shoal_run):
    with pytest.raises(ProgramTimeout, match="in stuck"):
        shoal_run("import time\ndef stuck():\n    time.sleep(60)\nstuck()", timeout=0.5)


def test_who_is_alone_waits_for_the_others_and_nobody_comes_in_meanwhile(tmp_path):
    came = []

    def comes(alone):
        with turns.taken(tmp_path, alone):
            came.append(alone)

    threads = [threading.Thread(target=comes, args=(alone,)) for alone in (True, False)]
    with turns.taken(tmp_path, alone=False):
        comes(False)
        threads[0].start()
        while not is_locked(tmp_path / "turn"):
            time.sleep(0.001)
        threads[1].start()
        threads[1].join(0.1)
        assert came == [False]
    for thread in threads:
        thread.join()
    assert came == [False, True, False]


def is_locked(path):
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
