"""Keyset pages: each begins right after a value in a total order, so that its cost does not grow with its depth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Integer, bindparam
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_AFTER, _LIMIT = "page_after", "page_limit"  # parameters


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
    return await _page_of(session, _page(query, order, descending, wanted.after is not None), {}, wanted)


async def fetch_known_page(
    session: AsyncSession,
    query: SelectOfScalar[R],
    params: Mapping[str, object],
    *,
    order: Any,
    wanted: Slice,
    descending: bool = False,
) -> Page[R]:
    """The same of a query that is made once, and whose parameters come with each execution."""
    statement = _known_page(query, order, descending, wanted.after is not None)
    return await _page_of(session, statement, params, wanted)


async def _page_of(
    session: AsyncSession, statement: SelectOfScalar[R], params: Mapping[str, object], wanted: Slice
) -> Page[R]:
    given = {**params, _LIMIT: wanted.first + 1, **({} if wanted.after is None else {_AFTER: wanted.after})}
    rows = (await session.exec(statement, params=given)).all()
    return Page(rows=rows[: wanted.first], has_next=len(rows) > wanted.first)


def _page(query: SelectOfScalar[R], order: Any, descending: bool, is_later: bool) -> SelectOfScalar[R]:  # noqa: FBT001  # so that they are a key
    if is_later:
        after = bindparam(_AFTER, type_=order.type)
        query = query.where(order < after if descending else order > after)
    return query.order_by(order.desc() if descending else order).limit(bindparam(_LIMIT, type_=Integer))


_known_page: Final = cache(_page)
