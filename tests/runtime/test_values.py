"""Values of every sort go to a worker, are used there, and come back."""

from __future__ import annotations

import abc
import collections
import dataclasses
import enum
import functools
import os
import re
import sys
import threading
import typing

import numpy as np
import pytest

import shoal

pytestmark = pytest.mark.usefixtures("shared_instance")
T = typing.TypeVar("T")


@shoal.remote
def same(value):
    return value


@shoal.remote
def apply(function, *args):
    return function(*args)


def there(function, *args):
    """What `function` gives in a worker."""
    return shoal.get(apply.remote(function, *args), timeout=60)


def there_and_back(value):
    return shoal.get(same.remote(value), timeout=60)


def test_lambdas_and_closures():
    base = [10]

    def adder(k):
        def add(x):
            return x + k + base[0]

        return add

    assert there(lambda x: x + base[0], 1) == 11
    assert there(adder(5), 1) == 16
    assert there_and_back(adder(5))(1) == 16
    assert there(functools.partial(adder(1), 2)) == 13


def test_a_closure_that_calls_itself_and_two_that_call_each_other():
    def factorial(n):
        return 1 if n < 2 else n * factorial(n - 1)

    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert there(factorial, 10) == 3_628_800
    assert there(even, 10) is True


def test_a_closure_over_a_large_array():
    big = np.arange(2_000_000.0)

    @shoal.remote
    def total():
        return big.sum()

    assert shoal.get([total.remote() for _ in range(3)]) == [big.sum()] * 3
    assert there(lambda i: big[i], 7) == 7


def test_modules_imported_inside_and_outside_a_function():
    def inside():
        import colorsys

        return colorsys.rgb_to_hsv(1, 0, 0)[2]

    import colorsys

    assert there(inside) == 1
    assert there(lambda: colorsys.rgb_to_hsv(1, 0, 0)[2]) == 1
    assert there_and_back(colorsys) is colorsys


def test_nested_classes():
    class Outer:
        class Inner:
            def __init__(self, n):
                self.n = n

            def twice(self):
                return Outer.Inner(self.n * 2)

    assert there(lambda x: x.twice().n, Outer.Inner(4)) == 8
    assert there(Outer.Inner(4).twice).n == 8


def test_super_properties_and_class_methods_of_local_classes():
    class Base:
        made = 0

        def __init__(self, n):
            self.n = n

        @property
        def twice(self):
            return self.n * 2

        @classmethod
        def of(cls, n):
            return cls(n)

        @staticmethod
        def helper(n):
            return n + 1

    class Derived(Base):
        def __init__(self, n):
            super().__init__(n + 1)

    assert there(lambda: (Derived.of(1).twice, Derived.helper(1))) == (4, 2)
    assert there(Derived.of, 3).twice == 8


def test_dataclasses():
    @dataclasses.dataclass(frozen=True)
    class Point:
        x: int
        y: list[int] = dataclasses.field(default_factory=list)

    @dataclasses.dataclass(slots=True)
    class Slotted:
        x: int

    assert there_and_back(Point(1, [2])) == Point(1, [2])
    assert there(lambda p: dataclasses.asdict(dataclasses.replace(p, x=5)), Point(1)) == {"x": 5, "y": []}
    assert there(lambda s: s.x, Slotted(3)) == 3
    assert there_and_back(Slotted(3)) == Slotted(3)


def test_slots():
    class Base:
        __slots__ = ("a", "b")

    class Derived(Base):
        __slots__ = "c"

    class Open(Base): ...

    @dataclasses.dataclass(slots=True, frozen=True)
    class Frozen:
        x: int = 4

    def attributes(obj):
        return {name: getattr(obj, name) for name in ("a", "c", "d", "x") if hasattr(obj, name)}, hasattr(
            obj, "__dict__"
        )

    derived, opened = Derived(), Open()
    derived.a, derived.c = 1, 2
    opened.a, opened.d = 3, 4
    for value in (derived, opened, Frozen()):
        assert there(attributes, value) == attributes(value) == attributes(there_and_back(value))


def test_enums():
    class Colour(enum.Enum):
        RED = 1
        GREEN = 2

    class Flag(enum.Flag):
        A = enum.auto()
        B = enum.auto()

    assert there_and_back(Colour.RED) is Colour.RED
    assert there(lambda c: c is Colour.GREEN, Colour.GREEN) is True
    assert there_and_back(Flag.A | Flag.B) == Flag.A | Flag.B


def test_named_tuples():
    class Typed(typing.NamedTuple):
        x: int
        y: str = "y"

    made = collections.namedtuple("made", "a b")
    assert there_and_back(Typed(1)) == Typed(1, "y")
    assert type(there_and_back(Typed(1))) is Typed
    assert there(lambda m: m._replace(a=9).a, made(1, 2)) == 9
    assert there_and_back(made(1, 2)) == made(1, 2)


