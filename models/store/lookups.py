"""Lookups on SQLite, past the session: a few rows that an index leads to, read in the event loop's own thread.

A session and the way through asyncio cost twenty times what such a statement does. What a query is given in place of
one knows `exec` and `get` alone. Rows are objects of the same classes, as a session that has ended leaves them behind.
A statement selects no column twice: for Core it would be one, and what comes after would be missing.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import islice
from typing import Any, Final, TypeVar, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Mapper, class_mapper
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

T = TypeVar("T")
R = TypeVar("R", bound=SQLModel)

_NEW: Final = object()
_ONCE: Final = object()


class Lookups:
    """Connections of an engine that is not for asyncio, which never wait: see `is_busy`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: list[_Lookup] = []
        self._prepared = _Statements(engine.dialect)

    async def ask(self, query: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """What `query` gives; all its statements see one snapshot."""
        lookup = self._idle.pop() if self._idle else _Lookup(self._engine.connect(), self._prepared)
        try:
            lookup.begin()
            found = await query(cast("AsyncSession", lookup))
            lookup.end()
        except BaseException:
            lookup.close()
            raise
        self._idle.append(lookup)
        return found

    def close(self) -> None:
        """End the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()


def is_busy(error: OperationalError) -> bool:
    """Whether somebody else has the database for now, so that it has to be waited for."""
    return isinstance(error.orig, sqlite3.OperationalError) and error.orig.sqlite_errorcode == sqlite3.SQLITE_BUSY


class _Lookup:
    """A connection, to be asked like a session."""

    def __init__(self, connection: Connection, prepared: "_Statements") -> None:
        self._connection = connection
        self._prepared = prepared
        driven: Any = connection.connection.driver_connection
        self._driver: sqlite3.Connection = driven

    def begin(self) -> None:
        self._driver.execute("BEGIN")

    def end(self) -> None:
        self._driver.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()

    def get_bind(self) -> Engine:
        return self._connection.engine

    async def exec(self, statement: Any, *, params: Any = None) -> Any:
        prepared = self._prepared.of(statement)
        if prepared is not None:
            with suppress(sqlite3.Error):  # which the engine comes upon as well, and tells of in its own words
                return _Found(map(prepared.made, self._rows(prepared.text, prepared.parameters(params or {}))))
        result: Any = self._connection.execute(statement, params)
        kinds = [each["type"] for each in statement.column_descriptions]
        if any(isinstance(kind, type) for kind in kinds):
            rows = iter([_with_objects(kinds, row) for row in result])
            result = IteratorResult(SimpleResultMetaData([str(number) for number in range(len(kinds))]), rows)
        return result.scalars() if isinstance(statement, SelectOfScalar) else result

    def _rows(self, text: str, parameters: Sequence[Any]) -> list[Any]:
        return self._driver.execute(text, parameters).fetchall()

    async def get(self, kind: type[R], key: object, **_options: object) -> R | None:
        """The row with that primary key. What it could be locked for is no matter to who only looks."""
        values = key if isinstance(key, tuple) else (key,)
        columns = class_mapper(kind).primary_key
        conditions = [column == value for column, value in zip(columns, values, strict=True)]
        found: R | None = (await self.exec(select(kind).where(*conditions))).one_or_none()
        return found


class _Found(list[Any]):
    """Rows that were found, as `ScalarResult` has them."""

    def all(self) -> list[Any]:
        return self

    def one(self) -> Any:
        (row,) = self
        return row

    def one_or_none(self) -> Any:
        return self.one() if self else None


class _Prepared:
    """A statement that selects the rows of one table and is sent again and again: what SQLAlchemy makes of it, once."""

    def __init__(self, statement: SelectOfScalar[Any], kind: Any, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self.text = str(compiled)
        if compiled.post_compile_params:
            raise ValueError("its text depends on the parameters")
        self._parameters = [
            (name, bound.value, bound.type.dialect_impl(dialect).bind_processor(dialect))
            for name, bound in ((name, compiled.binds[name]) for name in compiled.positiontup)
        ]
        columns = class_mapper(kind).columns
        found = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self._processors = [(number, each) for number, each in enumerate(found) if each is not None]
        self._maker = _maker(kind)

    def parameters(self, given: Mapping[str, Any]) -> list[Any]:
        values = [(given.get(name, own), process) for name, own, process in self._parameters]
        return [value if process is None else process(value) for value, process in values]

    def made(self, row: Sequence[Any]) -> Any:
        """A row's object."""
        values = list(row)
        for number, process in self._processors:
            values[number] = process(values[number])
        return self._maker(iter(values))


class _Statements:
    """Those that are prepared: whichever are asked a second time, and so are not made for each request anew."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: WeakKeyDictionary[Any, object] = WeakKeyDictionary()

    def of(self, statement: Any) -> _Prepared | None:
        """What is prepared of a statement; None where nothing is."""
        known = self._known.get(statement, _NEW)
        if known is _NEW:
            self._known[statement] = _ONCE
            return None
        if known is _ONCE:
            known = self._known[statement] = self._prepared(statement)
        return known if isinstance(known, _Prepared) else None

    def _prepared(self, statement: Any) -> _Prepared | None:
        kinds = [each["type"] for each in statement.column_descriptions]
        if not isinstance(statement, SelectOfScalar) or not isinstance(kinds[0], type):
            return None
        try:
            return _Prepared(statement, kinds[0], self._dialect)
        except ValueError:
            return None


def _with_objects(kinds: Sequence[object], values: Sequence[Any]) -> tuple[Any, ...]:
    """A row of what was selected, whose columns are `values`: those of a table, which is a class, one after another."""
    left = iter(values)
    return tuple([_maker(kind)(left) if isinstance(kind, type) else next(left) for kind in kinds])


@cache
def _maker(kind: Any) -> Callable[[Any], Any]:
    """What makes an object of values that begin with those of its columns; None where an outer join found no row."""
    mapper: Mapper[Any] = class_mapper(kind)
    names: Final = [mapper.get_property_by_column(column).key for column in mapper.columns]
    key: Final = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
    new = mapper.class_manager.new_instance

    def made(values: Any) -> Any:
        named = dict(zip(names, islice(values, len(names)), strict=True))
        if named[key[0]] is None:
            return None
        row = new()
        row.__dict__.update(named)
        return row

    return made
