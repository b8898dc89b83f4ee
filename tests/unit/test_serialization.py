"""What goes by value and by reference, in one pass; what leaves out of band."""

import abc
import collections
import copyreg
import datetime
import decimal
import enum
import fractions
import pickle
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from shoal.core import serialization
from shoal.core.serialization import deserialize, dumps, serialize


def there_and_back(obj):
    pickled, buffers = serialize(obj)
    return deserialize(pickled, [memoryview(bytes(buffer.raw())) for buffer in buffers])


PLAIN = [
    None,
    [1, "a", b"b", 2.5, {3}, {"k": (None, True)}],
    datetime.datetime(2020, 1, 2),
    decimal.Decimal("1.5"),
    fractions.Fraction(1, 3),
    collections.OrderedDict(a=1),
    collections.Counter("aab"),
    bytearray(b"xy"),
    range(3),
    slice(1, 2),
    1 << 100,
    "\ud800",
    ...,
    NotImplemented,
    int,
    len,
    collections.OrderedDict,
    enum.Enum,
]


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_values(value):
    again = there_and_back(value)
    assert type(again) is type(value)
    assert again == value


def in_another_process(code, pickled):
    program = f"import pickle, sys\nobj = pickle.loads(sys.stdin.buffer.read())\n{code}"
    ran = subprocess.run([sys.executable, "-c", program], input=pickled, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout.decode().strip()


def test_a_lambda_and_its_closure_go_by_value():
    n = 3
    assert in_another_process("print(obj(4))", dumps(lambda x: x + n)) == "7"


def test_a_local_class_its_instances_and_its_methods_go_by_value():
    class Local:
        def __init__(self, n):
            self.n = n

        def add(self, k):
            return self.n + k

    assert in_another_process(
        "print(obj[0].add(1), obj[1](5).n, obj[2](2))", dumps([Local(1), Local, Local(3).add])
    ) == ("2 5 5")


def test_an_enum_and_an_abstract_class_go_by_value():
    class Colour(enum.Enum):
        RED = 1

    class Base(abc.ABC):
        @abc.abstractmethod
        def f(self): ...

    assert in_another_process("print(obj[0].name, obj[1].__name__)", dumps([Colour.RED, Base])) == "RED Base"


def test_a_class_of_main_goes_by_value(shoal_run):
    run = shoal_run("""
        import sys, subprocess
        from shoal.core.serialization import dumps
        class A:
            def hello(self): return "hello"
        code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()).hello())"
        print(subprocess.run([sys.executable, "-c", code], input=dumps(A()), capture_output=True).stdout.decode())
    """)
    assert run.stdout.strip() == "hello"


def test_a_local_class_comes_back_as_itself():
    class Local: ...

    assert type(there_and_back(Local())) is Local


def test_an_importable_class_goes_by_reference():
    assert len(dumps(fractions.Fraction)) < 60
    assert there_and_back(fractions.Fraction) is fractions.Fraction


def test_a_class_that_was_replaced_is_no_longer_taken_for_importable():
    import types

    module = types.ModuleType("shoal_test_replaced")
    sys.modules[module.__name__] = module
    try:
        exec("class A: n = 1", module.__dict__)
        old = module.A
        assert there_and_back(old) is old
        exec("class A: n = 2", module.__dict__)
        assert there_and_back(module.A) is module.A
        assert there_and_back(old) is old
    finally:
        del sys.modules[module.__name__]


def test_by_value_modules_of_cloudpickle_count():
    import wave

    import cloudpickle

    cloudpickle.register_pickle_by_value(wave)
    try:
        assert len(dumps(wave.Error)) > 100
    finally:
        cloudpickle.unregister_pickle_by_value(wave)
    assert len(dumps(wave.Error)) < 60


def test_a_reducer_registered_later_counts():
    class Special:
        pass

    dumps(Special())
    copyreg.pickle(Special, lambda _: (str, ("special",)))
    try:
        assert there_and_back(Special()) == "special"
    finally:
        del copyreg.dispatch_table[Special]
    assert isinstance(there_and_back(Special()), Special)


def test_each_object_is_met_once():
    met = []

    class Counted:
        def __reduce__(self):
            met.append(self)
            return str, ("x",)

    there_and_back([Counted(), lambda: 1])
    assert len(met) == 1


def test_arrays_leave_out_of_band():
    array = np.arange(1000)
    pickled, buffers = serialize({"a": array, "b": [array.T, array.reshape(10, 100).T]})
    assert len(pickled) < 500
    assert len(buffers) == 3
    assert np.shares_memory(np.frombuffer(buffers[0].raw(), dtype=array.dtype), array)


@pytest.mark.parametrize("step", [slice(None, None, 2), slice(None, None, -1)])
def test_an_array_that_is_not_contiguous_leaves_out_of_band(step):
    array = np.arange(1000)[step]
    pickled, buffers = serialize(array)
    assert len(pickled) < 200
    assert len(buffers) == 1
    np.testing.assert_array_equal(deserialize(pickled, [buffers[0].raw()]), array)


READ_ONLY = [
    np.arange(1000),
    np.asfortranarray(np.arange(1000).reshape(10, 100)),
    np.arange(2000)[::2],
    np.array(5),
    np.zeros(100, dtype=[("x", "i4"), ("y", "M8[s]"), ("z", "f4", (2, 2))]),
    np.array(["text"] * 50),
    np.zeros((0, 3)),
    np.zeros(5, dtype=">i4"),
    np.ones((2, 3), dtype="?"),
    np.full(7, 1 + 2j, dtype="c8"),
    np.ones((3, 4, 5), dtype="f2").T,
    np.ones(3, dtype=np.longdouble),
    np.ones(3, dtype=np.dtype("i4", metadata={"unit": "m"})),
    np.zeros(5, dtype="V0"),
    np.arange("2000-01-01", "2001-01-01", dtype="M8[D]").reshape(2, 183),
    np.arange(50).astype("m8[ms]"),
]


@pytest.mark.parametrize("array", READ_ONLY, ids=lambda array: f"{array.dtype.kind}{array.shape}")
@pytest.mark.parametrize("writable", [True, False])
def test_an_array_may_be_written_to_where_its_memory_may(array, writable):
    for stored in (array.copy(order="K"), array[...]):
        stored.flags.writeable = writable
        pickled, buffers = serialize(stored)
        assert len(pickled) < 600
        again = deserialize(pickled, [bytearray(buffer.raw()) for buffer in buffers])
        assert again.dtype == array.dtype and (again.flags.writeable or not again.nbytes)
        assert array.ndim < 2 or again.flags.f_contiguous == array.flags.f_contiguous
        np.testing.assert_array_equal(again, array)
        fixed = deserialize(pickled, [bytes(buffer.raw()) for buffer in buffers])
        assert not fixed.flags.writeable or not fixed.nbytes


def test_arrays_of_objects_and_of_records():
    objects = np.array([{"a": 1}, None], dtype=object)
    assert there_and_back(objects).tolist() == objects.tolist()
    records = np.zeros(4, dtype=[("x", "i4"), ("y", "f8")])
    assert there_and_back(records).dtype == records.dtype


def test_arrow_leaves_out_of_band():
    table = pa.table({"x": list(range(10_000))})
    pickled, buffers = serialize(table)
    assert len(pickled) < 2000
    assert deserialize(pickled, [buffer.raw() for buffer in buffers]) == table


@pytest.mark.parametrize(
    "view",
    [
        memoryview(b"abc"),
        memoryview(bytearray(16)).cast("i"),
        memoryview(bytearray(range(12))).cast("B", (3, 4)),
        memoryview(b"abcdef")[::2],
        memoryview(np.arange(3.0)),
        memoryview(b""),
    ],
    ids=lambda view: f"{view.format}{view.shape}",
)
def test_a_memoryview_comes_back_as_one(view):
    pickled, buffers = serialize(view)
    again = deserialize(pickled, [buffer.raw() for buffer in buffers])
    assert isinstance(again, memoryview)
    assert (again.format, again.shape) == (view.format, view.shape)
    assert again.tolist() == view.tolist()
    assert len(buffers) == 1


def test_a_pickle_buffer_leaves_out_of_band():
    pickled, buffers = serialize([pickle.PickleBuffer(b"x" * 1000)])
    assert len(pickled) < 50
    assert bytes(deserialize(pickled, [buffer.raw() for buffer in buffers])[0]) == b"x" * 1000


def test_numpy_is_not_imported(shoal_run):
    shoal_run("""
        import sys
        from shoal.core.serialization import serialize
        serialize([lambda: 1, memoryview(b"x"), Exception("x")])
        assert not {"numpy", "pyarrow", "asyncio"} & set(sys.modules)
    """)


def test_what_cannot_be_pickled_raises():
    with pytest.raises(TypeError, match="cannot pickle"):
        serialize(sys._getframe())


def test_the_table_is_made_again_for_numpy_only_once():
    dumps(1.5j)
    table = serialization.Pickler.dispatch_table
    dumps(1.5j)
    assert serialization.Pickler.dispatch_table is table
    assert np.ndarray in table
