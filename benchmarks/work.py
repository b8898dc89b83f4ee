"""What the workers run: as little as can be, so that the systems are measured and not the work."""

from __future__ import annotations

import os
from typing import Any


def nothing(*_: object) -> None:
    return None


def first(*_: object) -> int:
    return 1


def second(*_: object) -> int:
    return 2


def third(*_: object) -> int:
    return 3


def add_one(n: int) -> int:
    return n + 1


def where() -> int:
    return os.getpid()


class Counter:
    def __init__(self) -> None:
        self.n = 0

    def next(self) -> int:
        self.n += 1
        return self.n

    def pid(self) -> int:
        return os.getpid()


class AsyncCounter:
    def __init__(self) -> None:
        self.n = 0

    async def next(self) -> int:
        self.n += 1
        return self.n


def remote(api: Any, what: Any, **options: Any) -> Any:
    """`what` as a remote function or actor class of shoal, or of Ray."""
    return api.remote(**options)(what) if options else api.remote(what)
