"""Limits of the machine: disk, descriptors, address space, a slow store. Each has a clear end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.programs import Run, may_mount, run_command

needs_mount = pytest.mark.skipif(not may_mount(), reason="needs root and unshare --mount, for a small disk")

WORK = """
import os, sys, resource, time
import shoal

@shoal.remote
def f():
    return os.getpid()

@shoal.remote(num_cpus=0)
class Actor:
    def f(self):
        return 1

def try_init(**options):
    try:
        return shoal.init(num_cpus=2, object_store_memory=64 << 20, **options)
    except Exception as error:
        print(type(error).__name__, error)
        sys.exit()

def open_all():
    opened = []
    try:
        while True:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return opened
"""


@pytest.fixture
def on_small_disk(tmp_path: Path) -> Callable[..., Run]:
    """Runs a program whose temporary folder is a file system of its own: options of `mount`, then what fills it."""

    def run(options: str, code: str, before: str = "true") -> Run:
        disk, program = tmp_path / "d", tmp_path / "program.py"
        disk.mkdir()
        program.write_text(WORK + code)
        script = f"mount -t tmpfs -o {options} tmpfs {disk} && cd {disk} && {before}; exec {sys.executable} {program}"
        return run_command(["unshare", "--mount", "sh", "-c", script], env={"SHOAL_TMPDIR": str(disk)}, timeout=60)

    return run


@needs_mount
def test_on_a_disk_that_fills_up_work_goes_on_and_output_still_comes(on_small_disk):
    run = on_small_disk(
        "size=600k",
        """
@shoal.remote
def talks():
    for i in range(1500):
        print(i, "x" * 1000)

try_init()
shoal.get(talks.remote(), timeout=30)
assert os.statvfs(".").f_bavail < 10
actor = Actor.remote()
assert shoal.get([f.remote() for _ in range(20)] + [actor.f.remote()], timeout=30)[-1] == 1
assert len(shoal.get(shoal.put(b"x" * 1_000_000))) == 1_000_000
try:
    shoal.get(shoal.remote(max_retries=1)(lambda: os.kill(os.getpid(), 9)).remote(), timeout=30)
except shoal.exceptions.WorkerCrashedError as error:
    told = "SIGKILL" in str(error)
shoal.shutdown()
# Not before: what is printed meanwhile may come in the middle of a worker's line.
print("crash told", told)
""",
    )
    lines = run.stdout.splitlines()
    assert "crash told True" in lines and len([line for line in lines if line.endswith("x" * 1000)]) == 1500
    assert run.stderr == ""


@needs_mount
def test_on_a_full_disk_init_says_which_one(on_small_disk):
    run = on_small_disk("size=600k", "try_init()", before="head -c 700000 /dev/zero >fill 2>/dev/null")
    assert run.stdout.startswith("RuntimeError shoal") and "No space left on device" in run.stdout, run
    assert "/d/shoal-0" in run.stdout


@needs_mount
def test_without_room_for_a_file_init_says_where_and_how_to_go_on(on_small_disk):
    run = on_small_disk("nr_inodes=3", "try_init()", before="mkdir -m 700 shoal-0")
    assert run.stdout.startswith("RuntimeError shoal can't make a session folder in "), run
    assert (
        "(No space left on device): make room there, or set SHOAL_TMPDIR to a folder that can be written" in run.stdout
    )


@needs_mount
@pytest.mark.parametrize("before", ["true", "mkdir -m 700 shoal-0; mount -o remount,ro $PWD"])
def test_a_temporary_folder_that_is_read_only(on_small_disk, before):
    run = on_small_disk("ro" if before == "true" else "rw", "try_init()", before=before)
    assert run.stdout.startswith("RuntimeError shoal can't "), run
    assert "(Read-only file system)" in run.stdout and "SHOAL_TMPDIR" in run.stdout


def test_a_driver_that_has_opened_all_it_may_gets_its_workers_and_actors(shoal_run):
    run = shoal_run(
        WORK
        + """
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 4096))
try_init()
shoal.get(f.remote())
Actor.remote()
opened = open_all()
refs = [f.remote() for _ in range(20)] + [a.f.remote() for a in [Actor.remote() for _ in range(8)]]
print(len(opened) > 5, shoal.get(refs, timeout=30)[20:])
print(len(shoal.get(shoal.put(b"x" * 1_000_000))))
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    )
    assert run.stdout.splitlines() == ["True [1, 1, 1, 1, 1, 1, 1, 1]", "1000000", "(40, 4096)"]


