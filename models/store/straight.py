"""Statements that are made once, sent straight to SQLite's driver: SQLAlchemy compiles them, and is not asked again.

A session, an engine and a greenlet for each take several times what SQLite does. Only writes go this way, within the
transaction that their session has begun: nobody else's turn can come in between, so that no statement has to wait.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from sqlalchemy import ClauseElement, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from models.store.at_once import AtOnceDialect, execute_many
from models.store.base import Instant

Values = Mapping[str, Any]
Process = Callable[[Any], Any]

_DIALECT: Final = AtOnceDialect()
_INSTANTS: Final = 100  # whose texts are kept, for each parameter of each statement


class StraightSession(AsyncSession):
    """A session of one write. `driver` is the connection of its transaction, where statements may go straight to it."""

    driver: sqlite3.Connection | None = None

    async def begin_straight(self) -> None:
        """Begin the transaction. Statements go through the session all the same where someone listens to them."""
        connection = await self.connection()
        engine = connection.sync_engine
        if isinstance(engine.dialect, AtOnceDialect) and not engine.dispatch.before_cursor_execute:
            self.driver = (await connection.get_raw_connection()).driver_connection


def driver_of(session: AsyncSession) -> sqlite3.Connection | None:
    """The driver that statements of a session may go to."""
    return session.driver if isinstance(session, StraightSession) else None


class _Ready(NamedTuple):
    """A statement as SQLite reads it, its parameters in order, and how the rows that it gives are read."""

    text: str
    parameters: tuple[tuple[str, Process | None], ...]
    columns: tuple[tuple[str, Process | None], ...]

    def given(self, values: Values) -> list[Any]:
        return [values[name] if process is None else process(values[name]) for name, process in self.parameters]

    def read(self, row: Sequence[Any]) -> SimpleNamespace:
        named = zip(self.columns, row, strict=True)
        return SimpleNamespace(
            **{name: value if process is None else process(value) for (name, process), value in named}
        )


def read_rows(driver: sqlite3.Connection, statement: Select[Any], values: Values) -> list[Any]:
    """The rows that a statement finds. Raises `DBAPIError`."""
    ready = _ready(statement, frozenset(values))
    given = ready.given(values)
    try:
        found = driver.execute(ready.text, given).fetchall()
    except sqlite3.Error as error:
        raise _as_told(error, ready.text, given) from error
    return [ready.read(row) for row in found]


def write_row(driver: sqlite3.Connection, statement: ClauseElement, values: Values) -> int:
    """How many rows a statement changed. Raises `DBAPIError`."""
    ready = _ready(statement, frozenset(values))
    given = ready.given(values)
    try:
        return driver.execute(ready.text, given).rowcount
    except sqlite3.Error as error:
        raise _as_told(error, ready.text, given) from error


async def write_rows(driver: sqlite3.Connection, statement: ClauseElement, rows: Sequence[Values]) -> None:
    """Execute a statement for each of several rows. Raises `DBAPIError`."""
    ready = _ready(statement, frozenset(rows[0]))
    given = [ready.given(values) for values in rows]
    try:
        await execute_many(driver, ready.text, given)
    except sqlite3.Error as error:
        raise _as_told(error, ready.text, given) from error


@cache
def _ready(statement: Any, names: frozenset[str]) -> _Ready:
    """A statement that is executed with values by those names."""
    compiled = statement.compile(dialect=_DIALECT, column_keys=sorted(names))
    columns = statement.selected_columns if isinstance(statement, Select) else ()
    return _Ready(
        text=str(compiled),
        parameters=tuple((name, _bind_processor(_type(compiled.binds[name]))) for name in compiled.positiontup),
        columns=tuple((str(column.key), _type(column).result_processor(_DIALECT, None)) for column in columns),
    )


def _bind_processor(kind: TypeEngine[Any]) -> Process | None:
    """What makes a type's values such as SQLite takes. The instant of a write stands in nearly all of its rows."""
    process = kind.bind_processor(_DIALECT)
    return lru_cache(maxsize=_INSTANTS)(process) if isinstance(kind, Instant) and process is not None else process


def _type(element: Any) -> TypeEngine[Any]:
    found: TypeEngine[Any] = element.type.dialect_impl(_DIALECT)
    return found


def _as_told(error: sqlite3.Error, text: str, given: Any) -> BaseException:
    """A driver's error as engines raise it."""
    return DBAPIError.instance(text, given, error, sqlite3.Error, dialect=_DIALECT)
