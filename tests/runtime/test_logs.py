"""`shoal logs`, `list_logs` and `get_log`: what processes have written, over rotations, and as it is written."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import shoal
from shoal.util import state
from shoal.util.state._trail import Trail
from support.programs import Run

Runner = Callable[..., Run]


@shoal.remote
def say(*lines: str) -> int:
    for line in lines:
        print(line)
        print("bad", line, file=sys.stderr)
    return os.getpid()


@shoal.remote(num_cpus=0, max_restarts=1)
class Talker:
    def say(self, line: str) -> int:
        print(line)
        return os.getpid()


def command(*args: str) -> list[str]:
    from shoal.core import _ffi

    call = [sys.executable, "-c", "from shoal.cli import main; main(prog_name='shoal')", "logs", *args]
    return [*call, "--address", _ffi.session()["address"]]


def logs(*args: str) -> str:
    run = subprocess.run(command(*args), capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


@contextlib.contextmanager
def following(*args: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command(*args, "--follow"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


def lines_of(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(count)]


def test_logs_are_found_by_task_actor_process_job_and_name(two_cpus: object) -> None:
    ref = say.remote("one", "two")
    pid = shoal.get(ref)
    actor = Talker.options(name="ann").remote()
    other = shoal.get(actor.say.remote("I am Ann"))
    job = state.list_jobs()[0].job_id
    assert logs("task", "--id", ref.hex()[:32]) == "one\ntwo\n"
    assert logs("task", "--id", ref.hex()[:32], "--err") == "bad one\nbad two\n"
    assert logs("actor", "--id", "ann") == logs("worker", "--pid", str(other)) == "I am Ann\n"
    assert logs("worker", "--pid", str(pid), "--tail", "1") == "two\n"
    assert sorted(logs("job", "--id", job).splitlines()) == [
        f"(Talker pid={other}) I am Ann",
        f"(say pid={pid}) one",
        f"(say pid={pid}) two",
    ]
    assert f"  worker-{pid}.err" in logs().splitlines()
    assert logs(f"worker-{pid}.ou*") == "one\ntwo\n"
    assert logs("cluster", f"worker-{pid}.out", "--tail", "-1") == "one\ntwo\n"


def test_a_tasks_log_says_whether_others_wrote_there_too(one_cpu: object) -> None:
    def told(ref: shoal.ObjectRef) -> tuple[str, str]:
        call = command("task", "--id", ref.hex()[:32])
        run = subprocess.run(call, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
        return run.stdout, run.stderr

    first = say.remote("one")
    pid = shoal.get(first)
    assert told(first) == ("one\n", "")
    assert shoal.get(say.remote("two")) == pid
    note = f"note: this is all that process {pid} has written, in which {{}} ran, too; lines don't say whose they are\n"
    assert told(first) == ("one\ntwo\n", note.format("one other task or call"))
    shoal.get([say.remote("three"), say.remote("four")])
    assert told(first)[1] == note.format("3 other tasks or calls")
    os.kill(pid, signal.SIGKILL)
    shoal.get(say.remote("five"))
    gone = f"note: this is all that process {pid} has written; other tasks may have run there, too\n"
    assert told(first) == ("one\ntwo\nthree\nfour\n", gone)


def test_logs_in_python(two_cpus: object) -> None:
    pid = shoal.get(say.remote("naïve"))
    assert state.list_logs(glob_filter="worker-*") == {
        "worker_err": [f"worker-{pid}.err"],
        "worker_out": [f"worker-{pid}.out"],
    }
    assert "node.log" in state.list_logs()["node"]
    assert "".join(state.get_log(pid=pid)) == "naïve\n"
    assert "".join(state.get_log(filename=f"worker-{pid}.err", tail=0)) == ""
    with pytest.raises(UnicodeDecodeError):
        list(state.get_log(pid=pid, encoding="ascii"))
    assert "".join(state.get_log(pid=pid, encoding="ascii", errors="replace")).replace("\ufffd", "?") == "na??ve\n"


def test_a_restarted_actor_shows_its_last_life(two_cpus: object) -> None:
    actor = Talker.options(max_task_retries=-1).remote()
    first = shoal.get(actor.say.remote("first life"))
    os.kill(first, signal.SIGKILL)
    second = shoal.get(actor.say.remote("second life"))
    assert first != second
    id = state.list_actors()[0].actor_id
    assert "".join(state.get_log(actor_id=id)) == "second life\n"
    assert "".join(state.get_log(pid=first)) == "first life\n"
    shoal.kill(actor)
    deadline = time.monotonic() + 20
    while state.list_actors()[0].state != "DEAD" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert logs("actor", "--id", id) == "second life\n", "a dead actor's log is still found"


def test_a_log_is_followed_as_it_is_written_until_the_instance_ends(shoal_run: Runner) -> None:
    run = shoal_run(
        """
