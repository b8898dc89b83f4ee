"""A run that is recorded with `SHOAL_TRACE` replays in the simulator, with equal orders from every process's core."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.programs import Run, run_command

ROOT = Path(__file__).parents[2]

PROGRAM = """
import os, signal
import shoal

@shoal.remote
def double(n):
    return 2 * n

@shoal.remote
def outer(refs):
    return sum(shoal.get([double.remote(ref) for ref in refs]))

@shoal.remote
def large():
    return [shoal.put(b"x" * 300_000)]

@shoal.remote(max_retries=1)
def dies_once(path):
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"

@shoal.remote
class Holder:
    def __init__(self, refs):
        self.refs = refs
    def add(self, refs):
        self.refs += refs
        return len(self.refs)
    def total(self):
        return sum(shoal.get(self.refs))

with shoal.init(num_cpus=2):
    numbers = [shoal.put(n) for n in range(20)]
    assert shoal.get(outer.remote(numbers)) == 380
    holder = Holder.remote(numbers[:1])
    assert shoal.get(holder.add.remote(numbers[1:])) == 20
    del numbers
    assert shoal.get(holder.total.remote()) == 190
    assert len(shoal.get(shoal.get(large.remote())[0])) == 300_000
    assert shoal.get(dies_once.remote("died")) == "alive"
print("done")
"""


def replay() -> str:
    """The path of the program that replays, built with the features that `cargo test --workspace` builds it with."""
    command = ["cargo", "build", "--quiet", "--workspace", "--bin", "shoal-replay", "--message-format", "json"]
    environment = {name: value for name, value in os.environ.items() if name != "SHOAL_TMPDIR"}
    told = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, timeout=240)
    made = [json.loads(line).get("executable") for line in told.stdout.splitlines()]
    return next(path for path in made if path)


@pytest.mark.timeout(300)
def test_every_process_of_a_recorded_run_replays(shoal_run: Callable[..., Run], tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    folder.mkdir()
    assert shoal_run(PROGRAM, env={"SHOAL_TRACE": str(folder)}).stdout == "done\n"
    run = run_command([replay(), folder])
    counts = [int(n) for n in re.findall(r": (\d+) events", run.stdout)]
    # The driver, the actor's worker, the one that was killed and another.
    assert len(counts) >= 4
    assert sum(counts) > 100
