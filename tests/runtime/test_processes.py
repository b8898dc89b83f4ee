"""The instance's processes: who is whose child, what a zygote holds, what stays after a kill, what is swept."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shoal.runtime import launch
from support.programs import Run

Runner = Callable[..., Run]

# What these programs share: an instance, its processes by kind, how to wait for an end.
HEAD = """
import json, os, signal, sys, time
import shoal
context = shoal.init(num_cpus=2)
from shoal.core import _ffi

def status():
    return json.loads(_ffi.status())

def pids(kind):
    return [p["pid"] for p in status()["processes"] if p["kind"] == kind]

@shoal.remote
def pid():
    return os.getpid()
"""


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def gone(pid: int, seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_no_process_of_ours_is_a_child_of_the_user_s(shoal_run: Runner) -> None:
    run = shoal_run(
        HEAD
        + """
shoal.get(pid.remote())
try:
    os.wait()
except ChildProcessError:
    print("none")
"""
    )
    assert run.stdout.strip() == "none"


def test_a_zygote_has_one_thread_and_no_module_that_starts_others(shoal_run: Runner) -> None:
    run = shoal_run(
        HEAD
        + """
shoal.get(pid.remote())
[zygote] = pids("zygote")
print(len(os.listdir(f"/proc/{zygote}/task")))

@shoal.remote
def modules():
    return sorted(name for name in sys.modules if "." not in name)

print(" ".join(shoal.get(modules.remote())))
"""
    )
    threads, modules = run.stdout.strip().split("\n")
    assert threads == "1"
    assert not {"numpy", "pyarrow", "pandas", "torch", "multiprocessing", "asyncio"} & set(modules.split())


def test_a_killed_zygote_is_replaced_and_its_workers_go_on(shoal_run: Runner) -> None:
    run = shoal_run(
        HEAD
        + """
@shoal.remote
class Lasting:
    def pid(self):
        return os.getpid()

lasting = Lasting.remote()
before = shoal.get(lasting.pid.remote())
[zygote] = pids("zygote")
os.kill(zygote, signal.SIGKILL)
fresh = pid.options(runtime_env={"env_vars": {"A": "1"}})
made = shoal.get(fresh.remote(), timeout=30)
assert pids("zygote") != [zygote] and made != before
print(shoal.get(lasting.pid.remote()) == before)
"""
    )
    assert run.stdout.strip() == "True"


def test_variables_that_act_at_start_get_a_zygote_of_their_own(shoal_run: Runner) -> None:
    run = shoal_run(
        HEAD
        + """
@shoal.remote
def look():
    return os.environ.get("PYTHONHASHSEED"), sys.flags.hash_randomization, os.environ.get("PLAIN")

print(shoal.get(look.options(runtime_env={"env_vars": {"PLAIN": "x"}}).remote()), len(pids("zygote")))
print(shoal.get(look.options(runtime_env={"env_vars": {"PYTHONHASHSEED": "0"}}).remote()), len(pids("zygote")))
"""
    )
    assert run.stdout.split("\n")[:2] == ["(None, 1, 'x') 1", "('0', 0, None) 2"]


@pytest.mark.parametrize("victim", ["driver", "daemon"])
def test_after_a_kill_only_closed_logs_stay(shoal_run: Runner, victim: str) -> None:
    run = shoal_run(
        HEAD
        + f"""
