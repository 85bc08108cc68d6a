"""Rows written by statements that are made once, past the session: nobody reads the rows of a write from it again."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Insert, Row, Select, Table, insert
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from models.store import straight
from models.store.straight import Values, driver_of


def table_of(row: type[SQLModel]) -> Table:
    """The table behind a class of rows."""
    table: Table = row.__table__  # type: ignore[attr-defined]  # every class of a table has one
    return table


async def insert_rows(session: AsyncSession, row: type[SQLModel], values: Sequence[Values]) -> None:
    """Insert rows of one table, given as the values of all their columns, by one statement.

    What the session has still to write comes before.
    """
    if not values:
        return
    await write_out(session)
    if (driver := driver_of(session)) is not None:
        await straight.write_rows(driver, _insertion(row), values)
    else:
        given: Any = values
        await session.exec(_insertion(row), params=given)


async def write_row(session: AsyncSession, statement: Any, values: Values) -> int:
    """Execute a statement that is made once; gives how many rows it changed."""
    if (driver := driver_of(session)) is not None:
        return straight.write_row(driver, statement, values)
    changed: int = (await session.exec(statement, params=values)).rowcount
    return changed


async def write_out(session: AsyncSession) -> None:
    """Have a session write what it has still to write, if anything."""
    if session.in_transaction():  # which it has been since it was given anything
        await session.flush()


async def read_values(session: AsyncSession, statement: Select[Any], **parameters: object) -> Sequence[Row[Any]]:
    """The values of rows, of which the session makes no objects."""
    if (driver := driver_of(session)) is not None:
        return straight.read_rows(driver, statement, parameters)
    found: Sequence[Row[Any]] = (await session.exec(statement, params=parameters)).all()  # type: ignore[call-overload]  # SQLModel's own statements are all that it names
    return found


@cache
def _insertion(row: type[SQLModel]) -> Insert:
    return insert(table_of(row))
