"""What a value given for an option may be: each check returns the value as it is used, or says what was wrong."""

import logging
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[str, Any], Any]

STREAMING, DYNAMIC = -1, -2
"""What `num_returns` is for the two kinds of generators."""
_GENERATORS = {"streaming": STREAMING, "dynamic": DYNAMIC}
_MOST_RETURNS = 1_000_000
_MOST = 2**31 - 1
"""Of a count."""

# Resources are counted in steps of 1/10,000.
_STEPS = 10_000


def wrong_type(name: str, takes: str, value: object) -> TypeError:
    """`name` got a value of a type that it doesn't take."""
    return TypeError(f"{name} takes {takes}, not {_show(value)}")


def wrong_value(name: str, takes: str, value: object) -> ValueError:
    """`name` got a value that it doesn't take."""
    return ValueError(f"{name} takes {takes}, not {_show(value)}")


def _show(value: object) -> str:
    text = repr(value)
    text = text if len(text) <= 80 else text[:77] + "..."
    return f"{text} ({type(value).__name__})"


def amount(name: str, value: Any) -> float:
    """A quantity of a resource: a number ≥ 0 with at most four decimals."""
    takes = "a number ≥ 0"
    if isinstance(value, bool) or not isinstance(value, int | float):
        if not hasattr(value, "__float__") or isinstance(value, str | bytes | bool):
            raise wrong_type(name, takes, value)
        value = float(value)
    if not math.isfinite(value) or value < 0:
        raise wrong_value(name, takes, value)
    steps = value * _STEPS
    if abs(steps - round(steps)) > 1e-6 * max(1.0, steps):
        raise wrong_value(name, "at most four decimals", value)
    return float(value)


def gpu_amount(name: str, value: Any) -> float:
    """A quantity of GPUs: a number from 0 to 1, or a whole number."""
    quantity = amount(name, value)
    if quantity > 1 and quantity != int(quantity):
        raise wrong_value(name, "a number from 0 to 1 or a whole number", value)
    return quantity


def byte_count(name: str, value: Any) -> int:
    """A number of bytes > 0; a float counts when it is whole."""
    return _bytes(name, value, "a whole number of bytes > 0", least=1)


def memory_amount(name: str, value: Any) -> float:
    """A number of bytes ≥ 0."""
    return float(_bytes(name, value, "a number of bytes ≥ 0", least=0))


def _bytes(name: str, value: Any, takes: str, *, least: int) -> int:
    if isinstance(value, bool) or not (hasattr(value, "__index__") or isinstance(value, float)):
        raise wrong_type(name, takes, value)
    if not math.isfinite(value) or value != int(value) or value < least:
        raise wrong_value(name, takes, value)
    return int(value)


def whole(minimum: int, *, minus_one: str = "") -> Check:
    """A whole number from `minimum` on; with `minus_one`, also -1, which means that."""
    takes = f"a whole number ≥ {minimum}" + (f" or -1 ({minus_one})" if minus_one else "")

    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise wrong_type(name, takes, value)
        number = value.__index__()
        if number < minimum and not (minus_one and number == -1):
            raise wrong_value(name, takes, value)
        if number > _MOST:
            raise wrong_value(name, f"at most {_MOST:,}", value)
        return int(number)

    return check


def text(name: str, value: Any) -> str:
    """A string that isn't empty."""
    if not isinstance(value, str):
        raise wrong_type(name, "a string", value)
    if not value:
        raise wrong_value(name, "a string that is not empty", value)
    return value


