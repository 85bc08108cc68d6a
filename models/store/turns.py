"""Turns at work that one process at a time may do. A turn ends with its transaction, however that one ends."""

import hashlib

from sqlalchemy import func
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession


async def take_turn(session: AsyncSession, work: str) -> bool:
    """Whether this write may do `work`: if so, no other may until it ends. Never waits.

    A writer of SQLite has had the whole database to itself since it began.
    """
    if session.get_bind().dialect.name == "sqlite":
        return True
    key = int.from_bytes(hashlib.sha256(work.encode()).digest()[:8], signed=True)
    taken: bool = (await session.exec(select(func.pg_try_advisory_xact_lock(key)))).one()
    return taken
