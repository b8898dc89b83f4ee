"""Datasets from what the program has."""

import builtins
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from shoal.data.dataset import Dataset

# Blocks when the caller doesn't say: enough for a few CPUs, each with rows enough to be worth a task.
_BLOCKS = 8


def from_items(items: Sequence[Any], *, parallelism: int = -1, override_num_blocks: int | None = None) -> Dataset:
    """A dataset of these items, as they are.

    Args:
        items: The rows. Functions get each as itself (Ray wraps those that aren't dicts as `{"item": x}`; so it is
            under `shoal.compat`).
        parallelism: The older name of `override_num_blocks`; -1 is unset.
        override_num_blocks: Into how many blocks they are split.

    Example:
        >>> import shoal
        >>> shoal.data.from_items([1, 2, 3]).map(lambda x: x * 10).take_all()
        [10, 20, 30]
    """
    rows = list(items)
    if os.environ.get("SHOAL_COMPAT"):
        rows = [row if isinstance(row, dict) else {"item": row} for row in rows]
    return Dataset(_split(rows, _count(len(rows), parallelism, override_num_blocks)))


def range(n: int, *, parallelism: int = -1, override_num_blocks: int | None = None) -> Dataset:
    """A dataset of the rows `{"id": 0}` to `{"id": n - 1}`.

    Args:
        n: How many rows.
        parallelism: The older name of `override_num_blocks`; -1 is unset.
        override_num_blocks: Into how many blocks they are split.

    Example:
        >>> import shoal
        >>> shoal.data.range(10).count()
        10
    """
    rows = [{"id": number} for number in builtins.range(n)]
    return Dataset(_split(rows, _count(n, parallelism, override_num_blocks)))


def _count(rows: int, parallelism: int, blocks: int | None) -> int:
    wanted = blocks if blocks is not None else parallelism if parallelism > 0 else _BLOCKS
    if wanted < 1:
        raise ValueError(f"override_num_blocks takes a whole number ≥ 1, not {wanted}")
    return max(1, min(wanted, rows))


def _split(rows: list[Any], blocks: int) -> list[list[Any]]:
    size, more = divmod(len(rows), blocks)
    edges = [number * size + min(number, more) for number in builtins.range(blocks + 1)]
    return [rows[start:end] for start, end in pairwise(edges)]
