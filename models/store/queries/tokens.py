"""Reads of API tokens."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.store.access import TokenRow
from models.store.queries.json_texts import is_among


async def tokens(session: AsyncSession) -> Sequence[TokenRow]:
    """All tokens, oldest first; revoked and expired ones too."""
    query = select(TokenRow).order_by(col(TokenRow.created_at), col(TokenRow.token_id))
    return list(await session.exec(query))


async def token(session: AsyncSession, token_id: str, *, lock: bool = False) -> TokenRow | None:
    return await session.get(TokenRow, token_id, with_for_update=lock or None)


async def not_revoked(session: AsyncSession, token_ids: Collection[str]) -> set[str]:
    """Those of the ids whose tokens are there and not revoked."""
    query = select(TokenRow.token_id).where(is_among(col(TokenRow.token_id), token_ids))
    return set(await session.exec(query.where(col(TokenRow.revoked_at).is_(None))))


async def any_valid(session: AsyncSession, now: datetime) -> bool:
    """Whether there is a token that is worth something."""
    lasting = or_(col(TokenRow.expires_at).is_(None), col(TokenRow.expires_at) > now)
    query = select(TokenRow.token_id).where(col(TokenRow.revoked_at).is_(None), lasting).limit(1)
    return (await session.exec(query)).first() is not None


async def note_use(session: AsyncSession, token_id: str, now: datetime, *, unless_after: datetime) -> None:
    """Set when a token was used last, unless another process did so after `unless_after`."""
    last = col(TokenRow.last_used_at)
    statement = update(TokenRow).where(col(TokenRow.token_id) == token_id, or_(last.is_(None), last <= unless_after))
    await session.exec(statement.values(last_used_at=now))
