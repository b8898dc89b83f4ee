"""Instances and servers of the tests of stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import servers


@pytest.fixture(scope="module")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL server for all tests of a module; its URL for SQLAlchemy."""
    with servers.postgresql() as url:
        yield url


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A Redis server for all tests of a module; its URL."""
    with servers.redis() as url:
        yield url
