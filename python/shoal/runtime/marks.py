"""Marks in a worker's output, by which the daemon knows which task wrote it (`crates/shoal-node/src/logs/marks.rs`).

    ESC ] shoal: NAME BEL     before the first text of a task, unless the last mark had that name
    ESC ] shoal: BEL          after its last, where that is a line without an end or another task comes next

The daemon takes them out. What C code or a child process writes has none: its lines get the name of what runs when they
are read.

- MARKS-3 a task's text has left this process before its answer does, also where its last line has no end or user code
  has turned off that lines are written one by one.
- MARKS-4 marks go only to the pipe that the daemon reads, never into a file that user code has put in its place.
"""

import os
import sys
from collections.abc import Callable
from typing import TextIO

from shoal.core import _ffi


class _Stream:
    """One of `sys.stdout` and `sys.stderr`."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.number = stream.fileno()
        self.pipe = os.fstat(self.number).st_ino
        self.name = ""
        self.begun = False
        """Whether the task that runs has written here."""
        self.unfinished = False
        """Whether its last line has no end."""

    def writer(self) -> Callable[[str], int]:
        """What stands in for the stream's `write`."""
        write = self.stream.write

        def marked(text: str) -> int:
            if not self.begun:
                self.begin()
            count = write(text)
            if text:
                self.unfinished = text[-1] != "\n"
            return count

        return marked

    def begin(self) -> None:
        self.begun = True
        name = _ffi.begin_output()
        if name != self.name:
            self.mark(name)

    def end(self, renamed: bool) -> None:
        ends = self.unfinished or (renamed and self.name)
        if not self.begun and not ends:
            return
        self.begun = self.unfinished = False
        try:
            self.stream.flush()
            if ends:
                self.mark("")
                self.stream.flush()
        except (OSError, ValueError):
            return  # closed, or nobody reads

    def mark(self, name: str) -> None:
        if os.fstat(self.number).st_ino == self.pipe:
            self.name = name
            shown = "".join(filter(str.isprintable, name))
            self.stream.buffer.write(f"\x1b]shoal:{shown}\a".encode())


_STREAMS: list[_Stream] = []


def begin() -> None:
    """Marks the output of this process from now on."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            marked = _Stream(stream)
            vars(stream)["write"] = marked.writer()
            _STREAMS.append(marked)


def end(renamed: bool) -> None:
    """A task is over that has written something; or what runs next has another name than what has written."""
    for stream in _STREAMS:
        stream.end(renamed)
