"""What workers print: limits, folding, log files, lines that redraw themselves, structured logs."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import shoal
from support.streams import SHOWN

TWO = """
import os, sys, time, shoal
shoal.init(num_cpus=2, _system_config={config})
@shoal.remote
class Speaker:
    def pid(self):
        return os.getpid()
    def say(self, *lines):
        for line in lines:
            print(line)
a, b = Speaker.remote(), Speaker.remote()
pids = shoal.get([a.pid.remote(), b.pid.remote()])
"""


def lines_of(run, name="Speaker"):
    return re.findall(rf"^\({name} pid=(\d+)\) (.*)$", run.stdout, re.M)


def test_equal_lines_of_several_workers_are_shown_once(shoal_run):
    program = (
        SHOWN
        + TWO.format(config={})
        + textwrap.dedent(
            """
        begun = time.monotonic()
        shoal.get(a.say.remote("loading", "mine"))
        sys.stdout.wait_for("mine")
        shoal.get(b.say.remote(*["loading"] * 3, "step 2"))
        sys.stdout.wait_for("step 2")
        print("before")
        took = time.monotonic() - begun
        shoal.shutdown()
        print(took)
        print(pids)
        """
        )
    )
    # Lines are equal to those of the last three seconds; on a busy machine the program may be slower than that.
    for _ in range(10):
        run = shoal_run(program)
        if float(run.stdout.splitlines()[-2]) < 3:
            break
    a, b = json.loads(run.stdout.splitlines()[-1])
    shown = [(int(pid), line) for pid, line in lines_of(run)]
    assert shown == [(a, "loading"), (a, "mine"), (b, "step 2"), (b, "loading [3 times more]")]
    assert run.stdout.index("step 2") < run.stdout.index("before") < run.stdout.index("times more")
    run = shoal_run(program, env={"SHOAL_DEDUP_LOGS": "0"})
    assert [line for _, line in lines_of(run)] == ["loading", "mine", "loading", "loading", "loading", "step 2"]


def test_a_flood_is_cut_counted_and_whole_in_its_file(shoal_run):
    run = shoal_run(
        TWO.format(config={"log_burst_lines": 100, "log_rotate_bytes": 1 << 20, "log_rotate_count": 9})
        + textwrap.dedent(
            """
            flood = a.say.remote(*(f"line {i}" for i in range(150_000)))
            t = time.monotonic()
            shoal.get([b.pid.remote() for _ in range(20)])
            quick = time.monotonic() - t
            shoal.get(flood)
            shoal.get(b.say.remote("other"))
            logs = os.path.join(shoal.get_runtime_context().get_temp_dir(),
                                shoal.get_runtime_context().get_session_name(), "logs")
            shoal.shutdown()
            print(quick, logs)
            """
        )
    )
    quick, logs = run.stdout.splitlines()[-1].split()
    assert float(quick) < 30
    shown = [line for _, line in lines_of(run)]
    assert "other" in shown
    numbers = [int(line.split()[1]) for line in shown if line.startswith("line ")]
    marks = [re.fullmatch(r"… (\d+) lines left out, see (.*)", line) for line in shown if line.startswith("…")]
    assert numbers == sorted(numbers) and numbers[:100] == list(range(100)) and len(numbers) < 100_000
    assert len(numbers) + sum(int(mark[1]) for mark in marks if mark) == 150_000
    files = sorted(Path(logs).glob("worker-*.out*"))
    assert marks[0] and Path(marks[0][2]) in files
    written = [path.read_text() for path in files]
    assert len(files) > 2 and all(len(text) <= 1 << 20 for text in written)
    assert all(text.endswith("\n") for text in written)
    assert sorted(int(line.split()[1]) for text in written for line in text.splitlines() if "line" in line) == [
        *range(150_000)
    ]


def test_a_line_has_the_name_of_the_task_that_wrote_it(shoal_run):
    run = shoal_run(
        """
import os, shoal, subprocess, sys
shoal.init(num_cpus=1)
@shoal.remote
def one(i):
    print("by one", i)
@shoal.remote
def two(i):
    print("by two", i, file=sys.stderr if i % 4 == 1 else sys.stdout)
@shoal.remote
def child():
    os.write(1, b"by child, raw\\n")
    subprocess.run(["echo", "by child, of a process"])
