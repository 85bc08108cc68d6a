"""Strict reads: what decides about beads and mayors, read by one statement that is sent after it was asked for.

So an answer is never older than the last commit before the request, in any number of processes: nothing of what moves
is kept. What the numbers name, an override set, an observation, an open signal, never changes, and may be.

Sessions and rows cost many times what such a statement does, so these speak to the drivers.
"""

import asyncio
import json
import sqlite3
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import asyncpg

from models.store.engine import Database
from models.store.unit import StorageUnavailableError

STRICT_READER: Final = "townclerk-strict"  # as pg_stat_activity shows it

BeadNow = tuple[str, str, int, str]  # bead id, town id, the version in force there, the task's signature
# town id, the version in force, the last observation's sequence (0 for none), the open signal's (None for none)
TownNow = tuple[str, int, int, int | None]

# each ends where it says what the key has to be
_BEADS: Final = (
    "SELECT b.bead_id, b.town_id, h.version, b.signature FROM beads b JOIN heads h ON h.chain = b.town_id "
    "WHERE b.bead_id "
)
_TOWNS: Final = (
    "SELECT h.chain, h.version, h.observation_sequence, s.sequence FROM heads h LEFT JOIN mayor_signals s "
    "ON s.town_id = h.chain AND s.closed_at IS NULL WHERE h.version > 0 AND h.chain "
)
_TOKENS: Final = "SELECT token_id FROM tokens WHERE revoked_at IS NULL AND token_id "
_SQLITE: Final = {
    sql: (sql + "= ?", sql + "IN (SELECT value FROM json_each(?))")  # noqa: S608  # constants
    for sql in (_BEADS, _TOWNS, _TOKENS)
}
_AWAY: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_MOST: Final = 1000  # keys of a statement, but for those of one request, which may be more
_SECONDS: Final = 5.0  # for a statement, and for making a connection


class StrictReads(ABC):
    """The statements. Keys have to be ids; those that no row tells of are left out, and the others in any order.

    All raise `StorageUnavailableError`.
    """

    @abstractmethod
    async def beads(self, bead_ids: Sequence[str]) -> Sequence[BeadNow]:
        """How beads stand."""

    @abstractmethod
    async def towns(self, town_ids: Sequence[str]) -> Sequence[TownNow]:
        """How towns and their mayors stand."""

    @abstractmethod
    async def tokens(self, token_ids: Sequence[str]) -> Sequence[tuple[str]]:
        """The ids of those tokens that are not revoked."""

    @abstractmethod
    async def close(self) -> None:
        """Give up the connections; to be called once no read is under way."""


def strict_reads(database: Database) -> StrictReads:
    """Strict reads of a database, which is connected to when it is first asked."""
    return _Sqlite(database) if database.is_sqlite else _Postgresql(database)


class _Sqlite(StrictReads):
    """One connection, asked in the event loop's own thread: a lookup takes less than handing it to another would."""

    def __init__(self, database: Database) -> None:
        self._file = str(database.url.database)
        self._cursor: sqlite3.Cursor | None = None

    async def beads(self, bead_ids: Sequence[str]) -> Sequence[BeadNow]:
        rows: list[BeadNow] = self._rows(_BEADS, bead_ids)
        return rows

    async def towns(self, town_ids: Sequence[str]) -> Sequence[TownNow]:
        rows: list[TownNow] = self._rows(_TOWNS, town_ids)
        return rows

    async def tokens(self, token_ids: Sequence[str]) -> Sequence[tuple[str]]:
        return self._rows(_TOKENS, token_ids)

    async def close(self) -> None:
        self._give_up()

    def _rows(self, sql: str, keys: Sequence[str]) -> list[Any]:
        try:
            cursor = self._cursor or self._connect()
            # All rows are fetched: a statement that is not at its end would hold on to what it saw.
            of_one, of_many = _SQLITE[sql]
            if len(keys) == 1:
                return cursor.execute(of_one, keys).fetchall()
            return cursor.execute(of_many, (json.dumps(keys),)).fetchall()
        except sqlite3.Error as error:
            self._give_up()
            raise StorageUnavailableError from error

    def _connect(self) -> sqlite3.Cursor:
        # a busy database is left to those who may wait for it: nothing else goes on in this thread
        connection = sqlite3.connect(f"file:{quote(self._file)}?mode=rw", timeout=0, isolation_level=None, uri=True)
        connection.execute("PRAGMA query_only=ON")
        self._cursor = connection.cursor()
        return self._cursor

    def _give_up(self) -> None:
        if self._cursor is not None:
            self._cursor.connection.close()
            self._cursor = None


class _Postgresql(StrictReads):
    """Requests that wait while statements are under way share the next one."""

    def __init__(self, database: Database) -> None:
        self._beads = _Shared(database, _BEADS + "= ANY($1::text[])")
        self._towns = _Shared(database, _TOWNS + "= ANY($1::text[])")
        self._tokens = _Shared(database, _TOKENS + "= ANY($1::text[])", lanes=1)

    async def beads(self, bead_ids: Sequence[str]) -> Sequence[BeadNow]:
        rows: list[BeadNow] = await self._beads.rows(bead_ids)
        return rows

    async def towns(self, town_ids: Sequence[str]) -> Sequence[TownNow]:
        rows: list[TownNow] = await self._towns.rows(town_ids)
        return rows

    async def tokens(self, token_ids: Sequence[str]) -> Sequence[tuple[str]]:
        return await self._tokens.rows(token_ids)

    async def close(self) -> None:
        await self._beads.close()
        await self._towns.close()
        await self._tokens.close()


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    keys: Sequence[str]
    found: asyncio.Future[list[Any]]


