"""`shoal.timeline` and `shoal timeline`: what ran, where and when, as a trace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import shoal
from support.waits import until

Event = dict[str, Any]


@shoal.remote
def work(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@shoal.remote
def fail() -> None:
    raise KeyError("no such thing")


@shoal.remote(num_cpus=0, max_concurrency=3)
class Threads:
    def __init__(self) -> None:
        self.all = threading.Barrier(3)

    def wait(self) -> int:
        return self.all.wait(60)


def tasks(events: list[Event] | None = None) -> list[Event]:
    found = shoal.timeline() if events is None else events
    assert found is not None
    return [event for event in found if event["ph"] == "X"]


def test_a_task_is_a_slice_in_the_row_of_its_process(two_cpus: object) -> None:
    before = time.time() * 1e6
    ref = work.remote(0.05)
    pid = shoal.get(ref)
    with pytest.raises(KeyError):
        shoal.get(fail.remote())
    found = {event["name"]: event for event in tasks()}
    one = found["work"]
    assert (one["pid"], one["tid"], one["cat"]) == (pid, 0, "task")
    assert one["args"] == {"task_id": ref.hex()[:32], "state": "FINISHED"}
    assert one["dur"] >= 50_000 and before - 1e5 < one["ts"] < time.time() * 1e6
    assert found["fail"]["args"]["state"] == "FAILED"
    names = {event["pid"]: event["args"]["name"] for event in shoal.timeline() or [] if event["ph"] == "M"}
    assert names[pid] == f"worker {pid}"


def test_slices_of_a_row_never_overlap_and_what_ran_at_the_same_time_has_rows_of_its_own(two_cpus: object) -> None:
    actor = Threads.remote()
    shoal.get([actor.wait.remote() for _ in range(3)] + [work.remote(0) for _ in range(300)])
    rows: dict[tuple[int, int], list[Event]] = {}
    for event in tasks():
        rows.setdefault((event["pid"], event["tid"]), []).append(event)
    for row in rows.values():
        assert all(a["ts"] + a["dur"] <= b["ts"] for a, b in pairwise(row))
    calls = [event for event in tasks() if event["name"] == "Threads.wait"]
    assert sorted(event["tid"] for event in calls) == [0, 1, 2] and len({event["pid"] for event in calls}) == 1
    assert all("actor_id" in event["args"] for event in calls)
    assert {event["tid"] for event in tasks() if event["name"] == "work"} == {0}


def test_what_runs_and_what_ran_in_a_dead_process_is_there_too(two_cpus: object) -> None:
    gone = shoal.get(work.remote(0.05))
    os.kill(gone, signal.SIGKILL)
    running = work.remote(60)
    until(lambda: [event for event in tasks() if event["args"]["state"] == "RUNNING"])
    until(lambda: [e for e in tasks() if e["pid"] == gone and e["dur"] >= 50_000 and e["args"]["state"] == "FINISHED"])
    slices = [event for event in tasks() if event["args"]["task_id"] == running.hex()[:32]]
    assert [event["args"]["state"] for event in slices] == ["RUNNING"] and slices[0]["pid"] != gone


def test_it_is_bounded(one_cpu: object) -> None:
    for _ in range(3):
        shoal.get([work.remote(0) for _ in range(2_000)])
    assert 4_000 <= len(tasks()) <= 2 * 4_096


def test_it_is_written_to_a_file_by_call_and_by_command(one_cpu: object, tmp_path: Path) -> None:
    from shoal.core import _ffi

    shoal.get(work.remote(0))
    assert shoal.timeline(tmp_path / "a.json") is None
    assert [event["name"] for event in tasks(json.loads((tmp_path / "a.json").read_text()))] == ["work"]
    command = [sys.executable, "-c", "from shoal.cli import main; main()", "timeline"]
    at = ["--address", str(_ffi.session()["address"])]
    run = subprocess.run([*command, "b.json", *at], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert run.stdout.startswith(f"1 tasks in {tmp_path / 'b.json'}") and run.stderr == ""
    assert len(tasks(json.loads((tmp_path / "b.json").read_text()))) == 1
    run = subprocess.run([*command, "no/b.json", *at], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert run.returncode == 1 and "the timeline can't be written" in run.stderr
