"""Ids as objects: `from_hex`, `nil`, `hex`, `binary`, equal and hashed by class and bytes.

Example:
    >>> from shoal import NodeID
    >>> NodeID.from_hex("ab" * 16).hex()[:4]
    'abab'
"""

import builtins
import os
from typing import Self

__all__ = [
    "ActorClassID",
    "ActorID",
    "FunctionID",
    "JobID",
    "NodeID",
    "ObjectID",
    "PlacementGroupID",
    "TaskID",
    "UniqueID",
    "WorkerID",
]


class BaseID:
    """The bytes of an id.

    Args:
        binary: Exactly `SIZE` bytes.

    Raises:
        TypeError: `binary` is not bytes.
        ValueError: It has the wrong length.
    """

    SIZE = 16
    __slots__ = ("_bytes",)

    def __init__(self, binary: bytes) -> None:
        if not isinstance(binary, bytes):
            raise TypeError(f"{type(self).__name__} takes bytes, not {type(binary).__name__}")
        if len(binary) != self.SIZE:
            raise ValueError(f"{type(self).__name__} takes {self.SIZE} bytes, not {len(binary)}")
        self._bytes = binary

    @classmethod
    def from_binary(cls, binary: bytes) -> Self:
        """The id with these bytes."""
        return cls(binary)

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """The id that `hex()` wrote.

        Raises:
            ValueError: `text` is no hexadecimal number of the right length.
        """
        return cls(bytes.fromhex(text))

    @classmethod
    def nil(cls) -> Self:
        """The id of nothing: all bits set."""
        return cls(b"\xff" * cls.SIZE)

    @classmethod
    def from_random(cls) -> Self:
        """A random id."""
        return cls(os.urandom(cls.SIZE))

    @classmethod
    def size(cls) -> int:
        """Its length in bytes."""
        return cls.SIZE

    def is_nil(self) -> bool:
        """Whether it is the id of nothing."""
        return self._bytes == b"\xff" * self.SIZE

    def hex(self) -> str:
        """Its bytes as hexadecimal digits."""
        return self._bytes.hex()

    def binary(self) -> bytes:
        """Its bytes."""
        return self._bytes

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, BaseID) and other._bytes == self._bytes

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._bytes))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.hex()})"

    def __reduce__(self) -> tuple[type[Self], tuple[bytes]]:
        return type(self), (self._bytes,)


class UniqueID(BaseID):
    """Any id of 16 bytes."""

    __slots__ = ()


class NodeID(UniqueID):
    """One node daemon's life."""

    __slots__ = ()


class WorkerID(UniqueID):
    """One process that runs tasks or holds a driver."""

    __slots__ = ()


class ActorID(UniqueID):
    """One actor, through all its incarnations."""

    __slots__ = ()


class TaskID(UniqueID):
    """One call or one `put`."""

    __slots__ = ()


class FunctionID(UniqueID):
    """The content of one pickled function."""

    __slots__ = ()


class ActorClassID(FunctionID):
    """The content of one pickled actor class."""

    __slots__ = ()


class PlacementGroupID(UniqueID):
    """One placement group."""

    __slots__ = ()


class ObjectID(BaseID):
    """One value: its task's id and which of its returns, 20 bytes."""

    SIZE = 20
    __slots__ = ()

    def task_id(self) -> TaskID:
        """The call or `put` that made it."""
        return TaskID(self._bytes[:16])


class JobID(BaseID):
    """One driver's job on its instance, 4 bytes."""

    SIZE = 4
    __slots__ = ()

    @classmethod
    def from_int(cls, number: int) -> Self:
        """The job with this number."""
        return cls(number.to_bytes(cls.SIZE, "big"))

    def int(self) -> "builtins.int":
        """Its number."""
        return builtins.int.from_bytes(self._bytes, "big")
