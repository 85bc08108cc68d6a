"""Rows by their keys, however many."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, and_, bindparam, or_
from sqlmodel import SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

R = TypeVar("R", bound=SQLModel)

_GROUPS_AT_ONCE: Final = 200


async def rows_of(session: AsyncSession, row: type[R], keys: Iterable[tuple[Any, ...]], *columns: Any) -> list[R]:
    """The rows whose columns read as one of `keys`."""
    keys = list(keys)
    if len(keys) == 1:
        names = [column.key for column in columns]
        return list((await session.exec(_of_one(row, columns), params=dict(zip(names, keys[0], strict=True)))).all())
    found: list[R] = []
    for condition in one_of(keys, *columns):
        found.extend(await session.exec(select(row).where(condition)))
    return found


def one_of(keys: Iterable[tuple[Any, ...]], *columns: Any) -> Iterator[ColumnElement[bool]]:
    """Conditions that a row's columns read as one of `keys`; each is for a statement of its own.

    A row value in a list would be shorter, but of its columns SQLite looks only the first up in an index.
    """
    *leading, last = columns
    by_leading: dict[tuple[Any, ...], list[Any]] = {}
    for key in keys:
        by_leading.setdefault(key[:-1], []).append(key[-1])
    groups = list(by_leading.items())
    for start in range(0, len(groups), _GROUPS_AT_ONCE):
        yield or_(
            *(
                and_(*(column == value for column, value in zip(leading, values, strict=True)), last.in_(lasts))
                for values, lasts in groups[start : start + _GROUPS_AT_ONCE]
            )
        )


@cache
def _of_one(row: type[R], columns: tuple[Any, ...]) -> SelectOfScalar[R]:
    """The statement for a single key, which comes with each execution."""
    return select(row).where(*(column == bindparam(column.key) for column in columns))
