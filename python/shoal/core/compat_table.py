"""Writes the page of `docs/compatibility.md` from the table of options: `python -m shoal.core.compat_table`."""

from shoal.core.options import Option, Scope, Status, table

_TITLES = {
    Scope.TASK: "Options of tasks",
    Scope.ACTOR: "Options of actors",
    Scope.METHOD: "Options of methods",
    Scope.INIT: "Arguments of `init()`",
}
_HEAD = """# Compatibility with Ray

Made from `python/shoal/core/option_table.py` by `python -m shoal.core.compat_table`; don't edit it by hand.

Every option that Ray 2.60 has is known here. One that is *supported* means what it means in Ray, but for the note
beside it; one that *changes nothing here* is checked for its type and taken; one that is *not supported yet* raises
`ValueError: X is not supported yet`, unless its value would change nothing. An option that neither has raises a
`ValueError` that names the nearest one.
"""


def page() -> str:
    """The whole page.

    Example:
        >>> from shoal.core.compat_table import page
        >>> page().splitlines()[0]
        '# Compatibility with Ray'
    """
    return "\n".join([_HEAD, *(_section(scope) for scope in Scope)]).rstrip() + "\n"


def _section(scope: Scope) -> str:
    rows = "\n".join(_row(option) for option in table(scope).values())
    return f"## {_TITLES[scope]}\n\n| Option | Takes | Default | Here | Note |\n|---|---|---|---|---|\n{rows}\n"


def _row(option: Option) -> str:
    note = option.note
    if option.status is Status.NOT_YET and option.harmless:
        note = "; ".join(filter(None, [note, f"taken: {', '.join(f'`{value!r}`' for value in option.harmless)}"]))
    return f"| `{option.name}` | {option.takes} | {option.default} | {option.status.value} | {note} |"


if __name__ == "__main__":
    print(page(), end="")
