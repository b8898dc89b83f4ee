"""One instance a test, small and started for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def two_cpus() -> Iterator[object]:
    """A fresh instance with two CPUs."""
    import shoal

    with shoal.init(num_cpus=2) as context:
        yield context
    shoal.shutdown()


@pytest.fixture
def one_cpu() -> Iterator[object]:
    """A fresh instance with one CPU."""
    import shoal

    with shoal.init(num_cpus=1) as context:
        yield context
    shoal.shutdown()
