"""Mixed work whose answers are known, for what kills and stops processes meanwhile, and for what runs for long."""

from __future__ import annotations

import random

import shoal

SECONDS = 60
"""No answer may take longer."""

PAYLOAD = 150_000
"""Bytes of a value that lies in the arena."""


@shoal.remote(max_retries=-1)
def square(i: int) -> int:
    return i * i


@shoal.remote(max_retries=-1)
def large(i: int) -> bytes:
    return bytes([i % 256]) * PAYLOAD


@shoal.remote(max_retries=-1)
def length(*parts: bytes) -> int:
    return sum(len(part) for part in parts)


@shoal.remote(max_retries=-1)
def tree(depth: int) -> int:
    if depth == 0:
        return 1
    return sum(shoal.get([tree.remote(depth - 1) for _ in range(2)]))


@shoal.remote(max_retries=-1)
def makes() -> list[shoal.ObjectRef]:
    return [shoal.put(b"m" * PAYLOAD) for _ in range(3)]


@shoal.remote(max_retries=-1)
def reads(refs: list[shoal.ObjectRef]) -> int:
    return sum(len(shoal.get(ref)) for ref in refs)


@shoal.remote(max_retries=-1)
def naps(seconds: float) -> str:
    import time

    time.sleep(seconds)
    return "slept"


@shoal.remote(max_restarts=-1, max_task_retries=-1, num_cpus=0)
class Echo:
    def back(self, value):
        return value

    def ask(self, i: int) -> int:
        return shoal.get(square.remote(i))


class Load:
    """One driver's work: each step submits some and checks all its answers.

    Args:
        seed: Decides what comes in which order.
        actors: How many actors are called.
    """

    def __init__(self, seed: int, actors: int = 3) -> None:
        self.choose = random.Random(seed)
        self.echoes = [Echo.remote() for _ in range(actors)]
        self.steps = (self.tasks, self.values, self.trees, self.calls, self.borrowed, self.cancelled)

    def step(self) -> None:
        """One step of any kind."""
        self.choose.choice(self.steps)()

    def tasks(self) -> None:
        n = self.choose.randrange(1, 400)
        assert shoal.get([square.remote(i) for i in range(n)], timeout=SECONDS) == [i * i for i in range(n)]

    def values(self) -> None:
        kept = shoal.put(b"k" * PAYLOAD)
        parts = [large.remote(i) for i in range(self.choose.randrange(1, 12))]
        assert shoal.get(length.remote(kept, *parts), timeout=SECONDS) == PAYLOAD * (1 + len(parts))
        value = shoal.get(parts[-1], timeout=SECONDS)
        assert value == bytes([(len(parts) - 1) % 256]) * PAYLOAD

    def trees(self) -> None:
        assert shoal.get(tree.remote(3), timeout=SECONDS) == 8

    def calls(self) -> None:
        n = self.choose.randrange(1, 200)
        refs = [self.echoes[i % len(self.echoes)].back.remote(i) for i in range(n)]
        refs.append(self.choose.choice(self.echoes).ask.remote(7))
        assert shoal.get(refs, timeout=SECONDS) == [*range(n), 49]

    def borrowed(self) -> None:
        """Refs that workers own: their owner's death is an error that says so."""
        try:
            refs = shoal.get(makes.remote(), timeout=SECONDS)
            assert shoal.get(reads.remote(refs), timeout=SECONDS) == 3 * PAYLOAD
            assert len(shoal.get(refs[0], timeout=SECONDS)) == PAYLOAD
        except (shoal.exceptions.OwnerDiedError, shoal.exceptions.ObjectLostError):
            pass

    def cancelled(self) -> None:
        refs = [naps.remote(0.002) for _ in range(20)]
        for ref in refs[::2]:
            shoal.cancel(ref)
        for i, ref in enumerate(refs):
            try:
                assert shoal.get(ref, timeout=SECONDS) == "slept"
            except shoal.exceptions.TaskCancelledError:
                assert i % 2 == 0
