"""Engines from a URL: SQLite as it must be set up to lose nothing, PostgreSQL with snapshots for readers.

Readers and writers have engines of their own. On SQLite a writer begins with ``BEGIN IMMEDIATE``, since the default
deferred transaction loses updates in silence or fails with "database is locked" whatever the timeout.

What takes no time there is asked in the event loop's thread: all that a writer does but wait, and lookups, which have a
third engine, and a fourth that is quicker and never waits. What may go through many rows is read in threads.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from models.store.at_once import DRIVER, PATIENCE_MS
from models.store.lookups import Lookups
from models.store.one_writer import OneWriter

_SQLITE_PRAGMAS: Final = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON")
_READ_ONLY: Final = "PRAGMA query_only=ON"
_PATIENT: Final = f"PRAGMA busy_timeout={PATIENCE_MS}"
_IMPATIENT: Final = "PRAGMA busy_timeout=0"  # last: as long as a connection is being made, it may wait
# Always, not only to erase: rows that were moved as pages filled up leave copies of themselves behind without it.
_OVERWRITE_DELETED: Final = "PRAGMA secure_delete=ON"
_GRACE_SECONDS: Final = 5.0  # after its own limit, in which PostgreSQL says that a statement took too long
# libpq's spelling of a parameter that users put into URLs -> asyncpg's
_POSTGRESQL_PARAMETERS: Final = {"sslmode": "ssl", "connect_timeout": "timeout", "host": "host", "port": "port"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a database a process takes, and how long it waits for it, in seconds.

    A pool is of `pool_size` connections, and for bursts of `pool_overflow` more; readers and writers have one each, and
    on SQLite lookups, of which one ends before the next begins. The last four are for PostgreSQL; 0 sets no limit.
    """

    pool_size: int = 5
    pool_overflow: int = 0
    pool_wait: float = 10.0
    connect: float = 5.0
    statement: float = 30.0
    lock: float = 10.0
    idle_in_transaction: float = 60.0

    def server_settings(self) -> dict[str, str]:
        """What each connection to PostgreSQL asks of the server; in milliseconds there."""
        seconds = {
            "statement_timeout": self.statement,
            "lock_timeout": self.lock,
            "idle_in_transaction_session_timeout": self.idle_in_transaction,
        }
        return {"application_name": "townclerk", **{name: str(round(1000 * it)) for name, it in seconds.items()}}


_DEFAULTS: Final = Limits()


class UnusableDatabaseUrlError(ValueError):
    """A database URL that names no database Townclerk can live in; the message says what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """The ways into one database. `lookups` is for reads of a few rows by an index; it may be the reader itself.

    Where there are lookups `at_once`, they come first, and `lookups` has what they would have had to wait for. Where
    there is `one_writer`, it has the place of `writer` for what goes past SQLAlchemy.
    """

    url: URL
    reader: AsyncEngine
    lookups: AsyncEngine
    writer: AsyncEngine
    at_once: Lookups | None = None
    one_writer: OneWriter | None = None

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def is_writing(self) -> bool:
        """Whether there is a write under way that takes no connection of the writer's pool."""
        return self.one_writer is not None and self.one_writer.is_writing

    async def dispose(self) -> None:
        if self.at_once is not None:
            self.at_once.close()
        if self.one_writer is not None:
            self.one_writer.close()
        await self.reader.dispose()
        await self.lookups.dispose()
        await self.writer.dispose()


