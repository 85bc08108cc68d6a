"""Heads: the row that a chain's writers take turns on, and that hands out versions, sequences and instants."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Integer, Row, bindparam, column, insert, update, values
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.audit import GENESIS
from models.store.rows import read_values, table_of, write_row
from models.store.straight import driver_of
from models.store.towns import HeadRow
from models.store.unit import Clock

_TICK: Final = timedelta(microseconds=1)
_HEADS: Final = table_of(HeadRow)
# of the one chain that most writes are to; made once, which takes longer than to execute them
_LOCK: Final = _HEADS.select().where(_HEADS.c.chain == bindparam("chain")).with_for_update()
_MOVE: Final = update(_HEADS).where(
    _HEADS.c.chain == bindparam("moved"), _HEADS.c.audit_sequence == bindparam("from_sequence")
)


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
    rows = await read_values(session, _LOCK, chain=chain)
    return _locked(rows[0], clock()) if rows else None


async def lock_heads(session: AsyncSession, chains: Collection[str], *, clock: Clock) -> list[Head]:
    """Lock several heads by one statement, in the order of their chains; each write gets an instant of its own."""
    query = (
        select(HeadRow)
        .where(col(HeadRow.chain).in_(chains))
        .order_by(col(HeadRow.chain))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return [_locked(row, clock()) for row in await session.exec(query)]


def _locked(row: HeadRow | Row[Any], now: datetime) -> Head:
    return Head(
        chain=row.chain,
        version=row.version,
        instant=max(now, row.instant + _TICK),
        audit_sequence=row.audit_sequence,
        audit_hash=row.audit_hash,
        signal_sequence=row.signal_sequence,
        observation_sequence=row.observation_sequence,
    )


async def await_turn(session: AsyncSession, chains: Iterable[str]) -> None:
    """Wait until the writes that are under way to chains have ended, and let none begin until the transaction ends."""
    if driver_of(session) is not None:
        return  # SQLite has waited when the transaction began
    # in the order in which writers lock
    query = select(HeadRow.chain).where(col(HeadRow.chain).in_(list(chains))).order_by(col(HeadRow.chain))
    await session.exec(query.with_for_update(read=True))


async def move_head(session: AsyncSession, head: Head, *, from_sequence: int) -> None:
    """Store a locked head, on condition that the chain still ends at `from_sequence`. Raises `LostLockError`."""
    to = {**_values(head), "moved": head.chain, "from_sequence": from_sequence}
    if await write_row(session, _MOVE, to) != 1:
        raise LostLockError(head.chain)


async def move_heads(session: AsyncSession, moved: Sequence[tuple[Head, int]]) -> None:
    """`move_head` for several heads, each given with its `from_sequence`, by one statement."""
    if len(moved) == 1:
        ((head, from_sequence),) = moved
        await move_head(session, head, from_sequence=from_sequence)  # which, unlike a list, is compiled only once
        return
    columns = _HEADS.c
    names = tuple(_values(moved[0][0]))
    given = (column("chain", columns.chain.type), column("from_sequence", Integer))
    rows = [(head.chain, from_sequence, *_values(head).values()) for head, from_sequence in moved]
    to = values(*given, *(column(name, columns[name].type) for name in names)).data(rows).cte("moved")
    statement = (
        update(HeadRow)
        .where(columns.chain == to.c.chain, columns.audit_sequence == to.c.from_sequence)
        .values({name: to.c[name] for name in names})
        .returning(columns.chain)
        .execution_options(synchronize_session=False)
    )
    stored = (await session.exec(statement)).all()
    if len(stored) != len(moved):
        raise LostLockError(", ".join(head.chain for head, _ in moved))


def _values(head: Head) -> dict[str, object]:
    return {
        "version": head.version,
        "instant": head.instant,
        "audit_sequence": head.audit_sequence,
        "audit_hash": head.audit_hash,
        "signal_sequence": head.signal_sequence,
        "observation_sequence": head.observation_sequence,
    }
