"""`shoal timeline`."""

import os
import time

import click

from shoal.cli._common import address_option, looking, timeout_option


@click.command("timeline")
@click.argument("file", required=False)
@timeout_option
@address_option
def timeline_command(file: str | None, timeout: float, address: str | None) -> None:
    """Writes what ran when to FILE, a trace that https://ui.perfetto.dev opens; by default to a new file here."""
    import json
    import warnings

    from shoal.util.timeline import events, look

    with looking(address), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = events(look(timeout))
    for warning in caught:
        click.echo(f"warning: {warning.message}", err=True)
    path = file or time.strftime("shoal-timeline-%Y-%m-%d_%H-%M-%S.json")
    try:
        with open(path, "w", encoding="utf-8") as out:
            json.dump(found, out)
    except OSError as error:
        raise click.ClickException(f"the timeline can't be written: {error}") from error
    count = sum(event["ph"] == "X" for event in found)
    click.echo(f"{count} tasks in {os.path.abspath(path)}; open it in https://ui.perfetto.dev")
