"""Options of tasks, actors, methods and `init`: one table, and the check of what a program gives against it."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from shoal.core.checks import Check


class Scope(Enum):
    """Where an option may be given."""

    TASK = "task"
    ACTOR = "actor"
    METHOD = "method"
    INIT = "init()"


class Status(Enum):
    """What an option does here."""

    SUPPORTED = "supported"
    NO_EFFECT = "checked, changes nothing here"
    NOT_YET = "not supported yet"


class Option(NamedTuple):
    """One row of the table."""

    name: str
    check: Check
    takes: str
    default: str
    status: Status
    harmless: tuple[Any, ...] = ()
    """For `NOT_YET`: values that change nothing, and are taken."""
    note: str = ""
    only_decorator: bool = False
    """Whether `.options()` doesn't take it."""


Table = Mapping[str, Option]


def table(scope: Scope) -> Table:
    """The options of a scope by name, in the order of the table."""
    from shoal.core.option_table import TABLES

    return TABLES[scope]


def check_options(scope: Scope, given: Mapping[str, Any], *, what: str, in_options: bool = False) -> dict[str, Any]:
    """The options that count, each checked.

    Args:
        scope: Of what.
        given: Options by name; `None` means unset.
        what: Words for the place, such as "@remote of a function", for errors.
        in_options: Whether they were given to `.options()`.

    Returns:
        The supported ones that are set, as they are used.

    Raises:
        ValueError: A name is unknown or not supported yet, or a value is out of range.
        TypeError: A value has the wrong type.
    """
    options = table(scope)
    result = {}
    for name, value in given.items():
        option = options.get(name)
        if option is None:
            raise unknown(name, scope, what)
        if in_options and option.only_decorator:
            decorator = "@method" if scope is Scope.METHOD else "@remote"
            raise ValueError(f"{name} is an option of {decorator}, not of .options()")
        if value is None:
            continue
        if option.status is Status.NOT_YET:
            if not any(type(value) is type(other) and value == other for other in option.harmless):
                raise not_yet(name, value)
            continue
        checked = option.check(name, value)
        if option.status is Status.SUPPORTED:
            result[name] = checked
    return result


def not_yet(name: str, value: object) -> ValueError:
    """For an option that is known and not there yet."""
    shown = f"{name}={value!r}" if isinstance(value, str | int | float | bool) else name
    return ValueError(f"{shown} is not supported yet")


def unknown(name: str, scope: Scope, what: str) -> ValueError:
    """For an option that there isn't, naming the nearest that there is, or where it does belong."""
    from shoal.core.nearest import nearest

    elsewhere = [other for other in Scope if other is not scope and name in table(other)]
    near = nearest(name, table(scope))
    if near is not None:
        hint = f"; did you mean {near!r}?"
    elif elsewhere:
        hint = f"; it is an option of {' and '.join(_PLURAL[other] for other in elsewhere)}"
    else:
        hint = f"; it takes {', '.join(sorted(known for known in table(scope) if not known.startswith('_')))}"
    return ValueError(f"{what} has no option {name!r}{hint}")


_PLURAL = {Scope.TASK: "tasks", Scope.ACTOR: "actors", Scope.METHOD: "methods", Scope.INIT: "init()"}