OfModule = typing.NewType("OfModule", int)


def test_typed_dicts_and_new_types():
    class Point(typing.TypedDict):
        x: int

    class Named(Point, total=False):
        """Has a name."""

        name: str

    UserId = typing.NewType("UserId", int)

    class Uses:
        point: Named

        def of(self, user: UserId) -> UserId:
            return UserId(user + self.point["x"])

    def use(user: UserId, point: Named) -> UserId:
        mine = Uses()
        mine.point = Named(**point)
        return mine.of(user)

    assert there(use, 3, {"x": 4}) == 7
    back = there_and_back(Named)
    assert typing.is_typeddict(back) and back.__annotations__ == Named.__annotations__ and "x" in back.__annotations__
    assert (back.__required_keys__, back.__optional_keys__) == (frozenset({"x"}), frozenset({"name"}))
    assert (back.__doc__, back(x=1)) == ("Has a name.", {"x": 1})
    assert (there_and_back(UserId).__supertype__, there_and_back(UserId).__name__) == (int, "UserId")
    assert there_and_back(OfModule) is OfModule


def test_generics():
    class Box(typing.Generic[T]):
        def __init__(self, value: T):
            self.value = value

    assert there(lambda: Box[int](5).value) == 5
    assert there_and_back(Box[int](5)).value == 5
    assert there_and_back(dict[str, int]) == dict[str, int]
    assert there_and_back(typing.Optional[int]) == typing.Optional[int]  # noqa: UP045


def test_metaclasses_and_abstract_classes():
    class Meta(type):
        def __new__(cls, name, bases, space, tag="none"):
            made = super().__new__(cls, name, bases, space)
            made.tag = tag
            return made

        def __init__(cls, name, bases, space, tag="none"):
            super().__init__(name, bases, space)

        def shout(cls):
            return cls.__name__.upper()

    class Tagged(metaclass=Meta, tag="mine"): ...

    class Base(abc.ABC):
        @abc.abstractmethod
        def f(self): ...

    class Concrete(Base):
        def f(self):
            return 4

    assert there(lambda c: (c.shout(), c.tag), Tagged) == ("TAGGED", "mine")
    assert there(lambda c: c().f(), Concrete) == 4
    with pytest.raises(TypeError, match="abstract"):
        there(Base)


def test_recursive_structures():
    ring: list = [1]
    ring.append(ring)
    again = there_and_back(ring)
    assert again[1] is again

    class Node:
        def __init__(self):
            self.children, self.parent = [], None

    root, child = Node(), Node()
    root.children.append(child)
    child.parent = root
    back = there_and_back(root)
    assert back.children[0].parent is back
    twice = [child]
    assert (lambda pair: pair[0] is pair[1])(there_and_back([twice, twice]))


def test_deep_structures_are_an_error_and_no_crash():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(TypeError, match="excessively deep"):
        same.remote(deep)
    while deep:
        deep = deep.pop()
    assert there_and_back(1) == 1


class Reduced:
    def __init__(self, n):
        self.n, self.lock = n, threading.Lock()

    def __reduce__(self):
        return Reduced, (self.n + 1,)


class Stateful:
    def __init__(self):
        self.kept, self.lock = 1, threading.Lock()

    def __getstate__(self):
        return {"kept": self.kept}

    def __setstate__(self, state):
        self.kept, self.lock = state["kept"] + 10, threading.Lock()


def test_reduce_and_getstate_are_called():
    assert there(lambda r: r.n, Reduced(1)) == 2
    assert there_and_back(Reduced(1)).n == 3
    assert there_and_back(Stateful()).kept == 21


class Bytes:
    """Its pickled form is far larger than `sys.getsizeof` says."""

    def __init__(self, n):
        self.n = n

    def __reduce__(self):
        return len, (b"x" * self.n,)


@pytest.mark.parametrize("n", [1000, 150_000, 30_000_000])
def test_what_is_far_larger_pickled_than_it_says(n):
    assert sys.getsizeof(Bytes(n)) < 200
    assert there_and_back(Bytes(n)) == n
    assert shoal.get(shoal.put(Bytes(n))) == n

    @shoal.remote
    def made():
        return Bytes(n)

    assert shoal.get(made.remote()) == n


