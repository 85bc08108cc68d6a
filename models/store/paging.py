"""Keyset pages: each begins right after a value in a total order, so that its cost does not grow with its depth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Which part of a list is wanted: at most `first` items, those after the value `after` (None: the beginning)."""

    first: int
    after: str | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[R_co]):
    rows: Sequence[R_co]
    has_next: bool


async def fetch_page(
    session: AsyncSession, query: SelectOfScalar[R], *, order: Any, wanted: Slice, descending: bool = False
) -> Page[R]:
    """The `wanted` part of `query`, ordered by the column `order`, which is unique within the list."""
    if wanted.after is not None:
        query = query.where(order < wanted.after if descending else order > wanted.after)
    query = query.order_by(order.desc() if descending else order).limit(wanted.first + 1)
    rows = (await session.exec(query)).all()
    return Page(rows=rows[: wanted.first], has_next=len(rows) > wanted.first)
