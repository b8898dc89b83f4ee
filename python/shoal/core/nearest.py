"""The name that was probably meant."""

from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that is most like `name`, `None` when none is.

    Example:
        >>> from shoal.core.nearest import nearest
        >>> nearest("num_cpu", ["num_cpus", "num_gpus"])
        'num_cpus'
    """
    from difflib import get_close_matches

    found = get_close_matches(name, list(names), n=1, cutoff=0.7)
    return found[0] if found else None
