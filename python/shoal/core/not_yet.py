"""Names that are known and not there yet: they can be imported and looked at, and say so when they are used."""

from typing import Any


def not_yet(name: str) -> type:
    """A class of this name that raises `ValueError: NAME is not supported yet` when it is called.

    Example:
        >>> from shoal.core.not_yet import not_yet
        >>> try:
        ...     not_yet("client")("host")
        ... except ValueError as e:
        ...     print(e)
        client is not supported yet
    """

    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        raise ValueError(f"{name} is not supported yet")

    return type(name.rpartition(".")[2], (), {"__new__": new, "__module__": "shoal", "__doc__": "Not supported yet."})
