"""A program that works for long: `python soak.py SECONDS SEED`; its last line is what it saw, as JSON.

Tasks, actors, puts, borrowed refs and cancels, while a worker is killed about every second. It looks every now and then
at the processes that stay: driver, daemon, zygote. What of their memory is the arena's is left out: that is bounded by
its size, and given back with it.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path

import shoal
from shoal.core import _ffi
from support.deaths import deaths
from support.load import Load

SAMPLES = 200
FEWEST = 0.25
"""Seconds between two looks at least."""


def look(pid: int) -> dict[str, int]:
    """Memory (KiB), threads and descriptors of a process."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    memory = sum(int(lines[name].split()[0]) for name in ("RssAnon", "RssFile"))
    return {"memory": memory, "threads": int(lines["Threads"]), "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}


def main(seconds: float, seed: int) -> None:
    shoal.init(num_cpus=2, object_store_memory=300 << 20)
    status = json.loads(_ffi.status())
    pids = {"driver": os.getpid(), "daemon": status["pid"]}
    pids["zygote"] = next(p["pid"] for p in status["processes"] if p["kind"] == "zygote")
    load, steps = Load(seed), 0
    every = max(FEWEST, seconds / SAMPLES)
    begun, due, samples = time.monotonic(), 0.0, []
    with deaths(seed, sys.maxsize, ("worker",), every=1.0, stops=0) as them:
        while (now := time.monotonic() - begun) < seconds:
            load.step()
            steps += 1
            if now >= due:
                due = now + every
                gc.collect()
                samples.append({"at": now, **{name: look(pid) for name, pid in pids.items()}})
    del load
    end = time.monotonic() + 60
    while (held := json.loads(_ffi.status())["object_store"]["object_bytes"]) and time.monotonic() < end:
        time.sleep(0.05)
    shoal.shutdown()
    print(json.dumps({"steps": steps, "killed": len(them.struck), "held": held, "samples": samples}))


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
