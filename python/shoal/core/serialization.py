"""Python objects as bytes and out-of-band buffers.

One pass of C's pickler with protocol 5. Classes and functions that other processes can't import (those of `__main__`,
lambdas, local ones, remote-decorated ones) go by value through cloudpickle's reducers, all else as pickle does it.
"""

import copyreg
import enum
import importlib
import io
import pickle
import sys
import threading
import types
import typing
from collections.abc import Callable
from typing import Any, cast

import cloudpickle
from cloudpickle import cloudpickle as _cp

Buffers = list[pickle.PickleBuffer]


def _reduce_memoryview(view: memoryview) -> tuple[Any, ...]:
    flat = view if view.contiguous else memoryview(view.tobytes())
    return _restore_memoryview, (pickle.PickleBuffer(flat), view.format, view.shape)


def _restore_memoryview(buffer: Any, code: str, shape: tuple[int, ...]) -> memoryview:
    flat = memoryview(buffer).cast("B")
    if code == "B" and len(shape) == 1:
        return flat
    try:
        return flat.cast(code, shape)  # type: ignore[call-overload, no-any-return]
    except (ValueError, TypeError, NotImplementedError):
        return flat


def _reduce_array(array: Any) -> Any:
    """NumPy pickles an array out of band only when it is contiguous and has no dates, and keeps a read-only one so.

    Whether an array may be written to is for who receives it to say: by `get(copy=True)`, not by how it was stored.
    An array of plain numbers comes back by one call into C; NumPy's own way, through Python, takes twice as long, and
    the first time in a process 17 µs more.
    """
    numpy = sys.modules["numpy"]
    dtype = array.dtype
    if dtype.hasobject or not array.nbytes:
        return array.__reduce_ex__(5)
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        array = numpy.ascontiguousarray(array)
    plain = dtype.isbuiltin == 1 and dtype.kind in "biufc"
    if array.flags.writeable and not plain and dtype.kind not in "mMV":
        return array.__reduce_ex__(5)
    order = "C" if array.flags.c_contiguous else "F"
    flat = array
    if not (plain and array.flags.writeable):
        flat = array.reshape(-1, order=order).view(numpy.uint8)
    if not flat.flags.writeable:
        flat = numpy.asarray(_AsWritable(flat))
    buffer = pickle.PickleBuffer(flat)
    if plain:
        return numpy.ndarray, (array.shape, dtype.str, buffer, *(() if order == "C" else (0, None, order)))
    return _restore_array, (buffer, dtype, array.shape, order)


class _AsWritable:
    """The memory of an array of bytes, said to be writable: pickle marks what is not. It is only read."""

    def __init__(self, flat: Any) -> None:
        self.__array_interface__ = {**flat.__array_interface__, "data": (flat.__array_interface__["data"][0], False)}
        self._kept = flat


def _restore_array(buffer: Any, dtype: Any, shape: tuple[int, ...], order: str) -> Any:
    numpy = importlib.import_module("numpy")
    return numpy.frombuffer(buffer, numpy.uint8).view(dtype).reshape(shape, order=order)


def _reduce_tensor(tensor: Any) -> Any:
    """PyTorch pickles a tensor's whole storage into the stream; here what it shows leaves out of band.

    A tensor that is more than numbers in memory (a graph, a device, attributes, a layout) goes as PyTorch does it.
    """
    torch = sys.modules["torch"]
    plain = tensor.layout is torch.strided and tensor.device.type == "cpu" and not vars(tensor)
    if not plain or tensor.requires_grad or tensor.is_quantized or tensor.is_conj() or tensor.is_neg():
        return tensor.__reduce_ex__(5)
    # As bytes: NumPy lacks some of PyTorch's types.
    flat = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
    return _restore_tensor, (pickle.PickleBuffer(flat), tensor.dtype, tuple(tensor.shape))


def _restore_tensor(buffer: Any, dtype: Any, shape: tuple[int, ...]) -> Any:
    """PyTorch has no read-only tensors: what lies in memory that others read is copied."""
    torch = importlib.import_module("torch")
    view = memoryview(buffer)
    if not view.nbytes:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(view) if view.readonly else view, dtype=dtype).reshape(shape)


def _reduce_new_type(made: Any) -> Any:
    """`NewType` pickles itself by name, which other processes can't find in `__main__`."""
    module, name = made.__module__, made.__qualname__
    if module != "__main__" and getattr(sys.modules.get(module), name, None) is made:
        return name
    return _restore_new_type, (name, module, made.__supertype__)


def _restore_new_type(name: str, module: str, supertype: Any) -> Any:
    made = cast("Any", typing.NewType)(name, supertype)
    made.__module__ = module
    return made


_OF_TYPED_DICTS = (
    *("__module__", "__qualname__", "__doc__", "__annotations__", "__orig_bases__", "__total__"),
    *(
        "__required_keys__",
        "__optional_keys__",
        "__readonly_keys__",
        "__mutable_keys__",
        "__extra_items__",
        "__closed__",
    ),
)


def _reduce_typed_dict(cls: type) -> tuple[Any, ...]:
    """A `TypedDict` is no ordinary class: it can't be made from the bases that it shows."""
    return _restore_typed_dict, (cls.__name__, {name: vars(cls)[name] for name in _OF_TYPED_DICTS if name in vars(cls)})


