"""Prints workers' lines: each whole, under the name and pid of who wrote it.

On a terminal, lines that redraw themselves are drawn below everything else, one for each stream of a worker. The cursor
is left on an empty row above them, so that what the driver itself prints is not written over them.
"""

import os
import re
import sys
from collections.abc import Iterable
from typing import TextIO

Line = tuple[str, int, bool, bool, str]
"""Name, pid, whether it came on standard error, whether it is a redraw, text."""

_MOVES = re.compile(r"\x1b\[[0-9;?]*[A-KST]")
_PARTS = re.compile(r"(\x1b\[[0-9;:]*m)")
_RESET = "\x1b[0m"


class Screen:
    """What is drawn in this process's terminal."""

    def __init__(self) -> None:
        self._live: dict[tuple[int, bool], tuple[str, str]] = {}
        self._rows = 0

    def write(self, lines: Iterable[Line]) -> None:
        """Prints lines that are finished, and draws those that are not."""
        done: list[Line] = []
        for line in lines:
            name, pid, stderr, redraw, text = line
            if not redraw:
                done.append(line)
            self._live.pop((pid, stderr), None)
            if redraw and text:
                self._live[pid, stderr] = (name, text)
        self._show(done)

    def finish(self) -> None:
        """Nothing follows: lines that never ended are printed as they are."""
        left = [(name, pid, stderr, False, text) for (pid, stderr), (name, text) in self._live.items()]
        self._live.clear()
        self._show(left)

    def _show(self, done: list[Line]) -> None:
        terminal = terminal_of_lines()
        if self._rows and terminal is not None:
            _say(terminal, "\r\x1b[J")
        self._rows = 0
        write(done)
        if self._live and terminal is not None:
            size = os.get_terminal_size(terminal.fileno())
            rows = [_row(name, pid, text, size.columns) for (pid, _), (name, text) in self._live.items()]
            rows = rows[-max(1, size.lines - 2) :]
            _say(terminal, "".join(f"\n{row}" for row in rows) + f"\x1b[{len(rows)}A\r")
            self._rows = len(rows)


def terminal_of_lines() -> TextIO | None:
    """Where lines that redraw themselves can be drawn: standard error, else standard output, if it is a terminal."""
    if os.environ.get("TERM", "dumb") == "dumb":
        return None
    for stream in (sys.stderr, sys.stdout):
        try:
            if stream is not None and stream.isatty() and os.get_terminal_size(stream.fileno()).columns:
                return stream
        except (OSError, ValueError, AttributeError):
            continue  # closed, or not a file
    return None


def _row(name: str, pid: int, text: str, columns: int) -> str:
    """A row that fits: what would wrap is cut, what would move the cursor is taken out, colours are kept."""
    room, row = columns - 1, ""
    parts = _PARTS.split(f"({name} pid={pid}) {_MOVES.sub('', text)}")
    for part in parts:
        if _PARTS.fullmatch(part):
            row += part
            continue
        visible = "".join(sign for sign in part if sign.isprintable())[:room]
        room -= len(visible)
        row += visible
    return row + _RESET if len(parts) > 1 else row


def write(lines: Iterable[Line]) -> None:
    """Prints finished lines."""
    lines = list(lines)
    for to_stderr in (False, True):
        said = [(name, pid, text) for name, pid, stderr, _, text in lines if bool(stderr) is to_stderr]
        if said:
            _say(
                sys.stderr if to_stderr else sys.stdout,
                "".join(f"({name} pid={pid}) {text}\n" for name, pid, text in said),
            )


def left_out(count: int) -> None:
    """Tells that lines are missing which this process had no time to print."""
    from shoal.core import _ffi

    folder = os.path.join(_ffi.session()["session_dir"], "logs")
    _say(sys.stderr, f"shoal: {count} lines of workers left out, because this process was too busy; see {folder}\n")


def warn(text: str) -> None:
    """Says something of shoal's own."""
    _say(sys.stderr, f"shoal: {text}\n")


def _say(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        pass  # closed, or a pipe that nobody reads
