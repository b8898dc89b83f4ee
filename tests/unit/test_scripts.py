"""Scripts end at the first command that fails, and say which step it was."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
ANY = "#!/bin/sh\nexit 0\n"
FAILS = "#!/bin/sh\nexit 7\n"
SOURCES = ["Cargo.toml", "Cargo.lock", "pyproject.toml", "crates", "requirements-dev.txt"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of empty files with this one's `build.sh`, and an environment whose programs all succeed."""
    (tmp_path / "scripts").mkdir()
    for name in ("lib.sh", "build.sh"):
        shutil.copy(SCRIPTS / name, tmp_path / "scripts")
    for name in SOURCES:
        (tmp_path / name).touch()
    stub(tmp_path / "scripts" / "preflight.sh", "#!/bin/sh\necho python3\n")
    for name in ("python", "maturin"):
        stub(tmp_path / ".venv" / "bin" / name, ANY)
    (tmp_path / ".venv" / ".stamps").mkdir()
    return tmp_path


def stub(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def build(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([project / "scripts" / "build.sh"], capture_output=True, text=True, timeout=20)


def test_a_build_that_works_is_done_once(project: Path) -> None:
    first = build(project)
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("==>") == 2
    again = build(project)
    assert (again.returncode, again.stdout.count("==>")) == (0, 0), again


@pytest.mark.parametrize(
    ("program", "step"), [("maturin", "Build shoal's core"), ("python", "Make .venv")], ids=["maturin", "python"]
)
def test_a_build_ends_with_the_program_that_fails(project: Path, program: str, step: str) -> None:
    stub(project / ".venv" / "bin" / program, FAILS)
    stub(project / "scripts" / "preflight.sh", f"#!/bin/sh\necho {project}/.venv/bin/python\n")
    for _ in range(2):
        run = build(project)
        # The environment is made anew before its own Python is found to fail: there is none any more then.
        assert run.returncode in (7, 127), run
        assert f"shoal: {step}" in run.stderr and "failed after" in run.stderr, run.stderr
        assert "shoal is in .venv" not in run.stdout
        assert not (project / ".venv" / ".stamps" / "core").exists()
