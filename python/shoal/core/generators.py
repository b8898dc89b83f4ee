"""What a call of a generator gives: `ObjectRefGenerator`, and `DynamicObjectRefGenerator` when all is done."""

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Generic, TypeVar

from shoal.core import _ffi

T = TypeVar("T")


class ObjectRefGenerator(Generic[T]):
    """The items of a remote generator, as references, each as soon as it is yielded.

    Made by calling a remote generator function or method. `for` and `async for` give an `ObjectRef` an item; an item is
    taken once, by whoever asks first, here or in a process that it was passed to. An exception of the generator is its
    last item: `get` of that reference raises it. When the last `ObjectRefGenerator` of a call is gone, its generator is
    closed at its next `yield`.

    Example:
        >>> import shoal
        >>> @shoal.remote
        ... def count(n):
        ...     for i in range(n):
        ...         yield i
        >>> [shoal.get(ref) for ref in count.remote(3)]
        [0, 1, 2]
    """

    __slots__ = ("_stream",)

    def __init__(self, stream: "_ffi.StreamRef") -> None:
        self._stream = stream

    def __iter__(self) -> "Iterator[_ffi.ObjectRef[T]]":
        return self

    def __next__(self) -> "_ffi.ObjectRef[T]":
        """The reference of the next item, as soon as there is one.

        Raises:
            StopIteration: There are no more.
            OwnerDiedError: The process that called the generator is gone, and this is another one.
        """
        ref = self._stream.next(None)
        assert ref is not None, "a wait without limit ends with an item"
        return ref

    def __aiter__(self) -> "AsyncIterator[_ffi.ObjectRef[T]]":
        return self

    async def __anext__(self) -> "_ffi.ObjectRef[T]":
        """As `__next__`, without blocking the event loop.

        Raises:
            StopAsyncIteration: There are no more.
        """
        from shoal.core.futures import when

        while True:
            try:
                ref = self._stream.next(0.0)
            except StopIteration:
                raise StopAsyncIteration from None
            if ref is not None:
                return ref
            await when(self._stream)

    def _next_sync(self, timeout_s: float | None = None) -> "_ffi.ObjectRef[T]":
        """As `__next__`, for `timeout_s` seconds at most; then a nil reference. `None` and -1 wait for ever."""
        limit = None if timeout_s is None or timeout_s == -1 else timeout_s
        ref = self._stream.next(limit)
        return _ffi.ObjectRef.nil() if ref is None else ref

    async def _next_async(self, timeout_s: float | None = None) -> "_ffi.ObjectRef[T]":
        """As `__anext__`, for `timeout_s` seconds at most; then a nil reference. `None` and -1 wait for ever."""
        import asyncio

        limit = None if timeout_s is None or timeout_s == -1 else timeout_s
        try:
            return await asyncio.wait_for(self.__anext__(), limit)
        except TimeoutError:
            return _ffi.ObjectRef.nil()

    def completed(self) -> "_ffi.ObjectRef[None]":
        """A reference that is ready when the generator is over: `None`, also when it raised.

        An exception of its own is its last item and nothing more; any other error (a worker that died, a cancel) is
        raised by `get` of this reference, too.
        """
        return self._stream.completed()

    def next_ready(self) -> bool:
        """Whether `next` would give a reference at once."""
        return self._stream.ready()

    def is_finished(self) -> bool:
        """Whether all items were taken, and the generator is over."""
        return self._stream.finished()

    def task_id(self) -> Any:
        """The id of the generator's task."""
        from shoal.ids import TaskID

        return TaskID(self._stream.task_id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectRefGenerator) and other._stream.task_id == self._stream.task_id

    def __hash__(self) -> int:
        return hash(self._stream.task_id)

    def __repr__(self) -> str:
        return f"ObjectRefGenerator({self._stream.task_id.hex()})"

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectRefGenerator, (self._stream,)


class DynamicObjectRefGenerator(Generic[T]):
    """The items of a generator called with `num_returns="dynamic"`, as references; each is given once.

    Example:
        >>> import shoal
        >>> @shoal.remote(num_returns="dynamic")
        ... def count(n):
        ...     for i in range(n):
        ...         yield i
        >>> items = shoal.get(count.remote(3))
        >>> len(items), shoal.get(list(items))
        (3, [0, 1, 2])
    """

    def __init__(self, refs: "Iterable[_ffi.ObjectRef[T]]") -> None:
        self._refs = deque(refs)

    def __iter__(self) -> "Iterator[_ffi.ObjectRef[T]]":
        return self

    def __next__(self) -> "_ffi.ObjectRef[T]":
        if not self._refs:
            raise StopIteration
        return self._refs.popleft()

    def __len__(self) -> int:
        return len(self._refs)

    def __repr__(self) -> str:
        return f"DynamicObjectRefGenerator({len(self)} references)"
