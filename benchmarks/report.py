"""What was measured, as data, as the lines of a table, and as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import floors
from goals import Row, figure, judge, spread
from meter import Numbers, cores

Data = dict[str, Any]


@dataclass
class Results:
    """Of each round: the floors, and for each case and system its numbers, or why there are none."""

    cases: dict[str, ModuleType]
    floors: list[Numbers] = field(default_factory=list)
    numbers: dict[tuple[str, str], list[Numbers]] = field(default_factory=dict)
    errors: dict[tuple[str, str], str] = field(default_factory=dict)

    def load(self, raw: Data) -> None:
        """Takes over the rounds of an earlier run."""
        self.floors += raw["floors"]
        for case, system, rounds in raw["numbers"]:
            if case in self.cases:
                self.numbers.setdefault((case, system), []).extend(rounds)

    def raw(self) -> Data:
        numbers = [[case, system, rounds] for (case, system), rounds in self.numbers.items()]
        return {"floors": self.floors, "numbers": numbers}

    def add(self, system: str, case: str, answer: dict[str, Any]) -> None:
        """Keeps an answer of a session, together with the floors of this round."""
        if "error" in answer:
            self.errors[case, system] = answer["error"]
        else:
            self.numbers.setdefault((case, system), []).append(answer["numbers"] | self.floors[-1])

    def rounds(self) -> str:
        """How many each system had at most."""
        found: dict[str, int] = {}
        for (_, system), rounds in self.numbers.items():
            found[system] = max(found.get(system, 0), len(rounds))
        if len(set(found.values())) == 1:
            return str(found.popitem()[1])
        return ", ".join(f"{count} of {system}" for system, count in found.items())

    def data(self, about: Data, systems: Sequence[str]) -> Data:
        """Everything, as JSON can have it; numbers are in the units of their rows."""
        cases = {
            name: {key: self._row(name, key, row, systems) for key, row in case.ROWS.items()}
            for name, case in self.cases.items()
        }
        measured = {
            name: [numbers[name] for numbers in self.floors if name in numbers]
            for name in floors.NAMES
            if any(name in numbers for numbers in self.floors)
        }
        scaled = {
            name: (values, "/s", 1.0) if name[0] == "P" else (values, "GB/s", 1e-9) for name, values in measured.items()
        }
        errors: dict[str, dict[str, str]] = {}
        for (case, system), error in self.errors.items():
            errors.setdefault(case, {})[system] = error
        return {
            "about": about,
            "systems": list(systems),
            "floors": {
                name: _summary(values, scale) | {"unit": unit} for name, (values, unit, scale) in scaled.items()
            },
            "cases": cases,
            "errors": errors,
            "raw": self.raw(),
        }

    def _row(self, case: str, key: str, row: Row, systems: Sequence[str]) -> Data:
        found: Data = {"title": row.title, "unit": row.unit, "systems": {}}
        for system in systems:
            rounds = self.numbers.get((case, system), [])
            if values := [numbers[key] for numbers in rounds if key in numbers]:
                found["systems"][system] = _summary(values, row.scale)
        rounds = self.numbers.get((case, "shoal"), [])
        for bars in ("must", "aim"):
            verdicts = [judge(bar, row, key, rounds, cores()) for bar in getattr(row, bars)]
            found[bars] = [
                {"bar": v.bar.text(row.unit), "of": v.bar.of, "measured": v.measured, "reached": v.reached}
                for v in verdicts
                if v
            ]
        return found


def floors_needed(cases: Mapping[str, ModuleType]) -> list[str]:
    """The floors that the cases' bars are shares of."""
    rows = [row for case in cases.values() for row in case.ROWS.values()]
    named = {bar.of for row in rows for bar in (*row.must, *row.aim)}
    return [name for name in floors.NAMES if name in named]


def _summary(values: Sequence[float], scale: float) -> Data:
    low, middle, high = (value * scale for value in spread(values))
    return {"median": middle, "low": low, "high": high, "values": [value * scale for value in values]}


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def rows(data: Data) -> Iterator[tuple[str, str, Data]]:
    for case, found in data["cases"].items():
        for key, row in found.items():
            yield case, key, row


def _beside(row: Data) -> str:
    """Shares, next to what they are shares of; a plain limit has its number in the table already."""
    shares = [(v["measured"], v["of"]) for v in row["must"] if v["of"]]
    return "; ".join(f"{figure(share)} of {'busy cores' if of.startswith('cores/') else of}" for share, of in shares)


def _judged(verdicts: Sequence[Data]) -> str:
    return "; ".join(("" if verdict["reached"] else "missed: ") + verdict["bar"] for verdict in verdicts)


def _median(data: Data, case: str, row: Data, system: str) -> str:
    if found := row["systems"].get(system):
        return f"{figure(found['median'])} {row['unit']}".rstrip()
    error = data["errors"].get(case, {}).get(system, "")
    return error.splitlines()[0] if error.startswith("over") else "failed" if error else ""


def _quartiles(found: Data | None) -> str:
    return f"{figure(found['low'])}–{figure(found['high'])}" if found and len(found["values"]) > 1 else ""


def lines(data: Data) -> list[list[str]]:
    """The table, with its head: floors, then a line a row."""
    peers = [system for system in data["systems"] if system != "shoal"]
    table = [["case", "shoal", "quartiles", "beside", "must", "aim", *peers]]
    for name, floor in data["floors"].items():
        table.append([f"floor {name}", f"{figure(floor['median'])} {floor['unit']}", _quartiles(floor)])
        table[-1] += [""] * (len(table[0]) - len(table[-1]))
    for case, _, row in rows(data):
        own = [_median(data, case, row, "shoal"), _quartiles(row["systems"].get("shoal"))]
        others = [_median(data, case, row, peer) for peer in peers]
        table.append([row["title"], *own, _beside(row), _judged(row["must"]), _judged(row["aim"]), *others])
    return table


def text(data: Data) -> str:
    """The table for a terminal, then what failed and why."""
    cells = lines(data)
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    told = ["  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    for case, errors in data["errors"].items():
        told += [f"\n{case} on {system}: {error}" for system, error in errors.items()]
    return "\n".join(told)
