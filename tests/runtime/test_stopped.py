"""Processes that are stopped (SIGSTOP) and go on: zygote, daemon, driver. Workers: `test_faults_more`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HEAD = """
import json, os, signal, threading, time
import shoal
shoal.init(num_cpus=1)
from shoal.core import _ffi

def status():
    return json.loads(_ffi.status())

def pids(kind):
    return [p["pid"] for p in status()["processes"] if p["kind"] == kind]

@shoal.remote
def pid():
    return os.getpid()

@shoal.remote(num_cpus=0)
class Actor:
    def pid(self):
        return os.getpid()

def timed(call):
    begun = time.monotonic()
    return call(), time.monotonic() - begun

first = Actor.remote()
shoal.get([first.pid.remote(), pid.remote()])
daemon, [zygote] = status()["pid"], pids("zygote")
"""


def test_while_the_zygote_is_stopped_workers_go_on_and_new_ones_come_when_it_goes_on(shoal_run):
    run = shoal_run(
        HEAD
        + """
os.kill(zygote, signal.SIGSTOP)
late = Actor.remote().pid.remote()
print(timed(lambda: shoal.get([first.pid.remote() for _ in range(50)] + [pid.remote()]))[1] < 4)
print(shoal.wait([late], timeout=0.5)[0])
os.kill(zygote, signal.SIGCONT)
print(shoal.get(late, timeout=20) > 0, pids("zygote") == [zygote])
"""
    )
    assert run.stdout.splitlines() == ["True", "[]", "True True"]


def test_a_zygote_that_stays_stopped_is_replaced(shoal_run):
    run = shoal_run(
        HEAD
        + """
os.kill(zygote, signal.SIGSTOP)
other, seconds = timed(lambda: shoal.get(Actor.remote().pid.remote(), timeout=30))
print(seconds > 4, zygote not in pids("zygote"), shoal.get(first.pid.remote()) != other)
print("does not answer: it is killed and replaced" in open(f"{status()['session']}/logs/node.log").read())
"""
    )
    assert run.stdout.splitlines() == ["True True True", "True"]


def test_a_stopped_daemon_is_told_with_its_pid_while_lanes_go_on(shoal_run):
    run = shoal_run(
        HEAD
        + """
os.kill(daemon, signal.SIGSTOP)
made = []
makes = threading.Thread(target=lambda: made.append(Actor.remote()))
makes.start()
queued = pid.options(num_cpus=0.5).remote()
slowest, end = 0, time.monotonic() + 6.5
while time.monotonic() < end:
    slowest = max(slowest, timed(lambda: shoal.get(first.pid.remote()))[1])
    time.sleep(0.01)
print(slowest < 4, made, shoal.wait([queued], timeout=0)[0])
os.kill(daemon, signal.SIGCONT)
makes.join()
print(shoal.get([queued, made[0].pid.remote()], timeout=20)[0] > 0, daemon)
"""
    )
    first, second = run.stdout.splitlines()
    daemon = second.removeprefix("True ")
    assert (first, second) == ("True [] []", f"True {daemon}")
    said = run.stderr.splitlines()
    assert said[0] == (
        f"shoal: the node daemon (process {daemon}) has not answered for 5 s; it is stopped, and 'kill -CONT {daemon}' "
        "lets it go on; calls that have a worker go on, what needs the daemon waits"
    )
    assert said[1].startswith("shoal: the node daemon answers again, after ") and len(said) == 2


def test_what_waits_for_a_stopped_daemon_can_be_interrupted_and_goes_on_when_that_does(shoal_run):
    run = shoal_run(
        HEAD
        + """
@shoal.remote(num_cpus=0)
class Named:
    def pid(self):
        return os.getpid()

def interrupted(call):
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    begun = time.monotonic()
    try:
        call()
    except KeyboardInterrupt:
        return time.monotonic() - begun < 20
    return "not interrupted"

os.kill(daemon, signal.SIGSTOP)
big = b"x" * (1 << 26)
calls = [
    shoal.nodes,
    lambda: shoal.get_actor("nobody"),
    lambda: Named.options(name="n").remote(),
    lambda: shoal.kill(first),
    lambda: shoal.put(big),
]
print([interrupted(call) for call in calls])
os.kill(daemon, signal.SIGCONT)
# The name is free again, and room that came too late went back.
again = Named.options(name="n").remote()
print(shoal.get(again.pid.remote(), timeout=20) > 0, len(shoal.get(shoal.put(big))) == len(big))
"""
    )
    assert run.stdout.splitlines() == ["[True, True, True, True, True]", "True True"]


def test_a_driver_ends_in_time_though_its_daemon_is_stopped(shoal_run):
    run = shoal_run(
        HEAD
        + """
print(daemon, *[p["pid"] for p in status()["processes"]], flush=True)
os.kill(daemon, signal.SIGSTOP)
print(timed(shoal.shutdown)[1] < 20)
""",
    )
    pids, ended = run.stdout.splitlines()
    assert ended == "True"
    os.kill(int(pids.split()[0]), signal.SIGCONT)


BUSY = """
import os, shoal
from support.load import Load
shoal.init(num_cpus=2)
load = Load(1)
load.step()
print("works", flush=True)
for _ in range(60):
    load.step()
print("right", flush=True)
"""


def test_a_driver_that_was_stopped_goes_on(session_root: Path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as driver:
        assert driver.stdout is not None and driver.stdout.readline() == "works\n"
        for _ in range(3):
            driver.send_signal(signal.SIGSTOP)
            time.sleep(0.2)
            driver.send_signal(signal.SIGCONT)
            time.sleep(0.1)
        out, err = driver.communicate(timeout=60)
    assert (out, err, driver.returncode) == ("right\n", "", 0)


NEEDS_NO_OWNER = """
import os, signal, numpy, shoal

@shoal.remote
def total(refs, owner):
    os.kill(owner, signal.SIGSTOP)
    try:
        return sum(int(shoal.get(ref, timeout=10).sum()) for ref in refs)
    finally:
        os.kill(owner, signal.SIGCONT)

shoal.init(num_cpus=1)
refs = [shoal.put(numpy.full(1_000_000, i, numpy.uint8)) for i in range(3)]
print(shoal.get(total.remote(refs, os.getpid())))
shoal.shutdown()
"""


def test_a_large_object_in_a_list_needs_no_word_from_its_owner(shoal_run):
    assert shoal_run(NEEDS_NO_OWNER).stdout == "3000000\n"
