"""`Dataset`: blocks of rows and the functions to apply to them."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import shoal

Step = tuple[str, Callable[[Any], Any]]


def _apply(rows: list[Any], steps: tuple[Step, ...], only_count: bool) -> Any:
    for kind, function in steps:
        rows = [function(row) for row in rows] if kind == "map" else [row for row in rows if function(row)]
    return len(rows) if only_count else rows


@cache
def _task() -> Any:
    return shoal.remote(_apply)


class Dataset:
    """Rows in blocks. Functions are applied when rows are asked for, by one task a block.

    Made by `from_items` and `range`.

    Example:
        >>> import shoal
        >>> shoal.data.range(100).filter(lambda row: row["id"] < 3).take_all()
        [{'id': 0}, {'id': 1}, {'id': 2}]
    """

    def __init__(self, blocks: list[list[Any]], steps: tuple[Step, ...] = ()) -> None:
        self._blocks, self._steps = blocks, steps

    def map(self, fn: Callable[[Any], Any]) -> "Dataset":
        """A dataset of `fn(row)` for each row."""
        return Dataset(self._blocks, (*self._steps, ("map", fn)))

    def filter(self, fn: Callable[[Any], Any]) -> "Dataset":
        """A dataset of the rows for which `fn(row)` is true."""
        return Dataset(self._blocks, (*self._steps, ("filter", fn)))

    def count(self) -> int:
        """How many rows there are."""
        return sum(shoal.get(self._run(only_count=True)))

    def take(self, limit: int = 20) -> list[Any]:
        """The first `limit` rows."""
        taken: list[Any] = []
        for row in self.iter_rows():
            if len(taken) >= limit:
                break
            taken.append(row)
        return taken

    def take_all(self, limit: int | None = None) -> list[Any]:
        """All rows.

        Raises:
            ValueError: There are more than `limit`.
        """
        rows = [row for block in shoal.get(self._run()) for row in block]
        if limit is not None and len(rows) > limit:
            raise ValueError(f"the dataset has {len(rows)} rows, more than the limit of {limit}")
        return rows

    def iter_rows(self) -> Iterator[Any]:
        """The rows, in order."""
        for ref in self._run():
            yield from shoal.get(ref)

    def iter_batches(self, *, batch_size: int | None = 256, drop_last: bool = False) -> Iterator[Any]:
        """The rows in batches: lists of plain items, or a dict of columns where rows are mappings.

        Args:
            batch_size: Rows of a batch; `None` for blocks as they are.
            drop_last: Whether a last batch of fewer rows is left out.

        Raises:
            ValueError: `batch_size` is below 1.
        """
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"iter_batches(batch_size=) takes a whole number ≥ 1 or None, not {batch_size}")
        kept: list[Any] = []
        for ref in self._run():
            kept += shoal.get(ref)
            while kept and (batch_size is None or len(kept) >= batch_size):
                size = batch_size or len(kept)
                yield _batch(kept[:size])
                kept = kept[size:]
        if kept and not drop_last:
            yield _batch(kept)

    def _run(self, only_count: bool = False) -> list[Any]:
        return [_task().remote(block, self._steps, only_count) for block in self._blocks]


def _batch(rows: list[Any]) -> Any:
    if not all(isinstance(row, Mapping) for row in rows):
        return rows
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    try:
        import numpy
    except ImportError:
        return columns
    return {name: numpy.asarray(values) for name, values in columns.items()}