shoal.get([(one, two)[i % 2].remote(i) for i in range(2_000)])
shoal.get(child.remote())
""",
        env={"SHOAL_DEDUP_LOGS": "0"},
    )
    lines = [*run.stdout.splitlines(), *run.stderr.splitlines()]
    names = [re.fullmatch(r"\((\w+) pid=\d+\) by (\w+).*", line) for line in lines]
    assert len(lines) == 2_002 and all(found and found[1] == found[2] for found in names)


def test_a_line_without_an_end_ends_with_its_task(shoal_run):
    run = shoal_run(
        """
import io, os, shoal, sys, threading
shoal.init(num_cpus=1)
@shoal.remote
def dots():
    print(".", end="")
    print(".", end="\\x1b[1m")
@shoal.remote
def whole():
    print("whole")
@shoal.remote
def elsewhere(path):
    kept = os.dup(1)
    os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), 1)
    print("in a file")
    os.dup2(kept, 1)
    return open(path).read()
@shoal.remote
def leaves():
    sys.left = threading.Event(), threading.Event()
    print("leaves a thread")
    threading.Thread(target=lambda: (sys.left[0].wait(), print("late"), sys.left[1].set())).start()
@shoal.remote
def lets():
    sys.left[0].set()
    sys.left[1].wait()
@shoal.remote
def wraps():
    kept, sys.stdout = sys.stdout, io.TextIOWrapper(sys.stdout.buffer, line_buffering=True)
    print("wrapped")
    sys.stdout.detach()
    sys.stdout = kept
shoal.get([dots.remote(), dots.remote(), whole.remote(), dots.remote()])
print(repr(shoal.get(elsewhere.remote(__file__ + ".txt"))))
shoal.get([leaves.remote(), lets.remote(), whole.remote(), wraps.remote()])
shoal.shutdown()
""",
    )
    own, lines = run.stdout.splitlines(), re.findall(r"^\((\w+) pid=\d+\) (.*)$", run.stdout, re.M)
    dots = ("dots", "..\x1b[1m\x1b[0m")
    assert lines == [
        *[("dots", "..\x1b[1m\x1b[0m"), ("dots", "\x1b[1m..\x1b[1m\x1b[0m"), ("whole", "whole"), dots],
        *[("leaves", "leaves a thread"), ("lets", "late"), ("whole", "whole"), ("wraps", "wrapped")],
    ]
    assert "'in a file\\n'" in own and run.stderr == ""


BAR = (
    SHOWN
    + """
import os, shoal, time
shoal.init(num_cpus=2)
@shoal.remote
def bar(name, go):
    for i in range(0, 101, 10):
        sys.stderr.write(f"\\r{name} {i:3d}%")
        sys.stderr.flush()
        time.sleep(0.02)
        while i == 50 and not os.path.exists(go):
            time.sleep(0.01)
    print(file=sys.stderr)
    print("\\x1b[31mred", name)
go = __file__ + ".go"
refs = [bar.remote("left", go), bar.remote("right", go)]
SEES
print("of the driver")
open(go, "w").close()
shoal.get(refs)
shoal.shutdown()
"""
)
BLIND = BAR.replace("SEES", "")
SEES = BAR.replace("SEES", 'assert all(sys.stderr.wait_for(f"{name}  50%") for name in ("left", "right"))')


def test_a_redrawn_line_is_printed_once_where_there_is_no_terminal(shoal_run):
    run = shoal_run(BLIND)
    bars = sorted(re.findall(r"^\(bar pid=\d+\) (.*)$", run.stderr, re.M))
    assert bars == ["left 100%", "right 100%"]
    assert "\r" not in run.stderr
    assert sorted(re.findall(r"\) (\x1b.*)$", run.stdout, re.M)) == [
        f"\x1b[31mred {n}\x1b[0m" for n in ("left", "right")
    ]


def test_a_redrawn_line_is_one_row_of_the_terminal(tmp_path):
    text = run_in_terminal(SEES, tmp_path)
    rows = [re.sub(r" pid=\d+", "", row) for row in Terminal(text).rows if row]
    bars = ["(bar) left 100%", "(bar) red left", "(bar) red right", "(bar) right 100%"]
    assert sorted(rows) == [*bars, "of the driver"]


def test_what_a_task_has_printed_is_told_though_its_worker_is_killed(shoal_run):
    run = shoal_run(
        """
