"""Where the time of a task goes: samples of the driver and its worker, pinned to one core, by side and step.

python benchmarks/steps.py [CALLS]

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
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Share:
    """What a run took: seconds by the clock, CPU seconds of each side, and how many samples each side and step has."""

    wall: float
    cpu: dict[str, float]
    samples: collections.Counter[tuple[str, str]]


def record(core: int, sides: dict[str, int], run: Callable[[], object]) -> Share:
    """Runs it while perf samples the core on which the processes are."""
    with tempfile.NamedTemporaryFile() as file:
        command = ["perf", "record", "--event", "cpu-clock", "--freq", "20000", "--output", file.name, "--delay", "-1"]
        # The core, not the processes: counters of a process are moved at each switch, which costs more than a call.
        command += ["--control", "fd:0,1", "--cpu", str(core)]
        pipe = subprocess.PIPE
        perf = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, bufsize=0)
        assert perf.stdin and perf.stdout
        perf.stdin.write(b"enable\n")
        if not select.select([perf.stdout], [], [], 10)[0] or not perf.stdout.read(4):
            sys.exit("perf can't sample here: is it installed, and does /proc/sys/kernel/perf_event_paranoid allow it?")
        before, begin = {side: processes.cpu_seconds(pid) for side, pid in sides.items()}, time.perf_counter()
        run()
        wall = time.perf_counter() - begin
        cpu = {side: processes.cpu_seconds(pid) - before[side] for side, pid in sides.items()}
        perf.send_signal(signal.SIGINT)
        perf.wait()
        perf.stdin.close()
        perf.stdout.close()
        return Share(wall, cpu, samples(file.name, sides))


def samples(path: str, sides: dict[str, int]) -> collections.Counter[tuple[str, str]]:
    command = ["perf", "script", "--input", path, "--fields", "pid,ip,sym,dso", "--no-inline"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = {pid: side for side, pid in sides.items()}
    found: collections.Counter[tuple[str, str]] = collections.Counter()
    for line in text.splitlines():
        pid, _, rest = line.split(None, 2)
        symbol, _, module = rest.rpartition(" (")
        if side := names.get(int(pid)):
            found[side, step(module.rstrip(")").rpartition("/")[2], symbol)] += 1
    return found


def tell(title: str, calls: int, core: int, sides: dict[str, int], run: Callable[[], object]) -> None:
    """Prints the microseconds of each step in a call."""
    run()
    share = record(core, sides, run)
    print(f"\n{title}: {share.wall / calls * 1e6:.1f} µs by the clock, under perf\n")
    print("| step | " + " | ".join(f"{side}, µs" for side in sides) + " |\n|---|" + "---|" * len(sides))
    sums = {side: sum(n for (of, _), n in share.samples.items() if of == side) for side in sides}
    each = {side: seconds / calls * 1e6 for side, seconds in share.cpu.items()}
    for name in [*(name for name, _ in STEPS), "other"]:
        cells = [each[side] * share.samples[side, name] / max(sums[side], 1) for side in sides]
        print(f"| {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    print("| all | " + " | ".join(f"{each[side]:.2f}" for side in sides) + " |")


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    shoal.init("local", num_cpus=1)
    task = shoal.remote(nothing)
    sides = {"driver": os.getpid(), "worker": shoal.get(shoal.remote(where).remote())}

    def synchronous() -> None:
        for _ in range(calls):
            shoal.get(task.remote())

    def pipelined() -> None:
        for _ in range(calls // BATCH):
            shoal.get([task.remote() for _ in range(BATCH)])

    with processes.pinned(dict.fromkeys(sides.values(), core)):
        tell("A synchronous task", calls, core, sides, synchronous)
        tell("A pipelined task", calls, core, sides, pipelined)
    shoal.shutdown()


if __name__ == "__main__":
    main()
