"""`shoal logs`."""

from collections.abc import Callable
from typing import Any

import click

from shoal.cli._common import address_option, looking, timeout_option


class _Logs(click.Group):
    """`shoal logs NAME` is `shoal logs cluster NAME`, as in Ray."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        asks_for_help = "--help" in args[:1]
        if not asks_for_help and (not args or args[0] not in self.commands):
            if args and args[0].isalpha():  # the name of no file: each has a dot
                kinds = ", ".join(sorted(self.commands))
                raise click.UsageError(
                    f"there is no 'logs {args[0]}'; there are {kinds}, and names of files: 'shoal logs' lists them", ctx
                )
            args = ["cluster", *args]
        return super().parse_args(ctx, args)


@click.group("logs", cls=_Logs)
def logs_command() -> None:
    """Shows log files: of an actor, a worker, a task, a job, or by name.

    'shoal logs' lists them, 'shoal logs NAME' shows one; NAME may have * and ?.
    """


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("-f", "--follow", is_flag=True, help="Go on with what is written, until the instance ends."),
        click.option("--tail", type=int, default=1000, show_default=True, help="Lines to begin with; -1: all."),
        click.option("--interval", type=float, help="Taken for Ray's sake: lines are shown as they are written."),
        click.option("--encoding", default="utf-8", show_default=True, help="Of the text."),
        click.option("--encoding-errors", default="replace", show_default=True, help="As Python's bytes.decode."),
        click.option("--node-id", help="The node; by default the only one."),
        click.option("--node-ip", help="The same by its address."),
        timeout_option,
        address_option,
    ):
        command = option(command)
    return command


_err = click.option("--err", is_flag=True, help="Standard error instead of standard output.")


@logs_command.command("cluster")
@click.argument("name", required=False)
@_options
def cluster_command(name: str | None, **given: Any) -> None:
    """Lists log files, or shows the one whose name matches NAME."""
    from shoal.util.state import list_logs

    with looking(given["address"]):
        found = list_logs(given["address"], given["node_id"], given["node_ip"], name, given["timeout"])
        names = [file for files in found.values() for file in files]
        if name is not None and not names:
            raise click.ClickException(f"no log file matches {name!r}; 'shoal logs' lists them")
    if name is not None and len(names) == 1:
        return _show(given, filename=names[0])
    for kind, files in found.items():
        click.echo(f"{kind}:")
        for file in files:
            click.echo(f"  {file}")


@logs_command.command("actor")
@click.option("--id", required=True, help="The actor's id, its beginning, or its name.")
@_err
@_options
def actor_command(id: str, err: bool, **given: Any) -> None:
    """Shows what an actor's process has written."""
    _show(given, err, actor_id=id)


@logs_command.command("worker")
@click.option("--pid", required=True, type=int, help="The worker's process.")
@_err
@_options
def worker_command(pid: int, err: bool, **given: Any) -> None:
    """Shows what a worker's process has written."""
    _show(given, err, pid=pid)


@logs_command.command("task")
@click.option("--id", required=True, help="The task's id, or its beginning.")
@click.option("-a", "--attempt-number", type=int, default=0, help="Taken for Ray's sake: the last attempt is shown.")
@_err
@_options
def task_command(id: str, attempt_number: int, err: bool, **given: Any) -> None:
    """Shows what the process that runs or ran a task has written.

    Whether other tasks have run there, too, is said on standard error: lines are not told apart.
    """
    from shoal.util.state._logs import others_in_log
    from shoal.util.state._snapshot import take

    with looking(given["address"]):
        others = others_in_log(take("tasks", "ended", "ran", timeout=given["timeout"]), id)
        if others is not None:
            click.echo(f"note: {others}", err=True)
    _show(given, err, task_id=id)


@logs_command.command("job")
@click.option("--id", required=True, help="The job's id, as 'shoal list jobs' shows it.")
@_err
@_options
def job_command(id: str, err: bool, **given: Any) -> None:
    """Shows what all workers of a job have written, each line under its name and process."""
    from shoal.util.state._job_logs import job_lines

    with looking(given["address"]):
        lines = job_lines(id, "err" if err else "out", given["follow"], given["tail"], given["timeout"])
        for line in lines:
            click.echo(line.decode(given["encoding"], given["encoding_errors"]), nl=False)


def _show(given: dict[str, Any], err: bool = False, **which: Any) -> None:
    from shoal.util.state import get_log

    with looking(given["address"]):
        pieces = get_log(
            given["address"],
            given["node_id"],
            given["node_ip"],
            follow=given["follow"],
            tail=given["tail"],
            timeout=given["timeout"],
            suffix="err" if err else "out",
            encoding=given["encoding"],
            errors=given["encoding_errors"],
            **which,
        )
    for piece in pieces:
        click.echo(piece, nl=False)
