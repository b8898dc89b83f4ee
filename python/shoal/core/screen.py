"""Prints workers' lines: each whole, under the name and pid of who wrote it.

On a terminal, lines that redraw themselves are drawn below everything else, one for each stream of a worker, in the
order in which they began.

- SCREEN-1 while rows are drawn, the cursor stands where the driver's own output ends: that is in the row above them, at
  any column.
- SCREEN-2 what the driver prints by `sys.stdout` and `sys.stderr` meanwhile is not written over rows: they are taken
  away before a line of it ends, and drawn again below. What comes another way (C code, another process) may run into
  rows; the next change of one cleans that up.
- SCREEN-3 streams are watched only while rows are drawn, and never in a forked child.
- SCREEN-4 no line of a worker moves the cursor or clears anything, in a terminal or elsewhere.
"""

import os
import re
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import TextIO, TypeVar

T = TypeVar("T")
Line = tuple[str, int, bool, bool, str]
"""Name, pid, whether it came on standard error, whether it is a redraw, text."""

_MOVES = re.compile(r"\x1b\[[0-9;?]*[A-KSTfhlsu]|\x1b[78DMc]")
"""What moves the cursor, clears, or changes the terminal's mode."""
_PARTS = re.compile(r"(\x1b\[[0-9;:]*m)")
_RESET = "\x1b[0m"
_DOWN = "\x1bD"
"""A row down in the same column; at the bottom everything moves up."""
_KEEP, _BACK = "\x1b7", "\x1b8"
"""Remembers the cursor's place, and goes there."""
_CLEAR = "\x1b[J"
"""Clears what is right of the cursor and below."""
_CLEAR_BELOW = f"{_KEEP}\x1b[B\r{_CLEAR}{_BACK}"


class Screen:
    """What is drawn in this process's terminal."""

    def __init__(self) -> None:
        self._live: dict[tuple[int, bool], tuple[str, str]] = {}
        self._rows = 0
        self._lock = threading.RLock()
        self._prints = False
        """Whether who has the lock prints: what it writes to watched streams is as it should be."""
        self._watched: list[TextIO] = []
        self._returned = False
        """Whether the driver has gone back to the begin of a line that it has printed."""

    def write(self, lines: Iterable[Line]) -> None:
        """Prints lines that are finished, and draws those that are not."""
        done: list[Line] = []
        with self._lock:
            for line in lines:
                name, pid, stderr, redraw, text = line
                if not redraw:
                    done.append(line)
                if redraw and text:
                    self._live[pid, stderr] = (name, text)  # in its row, if it has one
                else:
                    self._live.pop((pid, stderr), None)
            self._above(partial(write, done))

    def finish(self) -> None:
        """Nothing follows: lines that never ended are printed as they are."""
        with self._lock:
            left = [(name, pid, stderr, False, text) for (pid, stderr), (name, text) in self._live.items()]
            self._live.clear()
            self._above(partial(write, left))

    def forget(self) -> None:
        """In a forked child: rows and terminal are the parent's, and who had the lock is not here."""
        self._unwatch()
        self._live.clear()
        self._lock, self._rows, self._prints = threading.RLock(), 0, False

    def _above(self, prints: Callable[[], T]) -> T:
        """Prints something above the rows, and draws them again."""
        self._prints = True
        try:
            terminal = terminal_of_lines()
            if self._rows and terminal is not None:
                _say(terminal, _CLEAR_BELOW if self._returned else _CLEAR)
            self._rows = 0
            printed = prints()
            if self._live and terminal is not None:
                self._draw(terminal)
                self._watch()
            else:
                self._unwatch()
            return printed
        finally:
            self._prints = False

    def _draw(self, terminal: TextIO) -> None:
        size = os.get_terminal_size(terminal.fileno())
        rows = [_row(name, pid, text, size.columns) for (pid, _), (name, text) in self._live.items()]
        rows = rows[-max(1, size.lines - 2) :]
        self._rows = len(rows)
        drawn = "".join(f"\r\n{row}" for row in rows)
        _say(terminal, f"{_DOWN * len(rows)}\x1b[{len(rows)}A{_KEEP}{drawn}{_BACK}")

    def _watch(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            if stream not in self._watched and _columns(stream):
                try:
                    vars(stream)["write"] = partial(self._written, stream, stream.write)
                except TypeError:
                    continue  # it takes no attributes
                self._watched.append(stream)

    def _unwatch(self) -> None:
        for stream in self._watched:
            vars(stream).pop("write", None)
        self._watched.clear()

    def _written(self, stream: TextIO, write: Callable[[str], int], text: str) -> int:
        """Stands in for the `write` of a watched stream."""
        with self._lock:
            if self._prints:
                return write(text)
            if not self._rows or "\n" not in text:
                count = write(text)
            else:
                count = self._above(partial(_whole, stream, write, text))
            self._returned = text.endswith("\r")
            return count


def _whole(stream: TextIO, write: Callable[[str], int], text: str) -> int:
    count = write(text)
    stream.flush()
    return count


def terminal_of_lines() -> TextIO | None:
    """Where lines that redraw themselves can be drawn: standard error, else standard output, if it is a terminal."""
    if os.environ.get("TERM", "dumb") == "dumb":
        return None
    return next((stream for stream in (sys.stderr, sys.stdout) if _columns(stream)), None)


def _columns(stream: TextIO | None) -> int:
    """How wide the stream's terminal is; 0 if it is none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream is not None and stream.isatty() else 0
    except (OSError, ValueError, AttributeError):
        return 0  # closed, or not a file


def _row(name: str, pid: int, text: str, columns: int) -> str:
    """A row that fits: what would wrap is cut, what would move the cursor is taken out, colours are kept."""
    room, row = columns - 1, ""
    parts = _PARTS.split(f"({name} pid={pid}) {_still(text)}")
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
    still = [(name, pid, stderr, _still(text)) for name, pid, stderr, _, text in lines]
    for to_stderr in (False, True):
        said = [(name, pid, text) for name, pid, stderr, text in still if bool(stderr) is to_stderr]
        if said:
            _say(
                sys.stderr if to_stderr else sys.stdout,
                "".join(f"({name} pid={pid}) {text}\n" for name, pid, text in said),
            )


def _still(text: str) -> str:
    return _MOVES.sub("", text) if "\x1b" in text else text


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
