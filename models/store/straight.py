"""Statements that are made once, sent straight to SQLite's driver: SQLAlchemy compiles them, and is not asked again.

A session, an engine and a greenlet for each take several times what SQLite does. Only writes go this way, within the
transaction that their session has begun: nobody else's turn can come in between, so that no statement has to wait.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache, partial
from operator import itemgetter
from typing import Any, Final, NamedTuple, Self, cast

from sqlalchemy import ClauseElement, Connection, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import TypeEngine
from sqlmodel import Session
from sqlmodel.ext.asyncio.session import AsyncSession

from models.store.at_once import AtOnceDialect, execute, execute_many, to_its_end
from models.store.base import Instant, Word
from models.store.engine import Database
from models.store.one_writer import OneWriter

Values = Mapping[str, Any]
Process = Callable[[Any], Any]

_DIALECT: Final = AtOnceDialect()
_SPELLED: Final = Instant().dialect_impl(_DIALECT).bind_processor(_DIALECT)
_INSTANTS: Final = 1000  # whose texts are kept


class _SyncSession(Session):
    """Makes SQLAlchemy a connection of the driver's once it is asked for one: most writes never ask."""

    def get_bind(self, *_: Any, **__: Any) -> Connection:
        made: Connection | None = self.info.get("connection")
        if made is None:
            made = self.info["connection"] = Connection(self.info["engine"], self.info["pooled"])
        return made


class StraightSession(AsyncSession):
    """A session of one write to SQLite. Its transaction begins on `driver` once it is entered.

    It is made one when something is asked of it that only a session has: most writes ask nothing.
    """

    sync_session_class = _SyncSession
    driver: sqlite3.Connection

    def __init__(self, engine: AsyncEngine, writer: OneWriter) -> None:
        self._engine = engine.sync_engine
        self._writer = writer
        self.is_committed = False

    async def __aenter__(self) -> Self:
        """Begin, once others have ended. Raises `DBAPIError`, and what `OneWriter.take` raises."""
        begin = cast("AtOnceDialect", self._engine.dialect).begin
        try:
            self._pooled, self.driver = await self._writer.take()
            try:
                self._changes_before = self.driver.total_changes
                await execute(self.driver, begin)
            except BaseException:
                self._writer.hand_on()
                raise
        except sqlite3.Error as error:
            raise _as_engines_raise(error, begin) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if self.in_transaction() and not self.is_committed:
                await self.close()
        finally:
            self._writer.hand_on()

    def __getattr__(self, name: str) -> Any:
        if self._is_made:
            raise AttributeError(name)
        super().__init__(expire_on_commit=False, info={"engine": self._engine, "pooled": self._pooled})
        return getattr(self, name)

    def commit_driver(self) -> None:
        """Commit past the session, in whatever thread."""
        self.driver.commit()
        self.is_committed = True

    @property
    def has_changed(self) -> bool:
        """Whether the transaction holds anything that the disk has to take."""
        return self.driver.total_changes > self._changes_before

    @property
    def _is_made(self) -> bool:
        return "sync_session" in self.__dict__

    def in_transaction(self) -> bool:
        return self._is_made and super().in_transaction()


def write_session(database: Database) -> AsyncSession:
    """A session for one write. Where someone listens to statements, none goes past the engine that they listen to."""
    writer, engine = database.one_writer, database.writer
    if writer is None or engine.sync_engine.dispatch.before_cursor_execute:
        return AsyncSession(engine, expire_on_commit=False)
    return StraightSession(engine, writer)


async def commit(session: AsyncSession) -> None:
    """Commit what a session of `write_session` has written, and has written out. Raises `DBAPIError`."""
    if not isinstance(session, StraightSession):
        await session.commit()
        return
    if not session.driver.in_transaction:
        raise RuntimeError("SQLite has undone the transaction: nothing of it is left to be committed")
    try:
        if session.has_changed:
            await to_its_end(session.commit_driver)
        else:
            session.driver.commit()
    except sqlite3.Error as error:
        raise _as_engines_raise(error, "COMMIT") from error


def is_committed(session: AsyncSession) -> bool:
    """Whether a session is known to have made its commit, though whoever waited for that gave up."""
    return isinstance(session, StraightSession) and session.is_committed


def driver_of(session: AsyncSession) -> sqlite3.Connection | None:
    """The driver that statements of a session may go straight to."""
    return session.driver if isinstance(session, StraightSession) else None


