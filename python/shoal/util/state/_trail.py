"""A log file and the older ones that were put aside of it (`NAME.1` is the youngest), as one text.

- TRAIL-1 what is followed is read once and in order, also over rotations; where more was put aside than is kept, a mark
  says so.
- TRAIL-2 the file that is read is held open, so that its number can't be another's: files are told apart by it.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO

_BLOCK = 1 << 16
# Looks at the files while they are put aside again and again.
_TRIES = 100
_GAP = "… the log was put aside faster than it was read: lines may be missing here\n".encode()


class Trail:
    """Reads one log: first its end, then what is added to it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._open: list[BinaryIO] = []
        """The file at hand, and before it those that are newer: the newest first."""

    def close(self) -> None:
        """Lets go of the files."""
        for file in self._open:
            file.close()
        self._open = []

    def last(self, lines: int) -> Iterator[bytes]:
        """The last lines of all that there is; a negative number: everything. The first read of a trail."""
        files = self._newer()
        self._open, rest = files, []
        for at, file in enumerate(files):
            if lines < 0:
                break
            begin, found = _begin_of_last(file, lines)
            file.seek(begin)
            lines -= found
            if lines <= 0:
                self._open, rest = files[: at + 1], files[at + 1 :]
                break
        for file in rest:
            file.close()
        yield from self._read()

    def more(self) -> Iterator[bytes]:
        """What was added since the last read."""
        newer = self._newer()
        gap = bool(newer and self._open) and os.fstat(self._open[-1].fileno()).st_nlink == 0
        self._open[:0] = newer
        yield from self._read(gap)

    def _read(self, gap: bool = False) -> Iterator[bytes]:
        """Reads to the end of the newest file; those before it were complete when it was met."""
        while self._open:
            yield from _blocks(self._open[-1])
            if len(self._open) == 1:
                return
            self._open.pop().close()
            if gap:
                yield _GAP
                gap = False

    def _newer(self) -> list[BinaryIO]:
        """Files that are newer than the one at hand, the newest first, as they were at one moment: where files were
        renamed meanwhile, they are looked for again.
        """
        for _ in range(_TRIES):
            before = self._youngest()
            files = self._meet()
            if before == self._youngest():
                break
            for file in files:
                file.close()
        else:
            files = self._meet()
        return files

    def _youngest(self) -> list[tuple[int, int] | None]:
        found: list[tuple[int, int] | None] = []
        for path in (self.path, f"{self.path}.1"):
            try:
                stat = os.stat(path)
                found.append((stat.st_dev, stat.st_ino))
            except FileNotFoundError:
                found.append(None)
        return found

    def _meet(self) -> list[BinaryIO]:
        """Files that are newer than the one at hand, the newest first: one that is renamed meanwhile is met twice, and
        none is missed.
        """
        known = _number(self._open[0]) if self._open else None
        files: list[BinaryIO] = []
        seen = set()
        for path in self._paths():
            try:
                file = open(path, "rb")  # noqa: SIM115
            except FileNotFoundError:
                continue
            number = _number(file)
            if number == known:
                file.close()
                break
            if number in seen:
                file.close()
                continue
            seen.add(number)
            files.append(file)
        return files

    def _paths(self) -> Iterator[str]:
        """The newest first. Files are renamed upwards, the oldest first: for a moment a number is missing between, and
        what is still to be met may have moved on when the end is reached.
        """
        yield self.path
        number = 1
        while number <= (end := self._highest() + 1):
            for beyond in range(number, end + 1):
                yield f"{self.path}.{beyond}"
            number = end + 1

    def _highest(self) -> int:
        folder, name = os.path.split(self.path)
        ends = (other[len(name) + 1 :] for other in os.listdir(folder) if other.startswith(f"{name}."))
        return max((int(end) for end in ends if end.isdigit()), default=0)


def _number(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _begin_of_last(file: BinaryIO, lines: int) -> tuple[int, int]:
    """Where the last `lines` lines of a file begin, and how many lines that are."""
    end = file.seek(0, os.SEEK_END)
    at, found, ends_in_line = end, 0, False
    if end:
        file.seek(end - 1)
        ends_in_line = file.read(1) != b"\n"
    if lines == 0 or end == 0:
        return end, 0
    # The end of the last line begins none.
    wanted = lines if ends_in_line else lines + 1
    while at > 0:
        size = min(_BLOCK, at)
        at -= size
        file.seek(at)
        block = file.read(size)
        here = block.count(b"\n")
        if found + here >= wanted:
            cut = len(block)
            for _ in range(wanted - found):
                cut = block.rindex(b"\n", 0, cut)
            return at + cut + 1, lines
        found += here
    return 0, found + 1 if ends_in_line else found
