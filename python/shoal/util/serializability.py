"""`inspect_serializability`."""

from typing import Any, NamedTuple


class FailureTuple(NamedTuple):
    """One thing that can't be serialized."""

    obj: Any
    """The thing."""
    name: str
    """Words for it."""
    parent: Any
    """What holds it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FailureTuple) and self.obj is other.obj and self.name == other.name

    def __hash__(self) -> int:
        return hash((id(self.obj), self.name))


def inspect_serializability(
    obj: Any, name: str | None = None, depth: int = 3, print_file: Any = None
) -> tuple[bool, set[FailureTuple]]:
    """Looks whether something can be serialized, and says on which path it can't.

    Args:
        obj: What to look at.
        name: Words for it; by default its own name.
        depth: How deep to look.
        print_file: Where the report is printed; `None` for standard output.

    Returns:
        Whether it can be, and the innermost things that can't.

    Example:
        >>> import threading, shoal
        >>> ok, failures = shoal.util.inspect_serializability({"a": threading.Lock()}, name="d")
        ... # doctest: +ELLIPSIS
        d can't be serialized: d → ['a'] is a 'lock', which can't: ...
        >>> ok, len(failures)
        (False, 1)
    """
    from shoal.core.unserializable import explain, failure, parts

    name = name or getattr(obj, "__qualname__", None) or repr(obj)[:60]
    error = failure(obj)
    if error is None:
        return True, set()
    print(explain(error, obj, name), file=print_file)
    failures: set[FailureTuple] = set()

    def walk(value: Any, words: str, parent: Any, left: int) -> None:
        bad = [(what, part) for what, part in parts(value) if failure(part) is not None] if left else []
        if not bad:
            failures.add(FailureTuple(value, words, parent))
        for what, part in bad:
            walk(part, what, value, left - 1)

    walk(obj, name, None, depth)
    return False, failures
