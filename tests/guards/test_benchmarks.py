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
    judged = [row for rows in found["cases"].values() for row in rows.values() if row["must"]]
    assert judged


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("perf"), reason="needs perf, and the right to use it")
def test_the_steps_of_a_call_are_told() -> None:
    run = run_command([sys.executable, ROOT / "benchmarks/steps.py", "2000"])
    assert run.stdout.count("| all |") == 2
    assert run.stdout.count("| core: owner's state machine |") == 2