shoal.get([pid.remote() for _ in range(4)])
found = status()
everybody = [found["pid"]] + [p["pid"] for p in found["processes"] if p["kind"] != "driver"]
print(json.dumps([found["session"], everybody]), flush=True)
os.kill({"os.getpid()" if victim == "driver" else 'found["pid"]'}, signal.SIGKILL)
os._exit(0)
""",
        check=False,
    )
    session, everybody = json.loads(run.stdout.strip().split("\n")[0])
    assert all(gone(pid) for pid in everybody)
    deadline = time.monotonic() + 60
    while os.listdir(session) != ["logs"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert os.listdir(session) == ["logs"]


def test_a_daemon_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"num_cpus": 1, "object_store_memory": 1, "memory": 0, "owned_by_first_client": True}
    root = Path(launch.root_folder())
    before = set(root.glob("session_*"))
    with pytest.raises(RuntimeError, match=r"could not start: shoal: the node daemon cannot start: arena: .*capacity"):
        launch.start_node(config)
    (left,) = set(root.glob("session_*")) - before
    # Its zygote sweeps the folder: after the end of the daemon that init() has heard of.
    deadline = time.monotonic() + 60
    while (names := [path.name for path in left.iterdir()]) != ["logs"]:
        assert time.monotonic() < deadline, names
        time.sleep(0.01)


def test_a_root_folder_of_others_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_TMPDIR", str(tmp_path))
    root = Path(launch.root_folder())
    assert root.stat().st_mode & 0o777 == 0o700
    root.chmod(0o755)
    with pytest.raises(RuntimeError, match="not a folder of this user alone"):
        launch.root_folder()
    root.rmdir()
    root.symlink_to(tmp_path)
    with pytest.raises(RuntimeError, match="not a folder of this user alone"):
        launch.root_folder()


def _session(root: Path, name: str, days: float, size: int = 0, record: dict[str, int] | None = None) -> Path:
    session = root / f"session_{name}"
    (session / "logs").mkdir(parents=True)
    (session / "logs" / "worker-1.out").write_bytes(b"x" * size)
    (session / "node.sock").touch()
    if record is not None:
        (session / "node.json").write_text(json.dumps(record))
    then = time.time() - days * 24 * 3600
    os.utime(session, (then, then))
    return session


def test_sweeping_takes_old_and_large_leftovers_and_spares_who_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOAL_TMPDIR", str(tmp_path))
    monkeypatch.setattr(launch, "_KEEP_BYTES", 1000)
    root = Path(launch.root_folder())
    started = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    me = {"pid": os.getpid(), "start_time": started}
    lives = _session(root, "lives", 30, record=me)
    reused = _session(root, "reused", 30, record={**me, "start_time": started - 1})
    young = _session(root, "young", 0, size=5000)
    recent = _session(root, "recent", 1, size=600)
    large = _session(root, "large", 2, size=600)
    assert sorted(launch.sweep_old_sessions()) == sorted(map(str, (reused, large)))
    assert lives.exists() and (lives / "node.sock").exists()
    assert young.exists() and (young / "node.sock").exists()
    assert recent.exists() and not (recent / "node.sock").exists()


def test_the_current_instance_is_forgotten_with_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_TMPDIR", str(tmp_path))
    config = {"num_cpus": 1, "object_store_memory": 64 << 20, "memory": 0}
    info = launch.start_persistent(config)
    record = launch.read_current()
    assert record is not None and record["address"] == info["address"]
    assert parent_of(record["pid"]) != os.getpid()
    with pytest.raises(RuntimeError, match="runs already at unix:"):
        launch.start_persistent(config)
    os.kill(record["pid"], signal.SIGTERM)
    assert gone(record["pid"])
    assert launch.read_current() is None
    launch.forget_current(record)
    assert "current.json" not in os.listdir(launch.root_folder())


def test_workers_are_started_by_exec_where_site_starts_a_thread(shoal_run, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    run = shoal_run(
        """
        import os, threading, shoal
        shoal.init(num_cpus=2)

        @shoal.remote
        def square(i):
            return i * i

        @shoal.remote(max_retries=1)
        def dies_once(path):
            if not os.path.exists(path):
                open(path, "w").close()
                os.kill(os.getpid(), 9)
            return threading.active_count()

        @shoal.remote
        class Counter:
            def __init__(self):
                self.n = 0

            def add(self, ref):
                self.n += shoal.get(ref[0])
                return self.n

        print(sum(shoal.get([square.remote(i) for i in range(100)])))
        print(shoal.get(dies_once.remote(os.environ["MARK"])) > 1)
        counter = Counter.remote()
        print(shoal.get([counter.add.remote([square.remote(i)]) for i in range(4)]))
        """,
        env={"PYTHONPATH": str(site), "MARK": str(tmp_path / "mark")},
        timeout=60,
    )
    assert run.stdout.splitlines() == ["328350", "True", "[0, 1, 5, 14]"]
