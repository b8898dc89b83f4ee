"""What a case says of itself: its rows, and the bars that a row's numbers are held to. Data only."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """A limit for the numbers of a row: `value`, in the row's unit or as a share of what `of` names.

    `of` is a floor ("P1"), another row of the same case, or "cores/ROW": the cores over that row's CPU time a call,
    which is the rate at which that work keeps every core busy.
    """

    value: float
    of: str = ""
    most: bool = False  # the number may be this at most; else it must be this at least

    def text(self, unit: str) -> str:
        sign = "≤" if self.most else "≥"
        if self.of.startswith("cores/"):
            return f"{sign} {self.value:g} of busy cores"
        return f"{sign} {self.value:g} × {self.of}" if self.of else f"{sign} {figure(self.value)} {unit}".rstrip()

    def reached(self, measured: float) -> bool:
        return measured <= self.value if self.most else measured >= self.value


def at_least(value: float, of: str = "") -> Bar:
    return Bar(value, of)


def at_most(value: float, of: str = "") -> Bar:
    return Bar(value, of, most=True)


#: Wall time: at least 0.6 of what the cores could do at the CPU time a call that the row "cpu" has.
BUSY = at_least(0.6, "cores/cpu")


@dataclass(frozen=True)
class Row:
    """One line of the table. Cases give plain seconds, bytes and calls a second; `scale` makes the unit of them."""

    title: str
    unit: str = ""
    scale: float = 1.0
    must: tuple[Bar, ...] = ()
    aim: tuple[Bar, ...] = ()


def rate(title: str, *must: Bar, aim: Sequence[Bar] = ()) -> Row:
    return Row(title, "/s", 1.0, must, tuple(aim))


def cpu(*must: Bar, aim: Sequence[Bar] = (), title: str = "  CPU of all processes") -> Row:
    return Row(title, "µs", 1e6, must, tuple(aim))


def seconds(title: str, *must: Bar, aim: Sequence[Bar] = ()) -> Row:
    return Row(title, "s", 1.0, must, tuple(aim))


def micros(title: str, *must: Bar, aim: Sequence[Bar] = ()) -> Row:
    return Row(title, "µs", 1e6, must, tuple(aim))


def speed(title: str, *must: Bar, aim: Sequence[Bar] = ()) -> Row:
    return Row(title, "GB/s", 1e-9, must, tuple(aim))


def memory(title: str, *must: Bar, aim: Sequence[Bar] = ()) -> Row:
    return Row(title, "MB", 1e-6, must, tuple(aim))


def figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


@dataclass(frozen=True)
class Verdict:
    """A bar beside what was measured: in the row's unit, or as a share of what the bar is a share of."""

    bar: Bar
    measured: float
    reached: bool


def judge(bar: Bar, row: Row, key: str, rounds: Sequence[Mapping[str, float]], cores: int) -> Verdict | None:
    """Holds the median over the rounds to a bar; shares are taken round by round, so that both saw the same machine.

    A round is the numbers of a case by row, and the floors by name. `None` where what the bar is a share of is missing.
    """
    values = []
    for numbers in rounds:
        if key not in numbers:
            continue
        if not bar.of:
            values.append(numbers[key] * row.scale)
        elif bar.of.startswith("cores/"):
            values.append(numbers[key] * numbers[bar.of.removeprefix("cores/")] / cores)
        elif bar.of in numbers:
            values.append(numbers[key] / numbers[bar.of])
    if not values:
        return None
    measured = statistics.median(values)
    return Verdict(bar, measured, bar.reached(measured))
