"""What can't be serialized says which variable, in which function, on which path."""

import functools
import io
import threading

import pytest

from shoal.core.export import export
from shoal.core.unserializable import explain, failure, find
from shoal.util import inspect_serializability

LOCK = threading.Lock()


def words(obj, where="it"):
    return str(explain(failure(obj), obj, where))


class Holder:
    def __init__(self, value):
        self.inner = value


class Slotted:
    __slots__ = ("lock",)


def test_containers():
    assert words({"a": [1, (LOCK,)]}).startswith(
        "it can't be serialized: it → ['a'] → [1] → [0] is a 'lock', which can't"
    )


def test_a_key():
    assert "it → the key <unlocked _thread.lock object" in words({LOCK: 1})


def test_attributes_and_slots():
    slotted = Slotted()
    slotted.lock = LOCK
    assert "it → the attribute 'inner' → the attribute 'lock' is a 'lock'" in words(Holder(slotted))


def test_a_closure():
    hidden = LOCK
    assert "it → the variable 'hidden' of the enclosing function is a 'lock'" in words(lambda: hidden)


def uses_global():
    return [LOCK for _ in ()]


def test_a_global_even_in_an_inner_function():
    uses_global.__module__ = "__main__"
    try:
        assert "it → the global variable 'LOCK' is a 'lock'" in words(uses_global)
    finally:
        uses_global.__module__ = __name__


def test_a_default_argument():
    def f(x=LOCK): ...

    def g(*, x=LOCK): ...

    assert "a default argument is a 'lock'" in words(f)
    assert "the default of 'x' is a 'lock'" in words(g)


def test_a_class_attribute_and_a_method():
    stream = io.StringIO
    lock = LOCK

    class A:
        def use(self):
            return lock

    class B:
        kept = LOCK
        stream_class = stream

    assert "the variable 'lock' of the enclosing function in the method 'use' is a 'lock'" in words(A)
    assert "the class attribute 'kept' is a 'lock'" in words(B)


def test_a_bound_method_and_a_partial():
    assert "it → the object of the method → the attribute 'inner' is a 'lock'" in words(Holder(LOCK).__init__)
    assert "it → the arguments of the partial → [0] is a 'lock'" in words(functools.partial(print, LOCK))


def test_the_thing_itself():
    assert words(LOCK).startswith("it can't be serialized: it is a 'lock': cannot pickle")


def test_pickles_own_error_is_the_cause():
    error = failure(LOCK)
    assert explain(error, LOCK, "it").__cause__ is error


def test_a_ring_ends():
    ring = [LOCK]
    ring.insert(0, ring)
    assert find(ring).value is LOCK


def test_a_function_that_captures_it():
    lock = LOCK
    with pytest.raises(TypeError) as caught:
        export(lambda: lock, None, "the function f")
    assert str(caught.value).startswith(
        "the function f can't be serialized: the function f → the variable 'lock' of the enclosing function is a 'lock'"
    )


def test_inspect_serializability_finds_all():
    out = io.StringIO()
    ok, failures = inspect_serializability({"a": LOCK, "b": [LOCK]}, name="d", print_file=out)
    assert not ok
    assert {failure.name for failure in failures} == {"['a']", "[0]"}
    assert out.getvalue().startswith("d can't be serialized: d → ['a'] is a 'lock'")
    assert inspect_serializability([1]) == (True, set())


def test_inspect_serializability_stops_at_its_depth():
    ok, failures = inspect_serializability([[[LOCK]]], name="d", depth=1, print_file=io.StringIO())
    assert [failure.name for failure in failures] == ["[0]"]
    assert not ok
