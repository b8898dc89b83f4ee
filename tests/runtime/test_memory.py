"""Memory that runs out: in a control group with a real limit, the right process goes before the kernel chooses one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import cgroups
from support.programs import Run, run_command

LIMIT = 400 << 20
NO_GROUPS = cgroups.why_none()
# Alone: who watches needs its share of the machine in time, or the kernel is first.
pytestmark = [pytest.mark.alone, pytest.mark.skipif(bool(NO_GROUPS), reason=NO_GROUPS)]

WORK = """
import fcntl, os, sys, time
from pathlib import Path
import shoal
from shoal.exceptions import ActorDiedError, OutOfMemoryError

MIB = 1 << 20

def fill(mib, step=8):
    held = []
    while step * len(held) < mib:
        held.append(b"x" * (step * MIB))
        time.sleep(0.02)
    return held

def await_file(path):
    while not Path(path).exists():
        time.sleep(0.01)

def begin(**settings):
    settings.setdefault("memory_usage_threshold", 0.8)
    shoal.init(num_cpus=4, object_store_memory=64 * MIB, _system_config=settings)

def failure(ref):
    try:
        return shoal.get(ref, timeout=60)
    except Exception as error:
        return error
"""


@pytest.fixture
def group() -> Iterator[cgroups.Group]:
    with cgroups.limited(LIMIT) as group:
        yield group


@pytest.fixture
def in_group(group: cgroups.Group, tmp_path: Path) -> Callable[..., Run]:
    """Runs a program in a control group that may use 400 MiB."""

    def run(code: str) -> Run:
        program = tmp_path / "program.py"
        program.write_text(WORK + code)
        return run_command(group.command(sys.executable, str(program), str(group.folder)), cwd=tmp_path, timeout=90)

    return run


def test_who_fills_memory_is_killed_before_the_kernel_kills_and_the_error_says_how_much(in_group, group):
    run = in_group("""
begin()

@shoal.remote(max_retries=0)
def hog(mib):
    fill(mib)
    return mib

@shoal.remote(max_retries=0)
def quiet():
    held = fill(40)
    Path("quiet").touch()
    await_file("over")
    return "lived"

@shoal.remote
class Counter:
    def __init__(self): self.n, self.held = 0, fill(16)
    def add(self): self.n += 1; return self.n

counter, other = Counter.remote(), quiet.remote()
shoal.get(counter.add.remote())
await_file("quiet")
error = failure(hog.remote(4000))
Path("over").touch()
print(type(error).__name__, error)
print(shoal.get(other), shoal.get(counter.add.remote()))
""")
    name, _, text = run.stdout.partition(" ")
    assert name == "OutOfMemoryError"
    assert re.search(
        r"worker process \d+ \(hog\) was killed by signal 9 \(SIGKILL\): memory ran out: \d+ MiB of 400 MiB", text
    )
    assert f"control group {str(group.folder).partition('memory')[2]}" in text
    assert re.search(
        r"this process held \d+ MiB\. Most was held by: hog \(pid \d+\) \d+ MiB, \w+ \(pid \d+\) \d+ MiB", text
    )
    assert run.stdout.splitlines()[-1] == "lived 2"
    assert group.kernel_kills == 0


def test_a_task_with_retries_left_runs_again_and_one_that_never_fits_ends(in_group, group):
    run = in_group("""
begin()

@shoal.remote(max_retries=2)
def hog(name, tries):
    with open(name, "a") as file:
        file.write("x")
    fill(4000 if os.path.getsize(name) <= tries else 8)
    return "fits now"

print(failure(hog.remote("a", 1)))
print(type(failure(hog.remote("b", 9))).__name__, os.path.getsize("b"))
""")
    assert run.stdout.splitlines() == ["fits now", "OutOfMemoryError 3"]
    assert group.kernel_kills == 0


def test_of_two_that_hold_as_much_the_one_that_began_last_goes_and_one_without_retries_stays(in_group, group):
    run = in_group("""
begin()

@shoal.remote
def half(name):
    with open(name, "a") as file:
        file.write("x")
    held = fill(96)
    Path(name + "-full").touch()
    await_file("over")
    return os.path.getsize(name)

keeps = half.options(max_retries=0).remote("keeps")
await_file("keeps-full")
first = half.remote("first")
await_file("first-full")
last = half.remote("last")
await_file("last")
while os.path.getsize("first") + os.path.getsize("last") == 2:
    time.sleep(0.01)
