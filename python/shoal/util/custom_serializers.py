"""How instances of a class travel, by functions of the user's own."""

from collections.abc import Callable
from typing import Any, TypeVar

from shoal.core.serialization import set_reducer

T = TypeVar("T")
# C's pickler writes these itself and asks nobody.
_FIXED = frozenset((type(None), bool, int, float, bytes, bytearray, str, tuple, list, dict, set, frozenset, type))


def register_serializer(cls: type[T], *, serializer: Callable[[T], Any], deserializer: Callable[[Any], T]) -> None:
    """Instances of `cls` travel from this process as what `serializer` makes of them.

    The deserializer travels along, so that whoever receives the value needs no registration. Other processes register
    for what they send themselves. Instances of subclasses are not concerned. Registering again replaces.

    Args:
        cls: The class, none of those that are always pickled in one way (`int`, `str`, `list`, `dict`...).
        serializer: Makes of an instance something that can be pickled; arrays in it stay zero-copy.
        deserializer: Makes the instance again.

    Raises:
        TypeError: `cls` is no class, or one that is always pickled in one way, or a function can't be called.

    Example:
        >>> import threading, shoal
        >>> class Counter:
        ...     def __init__(self, n):
        ...         self.n, self.lock = n, threading.Lock()
        >>> shoal.util.register_serializer(Counter, serializer=lambda c: c.n, deserializer=Counter)
        >>> shoal.get(shoal.put(Counter(3))).n
        3
        >>> shoal.util.deregister_serializer(Counter)
    """
    _check("register_serializer", cls)
    for name, function in (("serializer", serializer), ("deserializer", deserializer)):
        if not callable(function):
            raise TypeError(f"register_serializer takes a function as {name}, not {type(function).__name__}")

    def reduce(obj: T) -> tuple[Any, ...]:
        return deserializer, (serializer(obj),)

    set_reducer(cls, reduce)


def deregister_serializer(cls: type) -> None:
    """Instances of `cls` travel from this process as they did before `register_serializer`; nothing if there was none.

    Raises:
        TypeError: `cls` is no class.

    Example:
        >>> import shoal
        >>> shoal.util.deregister_serializer(complex)
    """
    _check("deregister_serializer", cls)
    set_reducer(cls, None)


def _check(where: str, cls: Any) -> None:
    if not isinstance(cls, type):
        raise TypeError(f"{where} takes a class, not {type(cls).__name__}")
    if cls in _FIXED:
        raise TypeError(f"{where}: instances of {cls.__name__} are always pickled in one way")
