"""Frames and tensors: what lies in shared memory is read from there and not copied."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import shoal

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
pytestmark = pytest.mark.usefixtures("warm", "shared_instance")
N = 200_000


@pytest.fixture(scope="module")
def warm():
    """Polars starts threads when it first works, and keeps them."""
    frame = pickle.loads(pickle.dumps(pl.DataFrame({"x": range(N), "s": ["s"] * N})))
    assert pickle.loads(pickle.dumps(frame.lazy().filter(pl.col("x") < 10))).collect().equals(frame[:10])
    assert pl.from_arrow(frame.to_arrow()).equals(frame)


@shoal.remote
def same(value):
    return value


def shared(a, b):
    """Whether two values that were had by `get` lie in the same memory."""
    return np.shares_memory(a, b)


def two(value):
    ref = same.remote(shoal.put(value))
    return shoal.get([ref, ref])


def test_columns_of_numbers_of_pandas_are_not_copied():
    frame = pd.DataFrame({"x": np.arange(N), "y": np.arange(N) / 2})
    a, b = two(frame)
    pd.testing.assert_frame_equal(a, frame)
    for column in frame:
        assert shared(a[column].to_numpy(), b[column].to_numpy())
    series, other = two(frame["x"])
    assert shared(series.to_numpy(), other.to_numpy())


def test_a_pandas_frame_of_text_times_categories_and_an_index():
    frame = pd.DataFrame(
        {
            "text": [f"t{i % 100}" for i in range(1000)],
            "time": pd.date_range("2020-01-01", periods=1000, freq="h", tz="UTC"),
            "kind": pd.Categorical(["a", "b"] * 500),
            "object": [{"k": i} for i in range(1000)],
        },
        index=pd.MultiIndex.from_product([range(10), range(100)], names=["i", "j"]),
    )
    pd.testing.assert_frame_equal(two(frame)[0], frame)


def test_dates_of_pandas_are_not_copied():
    frame = pd.DataFrame({"t": pd.date_range("2020-01-01", periods=N, freq="min"), "d": pd.to_timedelta(range(N))})
    a, b = two(frame)
    pd.testing.assert_frame_equal(a, frame)
    assert shared(a["t"].to_numpy(), b["t"].to_numpy()) and shared(a["d"].to_numpy(), b["d"].to_numpy())


def test_a_pandas_frame_can_be_changed_after_a_copy():
    ref = shoal.put(pd.DataFrame({"x": np.zeros(N)}))
    ref = shoal.put(shoal.get(ref))
    mine = shoal.get(ref, copy=True)
    mine.loc[0, "x"] = 5.0
    assert mine["x"].sum() == 5 and shoal.get(ref)["x"].sum() == 0


def test_arrow_tables_are_not_copied():
    table = pa.table({"x": np.arange(N), "s": [f"s{i}" for i in range(N)]})
    a, b = two(table)
    assert a.equals(table)
    for name in ("x", "s"):
        first, second = a[name].chunk(0).buffers(), b[name].chunk(0).buffers()
        assert [x and x.address for x in first] == [x and x.address for x in second]
    batch = table.to_batches()[0]
    assert two(batch)[0].equals(batch)


def test_a_polars_frame():
    frame = pl.DataFrame({"x": np.arange(N), "s": [f"s{i}" for i in range(N)], "l": [[i] for i in range(N)]})
    a, _ = two(frame)
    assert a.equals(frame)
    assert two(frame["x"])[0].equals(frame["x"])
    assert two(frame.lazy().filter(pl.col("x") < 10))[0].collect().height == 10


def test_a_polars_frame_by_way_of_arrow_is_not_copied():
    table = pl.DataFrame({"x": np.arange(N)}).to_arrow()
    a, b = (pl.from_arrow(value) for value in two(table))
    assert shared(a["x"].to_numpy(), b["x"].to_numpy())


def test_structured_arrays_masked_arrays_and_matrices():
    records = np.zeros(N, dtype=[("x", "i4"), ("y", "f8")])
    a, b = two(records)
    assert a.dtype == records.dtype and shared(a, b)
    masked = np.ma.masked_greater(np.arange(N), 5)
    assert two(masked)[0].count() == 6
    a, b = two(np.asfortranarray(np.arange(N * 2).reshape(2, N)))
    assert a.flags.f_contiguous and shared(a, b)


def test_text_and_dates_in_numpy():
    for array in (np.array(["abc"] * N), np.arange("2000-01-01", "2400-01-01", dtype="M8[D]"), np.arange(N) * 1j):
        a, b = two(array)
        np.testing.assert_array_equal(a, array)
        assert shared(a, b)


def test_a_tensor_is_shared_until_it_is_had_and_then_private():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    a, b = two(torch.arange(5000, dtype=torch.bfloat16))
    a.zero_()
    assert torch.equal(b, torch.arange(5000, dtype=torch.bfloat16))
    model = torch.nn.Linear(100, 100)
    assert torch.equal(two(model.state_dict())[0]["weight"], model.weight)
