"""What feeds read: how far chains have come, and the entries and signals beyond what a subscriber was given."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import and_, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.store.audit import AuditEntryRow
from models.store.mayor import MayorSignalRow
from models.store.queries import exports
from models.store.towns import HeadRow

_MOST_NAMES: Final = 10_000  # in one statement; both databases take some 32,000 parameters
_MOST_SIGNALS: Final = 100


async def sequences(session: AsyncSession, chains: Sequence[str]) -> dict[str, int]:
    """The sequence of the last entry of each chain. All that a feed tells of moves it, signals too."""
    found: dict[str, int] = {}
    for begin in range(0, len(chains), _MOST_NAMES):
        named = col(HeadRow.chain).in_(chains[begin : begin + _MOST_NAMES])
        found.update((await session.exec(select(HeadRow.chain, HeadRow.audit_sequence).where(named))).all())
    return found


async def entries_after(session: AsyncSession, chain: str, after: int) -> Sequence[AuditEntryRow]:
    """The next entries of a chain, ascending: a page, bounded as an export's is; empty at the end of the chain."""
    row = AuditEntryRow
    upto = await exports.page_end(session, chain, after)
    if upto is None:
        return []
    query = select(row).where(row.chain == chain, row.sequence > after, row.sequence <= upto)
    return (await session.exec(query.order_by(col(row.sequence)))).all()


async def signals_after(session: AsyncSession, town_id: str, told: int, *, told_open: bool) -> Sequence[MayorSignalRow]:
    """What became of a town's restart signals since the one of sequence `told`, oldest first, at most a hundred.

    Where that one was open when it was told (`told_open`), it is among them as soon as it is closed.
    """
    row = MayorSignalRow
    news = col(row.sequence) > told
    if told_open:
        news = or_(news, and_(col(row.sequence) == told, col(row.closed_at).is_not(None)))
    query = select(row).where(row.town_id == town_id, news).order_by(col(row.sequence)).limit(_MOST_SIGNALS)
    return (await session.exec(query)).all()
