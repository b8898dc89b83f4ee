"""`shoal memory`."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import click

from shoal.cli._common import address_option, looking, timeout_option
from shoal.cli._format import table

_UNITS = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_GROUPS: dict[str, Callable[[Any], str]] = {
    "NODE_ADDRESS": lambda row: str(row.ip),
    "STACK_TRACE": lambda row: str(row.call_site),
}
_ORDERS: dict[str, Callable[[Any], Any]] = {
    "PID": lambda row: (row.type != "DRIVER", row.pid),
    "OBJECT_SIZE": lambda row: -row.object_size,
    "REFERENCE_TYPE": lambda row: row.reference_type,
}
_COLUMNS = ("pid", "type", "object_id", "size", "where", "reference", "owner", "held_by", "call_site")


@click.command("memory")
@click.option("--group-by", type=click.Choice(list(_GROUPS)), default="NODE_ADDRESS", show_default=True)
@click.option("--sort-by", type=click.Choice(list(_ORDERS)), default="OBJECT_SIZE", show_default=True)
@click.option("--units", type=click.Choice(list(_UNITS)), default="B", show_default=True, help="Of sizes.")
@click.option("--stats-only", is_flag=True, help="Only what the object store holds.")
@click.option("-n", "--num-entries", type=click.IntRange(min=1), help="Rows of each group; by default all.")
@timeout_option
@address_option
def memory_command(
    group_by: str,
    sort_by: str,
    units: str,
    stats_only: bool,
    num_entries: int | None,
    timeout: float,
    address: str | None,
) -> None:
    """Shows every reference: size, where the value is, which process holds it and how, and the line that made it.

    A row is one object in one process. Lines are known of values above 100 KiB that were put or passed; of all
    references with SHOAL_RECORD_REF_CREATION_SITES=1.
    """
    from shoal.util.state import _rows
    from shoal.util.state._snapshot import MOST, take

    with looking(address):
        look = take(*(() if stats_only else ("tasks", "ended", "objects")), timeout=timeout)
    if not stats_only:
        groups: dict[str, list[Any]] = {}
        for row in sorted(_known(_rows.objects(look)), key=_ORDERS[sort_by]):
            groups.setdefault(_GROUPS[group_by](row), []).append(row)
        for name, rows in groups.items():
            _show_group(f"{group_by.lower().replace('_', ' ')} {name}", rows, units, num_entries, look)
        if not groups:
            click.echo("no references\n")
    for node in look.nodes:
        _show_store(node["object_store"], units)
    for process in look.silent():
        click.echo(f"warning: process {process.pid} is {process.silent}", err=True)
    if cut := look.left_out("objects"):
        click.echo(f"warning: {cut:,} references are beyond the {MOST:,} that one process sends", err=True)


def _known(rows: list[Any]) -> list[Any]:
    """Who borrows a value and has not read it yet doesn't know its size and place, but its owner does."""
    owned = {row.object_id: row for row in rows if row.owner_pid == row.pid}
    for row in rows:
        owner = owned.get(row.object_id)
        if row.place == "nowhere" and owner is not None:
            row.place, row.object_size, row.call_site = owner.place, owner.object_size, owner.call_site
    return rows


def _show_group(name: str, rows: list[Any], units: str, most: int | None, look: Any) -> None:
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(row.reference_type for row in rows).most_common())
    whole = {row.object_id: row.object_size for row in rows}
    click.echo(f"{name}: {len(whole)} objects, {_size(sum(whole.values()), units)}; references: {kinds}")
    shown = [_line(row, units, look) for row in rows[:most]]
    click.echo(table(shown, _COLUMNS, widest=160))
    if len(rows) > len(shown):
        click.echo(f"… and {len(rows) - len(shown)} more")
    click.echo()


def _line(row: Any, units: str, look: Any) -> dict[str, Any]:
    others = sorted(str(look.pids.get(worker, worker[:8])) for worker in row.holders or [])
    return {
        "pid": row.pid,
        "type": row.type,
        "object_id": row.object_id,
        "size": _size(row.object_size, units) if row.place != "nowhere" else None,
        "where": row.place,
        "reference": _reference(row),
        "owner": row.owner_pid,
        "held_by": " ".join(others) or None,
        "call_site": row.call_site,
    }


def _reference(row: Any) -> str:
    """Every way in which the process holds it; the state API has room for one."""
    ways = (
        (row.local_references, "LOCAL_REFERENCE"),
        (row.pending_uses, "USED_BY_PENDING_TASK"),
        (row.captured_in, "CAPTURED_IN_OBJECT"),
        (row.pinned, "PINNED_IN_MEMORY"),
        (row.mapped, "MAPPED_FROM_DISK"),
    )
    names = [name for count, name in ways if count]
    return "+".join(names) if names and row.reference_type != "ACTOR_HANDLE" else str(row.reference_type)


def _size(count: int, units: str) -> str:
    return f"{count:,} B" if units == "B" else f"{count / _UNITS[units]:,.2f} {units}"


def _show_store(store: dict[str, Any], units: str) -> None:
    used, capacity, warm = (_size(store[name], units) for name in ("used", "capacity", "warm"))
    click.echo(f"object store: {store['objects']} objects, {used} of {capacity} used, {warm} kept warm")
    disk = store["spilled"]
    if disk["objects"] or disk["files"]:
        written, taken = (_size(disk[name], units) for name in ("bytes", "file_bytes"))
        click.echo(
            f"on disk: {disk['objects']} objects, {written}, {disk['mapped']} of them mapped; files take {taken}"
        )
