"""SQLite in the event loop's own thread: a short statement takes less than handing it to another thread would.

SQLAlchemy's dialect of the plain driver is told that it is one for asyncio. What may wait is handed over all the same:
COMMIT, which waits for the disk, and a statement whose turn it is not, which is tried again with patience.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, TypeVar

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool
from sqlalchemy.util import await_only

T = TypeVar("T")
Jobs = SimpleQueue[Callable[[], None]]

_ROWS_AT_ONCE: Final = 100  # written by one statement; each takes microseconds

DRIVER: Final = "sqlite+at_once"
PATIENCE_MS: Final = 5000  # for another process to end its transaction


class _Cursor(sqlite3.Cursor):
    async def _async_soft_close(self) -> None:
        """Do nothing where others close what they have fetched all rows of: here they are fetched as they are read."""


class _Connection(sqlite3.Connection):
    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)


class AtOnceDialect(SQLiteDialect_pysqlite):
    """Its connections are made without a busy timeout, which would keep the event loop waiting."""

    driver = "at_once"
    is_async = True
    has_terminate = True
    supports_statement_cache = True

    @classmethod
    def get_pool_class(cls, url: Any) -> type[Pool]:  # noqa: ARG003  # the base class names it
        return AsyncAdaptedQueuePool

    def __init__(self, begin: str = "BEGIN", **options: Any) -> None:
        super().__init__(**options)
        self.begin = begin

    def do_begin(self, dbapi_connection: Any) -> None:
        if not dbapi_connection.in_transaction:
            await_only(execute(dbapi_connection.cursor(), self.begin))

    def connect(self, *cargs: Any, **cparams: Any) -> Any:
        return super().connect(*cargs, **cparams, factory=_Connection)

    def do_execute(self, cursor: DBAPICursor, statement: str, parameters: Any, context: Any = None) -> None:  # noqa: ARG002  # the base class names it
        await_only(execute(cursor, statement, parameters))

    def do_executemany(self, cursor: DBAPICursor, statement: str, parameters: Any, context: Any = None) -> None:  # noqa: ARG002  # the base class names it
        await_only(execute_many(cursor, statement, parameters))

    def do_commit(self, dbapi_connection: Any) -> None:
        if dbapi_connection.in_transaction:
            await_only(to_its_end(dbapi_connection.commit))

    def do_terminate(self, dbapi_connection: Any) -> None:
        dbapi_connection.close()


async def execute(asked: Any, statement: str, parameters: Any = ()) -> None:
    """Have a connection or a cursor execute a statement, at once or as soon as others let it."""
    try:
        asked.execute(statement, parameters)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        await to_its_end(lambda: _patiently(asked, statement, parameters))


async def execute_many(cursor: Any, statement: str, rows: Any) -> None:
    """Execute a statement for each of several rows, whose turn it is. Many of them let the loop go on."""
    if len(rows) > _ROWS_AT_ONCE:
        await to_its_end(lambda: cursor.executemany(statement, rows))
    else:
        cursor.executemany(statement, rows)


def _patiently(asked: Any, statement: str, parameters: Any) -> None:
    """Execute a statement as soon as others let it."""
    connection = asked if isinstance(asked, sqlite3.Connection) else asked.connection
    connection.execute(f"PRAGMA busy_timeout={PATIENCE_MS}")
    try:
        asked.execute(statement, parameters)
    finally:
        connection.execute("PRAGMA busy_timeout=0")


async def to_its_end(work: Callable[[], T]) -> T:
    """What `work` gives, in another thread. Who is cancelled waits for its end: it has the connection until then."""
    loop = asyncio.get_running_loop()
    ended = _Sure[T](loop=loop)
    jobs = _idle_thread()

    def run() -> None:
        try:
            tell = partial(ended.set_result, work())
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            tell = partial(ended.set_exception, error)
        _IDLE.append(jobs)
        try:
            loop.call_soon_threadsafe(tell)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    jobs.put(run)
    try:
        return await ended
    except asyncio.CancelledError:
        ended.exception()  # which asyncio would report, had nobody looked
        raise


class _Sure(asyncio.Future[T]):
    """What will be there, whoever is cancelled while they wait for it: they hear of that at its end."""

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002  # the base class names it
        return False


# What threads that have nothing to do wait for. An executor would take half of the time that a quick disk does, most of
# it after the work, while whoever waits for it can't go on; and no commit is to wait for what else such threads do.
_IDLE: Final[list[Jobs]] = []
os.register_at_fork(after_in_child=_IDLE.clear)  # a child has none of its parent's threads


def _idle_thread() -> Jobs:
    """A thread's jobs. There are no more of these than connections, each of which has one thing done at a time."""
    try:
        return _IDLE.pop()
    except IndexError:
        pass
    jobs: Jobs = SimpleQueue()
    Thread(target=_work, args=(jobs,), name="sqlite", daemon=True).start()
    return jobs


def _work(jobs: Jobs) -> None:
    while True:
        jobs.get()()


registry.register("sqlite.at_once", __name__, "AtOnceDialect")
