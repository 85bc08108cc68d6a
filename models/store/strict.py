"""Strict reads: what decides about beads and mayors, read by one statement that is sent after it was asked for.

So an answer is never older than the last commit before the request, in any number of processes: nothing of what moves
is kept. What the numbers name, an override set, an observation, an open signal, never changes, and may be.

Sessions and rows cost many times what such a statement does, so these speak to the drivers.
"""

import asyncio
import json
import sqlite3
import time
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import asyncpg
import structlog

from models.store.engine import Database
from models.store.lanes import Lane, lane_on
from models.store.unit import StorageUnavailableError

STRICT_READER: Final = "townclerk-strict"  # as pg_stat_activity shows it

BeadNow = tuple[str, str, int, str]  # bead id, town id, the version in force there, the task's signature
# town id, the version in force, the last observation's sequence (0 for none), the open signal's (None for none)
TownNow = tuple[str, int, int, int | None]


class Statement:
    """A statement whose first column is the key; `text` ends where it says what the key has to be.

    `columns` are the types of what it selects. On PostgreSQL so many connections as it has `lanes` ask it.
    """

    __slots__ = ("columns", "lanes", "name", "postgresql", "sqlite")

    def __init__(self, name: str, text: str, *columns: type[str | int], lanes: int = 2) -> None:
        self.name = name
        self.columns = columns
        self.lanes = lanes
        # of one key, and of several
        self.sqlite = (f"{text} = ?", f"{text} IN (SELECT value FROM json_each(?))")  # noqa: S608  # constants
        self.postgresql = (f"{text} = $1", f"{text} = ANY($1::text[])")


BEADS: Final = Statement(
    "beads",
    "SELECT b.bead_id, b.town_id, h.version, b.signature FROM beads b JOIN heads h ON h.chain = b.town_id "
    "WHERE b.bead_id",
    *(str, str, int, str),
)
TOWNS: Final = Statement(
    "towns",
    "SELECT h.chain, h.version, h.observation_sequence, s.sequence FROM heads h LEFT JOIN mayor_signals s "
    "ON s.town_id = h.chain AND s.closed_at IS NULL WHERE h.version > 0 AND h.chain",
    *(str, int, int, int),
)
TOKENS: Final = Statement("tokens", "SELECT token_id FROM tokens WHERE revoked_at IS NULL AND token_id", str, lanes=1)

_AWAY: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_MAPPED: Final = 2**31  # bytes of the file that are read without asking the kernel for each page
_MOST: Final = 1000  # keys of a statement, but for those of one request, which may be more
_AT_ONCE_SECONDS: Final = 100e-6  # between two who ask, neither of whom waited for the other's answer
_SECONDS: Final = 5.0  # for a statement, and for making a connection

_LOG: Final = structlog.get_logger("townclerk.strict")

Rows = Sequence[Any]
Then = Callable[["Rows | StorageUnavailableError"], None]


class StrictReads(ABC):
    """Asks statements. Keys have to be ids; those that no row tells of are left out, and the others in any order."""

    @abstractmethod
    def ask(self, statement: Statement, keys: Sequence[str], then: Then) -> None:
        """Have `then` told, at once or later, the rows of `keys`, or why there are none. It must not raise."""

    @abstractmethod
    async def close(self) -> None:
        """Give up the connections; to be called once no read is under way."""

    async def rows(self, statement: Statement, keys: Sequence[str]) -> Rows:
        """The rows of `keys`. Raises `StorageUnavailableError`."""
        told: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        self.ask(statement, keys, partial(_settle, told))
        return await told

    async def beads(self, bead_ids: Sequence[str]) -> Sequence[BeadNow]:
        """How beads stand. Raises `StorageUnavailableError`."""
        return await self.rows(BEADS, bead_ids)

    async def towns(self, town_ids: Sequence[str]) -> Sequence[TownNow]:
        """How towns and their mayors stand. Raises `StorageUnavailableError`."""
        return await self.rows(TOWNS, town_ids)

    async def tokens(self, token_ids: Sequence[str]) -> Sequence[tuple[str]]:
        """The ids of those tokens that are not revoked. Raises `StorageUnavailableError`."""
        return await self.rows(TOKENS, token_ids)


def _settle(told: asyncio.Future[Rows], found: "Rows | StorageUnavailableError") -> None:
    if told.done():  # who has gone meanwhile wants to know nothing
        return
    if isinstance(found, StorageUnavailableError):
        told.set_exception(found)
    else:
        told.set_result(found)


