"""`Persistence`: the option `persistent=` of actors."""

import math
from typing import Any


class Persistence:
    """Where the state of an actor is saved, under which key, and when: `@remote(persistent=Persistence(...))`.

    The state is what the actor's `__shoal_save__()` returns, else its attributes. When the actor starts, anew or again,
    its `__init__` runs with its arguments, and where the store has the key, `__shoal_restore__(state)` (else the
    attributes are set). A key belongs to one actor at a time.

    Args:
        store: One of `shoal.util.persistence`, or any object with `exists`, `save` and `restore` as they have them. It
            travels to the actor's process by pickle.
        key: The state's name in the store.
        every: `"call"`: after each method that is not `@shoal.method(read_only=True)`, before its reply leaves, so
            that what a caller saw is never lost. A number > 0: so many seconds after the first change; up to that much
            is lost when the process dies, nothing when it ends by itself, at `shutdown()` or by `shoal stop`, if the
            call that runs then and the save take no more than 3 seconds.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: `every` or `key` is out of range.
    """

    __slots__ = ("every", "key", "store")

    def __init__(self, store: Any, key: str, every: str | float = "call") -> None:
        from shoal.core import checks

        self.store, self.key = checks.store("Persistence(store=)", store), checks.text("Persistence(key=)", key)
        self.every = every if every == "call" else _seconds(every)

    @property
    def seconds(self) -> float | None:
        """`every` as seconds, `None` for "call"."""
        return None if isinstance(self.every, str) else self.every

    def __repr__(self) -> str:
        return f"Persistence({self.store!r}, {self.key!r}, every={self.every!r})"


def _seconds(every: Any) -> float:
    from shoal.core import checks

    takes = '"call" or a number of seconds > 0'
    if isinstance(every, bool) or not isinstance(every, int | float):
        wrong = checks.wrong_value if isinstance(every, str) else checks.wrong_type
        raise wrong("Persistence(every=)", takes, every)
    if not math.isfinite(every) or every <= 0:
        raise checks.wrong_value("Persistence(every=)", takes, every)
    return float(every)
