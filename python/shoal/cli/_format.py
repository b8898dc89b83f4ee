"""Rows as tables, YAML and JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

_WIDEST = 60


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], widest: int = _WIDEST) -> str:
    """A line a row under the columns' names, each column as wide as it needs, up to `widest` characters."""
    lines = [[name.upper() for name in columns]]
    lines += [[_cell(row[name], widest) for name in columns] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _cell(value: Any, widest: int = _WIDEST) -> str:
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        text = " ".join(f"{key}={_cell(item)}" for key, item in value.items())
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= widest else f"{text[: widest - 1]}…"


def yaml(value: Any, indent: str = "") -> str:
    """Lists, dicts and scalars as YAML; texts that are not plain words as JSON, which YAML reads too."""
    if isinstance(value, Mapping) and value:
        return "\n".join(_entry(f"{indent}{_scalar(str(key))}:", item, f"{indent}  ") for key, item in value.items())
    if isinstance(value, list | tuple) and value:
        return "\n".join(_item(item, indent) for item in value)
    return f"{indent}{_scalar(value)}"


def _entry(head: str, item: Any, indent: str) -> str:
    if isinstance(item, Mapping | list | tuple) and item:
        return f"{head}\n{yaml(item, indent)}"
    return f"{head} {_scalar(item)}"


def _item(item: Any, indent: str) -> str:
    text = yaml(item, f"{indent}  ")
    return f"{indent}- {text[len(indent) + 2 :]}"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and value.replace("_", "").replace("-", "").isalpha() and value.lower() not in _WORDS:
        return value
    return json.dumps(value, default=str)


_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "none"}
