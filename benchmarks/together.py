"""How much several callers do in sum, beside what one does: each calls for a while, all at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from goals import Row, at_least, rate
from meter import Numbers

KINDS = ("pipelined", "synchronous")
BATCH = 500


def rows(one: str, four: str) -> dict[str, Row]:
    """Rows for one caller and for four, pipelined and one call at a time; four are held to what one does."""
    found = {}
    for kind in KINDS:
        found[f"one {kind}"] = rate(f"{one}, {kind}")
        found[f"four {kind}"] = rate(f"  {four}, in sum", at_least(1, f"one {kind}"))
    return found


def numbers(measure: Callable[[int, str], float]) -> Numbers:
    """`measure(how many callers, kind)` gives their calls a second in sum."""
    return {f"{word} {kind}": measure(count, kind) for kind in KINDS for word, count in (("one", 1), ("four", 4))}


def warm_up(submit: Callable[[], Any], get: Callable[[Any], object]) -> None:
    """The first calls of a caller. All callers are through with theirs before the first begins to count."""
    for _ in range(2):
        get(submit())


def call_for(seconds: float, kind: str, submit: Callable[[], Any], get: Callable[[Any], object]) -> float:
    """Calls a second of one caller that is warm."""
    begin = now = time.perf_counter()
    count = 0
    while now - begin < seconds or not count:
        if kind == "pipelined":
            get([submit() for _ in range(BATCH)])
            count += BATCH
        else:
            get(submit())
            count += 1
        now = time.perf_counter()
    return count / (now - begin)