Path("over").touch()
print(shoal.get([keeps, first, last], timeout=60))
""")
    assert run.stdout.splitlines() == ["[1, 1, 2]"]
    assert group.kernel_kills == 0


def test_an_actor_dies_of_memory_by_name_or_is_made_again(in_group, group):
    run = in_group("""
begin()

@shoal.remote
class Hog:
    def pid(self): return os.getpid()
    def fill(self, mib): fill(mib); return mib

plain = Hog.remote()
error = failure(plain.fill.remote(4000))
print(type(error).__name__, "memory ran out" in str(error), "of 400 MiB" in str(error))
again = Hog.options(max_restarts=1, max_task_retries=0).remote()
before = shoal.get(again.pid.remote())
error = failure(again.fill.remote(4000))
print(type(error).__name__, "memory ran out" in str(error))
print(shoal.get(again.pid.options(max_task_retries=-1).remote(), timeout=60) != before)
""")
    assert run.stdout.splitlines() == ["ActorDiedError True True", "ActorUnavailableError True", "True"]
    assert group.kernel_kills == 0


def test_what_idle_workers_keep_goes_before_a_task_does(in_group, group):
    run = in_group("""
begin()
kept = []

@shoal.remote(max_retries=0)
def keeps(name):
    import builtins
    builtins.kept = fill(72)
    Path(name).touch()
    await_file("a"); await_file("b")
    return os.getpid()

@shoal.remote(max_retries=0)
def big():
    fill(160)
    return os.getpid()

idle = set(shoal.get([keeps.remote("a"), keeps.remote("b")]))
ran = shoal.get(big.remote(), timeout=60)
print(len(idle - {ran}), any(Path(f"/proc/{pid}").exists() for pid in idle - {ran}))
""")
    assert run.stdout.splitlines()[0] in ("1 False", "2 False")
    assert group.kernel_kills == 0


def test_while_another_instance_kills_this_one_waits(in_group):
    run = in_group("""
begin(memory_usage_threshold=0.5)
root = next(Path(os.environ["SHOAL_TMPDIR"]).glob("shoal-*"))
other = os.open(root, os.O_RDONLY)
fcntl.flock(other, fcntl.LOCK_EX)

@shoal.remote(max_retries=0)
def hog():
    held = fill(240)
    Path("full").touch()
    # Four looks of the monitor.
    time.sleep(1)
    Path("lived").touch()
    await_file("never")

ref = hog.remote()
await_file("lived")
os.close(other)
print(type(failure(ref)).__name__)
""")
    assert run.stdout.splitlines() == ["OutOfMemoryError"]


def test_of_two_instances_only_one_kills_for_one_shortage(in_group, group):
    run = in_group("""
import subprocess
name = sys.argv[2] if len(sys.argv) > 2 else "first"
other = None
if name == "first":
    other = subprocess.Popen([sys.executable, __file__, sys.argv[1], "second"], stdout=subprocess.PIPE, text=True)
begin()

@shoal.remote(max_retries=0)
def half(mine, others, round):
    held = fill(80)
    Path(f"{mine}-ready-{round}").touch()
    await_file(f"{others}-ready-{round}")
    # Both together, too much at once; either of them alone is not.
    held += fill(72, 24)
    await_file(f"dead-{round}")
    # Four looks of the monitor.
    time.sleep(1)
    return "lived"

names = ("first", "second") if name == "first" else ("second", "first")
for round in range(3):
    error = failure(half.remote(*names, round))
    if isinstance(error, OutOfMemoryError):
        Path(f"dead-{round}").touch()
    Path(f"{name}-over-{round}").touch()
    await_file(f"{names[1]}-over-{round}")
    print(round, "OutOfMemoryError" if isinstance(error, OutOfMemoryError) else error, flush=True)
if other is not None:
    print(other.communicate()[0])
    sys.exit(other.returncode)
""")
    said = sorted(line for line in run.stdout.splitlines() if line)
    assert said == sorted(f"{n} {end}" for n in range(3) for end in ("OutOfMemoryError", "lived")), run
    assert group.kernel_kills == 0


def test_a_kill_by_the_kernel_is_told_as_such(in_group, group):
    run = in_group("""
begin(memory_monitor_interval=0)

@shoal.remote(max_retries=0)
def hog():
    fill(4000)

error = failure(hog.remote())
print(type(error).__name__, "the kernel killed it" in str(error), "of 400 MiB" in str(error))
""")
    assert run.stdout.splitlines() == ["OutOfMemoryError True True"]
    assert group.kernel_kills == 1


def test_the_kernel_takes_a_worker_and_not_the_driver_that_holds_more(in_group, group):
    run = in_group("""
