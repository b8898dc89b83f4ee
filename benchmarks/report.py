"""What was measured, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import floors
from goals import Row, Verdict, figure, judge, spread
from meter import Numbers, cores


@dataclass
class Results:
    """Of each round: the floors, and for each case and system its numbers, or why there are none."""

    cases: dict[str, ModuleType]
    floors: list[Numbers] = field(default_factory=list)
    numbers: dict[tuple[str, str], list[Numbers]] = field(default_factory=dict)
    errors: dict[tuple[str, str], str] = field(default_factory=dict)

    def floors_needed(self) -> set[str]:
        rows = [row for case in self.cases.values() for row in case.ROWS.values()]
        return {bar.of for row in rows for bar in (*row.must, *row.aim)} & set(floors.NAMES)

    def add(self, system: str, case: str, answer: dict[str, Any]) -> None:
        """Keeps an answer of a session, together with the floors of this round."""
        if "error" in answer:
            self.errors[case, system] = answer["error"]
        else:
            self.numbers.setdefault((case, system), []).append(answer["numbers"] | self.floors[-1])

    def values(self, case: str, key: str, system: str) -> list[float]:
        return [numbers[key] for numbers in self.numbers.get((case, system), []) if key in numbers]

    def rows(self) -> Iterator[tuple[str, str, Row]]:
        for name, case in self.cases.items():
            for key, row in case.ROWS.items():
                yield name, key, row

    def verdicts(self, case: str, key: str, row: Row, bars: str) -> list[Verdict]:
        """How shoal's numbers stand beside the row's bars, `must` or `aim`."""
        rounds = self.numbers.get((case, "shoal"), [])
        found = [judge(bar, row, key, rounds, cores()) for bar in getattr(row, bars)]
        return [verdict for verdict in found if verdict]


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def _measured(verdict: Verdict) -> str:
    """A share next to what it is a share of; a plain limit has its number in the table already."""
    of = verdict.bar.of
    if not of:
        return ""
    return f"{figure(verdict.measured)} of " + ("busy cores" if of.startswith("cores/") else of)


def _judged(verdicts: Sequence[Verdict], unit: str) -> str:
    marked = [("" if verdict.reached else "missed: ") + verdict.bar.text(unit) for verdict in verdicts]
    return "; ".join(marked)


def _figures(results: Results, case: str, key: str, row: Row, system: str) -> tuple[str, str]:
    """Median and quartiles."""
    values = results.values(case, key, system)
    if not values:
        error = results.errors.get((case, system), "")
        return error.splitlines()[0] if error.startswith("over") else "failed" if error else "", ""
    low, middle, high = (value * row.scale for value in spread(values))
    return f"{figure(middle)} {row.unit}".rstrip(), f"{figure(low)}–{figure(high)}" if len(values) > 1 else ""


def lines(results: Results, shown: Sequence[str]) -> list[list[str]]:
    """The table, with its head."""
    peers = [system for system in shown if system != "shoal"]
    table = [["case", "shoal", "quartiles", "beside", "must", "aim", *peers]]
    for name in results.floors[0] if results.floors else ():
        unit, scale = ("/s", 1.0) if name[0] == "P" else ("GB/s", 1e-9)
        low, middle, high = (value * scale for value in spread([numbers[name] for numbers in results.floors]))
        table.append([f"floor {name}", f"{figure(middle)} {unit}", f"{figure(low)}–{figure(high)}"])
        table[-1] += [""] * (len(table[0]) - 3)
    for case, key, row in results.rows():
        must = results.verdicts(case, key, row, "must")
        aim = results.verdicts(case, key, row, "aim")
        beside = "; ".join(filter(None, map(_measured, must)))
        own = _figures(results, case, key, row, "shoal")
        others = [_figures(results, case, key, row, peer)[0] for peer in peers]
        table.append([row.title, *own, beside, _judged(must, row.unit), _judged(aim, row.unit), *others])
    return table


def table(results: Results, shown: Sequence[str]) -> str:
    """The table for a terminal, then what failed and why."""
    cells = lines(results, shown)
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    text = ["  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    text += [f"\n{case} on {system}: {error}" for (case, system), error in results.errors.items()]
    return "\n".join(text)


def as_json(about: dict[str, Any], results: Results) -> str:
    cases: dict[str, Any] = {}
    for case, key, row in results.rows():
        found: dict[str, Any] = {"title": row.title.strip(), "unit": row.unit, "systems": {}}
        for name, system in results.numbers:
            if name == case and (values := results.values(case, key, system)):
                low, middle, high = (value * row.scale for value in spread(values))
                scaled = [value * row.scale for value in values]
                found["systems"][system] = {"median": middle, "low": low, "high": high, "values": scaled}
        for bars in ("must", "aim"):
            found[bars] = [
                {"bar": verdict.bar.text(row.unit), "measured": verdict.measured, "reached": verdict.reached}
                for verdict in results.verdicts(case, key, row, bars)
            ]
        cases.setdefault(case, {})[key] = found
    errors = {f"{case} on {system}": error for (case, system), error in results.errors.items()}
    whole = {"about": about, "floors": results.floors, "cases": cases, "errors": errors}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
