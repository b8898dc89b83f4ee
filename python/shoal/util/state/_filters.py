"""Filters of rows: (column, how, value)."""

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from shoal.util.state._schema import StateSchema

T = TypeVar("T", bound=StateSchema)
Filter = tuple[str, str, Any]
_SHOWN = 5
_HOW: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def check(filters: Sequence[Filter] | None, columns: list[str]) -> list[Filter]:
    """The filters, once each is known to make sense.

    Raises:
        ValueError: A filter is no triple, its column is unknown, or its comparison is.
    """
    out = []
    for given in filters or ():
        if not isinstance(given, tuple | list) or len(given) != 3:
            raise ValueError(f"a filter is a triple (column, comparison, value), not {given!r}")
        column, how, value = given
        if column not in columns:
            raise ValueError(f"there is no column {column!r} to filter by; there are {', '.join(columns)}")
        if how not in _HOW:
            raise ValueError(f"a filter compares by one of {' '.join(_HOW)}, not by {how!r}")
        out.append((column, how, value))
    return out


def apply(rows: Iterable[T], filters: Iterable[Filter]) -> list[T]:
    """Rows that pass every filter. Text is compared without regard to case, a number also with a number's text."""
    filters = list(filters)
    return [row for row in rows if all(_passes(row[column], how, value) for column, how, value in filters)]


def found(rows: Sequence[T], filters: Iterable[Filter]) -> str:
    """Words for what the columns that were filtered by hold."""
    told = []
    for column in dict.fromkeys(column for column, _, _ in filters):
        values = sorted({str(row[column]) for row in rows})
        more = f" and {len(values) - _SHOWN} others" if len(values) > _SHOWN else ""
        told.append(f"{column} is {', '.join(values[:_SHOWN])}{more}")
    return "; ".join(told)


def _passes(have: Any, how: str, want: Any) -> bool:
    if isinstance(want, str) and not isinstance(have, str):
        want = _as(have, want)
    if isinstance(have, str) and isinstance(want, str):
        have, want = have.lower(), want.lower()
    try:
        return _HOW[how](have, want)
    except TypeError:
        return False


def _as(have: Any, text: str) -> Any:
    """The text as something that compares with `have`."""
    if have is None or isinstance(have, bool):
        return {"none": None, "null": None, "true": True, "false": False}.get(text.lower(), text)
    try:
        return type(have)(text) if isinstance(have, int | float) else text
    except ValueError:
        return text
