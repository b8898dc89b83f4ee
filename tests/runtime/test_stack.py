"""`shoal stack` and `list_stacks`: what processes do now, whatever they are stuck in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import shoal
from shoal.util import state
from support.programs import Run
from support.waits import is_stopped, until, until_there

Runner = Callable[..., Run]


@shoal.remote
def stuck_with_the_gil(path: str) -> None:
    import ctypes

    library, (end, _), byte = ctypes.PyDLL(None), os.pipe(), ctypes.create_string_buffer(1)
    read = library.read  # PyDLL keeps the GIL
    # On one line, so that who has seen the mark sees that line.
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY)) or read(end, byte, 1)


@shoal.remote(num_cpus=0)
class Sleeper:
    def pid(self) -> int:
        return os.getpid()

    def deep(self, path: str, depth: int) -> None:
        if depth:
            return self.deep(path, depth - 1)
        Path(path).touch()
        time.sleep(60)

    def start_thread(self) -> int:
        event = threading.Event()

        def of_a_thread() -> None:
            event.set()
            time.sleep(60)

        threading.Thread(target=of_a_thread, daemon=True).start()
        event.wait()
        return os.getpid()


def stack_of(pid: int) -> str:
    rows = state.list_stacks(pid=pid)
    assert [row.pid for row in rows] == [pid] and rows[0].reason is None
    return str(rows[0].stack)


def test_a_task_that_holds_the_gil_shows_where(two_cpus: object, tmp_path: Path) -> None:
    mark = tmp_path / "begun"
    ref = stuck_with_the_gil.remote(str(mark))
    until_there(mark)
    (row,) = state.list_stacks(task_id=ref.hex()[:32])
    head, first, *_ = str(row.stack).split("\n")
    assert head == "Main thread (most recent call first):"
    assert first.endswith("in stuck_with_the_gil") and "test_stack.py" in first
    assert (row.type, row.title) == ("WORKER", "stuck_with_the_gil") and "zygote.py" not in str(row.stack)
    assert stack_of(row.pid) == row.stack, "it can be asked again"


def test_all_threads_of_workers_and_drivers_are_shown(two_cpus: object, tmp_path: Path) -> None:
    actor = Sleeper.options(name="sleeper").remote()
    pid = shoal.get(actor.start_thread.remote())
    text = stack_of(pid)
    assert "in of_a_thread" in text and "Main thread (most recent call first):\n  (waits for work)" in text
    mark = tmp_path / "deep"
    actor.deep.remote(str(mark), 300)
    until_there(mark)
    (row,) = state.list_stacks(actor_id="sleeper")
    assert row.pid == pid and str(row.stack).count("in deep") == 100, "faulthandler shows 100 calls"
    rows = {row.pid: row for row in state.list_stacks()}
    own = str(rows[os.getpid()].stack)
    assert rows[os.getpid()].type == "DRIVER" and "Thread MainThread (most recent call first):" in own
    assert "in test_all_threads_of_workers_and_drivers_are_shown" in own and "shoal-notify" not in own


def test_many_who_ask_at_once_get_whole_stacks(two_cpus: object) -> None:
    actor = Sleeper.remote()
    pid = shoal.get(actor.start_thread.remote())
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.extend(stack_of(pid) for _ in range(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40 and all("(waits for work)" in text and "in of_a_thread" in text for text in found)
    assert shoal.get(actor.pid.remote()) == pid, "who was asked works on"


def test_who_waits_in_get_or_in_the_kernel_goes_on_undisturbed(two_cpus: object, tmp_path: Path) -> None:
    @shoal.remote
    def waits(path: str) -> tuple[float, str]:
        began = time.monotonic()
        time.sleep(1)
        slept = time.monotonic() - began
        Path(path + ".slept").touch()
        with open(path) as pipe:
            return slept, pipe.read()

    @shoal.remote
    def outer(path: str) -> tuple[float, str]:
        return shoal.get(waits.remote(path))

    os.mkfifo(tmp_path / "pipe")
    ref = outer.remote(str(tmp_path / "pipe"))
    # While it sleeps, and while it waits for a pipe.
    asked = 0
    while asked < 4:
        state.list_stacks()
        asked += (tmp_path / "pipe.slept").exists()
    (tmp_path / "pipe").write_text("text")
    slept, text = shoal.get(ref, timeout=60)
    assert slept >= 1 and text == "text"


def test_a_stopped_process_is_named(two_cpus: object) -> None:
    actor = Sleeper.remote()
    pid = shoal.get(actor.pid.remote())
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: is_stopped(pid))
        (row,) = state.list_stacks(pid=pid)
        assert (row.stack, row.reason) == (None, "stopped")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert "waits for work" in stack_of(pid)


def test_a_driver_says_why_it_cannot_tell(shoal_run: Runner) -> None:
    program = """
