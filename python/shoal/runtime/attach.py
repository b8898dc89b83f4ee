"""A session that only looks: for the command line, and for `shoal.util.state` in a process that has none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from shoal.core.live import LIVE


@contextmanager
def attached(address: str | None = None) -> Iterator[None]:
    """Joins an instance without beginning a job; in a process that has a session, that session is used.

    Args:
        address: `unix:PATH`; `None` or "auto": the one that `SHOAL_ADDRESS` names, else the one of `shoal start`,
            else the only one of this user that runs.

    Raises:
        ConnectionError: There is no instance, or more than one to choose from; the text names them.
        ValueError: The address has no known form.
    """
    if LIVE.epoch and address in (None, "", "auto"):
        yield
        return
    if LIVE.epoch:
        raise ValueError(f"this process has a session already: address={address!r} can't be given")
    from shoal.core import _ffi
    from shoal.core.hooks import HOOKS

    found = find(address)
    _ffi.set_hooks(HOOKS)
    try:
        _ffi.connect_tool(found)
    except ConnectionError as error:
        raise ConnectionError(f"no instance of shoal answers at {found!r}: {error}") from error
    try:
        yield
    finally:
        _ffi.disconnect(False)


def find(address: str | None) -> str:
    """The address of the instance to look at; see `attached`."""
    from shoal.runtime import launch
    from shoal.runtime.address import current, from_environment, path_of

    named = from_environment() if address in (None, "", "auto") else address
    named = named or current()
    if named is not None:
        return f"unix:{path_of(named)}"
    running = launch.running_sessions()
    if len(running) == 1:
        return f"unix:{os.path.join(running[0], 'node.sock')}"
    if not running:
        raise ConnectionError("no instance of shoal runs on this machine for this user")
    several = "".join(f"\n  --address unix:{os.path.join(session, 'node.sock')}" for session in running)
    raise ConnectionError(f"{len(running)} instances run: say which by one of{several}")
