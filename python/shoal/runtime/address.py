"""Which instance `init()` joins."""

import os
from typing import NamedTuple

_FORMS = "None, 'auto', 'local', 'unix:PATH' or 'HOST:PORT'"


class Target(NamedTuple):
    """An instance to join, or to be started."""

    path: str | None
    """Its Unix socket; `None` for a new instance."""
    found: bool
    """Whether nobody named it: a running instance was looked for."""


def resolve(address: str | None, *, sized: bool) -> Target:
    """Finds the instance that an address stands for.

    Args:
        address: As `init` takes it.
        sized: Whether the size of a new instance was given (`num_cpus`, `num_gpus`, `resources`,
            `object_store_memory`, `object_spilling_directory`).

    Raises:
        ValueError: The address has no known form, or a size was given for an instance that runs already.
        ConnectionError: "auto", and no instance runs.
    """
    named = from_environment() if address in (None, "", "auto") else address
    if named == "local" or (named is None and sized and address != "auto"):
        return Target(None, False)
    if named is None:
        running = current()
        if running is None and address == "auto":
            raise ConnectionError("init(address='auto') found no running instance: 'shoal start --head' starts one")
        if running is None or not sized:
            return Target(None if running is None else path_of(running), address != "auto")
        named = running
    if sized:
        raise ValueError(
            "num_cpus, num_gpus, resources, object_store_memory, object_spilling_directory and _system_config can't be "
            f"given for the instance {named!r}, which runs already; address='local' starts a new one"
        )
    return Target(path_of(named), False)


def from_environment() -> str | None:
    """The address that the environment names, if it does; empty and "auto" name none."""
    address = os.environ.get("SHOAL_ADDRESS")
    if not address and os.environ.get("SHOAL_COMPAT"):
        address = os.environ.get("RAY_ADDRESS")
    return None if address in (None, "", "auto") else address


def path_of(address: str) -> str:
    """The socket's path of an address."""
    if address.startswith("unix:") and len(address) > len("unix:"):
        return address.removeprefix("unix:")
    if "://" in address:
        raise ValueError(f"address={address!r} is not supported yet")
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        raise ValueError(f"address={address!r} is not supported yet: name the instance by 'auto' or 'unix:PATH'")
    raise ValueError(f"address takes {_FORMS}, not {address!r}")


def current() -> str | None:
    """The address of the instance that `shoal start` left running for this user."""
    from shoal.runtime import launch

    found = launch.read_current()
    return None if found is None else str(found["address"])
