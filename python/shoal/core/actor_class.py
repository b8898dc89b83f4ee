"""Actor classes: what `@remote` makes of a class."""

import os
from collections.abc import Mapping
from typing import Any

from shoal.core.actor_handle import ActorHandle
from shoal.core.actor_meta import ActorMeta, constructor_shape, describe
from shoal.core.live import LIVE
from shoal.core.options import Scope, check_options
from shoal.core.signature import Shape

_WHAT = "@remote of a class"


class ActorClass:
    """A class whose instances are actors: `A.remote(...)` makes one, in a process of its own.

    Made by `@remote`. It can't be subclassed: keep the base class undecorated, and decorate the subclasses.

    Example:
        >>> import shoal
        >>> @shoal.remote
        ... class Greeter:
        ...     def greet(self, name):
        ...         return f"hello {name}"
        >>> shoal.get(Greeter.remote().greet.remote("you"))
        'hello you'
    """

    def __init__(self, cls: type, options: Mapping[str, Any]) -> None:
        self._class = cls
        self._options = check_options(Scope.ACTOR, options, what=_WHAT)
        self._start()
        self._look()

    def _start(self) -> None:
        """Empty caches. Nothing looks at the class yet: while a pickle is loaded it may be half made."""
        self._exports: dict[str, tuple[int, Any]] = {}
        self._epoch, self._spec = 0, dict[str, Any]()

    def _look(self) -> None:
        """Takes name, documentation, methods and shape from the class."""
        cls = self._class
        self._shape = Shape(constructor_shape(cls), cls.__name__)
        self._meta = describe(cls, self._options)
        self._unordered = unordered(self._meta, self._options)
        self.__name__, self.__qualname__ = cls.__name__, cls.__qualname__
        self.__module__, self.__doc__ = cls.__module__, cls.__doc__
        self.__wrapped__ = cls

    @property
    def __ray_actor_class__(self) -> type:
        return self._class

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises a TypeError: an actor is made with `.remote()`."""
        name = self._class.__name__
        raise TypeError(f"an actor can't be made directly: instead of '{name}()' use '{name}.remote()'")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        name = self._class.__name__
        raise TypeError(
            f"the actor class {name} can't be subclassed: keep {name} a plain class, and apply @remote to its subclass"
        )

    def remote(self, *args: Any, **kwargs: Any) -> ActorHandle:
        """Makes an actor and returns its handle at once; the constructor runs in the actor's process.

        Args:
            *args: For the constructor; kept for restarts.
            **kwargs: The same by name.

        Returns:
            The actor's handle. Where the constructor raises, calls of its methods raise `ActorDiedError` with its text.

        Raises:
            ActorAlreadyExistsError: Another actor has the name (a `ValueError`).
            TypeError: The arguments don't fit the constructor, or can't be serialized.
        """
        from shoal.core import _ffi

        if self._epoch != LIVE.epoch or not self._epoch:
            self._prepare(args, kwargs)
        if kwargs or not self._shape.low <= len(args) <= self._shape.high:
            self._shape.check(args, kwargs)
        return ActorHandle(_ffi.create_actor(self._spec, args, kwargs or None))

    def options(self, **options: Any) -> "ActorClass":
        """The same class with other options; those not given stay.

        Raises:
            ValueError: An option is unknown, not supported yet, or out of range.
            TypeError: An option has the wrong type.
        """
        checked = check_options(Scope.ACTOR, options, what=f"{self._class.__name__}.options()", in_options=True)
        kept = {name: value for name, value in self._options.items() if name not in options}
        other = ActorClass.__new__(ActorClass)
        other.__setstate__((self._class, {**kept, **checked}))
        other._look()
        if other._options.get("persistent") is self._options.get("persistent"):
            other._exports = self._exports
        return other

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        """Not supported yet: graphs of calls."""
        raise ValueError("bind() is not supported yet")

    def _prepare(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Makes what creating an actor takes, once a session, which a wrong call must not begin."""
        from shoal.runtime.session import ensure

        if self._options.get("get_if_exists") and "name" not in self._options:
            raise ValueError("get_if_exists=True needs a name")
        self._look()
        self._shape.check(args, kwargs)
        ensure()
        self._spec = self._make_spec()
        self._epoch = LIVE.epoch

    def _make_spec(self) -> dict[str, Any]:
        from shoal.core import _ffi
        from shoal.core.templates import effective_env, resources

        options, export = self._options, self._export()
        return {
            "class_id": export.id,
            "class_bytes": export.blob,
            "class_name": self.__name__,
            "name": options.get("name", ""),
            "namespace": options.get("namespace") or _ffi.session()["namespace"],
            "detached": options.get("lifetime") == "detached",
            # Ray ends a named actor with its handles, the seed with its job.
            "named_lives_on": not os.environ.get("SHOAL_COMPAT"),
            "get_if_exists": options.get("get_if_exists", False),
            "resources": resources(options, default_cpus=0.0),
            "placement": resources(options, default_cpus=1.0),
            "runtime_env": effective_env(options.get("runtime_env")),
            "max_restarts": options.get("max_restarts", 0),
            "max_task_retries": options.get("max_task_retries", 0),
            "unordered": self._unordered,
            "meta": self._meta.encode(),
            "max_pending_calls": options.get("max_pending_calls", -1),
        }

    def _export(self) -> Any:
        """The pickled class with `persistent=`: made once a session, shared by the copies that `options()` makes."""
        from shoal.core.export import export

        epoch, made = self._exports.get("", (0, None))
        if epoch != LIVE.epoch:
            made = export(self._class, self._options.get("persistent"), f"the class {self.__name__}")
            self._exports[""] = (LIVE.epoch, made)
        return made

    def __getstate__(self) -> tuple[Any, ...]:
        return self._class, self._options

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._class, self._options = state
        self._start()

    def __repr__(self) -> str:
        return f"<actor class {self._class.__qualname__}>"


def unordered(meta: ActorMeta, options: Mapping[str, Any]) -> bool:
    """Whether the calls of one caller may overtake each other.

    Raises:
        ValueError: They would, and `allow_out_of_order_execution=False` was given.
    """
    free = meta.max_concurrency > 1 or bool(meta.groups)
    allowed: bool | None = options.get("allow_out_of_order_execution")
    if free and allowed is False:
        raise ValueError(
            f"allow_out_of_order_execution=False is not possible for {meta.class_name}: "
            "calls of threaded and async actors may overtake each other"
        )
    return free or bool(allowed)
