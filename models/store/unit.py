"""Units of work: `Store.read` for a snapshot, `Store.write` for a transaction. Nothing else commits."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from threading import Event
from typing import Final, TypeVar

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from models.store.engine import Database
from models.store.kept import KeptRows
from models.store.lookups import is_busy
from models.store.rows import write_out
from models.store.straight import commit, is_committed, write_session
from models.store.tables import CompiledSet, TableCache, TableKey
from models.store.wake import notify

T = TypeVar("T")
Clock = Callable[[], datetime]
NewId = Callable[[], str]
AfterCommit = Callable[[frozenset[str]], None]
Session = AsyncSession
Read = Callable[[Callable[[Session], Awaitable[T]]], Awaitable[T]]  # `Store.fetch` or `Store.search`

LONG_READS: Final = 2  # at once in a process, so that there are connections left for all other reads
_ATTEMPTS: Final = 5
_PAUSE_SECONDS: Final = 0.01  # doubled with each attempt
_SERIALIZATION_FAILURE, _DEADLOCK = "40001", "40P01"
_SQLITE_AWAY: Final = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_CANTOPEN",
    "SQLITE_READONLY",
)
# no connection, no resources, shut down, system error, lock not to be had, idle for too long, a standby for now
_POSTGRESQL_AWAY: Final = ("08", "53", "57", "58", "55P03", "25P03", "25006")
_POSTGRESQL_CUT_OFF: Final = ("08", "57P0")  # no connection; shut down, crashed, starting up
# what PostgreSQL says at a COMMIT that it undid: a lost race (but for 40003, which says that it does not know), a key
_POSTGRESQL_UNDONE: Final = (_SERIALIZATION_FAILURE, _DEADLOCK, "40000", "40002", "23")


class StorageUnavailableError(Exception):
    """The database could not be reached, or had no room or time left. Nothing of the unit was written."""


class OutcomeUnknownError(StorageUnavailableError):
    """The connection was lost during COMMIT: all of the unit was written, or nothing of it, and nobody knows which.

    Whoever sent an idempotency key sends the request again, and then knows.
    """


def system_clock() -> datetime:
    return datetime.now(UTC)


def random_id() -> str:
    """32 hex digits that nobody has had before."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteUnit:
    """One transaction under way, and the store it belongs to."""

    session: AsyncSession
    store: "Store"
    _moved: set[str] = field(default_factory=set, init=False)
    _made: dict[TableKey, CompiledSet] = field(default_factory=dict, init=False)

    async def announce(self, chains: Iterable[str]) -> None:
        """Wake up whoever waits for one of `chains` to move, in any process, after the commit and only then."""
        new = set(chains) - self._moved
        self._moved.update(new)
        if new and not self.store.database.is_sqlite:
            await notify(self.session, sorted(new))

    def makes(self, key: TableKey, compiled: CompiledSet) -> None:
        """Have a set that the unit stores kept after the commit, which is as reading it back would give it."""
        self._made[key] = compiled

    def committed(self) -> None:
        """Keep what was made, and tell this process what was announced."""
        self.store.tables.keep(self._made)
        for hook in self.store.after_commit:
            hook(frozenset(self._moved))


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A database, the clock and the new ids that writes are stamped by, and what is kept of what was read from it.

    `after_commit` are told of the chains that each write of this process has moved. They must neither wait nor raise.
    `long_reads` bounds those that take a connection for as long as a chain is. `ending` is set once the process is
    asked to end: what takes long stops where it can be carried on by another.
    """

    database: Database
    clock: Clock = system_clock
    new_id: NewId = random_id
    tables: TableCache = field(default_factory=TableCache)
    rows: KeptRows = field(default_factory=KeptRows)
    after_commit: list[AfterCommit] = field(default_factory=list)
    ending: Event = field(default_factory=Event)
    long_reads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LONG_READS))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session whose statements all see one snapshot, begun at the first of them.

        Raises `StorageUnavailableError`.
        """
        try:
            async with AsyncSession(self.database.reader, expire_on_commit=False) as session:
                yield session
        except (SQLAlchemyError, OSError) as error:
            if _is_unavailable(error):
                raise StorageUnavailableError from error
            raise

    async def fetch(self, query: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """What `query` gives for a session as `read` has it. An index has to lead to the rows, which have to be few.

        On SQLite the event loop does nothing else meanwhile: see `search`. `query` has no more there than `exec` and
        `get`.

        It is run anew, at most five times in all, where the connection is lost on the way: nothing that it found has
        gone anywhere by then. Raises `StorageUnavailableError`.
        """
        return await _persistently(partial(_looked_up, self.database, query))

    async def search(self, query: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """As `fetch`, for what may have to go through many rows."""
        return await _persistently(partial(_asked, self.database.reader, query))

    async def write(self, work: Callable[[WriteUnit], Awaitable[T]]) -> T:
        """Run `work` in one transaction and commit it.

        It is run anew, at most five times in all, where it lost a race that the database settled (a serialization
        failure, a deadlock, a key that someone else took first), or where the connection was lost before COMMIT was
        sent. Raises what `work` raises, after rolling back, `StorageUnavailableError` and `OutcomeUnknownError`.
        """

        async def once() -> T:
            async with write_session(self.database) as session:
                unit = WriteUnit(session=session, store=self)
                result = await work(unit)
                await write_out(session)
                try:
                    await commit(session)
                except asyncio.CancelledError:
                    if is_committed(session):
                        unit.committed()  # for others, who go on
                    raise
                except (SQLAlchemyError, OSError) as error:
                    if not _is_surely_undone(error):
                        raise OutcomeUnknownError from error
                    raise
            unit.committed()
            return result

        return await _persistently(once)

    async def dispose(self) -> None:
        await self.database.dispose()


async def _looked_up(database: Database, query: Callable[[AsyncSession], Awaitable[T]]) -> T:
    if database.at_once is not None:
        try:
            return await database.at_once.ask(query)
        except OperationalError as error:
            if not is_busy(error):
                raise
    return await _asked(database.lookups, query)


async def _asked(engine: AsyncEngine, query: Callable[[AsyncSession], Awaitable[T]]) -> T:
    async with AsyncSession(engine, expire_on_commit=False) as session:
        return await query(session)


async def _persistently(once: Callable[[], Awaitable[T]]) -> T:
    """Run `once` until it is neither cut off nor beaten by another, at most five times, after pauses of random length.

    Raises `StorageUnavailableError` where the database is what failed.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await once()
        except (SQLAlchemyError, OSError) as error:
            again = _is_lost_race(error) or _is_cut_off(error)
            if attempt == _ATTEMPTS or not again:
                if _is_unavailable(error):
                    raise StorageUnavailableError from error
                raise
            await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS * 2**attempt))  # noqa: S311  # jitter, no secret
    raise AssertionError("the last attempt returns or raises")


def _is_lost_race(error: Exception) -> bool:
    """Whether someone else was quicker, so that the same work may well succeed when it is done again."""
    if not isinstance(error, DBAPIError):
        return False
    return isinstance(error, IntegrityError) or _told(error, "sqlstate") in {_SERIALIZATION_FAILURE, _DEADLOCK}


def _is_cut_off(error: Exception) -> bool:
    """Whether there was no connection, or none any more, and another may be had. Waiting in vain is no such case."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, OSError) and not isinstance(error, TimeoutError)
    state = _told(error, "sqlstate") or ""
    return error.connection_invalidated or state.startswith(_POSTGRESQL_CUT_OFF)


def _is_surely_undone(error: Exception) -> bool:
    """Whether a COMMIT that failed has written nothing. SQLite knows, unless its file would not be written to."""
    if not isinstance(error, DBAPIError):
        return False
    if name := _told(error, "sqlite_errorname"):
        return not name.startswith("SQLITE_IOERR")
    return (_told(error, "sqlstate") or "").startswith(_POSTGRESQL_UNDONE)


def _is_unavailable(error: Exception) -> bool:
    """Whether the database, rather than the statement, is what failed."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeoutError | OSError)
    if name := _told(error, "sqlite_errorname"):
        return name.startswith(_SQLITE_AWAY)
    if state := _told(error, "sqlstate"):
        return state.startswith(_POSTGRESQL_AWAY)
    return error.connection_invalidated or isinstance(error, InterfaceError | OperationalError)


def _told(error: DBAPIError, name: str) -> str | None:
    """What the driver's own exception says under `name`."""
    for known in (error.orig, getattr(error, "driver_exception", None)):
        told = getattr(known, name, None)
        if isinstance(told, str):
            return told
    return None
