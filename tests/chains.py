"""Entries put into the database behind the service's back, sound ones and others."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from sqlalchemy import insert

from models.domain.audit import GENESIS, AuditAction, Change, Entry, TargetType, entry_hash
from models.domain.vocabulary import Actor
from models.store.audit import AuditEntryRow
from models.store.engine import Limits, open_database
from models.store.unit import Store
from tests.contract.recipes import unique

T = TypeVar("T")

DEFAULT_LIMITS: Final = Limits()
AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
FIRST: Final = Entry(
    chain="",
    sequence=1,
    occurred_at=AT,
    actor=Actor(actor_id="bulk"),
    credential_id=None,
    request_id="bulk",
    change=Change(action=AuditAction.BEADS_SYNCED, target_type=TargetType.BEADS, target_id="bulk"),
    previous_hash=GENESIS,
)


def with_store(url: str, work: Callable[[Store], Awaitable[T]], limits: Limits = DEFAULT_LIMITS) -> T:
    """What `work` gives for a store of its own over the database at `url`."""

    async def run() -> T:
        store = Store(database=open_database(url, limits))
        try:
            return await work(store)
        finally:
            await store.dispose()

    return asyncio.run(run())


def row_of(entry: Entry, canonical: bytes | None = None) -> AuditEntryRow:
    """What is stored of an entry, or of other bytes in its place."""
    record = entry.canonical() if canonical is None else canonical
    return AuditEntryRow(
        chain=entry.chain,
        sequence=entry.sequence,
        occurred_at=entry.occurred_at,
        action=entry.change.action,
        actor_id=entry.actor.actor_id,
        target_type=entry.change.target_type,
        target_id=entry.change.target_id,
        request_id=entry.request_id,
        canonical=record,
        hash=entry_hash(entry.previous_hash, record),
    )


def add_rows(url: str, *rows: AuditEntryRow) -> None:
    async def work(store: Store) -> None:
        async with store.database.writer.begin() as connection:
            await connection.execute(insert(AuditEntryRow), [row.model_dump() for row in rows])

    with_store(url, work)


def add_chain(url: str, length: int, *, size: int = 0) -> str:
    """A chain of its own, of entries that are a bit larger than `size`; gives its name."""
    chain, made, previous = unique("chain"), [], GENESIS
    change = replace(FIRST.change, after={"titles": "x" * size})
    for number in range(length):
        at = AT + timedelta(seconds=number)
        entry = replace(FIRST, chain=chain, sequence=number + 1, occurred_at=at, change=change, previous_hash=previous)
        made.append(row_of(entry))
        previous = made[-1].hash
    add_rows(url, *made)
    return chain
