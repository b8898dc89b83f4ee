"""Values in Redis."""

import builtins
import os
import re
import threading
from typing import TYPE_CHECKING, Any

from shoal.util.persistence._base import BytesPersistence, failed, needs

if TYPE_CHECKING:
    from redis import Redis


class RedisPersistence(BytesPersistence):
    """Keeps values in Redis, one key each.

    A save outlives the actor's process. Whether it outlives a crash of the Redis server is that server's setting:
    `appendonly yes` with `appendfsync always` says so.

    Args:
        url: Where, such as `redis://:password@host:6379/0`, `rediss://…` for TLS, or `unix:///run/redis.sock`.
        prefix: What the keys in Redis begin with.

    Raises:
        ImportError: The package redis is not installed (on first use).
    """

    def __init__(self, url: str = "redis://localhost:6379/0", prefix: str = "shoal:state:") -> None:
        self._url, self._prefix = url, prefix
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._opened: tuple[int, Redis] | None = None

    def __getstate__(self) -> tuple[str, str]:
        return self._url, self._prefix

    def __setstate__(self, state: tuple[str, str]) -> None:
        self._url, self._prefix = state
        self._start()

    def __repr__(self) -> str:
        # Without the password.
        return f"RedisPersistence({re.sub('//[^@/]*@', '//…@', self._url)!r}, prefix={self._prefix!r})"

    def exists(self, key: str) -> bool:
        """Whether `key` has a value."""
        return bool(self._ask("looking for", key, lambda client: client.exists(self._prefix + key)))

    def read_bytes(self, key: str) -> bytes | None:
        """The bytes of `key`."""
        data: bytes | None = self._ask("reading", key, lambda client: client.get(self._prefix + key))
        return data

    def write_bytes(self, key: str, pickled: bytes) -> None:
        """Sets `key`."""
        self._ask("writing", key, lambda client: client.set(self._prefix + key, pickled))

    def delete(self, key: str) -> None:
        """Deletes `key`."""
        self._ask("deleting", key, lambda client: client.delete(self._prefix + key))

    def list(self, prefix: str = "") -> builtins.list[str]:
        """The keys that begin with `prefix`; it looks at every key of the Redis database."""
        full = self._prefix + prefix
        pattern = re.sub(r"([*?\[\]\\^-])", r"\\\1", full) + "*"
        found = self._ask("listing", prefix, lambda client: list(client.scan_iter(pattern, count=1000)))
        return sorted({name.decode()[len(self._prefix) :] for name in found})

    def close(self) -> None:
        """Closes the connections; the next use opens new ones."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None and opened[0] == os.getpid():
            opened[1].close()

    def _ask(self, what: str, key: str, question: Any) -> Any:
        try:
            import redis
        except ImportError as error:
            raise needs("redis", "redis", "RedisPersistence", error) from None
        try:
            return question(self._client())
        except redis.RedisError as error:
            raise failed(what, key, error) from error

    def _client(self) -> "Redis":
        """The client of this process: a fork's child makes its own."""
        import redis

        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = (os.getpid(), redis.Redis.from_url(self._url))
            return self._opened[1]
