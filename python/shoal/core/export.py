"""Functions and classes as bytes that other processes load, addressed by content."""

import pickle
import warnings
import weakref
from collections.abc import Callable
from typing import Any

from shoal.core.serialization import dumps

try:
    # What hashlib.blake2b is, without the import of OpenSSL.
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

RetryTypes = tuple[type[BaseException], ...]

_WARN_BYTES = 32 << 20
_MAX_BYTES = 512 << 20


class Export:
    """One function or class as it travels."""

    __slots__ = ("blob", "id")

    def __init__(self, blob: bytes) -> None:
        self.blob = blob
        self.id = blake2b(blob, digest_size=16).digest()


# What this process loaded, by function: a function that calls itself again goes on under the same id.
_LOADED: "weakref.WeakKeyDictionary[Any, tuple[Any, Export]]" = weakref.WeakKeyDictionary()


def export(target: Any, extra: Any, name: str) -> Export:
    """`target`, a function or a class, with `extra` (retry types) as bytes.

    Raises:
        TypeError: It can't be pickled; the text says which captured variable is to blame.
        ValueError: It has more than 512 MiB.
    """
    known = _loaded(target)
    if known is not None and known[0] == extra:
        return known[1]
    try:
        blob = dumps((target, extra))
    except Exception as error:
        from shoal.core.unserializable import explain

        raise explain(error, target, name) from error
    if len(blob) > _WARN_BYTES:
        _report_size(target, name, len(blob))
    return Export(blob)


def _loaded(target: Any) -> tuple[Any, Export] | None:
    try:
        return _LOADED.get(target)
    except TypeError:
        return None


def load(blob: bytes) -> tuple[Any, Any]:
    """The function or class of an export, and its extra."""
    target, extra = pickle.loads(blob)
    try:
        _LOADED[target] = (extra, Export(blob))
    except TypeError:
        pass  # neither hashable nor weakly referable: exported again when it is needed
    return target, extra


def load_function(blob: bytes) -> tuple[Callable[..., Any], RetryTypes | None]:
    """A remote function, and the exceptions that it is retried for (`None`: all)."""
    function, retry_types = load(blob)
    return function, retry_types


def _report_size(target: Any, name: str, size: int) -> None:
    from shoal.core.captured import largest

    names = ", ".join(f"{what} ({count >> 20} MiB)" for what, count in largest(target, size // 20))
    blame = f"; it captured {names}" if names else ""
    text = f"{name} has {size >> 20} MiB when pickled{blame}. Put large values once with put(), and pass the reference"
    if size > _MAX_BYTES:
        raise ValueError(f"{text}; more than {_MAX_BYTES >> 20} MiB is not possible")
    warnings.warn(text, stacklevel=_user_level())


def _user_level() -> int:
    """The stack level of the first frame that is not shoal's."""
    import sys

    from shoal.core.tracebacks import is_own

    level = 1
    while True:
        try:
            frame = sys._getframe(level)
        except ValueError:
            return level
        if not is_own(frame.f_code.co_filename):
            return level
        level += 1
