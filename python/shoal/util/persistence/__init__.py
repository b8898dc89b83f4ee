"""Where actors keep their state: stores, the option that names one, and a log of events.

Every store has the five methods of `BasePersistence`; write a class with them to use a store of your own. What a store
needs besides shoal (SQLAlchemy, redis) is imported when the store is first used.

Example:
    >>> import shoal, tempfile
    >>> from shoal.util.persistence import FilePersistence, Persistence
    >>> @shoal.remote(max_restarts=-1)
    ... class Counter:
    ...     def __init__(self):
    ...         self.n = 0
    ...     def add(self):
    ...         self.n += 1
    ...         return self.n
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = FilePersistence(folder.name)
    >>> counter = Counter.options(persistent=Persistence(store, "visits")).remote()
    >>> shoal.get(counter.add.remote())
    1
    >>> store.restore("visits")
    {'n': 1}
"""

from shoal.core.persistent import Persistence
from shoal.exceptions import PersistenceError
from shoal.util.persistence._base import BasePersistence, BytesPersistence
from shoal.util.persistence._events import EventLog
from shoal.util.persistence._file import FilePersistence
from shoal.util.persistence._redis import RedisPersistence
from shoal.util.persistence._sql import SQLAlchemyPersistence

__all__ = [
    "BasePersistence",
    "BytesPersistence",
    "EventLog",
    "FilePersistence",
    "Persistence",
    "PersistenceError",
    "RedisPersistence",
    "SQLAlchemyPersistence",
]
