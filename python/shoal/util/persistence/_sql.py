"""Values as rows of a table, by SQLAlchemy."""

import builtins
import os
import threading
from typing import TYPE_CHECKING, Any

from shoal.util.persistence._base import BytesPersistence, failed, needs

if TYPE_CHECKING:
    from sqlalchemy import Engine, Table

_LONGEST_KEY = 512


class SQLAlchemyPersistence(BytesPersistence):
    """Keeps values in a table of a database: SQLite, PostgreSQL, or any other that SQLAlchemy speaks to.

    The table (`name` text, `data` bytes) is made when it isn't there. A save is one transaction.

    Args:
        url: SQLAlchemy's URL, such as `sqlite:////data/state.db` or `postgresql+psycopg://user:password@host/db`.
        table: The table's name.

    Raises:
        ImportError: SQLAlchemy or the database's driver is not installed (on first use).
    """

    def __init__(self, url: str, table: str = "shoal_state") -> None:
        self._url, self._name = url, table
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._opened: tuple[int, Engine, Table] | None = None

    def __getstate__(self) -> tuple[str, str]:
        return self._url, self._name

    def __setstate__(self, state: tuple[str, str]) -> None:
        self._url, self._name = state
        self._start()

    def __repr__(self) -> str:
        # Without the password.
        return f"SQLAlchemyPersistence({self._url.partition('://')[0]!r}, table={self._name!r})"

    def exists(self, key: str) -> bool:
        """Whether there is a row of `key`."""
        return self._select("name", key, "looking for") is not None

    def read_bytes(self, key: str) -> bytes | None:
        """The bytes of `key`'s row."""
        data = self._select("data", key, "reading")
        return None if data is None else bytes(data)

    def write_bytes(self, key: str, pickled: bytes) -> None:
        """Updates or inserts the row of `key`, in one transaction."""
        exc = import_sqlalchemy().exc
        if len(key) > _LONGEST_KEY:
            raise ValueError(f"a key of SQLAlchemyPersistence has at most {_LONGEST_KEY} characters, not {len(key)}")
        try:
            try:
                self._upsert(key, pickled)
            except exc.IntegrityError:
                # Someone else inserted the row in between: it is there to be updated now.
                self._upsert(key, pickled)
        except exc.SQLAlchemyError as error:
            raise failed("writing", key, error) from error

    def _upsert(self, key: str, pickled: bytes) -> None:
        engine, table = self._open()
        with engine.begin() as connection:
            row = table.update().where(table.c.name == key).values(data=pickled)
            if connection.execute(row).rowcount == 0:
                connection.execute(table.insert().values(name=key, data=pickled))

    def delete(self, key: str) -> None:
        """Deletes the row of `key`."""
        exc = import_sqlalchemy().exc
        try:
            engine, table = self._open()
            with engine.begin() as connection:
                connection.execute(table.delete().where(table.c.name == key))
        except exc.SQLAlchemyError as error:
            raise failed("deleting", key, error) from error

    def list(self, prefix: str = "") -> builtins.list[str]:
        """The keys of the table's rows that begin with `prefix`."""
        sqlalchemy = import_sqlalchemy()
        try:
            engine, table = self._open()
            query = sqlalchemy.select(table.c.name).where(table.c.name.startswith(prefix, autoescape=True))
            with engine.connect() as connection:
                names = connection.execute(query).scalars().all()
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise failed("listing", prefix, error) from error
        # Where LIKE takes no notice of case, and databases sort by their own rules.
        return sorted(name for name in names if name.startswith(prefix))

    def close(self) -> None:
        """Closes the connections; the next use opens new ones."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None and opened[0] == os.getpid():
            opened[1].dispose()

    def _select(self, column: str, key: str, what: str) -> Any:
        sqlalchemy = import_sqlalchemy()
        try:
            engine, table = self._open()
            with engine.connect() as connection:
                query = sqlalchemy.select(table.c[column]).where(table.c.name == key)
                return connection.execute(query).scalar_one_or_none()
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise failed(what, key, error) from error

    def _open(self) -> "tuple[Engine, Table]":
        """The engine of this process: a fork's child makes its own."""
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                engine = _engine(self._url)
                self._opened = (os.getpid(), engine, _table(engine, self._name))
            return self._opened[1:]


def import_sqlalchemy() -> Any:
    """The module, or an ImportError that says what to install."""
    try:
        import sqlalchemy
    except ImportError as error:
        raise needs("SQLAlchemy", "sql", "SQLAlchemyPersistence", error) from None
    return sqlalchemy


def _engine(url: str) -> "Engine":
    sqlalchemy = import_sqlalchemy()
    try:
        # A connection that the server has closed meanwhile is opened again, not handed to a save.
        engine: Engine = sqlalchemy.create_engine(url, pool_pre_ping=True)
    except ImportError as error:
        driver = error.name or "the driver of this database"
        raise needs(driver, "sql", "SQLAlchemyPersistence", error) from None
    return engine


def _table(engine: "Engine", name: str) -> "Table":
    from sqlalchemy import Column, LargeBinary, MetaData, String, Table

    # The length is for databases that need one (MySQL's BLOB ends at 64 KiB without).
    table = Table(
        name, MetaData(), Column("name", String(_LONGEST_KEY), primary_key=True), Column("data", LargeBinary(2**32 - 1))
    )
    _create(table, engine)
    return table


def _create(table: "Table", engine: "Engine") -> None:
    from sqlalchemy import exc, inspect

    try:
        table.create(engine, checkfirst=True)
    except exc.DBAPIError:
        # Two processes at once: only one of them makes it.
        if not inspect(engine).has_table(table.name):
            raise