def test_a_thread_that_opens_whatever_becomes_free_takes_no_lane_away(shoal_run):
    run = shoal_run(
        WORK
        + """
import threading

def takes_all():
    while not done:
        opened.extend(open_all())

try_init()
shoal.get([f.remote(), Actor.remote().f.remote()])
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 4096))
opened, done = open_all(), False
thread = threading.Thread(target=takes_all)
thread.start()
try:
    print(shoal.get([a.f.remote() for a in [Actor.remote() for _ in range(8)]], timeout=50))
finally:
    done = True
    thread.join()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    )
    assert run.stdout.splitlines() == ["[1, 1, 1, 1, 1, 1, 1, 1]", "(40, 4096)"]


def test_an_actor_that_has_opened_all_it_may_is_still_called_by_others(shoal_run):
    run = shoal_run(
        WORK
        + """
@shoal.remote(num_cpus=0)
class Full:
    def fill(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (60, 4096))
        self.opened = open_all()
        return len(self.opened) > 5

    def f(self):
        return 2

@shoal.remote
def asks(actor):
    return shoal.get(actor.f.remote())

try_init()
full = Full.remote()
print(shoal.get(full.fill.remote(), timeout=30), shoal.get([asks.remote(full) for _ in range(4)], timeout=30))
"""
    )
    assert run.stdout == "True [2, 2, 2, 2]\n"


def test_without_descriptors_init_is_an_error_of_the_system(shoal_run):
    run = shoal_run(
        WORK
        + """
import shoal.runtime.launch, shoal.core.hooks
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 4096))
opened = open_all()
try_init()
"""
    )
    assert "Too many open files" in run.stdout, run


def test_a_driver_that_may_open_too_few_files_says_the_limit(shoal_run):
    run = shoal_run(WORK + "resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))\ntry_init()")
    assert run.stdout.startswith("RuntimeError shoal can't start its node daemon: "), run
    assert run.stdout.endswith("'ulimit -n' lets this process open 9 files: raise that\n")


def test_an_instance_that_may_open_too_few_files_says_how_many_it_takes(shoal_run):
    run = shoal_run(WORK + "resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))\ntry_init()")
    assert "it may open no more than 30 files (the hard limit, 'ulimit -Hn'); it takes 43 at least" in run.stdout, run


def test_workers_that_the_limit_of_files_has_no_room_for_are_errors_and_the_others_work(shoal_run):
    run = shoal_run(
        WORK
        + """
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try_init()
print(len(shoal.get([f.remote() for _ in range(100)], timeout=30)))
actors, answers, told = [Actor.remote() for _ in range(20)], 0, set()
for actor in actors:
    try:
        answers += shoal.get(actor.f.remote(), timeout=30)
    except shoal.exceptions.RuntimeEnvSetupError as error:
        told.add(str(error))
print(1 <= answers <= 4, *told)
print(len(shoal.get([f.remote() for _ in range(100)], timeout=30)))
"""
    )
    first, told, last = run.stdout.splitlines()
    assert (first, last) == ("100", "100") and run.stderr == ""
    assert told.startswith("True a worker process could not be started: the node daemon may open no more than 64 files")
    assert told.endswith("have fewer of them, or raise the limit before the instance starts")


def test_the_default_object_store_fits_the_address_space(shoal_run):
    run = shoal_run(
        WORK
        + """
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, -1))
shoal.init(num_cpus=2)
print(shoal.cluster_resources()["object_store_memory"] <= 256 << 20)
print(shoal.get([f.remote(), Actor.remote().f.remote()], timeout=30)[1], len(shoal.get(shoal.put(bytes(50 << 20)))))
"""
    )
    assert run.stdout.splitlines() == ["True", f"1 {50 << 20}"]


def test_without_address_space_for_the_arena_init_says_the_limit(shoal_run):
    code = WORK + "resource.setrlimit(resource.RLIMIT_AS, (300 << 20, -1))\n" + WORK_HUGE
    run = shoal_run(code)
    assert run.stdout.startswith("RuntimeError shoal's node daemon could not start: "), run
    assert "Cannot allocate memory" in run.stdout
    assert run.stdout.endswith(
        "; 'ulimit -v' leaves it 300 MiB of address space: raise that, or ask for less object_store_memory\n"
    )


WORK_HUGE = """
try:
    shoal.init(num_cpus=1, object_store_memory=1 << 30)
except RuntimeError as error:
    print("RuntimeError", error)
"""


def test_a_lane_that_does_not_fit_the_address_space_is_an_error_and_what_has_one_goes_on(shoal_run):
    run = shoal_run(
        WORK
        + """
def used():
    return int(open("/proc/self/statm").read().split()[0]) * 4096

try_init()
first = Actor.remote()
shoal.get([f.remote(), first.f.remote()])
fails = []
resource.setrlimit(resource.RLIMIT_AS, (used(), -1))
for actor in [Actor.remote() for _ in range(12)]:
    try:
        shoal.get(actor.f.remote(), timeout=30)
    except shoal.exceptions.RayError as error:
        fails.append(error)
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
print(len(fails) > 0, {type(error).__name__ for error in fails})
print(fails[0])
print(shoal.get([first.f.remote() for _ in range(100)], timeout=30) == [1] * 100)
print(shoal.get([f.remote() for _ in range(20)], timeout=30)[0] > 0)
"""
    )
    first, text, *rest = run.stdout.splitlines()
    assert first.startswith("True ") and rest == ["True", "True"], run
    assert "cannot map its lane to" in text and "of address space (ulimit -v)" in text


def test_a_store_of_five_milliseconds_a_write(shoal_run):
    run = shoal_run(
        WORK
        + """