def test_a_registered_serializer_needs_no_registration_elsewhere():
    class Handle:
        def __init__(self, data):
            self.data, self.lock = data, threading.Lock()

    with pytest.raises(TypeError, match="the attribute 'lock' is a 'lock'"):
        shoal.put(Handle(1))
    shoal.util.register_serializer(Handle, serializer=lambda h: h.data, deserializer=Handle)
    try:
        assert there(lambda h: h.data, Handle(5)) == 5
        array = shoal.get(shoal.put(Handle(np.arange(100_000)))).data
        assert array.sum() == sum(range(100_000)) and not array.flags.writeable
    finally:
        shoal.util.deregister_serializer(Handle)


def test_a_worker_registers_for_what_it_returns():
    class Local: ...

    @shoal.remote
    def made():
        shoal.util.register_serializer(Local, serializer=lambda _: 3, deserializer=lambda n: ("from a worker", n))
        return [Local()]

    assert shoal.get(made.remote()) == [("from a worker", 3)]


class TwoArguments(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code


class OnlyKeywords(Exception):
    def __init__(self, *, code):
        super().__init__()
        self.code = code


class Made(Exception):
    def __new__(cls, code, *, extra):
        made = super().__new__(cls, code)
        made.extra = extra
        return made

    def __init__(self, code, *, extra):
        super().__init__(code)


@pytest.mark.parametrize(
    ("make", "fields"),
    [
        (lambda: TwoArguments(5, "five"), {"code": 5}),
        (lambda: OnlyKeywords(code=6), {"code": 6}),
        (lambda: Made(7, extra="e"), {"extra": "e", "args": (7,)}),
        (lambda: UnicodeDecodeError("utf8", b"\xff", 0, 1, "why"), {"reason": "why", "start": 0}),
        (lambda: OSError(2, "no", "file"), {"errno": 2, "filename": "file"}),
    ],
    ids=["two arguments", "only keywords", "__new__", "UnicodeDecodeError", "OSError"],
)
def test_exceptions_with_odd_constructors_are_raised_as_themselves(make, fields):
    @shoal.remote
    def fail():
        raise make()

    with pytest.raises(type(make())) as caught:
        shoal.get(fail.remote())
    assert {name: getattr(caught.value, name) for name in fields} == fields


def test_a_copy_of_an_array_that_was_read_only_when_it_was_stored():
    for n in (10, 100_000):
        array = np.arange(n)
        array.flags.writeable = False
        ref = shoal.put({"a": array})
        mine = shoal.get(ref, copy=True)["a"]
        mine[:] = 0
        theirs = shoal.get(ref)["a"]
        assert mine.sum() == 0 and theirs.sum() == array.sum() and not theirs.flags.writeable
        again = shoal.get(shoal.put(shoal.get(ref)), copy=True)["a"]
        again[:] = 1
        assert again.sum() == n and not array.flags.writeable


def test_arguments_are_read_only_and_writing_says_so():
    def write(array):
        array[0] = 1

    with pytest.raises(ValueError, match="read-only"):
        there(write, np.zeros(100_000))
    with pytest.raises(ValueError, match="read-only"):
        there(write, shoal.put(np.zeros(100_000)))


def test_threads_locks_files_generators_and_frames_do_not_travel(tmp_path):
    with open(tmp_path / "f", "w") as file:
        for value in (threading.Lock(), file, (x for x in [1]), threading.current_thread(), sys._getframe()):
            with pytest.raises(TypeError, match="can't be serialized"):
                shoal.put([value])


class Colour(enum.IntEnum):
    RED = 1


class Words(list):
    pass


def test_small_containers_keep_types_identity_and_references():
    ref, me = shoal.put("inside"), []
    me.append(me)
    shared = [1]
    values = [
        (1, "two", 3.0, None, True, b"six"),
        {"a": [1, (2, {"b": []})]},
        [Colour.RED, Words([1]), collections.OrderedDict(a=1)],
        [[[[[[1]]]]]],
        list(range(1000)),
        [2**70, -1, "\ud800"],
    ]
    for value in values:
        out = shoal.get(shoal.put(value))
        assert out == value and repr(out) == repr(value)
    twice = shoal.get(shoal.put([shared, shared]))
    assert twice[0] is twice[1]
    out = shoal.get(shoal.put(me))
    assert out[0] is out
    held = shoal.put((ref,))
    del ref
    assert shoal.get(shoal.get(held)[0]) == "inside"


class Misread:
    def __reduce__(self):
        return int, ("no number",)


def test_what_fails_to_be_unpickled_says_that_and_where():
    with pytest.raises(ValueError, match="no number") as caught:
        shoal.get(shoal.put(Misread()))
    assert re.fullmatch(rf"raised while a value of \d+ bytes was unpickled in process {os.getpid()}", *notes(caught))
    with pytest.raises(ValueError, match=r"(?s)no number.*\nraised while a value of \d+ bytes was"):
        there(len, Misread())


def notes(caught):
    return caught.value.__notes__
