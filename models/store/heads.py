"""Heads: the row that a chain's writers take turns on, and that hands out versions, sequences and instants."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import insert, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.audit import GENESIS
from models.store.towns import HeadRow
from models.store.unit import Clock

_TICK: Final = timedelta(microseconds=1)


class LostLockError(RuntimeError):
    """A head moved under a writer that held its lock: a fault of the program, never of the caller."""


@dataclass(slots=True, kw_only=True)
class Head:
    """A locked head. `instant` is that of the write under way; the rest is as the chain stood, until it is moved."""

    chain: str
    version: int
    instant: datetime
    audit_sequence: int
    audit_hash: str
    signal_sequence: int
    observation_sequence: int


def new_head(chain: str, *, now: datetime) -> Head:
    """The head of a chain that begins with the write under way."""
    return Head(
        chain=chain,
        version=0,
        instant=now,
        audit_sequence=0,
        audit_hash=GENESIS,
        signal_sequence=0,
        observation_sequence=0,
    )


async def begin_chain(session: AsyncSession, chain: str, *, clock: Clock) -> Head:
    """Insert the head of a chain that begins with the write under way, which holds its lock from then on.

    As with `lock_head`, the instant is from after that. Nobody sees the one that is inserted: `move_head` replaces it.
    """
    head = new_head(chain, now=clock())
    await session.exec(insert(HeadRow).values(chain=chain, **_values(head)))
    head.instant = clock()
    return head


async def lock_head(session: AsyncSession, chain: str, *, clock: Clock) -> Head | None:
    """Lock a chain's head until the transaction ends; None where there is no such chain.

    The write gets the instant max(now, last + 1 microsecond): strictly increasing, also when a clock is set back. Now
    is when the lock was had, however long that took: an instant that is past has no write still to come.
    """
    query = select(HeadRow).where(HeadRow.chain == chain).with_for_update().execution_options(populate_existing=True)
    row = (await session.exec(query)).one_or_none()
    if row is None:
        return None
    return Head(
        chain=row.chain,
        version=row.version,
        instant=max(clock(), row.instant + _TICK),
        audit_sequence=row.audit_sequence,
        audit_hash=row.audit_hash,
        signal_sequence=row.signal_sequence,
        observation_sequence=row.observation_sequence,
    )


async def await_turn(session: AsyncSession, chains: Iterable[str]) -> None:
    """Wait until the writes that are under way to chains have ended, and let none begin until the transaction ends."""
    # in the order in which writers lock; SQLite has waited when the transaction began
    query = select(HeadRow.chain).where(col(HeadRow.chain).in_(list(chains))).order_by(col(HeadRow.chain))
    await session.exec(query.with_for_update(read=True))


async def move_head(session: AsyncSession, head: Head, *, from_sequence: int) -> None:
    """Store a locked head, on condition that the chain still ends at `from_sequence`. Raises `LostLockError`."""
    statement = (
        update(HeadRow)
        .where(col(HeadRow.chain) == head.chain, col(HeadRow.audit_sequence) == from_sequence)
        .values(**_values(head))
        .execution_options(synchronize_session=False)
    )
    result = await session.exec(statement)
    if result.rowcount != 1:
        raise LostLockError(head.chain)


def _values(head: Head) -> dict[str, object]:
    return {
        "version": head.version,
        "instant": head.instant,
        "audit_sequence": head.audit_sequence,
        "audit_hash": head.audit_hash,
        "signal_sequence": head.signal_sequence,
        "observation_sequence": head.observation_sequence,
    }
