"""How an actor ends itself."""

from typing import NoReturn


class ActorExit(SystemExit):
    """Raised by `exit_actor()`; ends the actor when it reaches its runtime, with the exit code 0."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how


def exit_actor() -> NoReturn:
    """Ends the actor that this method runs in: the call and all later ones get `ActorDiedError`; it isn't restarted.

    Raises:
        TypeError: This is no method of an actor.

    Example:
        >>> import shoal
        >>> @shoal.remote
        ... class A:
        ...     def leave(self):
        ...         shoal.actor.exit_actor()
        >>> try:
        ...     shoal.get(A.remote().leave.remote())
        ... except shoal.exceptions.ActorDiedError:
        ...     print("gone")
        gone
    """
    from shoal.core.actor_runtime import in_actor

    if not in_actor():
        raise TypeError("exit_actor() works in an actor's methods only, and this is none")
    raise ActorExit("exit_actor()")
