"""The table of settings: what is misspelt is told."""

from __future__ import annotations

import pytest

from shoal.core import settings


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("SHOAL_MEMORY_USAGE_TRESHOLD", "SHOAL_MEMORY_USAGE_THRESHOLD"),
        ("SHOAL_LINEAGE_BYTES", "SHOAL_MAX_LINEAGE_BYTES"),
        ("SHOAL_TEMPDIR", "SHOAL_TMPDIR"),
    ],
)
def test_a_variable_that_is_like_a_settings_is_told(monkeypatch, variable, meant):
    monkeypatch.setenv(variable, "1")
    assert settings.misspelt() == [f"{variable} is no setting of shoal; did you mean {meant}?"]


def test_variables_that_are_known_or_of_others_are_not(monkeypatch):
    for name in (*(row.variable for row in settings.TABLE.values()), "SHOAL_ADDRESS", "SHOAL_OF_FISH", "SHOALS_HINT"):
        monkeypatch.setenv(name, "1")
    assert settings.misspelt() == []


def test_init_tells_it_where_it_is_called(shoal_run):
    run = shoal_run("import shoal\nshoal.init(num_cpus=1)\n", env={"SHOAL_HINT": "0"})
    assert "program.py:2: UserWarning: SHOAL_HINT is no setting of shoal; did you mean SHOAL_HINTS?" in run.stderr