import subprocess, sys
import shoal

shoal.init(num_cpus=1)

@shoal.remote(num_cpus=0)
class Talker:
    def say(self, line):
        print(line)

talker = Talker.options(name="t").remote()
shoal.get(talker.say.remote("before"))
command = [sys.executable, "-c", "from shoal.cli import main; main()", "logs", "actor", "--id", "t", "--follow"]
follow = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
assert follow.stdout.readline() == "before\\n"
for n in range(3):
    shoal.get(talker.say.remote(f"line {n}"))
    assert follow.stdout.readline() == f"line {n}\\n"
talker.say.remote("the last")
shoal.get(talker.say.remote("good bye"))
shoal.shutdown()
print(follow.communicate(timeout=30)[0], follow.returncode)
""",
        env={"SHOAL_DEDUP_LOGS": "0"},
    )
    assert run.stdout.endswith("the last\ngood bye\n 0\n"), run


def test_rotation_is_followed_and_all_parts_are_one_log(shoal_run: Runner) -> None:
    run = shoal_run(
        """
import subprocess, sys
import shoal
from shoal.util import state

shoal.init(num_cpus=1, log_to_driver=False, _system_config={"log_rotate_bytes": 4096, "log_rotate_count": 200})

@shoal.remote(num_cpus=0)
class Talker:
    def say(self, begin, end):
        for n in range(begin, end):
            print(f"line {n:06d}")

talker = Talker.options(name="t").remote()
shoal.get(talker.say.remote(0, 1000))
command = [sys.executable, "-c", "from shoal.cli import main; main()", "logs", "actor", "--id", "t", "--follow"]
follow = subprocess.Popen([*command, "--tail", "600"], stdout=subprocess.PIPE, text=True)
lines = [follow.stdout.readline() for _ in range(600)]
shoal.get(talker.say.remote(1000, 20000))
lines += [follow.stdout.readline() for _ in range(19000)]
assert lines == [f"line {n:06d}\\n" for n in range(400, 20000)], [line for line in lines if "line" not in line]
assert "".join(state.get_log(filename=state.list_logs()["worker_out"][0])) == "".join(
    f"line {n:06d}\\n" for n in range(20000))
follow.kill()
follow.communicate()
print(len(state.list_logs()["worker_out"]) > 50)
"""
    )
    assert run.stdout == "True\n"


def test_a_log_is_put_aside_when_it_is_old(shoal_run: Runner) -> None:
    run = shoal_run(
        """
import os
import shoal
from shoal.util import state

shoal.init(num_cpus=1, log_to_driver=False, _system_config={"log_rotate_seconds": 1})

@shoal.remote(num_cpus=0)
class Talker:
    def say(self, n):
        print(f"line {n}")

talker, said = Talker.remote(), 0
while len(state.list_logs()["worker_out"] if said else []) < 2:
    shoal.get([talker.say.remote(said + n) for n in range(20)])
    said += 20