import os, shoal, signal, sys
shoal.init(num_cpus=1)
@shoal.remote
def prints():
    sys.stdout.reconfigure(line_buffering=False)
    print("kept back")
    print("without an end", end="", file=sys.stderr)
    return os.getpid()
os.kill(shoal.get(prints.remote()), signal.SIGKILL)
shoal.get(shoal.remote(lambda: os.getpid()).remote())
"""
    )
    assert re.fullmatch(r"\(prints pid=\d+\) kept back\n", run.stdout), run
    assert re.fullmatch(r"\(prints pid=\d+\) without an end\n", run.stderr), run


def test_lines_of_workers_move_no_cursor(shoal_run):
    run = shoal_run(
        """
import shoal, sys
shoal.init(num_cpus=1)
@shoal.remote
def bars():
    print("\\x1b[?25l\\x1b[2J\\x1b[3;4Hone\\x1b[A \\x1b[31mred\\x1b[0m\\x1b[K\\x1b[s\\x1b7\\x1b[u\\x1bc\\x1b[?1049h")
shoal.get(bars.remote())
"""
    )
    assert re.fullmatch(r"\(bars pid=\d+\) one \x1b\[31mred\x1b\[0m\n", run.stdout), run


PRINTS = SEES.replace(
    'print("of the driver")',
    """
for n in range(4):
    print("line", n)
print("before a bar", "on standard error", sep="\\n", file=sys.stderr)
print("goes back", end="\\r", flush=True)
print("work", end=" ... ", flush=True)
steps = [bar.remote(name, go + "2") for name in ("one", "two", "three")]
assert all(sys.stderr.wait_for(f"{name}  50%") for name in ("one", "two", "three"))
print("done")
child = os.fork()
if not child:
    print("of a child", "write" in vars(sys.stdout.stream), flush=True)
    os._exit(0)
os.waitpid(child, 0)
open(go + "2", "w").close()
shoal.get(steps)
""",
).replace("num_cpus=2", "num_cpus=5")


def test_what_the_driver_prints_and_rows_of_workers_leave_each_other_whole(tmp_path):
    text = run_in_terminal(PRINTS, tmp_path)
    rows = [re.sub(r" pid=\d+", "", row) for row in Terminal(text).rows if row]
    names = ("left", "right", "one", "two", "three")
    assert sorted(row for row in rows if row.startswith("(bar)")) == sorted(
        [f"(bar) {name} 100%" for name in names] + [f"(bar) red {name}" for name in names]
    )
    printed = [row for row in rows if not row.startswith("(bar)")]
    lines = [*(f"line {n}" for n in range(4)), "before a bar", "on standard error"]
    assert printed == [*lines, "work ... done", "of a child False"]
    # Each keeps its row among the others.
    drawn = [re.findall(r"\(bar pid=\d+\) (\w+)", part) for part in re.findall("\x1b7(.*?)\x1b8", text, re.DOTALL)]
    order = list(dict.fromkeys(name for names in drawn for name in names))
    assert len(order) == 5 and all(names == sorted(names, key=order.index) for names in drawn)


def run_in_terminal(program: str, folder: Path) -> str:
    path = folder / "program.py"
    path.write_text(program)
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "rows", "24", "cols", "80"], stdin=theirs, check=True)
    env = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, path], stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    parts, end = [], time.monotonic() + 60
    while time.monotonic() < end and select.select([ours], [], [], 60)[0]:
        try:
            parts.append(os.read(ours, 1 << 16))
        except OSError:
            break
    os.close(ours)
    assert process.wait(60) == 0
    return b"".join(parts).decode()


class Terminal:
    """As much of a terminal as is needed to see what stays on it."""

    def __init__(self, text: str) -> None:
        self.rows, self.row, self.column, self.kept = [""], 0, 0, (0, 0)
        for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|\x1b[D78]|[\r\n]|[^\x1b\r\n]+", text):
            self.take(part)
        self.rows = [row.rstrip() for row in self.rows]

    def take(self, part: str) -> None:
        if part in ("\n", "\x1bD"):
            self.row += 1
            if self.row == len(self.rows):
                self.rows.append("")
        elif part == "\r":
            self.column = 0
        elif part == "\x1b7":
            self.kept = self.row, self.column
        elif part == "\x1b8":
            self.row, self.column = self.kept
        elif part.endswith("A"):
            self.row = max(0, self.row - int(part[2:-1]))
        elif part == "\x1b[B":
            self.row = min(len(self.rows) - 1, self.row + 1)
        elif part.endswith("J"):
            self.rows = [*self.rows[: self.row], self.rows[self.row][: self.column]]
        elif not part.startswith("\x1b"):
            row = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = row[: self.column] + part + row[self.column + len(part) :]
            self.column += len(part)


LOGGING = """
import logging, shoal
logging.getLogger("before").warning("plain")
shoal.init(num_cpus=1, logging_config=shoal.LoggingConfig(encoding=ENCODING, additional_log_standard_attrs=["name"]))
@shoal.remote
def work():
    logging.getLogger("mine").info("in a task", extra={"step": 7})
