"""Runs the cases beside the floors, round by round, prints a table and writes JSON. See README.md beside this file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import floors

ROUNDS, QUICK_ROUNDS = 7, 3


def measure(options: argparse.Namespace, folder: str) -> dict[str, list[float]]:
    """All numbers of all rounds, by floor, or by case and row."""
    import core

    import shoal

    bench = core.Bench(folder, options.quick)
    cases = [case for case in core.CASES if options.only in case.name and not (case.slow and options.quick)]
    if not cases:
        sys.exit(f"no case's name contains {options.only!r}; there are: {', '.join(case.name for case in core.CASES)}")
    needed = {row.floor for case in cases for row in case.rows}
    numbers: dict[str, list[float]] = {}
    shoal.init("local")
    begin = time.perf_counter()
    for round_ in range(options.rounds):
        for name in floors.NAMES:
            if name in needed or not options.only:
                numbers.setdefault(name, []).append(floors.measure_apart(name))
        for case in cases:
            if case.rounds is None or round_ < case.rounds:
                for row, value in zip(case.rows, case.run(bench), strict=True):
                    numbers.setdefault(f"{case.name}/{row.title.strip()}", []).append(value)
        print(
            f"round {round_ + 1} of {options.rounds}: {time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True
        )
    shoal.shutdown()
    return numbers


def spread(values: list[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def table(numbers: dict[str, list[float]]) -> list[dict[str, object]]:
    """Prints the table; returns its rows as data."""
    import core

    lines: list[tuple[str, ...]] = [("case", "median", "quartiles", "lowest–highest", "beside its floor", "goal", "")]
    data: list[dict[str, object]] = []
    rows = [
        (core.Row(name, "/s" if name[0] == "P" else "GB/s", 1 if name[0] == "P" else 1e-9), name)
        for name in floors.NAMES
    ]
    rows += [(row, f"{case.name}/{row.title.strip()}") for case in core.CASES for row in case.rows]
    for row, key in rows:
        if key not in numbers:
            continue
        low, middle, high = (value * row.scale for value in spread(numbers[key]))
        floor = spread(numbers[row.floor])[1] * row.scale if row.floor else 0.0
        goal, met = "", True
        if row.share:
            goal, met = f"≥ {row.share:g} {row.floor}", middle >= row.share * floor
        elif row.least:
            goal, met = f"≥ {figure(row.least)} {row.unit}", middle >= row.least
        elif row.most:
            goal, met = f"≤ {figure(row.most)} {row.unit}", middle <= row.most
        beside = f"{middle / floor:.2f} of {row.floor}" if floor else ""
        lines.append(
            (
                row.title,
                f"{figure(middle)} {row.unit}",
                f"{figure(low)}–{figure(high)}",
                f"{figure(min(numbers[key]) * row.scale)}–{figure(max(numbers[key]) * row.scale)}",
                beside,
                goal,
                "" if met else "missed",
            )
        )
        data.append(
            {
                "case": key,
                "unit": row.unit,
                "median": middle,
                "low": low,
                "high": high,
                "values": [value * row.scale for value in numbers[key]],
                "floor": row.floor,
                "goal": goal,
                "met": met,
            }
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip())
    return data


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds and calls, no slow cases")
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}, with --quick {QUICK_ROUNDS}")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name contains TEXT")
    parser.add_argument("--json", type=Path, default=Path("target/bench.json"), help="default: %(default)s")
    options = parser.parse_args()
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)

    folder = tempfile.mkdtemp(prefix="sb-")
    os.environ["SHOAL_TMPDIR"] = folder
    try:
        numbers = measure(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    machine = f"{os.cpu_count()} CPUs, Linux {platform.release()}, CPython {platform.python_version()}"
    load = os.getloadavg()[0]
    print(f"\n{machine}, load {load:.1f}, {options.rounds} rounds\n")
    data = table(numbers)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"machine": machine, "load": load, "rows": data}, indent=1) + "\n")
    print(f"\nwritten to {options.json}")


if __name__ == "__main__":
    main()
