"""Inserting a row unless one with its key is there, which also waits for whoever is inserting it just now."""

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession


async def insert_unless_there(session: AsyncSession, row: SQLModel) -> bool:
    """Whether `row` was inserted. False means that another transaction has committed one with the same key."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    result = await session.exec(insert(type(row)).values(**row.model_dump()).on_conflict_do_nothing())
    return result.rowcount == 1