class _Shared:
    """A statement whose first column is the key, asked for many at once, on up to `lanes` connections.

    Who asks is never served by a statement that had been sent before. A connection that turns out to be dead when it
    is used again is made anew once; where that fails too, or takes too long, all who share the statement are told.
    """

    def __init__(self, database: Database, sql: str, *, lanes: int = 2) -> None:
        self._database = database
        self._most_lanes = lanes
        self._sql = sql
        self._waiting: deque[_Asked] = deque()
        self._lanes = 0
        self._tasks: set[asyncio.Task[None]] = set()  # which the event loop would let go
        self._idle: list[Any] = []

    async def rows(self, keys: Sequence[str]) -> list[Any]:
        """The rows of `keys`. Raises `StorageUnavailableError`."""
        if self._lanes < self._most_lanes:
            return await self._rows_at_once(keys)
        asked = _Asked(keys, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        return await asked.found

    async def close(self) -> None:
        """End the connections."""
        while self._idle:
            self._idle.pop().terminate()  # nothing is under way on it, and a server that is away would keep us waiting

    async def _rows_at_once(self, keys: Sequence[str]) -> list[Any]:
        """The rows of `keys`, on a connection that nobody uses; whoever came meanwhile is served on it by another."""
        self._lanes += 1
        connection = self._idle.pop() if self._idle else None
        try:
            connection, rows = await self._ask(connection, keys)
        except BaseException as error:
            connection = None
            if isinstance(error, _AWAY):
                raise StorageUnavailableError from error
            raise
        finally:
            if self._waiting:
                lane = asyncio.create_task(self._serve(connection))
                self._tasks.add(lane)
                lane.add_done_callback(self._tasks.discard)
            else:
                self._leave(connection)
        return rows

    async def _serve(self, connection: Any) -> None:
        """Ask for those who wait, until there are none."""
        try:
            while self._waiting:
                batch = self._next_batch()
                keys = batch[0].keys if len(batch) == 1 else list({key for asked in batch for key in asked.keys})
                try:
                    connection, rows = await self._ask(connection, keys)
                except BaseException as error:
                    connection = None
                    for asked in batch:
                        _fail(asked, error)
                    if isinstance(error, TimeoutError) or not isinstance(error, _AWAY):
                        raise  # nobody has to wait for each who was there before to wait as long
                else:
                    _hand_out(rows, batch)
        except BaseException as error:
            while self._waiting:
                _fail(self._waiting.popleft(), error)
            if not isinstance(error, TimeoutError):
                raise
        finally:
            self._leave(connection)

    def _leave(self, connection: Any) -> None:
        """Give a lane up, in the very moment that nobody waits: nobody begins to wait in vain."""
        self._lanes -= 1
        if connection is not None:
            self._idle.append(connection)

    def _next_batch(self) -> list[_Asked]:
        batch = [self._waiting.popleft()]
        size = len(batch[0].keys)
        while self._waiting and size + len(self._waiting[0].keys) <= _MOST:
            size += len(self._waiting[0].keys)
            batch.append(self._waiting.popleft())
        return batch

    async def _ask(self, connection: Any, keys: Sequence[str]) -> tuple[Any, list[Any]]:
        """The connection that is good for the next statement, and the rows of this one."""
        if connection is not None:
            try:
                return connection, await _fetch(connection, self._sql, keys)
            except TimeoutError:
                raise
            except _AWAY:
                pass  # it may have been dead for long
        _, arguments = self._database.reader.dialect.create_connect_args(self._database.url)
        ours = {
            "timeout": _SECONDS,
            "server_settings": {
                "application_name": STRICT_READER,
                "statement_timeout": str(round(1000 * _SECONDS)),  # as a backend that waits hears nothing of our end
            },
            "target_session_attrs": "primary",  # a standby may not have heard of the last commit yet
        }
        connection = await asyncpg.connect(**{**arguments, **ours})
        return connection, await _fetch(connection, self._sql, keys)


async def _fetch(connection: Any, sql: str, keys: Sequence[str]) -> list[Any]:
    """The rows of one statement, on a connection that is ended should it fail."""
    try:
        rows: list[Any] = await connection.fetch(sql, keys, timeout=_SECONDS)
    except BaseException:
        connection.terminate()
        raise
    return rows


def _fail(asked: _Asked, error: BaseException) -> None:
    if not asked.found.done():  # who has gone meanwhile wants to know nothing
        unavailable = StorageUnavailableError()
        unavailable.__cause__ = error
        asked.found.set_exception(unavailable)


def _hand_out(rows: list[Any], batch: Sequence[_Asked]) -> None:
    """Give each who asked the rows of their keys."""
    if len(batch) == 1:
        if not batch[0].found.done():
            batch[0].found.set_result(rows)
        return
    by_key = {row[0]: row for row in rows}
    for asked in batch:
        if not asked.found.done():
            asked.found.set_result([by_key[key] for key in asked.keys if key in by_key])
