"""The table of settings: what a user may tune, by environment variable or `init(_system_config={name: value})`.

`docs/settings.md` is made from it: `python -m shoal.core.settings > docs/settings.md`. The daemon's defaults are those
of `Settings` in `crates/shoal-node/src/config.rs`.
"""

import math
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from shoal.core.nearest import nearest

Number = float | int | bool

_OTHERS = frozenset(("ADDRESS", "COMPAT", "TMPDIR"))
"""What other `SHOAL_…` variables mean something."""


class Setting(NamedTuple):
    """One row of the table."""

    name: str
    default: Number
    takes: str
    check: Callable[[str], Number]
    """Makes a value of its text; raises `ValueError` if it is none."""
    meaning: str
    node: bool = True
    """Whether it is the node daemon's: set when that is started, for all drivers."""
    shown: str = ""
    """The default in words."""

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"SHOAL_{self.name.upper()}"

    @property
    def ray(self) -> tuple[str, str]:
        """Ray's names of that variable, which count under `shoal.compat`."""
        return f"RAY_{self.name}", f"RAY_{self.name.upper()}"


def _whole(minimum: int) -> Callable[[str], Number]:
    def check(text: str) -> int:
        number = int(text)
        if number < minimum:
            raise ValueError(text)
        return number

    return check


def _number(low: float, high: float = math.inf) -> Callable[[str], Number]:
    def check(text: str) -> float:
        number = float(text)
        if not low <= number <= high or math.isinf(number):
            raise ValueError(text)
        return number

    return check


def _seconds_or_never(text: str) -> Number:
    number = float(text)
    if number != -1 and not 0 <= number < math.inf:
        raise ValueError(text)
    return number


def _switch(text: str) -> bool:
    words = {"0": False, "1": True, "false": False, "true": True}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


_ROWS = [
    Setting(
        "automatic_object_spilling_enabled",
        True,
        "1 or 0",
        _switch,
        "Whether objects that the object store has no room for go to disk. Without it, a full object store is "
        "`ObjectStoreFullError`.",
    ),
    Setting(
        "infeasible_grace",
        30.0,
        "a number of seconds ≥ 0, or -1 for never",
        _seconds_or_never,
        "After how long a task or actor that needs more than any node has is an error: `TaskUnschedulableError`, "
        "`ActorUnschedulableError`.",
        shown="30 after `init()`, -1 after `shoal start`",
    ),
    Setting(
        "warn_waiting_seconds",
        10.0,
        "a number of seconds ≥ 0, or -1 for never",
        _seconds_or_never,
        "After how long tasks or an actor that wait for what running work will not release are told on standard error.",
    ),
    Setting(
        "dedup_logs",
        True,
        "1 or 0",
        _switch,
        "Equal lines that several workers print within 3 s are shown once, with their count.",
        node=False,
    ),
    Setting(
        "enforce_memory",
        False,
        "1 or 0",
        _switch,
        "Whether `memory=` of a task or actor is a limit: a control group kills what needs more. Where such groups "
        "can't be made, `init()` says so.",
    ),
    Setting(
        "local_fs_capacity_threshold",
        0.95,
        "a number from 0 to 1",
        _number(0.0, 1.0),
        "Share of a file system in use from which on nothing more is spilled to it.",
    ),
    Setting(
        "hints",
        True,
        "1 or 0",
        _switch,
        "Whether hints are given on standard error, each once a process: that the same large value is copied for call "
        "after call, that tasks are shorter than what sending them costs, that each is waited for before the next.",
        node=False,
    ),
    Setting(
        "log_burst_lines",
        10_000,
        "a whole number ≥ 1",
        _whole(1),
        "Lines of one stream of a worker that reach the driver within a second. The others are counted, and are in its "
        "log file.",
    ),
    Setting(
        "log_rotate_bytes",
        64 << 20,
        "a whole number of bytes ≥ 1024",
        _whole(1024),
        "Size at which a worker's log file begins anew.",
        shown="64 MiB",
    ),
    Setting(
        "log_rotate_count",
        3,
        "a whole number ≥ 0",
        _whole(0),
        "Older log files that are kept for each stream of a worker, as `.1`, `.2` and so on.",
    ),
    Setting(
        "log_rotate_seconds",
        86_400.0,
        "a number of seconds ≥ 1",
        _number(1.0),
        "Age at which a worker's log file begins anew, with the next line.",
        shown="a day",
    ),
    Setting(
        "max_lineage_bytes",
        256 << 20,
        "a whole number of bytes ≥ 0",
        _whole(0),
        "What a process keeps of tasks that are over, to make lost values of the object store again. Beyond it "
        "the oldest are let go of; 0 keeps none.",
        shown="256 MiB",
    ),
    Setting(
        "memory_monitor_interval",
        0.25,
        "a number of seconds ≥ 0",
        _number(0.0),
        "Shortest time between two looks at how much memory is used, while a task runs or an actor lives; a tenth of "
        "it when little is left; 0 turns the memory monitor off.",
    ),
    Setting(
        "memory_usage_threshold",
        0.95,
        "a number from 0 to 1",
        _number(0.0, 1.0),
        "Share of the memory of the machine, or of the tightest control group around the node, that may be used before "
        "a worker process is killed.",
    ),
    Setting(
        "object_spilling_threshold",
        0.8,
        "a number from 0 to 1",
        _number(0.0, 1.0),
        "Share of the object store in use from which on objects are written to disk, before their room is needed.",
    ),
    Setting(
        "object_store_full_seconds",
        10.0,
        "a number of seconds ≥ 0",
        _number(0.0, 86_400.0),
        "How long `put` and results wait for room when neither the object store nor a disk has any, before "
        "`ObjectStoreFullError`.",
    ),
    Setting(
        "record_ref_creation_sites",
        False,
        "1 or 0",
        _switch,
        "Whether the line that made it is recorded for every reference, for `shoal memory`; of values above 100 KiB "
        "that are put or passed it always is. It adds about 1.3 µs to each call and `put`.",
        node=False,
    ),
]

