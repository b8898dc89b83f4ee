"""Where the time of a task goes: samples of the driver and its worker, pinned to one core, by side and step.

Needs `perf`, and the right to use it. CPU time is that of both processes by the kernel's clocks; samples share it out.
"""

from __future__ import annotations

import collections
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import processes
from work import nothing, where

import shoal

CALLS = 40_000
BATCH = 1000
#: Step, and what the module or symbol of a sample begins with; the first that fits has it.
STEPS = (
    ("kernel: sleep, wake, switch", "[kernel"),
    ("Python's interpreter", "libpython"),
    ("memory: malloc, free, memcpy", "libc"),
    ("clock", "[vdso]"),
    ("core: owner's state machine", "shoal_owner"),
    ("frames", "shoal_proto"),
    ("ring and bell", "shoal_ring"),
    ("wait and lead", "shoal_wait"),
    ("runtime: lanes, orders, objects", "shoal_worker"),
    ("between Python and Rust", "_core"),
)


def step(module: str, symbol: str) -> str:
    plain = symbol.lstrip("<")
    for name, prefix in STEPS:
        if module.startswith(prefix) or (module.startswith("_core") and plain.startswith(prefix)):
            return name
    return "other"


def record(pids: list[int], run: Callable[[], object], path: str) -> None:
    """Runs it while perf samples the processes."""
    command = ["perf", "record", "--event", "cpu-clock", "--freq", "20000", "--output", path]
    perf = subprocess.Popen([*command, "--control", "fd:0,1", "--delay", "-1", "--pid", ",".join(map(str, pids))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)  # fmt: skip
    assert perf.stdin and perf.stdout
    perf.stdin.write(b"enable\n")
    if not select.select([perf.stdout], [], [], 10)[0] or not perf.stdout.read(4):
        sys.exit("perf can't sample here: is it installed, and does /proc/sys/kernel/perf_event_paranoid allow it?")
    run()
    perf.send_signal(signal.SIGINT)
    perf.wait()


def samples(path: str, driver: int) -> collections.Counter[tuple[str, str]]:
    """How many samples each (side, step) has."""
    command = ["perf", "script", "--input", path, "--fields", "pid,ip,sym,dso", "--no-inline"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: collections.Counter[tuple[str, str]] = collections.Counter()
    for line in text.splitlines():
        pid, _, rest = line.split(None, 2)
        symbol, _, module = rest.rpartition(" (")
        found["driver" if int(pid) == driver else "worker", step(module.rstrip(")").rpartition("/")[2], symbol)] += 1
    return found


def measure(title: str, worker: int, run: Callable[[], object]) -> None:
    driver = os.getpid()
    run()
    with tempfile.NamedTemporaryFile() as file:
        cpu, begin = {}, time.perf_counter()

        def clocked() -> None:
            nonlocal begin
            before = {pid: processes.cpu_seconds(pid) for pid in (driver, worker)}
            begin = time.perf_counter()
            run()
            begin = time.perf_counter() - begin
            cpu.update({pid: processes.cpu_seconds(pid) - before[pid] for pid in before})

        record([driver, worker], clocked, file.name)
        found = samples(file.name, driver)
    print(f"\n{title}: {begin / CALLS * 1e6:.1f} µs of wall time each, under perf\n")
    print("| step | driver µs | worker µs |\n|---|---|---|")
    sums = {side: sum(n for (of, _), n in found.items() if of == side) for side in ("driver", "worker")}
    each = {"driver": cpu[driver] / CALLS * 1e6, "worker": cpu[worker] / CALLS * 1e6}
    for name in [*(name for name, _ in STEPS), "other"]:
        shares = [each[side] * found[side, name] / max(sums[side], 1) for side in ("driver", "worker")]
        print(f"| {name} | " + " | ".join(f"{share:.2f}" for share in shares) + " |")
    print(f"| **all** | {each['driver']:.2f} | {each['worker']:.2f} |")


def main() -> None:
    core = {min(os.sched_getaffinity(0))}
    os.sched_setaffinity(0, core)
    shoal.init("local", num_cpus=1)
    task = shoal.remote(nothing)
    worker = shoal.get(shoal.remote(where).remote())
    with processes.pinned(dict.fromkeys((os.getpid(), worker), min(core))):
        measure("A synchronous task", worker, lambda: [shoal.get(task.remote()) for _ in range(CALLS)])
        measure(
            "A pipelined task",
            worker,
            lambda: [shoal.get([task.remote() for _ in range(BATCH)]) for _ in range(CALLS // BATCH)],
        )
    shoal.shutdown()


if __name__ == "__main__":
    main()
