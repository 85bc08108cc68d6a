"""Inserting a row unless it is there, which also waits for whoever is inserting it just now."""

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession


async def insert_unless_there(session: AsyncSession, row: SQLModel) -> bool:
    """Whether `row` was inserted. False means that one with the same key, or another unique value, is committed."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    result = await session.exec(insert(type(row)).values(**row.model_dump()).on_conflict_do_nothing())
    return result.rowcount == 1
