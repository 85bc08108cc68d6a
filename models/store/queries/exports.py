"""Whole chains, page by page: no reader is held up by a slow one, and memory does not grow with the chain."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import LargeBinary, Text, cast, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.export import StoredEntry
from models.store.audit import AuditEntryRow
from models.store.queries import towns
from models.store.unit import Store

PAGE: Final = 100
PAGE_BYTES: Final = 4_000_000  # an entry can be nearly as large as a request's body, twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The entries of a chain from the sequence `first` to `last`, both inclusive; none where `last` is less."""

    chain: str
    first: int
    last: int


async def span(session: AsyncSession, chain: str, *, since: datetime | None, until: datetime | None) -> Span | None:
    """What is stored of a chain now; None where there is no such chain. `since` is inclusive, `until` is not.

    It goes by the entries, not by the head that the database claims: what is stored beyond it is part of the answer.
    """
    last = await _last(session, chain)
    if last is None and not await towns.heads(session, [chain]):
        return None
    first = await _first(session, chain, since)
    if last is None or first is None:
        return Span(chain=chain, first=1, last=0)
    end = None if until is None else await _first(session, chain, until)
    return Span(chain=chain, first=first, last=last if end is None else end - 1)


async def pages(store: Store, wanted: Span) -> AsyncIterator[Sequence[StoredEntry]]:
    """The entries, ascending, at most `PAGE` at once and fewer where they are large; each page is a read of its own.

    Raises `StorageUnavailableError`, also midway.
    """
    after = wanted.first - 1
    while after < wanted.last:
        async with store.read() as session:
            page = await _page(session, wanted.chain, after, wanted.last)
        if not page:
            return
        yield page
        after = page[-1].sequence


async def _first(session: AsyncSession, chain: str, since: datetime | None) -> int | None:
    row = AuditEntryRow
    query = select(row.sequence).where(row.chain == chain).order_by(col(row.sequence)).limit(1)
    if since is not None:
        query = query.where(row.occurred_at >= since)
    return (await session.exec(query)).first()


async def _last(session: AsyncSession, chain: str) -> int | None:
    row = AuditEntryRow
    query = select(row.sequence).where(row.chain == chain).order_by(col(row.sequence).desc()).limit(1)
    return (await session.exec(query)).first()


async def page_end(session: AsyncSession, chain: str, after: int, last: int | None = None) -> int | None:
    """The last sequence of the page that follows `after` and goes to `last` at most; None where nothing follows."""
    row = AuditEntryRow
    sequence = col(row.sequence)
    measured = (
        select(sequence, func.length(col(row.canonical)))
        .where(row.chain == chain, sequence > after)
        .order_by(sequence)
        .limit(PAGE)
    )
    if last is not None:
        measured = measured.where(sequence <= last)
    return _that_fit((await session.exec(measured)).all())


async def _page(session: AsyncSession, chain: str, after: int, last: int) -> list[StoredEntry]:
    row = AuditEntryRow
    sequence, canonical = col(row.sequence), col(row.canonical)
    upto = await page_end(session, chain, after, last)
    if upto is None:
        return []
    # Cast, since SQLite gives text back where someone has put text into a column of bytes.
    query = (
        select(sequence, cast(canonical, LargeBinary), cast(col(row.hash), Text))
        .where(row.chain == chain, sequence > after, sequence <= upto)
        .order_by(sequence)
    )
    found = (await session.exec(query)).all()
    return [StoredEntry(sequence=number, canonical=record, hash=digest) for number, record, digest in found]


def _that_fit(sizes: Sequence[tuple[int, int]]) -> int | None:
    """The last sequence up to which the entries fit in a page; the first of them always does."""
    upto, room = None, PAGE_BYTES
    for sequence, size in sizes:
        room -= size
        if upto is not None and room < 0:
            break
        upto = sequence
    return upto