def async_url(text: str) -> URL:
    """`text` (``sqlite:///FILE`` or ``postgresql://...``) with the driver that Townclerk uses.

    Raises `UnusableDatabaseUrlError`.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise UnusableDatabaseUrlError("the database URL must read sqlite:///FILE or postgresql://...") from error
    if url.drivername == "sqlite":
        if url.database in {None, "", ":memory:"}:
            raise UnusableDatabaseUrlError("SQLite needs a file: sqlite:///townclerk.db")
        if not Path(str(url.database)).absolute().parent.is_dir():
            raise UnusableDatabaseUrlError(f"there is no folder for the SQLite file {url.database}")
        return url.set(drivername="sqlite+aiosqlite")
    if url.drivername in {"postgresql", "postgres"}:
        if unknown := url.query.keys() - _POSTGRESQL_PARAMETERS.keys():
            raise UnusableDatabaseUrlError(f"the database URL has parameters that are not known: {sorted(unknown)}")
        query = {_POSTGRESQL_PARAMETERS[name]: value for name, value in url.query.items()}
        return url.set(drivername="postgresql+asyncpg", query=query)
    raise UnusableDatabaseUrlError(f"no database of the kind {url.drivername!r}: sqlite or postgresql will do")


def open_database(text: str, limits: Limits = _DEFAULTS) -> Database:
    """Engines for the database at `text`. Nothing is connected yet. Raises `UnusableDatabaseUrlError`."""
    url = async_url(text)
    return _open_sqlite(url, limits) if url.get_backend_name() == "sqlite" else _open_postgresql(url, limits)


def _pool(limits: Limits) -> dict[str, Any]:
    """What engines are told of their pools."""
    return {
        "pool_size": limits.pool_size,
        "max_overflow": limits.pool_overflow,
        "pool_timeout": limits.pool_wait,
    }


def _open_postgresql(url: URL, limits: Limits) -> Database:
    """Each pool looks whether a connection still lives before it hands it out, and makes another if not."""
    given = url.query.get("timeout")
    try:
        connect = limits.connect if given is None else float(str(given))
    except ValueError as error:
        raise UnusableDatabaseUrlError("the database URL's connect_timeout must be a number of seconds") from error
    options: dict[str, Any] = {
        **_pool(limits),
        "pool_pre_ping": True,
        "connect_args": {
            "timeout": connect or None,
            "command_timeout": limits.statement + _GRACE_SECONDS if limits.statement else None,
            "server_settings": limits.server_settings(),
        },
    }
    url = url.difference_update_query(["timeout"])
    reader = create_async_engine(
        url, isolation_level="REPEATABLE READ", execution_options={"postgresql_readonly": True}, **options
    )
    return Database(
        url=url,
        reader=reader,
        lookups=reader,
        writer=create_async_engine(url, isolation_level="READ COMMITTED", **options),
    )


def _open_sqlite(url: URL, limits: Limits) -> Database:
    pool = _pool(limits)
    at_once = url.set(drivername=DRIVER)
    reader, lookups = create_async_engine(url, **pool), create_async_engine(at_once, **pool)
    # One writer a process: waiting for its turn in the pool is fair and silent, waiting for SQLite's lock is neither.
    writer = create_async_engine(at_once, begin="BEGIN IMMEDIATE", **{**pool, "pool_size": 1, "max_overflow": 0})
    one_writer = create_async_engine(at_once, poolclass=NullPool)
    quick = create_engine(url.set(drivername="sqlite"), poolclass=NullPool, connect_args={"timeout": 0})
    event.listen(reader.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    _prepare(reader.sync_engine, *_SQLITE_PRAGMAS, _READ_ONLY, _PATIENT)
    for engine in (lookups.sync_engine, quick):
        _prepare(engine, *_SQLITE_PRAGMAS, _READ_ONLY, _IMPATIENT)
    for engine in (writer.sync_engine, one_writer.sync_engine):
        _prepare(engine, *_SQLITE_PRAGMAS, _OVERWRITE_DELETED, _IMPATIENT)
    return Database(
        url=url,
        reader=reader,
        lookups=lookups,
        writer=writer,
        at_once=Lookups(quick),
        one_writer=OneWriter(one_writer, limits.pool_wait),
    )


def _prepare(engine: Engine, *pragmas: str) -> None:
    def on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions are ours to begin
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()

    event.listen(engine, "connect", on_connect)
