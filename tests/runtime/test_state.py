"""`shoal.util.state` and the commands `list`, `get`, `summary`: what runs, waits, is over, is held."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import shoal
from shoal.util import state
from support.programs import Run
from support.waits import is_stopped, until

Runner = Callable[..., Run]


@shoal.remote
def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@shoal.remote
def same(value: Any) -> Any:
    return value


@shoal.remote
def fail() -> None:
    raise KeyError("no such thing")


@shoal.remote(num_cpus=0)
class Worker:
    def pid(self) -> int:
        return os.getpid()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def states(**filters: str) -> list[str]:
    given = [(name, "=", value) for name, value in filters.items()]
    return [row.state for row in state.list_tasks(filters=given)]


def shoal_command(*args: str) -> str:
    command = [sys.executable, "-c", "from shoal.cli import main; main()", *args]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


def address() -> str:
    from shoal.core import _ffi

    return str(_ffi.session()["address"])


def test_tasks_are_told_with_their_states_and_processes(two_cpus: object) -> None:
    running = sleep.remote(60)
    waiting = same.remote(running)
    until(lambda: states(name="sleep") == ["RUNNING"])
    row = state.get_task(running.hex()[:32])
    assert row is not None
    assert (row.name, row.type, row.attempt_number, row.required_resources) == ("sleep", "NORMAL_TASK", 0, {"CPU": 1})
    assert row.owner_pid == os.getpid() != row.worker_pid and row.node_id == state.list_nodes()[0].node_id
    assert row.start_time_ms is not None and row.creation_time_ms is not None
    assert 0 <= row.start_time_ms - row.creation_time_ms < 30_000
    after = state.get_task(waiting.hex()[:32])
    assert after is not None and (after.state, after.waits_for) == ("PENDING_ARGS_AVAIL", [running.hex()])


def test_more_tasks_than_cpus_wait_for_a_worker(two_cpus: object) -> None:
    refs = [sleep.remote(60) for _ in range(5)]
    until(lambda: sorted(states(name="sleep")) == ["PENDING_NODE_ASSIGNMENT"] * 3 + ["RUNNING"] * 2)
    assert len(refs) == 5


def test_tasks_that_are_over_are_remembered_with_their_error(two_cpus: object) -> None:
    shoal.get(sleep.remote(0.05))
    with pytest.raises(KeyError):
        shoal.get(fail.remote())
    done = state.list_tasks(filters=[("name", "=", "sleep")], detail=True)
    assert [row.state for row in done] == ["FINISHED"] and done[0].worker_pid not in (None, os.getpid())
    assert done[0].end_time_ms - done[0].start_time_ms >= 50  # type: ignore[operator]
    bad = state.list_tasks(filters=[("state", "=", "failed")], detail=True)
    assert [(row.name, row.error_type) for row in bad] == [("fail", "TASK_EXECUTION_EXCEPTION")]
    assert "no such thing" in str(bad[0].error_message)


def test_what_is_remembered_is_bounded(two_cpus: object) -> None:
    for _ in range(4):
        shoal.get([same.remote(1) for _ in range(3_000)])
    rows = state.list_tasks(limit=10_000)
    assert len(rows) == 10_000 and {row.state for row in rows} == {"FINISHED"}


def test_actor_calls_and_actors(two_cpus: object) -> None:
    actor = Worker.options(name="one").remote()
    pid = shoal.get(actor.pid.remote())
    actor.sleep.remote(60)
    later = actor.pid.remote()
    until(lambda: states(name="Worker.sleep") == ["RUNNING"])
    assert [
        row.state for row in state.list_tasks(filters=[("type", "=", "ACTOR_TASK"), ("state", "!=", "RUNNING")])
    ] == [
        "FINISHED",
        "SUBMITTED_TO_WORKER",
    ][::-1]
    rows = state.list_actors(filters=[("name", "=", "one")], detail=True)
    assert [(row.class_name, row.state, row.pid, row.is_detached, row.num_restarts) for row in rows] == [
        ("Worker", "ALIVE", pid, False, 0)
    ]
    shoal.kill(actor)
    until(lambda: state.list_actors()[0].state == "DEAD")
    gone = state.get_actor(rows[0].actor_id)
    assert gone is not None and "shoal.kill" in str(gone.death_cause) and gone.pid is None
    with pytest.raises(shoal.exceptions.ActorDiedError):
        shoal.get(later)


@shoal.remote(num_cpus=0)
class Threads:
    def wait(self, path: str) -> None:
        while not os.path.exists(path):
            time.sleep(0.01)


@shoal.remote(num_cpus=0)
class Coroutines:
    async def wait(self, path: str) -> None:
        while not os.path.exists(path):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("cls", [Threads, Coroutines])
def test_calls_of_threaded_and_async_actors_run_since_they_have_begun(
    two_cpus: object, tmp_path: Path, cls: Any
) -> None:
    actor = cls.options(max_concurrency=2).remote()
    before, paths = time.time() * 1e3, [tmp_path / str(n) for n in range(3)]
    refs = [actor.wait.remote(str(path)) for path in paths]
    waits = "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY"

    def rows() -> list[state.TaskState]:
        named = [("func_or_class_name", "=", f"{cls.__name__}.wait")]
        found = {row.task_id: row for row in state.list_tasks(filters=named, detail=True)}
        return [found[ref.hex()[:32]] for ref in refs]

    until(lambda: [row.state for row in rows()] == ["RUNNING", "RUNNING", waits])
    first, second, third = rows()
    assert all(before - 1 <= (row.start_time_ms or 0) <= time.time() * 1e3 for row in (first, second))
    assert third.start_time_ms is None
    assert "waits in" in shoal.util.why(refs[2]) and "one of the calls that run there" in shoal.util.why(refs[2])
    traced = [event["args"] for event in shoal.timeline() or [] if event["ph"] == "X"]
    assert {one["task_id"] for one in traced if one["state"] == "RUNNING"} == {ref.hex()[:32] for ref in refs[:2]}
    opened = time.time() * 1e3
    paths[0].touch()
    until(lambda: [row.state for row in rows()] == ["FINISHED", "RUNNING", "RUNNING"])
    assert (rows()[2].start_time_ms or 0) >= opened - 1
    for path in paths[1:]:
        path.touch()
    shoal.get(refs)
    began = {event["args"]["task_id"]: event["ts"] for event in shoal.timeline() or [] if event["ph"] == "X"}
    assert began[refs[2].hex()[:32]] >= (opened - 1) * 1e3, "what waited there is no part of its time"


def test_an_actor_that_does_not_fit_is_pending(two_cpus: object) -> None:
    actor = Worker.options(num_cpus=2).remote()
    other = Worker.options(num_cpus=2).remote()
    until(lambda: sorted(row.state for row in state.list_actors()) == ["ALIVE", "PENDING_CREATION"])
    waiting = Worker.remote()
    assert len(state.list_actors()) == 3
    del actor, other, waiting


def test_objects_are_told_by_each_process_that_holds_them(two_cpus: object) -> None:
    small, large = shoal.put("x"), shoal.put(bytes(1 << 20))
    refs = [same.remote([large]), same.remote(1)]
    shoal.get(refs)
    rows = {row.object_id: row for row in state.list_objects(detail=True) if row.pid == os.getpid()}
    assert (rows[small.hex()].place, rows[small.hex()].reference_type) == ("inline", "LOCAL_REFERENCE")
    assert rows[large.hex()].place == "arena" and rows[large.hex()].object_size > 1 << 20
    assert rows[large.hex()].reference_type == "CAPTURED_IN_OBJECT" and rows[large.hex()].type == "DRIVER"
    assert rows[refs[1].hex()].task_status == "FINISHED" and rows[small.hex()].call_site == "disabled"
    assert [row.pid for row in state.get_objects(small.hex())] == [os.getpid()]
    pending = sleep.remote(60)
    until(lambda: state.get_objects(pending.hex())[0].task_status == "RUNNING")


def test_workers_jobs_and_nodes(two_cpus: object) -> None:
    actor = Worker.remote()
    pid = shoal.get(actor.pid.remote())
    rows = {row.pid: row for row in state.list_workers(detail=True)}
    assert (rows[os.getpid()].worker_type, rows[pid].worker_type, rows[pid].role) == ("DRIVER", "WORKER", "actor")
    os.kill(pid, signal.SIGKILL)
    dead = until(lambda: state.list_workers(filters=[("pid", "=", pid), ("is_alive", "=", False)], detail=True))
    assert dead[0].exit_type == "SYSTEM_ERROR" and "SIGKILL" in str(dead[0].exit_detail)
    assert state.get_worker(rows[os.getpid()].worker_id) is not None
    job = state.list_jobs()[0]
    assert (job.status, job.driver_info["pid"] if job.driver_info else 0) == ("RUNNING", os.getpid())
    assert state.get_job(job.job_id) is not None
    node = state.list_nodes()[0]
    assert (node.state, node.resources_total["CPU"]) == ("ALIVE", 2) and state.get_node(node.node_id) is not None


def test_summaries_count_by_function_class_and_place(two_cpus: object) -> None:
    actor = Worker.remote()
    shoal.get([actor.pid.remote(), *(same.remote(i) for i in range(3))])
    tasks = state.summarize_tasks()["cluster"]
    assert tasks["summary"]["same"] == {
        "func_or_class_name": "same",
        "type": "NORMAL_TASK",
        "state_counts": {"FINISHED": 3},
    }
    assert (tasks["total_tasks"], tasks["total_actor_tasks"], tasks["total_actor_scheduled"]) == (3, 1, 1)
    assert state.summarize_actors()["cluster"]["summary"]["Worker"]["state_counts"] == {"ALIVE": 1}
    large, small = shoal.put(bytes(1 << 20)), shoal.put(1)
    objects = state.summarize_objects()["cluster"]
    assert objects["total_size_mb"] > 1 and objects["summary"]["disabled"]["total_objects"] >= 1
    assert not objects["callsite_enabled"] and large != small, "of small ones it is not recorded"


def test_filters_compare_without_regard_to_case_and_by_order(two_cpus: object) -> None:
    shoal.get([sleep.remote(0), same.remote(1)])
    assert len(state.list_tasks(filters=[("state", "=", "finished"), ("name", "!=", "SLEEP")])) == 1
    assert len(state.list_tasks(filters=[("attempt_number", "<=", "0")])) == 2
    assert state.list_tasks(filters=[("attempt_number", ">", 0)]) == []
    assert len(state.list_tasks(limit=1)) == 1
    with pytest.warns(RuntimeWarning, match="1 of 2 tasks are shown: limit=1"):
        state.list_tasks(limit=1, _explain=True)


def test_a_filter_that_nothing_passes_says_what_there_is(two_cpus: object) -> None:
    shoal.get([same.remote(n) for n in range(3)])
    with pytest.warns(RuntimeWarning, match="no task of 3 passes: state is FINISHED; worker_pid is .*"):
        assert state.list_tasks(filters=[("state", "=", "RUNING"), ("worker_pid", "=", "abc")], _explain=True) == []
    command = [sys.executable, "-c", "from shoal.cli import main; main()", "list", "tasks", "--filter", "state=DONE"]
    run = subprocess.run([*command, "--address", address()], capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("no tasks\n", "warning: no task of 3 passes: state is FINISHED\n")


def test_columns_of_detail_are_none_unless_asked_for(two_cpus: object) -> None:
    shoal.get(same.remote(1))
    row = state.list_tasks()[0]
    assert row.creation_time_ms is None and row["state"] == row.get("state") == "FINISHED"
    assert "creation_time_ms" in state.TaskState.columns()
    assert "creation_time_ms" not in state.TaskState.base_columns()


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"limit": 0}, ValueError, "limit takes a whole number from 1 to 10000, not 0"),
        ({"limit": "many"}, TypeError, "limit takes a whole number from 1 to 10000, not 'many'"),
        ({"timeout": 0}, ValueError, "timeout takes a number of seconds > 0, not 0"),
        ({"timeout": "1"}, TypeError, "timeout takes a number of seconds > 0, not '1'"),
        ({"filters": [("state",)]}, ValueError, "a filter is a triple (column, comparison, value), not ('state',)"),
        ({"filters": [("stat", "=", 1)]}, ValueError, "there is no column 'stat' to filter by; there are task_id, "),
        ({"filters": [("state", "~", 1)]}, ValueError, "a filter compares by one of = != < <= > >=, not by '~'"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        state.list_tasks(address="unix:/nowhere", **given)
    assert str(caught.value).startswith(words)


def test_without_an_instance_it_says_so() -> None:
    with pytest.raises(ConnectionError, match="no instance of shoal runs on this machine for this user"):
        state.list_nodes()
    with pytest.raises(ConnectionError, match="no instance of shoal answers at 'unix:/nowhere'"):
        state.list_nodes(address="unix:/nowhere")


def test_a_stopped_process_is_named_and_the_others_answer(two_cpus: object) -> None:
    actor = Worker.remote()
    pid = shoal.get(actor.pid.remote())
    os.kill(pid, signal.SIGSTOP)
    until(lambda: is_stopped(pid))
    try:
        with pytest.raises(state.RayStateApiException, match=f"process {pid} is stopped"):
            state.list_tasks()
        began = time.monotonic()
        with pytest.warns(RuntimeWarning, match=f"process {pid} is stopped"):
            assert state.list_tasks(raise_on_missing_output=False)
        assert time.monotonic() - began < 20, "a stopped process is not waited for"
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_process_stuck_in_c_code_with_the_gil_answers(two_cpus: object) -> None:
    @shoal.remote
    def stuck() -> None:
        import ctypes

        ctypes.PyDLL(None).sleep(60)  # PyDLL keeps the GIL

    ref = stuck.remote()
    until(lambda: states(name="stuck") == ["RUNNING"])
    row = state.get_task(ref.hex()[:32])
    assert row is not None and row.start_time_ms is not None


def test_a_reader_that_dies_or_stops_holds_nobody_up(two_cpus: object) -> None:
    program = f"from shoal.util import state\nwhile True: state.list_tasks(address={address()!r}, limit=10_000)"
    readers = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        assert shoal.get([same.remote(i) for i in range(2_000)]) == list(range(2_000))
        readers[0].kill()
        os.kill(readers[1].pid, signal.SIGSTOP)
        assert shoal.get([same.remote(i) for i in range(2_000)]) == list(range(2_000))
        assert state.list_nodes()[0].state == "ALIVE"
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()


def test_the_commands_show_tables_json_and_yaml(two_cpus: object) -> None:
    shoal.get([same.remote(1), same.remote(2)])
    at = ("--address", address())
    lines = shoal_command("list", "tasks", "--filter", "state=FINISHED", *at).splitlines()
    assert lines[0].split()[:4] == ["TASK_ID", "ATTEMPT_NUMBER", "NAME", "STATE"] and len(lines) == 3
    rows = json.loads(shoal_command("list", "tasks", "--format", "json", "--limit", "1", "--detail", *at))
    assert len(rows) == 1 and rows[0]["owner_pid"] == os.getpid()
    node = state.list_nodes()[0].node_id
    assert f'node_id: "{node}"' in shoal_command("get", "nodes", node, *at)
    assert "same" in shoal_command("summary", "tasks", *at)
    assert json.loads(shoal_command("summary", "objects", "--format", "json", *at))["summary_by"] == "callsite"


def test_a_command_finds_the_only_instance_and_names_several(shoal_run: Runner) -> None:
    run = shoal_run(
        """
import subprocess, sys
import shoal
command = [sys.executable, "-c", "from shoal.cli import main; main()", "list", "nodes", "--format", "json"]
shoal.init(num_cpus=1)
print(subprocess.run(command, capture_output=True, text=True).stdout.count("ALIVE"))
other = subprocess.Popen([sys.executable, "-c", "import shoal; shoal.init(num_cpus=1); print(1, flush=True); input()"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
other.stdout.readline()
told = subprocess.run(command, capture_output=True, text=True).stderr
print("2 instances run: say which by one of" in told, told.count("--address unix:/"))
other.communicate(b"\\n")
"""
    )
    assert run.stdout == "1\nTrue 2\n"