class _Ready(NamedTuple):
    """A statement as SQLite reads it, what takes its parameters out of values, and what makes rows of those it finds.

    Of parameters and columns few have to be processed: those are listed with their places.
    """

    text: str
    parameters: Callable[[Values], tuple[Any, ...]]
    bound: tuple[tuple[int, Process], ...]
    row: Callable[[Sequence[Any]], Any]
    read: tuple[tuple[int, Process], ...]

    def given(self, values: Values) -> Sequence[Any]:
        return _processed(self.parameters(values), self.bound)

    def found(self, rows: Iterable[Sequence[Any]]) -> list[Any]:
        if self.read:
            rows = [_processed(row, self.read) for row in rows]
        return list(map(self.row, rows))


def _processed(values: Sequence[Any], processes: Iterable[tuple[int, Process]]) -> Sequence[Any]:
    if not processes:
        return values
    processed = list(values)
    for place, process in processes:
        processed[place] = process(processed[place])
    return processed


def read_rows(driver: sqlite3.Connection, statement: Select[Any], values: Values) -> list[Any]:
    """The rows that a statement finds. Raises `DBAPIError`."""
    ready = _ready(statement, values)
    try:
        return ready.found(driver.execute(ready.text, ready.given(values)).fetchall())
    except sqlite3.Error as error:
        raise _as_engines_raise(error, ready.text) from error


def write_row(driver: sqlite3.Connection, statement: ClauseElement, values: Values) -> int:
    """How many rows a statement changed. Raises `DBAPIError`."""
    ready = _ready(statement, values)
    try:
        return driver.execute(ready.text, ready.given(values)).rowcount
    except sqlite3.Error as error:
        raise _as_engines_raise(error, ready.text) from error


async def write_rows(driver: sqlite3.Connection, statement: ClauseElement, rows: Sequence[Values]) -> None:
    """Execute a statement for each of several rows. Raises `DBAPIError`."""
    ready = _ready(statement, rows[0])
    given = [_processed(ready.parameters(values), ready.bound) for values in rows]
    try:
        await execute_many(driver, ready.text, given)
    except sqlite3.Error as error:
        raise _as_engines_raise(error, ready.text) from error


_known: Final[dict[tuple[ClauseElement, int], _Ready]] = {}


def _ready(statement: ClauseElement, values: Values) -> _Ready:
    """A statement, which is there for good and executed with values by the same names each time."""
    key = statement, len(values)
    ready = _known.get(key)
    if ready is None:
        ready = _known[key] = _compiled(statement, sorted(values))
    return ready


def _compiled(statement: Any, names: Sequence[str]) -> _Ready:
    compiled = statement.compile(dialect=_DIALECT, column_keys=names)
    columns = statement.selected_columns if isinstance(statement, Select) else ()
    return _Ready(
        text=str(compiled),
        parameters=_taken(tuple(compiled.positiontup)),
        bound=_with_places(_bind_processor(_type(compiled.binds[name])) for name in compiled.positiontup),
        row=_rows([str(column.key) for column in columns]),
        read=_with_places(_result_processor(_type(column)) for column in columns),
    )


def _taken(names: tuple[str, ...]) -> Callable[[Values], tuple[Any, ...]]:
    """What takes values by those names, as a tuple also where there are less than two."""
    return itemgetter(*names) if len(names) > 1 else lambda values: tuple(values[name] for name in names)


def _rows(names: Sequence[str]) -> Callable[[Sequence[Any]], Any]:
    """What makes rows of values that go by those names: as many as there are, so that nobody has to count them."""
    kind: Any = namedtuple("Found", names)  # type: ignore[misc]  # noqa: PYI024  # names that are known only now
    return partial(tuple.__new__, kind)


def _with_places(processes: Iterable[Process | None]) -> tuple[tuple[int, Process], ...]:
    return tuple((place, process) for place, process in enumerate(processes) if process is not None)


def _bind_processor(kind: TypeEngine[Any]) -> Process | None:
    """What makes a type's values such as SQLite takes. The instant of a write stands in nearly all of its rows."""
    if isinstance(kind, Instant):
        return _instant
    return _word if isinstance(kind, Word) else kind.bind_processor(_DIALECT)


def _result_processor(kind: TypeEngine[Any]) -> Process | None:
    return _instant_of if isinstance(kind, Instant) else kind.result_processor(_DIALECT, None)


def _instant_of(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def _word(word: StrEnum | None) -> str | None:
    return None if word is None else str.__str__(word)


@lru_cache(maxsize=_INSTANTS)
def _instant(instant: datetime | None) -> Any:
    return instant if _SPELLED is None else _SPELLED(instant)


def _type(element: Any) -> TypeEngine[Any]:
    found: TypeEngine[Any] = element.type.dialect_impl(_DIALECT)
    return found


def _as_engines_raise(error: sqlite3.Error, text: str) -> Exception:
    """A driver's error as engines raise it."""
    return DBAPIError.instance(text, None, error, sqlite3.Error, dialect=_DIALECT)
