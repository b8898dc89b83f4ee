"""The systems under test: how each is started and ended, and which function of a case is for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from meter import Meter, Numbers, cores

#: In the order of the table's columns. A case has `on_NAME` for each on which it means something; `on_api` is one
#: program for both shoal and Ray.
NAMES = ("shoal", "multiprocessing", "futures", "dask", "ray")

Run = Callable[[Meter], Numbers]


def runner(case: ModuleType, system: str) -> Run | None:
    """The function of a case that measures it on a system."""
    found = getattr(case, f"on_{system}", None)
    if found is None and system in ("shoal", "ray"):
        found = getattr(case, "on_api", None)
    return found


@contextmanager
def started(system: str, meter: Meter) -> Iterator[None]:
    """Starts a system with as many workers as there are cores, and puts its handle into the meter."""
    with _STARTS[system](meter):
        yield


@contextmanager
def _shoal(meter: Meter) -> Iterator[None]:
    import shoal

    meter.api = shoal
    meter.address = shoal.init("local").address_info["address"]
    yield
    shoal.shutdown()


@contextmanager
def _ray(meter: Meter) -> Iterator[None]:
    ray: Any = __import__("ray")  # only in the environment of the peers
    meter.api = ray
    context = ray.init("local", num_cpus=cores(), logging_level="ERROR")
    meter.address = context.address_info["gcs_address"]
    yield
    ray.shutdown()


@contextmanager
def _multiprocessing(meter: Meter) -> Iterator[None]:
    import multiprocessing

    with multiprocessing.Pool(cores()) as pool:
        meter.pool = pool
        yield


@contextmanager
def _futures(meter: Meter) -> Iterator[None]:
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(cores()) as pool:
        meter.pool = pool
        yield


@contextmanager
def _dask(meter: Meter) -> Iterator[None]:
    distributed: Any = __import__("distributed")
    with (
        distributed.LocalCluster(cores(), threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        meter.client = client
        yield


_STARTS = {
    "shoal": _shoal,
    "ray": _ray,
    "multiprocessing": _multiprocessing,
    "futures": _futures,
    "dask": _dask,
}


def environment(system: str) -> dict[str, str]:
    """What a system's processes get besides this environment."""
    here = os.path.dirname(os.path.abspath(__file__))
    found = {"PYTHONPATH": here}
    if system == "ray":
        found |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": os.environ["SHOAL_TMPDIR"]}
    return found
