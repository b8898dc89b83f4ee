"""One small program for each documented behaviour, run on shoal and, where Ray is installed, on Ray.

`make oracle` puts Ray into an environment of its own and sets `ORACLE_PYTHON` to its interpreter. Where shoal differs
on purpose, the program says so: `if SHOAL:` beside what Ray does, or "shoal only: why" in its first lines.
"""

import os
import re
import sys
from pathlib import Path

import pytest

from support.programs import run_command

PROGRAMS = sorted(path for path in (Path(__file__).parent / "programs").glob("*.py") if path.name != "oracle.py")
SHOAL_ONLY = re.compile(r"shoal only: \w+")
OF_RAY = [path for path in PROGRAMS if not SHOAL_ONLY.search(path.read_text()[:400])]
LIMIT = 60.0
LIMIT_OF_RAY = 110.0


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_on_shoal(program, tmp_path):
    run_command([sys.executable, program], timeout=LIMIT, cwd=tmp_path, env={"ORACLE": "shoal"})


if "ORACLE_PYTHON" in os.environ:

    @pytest.mark.timeout(LIMIT_OF_RAY + 10)
    @pytest.mark.parametrize("program", OF_RAY, ids=lambda path: path.stem)
    def test_on_ray(program, tmp_path):
        quiet = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}
        env = {"ORACLE": "ray", **quiet}
        run_command([os.environ["ORACLE_PYTHON"], program], timeout=LIMIT_OF_RAY, cwd=tmp_path, env=env)
