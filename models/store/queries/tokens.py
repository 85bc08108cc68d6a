"""Reads of API tokens."""

from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.store.access import TokenRow


async def tokens(session: AsyncSession) -> Sequence[TokenRow]:
    """All tokens, oldest first; revoked and expired ones too."""
    query = select(TokenRow).order_by(col(TokenRow.created_at), col(TokenRow.token_id))
    return list(await session.exec(query))


async def token(session: AsyncSession, token_id: str, *, lock: bool = False) -> TokenRow | None:
    return await session.get(TokenRow, token_id, with_for_update=lock or None)
