"""`ActorPool`: work spread over a fixed set of actors."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import shoal


class ActorPool:
    """Spreads calls over actors, one call on each at a time. It may be sent into a task or an actor.

    Args:
        actors: Handles of the actors.

    Example:
        >>> import shoal
        >>> @shoal.remote
        ... class Doubler:
        ...     def double(self, x):
        ...         return 2 * x
        >>> pool = shoal.util.ActorPool([Doubler.remote(), Doubler.remote()])
        >>> list(pool.map(lambda actor, x: actor.double.remote(x), [1, 2, 3]))
        [2, 4, 6]
    """

    def __init__(self, actors: Iterable[Any]) -> None:
        self._idle = list(actors)
        # Calls under way: the actor and the place of each by its reference, and the other way round.
        self._running: dict[Any, tuple[int, Any]] = {}
        self._by_place: dict[int, Any] = {}
        self._waiting: list[tuple[Callable[[Any, Any], Any], Any]] = []
        self._next_place = 0
        self._next_result = 0

    def submit(self, fn: Callable[[Any, Any], Any], value: Any) -> None:
        """Calls `fn(actor, value)` as soon as an actor is free; its result waits for `get_next`.

        Args:
            fn: Makes a call of an actor: `lambda actor, value: actor.method.remote(value)`.
            value: What it is called with.
        """
        if not self._idle:
            self._waiting.append((fn, value))
            return
        actor = self._idle.pop()
        ref = fn(actor, value)
        self._running[_key(ref)] = (self._next_place, actor)
        self._by_place[self._next_place] = ref
        self._next_place += 1

    def map(
        self, fn: Callable[[Any, Any], Any] | str, values: Iterable[Any], *, chunk: int | None = None
    ) -> Iterator[Any]:
        """Calls `fn(actor, value)` for each value; an iterator of the results in the order of the values.

        Results of earlier submissions are dropped.

        Args:
            fn: As for `submit`; or the name of a method, which is called with one value after the other, many in one
                message (as `f.map` of a remote function). The method must not be `async`.
            values: What it is called with. With a method's name it is read as results are taken, and may be endless.
            chunk: With a method's name: values in one message; `None` to go by how long they take.

        Raises:
            ValueError: `chunk` is below 1, or given without a method's name; the pool has no idle actor to begin with.

        Example:
            >>> import shoal
            >>> @shoal.remote
            ... class Doubler:
            ...     def double(self, x):
            ...         return 2 * x
            >>> sum(shoal.util.ActorPool([Doubler.remote()]).map("double", range(1000)))
            999000
        """
        if isinstance(fn, str):
            return self._map_method(fn, values, chunk)
        if chunk is not None:
            raise ValueError("ActorPool.map(chunk=) needs the name of a method instead of a function")
        self._start_over(fn, values)
        return self._results(self.get_next)

    def _map_method(self, method: str, values: Iterable[Any], chunk: int | None) -> Iterator[Any]:
        from shoal.util.actor_arrays import method_array

        self._start_over(lambda actor, value: None, ())
        if not self._idle:
            raise ValueError(f"ActorPool.map({method!r}) needs an idle actor, and the pool has none")
        return method_array(list(self._idle), method, values, chunk)

    def map_unordered(self, fn: Callable[[Any, Any], Any], values: Iterable[Any]) -> Iterator[Any]:
        """As `map`, but each result comes as soon as it is ready."""
        self._start_over(fn, values)
        return self._results(self.get_next_unordered)

    def _start_over(self, fn: Callable[[Any, Any], Any], values: Iterable[Any]) -> None:
        while self.has_next():
            try:
                self.get_next_unordered(timeout=0, ignore_if_timedout=True)
            except TimeoutError:
                pass
        for value in values:
            self.submit(fn, value)

    def _results(self, take: Callable[[], Any]) -> Iterator[Any]:
        while self.has_next():
            yield take()

    def has_next(self) -> bool:
        """Whether a result is there or on its way."""
        return bool(self._running)

    def get_next(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:
        """The next result in the order of submission.

        Args:
            timeout: Seconds to wait at most; `None` waits for ever.
            ignore_if_timedout: Whether a result that is late is dropped.

        Raises:
            StopIteration: Nothing is on its way.
            TimeoutError: The time is up.
            ValueError: It was called after `get_next_unordered` took results that came later.
        """
        if not self.has_next():
            raise StopIteration("no more results to get")
        if self._next_result not in self._by_place:
            raise ValueError("get_next() after get_next_unordered() is not possible")
        ref = self._by_place[self._next_result]
        in_time = self._in_time([_last(ref)], timeout)
        if not in_time and not ignore_if_timedout:
            raise TimeoutError("get_next() ran out of time")
        self._next_result += 1
        return self._finish(ref, in_time)

    def get_next_unordered(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:
        """Any result that is ready.

        Args:
            timeout: Seconds to wait at most; `None` waits for ever.
            ignore_if_timedout: Whether a call that is late is dropped.

        Raises:
            StopIteration: Nothing is on its way.
            TimeoutError: The time is up.
        """
        if not self.has_next():
            raise StopIteration("no more results to get")
        refs = {_last(ref): ref for ref in self._by_place.values()}
        ready, rest = shoal.wait(list(refs), num_returns=1, timeout=timeout)
        if not ready and not ignore_if_timedout:
            raise TimeoutError("get_next_unordered() ran out of time")
        ref = refs[ready[0] if ready else rest[0]]
        place = self._running[_key(ref)][0]
        self._next_result = max(self._next_result, place + 1)
        return self._finish(ref, bool(ready))

    def _in_time(self, refs: list[Any], timeout: float | None) -> bool:
        return timeout is None or bool(shoal.wait(refs, timeout=timeout)[0])

    def _finish(self, ref: Any, in_time: bool) -> Any:
        """Gives the call's actor back, and its result."""
        place, actor = self._running.pop(_key(ref))
        del self._by_place[place]
        self._give_back(actor)
        if not in_time:
            raise TimeoutError("the call ran out of time, and its result is dropped")
        return shoal.get(ref)

    def _give_back(self, actor: Any) -> None:
        self._idle.append(actor)
        if self._waiting:
            self.submit(*self._waiting.pop(0))

    def has_free(self) -> bool:
        """Whether an actor is idle and nothing waits for one."""
        return bool(self._idle) and not self._waiting

    def pop_idle(self) -> Any:
        """Takes an idle actor out of the pool; `None` when none is free."""
        return self._idle.pop() if self.has_free() else None

    def push(self, actor: Any) -> None:
        """Puts an actor into the pool.

        Raises:
            ValueError: It is in the pool already.
        """
        if actor in self._idle or any(actor == busy for _, busy in self._running.values()):
            raise ValueError("the actor belongs to the pool already")
        self._give_back(actor)


def _key(ref: Any) -> Any:
    return tuple(ref) if isinstance(ref, list) else ref


def _last(ref: Any) -> Any:
    """What stands for a call of several returns in `wait`: they become ready together."""
    return ref[-1] if isinstance(ref, list) else ref
