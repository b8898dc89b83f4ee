"""Each case of `benchmarks/cases` runs on shoal and fills its rows, so that none rots."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.programs import run_command

ROOT = Path(__file__).parents[2]


def test_each_case_runs_and_fills_its_rows(tmp_path: Path) -> None:
    told = tmp_path / "bench.json"
    command = [sys.executable, str(ROOT / "benchmarks/run.py"), "--tiny", "--json", str(told)]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100)
    assert run.returncode == 0, run.stdout
    found = json.loads(told.read_text())
    assert not found["errors"]
    assert set(found["cases"]) == {path.stem for path in (ROOT / "benchmarks/cases").glob("*.py")}
    empty = [
        f"{case}: {key}" for case, rows in found["cases"].items() for key, row in rows.items() if not row["systems"]
    ]
    assert not empty
    marked = "<!-- table: begin -->\nearlier table\n<!-- table: end -->"
    (tmp_path / "performance.md").write_text(f"before\n{marked}\nafter\n")
    run_command([sys.executable, ROOT / "benchmarks/page.py", told, tmp_path])
    page = (tmp_path / "performance.md").read_text()
    assert page.startswith("before\n") and page.endswith("\nafter\n") and "earlier table" not in page
    assert page.count("\n| ") > len(found["cases"])
    assert (tmp_path / "performance.svg").read_text().count("<rect") > 10
    judged = [row for rows in found["cases"].values() for row in rows.values() if row["must"]]
    assert judged


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("perf"), reason="needs perf, and the right to use it")
def test_the_steps_of_a_call_are_told() -> None:
    run = run_command([sys.executable, ROOT / "benchmarks/steps.py", "2000"])
    assert run.stdout.count("| all |") == 2
    assert run.stdout.count("| core: owner's state machine |") == 2


def test_a_share_of_a_floor_is_taken_round_by_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from goals import BUSY, at_least, at_most, cpu, judge, rate

    rounds = [{"calls": 50.0, "P1": 100.0, "cpu": 0.03}, {"calls": 90.0, "P1": 300.0, "cpu": 0.02}]
    shared = judge(at_least(0.35, "P1"), rate("calls"), "calls", rounds, cores=2)
    assert shared and shared.measured == pytest.approx(0.4) and shared.reached
    busy = judge(BUSY, rate("calls"), "calls", rounds, cores=2)
    assert busy and busy.measured == pytest.approx((0.75 + 0.9) / 2) and busy.reached
    most = judge(at_most(20_000), cpu(), "cpu", rounds, cores=2)
    assert most and most.measured == pytest.approx(25_000) and not most.reached
    assert judge(at_least(1, "P2"), rate("calls"), "calls", rounds, cores=2) is None


ENDS = """
import os, signal, sys, time

def work(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

def ask():
    print("here", flush=True)
    return sys.stdin.readline()

if sys.argv[1] == "nobody waits":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
go, ended = os.pipe(), os.pipe()
if os.fork() == 0:
    os.close(ended[0])
    work(0.3)
    os.write(ended[1], b"!")
    os.read(go[0], 1)
    work(0.2)
    os._exit(0)
os.close(ended[1])
assert os.read(ended[0], 1)
ask()
os.write(go[1], b"!")
assert not os.read(ended[0], 1)
try:
    os.wait()
except ChildProcessError:
    assert sys.argv[1] == "nobody waits"
ask()
"""


@pytest.mark.parametrize(("who", "least", "most"), [("its parent waits", 0.17, 0.4), ("nobody waits", 0.0, 0.1)])
def test_the_time_of_a_process_that_ends_is_counted_once(
    who: str, least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes 0.3 s before the first look, 0.2 from there to its end. A parent that waits for nobody has no sum."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import processes

    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", ENDS, who], stdin=pipe, stdout=pipe, text=True) as program:
        assert program.stdin and program.stdout
        assert program.stdout.readline() == "here\n"
        before = processes.used(os.getpid())
        print(file=program.stdin, flush=True)
        assert program.stdout.readline() == "here\n"
        after = processes.used(os.getpid())
        program.stdin.close()
    assert least <= processes.spent(before, after) <= most
