"""`shoal start`, `status` and `stop`: an instance that outlives its drivers; and `shoal.compat` in its workers."""

import os
import sys

import pytest

from support.programs import run_command

PROGRAM = """
    import sys
    import shoal
    context = shoal.init(*sys.argv[1:2], namespace="n")
    @shoal.remote
    class Kept:
        n = 0
        def next(self):
            self.n += 1
            return self.n
    kept = Kept.options(name="kept", lifetime="detached", get_if_exists=True).remote()
    print(context["address"], shoal.get(kept.next.remote()), int(shoal.cluster_resources()["CPU"]))
"""


@pytest.fixture
def command(tmp_path):
    # A folder of this test's own: "the running instance" is one a user.
    folder = os.path.join(os.environ["SHOAL_TMPDIR"], tmp_path.name[-12:])
    os.mkdir(folder)
    environment = {"SHOAL_TMPDIR": folder, "SHOAL_ADDRESS": None}

    def run(*args, **options):
        return run_command([sys.executable, "-m", "shoal.cli", *args], env=environment, **options)

    run.environment = environment
    yield run
    run("stop")


def test_an_instance_outlives_its_drivers(command, shoal_run):
    started = command("start", "--head", "--num-cpus", "3", "--object-store-memory", str(80 << 20))
    address = started.stdout.split()[4]
    assert address.startswith("unix:")
    first = shoal_run(PROGRAM, env=command.environment).stdout.split()
    second = shoal_run(PROGRAM, "auto", env=command.environment).stdout.split()
    third = shoal_run(PROGRAM, address, env=command.environment).stdout.split()
    assert [first, second, third] == [[address, str(number), "3"] for number in (1, 2, 3)]
    shown = command("status").stdout
    assert f"at {address}, up" in shown
    assert "CPU: 3 of 3 free" in shown
    assert "object_store_memory: 80 MiB of 80 MiB free" in shown
    assert '"actors"' in command("status", "-v").stdout
    again = command("start", "--head", check=False)
    assert again.returncode == 1
    assert f"an instance runs already at {address}" in again.stderr
    assert command("stop").stdout == "stopped\n"
    assert command("stop").stdout == "no instance runs\n"


def test_an_instance_can_be_started_as_soon_as_one_was_stopped(command):
    for _ in range(3):
        command("start", "--head", "--num-cpus", "1")
        command("stop")


def test_a_size_starts_another_instance(command, shoal_run):
    address = command("start", "--head", "--num-cpus", "1").stdout.split()[4]
    other = shoal_run("import shoal\nprint(shoal.init(num_cpus=1)['address'])", env=command.environment)
    assert other.stdout.strip() != address


COMPAT = """
import subprocess, sys
import ray
ray.init(num_cpus=2)
CODE = "import ray, shoal; ray.init(); print(ray is shoal, ray.get(ray.put(3)))"
@ray.remote
def task():
    import ray as inner, shoal
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    return inner is shoal, ran.stdout.strip()
assert ray.get(task.remote()) == (True, "True 3")
assert ray.data.from_items([1]).take_all() == [{"item": 1}]
"""


def test_compat_holds_in_workers_and_their_subprocesses(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(COMPAT)
    run_command([sys.executable, "-m", "shoal.compat", program])
