"""`remote` and `method`."""

from collections.abc import Callable
from typing import Any, TypeVar

from shoal.core.actor_meta import MARK
from shoal.core.options import Scope, check_options
from shoal.core.remote_function import RemoteFunction, is_function

F = TypeVar("F", bound=Callable[..., Any])


def remote(*args: Any, **options: Any) -> Any:
    """Makes a function a remote function, or a class an actor class.

    Used bare (`@remote`), with options (`@remote(num_cpus=2)`), or as a call (`remote(f)`). The options are listed in
    the documentation's page on compatibility.

    Args:
        *args: The function or class, when used bare.
        **options: Options of tasks or of actors; `None` means unset.

    Returns:
        A `RemoteFunction` or an `ActorClass`, or the decorator that makes one.

    Raises:
        TypeError: It was applied to something else, or an option has the wrong type.
        ValueError: An option is unknown, not supported yet, or out of range.

    Example:
        >>> import shoal
        >>> @shoal.remote
        ... def square(x):
        ...     return x * x
        >>> shoal.get(square.remote(3))
        9
    """
    if len(args) == 1 and not options and (is_function(args[0]) or isinstance(args[0], type)):
        return _make(args[0], {})
    if args:
        raise TypeError(
            "@remote is applied to a function or a class, bare or with options by name such as @remote(num_cpus=2), "
            f"not to {type(args[0]).__name__!r}"
        )
    return lambda target: _make(target, options)


def _make(target: Any, options: dict[str, Any]) -> Any:
    if isinstance(target, type):
        from shoal.core.actor_class import ActorClass

        return ActorClass(target, options)
    if is_function(target):
        return RemoteFunction(target, options)
    raise TypeError(f"@remote is applied to a function or a class, not to {type(target).__name__!r}")


def method(*args: Any, **options: Any) -> Callable[[F], F]:
    """Gives a method of an actor class options of its own.

    Args:
        *args: None: it is used with options by name only.
        **options: `num_returns` (1), `concurrency_group`, `max_task_retries` (the actor's), `retry_exceptions`
            (False, True, or a list of exception types), `enable_task_events`, `read_only` (False; true for a
            method that doesn't change the state which `persistent=` saves).

    Returns:
        The decorator.

    Raises:
        TypeError: It was used bare, or an option has the wrong type.
        ValueError: An option is unknown, not supported yet, or out of range.

    Example:
        >>> import shoal
        >>> @shoal.remote
        ... class Pair:
        ...     @shoal.method(num_returns=2)
        ...     def both(self):
        ...         return 1, 2
        >>> shoal.get(Pair.remote().both.remote())
        [1, 2]
    """
    if args or not options:
        raise TypeError("@method takes options by name, such as @method(num_returns=2)")
    checked = check_options(Scope.METHOD, options, what="@method")

    def mark(function: F) -> F:
        setattr(function, MARK, checked)
        return function

    return mark