def _restore_typed_dict(name: str, space: dict[str, Any]) -> Any:
    class Made(typing.TypedDict): ...

    for attribute, value in {"__name__": name, **space}.items():
        setattr(Made, attribute, value)
    return Made


# Reducers of classes that exist once their module is imported, which is not done here.
_REDUCERS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("numpy", "ndarray"): _reduce_array,
    ("torch", "Tensor"): _reduce_tensor,
}
_seen_copyreg: dict[Any, Any] | None = None
_seen_numpy = False
_seen_torch = False
_custom: dict[type, Callable[[Any], Any]] = {}


def _refresh() -> None:
    """Makes the pickler's table again when `copyreg`, NumPy, PyTorch or `set_reducer` brought something new.

    cloudpickle's reducers and `copyreg`'s as one plain dict: a lookup in cloudpickle's ChainMap costs a microsecond.
    """
    global _seen_copyreg, _seen_numpy, _seen_torch
    table = {**cast("Any", cloudpickle.Pickler)._dispatch_table}
    table |= {memoryview: _reduce_memoryview, typing.NewType: _reduce_new_type}
    found = set()
    for (module, name), reducer in _REDUCERS.items():
        cls = getattr(sys.modules.get(module), name, None)
        if cls is not None:
            table[cls] = reducer
            found.add(module)
    _seen_copyreg, _seen_numpy, _seen_torch = dict(copyreg.dispatch_table), "numpy" in found, "torch" in found
    # C's pickler looks the table up while it is made, so it has to be the class's.
    Pickler.dispatch_table = {**table, **_seen_copyreg, **_custom}


def set_reducer(cls: type, reducer: Callable[[Any], Any] | None) -> None:
    """How instances of exactly this class are pickled in this process from now on; `None`: as before."""
    if reducer is None:
        _custom.pop(cls, None)
    else:
        _custom[cls] = reducer
    _refresh()


def _with_slots(obj: Any, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """cloudpickle forgets a class's `__slots__`, and an instance that comes back then has a dict too many."""
    if reduced[0] is _cp._make_skeleton_class and "__slots__" in vars(obj):
        bases, namespace = reduced[1][2:4]
        # It sets its own.
        if typing.NamedTuple not in bases:
            namespace["__slots__"] = obj.__slots__
    return reduced


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """C's pickler with cloudpickle's reducers where they are needed."""

    def __init__(self, file: io.BytesIO, buffer_callback: Callable[[pickle.PickleBuffer], Any] | None) -> None:
        # Past cloudpickle's own __init__, which only adds calls.
        pickle.Pickler.__init__(self, file, 5, buffer_callback=buffer_callback)
        self.globals_ref: dict[int, dict[str, Any]] = {}
        self.proto = 5

    def reducer_override(self, obj: Any) -> Any:
        """By value what can't be imported elsewhere."""
        if isinstance(obj, type | types.FunctionType):
            name = obj.__module__
            # The common case of what cloudpickle then decides at length: a module's own attribute.
            if (
                name != "__main__"
                and getattr(sys.modules.get(name), obj.__qualname__, None) is obj
                and not _cp._PICKLE_BY_VALUE_MODULES
            ):
                return NotImplemented
            if isinstance(obj, type) and typing.is_typeddict(obj) and obj.__bases__ == (dict,):
                return _reduce_typed_dict(obj)
            reduced = cloudpickle.Pickler.reducer_override(self, obj)
            return reduced if reduced is NotImplemented else _with_slots(obj, reduced)
        return NotImplemented


def serialize(obj: Any) -> tuple[bytes, Buffers]:
    """The pickle of `obj`, and the buffers that it leaves out of band, in order.

    Raises:
        Exception: Whatever the object's own pickling raises.
    """
    buffers: Buffers = []
    return _dump(obj, buffers.append), buffers


class Place(enum.Enum):
    """Where references go that are pickled for no call."""

    EXPORT = 1
    """Into a function, a class, an exception of ours; they are held until the job ends, without a warning (OWN-5)."""
    SAVED = 2
    """Into a value that is stored."""


class _State(threading.local):
    place: Place | None = None


_STATE = _State()


def dumps(obj: Any) -> bytes:
    """The pickle of `obj` with its buffers inside: a function, a class, an exception of ours, no value of a call."""
    return _dump_into(Place.EXPORT, obj)


def to_bytes(obj: Any) -> bytes:
    """The pickle of a value that is stored, its buffers inside; references in it live until the job ends (OWN-4)."""
    return _dump_into(Place.SAVED, obj)


def place() -> Place | None:
    """What this thread pickles for, if shoal itself does it and for no call."""
    return _STATE.place


def _dump_into(place: Place, obj: Any) -> bytes:
    before, _STATE.place = _STATE.place, place
    try:
        return _dump(obj, None)
    finally:
        _STATE.place = before


def _dump(obj: Any, callback: Callable[[pickle.PickleBuffer], Any] | None) -> bytes:
    if (
        copyreg.dispatch_table != _seen_copyreg
        or (not _seen_numpy and "numpy" in sys.modules)
        or (not _seen_torch and "torch" in sys.modules)
    ):
        _refresh()
    with io.BytesIO() as file:
        Pickler(file, callback).dump(obj)
        return file.getvalue()


def deserialize(pickled: Any, buffers: list[Any]) -> Any:
    """The object again; `buffers` in the order in which `serialize` gave them."""
    return pickle.loads(pickled, buffers=buffers)
