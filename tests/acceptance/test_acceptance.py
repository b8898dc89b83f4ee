"""The acceptance programs, each in a process of its own, one after the other."""

import sys
from pathlib import Path

import pytest

from support.programs import run_command

HERE = Path(__file__).parent
ORIGIN = HERE.parents[2] / "shared" / "acceptance"
PROGRAMS = sorted(HERE.glob("a[0-9]*.py"))
LIMIT = 180


# One at a time, with the machine to themselves: they assert times.
@pytest.mark.alone
@pytest.mark.timeout(LIMIT + 20)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_program_ends_with_success(program):
    run_command([sys.executable, program], timeout=LIMIT, cwd=HERE)


@pytest.mark.skipif(not ORIGIN.is_dir(), reason="this clone stands alone")
def test_programs_are_the_shared_ones_byte_for_byte():
    origin = {path.name: path.read_bytes() for path in ORIGIN.glob("*.py")}
    assert {path.name: path.read_bytes() for path in PROGRAMS} == origin
