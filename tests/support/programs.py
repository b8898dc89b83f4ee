"""Runs a program text in a process of its own, as a user would."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE = 5.0
"""Seconds that an interrupted program has to say where it was."""


@dataclass(frozen=True)
class Run:
    """How a program ended and what it said."""

    returncode: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"exit code {self.returncode}\n-- stdout --\n{self.stdout}\n-- stderr --\n{self.stderr}"


def may_mount() -> bool:
    """Whether a test may have file systems of its own."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


class ProgramTimeout(AssertionError):
    """A program did not end in time; its text shows what it had said, and the traceback of its interrupt."""


def run_command(
    command: Sequence[str | Path],
    *,
    timeout: float = 60.0,
    env: Mapping[str, str | None] | None = None,
    cwd: Path | None = None,
    input: str | None = None,
    check: bool = True,
) -> Run:
    """Runs a command to its end.

    Args:
        command: program and arguments.
        timeout: seconds until it is interrupted, then killed.
        env: variables to set, or with `None` to take away, in a copy of this process's environment.
        cwd: folder to run in.
        input: text for its standard input; without it that is empty.
        check: whether any exit code but 0 is an error.

    Raises:
        ProgramTimeout: it ran for longer than `timeout`, or something that it started still held its output.
        AssertionError: it ended with another exit code than 0, and `check` is true.
    """
    variables = dict(os.environ)
    for name, value in (env or {}).items():
        if value is None:
            variables.pop(name, None)
        else:
            variables[name] = value
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=variables,
        cwd=cwd,
        text=True,
        errors="replace",
    )
    with process:
        try:
            out, err = process.communicate(input or "", timeout=timeout)
        except subprocess.TimeoutExpired:
            out, err = _interrupt(process)
            ended = Run(process.wait(), out, err)
            raise ProgramTimeout(f"{command[-1]} did not end in {timeout:g} s: {ended}") from None
        except BaseException:
            process.kill()
            raise
    run = Run(process.returncode, out, err)
    assert run.returncode == 0 or not check, f"{command[-1]} failed: {run}"
    return run


def _interrupt(process: subprocess.Popen[str]) -> tuple[str, str]:
    for number in (signal.SIGINT, signal.SIGKILL):
        process.send_signal(number)
        try:
            return process.communicate(timeout=GRACE)
        except subprocess.TimeoutExpired as late:
            said = [(part or b"") for part in (late.stdout, late.stderr)]
    # Dead, and its output still open: a process that it started holds it.
    out, err = (part.decode(errors="replace") if isinstance(part, bytes) else part for part in said)
    return out, err + "\n(its output is still held open by another process)"


def run_program(folder: Path, code: str, *args: str, name: str = "program.py", **options: object) -> Run:
    """Writes `code` (dedented) to a file in `folder` and runs it with this Python; options as of `run_command`."""
    path = folder / name
    path.write_text(textwrap.dedent(code))
    return run_command([sys.executable, path, *args], **{"cwd": folder, **options})  # type: ignore[arg-type]
