"""`docs/errors.md` lists each error, once, and tells the truth about which are raised."""

import builtins
import importlib
import re
from pathlib import Path

import pytest

import shoal
from shoal import exceptions
from shoal.core.error_table import NEVER, PYTHON, SECTIONS
from shoal.core.errors import make_exception

ROOT = Path(__file__).parents[2]
RUST = ROOT / "crates/shoal-types/src/error.rs"
PACKAGE = Path(shoal.__file__).parent
ROWS = [row for rows in SECTIONS.values() for row in rows]
KINDS = re.findall(r"^    (\w+),$", RUST.read_text().partition("pub enum ErrorKind")[2].partition("\n}")[0], re.M)


def test_each_class_of_exceptions_is_listed_once():
    listed = [row.name for row in ROWS if row not in PYTHON] + list(NEVER)
    assert sorted(listed) == sorted(exceptions.__all__)


def test_each_class_of_pythons_own_is_one():
    for row in PYTHON:
        module, _, name = row.name.rpartition(".")
        found = getattr(importlib.import_module(module) if module else builtins, name)
        assert issubclass(found, BaseException)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_arrives_as_the_class_that_lists_it(kind):
    rows = [row for row in ROWS if kind in row.kinds]
    assert len(rows) == 1, f"ErrorKind::{kind} has no row in shoal/core/error_table.py, or several"
    assert type(make_exception(kind, "words", b"", None)) is getattr(exceptions, rows[0].name)


def test_no_row_lists_a_kind_that_is_none():
    assert {kind for row in ROWS for kind in row.kinds} == set(KINDS)


def test_what_is_listed_as_never_raised_is_mentioned_nowhere():
    texts = {
        path: path.read_text()
        for path in PACKAGE.rglob("*.py")
        if path.name != "error_table.py" and path != PACKAGE / "exceptions.py"
    }
    for name in NEVER:
        users = [str(path.relative_to(PACKAGE)) for path, text in texts.items() if re.search(rf"\b{name}\b", text)]
        assert not users, f"{users} use {name}: give it a row in shoal/core/error_table.py"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_row_says_what_and_what_to_do(row):
    for text in (row.when, row.mend):
        assert text.endswith(".") and "|" not in text and "\n" not in text


def test_the_options_and_names_in_the_table_exist():
    from shoal.core.options import Scope, table

    options = {name for scope in Scope for name in table(scope)} | {"timeout", "copy", "recursive", "namespace"}
    options |= {"address", "raise_on_missing_output"}
    text = " ".join(row.when + row.mend for row in ROWS)
    assert set(re.findall(r"\b(\w+)=", text)) <= options
    for path in re.findall(r"`(shoal(?:\.\w+)+)", text):
        found = shoal
        for name in path.split(".")[1:]:
            found = getattr(found, name)
