"""What commands that look at an instance share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

F = Callable[..., Any]


def address_option(command: F) -> F:
    """`--address`."""
    return click.option(
        "--address",
        default=None,
        help="Of the instance: unix:PATH; by default that of 'shoal start', or the only one that runs.",
    )(command)


def timeout_option(command: F) -> F:
    """`--timeout`."""
    return click.option(
        "--timeout",
        type=float,
        default=30.0,
        show_default=True,
        help="Seconds to wait for processes that don't answer.",
    )(command)


@contextmanager
def looking(address: str | None) -> Iterator[None]:
    """A session that looks at the instance; what goes wrong is said in a sentence."""
    from shoal.runtime.attach import attached
    from shoal.util.state import RayStateApiException

    try:
        with attached(address):
            yield
    except BrokenPipeError:
        raise  # who reads what is shown has seen enough
    except (ConnectionError, ValueError, TypeError, RayStateApiException) as error:
        raise click.ClickException(str(error)) from error