def strict_reads(database: Database) -> StrictReads:
    """Strict reads of a database, which is connected to when it is first asked."""
    return _Sqlite(database) if database.is_sqlite else _Postgresql(database)


class _Asked(NamedTuple):
    keys: Sequence[str]
    then: Then


class _Sqlite(StrictReads):
    """One connection, asked in the event loop's own thread: a lookup takes less than handing it to another would.

    Where many ask, those of one turn of the event loop share a statement, as they share the locks that it takes then.
    """

    def __init__(self, database: Database) -> None:
        self._file = str(database.url.database)
        self._cursor: sqlite3.Cursor | None = None
        self._waiting: defaultdict[Statement, list[_Asked]] = defaultdict(list)
        self._shares = False
        self._asked_at = 0.0

    def ask(self, statement: Statement, keys: Sequence[str], then: Then) -> None:
        if self._shares:
            if not self._waiting:
                asyncio.get_running_loop().call_soon(self._serve)
            self._waiting[statement].append(_Asked(keys, then))
            return
        now = time.perf_counter()
        self._shares, self._asked_at = now - self._asked_at < _AT_ONCE_SECONDS, now
        _tell(then, self._rows(statement, keys))

    def _serve(self) -> None:
        waiting, self._waiting = self._waiting, defaultdict(list)
        self._shares = any(len(asked) > 1 for asked in waiting.values())
        for statement, asked in waiting.items():
            rows = self._rows(statement, _keys_of(asked))
            if isinstance(rows, StorageUnavailableError):
                _fail(asked, rows)
            else:
                _hand_out(rows, asked)

    async def close(self) -> None:
        self._give_up()

    def _rows(self, statement: Statement, keys: Sequence[str]) -> Rows | StorageUnavailableError:
        of_one, of_many = statement.sqlite
        try:
            cursor = self._cursor or self._connect()
            # All rows are fetched: a statement that is not at its end would hold on to what it saw.
            if len(keys) == 1:
                return cursor.execute(of_one, keys).fetchall()
            return cursor.execute(of_many, (json.dumps(keys),)).fetchall()
        except sqlite3.Error as error:
            self._give_up()
            return _unavailable(error)

    def _connect(self) -> sqlite3.Cursor:
        # a busy database is left to those who may wait for it: nothing else goes on in this thread
        connection = sqlite3.connect(f"file:{quote(self._file)}?mode=rw", timeout=0, isolation_level=None, uri=True)
        connection.execute("PRAGMA query_only=ON")
        connection.execute(f"PRAGMA mmap_size={_MAPPED}")
        self._cursor = connection.cursor()
        return self._cursor

    def _give_up(self) -> None:
        if self._cursor is not None:
            self._cursor.connection.close()
            self._cursor = None