@shoal.remote
class Actor:
    async def work(self):
        try:
            1 / 0
        except ZeroDivisionError:
            logging.exception("in an actor")
shoal.get(work.remote())
actor = Actor.options(name="the actor").remote()
shoal.get(actor.work.remote())
logging.info("in the driver")
logging.debug("too low")
shoal.shutdown()
logging.info("after")
"""


def test_structured_logs_tell_where_they_were_made(shoal_run):
    run = shoal_run(LOGGING.replace("ENCODING", '"JSON"'))
    records = {}
    for line in run.stderr.splitlines()[1:]:
        record = json.loads(line[line.index("{") :])
        records[record["message"]] = record
    assert set(records) == {"in a task", "in an actor", "in the driver"}
    task, actor, driver = records["in a task"], records["in an actor"], records["in the driver"]
    assert (task["name"], task["levelname"], task["step"], task["task_name"]) == ("mine", "INFO", 7, "work")
    assert task["filename"] == "program.py" and task["lineno"] > 0 and task["timestamp_ns"] > 10**18
    assert task["task_id"] and "actor_id" not in task
    assert actor["actor_id"] and actor["actor_name"] == "the actor" and "ZeroDivisionError" in actor["exc_text"]
    assert actor["worker_id"] != task["worker_id"] and "task_id" not in driver
    for name in ("job_id", "node_id"):
        assert task[name] == actor[name] == driver[name]


def test_a_record_with_odd_values_is_a_line_of_json_all_the_same(shoal_run):
    run = shoal_run(
        """
import logging, shoal
class Odd:
    def __repr__(self):
        raise RuntimeError("no repr")
shoal.init(num_cpus=1, logging_config=shoal.LoggingConfig(encoding="JSON"))
ring = []
ring.append(ring)
logging.info("it is there", extra={"odd": Odd(), "nan": float("nan"), "keys": {(1, 2): 3}, "ring": ring, "n": [1]})
"""
    )
    (line,) = run.stderr.splitlines()
    record = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (record["message"], record["nan"], record["n"]) == ("it is there", "nan", [1])
    assert record["keys"] == "{(1, 2): 3}" and record["odd"].startswith("<Odd that can't be shown: RuntimeError(")


def test_structured_logs_as_text(shoal_run):
    run = shoal_run(LOGGING.replace("ENCODING", '"TEXT"'))
    line = next(line for line in run.stderr.splitlines() if "in a task" in line)
    assert re.match(
        r"\(work pid=\d+\) \d{4}-\d\d-\d\d [\d:,]+\tINFO program.py:\d+ -- in a task name=mine job_id=\w+", line
    )
    assert "task_name=work" in line
    assert "ZeroDivisionError: division by zero" in run.stderr
    assert "after" not in run.stderr and "too low" not in run.stderr


def test_a_wrong_setting_is_told(shoal_run):
    run = shoal_run("import shoal; shoal.init()", env={"SHOAL_LOG_ROTATE_COUNT": "many"}, check=False)
    assert "ValueError: SHOAL_LOG_ROTATE_COUNT takes a whole number ≥ 0, not 'many'" in run.stderr
    with_ray = {"RAY_DEDUP_LOGS": "perhaps", "SHOAL_COMPAT": "1"}
    run = shoal_run("import shoal; shoal.init()", env=with_ray, check=False)
    assert "ValueError: RAY_DEDUP_LOGS takes 1 or 0, not 'perhaps'" in run.stderr


def test_output_is_off_when_nobody_wants_it(shoal_run):
    assert shoal is not None
    run = shoal_run(BLIND.replace("num_cpus=2", "num_cpus=2, log_to_driver=False"))
    assert (run.stdout, run.stderr) == ("of the driver\n", "")
