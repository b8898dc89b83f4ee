"""Idle means idle: no thread of an instance or of its driver wakes up when nothing is called."""

from __future__ import annotations

import json
from collections.abc import Callable

from support.programs import Run

PROGRAM = """
import json, os, threading, time
import shoal
from shoal.core import _ffi

@shoal.remote
def pid():
    return os.getpid()

def switches(pids):
    found = {}
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            if int(thread) == threading.get_native_id():
                continue
            with open(f"/proc/{pid}/task/{thread}/comm") as file:
                name = file.read().strip()
            with open(f"/proc/{pid}/task/{thread}/status") as file:
                count = sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
            found[f"{name} of {pid}"] = found.get(f"{name} of {pid}", 0) + count
    return found

shoal.init(num_cpus=2)
shoal.get([pid.remote() for _ in range(4)])
# Asked for before the pause: the daemon goes to sleep only after its answer has been read. A worker may be on its way.
everybody = [None]
while None in everybody:
    status = json.loads(_ffi.status())
    everybody = [os.getpid(), status["pid"], *(process["pid"] for process in status["processes"])]
time.sleep(15)
before = switches(everybody)
time.sleep(10)
after = switches(everybody)
print(json.dumps({"threads": len(before), "woken": {k: n - before[k] for k, n in after.items() if n != before[k]}}))
shoal.shutdown()
"""


def test_an_idle_instance_does_not_wake_up(shoal_run: Callable[..., Run]) -> None:
    """Daemon, zygote, workers, and the driver but for the thread that looks."""
    found = json.loads(shoal_run(PROGRAM, timeout=90).stdout)
    assert found["threads"] >= 5
    assert found["woken"] == {}
