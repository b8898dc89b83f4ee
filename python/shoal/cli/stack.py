"""`shoal stack`."""

from typing import Any

import click

from shoal.cli._common import address_option, looking


@click.command("stack")
@click.argument("what", required=False)
@click.option("--pid", type=int, help="Only this process.")
@click.option("--task", help="Only the process that runs this task: its id, or the beginning of it.")
@click.option("--actor", help="Only this actor's process: its id, the beginning of it, or its name.")
@click.option("--timeout", type=float, default=5.0, show_default=True, help="Seconds to wait for silent processes.")
@address_option
def stack_command(
    what: str | None, pid: int | None, task: str | None, actor: str | None, timeout: float, address: str | None
) -> None:
    """Shows what the Python code of every worker and driver does now; of WHAT alone, a process's number.

    Workers answer also while their code is stuck in C or keeps the GIL. The last call of each thread comes first.
    """
    from shoal.util.state import list_stacks

    if what is not None:
        if not what.isdigit() or pid is not None:
            raise click.UsageError(f"WHAT is the number of a process, not {what!r}; there are --task and --actor")
        pid = int(what)
    with looking(address):
        rows = list_stacks(address, pid, task, actor, timeout)
    click.echo("\n\n".join(_text(row) for row in rows))


def _text(row: Any) -> str:
    title = f", {row.title}" if row.title else ""
    head = f"process {row.pid} ({row.type.lower()}{title})"
    return f"{head}: no stack: {row.reason}" if row.stack is None else f"{head}:\n{row.stack}"