first = min(state.list_logs()["worker_out"])
print("".join(state.get_log(filename=first, tail=-1)) == "".join(f"line {n}\\n" for n in range(said)))
"""
    )
    assert run.stdout == "True\n"


def test_a_job_is_followed_with_workers_that_start_later(two_cpus: object) -> None:
    job = state.list_jobs()[0].job_id
    first = Talker.remote()
    pid = shoal.get(first.say.remote("one"))
    with following("job", "--id", job) as process:
        assert lines_of(process, 1) == [f"(Talker pid={pid}) one"]
        second = Talker.remote()
        other = shoal.get(second.say.remote("two"))
        assert lines_of(process, 1) == [f"(Talker pid={other}) two"]
        shoal.get(first.say.remote("three"))
        assert lines_of(process, 1) == [f"(Talker pid={pid}) three"]


def test_readers_that_stop_or_die_hold_nobody_up(two_cpus: object) -> None:
    talker = Talker.remote()
    pid = shoal.get(talker.say.remote("x"))
    with following("worker", "--pid", str(pid)) as stopped, following("worker", "--pid", str(pid)) as dead:
        for process in (stopped, dead):
            lines_of(process, 1)
        os.kill(stopped.pid, signal.SIGSTOP)
        dead.kill()
        big = "y" * 100_000
        assert shoal.get([talker.say.remote(big) for _ in range(200)], timeout=60) == [pid] * 200
        assert state.list_nodes()[0].state == "ALIVE"


def test_the_last_lines_are_found_over_several_files(tmp_path: Path) -> None:
    for name, text in (("w.2", "a\nb\n"), ("w.1", "c\nd\n"), ("w", "e\nf")):
        (tmp_path / name).write_text(text)

    def last(count: int) -> str:
        trail = Trail(str(tmp_path / "w"))
        with contextlib.closing(trail):
            return b"".join(trail.last(count)).decode()

    whole = "a\nb\nc\nd\ne\nf"
    for count in range(8):
        assert last(count) == "\n".join(whole.split("\n")[max(0, 6 - count) :]) * (count > 0), count
    assert last(-1) == whole
    (tmp_path / "w").write_text("x" * 200_000 + "\n" + "z" * 100_000 + "\n")
    assert last(1) == "z" * 100_000 + "\n"


def test_what_was_put_aside_faster_than_it_was_read_leaves_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "w"
    path.write_text("one\n")
    trail = Trail(str(path))
    with contextlib.closing(trail):
        assert b"".join(trail.last(-1)) == b"one\n"
        with path.open("a") as file:
            file.write("two\n")
        path.rename(tmp_path / "w.1")
        path.write_text("three\n")
        assert b"".join(trail.more()) == b"two\nthree\n"
        path.unlink()
        path.write_text("five\n")
        told = b"".join(trail.more()).decode()
        assert told.startswith("… the log was put aside faster") and told.endswith("five\n")


def test_a_log_that_rotates_all_the_time_is_read_once_and_in_order(tmp_path: Path) -> None:
    path, keep, count = tmp_path / "w", 100, 2_000

    def write() -> None:
        for n in range(count):
            with path.open("a") as file:
                file.write(f"{n}\n")
            if n % 20 == 0:
                for k in range(min(keep, n // 20), 0, -1):
                    os.rename(f"{path}.{k}", f"{path}.{k + 1}")
                os.rename(path, f"{path}.1")
        (tmp_path / "end").touch()

    writer = threading.Thread(target=write)
    writer.start()
    trail, read = Trail(str(path)), b""
    with contextlib.closing(trail):
        while not (tmp_path / "end").exists():
            read += b"".join(trail.more())
        read += b"".join(trail.more())
    writer.join()
    assert read.decode().split() == [str(n) for n in range(count)]


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, ValueError, "get_log() takes one of filename, actor_id, task_id and pid, not none"),
        ({"pid": 1, "task_id": "0"}, ValueError, "get_log() takes one of filename, actor_id, task_id and pid, not"),
        ({"pid": 1}, ValueError, "process 1 is no worker of the instance that is known"),
        ({"pid": "one"}, TypeError, "pid takes the number of a process, not 'one'"),
        ({"actor_id": "nobody"}, ValueError, "actor 'nobody' is not known; `shoal list actors` tells which there are"),
        ({"task_id": "ff"}, ValueError, "task 'ff' is not known"),
        ({"filename": "../../secret"}, ValueError, "there is no log file '../../secret'"),
        ({"pid": 1, "suffix": "log"}, ValueError, "suffix takes 'out' or 'err', not 'log'"),
        ({"pid": 1, "tail": -2}, ValueError, "tail takes a whole number of lines ≥ 0, or -1 for all, not -2"),
        ({"pid": 1, "tail": "all"}, TypeError, "tail takes a whole number of lines ≥ 0, or -1 for all, not 'all'"),
        ({"pid": 1, "node_id": "ab"}, ValueError, "there is no node with the id 'ab'"),
        ({"pid": 1, "encoding": "klingon"}, LookupError, "unknown encoding: klingon"),
        ({"submission_id": "x"}, ValueError, "submission_id is not supported yet"),
    ],
)
def test_what_makes_no_sense_is_refused(
    shared_instance: object, given: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        state.get_log(**given)  # type: ignore[arg-type]
    assert str(caught.value).startswith(words)


def test_the_command_says_what_is_wrong_in_a_sentence(shared_instance: object) -> None:
    run = subprocess.run(command("nothing-*"), capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (
        1,
        "Error: no log file matches 'nothing-*'; 'shoal logs' lists them\n",
    )
    run = subprocess.run(command("actr", "--id", "ann"), capture_output=True, text=True, timeout=60)
    assert run.returncode == 2 and "there is no 'logs actr'; there are actor, cluster, job, task, worker" in run.stderr