def any_text(name: str, value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise wrong_type(name, "a string", value)
    return value


def folders(name: str, value: Any) -> list[str]:
    """A folder, or several: as a list, or separated by commas."""
    takes = "a folder or a list of folders"
    given = value.split(",") if isinstance(value, str) else [value] if isinstance(value, os.PathLike) else value
    if not isinstance(given, list | tuple) or not given:
        raise wrong_type(name, takes, value)
    found = []
    for item in given:
        if not isinstance(item, str | os.PathLike):
            raise wrong_type(name, takes, value)
        path = os.fspath(item)
        if "://" in path:
            raise ValueError(f"{name} takes folders of this machine so far, not the URL {path!r}")
        if not path.strip():
            raise wrong_value(name, takes, value)
        found.append(os.path.abspath(os.path.expanduser(path.strip())))
    return found


def truth(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise wrong_type(name, "True or False", value)
    return value


def anything(name: str, value: Any) -> Any:
    """Any value."""
    return value


def mapping(name: str, value: Any) -> Any:
    """A dict."""
    if not isinstance(value, Mapping):
        raise wrong_type(name, "a dict", value)
    return value


def one_of(*choices: str) -> Check:
    """One of some strings."""
    takes = " or ".join(map(repr, choices))

    def check(name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise wrong_type(name, takes, value)
        if value not in choices:
            raise wrong_value(name, takes, value)
        return value

    return check


_RESERVED = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory", "object_store_memory": "object_store_memory"}


def custom_resources(name: str, value: Any) -> dict[str, float]:
    """Custom resources: numbers ≥ 0 by name."""
    if not isinstance(value, Mapping):
        raise wrong_type(name, "a dict of numbers by name", value)
    result = {}
    for key, quantity in value.items():
        if not isinstance(key, str) or not key:
            raise wrong_type(name, "names that are strings", key)
        if key in _RESERVED:
            raise ValueError(f"{name} doesn't take {key!r}: use {_RESERVED[key]}=")
        result[key] = amount(f"{name}[{key!r}]", quantity)
    return result


def exception_types(name: str, value: Any) -> Any:
    """True, False, or a list of exception types."""
    takes = "True, False or a list of exception types"
    if isinstance(value, bool):
        return value
    if not isinstance(value, list | tuple):
        raise wrong_type(name, takes, value)
    for item in value:
        if not (isinstance(item, type) and issubclass(item, BaseException)):
            raise wrong_type(name, takes, item)
    return tuple(value)


def return_count(name: str, value: Any) -> int:
    """How many values a call returns."""
    takes = 'a whole number ≥ 0, "streaming" or "dynamic"'
    if isinstance(value, str):
        if value not in _GENERATORS:
            raise wrong_value(name, takes, value)
        return _GENERATORS[value]
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise wrong_type(name, takes, value)
    number = int(value.__index__())
    if not 0 <= number <= _MOST_RETURNS:
        raise wrong_value(name, takes if number < 0 else f"at most {_MOST_RETURNS:,}", value)
    return number


def unread_items(name: str, value: Any) -> int:
    """After how many items that nobody has read a generator waits; -1: it never does."""
    takes = "a whole number ≥ 1 or -1 (without limit)"
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise wrong_type(name, takes, value)
    number = int(value.__index__())
    if number < 1 and number != -1:
        raise wrong_value(name, takes, value)
    return number


def concurrency_groups(name: str, value: Any) -> dict[str, int]:
    """Limits by name, or a list of `{"name": ..., "max_concurrency": ...}`."""
    takes = "a dict of limits by name"
    if isinstance(value, list):
        try:
            value = {group["name"]: group["max_concurrency"] for group in value}
        except (TypeError, KeyError):
            raise wrong_type(name, takes, value) from None
    if not isinstance(value, Mapping):
        raise wrong_type(name, takes, value)
    return {text(f"{name}'s names", key): int(whole(1)(f"{name}[{key!r}]", limit)) for key, limit in value.items()}


def store(name: str, value: Any) -> Any:
    """A store of values by key, as those of `shoal.util.persistence`."""
    methods = ("exists", "save", "restore")
    if isinstance(value, type) or not all(callable(getattr(value, method, None)) for method in methods):
        raise wrong_type(name, "an object with exists, save and restore", value)
    return value


def persistence(name: str, value: Any) -> Any:
    """A `Persistence`."""
    from shoal.core.persistent import Persistence

    if not isinstance(value, Persistence):
        raise wrong_type(name, "a shoal.util.persistence.Persistence", value)
    return value


def runtime_env(name: str, value: Any) -> dict[str, Any]:
    """A runtime environment."""
    from shoal.core import runtime_env as environments

    return environments.check(value)


def logging_level(name: str, value: Any) -> Any:
    """A level of `logging`, by number or by name in either case."""
    takes = "a level of logging, such as 'INFO' or 20"
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise wrong_type(name, takes, value)
    if isinstance(value, str) and not isinstance(logging.getLevelName(value.upper()), int):
        raise wrong_value(name, takes, value)
    return value


def logging_config(name: str, value: Any) -> Any:
    """A `LoggingConfig`, or `None`."""
    from shoal.logging_config import LoggingConfig

    if value is not None and not isinstance(value, LoggingConfig):
        raise wrong_type(name, "a LoggingConfig", value)
    return value