held = fill(200)
begin(memory_monitor_interval=0)

@shoal.remote(max_retries=0)
def hog():
    fill(4000)

@shoal.remote
def starts():
    import subprocess
    return subprocess.run(["cat", "/proc/self/oom_score_adj"], capture_output=True, text=True).stdout

print(type(failure(hog.remote())).__name__, len(held), shoal.get(starts.remote()))
""")
    assert run.stdout.split() == ["OutOfMemoryError", "25", "500"]
    assert group.kernel_kills == 1


def test_memory_of_others_kills_nobody_here(group, in_group):
    code = "import sys; held = b'x' * (340 << 20); print('full', flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        group.command(sys.executable, "-c", code), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == "full\n"
        run = in_group("""
begin(memory_usage_threshold=0.5)

@shoal.remote(max_retries=0)
def small():
    # Six looks of the monitor.
    time.sleep(1.5)
    return os.getpid()

print(shoal.get(small.remote(), timeout=60) > 0)
""")
        other.stdin.close()
        assert other.wait(timeout=60) == 0
    assert run.stdout.splitlines() == ["True"]


LIMITED = """
@shoal.remote(max_retries=0)
def needs(mib):
    held = fill(mib)
    return mib

@shoal.remote(max_retries=0)
def starts(mib):
    code = f"held = b'x' * ({mib} << 20)"
    import subprocess
    return subprocess.run([sys.executable, "-c", code]).returncode

@shoal.remote
class Actor:
    def needs(self, mib): return len(fill(mib))
"""


def folders(group: cgroups.Group) -> list[str]:
    return [entry.name for entry in group.folder.iterdir() if entry.is_dir()]


def test_memory_is_a_limit_where_that_is_asked_for(in_group, group):
    run = in_group(
        LIMITED
        + """
begin(enforce_memory=True)
small = needs.options(memory=64 * MIB)
error = failure(small.remote(200))
print(type(error).__name__, "it needed more than the 64 MiB that memory= gives it" in str(error))
print(shoal.get([small.remote(16), needs.remote(100)]))
actor = Actor.options(memory=64 * MIB).remote()
print(shoal.get(actor.needs.remote(16)))
error = failure(actor.needs.remote(200))
print(type(error).__name__, "it needed more than the 64 MiB that memory= gives it" in str(error))
print(failure(starts.options(memory=64 * MIB).remote(200)))
"""
    )
    assert run.stdout.splitlines()[:4] == ["OutOfMemoryError True", "[16, 100]", "2", "ActorDiedError True"]
    # Of the two processes the kernel chooses the larger: what the task has started.
    assert run.stdout.splitlines()[4] == "-9"
    assert folders(group) == []


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare --mount, to hide the control groups")
def test_where_there_is_no_control_group_init_says_so(tmp_path: Path):
    code = "import shoal\nshoal.init(num_cpus=1, _system_config={'enforce_memory': True})"
    hide = f'mount -t tmpfs tmpfs /sys/fs/cgroup && exec {sys.executable} -c "{code}"'
    run = run_command(["unshare", "--mount", "sh", "-c", hide], cwd=tmp_path, check=False)
    assert "RuntimeError: " in run.stderr
    assert "enforce_memory: there is no control group for memory here; without one, leave the setting off" in run.stderr


def test_without_the_setting_memory_is_no_limit(in_group, group):
    run = in_group(LIMITED + "begin()\nprint(shoal.get(needs.options(memory=64 * MIB).remote(120)))")
    assert run.stdout.splitlines() == ["120"]


def test_control_groups_do_not_outlive_a_daemon_that_is_killed(in_group, group):
    run = in_group(
        LIMITED
        + """
import json, signal
from shoal.core import _ffi
begin(enforce_memory=True)
actor = Actor.options(memory=64 * MIB).remote()
shoal.get(actor.needs.remote(8))
daemon = json.loads(_ffi.status())["pid"]
groups = [path for path in Path(sys.argv[1]).iterdir() if path.is_dir()]
print(len(groups), len([path for path in groups[0].iterdir() if path.is_dir()]))
os.kill(daemon, signal.SIGKILL)
end = time.monotonic() + 50
while groups[0].exists() and time.monotonic() < end:
    time.sleep(0.01)
print(groups[0].exists())
"""
    )
    assert run.stdout.splitlines() == ["1 1", "False"]
