"""Arguments are checked where the call is made."""

import pytest

from shoal.core.actor_meta import constructor_shape
from shoal.core.signature import ANYTHING, Shape, plain_of


def f(a, b=2, *, c=3): ...


def painted(*, colour=3): ...


def g(a, /, b, *rest, c, **more): ...


def nothing(): ...


CASES = [
    (f, (), {}, "f() missing a required argument: 'a'"),
    (f, (1,), {}, None),
    (f, (), {"a": 1}, None),
    (f, (1, 2), {"c": 3}, None),
    (f, (1, 2, 3), {}, "f() takes from 1 to 2 positional arguments but 3 were given"),
    (f, (1,), {"a": 1}, "f() got multiple values for argument 'a'"),
    (f, (1,), {"d": 1}, "f() got an unexpected keyword argument 'd'"),
    (painted, (), {"color": 1}, "painted() got an unexpected keyword argument 'color'; did you mean 'colour'?"),
    (g, (1, 2), {}, "g() missing a required argument: 'c'"),
    (g, (1,), {"c": 3}, "g() missing a required argument: 'b'"),
    (g, (1, 2, 3, 4), {"c": 3, "x": 1}, None),
    (g, (1, 2), {"c": 3, "a": 1}, None),
    (g, (), {"a": 1, "b": 2, "c": 3}, "g() missing a required argument: 'a'"),
    (nothing, (1,), {}, "nothing() takes 0 positional arguments but 1 were given"),
]


@pytest.mark.parametrize(("function", "args", "kwargs", "words"), CASES)
def test_the_words_for_wrong_arguments(function, args, kwargs, words):
    shape = Shape.of(function, function.__name__)
    if words is None:
        shape.check(args, kwargs)
        return
    with pytest.raises(TypeError) as caught:
        shape.check(args, kwargs)
    assert str(caught.value) == words


@pytest.mark.parametrize(("function", "args", "kwargs", "words"), CASES)
def test_it_agrees_with_python(function, args, kwargs, words):
    try:
        function(*args, **kwargs)
    except TypeError:
        assert words is not None
    else:
        assert words is None


@pytest.mark.parametrize(("function", "args", "kwargs", "words"), CASES)
def test_the_quick_look_lets_nothing_wrong_pass(function, args, kwargs, words):
    shape = Shape.of(function, function.__name__)
    if not kwargs and shape.low <= len(args) <= shape.high:
        assert words is None


def test_a_method_leaves_out_its_first_parameter():
    class A:
        def m(self, x): ...

    assert plain_of(A.m, skip_first=True)[0] == ["x"]


def test_what_python_cannot_tell_takes_anything():
    class Odd:
        __signature__ = "none"

        def __call__(self): ...

    assert plain_of(Odd()) == ANYTHING


def test_constructors():
    class Plain: ...

    class WithInit:
        def __init__(self, x): ...

    class WithNew:
        def __new__(cls, x):
            return super().__new__(cls)

    assert constructor_shape(Plain) == [[], 0, 0, False, [], [], False]
    assert constructor_shape(WithInit)[0] == ["x"]
    assert constructor_shape(WithNew) == ANYTHING
