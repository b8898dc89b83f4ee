"""Waits for what another process does, far longer than a slow machine takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

LONG = 60.0
"""Seconds after which nothing comes any more."""


def until(what: Callable[[], T], seconds: float = LONG) -> T:
    """Asks until the answer is true, and gives it.

    Raises:
        AssertionError: it was not, for `seconds`; the text has the last answer.
    """
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < deadline, f"still {answer!r} after {seconds} s"
        time.sleep(0.01)
    return answer


def until_there(path: Path) -> str:
    """Waits for a file, and gives its text."""
    until(path.exists)
    return path.read_text()


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal, and not only about to be."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T ")
