"""Who may run beside whom where tests run in several processes: a test marked `alone` has the machine to itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_SH, LOCK_UN, flock
from pathlib import Path


@contextmanager
def taken(folder: Path, alone: bool) -> Iterator[None]:
    """Waits until this process may run a test, and lets no other disturb it in the block.

    Everybody comes through the turn into the room, which is shared. Who has to be alone waits in the turn until the
    room is empty, so that nobody enters meanwhile.

    Args:
        folder: One that all processes of the run know.
        alone: Whether nobody else may run a test meanwhile.
    """
    with (folder / "turn").open("a") as turn, (folder / "room").open("a") as room:
        flock(turn, LOCK_EX)
        flock(room, LOCK_EX if alone else LOCK_SH)
        flock(turn, LOCK_UN)
        try:
            yield
        finally:
            # Not by closing alone: a process that was forked meanwhile may have it open.
            flock(room, LOCK_UN)