from shoal.core import _ffi

@shoal.remote(max_restarts=-1, max_task_retries=-1, num_cpus=0)
class Lasting:
    def pid(self):
        return os.getpid()

try_init()
begun = time.monotonic()
named = Lasting.options(name="one").remote()
print(time.monotonic() - begun >= 0.005)
try:
    Actor.options(name="one").remote()
except ValueError as error:
    print("taken")
actors = [Lasting.remote() for _ in range(20)]
pids = shoal.get([a.pid.remote() for a in actors], timeout=60)
print(len(set(pids)))
for pid in pids[:5]:
    os.kill(pid, 9)
again = shoal.get([a.pid.remote() for a in actors], timeout=60)
print(len(set(again)), len(set(pids) - set(again)))
print(shoal.get(shoal.get_actor("one").pid.remote()) > 0, sum(shoal.get([f.remote() for _ in range(200)])) > 0)
shoal.kill(named)
del actors
""",
        env={"SHOAL_STORE_DELAY": "5"},
    )
    assert run.stdout.splitlines() == ["True", "taken", "20", "20 5", "True True"]


def test_a_daemon_without_descriptors_lets_who_connects_wait_and_does_not_spin(shoal_run):
    run = shoal_run(
        WORK
        + """
import json, socket, subprocess
from shoal.core import _ffi

try_init()
status = json.loads(_ffi.status())
shoal.get(f.remote())
daemon, path = status["pid"], status["address"].removeprefix("unix:")

def cpu_seconds():
    fields = open(f"/proc/{daemon}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

limits = resource.prlimit(daemon, resource.RLIMIT_NOFILE)
taken = {int(name) for name in os.listdir(f"/proc/{daemon}/fd")}
free = next(n for n in range(1 << 20) if n not in taken)
resource.prlimit(daemon, resource.RLIMIT_NOFILE, (free, limits[1]))
waits = socket.socket(socket.AF_UNIX)
waits.connect(path)
begun = cpu_seconds()
time.sleep(2)
# A loop without rest would have taken both seconds, or what the other CPU leaves of them.
print(cpu_seconds() - begun < 0.3)
print(shoal.get(f.remote()) > 0)
resource.prlimit(daemon, resource.RLIMIT_NOFILE, limits)
os.environ["SHOAL_ADDRESS"] = status["address"]
tool = "import shoal; shoal.init(address='auto'); print(len(shoal.nodes()))"
print(subprocess.run([sys.executable, "-c", tool], capture_output=True, text=True, timeout=30).stdout.strip())
print(open(f"{status['session']}/logs/node.log").read().count("a connection cannot be accepted"))
"""
    )
    assert run.stdout.splitlines() == ["True", "True", "1", "1"]


def test_a_daemon_without_descriptors_for_a_lane_says_so_to_who_would_call_over_it(shoal_run):
    run = shoal_run(
        WORK
        + """
import json
from shoal.core import _ffi

try_init()

@shoal.remote(num_cpus=0)
class Peer:
    def here(self):
        return True

    def ask(self, other):
        return shoal.get(other.here.remote(), timeout=60)

    def run(self):
        return shoal.get(f.remote(), timeout=60) > 0

def outcome(ref):
    try:
        return shoal.get(ref, timeout=60)
    except shoal.exceptions.RayError as error:
        return "open files (ulimit -n)" in str(error) and "no lane" in str(error)

peers = [Peer.remote() for _ in range(3)]
print(shoal.get([peer.here.remote() for peer in peers], timeout=60) == [True] * 3 and shoal.get(f.remote()) > 0)
daemon = json.loads(_ffi.status())["pid"]
limits = resource.prlimit(daemon, resource.RLIMIT_NOFILE)
taken = {int(name) for name in os.listdir(f"/proc/{daemon}/fd")}
free = next(n for n in range(1 << 20) if n not in taken)
resource.prlimit(daemon, resource.RLIMIT_NOFILE, (free, limits[1]))
# Of one that is up it is told at once.
print(outcome(peers[0].ask.remote(peers[1])))
# The worker that ran it for this process is there, and goes to another caller.
print(outcome(peers[0].run.remote()))
print(shoal.get([peer.here.remote() for peer in peers], timeout=60) == [True] * 3)
resource.prlimit(daemon, resource.RLIMIT_NOFILE, limits)
print(outcome(peers[2].ask.remote(peers[1])), outcome(peers[0].run.remote()), shoal.get(f.remote()) > 0)
"""
    )
    assert run.stdout.splitlines() == ["True", "True", "True", "True", "True True True"]
