"""Python objects as bytes and out-of-band buffers.

One pass of C's pickler with protocol 5. Classes and functions that other processes can't import (those of `__main__`,
lambdas, local ones, remote-decorated ones) go by value through cloudpickle's reducers, all else as pickle does it.
"""

import copyreg
import io
import pickle
import sys
import threading
import types
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
    """NumPy pickles an array out of band only when it is contiguous."""
    if array.dtype.hasobject or array.flags.c_contiguous or array.flags.f_contiguous:
        return array.__reduce_ex__(5)
    return sys.modules["numpy"].ascontiguousarray(array).__reduce_ex__(5)


_seen_copyreg: dict[Any, Any] | None = None
_seen_numpy = False


def _refresh() -> None:
    """Makes the pickler's table again when `copyreg` or NumPy brought something new.

    cloudpickle's reducers and `copyreg`'s as one plain dict: a lookup in cloudpickle's ChainMap costs a microsecond.
    """
    global _seen_copyreg, _seen_numpy
    array = getattr(sys.modules.get("numpy"), "ndarray", None)
    _seen_copyreg, _seen_numpy = dict(copyreg.dispatch_table), array is not None
    table = {**cast("Any", cloudpickle.Pickler)._dispatch_table, memoryview: _reduce_memoryview}
    if array is not None:
        table[array] = _reduce_array
    # C's pickler looks the table up while it is made, so it has to be the class's.
    Pickler.dispatch_table = {**table, **_seen_copyreg}


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
            return cloudpickle.Pickler.reducer_override(self, obj)
        return NotImplemented


def serialize(obj: Any) -> tuple[bytes, Buffers]:
    """The pickle of `obj`, and the buffers that it leaves out of band, in order.

    Raises:
        Exception: Whatever the object's own pickling raises.
    """
    buffers: Buffers = []
    return _dump(obj, buffers.append), buffers


class _State(threading.local):
    own = False


_STATE = _State()


def dumps(obj: Any) -> bytes:
    """The pickle of `obj` with its buffers inside: a function, a class, an exception of ours, no value of a call."""
    before, _STATE.own = _STATE.own, True
    try:
        return _dump(obj, None)
    finally:
        _STATE.own = before


def to_bytes(obj: Any) -> bytes:
    """The pickle of a value that is stored, its buffers inside; references in it live until the job ends (OWN-4)."""
    return _dump(obj, None)


def is_own_pickling() -> bool:
    """Whether this thread is in `dumps`: references that it meets are held until the job ends, without a warning."""
    return _STATE.own


def _dump(obj: Any, callback: Callable[[pickle.PickleBuffer], Any] | None) -> bytes:
    if copyreg.dispatch_table != _seen_copyreg or (not _seen_numpy and "numpy" in sys.modules):
        _refresh()
    with io.BytesIO() as file:
        Pickler(file, callback).dump(obj)
        return file.getvalue()


def deserialize(pickled: Any, buffers: list[Any]) -> Any:
    """The object again; `buffers` in the order in which `serialize` gave them."""
    return pickle.loads(pickled, buffers=buffers)
