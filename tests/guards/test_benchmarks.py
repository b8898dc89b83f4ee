"""Each case of `benchmarks/cases` runs on shoal and fills its rows, so that none rots."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
