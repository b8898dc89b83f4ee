"""Arguments checked where the call is made, so that the TypeError is raised at the caller."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

Plain = list[Any]
"""A shape: `[positional names, required, positional-only, varargs, keyword names, required keywords, varkw]`."""


class Shape:
    """What a function takes.

    Args:
        plain: As `Plain` says.
        name: The function's name, for errors.
    """

    __slots__ = ("_keywords", "_needed_keywords", "_only", "_plain", "_positional", "_varkw", "high", "low", "name")

    def __init__(self, plain: Plain, name: str) -> None:
        positional, required, only, varargs, keywords, needed, varkw = plain
        self._plain = plain
        self._positional: list[str] = positional
        self._only: int = only
        self._keywords = frozenset(keywords)
        self._needed_keywords = frozenset(needed)
        self._varkw: bool = varkw
        self.name = name
        # With so many positional arguments and no keywords, a call is right; required keywords make that never.
        self.low: int = len(positional) + 1 if needed else required
        self.high: int = (1 << 62) if varargs else len(positional)

    @classmethod
    def of(cls, function: Callable[..., Any], name: str, *, skip_first: bool = False) -> "Shape":
        """The shape of `function`, without its first parameter for a method; one that takes anything if unknown."""
        return cls(plain_of(function, skip_first=skip_first), name)

    def check(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Does nothing when the arguments fit.

        Raises:
            TypeError: They don't; the words are those of `inspect.Signature.bind`.
        """
        given = len(args)
        names = self._positional
        required: int = self._plain[1]
        if given > self.high:
            raise TypeError(f"{self.name}() takes {self._count()} but {given} were given")
        for key in kwargs:
            if key in self._keywords:
                continue
            place = names.index(key) if key in names else -1
            if place >= 0 and place < given and place >= self._only:
                raise TypeError(f"{self.name}() got multiple values for argument {key!r}")
            if (place < 0 or place < self._only) and not self._varkw:
                raise TypeError(f"{self.name}() got an unexpected keyword argument {key!r}{self._hint(key)}")
        for place in range(given, required):
            if place < self._only or names[place] not in kwargs:
                raise TypeError(f"{self.name}() missing a required argument: {names[place]!r}")
        for key in self._plain[5]:
            if key not in kwargs:
                raise TypeError(f"{self.name}() missing a required argument: {key!r}")

    def _count(self) -> str:
        most = len(self._positional)
        required: int = self._plain[1]
        number = str(most) if required == most else f"from {required} to {most}"
        return f"{number} positional argument{'' if number == '1' else 's'}"

    def _hint(self, key: str) -> str:
        from shoal.core.nearest import nearest

        near = nearest(key, [*self._positional[self._only :], *self._keywords])
        return f"; did you mean {near!r}?" if near else ""


ANYTHING: Plain = [[], 0, 0, True, [], [], True]


def plain_of(function: Callable[..., Any], *, skip_first: bool = False) -> Plain:
    """What `function` takes, as JSON; anything where Python can't tell."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        return ANYTHING
    if skip_first and parameters and parameters[0].kind in (_ONLY, _EITHER):
        parameters = parameters[1:]
    positional = [p for p in parameters if p.kind in (_ONLY, _EITHER)]
    keywords = [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    return [
        [p.name for p in positional],
        sum(p.default is inspect.Parameter.empty for p in positional),
        sum(p.kind is _ONLY for p in positional),
        any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters),
        [p.name for p in keywords],
        [p.name for p in keywords if p.default is inspect.Parameter.empty],
        any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters),
    ]


_ONLY = inspect.Parameter.POSITIONAL_ONLY
_EITHER = inspect.Parameter.POSITIONAL_OR_KEYWORD
