"""Who waits for what running work will not release is told on standard error, once; who will never run, by an error."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from support.programs import Run

Runner = Callable[..., Run]

HEAD = """
import os, time
import shoal

shoal.init(num_cpus=2, _system_config={"warn_waiting_seconds": 0.3, "infeasible_grace": 3.0}, log_to_driver=LOGS)

@shoal.remote
def work(seconds=0):
    time.sleep(seconds)
    return 1

@shoal.remote(num_cpus=2)
class Holder:
    def pid(self):
        return os.getpid()
"""


def warnings(run: Run) -> list[str]:
    return [line for line in run.stderr.splitlines() if line.startswith("shoal: ")]


@pytest.mark.parametrize("logs", ["True", "False"])
def test_tasks_that_an_actor_keeps_from_running_are_told_once(shoal_run: Runner, logs: str) -> None:
    run = shoal_run(
        HEAD.replace("LOGS", logs)
        + """
holder = Holder.remote()
print(shoal.get(holder.pid.remote()))
refs = [work.remote() for _ in range(5)]
print(len(shoal.wait(refs, num_returns=5, timeout=3)[0]))
refs += [work.remote()]
print(len(shoal.wait(refs, num_returns=6, timeout=1)[0]))
shoal.kill(holder)
print(shoal.get(refs))
"""
    )
    pid, none, still_none, done = run.stdout.splitlines()
    assert (none, still_none, done) == ("0", "0", "[1, 1, 1, 1, 1, 1]")
    (told,) = warnings(run)
    assert re.fullmatch(
        r"shoal: 5 tasks \(work\) have waited for a worker for \d s, and running work will not end that: needs 1 CPU, "
        rf"0 of 2 free; held by actor Holder \(pid {pid}\) 2; an actor holds what it has until it ends \(shoal\.kill\)"
        r", and with num_cpus=0 no CPU; 'shoal why' says more",
        told,
    )


def test_who_waits_for_running_tasks_is_not_warned(shoal_run: Runner) -> None:
    run = shoal_run(HEAD.replace("LOGS", "True") + "print(sum(shoal.get([work.remote(1) for _ in range(6)])))")
    assert (run.stdout, run.stderr) == ("6\n", "")


def test_what_never_fits_is_told_then_an_error(shoal_run: Runner) -> None:
    run = shoal_run(
        HEAD.replace("LOGS", "True")
        + """
task = work.options(num_gpus=1).remote()
actor = Holder.options(num_cpus=64, name="huge").remote()
for ref in (task, actor.pid.remote()):
    try:
        shoal.get(ref, timeout=30)
    except shoal.exceptions.RayError as error:
        print(type(error).__name__, "|", str(error).splitlines()[0])
"""
    )
    assert run.stdout.splitlines() == [
        "TaskUnschedulableError | no node can ever run it: needs 1 GPU, the node has 0",
        "ActorUnschedulableError | no node can ever run it: needs 64 CPU, the node has 2",
    ]
    told = sorted(re.sub(r"for \d s", "for N s", line) for line in warnings(run))
    more = "it is an error after 3 s; ask for less, or start the instance with more (num_cpus=, num_gpus=, resources=)"
    waited = "has waited for a worker for N s, and running work will not end that: no node can ever run it"
    assert told == [
        f"shoal: 1 task (work) {waited}: needs 1 GPU, the node has 0; {more}; 'shoal why' says more",
        f"shoal: actor Holder (huge) {waited}: needs 64 CPU, the node has 2; {more}; 'shoal why' says more",
    ]


def test_an_actor_and_a_nested_task_that_wait_are_told(shoal_run: Runner) -> None:
    run = shoal_run(
        HEAD.replace("LOGS", "True")
        + """
@shoal.remote(resources={"x": 1})
def outer():
    return shoal.wait([inner.remote()], timeout=3)[0]

@shoal.remote(resources={"x": 1})
def inner():
    return 1

shoal.shutdown()
shoal.init(num_cpus=2, resources={"x": 1}, _system_config={"warn_waiting_seconds": 0.3})
print(shoal.get(outer.remote()))
first, second = Holder.remote(), Holder.remote()
shoal.get(first.pid.remote())
print(shoal.wait([second.pid.remote()], timeout=3)[0])
"""
    )
    assert run.stdout == "[]\n[]\n"
    end = "and running work will not end that: needs 1 x, 0 of 1 free; held by task outer"
    told = re.sub(r"for \d s", "for N s", run.stderr)
    assert f"1 task (inner) has waited for a worker for N s, {end}" in told
    assert "which waits itself; a task that waits lends its CPUs, and nothing" in run.stderr
    assert told.count("actor Holder has waited for a worker for N s") == 1
    assert run.stderr.count("have waited") + run.stderr.count("has waited") == 2


def test_warnings_and_errors_can_be_turned_off(shoal_run: Runner) -> None:
    run = shoal_run(
        """
import shoal
shoal.init(num_cpus=1)
f = shoal.remote(num_gpus=1)(lambda: 1)
print(shoal.wait([f.remote()], timeout=3)[0])
""",
        env={"SHOAL_WARN_WAITING_SECONDS": "-1", "SHOAL_INFEASIBLE_GRACE": "-1"},
    )
    assert (run.stdout, run.stderr) == ("[]\n", "")
    run = shoal_run("import shoal; shoal.init(_system_config={'infeasible_grace': -2})", check=False)
    assert run.stderr.splitlines()[-1] == (
        "ValueError: _system_config['infeasible_grace'] takes a number of seconds ≥ 0, or -1 for never, not '-2'"
    )


def test_an_instance_of_shoal_start_may_grow_so_nothing_is_infeasible(shoal_run: Runner) -> None:
    run = shoal_run(
        """
from shoal.runtime.config import node_config
print([node_config({"num_cpus": 1}, owned=owned)["settings"]["infeasible_grace"] for owned in (True, False)])
"""
    )
    assert run.stdout == "[30.0, -1.0]\n"
    run = shoal_run(
        "from shoal.runtime.config import node_config\n"
        "print(node_config({'num_cpus': 1}, owned=False)['settings']['infeasible_grace'])",
        env={"SHOAL_INFEASIBLE_GRACE": "7"},
    )
    assert run.stdout == "7.0\n"
