"""Kills and stops processes of a running instance at random moments."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from shoal.core import _ffi

KINDS = ("worker", "actor", "zygote", "daemon")
"""Any of them may be stopped; the daemon is not killed here: nothing would go on."""

LONGEST_STOP = 0.3
"""Seconds that a process is stopped at most."""


def alive(kind: str) -> list[int]:
    """Processes of one kind: worker (actors' among them), actor, zygote, daemon."""
    status = json.loads(_ffi.status())
    if kind == "daemon":
        return [status["pid"]]
    if kind == "actor":
        return [actor["pid"] for actor in status["actors"] if actor["pid"]]
    return [process["pid"] for process in status["processes"] if process["kind"] == kind and process["pid"]]


class Deaths:
    """Strikes one process after the other, until `rounds` have been struck."""

    def __init__(self, seed: int, rounds: int, kinds: Sequence[str], every: float, stops: float) -> None:
        self.rounds, self.kinds, self.every, self.stops = rounds, kinds, every, stops
        self.choose = random.Random(seed)
        self.over = threading.Event()
        self.struck: list[str] = []
        self.thread = threading.Thread(target=self._run, name="deaths")

    @property
    def done(self) -> bool:
        """Whether all rounds are over (or the thread has failed)."""
        return not self.thread.is_alive()

    def _run(self) -> None:
        while len(self.struck) < self.rounds and not self.over.wait(self.every * self.choose.uniform(0.2, 1.8)):
            kind = self.choose.choice(self.kinds)
            victims = alive(kind)
            if victims:
                with suppress(ProcessLookupError):
                    self._strike(kind, self.choose.choice(victims))

    def _strike(self, kind: str, pid: int) -> None:
        if kind != "daemon" and self.choose.random() >= self.stops:
            os.kill(pid, signal.SIGKILL)
            self.struck.append(f"{kind} killed")
            return
        os.kill(pid, signal.SIGSTOP)
        try:
            self.over.wait(self.choose.uniform(0, LONGEST_STOP))
        finally:
            os.kill(pid, signal.SIGCONT)
        self.struck.append(f"{kind} stopped")


@contextmanager
def deaths(
    seed: int, rounds: int, kinds: Sequence[str] = KINDS, every: float = 0.1, stops: float = 0.3
) -> Iterator[Deaths]:
    """Strikes `rounds` processes, one about each `every` seconds, while the block runs.

    Args:
        seed: Decides whom, when and how.
        rounds: How many in all.
        kinds: Of which kinds (`KINDS`).
        every: Seconds between two on average.
        stops: Which part of them is stopped for a while, not killed.
    """
    them = Deaths(seed, rounds, kinds, every, stops)
    them.thread.start()
    try:
        yield them
    finally:
        them.over.set()
        them.thread.join()
