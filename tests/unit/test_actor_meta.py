"""What handles know of a class, and what an actor's process makes of it."""

import functools

import pytest

import shoal
from shoal.core import actor_meta
from shoal.core.actor_meta import STREAMING, describe
from shoal.core.actor_runtime import _with_built_ins


class Base:
    def inherited(self, a): ...


class Kinds(Base):
    class_value = 3

    def __init__(self, x): ...

    def plain(self, a, b=1): ...

    @staticmethod
    def static(a): ...

    @classmethod
    def of_class(cls, a): ...

    @property
    def prop(self): ...

    @shoal.method(num_returns=2, concurrency_group="io", max_task_retries=3, retry_exceptions=[OSError])
    def marked(self): ...

    def items(self):
        yield 1

    def __call__(self, a): ...

    def __len__(self):
        return 0


class Async(Base):
    async def go(self): ...


def wraps(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)

    return inner


META = describe(Kinds, {"concurrency_groups": {"io": 2}, "max_task_retries": 5, "name": "n"})


def test_methods_are_all_that_can_be_called():
    assert set(META.methods) == {
        "plain",
        "static",
        "of_class",
        "marked",
        "items",
        "inherited",
        "__call__",
        "__len__",
    }


def test_each_method_has_its_shape_without_self():
    positional = {name: method.shape[0] for name, method in META.methods.items()}
    assert positional["plain"] == ["a", "b"]
    assert positional["static"] == positional["of_class"] == positional["inherited"] == positional["__call__"] == ["a"]


def test_marks_count():
    marked = META.methods["marked"]
    assert (marked.num_returns, marked.group, marked.max_task_retries, marked.retry_exceptions) == (2, "io", 3, True)
    assert META.methods["plain"][:4] == (1, "", None, False)
    assert META.methods["items"].num_returns == STREAMING


def test_it_travels():
    again = actor_meta.decode(META.encode())
    assert again == META
    assert (again.class_name, again.name, again.max_task_retries, again.groups) == ("Kinds", "n", 5, {"io": 2})


@pytest.mark.parametrize(
    ("cls", "options", "limit", "sync"),
    [
        (Base, {}, 1, True),
        (Base, {"max_concurrency": 3}, 3, False),
        (Base, {"concurrency_groups": {"io": 1}}, 1, False),
        (Async, {}, 1000, False),
        (Async, {"max_concurrency": 1}, 1, False),
    ],
)
def test_kinds_of_actors(cls, options, limit, sync):
    meta = describe(cls, options)
    assert (meta.max_concurrency, meta.sync, meta.is_async) == (limit, sync, cls is Async)


def test_a_decorated_async_method_makes_an_async_actor():
    class Decorated:
        @wraps
        async def go(self): ...

    assert describe(Decorated, {}).is_async


def test_an_async_generator_makes_an_async_actor():
    class Items:
        async def items(self):
            yield 1

    meta = describe(Items, {})
    assert meta.is_async
    assert meta.methods["items"].num_returns == STREAMING


def test_every_actor_has_the_built_in_methods():
    class Sealed(type):
        def __setattr__(cls, name, value):
            raise TypeError("no")

    class Closed(metaclass=Sealed): ...

    for cls in (Base, Closed):
        made = _with_built_ins(cls)
        one = made()
        assert isinstance(one, cls)
        assert type(one).__name__ == cls.__name__
        assert one.__ray_ready__() is True
        assert one.__ray_call__(lambda self, a, b: (self, a, b), 1, b=2) == (one, 1, 2)
        with pytest.raises(SystemExit):
            one.__ray_terminate__()


def test_a_decorator_keeps_what_it_decorates():
    actor_class = shoal.remote(concurrency_groups={"io": 1})(Kinds)
    assert actor_class.__ray_actor_class__ is Kinds
    assert (actor_class.__name__, actor_class.__module__) == ("Kinds", __name__)
    assert repr(actor_class) == "<actor class Kinds>"

    @shoal.remote
    def f(x):
        """Words."""

    assert (f.__name__, f.__doc__, f.__module__, f._function.__name__) == ("f", "Words.", __name__, "f")
    assert repr(f) == "<remote function f>"
