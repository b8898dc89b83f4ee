"""The command `shoal`: an instance that outlives its drivers on this machine."""

import json
from typing import Any

import click

from shoal.cli.logs import logs_command
from shoal.cli.memory import memory_command
from shoal.cli.stack import stack_command
from shoal.cli.state import get_command, list_command, summary_command, why_command
from shoal.cli.timeline import timeline_command
from shoal.version import version


@click.group()
@click.version_option(version(), prog_name="shoal")
def main() -> None:
    """Starts, stops and shows an instance of shoal on this machine."""


for _command in (
    list_command,
    get_command,
    summary_command,
    timeline_command,
    why_command,
    logs_command,
    stack_command,
    memory_command,
):
    main.add_command(_command)


@main.command()
@click.option("--head", is_flag=True, help="Start a new instance (the only way so far).")
@click.option("--num-cpus", type=float, help="CPUs; by default those that this process may use.")
@click.option("--num-gpus", type=float, help="GPUs; by default those that are visible.")
@click.option("--resources", default=None, help="Custom resources as JSON, such as '{\"disk\": 2}'.")
@click.option("--memory", type=int, help="Bytes of memory that tasks may reserve.")
@click.option(
    "--object-store-memory", type=int, help="Bytes of the object store; by default 30 % of what is available."
)
@click.option(
    "--object-spilling-directory",
    default=None,
    help="Folder, or several separated by commas, for objects that the object store has no room for.",
)
def start(head: bool, resources: str | None, memory: int | None, **sizes: Any) -> None:
    """Starts an instance that runs until 'shoal stop'."""
    from shoal.core import settings
    from shoal.core.options import Scope, check_options
    from shoal.runtime import launch
    from shoal.runtime.config import node_config

    if not head:
        raise click.UsageError("joining another machine is not supported yet: use 'shoal start --head'")
    for told in settings.misspelt():
        click.echo(f"warning: {told}", err=True)
    given = {**sizes, "resources": _json(resources), "_memory": memory}
    try:
        config = node_config(check_options(Scope.INIT, given, what="shoal start"), owned=False)
        info = launch.start_persistent(config)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error
    address = info["address"]
    click.echo(f"an instance runs at {address}")
    click.echo("programs join it by shoal.init() or shoal.init(address='auto'); 'shoal stop' ends it")


def _json(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"--resources takes JSON, not {text!r}: {error}") from error


@main.command()
def stop() -> None:
    """Ends the instance that 'shoal start' left running, with all that runs in it."""
    from shoal.core import _ffi
    from shoal.runtime import launch

    record = launch.read_current()
    if record is None:
        click.echo("no instance runs")
        return
    _join(record["address"])
    _ffi.stop_instance()
    if not _ended(record["pid"]):
        raise click.ClickException(f"the instance was asked to stop, and its process {record['pid']} still runs")
    launch.forget_current(record)
    click.echo("stopped")


def _ended(pid: int, seconds: float = 10.0) -> bool:
    """Waits until a process is gone, so that the next 'shoal start' finds none."""
    import os
    import select

    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(fd)


@main.command()
@click.option("--address", default=None, help="Of the instance; by default the running one.")
@click.option("-v", "--verbose", is_flag=True, help="Everything that the node tells, as JSON.")
def status(address: str | None, verbose: bool) -> None:
    """Shows what runs, and what is free."""
    from shoal.core import _ffi

    _join(address)
    found = json.loads(_ffi.status())
    if verbose:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"node {found['node']} at {found['address']}, up {found['uptime']:.0f} s, pid {found['pid']}")
    click.echo(f"session {found['session']}")
    _show_resources(found["resources"])
    click.echo("workers: " + ", ".join(f"{count} {kind}" for kind, count in found["workers"].items()))
    store = found["object_store"]
    click.echo(f"object store: {store['objects']} objects, {_size(store['used'])} of {_size(store['capacity'])} used")
    spilled = store["spilled"]
    if spilled["objects"]:
        click.echo(f"on disk: {spilled['objects']} objects, {_size(spilled['file_bytes'])} in {spilled['files']} files")
    for line in found["waiting"]:
        click.echo(f"waiting: {line if isinstance(line, str) else json.dumps(line)}")


def _show_resources(resources: dict[str, dict[str, float]]) -> None:
    for name, total in sorted(resources["total"].items()):
        show = _size if name.endswith("memory") else "{:g}".format
        click.echo(f"{name}: {show(resources['available'].get(name, 0))} of {show(total)} free")


def _size(count: float) -> str:
    return f"{count / (1 << 20):,.0f} MiB"


def _join(address: str | None = None) -> None:
    from shoal.runtime.session import init

    try:
        init(address=address or "auto", log_to_driver=False)
    except (ConnectionError, ValueError) as error:
        raise click.ClickException(str(error)) from error
