"""Handles of actors and their methods."""

from typing import TYPE_CHECKING, Any

from shoal.core.actor_meta import BUILT_IN, ActorMeta, MethodMeta, decode
from shoal.core.options import Scope, check_options
from shoal.core.signature import ANYTHING, Shape

if TYPE_CHECKING:
    from shoal.core._ffi import ActorRef
    from shoal.ids import ActorID

RETRY_TYPES = "__shoal_retry_types__"
"""The argument in which `.options(retry_exceptions=[...])` travels; the worker takes it out (`worker.rs`)."""


class ActorMethod:
    """A method of an actor: `handle.name.remote(...)` sends a call."""

    __slots__ = ("_call", "_high", "_listed", "_low", "_meta", "_name", "_ref", "_shape", "_with")

    def __init__(self, ref: "ActorRef", actor: ActorMeta, name: str, meta: MethodMeta) -> None:
        self._ref, self._name, self._meta = ref, name, meta
        self._call = ref.call
        self._shape = Shape(meta.shape, f"{actor.class_name}.{name}")
        self._low, self._high = self._shape.low, self._shape.high
        retries = actor.max_task_retries if meta.max_task_retries is None else meta.max_task_retries
        self._with = (meta.num_returns, retries, bool(meta.retry_exceptions))
        self._listed = isinstance(meta.retry_exceptions, tuple)

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Sends a call and returns at once.

        Args:
            *args: Arguments; a reference among them is replaced by its value, one inside another value is passed on.
            **kwargs: The same by name.

        Returns:
            An `ObjectRef`, a list of them for `num_returns` > 1, `None` for 0; an `ObjectRefGenerator` for a generator.

        Raises:
            TypeError: The arguments don't fit the method, or can't be serialized.
            PendingCallsLimitExceeded: This process has `max_pending_calls` calls of the actor pending.
        """
        if kwargs or not self._low <= len(args) <= self._high:
            self._shape.check(args, kwargs)
        if self._listed:
            kwargs[RETRY_TYPES] = self._meta.retry_exceptions
        returns, retries, retry = self._with
        if returns < 0:
            limit = self._meta.backpressure
            return self._ref.stream(self._name, self._meta.group, args, kwargs or None, returns, retries, retry, limit)
        return self._call(self._name, self._meta.group, args, kwargs or None, returns, retries, retry)

    def options(self, **options: Any) -> "ActorMethod":
        """The same method with other options: `num_returns`, `concurrency_group`, `max_task_retries`, ...

        Raises:
            ValueError: An option is unknown, not supported yet, or out of range.
            TypeError: An option has the wrong type.
        """
        actor = decode(self._ref.meta)
        checked = check_options(Scope.METHOD, options, what=f"{self._shape.name}.options()", in_options=True)
        retry = checked.get("retry_exceptions", self._meta.retry_exceptions)
        if checked.get("retry_exceptions") is True:
            # Listed, so that it stands over a list of `@method`.
            retry = (Exception,)
        group = checked.get("concurrency_group", self._meta.group)
        if group and group not in actor.groups:
            raise ValueError(f"{actor.class_name} has no concurrency group {group!r}; it has {sorted(actor.groups)}")
        meta = MethodMeta(
            checked.get("num_returns", self._meta.num_returns),
            group,
            checked.get("max_task_retries", self._meta.max_task_retries),
            retry,
            self._meta.shape,
            checked.get("_generator_backpressure_num_objects", self._meta.backpressure),
        )
        return ActorMethod(self._ref, actor, self._name, meta)

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        """Not supported yet: graphs of calls."""
        raise ValueError("bind() is not supported yet")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises a TypeError: a method of an actor is called with `.remote()`."""
        raise TypeError(
            f"an actor's method can't be called directly: instead of 'actor.{self._name}()' "
            f"use 'actor.{self._name}.remote()'"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _method, (self._ref, self._name, self._meta)

    def __repr__(self) -> str:
        return f"<method {self._shape.name} of the actor {self._ref.actor_id.hex()}>"


def _method(ref: "ActorRef", name: str, meta: MethodMeta) -> ActorMethod:
    return ActorMethod(ref, decode(ref.meta), name, meta)


_BUILT_IN_META = MethodMeta(1, "", None, False, ANYTHING)


class ActorHandle:
    """An actor as its users hold it: each method is an attribute with `.remote()`.

    Equal and hashed by the actor. It may be passed to tasks and actors, and stored; the actor ends when the last
    handle is gone, unless it is detached or named. Handles from `get_actor` don't count.

    Example:
        >>> import shoal
        >>> @shoal.remote
        ... class Counter:
        ...     def __init__(self):
        ...         self.n = 0
        ...     def add(self, k=1):
        ...         self.n += k
        ...         return self.n
        >>> counter = Counter.remote()
        >>> shoal.get(counter.add.remote(5))
        5
    """

    _shoal_ref: "ActorRef"

    def __init__(self, ref: "ActorRef") -> None:
        self.__dict__["_shoal_ref"] = ref

    def __getattr__(self, name: str) -> ActorMethod:
        ref = self.__dict__.get("_shoal_ref")
        if ref is None:
            raise AttributeError(name)
        actor = decode(ref.meta)
        meta = actor.methods.get(name) or (_BUILT_IN_META if name in BUILT_IN else None)
        if meta is None:
            raise AttributeError(_no_method(actor, name))
        # The method holds the reference to the actor, not this handle: a cycle would keep the actor alive.
        method = self.__dict__[name] = ActorMethod(ref, actor, name, meta)
        return method

    @property
    def _actor_id(self) -> "ActorID":
        from shoal.ids import ActorID

        return ActorID(self._shoal_ref.actor_id)

    _ray_actor_id = _actor_id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorHandle) and other._shoal_ref.actor_id == self._shoal_ref.actor_id

    def __hash__(self) -> int:
        return hash(self._shoal_ref.actor_id)

    def __repr__(self) -> str:
        return f"Actor({self._shoal_ref.class_name}, {self._shoal_ref.actor_id.hex()})"

    def __dir__(self) -> list[str]:
        return [*decode(self._shoal_ref.meta).methods, *BUILT_IN]

    def __reduce__(self) -> tuple[Any, ...]:
        return ActorHandle, (self._shoal_ref,)


def _no_method(actor: ActorMeta, name: str) -> str:
    from shoal.core.nearest import nearest

    near = nearest(name, actor.methods)
    return f"the actor class {actor.class_name!r} has no method {name!r}" + (
        f"; did you mean {near!r}?" if near else ""
    )