class _Postgresql(StrictReads):
    """Requests that wait while statements are under way share the next one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._shared: dict[Statement, _Shared] = {}

    def ask(self, statement: Statement, keys: Sequence[str], then: Then) -> None:
        shared = self._shared.get(statement)
        if shared is None:
            shared = self._shared[statement] = _Shared(self._database, statement)
        shared.ask(keys, then)

    async def close(self) -> None:
        for shared in self._shared.values():
            await shared.close()


class _Shared:
    """A statement that is asked for many at once, on so many connections as it has lanes.

    Who asks is never served by a statement that had been sent before. A connection that turns out to be dead when it
    is used again is made anew once; where that fails too, or takes too long, all who share the statement are told.
    """

    def __init__(self, database: Database, statement: Statement) -> None:
        self._database = database
        self._statement = statement
        self._waiting: deque[_Asked] = deque()
        self._lanes = 0
        self._idle: list[Lane[_Asked]] = []
        self._is_closed = False
        self._tasks: set[asyncio.Task[None]] = set()  # which the event loop would let go

    def ask(self, keys: Sequence[str], then: Then) -> None:
        """Have `then` told the rows of `keys`: by the next statement, which is sent at once where a lane is free."""
        self._waiting.append(_Asked(keys, then))
        if self._lanes < self._statement.lanes:
            self._lanes += 1
            if self._idle:
                self._go_on(self._idle.pop())
            else:
                self._begin_anew()

    async def close(self) -> None:
        """End the connections; those on which a statement is under way once it has ended.

        Who waits for one to be made or to be free is told that there is none.
        """
        self._is_closed = True
        self._end_idle()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        waiting, self._waiting = self._waiting, deque()
        _fail(waiting, ConnectionResetError())

    def _end_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()  # nothing is under way on it, and a server that is away would keep us waiting

    def _go_on(self, lane: Lane[_Asked]) -> None:
        """Ask for those who wait, if there are any."""
        if self._waiting:
            batch = self._next_batch()
            lane.ask(_keys_of(batch), batch)
        else:
            self._lanes -= 1  # in the very moment that nobody waits: nobody begins to wait in vain
            self._idle.append(lane)
            if self._is_closed:
                self._end_idle()

    def _answered(self, lane: Lane[_Asked], batch: Sequence[_Asked], rows: Rows) -> None:
        _hand_out(rows, batch)
        self._go_on(lane)

    def _lost(self, lane: Lane[_Asked], batch: Sequence[_Asked], error: BaseException) -> None:
        """A lane is no more; its `batch` was not answered, if it had any."""
        if not batch:
            with suppress(ValueError):
                self._idle.remove(lane)
        elif lane.has_answered and not isinstance(error, TimeoutError):  # it may have been dead for long
            self._waiting.extendleft(reversed(batch))
            self._begin_anew()
        else:
            self._give_up(batch, error)
            self._leave()

    def _give_up(self, batch: Sequence[_Asked], error: BaseException) -> None:
        """Tell those of a batch; who is told may ask again at once."""
        others: Iterable[_Asked] = ()
        if isinstance(error, TimeoutError) or not isinstance(error, _AWAY):
            others, self._waiting = self._waiting, deque()  # nobody has to wait for each before to wait as long
        _fail(batch, error)
        _fail(others, error)

    def _leave(self) -> None:
        """Give a lane up, unless somebody waits."""
        if self._waiting:
            self._begin_anew()
        else:
            self._lanes -= 1

    def _begin_anew(self) -> None:
        """Have those who wait served on a new connection, for which only a task can wait."""
        task = asyncio.create_task(self._begin(), context=Context())  # it is no longer the asker's alone
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin(self) -> None:
        while self._waiting:
            batch = self._next_batch()
            try:
                lane = await self._connected()
            except BaseException as error:
                self._give_up(batch, error)
                if not isinstance(error, _AWAY):
                    self._leave()
                    raise
            else:
                lane.ask(_keys_of(batch), batch)
                return
        self._lanes -= 1

    def _next_batch(self) -> list[_Asked]:
        batch = [self._waiting.popleft()]
        size = len(batch[0].keys)
        while self._waiting and size + len(self._waiting[0].keys) <= _MOST:
            size += len(self._waiting[0].keys)
            batch.append(self._waiting.popleft())
        return batch

    async def _connected(self) -> Lane[_Asked]:
        _, arguments = self._database.reader.dialect.create_connect_args(self._database.url)
        ours = {
            "timeout": _SECONDS,
            "server_settings": {
                "application_name": STRICT_READER,
                # as a backend that waits hears nothing of our end, which is to come first: it tells all who wait
                "statement_timeout": str(round(1000 * (_SECONDS + 1))),
            },
            "target_session_attrs": "primary",  # a standby may not have heard of the last commit yet
        }
        connection = await asyncpg.connect(**{**arguments, **ours})
        of_one, of_many = self._statement.postgresql
        return await lane_on(
            connection,
            of_one,
            of_many,
            self._statement.columns,
            answered=self._answered,
            lost=self._lost,
            seconds=_SECONDS,
        )


def _keys_of(asked: Sequence[_Asked]) -> Sequence[str]:
    return asked[0].keys if len(asked) == 1 else list({key for each in asked for key in each.keys})


def _fail(asked: Iterable[_Asked], error: BaseException) -> None:
    for each in asked:
        _tell(each.then, _unavailable(error))


def _unavailable(error: BaseException) -> StorageUnavailableError:
    unavailable = StorageUnavailableError()
    unavailable.__cause__ = error
    return unavailable


def _hand_out(rows: Rows, batch: Sequence[_Asked]) -> None:
    """Give each who asked the rows of their keys."""
    if len(batch) == 1:
        _tell(batch[0].then, rows)
        return
    by_key = {row[0]: row for row in rows}
    for asked in batch:
        _tell(asked.then, [by_key[key] for key in asked.keys if key in by_key])


def _tell(then: Then, found: Rows | StorageUnavailableError) -> None:
    try:
        then(found)
    except Exception:  # noqa: BLE001  # whoever breaks the promise not to raise takes none of the others with it
        _LOG.exception("whoever asked could not be told")