import ctypes, signal, subprocess, sys
import shoal

shoal.init(num_cpus=1, log_to_driver=LOGS)
command = [sys.executable, "-c", "from shoal.cli import main; main()", "stack", "--timeout", "0.5"]
asker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
STUCK
print(next(line for line in asker.communicate()[0].splitlines() if "(driver)" in line))
free = all(signal.getsignal(number) in (signal.SIG_DFL, None) for number in (signal.SIGUSR1, signal.SIGUSR2, 50, 55))
print(free)
"""
    run = shoal_run(program.replace("LOGS", "False").replace("STUCK", ""))
    assert run.stdout.splitlines()[0].endswith(
        "(driver): no stack: it shows no output of workers, so no thread of shoal's can tell them"
    )
    stuck = "ctypes.PyDLL(None).sleep(3)"
    run = shoal_run(program.replace("LOGS", "True").replace("STUCK", stuck))
    assert run.stdout.splitlines()[0].endswith(
        "(driver): no stack: it did not answer in time: its code keeps the GIL, or it is busy"
    )
    assert run.stdout.splitlines()[1] == "True", "a driver's signals are its own"


def test_the_command_shows_what_is_asked_for(two_cpus: object) -> None:
    from shoal.core import _ffi

    actor = Sleeper.options(name="ann").remote()
    pid = shoal.get(actor.start_thread.remote())
    call = [sys.executable, "-c", "from shoal.cli import main; main(prog_name='shoal')", "stack"]
    at = ["--address", _ffi.session()["address"]]

    def told(*args: str) -> tuple[int, str]:
        run = subprocess.run([*call, *args, *at], capture_output=True, text=True, timeout=60)
        return run.returncode, run.stdout + run.stderr

    code, text = told(str(pid))
    assert code == 0 and text.startswith(f"process {pid} (worker, Sleeper):\n") and "in of_a_thread" in text
    assert told("--actor", "ann")[1].count("process ") == 1
    assert f"process {os.getpid()} (driver):" in told()[1]
    assert told("ann") == (
        2,
        "Usage: shoal stack [OPTIONS] [WHAT]\nTry 'shoal stack --help' for help.\n\n"
        "Error: WHAT is the number of a process, not 'ann'; there are --task and --actor\n",
    )


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"pid": 1}, ValueError, "process 1 is none of the instance's"),
        ({"pid": "1"}, TypeError, "pid takes the number of a process, not '1'"),
        ({"task_id": "ff"}, ValueError, "task 'ff' is not known"),
        ({"actor_id": "nobody"}, ValueError, "actor 'nobody' is not known"),
        ({"pid": 1, "task_id": "ff"}, ValueError, "list_stacks() takes one of pid, task_id and actor_id, not several"),
        ({"timeout": 0}, ValueError, "timeout takes a number of seconds > 0, not 0"),
    ],
)
def test_what_makes_no_sense_is_refused(
    shared_instance: object, given: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        state.list_stacks(**given)  # type: ignore[arg-type]
    assert str(caught.value).startswith(words)


def test_a_task_that_is_over_has_no_stack(shared_instance: object) -> None:
    ref = shoal.remote(lambda: 1).remote()
    shoal.get(ref)
    with pytest.raises(ValueError, match=r"task \w+ has no process now: it is over; `shoal why \w+` says more"):
        state.list_stacks(task_id=ref.hex()[:32])
