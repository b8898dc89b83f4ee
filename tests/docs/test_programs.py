"""Every program of the documentation runs and prints what the page shows; every one is shown."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.programs import run_command

DOCS = Path(__file__).parents[2] / "docs"
PROGRAMS = sorted((DOCS / "programs").glob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_program_prints_what_the_page_shows(program, tmp_path):
    run = run_command([sys.executable, program], cwd=tmp_path)
    assert run.stdout == program.with_suffix(".txt").read_text()


def test_pages_show_every_program_and_its_output_and_no_other_file():
    pages = "".join(path.read_text() for path in DOCS.glob("*.md"))
    shown = set(re.findall(r"\{literalinclude\} programs/(\S+)", pages))
    assert shown == {path.name for path in (DOCS / "programs").iterdir() if path.suffix in (".py", ".txt")}


def test_the_readme_s_program_runs(shoal_run):
    program = re.search(r"```python\n(.*?)```", (DOCS.parent / "README.md").read_text(), re.DOTALL).group(1)
    assert shoal_run(program).stdout == "285\n285\n"


@pytest.mark.parametrize(
    ("page", "module"), [("compatibility", "compat_table"), ("settings", "settings"), ("errors", "error_table")]
)
def test_pages_are_made_from_the_tables(page, module):
    made = subprocess.check_output([sys.executable, "-m", f"shoal.core.{module}"], text=True)
    assert (DOCS / f"{page}.md").read_text() == made
