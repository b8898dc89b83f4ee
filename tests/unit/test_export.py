"""Functions and classes as bytes."""

import gc
import warnings

import pytest

import shoal
from shoal.core import export as module
from shoal.core.captured import captured
from shoal.core.export import export, load


def test_the_id_is_of_the_content():
    def f(x):
        return x

    assert export(f, None, "f").id == export(f, None, "f").id
    assert export(f, None, "f").id != export(f, (OSError,), "f").id
    assert len(export(f, None, "f").id) == 16


def test_what_was_loaded_is_exported_as_it_came():
    first = export(lambda: 1, (OSError,), "f")
    function, types = load(first.blob)
    again = export(function, types, "f")
    assert again.id == first.id
    assert again.blob == first.blob


def test_a_remote_function_that_calls_itself_is_one_after_the_journey(shoal_run):
    shoal_run("""
        import shoal
        from shoal.core.export import export, load
        @shoal.remote
        def tree(n): return tree, n
        @shoal.remote
        class A:
            def me(self): return A
        function, _ = load(export(tree._function, None, "tree").blob)
        again = function.__globals__["tree"]
        assert again is not tree and again._function is function, again
        assert repr(again) == "<remote function tree>"
        again._look()
        assert again.__name__ == "tree"
        cls, _ = load(export(A._class, None, "A").blob)
        assert cls.me.__globals__["A"]._class is cls
        cls.me.__globals__["A"]._look()
    """)


def test_large_ones_warn_with_what_they_captured(monkeypatch):
    table = bytes(1 << 20)
    small = b"x"
    monkeypatch.setattr(module, "_WARN_BYTES", 1 << 19)
    with pytest.warns(
        UserWarning, match=r"f has 1 MiB when pickled; it captured the variable 'table' .* \(1 MiB\)"
    ) as seen:
        export(lambda: (table, small), None, "f")
    assert seen[0].filename == __file__
    assert "'small'" not in str(seen[0].message)


def test_too_large_ones_are_refused(monkeypatch):
    table = bytes(1 << 20)
    monkeypatch.setattr(module, "_WARN_BYTES", 1 << 18)
    monkeypatch.setattr(module, "_MAX_BYTES", 1 << 19)
    with pytest.raises(ValueError, match=r"f has 1 MiB when pickled.* is not possible"):
        export(lambda: table, None, "f")


def test_small_ones_are_quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export(lambda: 1, None, "f")


def test_captured_names_closures_globals_and_defaults():
    inner = 5

    def f(x=6, *, y=7):
        return inner, shoal

    found = dict(captured(f))
    assert found["the variable 'inner' of the enclosing function"] == 5
    assert found["the global variable 'shoal'"] is shoal
    assert found["a default argument"] == 6
    assert found["the default of 'y'"] == 7


def test_a_loaded_function_is_not_kept_alive():
    before = len(module._LOADED)
    load(export(lambda: 2, None, "f").blob)
    gc.collect()
    assert len(module._LOADED) == before
