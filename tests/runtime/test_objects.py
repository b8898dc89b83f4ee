"""Objects: sharing, copies, freeing."""

from __future__ import annotations

import gc
import json
import time

import numpy as np
import pytest

import shoal
from shoal.core import _ffi


@shoal.remote
def total(a):
    assert not a.flags.writeable
    return float(a.sum())


@shoal.remote
def ones(n):
    return np.ones(n)


def test_large_arrays_are_shared_and_read_only(two_cpus):
    ref = shoal.put(np.arange(1_000_000.0))
    a, b = shoal.get([ref, ref])
    assert np.shares_memory(a, b) and not a.flags.writeable
    assert shoal.get(total.remote(ref)) == a.sum()
    with pytest.raises(ValueError):
        a[0] = 1


def test_copy_gives_a_private_writable_array(two_cpus):
    ref = shoal.put(np.zeros(100_000))
    mine = shoal.get(ref, copy=True)
    mine[:] = 5
    assert shoal.get(ref).sum() == 0 and mine.sum() == 500_000


def test_a_large_argument_and_a_large_return(two_cpus):
    assert shoal.get(total.remote(np.ones(500_000))) == 500_000
    out = shoal.get(ones.remote(500_000))
    assert out.sum() == 500_000 and not out.flags.writeable


@pytest.mark.parametrize("n", [0, 1, 65_000, 300_000, 5_000_000])
def test_bytes_and_text_of_any_size(two_cpus, n):
    @shoal.remote
    def same(x):
        return x

    for value in (b"b" * n, "t" * n, bytearray(n), [b"in a list" * (n // 9)]):
        out = shoal.get(same.remote(value))
        assert out == value and type(out) is type(value)


def test_a_memoryview_comes_back_as_one(two_cpus):
    out = shoal.get(shoal.put(memoryview(b"x" * 200_000)))
    assert isinstance(out, memoryview) and out.readonly and out.nbytes == 200_000


def _used() -> int:
    return int(json.loads(_ffi.status())["object_store"]["object_bytes"])


def _settles(predicate) -> bool:
    end = time.monotonic() + 60
    while not predicate():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_an_object_is_freed_with_its_last_ref(two_cpus):
    ref = shoal.put(np.ones(2_000_000))
    assert _used() >= 16_000_000
    value = shoal.get(ref)
    del ref
    gc.collect()
    assert value.sum() == 2_000_000  # pinned while looked at
    del value
    assert _settles(lambda: _used() < 1_000_000)


def test_ten_times_the_arena_put_and_dropped(two_cpus):
    for i in range(100):
        ref = shoal.put(np.full(8_000_000, i, dtype=np.uint8))
        assert shoal.get(ref)[-1] == i


def test_a_full_arena_is_an_error_that_says_so(session_root):
    off = {"automatic_object_spilling_enabled": False, "object_store_full_seconds": 0.1}
    with shoal.init(num_cpus=1, object_store_memory=100 << 20, _system_config=off):
        kept = [shoal.put(np.ones(2_500_000)) for _ in range(3)]
        with pytest.raises(shoal.exceptions.ObjectStoreFullError):
            kept.extend(shoal.put(np.ones(2_500_000)) for _ in range(5))
        assert shoal.get(kept[0]).sum() == 2_500_000


def test_a_ref_inside_a_value_is_kept_by_it(two_cpus):
    @shoal.remote
    class Holder:
        def keep(self, refs):
            self.refs = refs

        def read(self):
            return shoal.get(self.refs[0]).sum()

        def drop(self):
            self.refs = None

    holder = Holder.remote()
    ref = shoal.put(np.ones(1_000_000))
    shoal.get(holder.keep.remote([ref]))
    del ref
    gc.collect()
    assert shoal.get(holder.read.remote()) == 1_000_000
    shoal.get(holder.drop.remote())
    assert _settles(lambda: _used() < 1_000_000)


def test_a_ref_pickled_outside_of_a_call_warns_and_stays(two_cpus):
    import pickle

    import cloudpickle

    ref = shoal.put("kept")
    with pytest.warns(UserWarning, match="pickled outside of a call") as told:
        data = pickle.dumps(ref)
        cloudpickle.dumps([ref])
    assert [warning.filename for warning in told] == [__file__] * 2
    del ref
    gc.collect()
    assert shoal.get(pickle.loads(data)) == "kept"


def test_a_ref_in_a_closure_is_kept_by_the_function(two_cpus):
    ref = shoal.put(np.arange(50_000))

    @shoal.remote
    def reads():
        return int(shoal.get(ref).sum())

    assert shoal.get(reads.remote()) == 50_000 * 49_999 // 2