TABLE: dict[str, Setting] = {row.name: row for row in _ROWS}


def value(name: str, default: Number | None = None) -> Number:
    """A setting's value as the environment has it.

    Args:
        name: A name of the table.
        default: Its default, where that is another than the table's.

    Raises:
        ValueError: The variable has something else than the setting takes.
    """
    row = TABLE[name]
    names = (row.variable, *row.ray) if os.environ.get("SHOAL_COMPAT") else (row.variable,)
    for variable in names:
        text = os.environ.get(variable)
        if text:
            return _checked(row, variable, text)
    return row.default if default is None else default


def of_node(given: Mapping[str, Any] | None = None, defaults: Mapping[str, Number] | None = None) -> dict[str, Number]:
    """The settings of a new node daemon.

    Args:
        given: `init(_system_config=...)`, which counts before the environment.
        defaults: Defaults that are others than the table's.

    Raises:
        ValueError: A value is none that its setting takes.
    """
    found = {name: value(name, (defaults or {}).get(name)) for name, row in TABLE.items() if row.node}
    for name, what in (given or {}).items():
        found[name] = _checked(TABLE[name], f"_system_config[{name!r}]", str(what))
    return found


def check(option: str, given: Any) -> dict[str, Any]:
    """A mapping of settings of the node; the check of `_system_config`.

    Raises:
        TypeError: It is no mapping.
        ValueError: A name is unknown, or no setting of the node, or a value is none that its setting takes.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"{option} takes a dict of settings, not {given!r}")
    for name, what in given.items():
        row = TABLE.get(name)
        if row is None:
            close = nearest(str(name), list(TABLE))
            hint = f"; did you mean {close!r}?" if close else ""
            raise ValueError(f"{option} has {name!r}, which is no setting{hint}")
        if not row.node:
            raise ValueError(f"{option} has {name!r}, which is a driver's own: set {row.variable}")
        _checked(row, f"{option}[{name!r}]", str(what))
    return dict(given)


def misspelt() -> list[str]:
    """A sentence for each variable of the environment that is like a setting's, and none."""
    prefix = "SHOAL_"
    known = {row.variable.removeprefix(prefix) for row in TABLE.values()} | _OTHERS
    told = []
    for variable in os.environ:
        name = variable.removeprefix(prefix)
        if variable != name and name not in known and (close := nearest(name, known)):
            told.append(f"{variable} is no setting of shoal; did you mean {prefix}{close}?")
    return told


def _checked(row: Setting, where: str, text: str) -> Number:
    try:
        return row.check(text)
    except ValueError:
        raise ValueError(f"{where} takes {row.takes}, not {text!r}") from None


_HEAD = """# Settings

Made from `python/shoal/core/settings.py` by `python -m shoal.core.settings`; don't edit it by hand.

Each is an environment variable. Those of the *node* count when an instance is started, by `init()` or `shoal start`;
`init` takes them by name, too: `init(_system_config={"log_rotate_count": 5})`. Those of the *driver* count in each
`init()`. A variable whose name is like one of these, and none, is warned of. Under `shoal.compat`, the same names that
begin with `RAY_` count as well.

| Variable | Takes | Default | Whose | Meaning |
|---|---|---|---|---|
"""


def page() -> str:
    """The text of `docs/settings.md`.

    Example:
        >>> from shoal.core.settings import page
        >>> page().splitlines()[0]
        '# Settings'
    """
    return _HEAD + "".join(_row(row) for row in TABLE.values())


def _row(row: Setting) -> str:
    default = row.shown or f"{float(row.default):g}"
    return f"| `{row.variable}` | {row.takes} | {default} | {'node' if row.node else 'driver'} | {row.meaning} |\n"


if __name__ == "__main__":
    print(page(), end="")
