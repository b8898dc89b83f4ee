"""`shoal list`, `shoal get`, `shoal summary`, `shoal why`."""

import json
import re
from typing import Any

import click

from shoal.cli._common import address_option, looking, timeout_option
from shoal.cli._format import table, yaml

_KINDS = ("tasks", "actors", "objects", "workers", "nodes", "jobs")
_FORMATS = click.Choice(["table", "yaml", "json"])


@click.command("list")
@click.argument("resource", type=click.Choice(_KINDS))
@click.option("--format", "form", type=_FORMATS, default="table", show_default=True, help="How rows are shown.")
@click.option("-f", "--filter", "filters", multiple=True, help="COLUMN=VALUE (or !=, <, <=, >, >=); all must hold.")
@click.option("--limit", type=int, default=100, show_default=True, help="Most rows.")
@click.option("--detail", is_flag=True, help="Every column.")
@timeout_option
@address_option
def list_command(
    resource: str, form: str, filters: tuple[str, ...], limit: int, detail: bool, timeout: float, address: str | None
) -> None:
    """Lists tasks, actors, objects, workers, nodes or jobs."""
    import warnings

    from shoal.util import state

    with looking(address), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = getattr(state, f"list_{resource}")(
            filters=[_filter(text) for text in filters],
            limit=limit,
            timeout=timeout,
            detail=detail,
            raise_on_missing_output=False,
            _explain=True,
        )
    columns = [] if not rows else rows[0].columns() if detail else rows[0].base_columns()
    shown = [{name: row[name] for name in columns} for row in rows]
    if form == "table":
        click.echo(table(shown, columns) if shown else f"no {resource}")
    else:
        _echo(shown, form)
    for warning in caught:
        click.echo(f"warning: {warning.message}", err=True)


def _filter(text: str) -> tuple[str, str, str]:
    found = re.fullmatch(r"\s*(\w+)\s*(!=|<=|>=|=|<|>)\s*(.*?)\s*", text)
    if found is None:
        raise click.UsageError(f"--filter takes COLUMN=VALUE (or !=, <, <=, >, >=), not {text!r}")
    return found[1], found[2], found[3]


def _echo(value: Any, form: str) -> None:
    click.echo(json.dumps(value, indent=2, default=str) if form == "json" else yaml(value))


@click.command("get")
@click.argument("resource", type=click.Choice(_KINDS))
@click.argument("id")
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), default="yaml", help="How it is shown.")
@timeout_option
@address_option
def get_command(resource: str, id: str, form: str, timeout: float, address: str | None) -> None:
    """Shows everything about one task, actor, object, worker, node or job."""
    from shoal.util import state

    name = resource if resource == "objects" else resource[:-1]
    with looking(address):
        found = getattr(state, f"get_{name}")(id, timeout=timeout)
    if not found:
        raise click.ClickException(f"there is no {resource[:-1]} with the id {id!r}")
    _echo([row.asdict() for row in found] if isinstance(found, list) else found.asdict(), form)


@click.command("summary")
@click.argument("resource", type=click.Choice(["tasks", "actors", "objects"]))
@click.option("--format", "form", type=_FORMATS, default="table", show_default=True, help="How it is shown.")
@timeout_option
@address_option
def summary_command(resource: str, form: str, timeout: float, address: str | None) -> None:
    """Counts tasks by function, actors by class, or objects by where they were made."""
    from shoal.util import state

    with looking(address):
        found = getattr(state, f"summarize_{resource}")(timeout=timeout, raise_on_missing_output=False)["cluster"]
    if form != "table":
        return _echo(found, form)
    for key, value in found.items():
        if key != "summary":
            click.echo(f"{key}: {value:g}" if isinstance(value, float) else f"{key}: {value}")
    rows = [{found["summary_by"]: name, **row} for name, row in found["summary"].items()]
    if rows:
        click.echo(table(rows, list(rows[0])))


@click.command("why")
@click.argument("id", required=False)
@click.option("--timeout", type=float, default=5.0, show_default=True, help="Seconds to wait for silent processes.")
@address_option
def why_command(id: str | None, timeout: float, address: str | None) -> None:
    """Says why something waits: a task, an object, an actor (id or name), a process number; without ID, whatever waits.

    An id may be cut, as long as it stands for one thing.
    """
    from shoal.util import explain

    with looking(address):
        found = explain.look(timeout)
        click.echo(explain.explain_all(found) if id is None else explain.explain(found, id))
