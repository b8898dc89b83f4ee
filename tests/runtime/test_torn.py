"""A worker that writes nonsense into its lane is ended by who reads it, and its task is tried again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.programs import Run

PROGRAM = """
import ctypes, os, pathlib, signal, sys, threading, shoal

HEAD_OF_REPLIES = 768

def heads():
    lines = [line.split() for line in open("/proc/self/maps") if "shoal-lane" in line and " rw-s " in line]
    return [ctypes.c_uint64.from_address(int(line[0].partition("-")[0], 16) + HEAD_OF_REPLIES) for line in lines]

@shoal.remote(max_retries={retries})
def tears(driver, mark):
    if pathlib.Path(mark).exists():
        return "again"
    pathlib.Path(mark).touch()
    words = heads()
    before = [word.value for word in words]

    def tear():
        # Once the reply is there, and before its reader goes on.
        while True:
            for word, old in zip(words, before):
                if word.value != old:
                    word.value = 8
                    os.kill(driver, signal.SIGCONT)
                    return

    os.kill(driver, signal.SIGSTOP)
    threading.Thread(target=tear, daemon=True).start()
    return "torn"

shoal.init(num_cpus=1)
try:
    print(shoal.get(tears.remote(os.getpid(), sys.argv[1])))
except shoal.exceptions.WorkerCrashedError as error:
    print("crashed:", error)
shoal.shutdown()
"""


@pytest.mark.parametrize("retries", [0, 1])
def test_a_torn_reply_ends_its_worker(shoal_run: Callable[..., Run], tmp_path, retries: int) -> None:
    run = shoal_run(PROGRAM.format(retries=retries), str(tmp_path / "mark"))
    assert "wrote a reply that cannot be read" in run.stderr and "it is ended" in run.stderr
    assert run.stdout.startswith("again" if retries else "crashed: ")
