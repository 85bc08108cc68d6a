"""Inserting a row unless it is there, which also waits for whoever is inserting it just now."""

from functools import cache

from sqlalchemy import Insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from models.store.rows import table_of, write_row


async def insert_unless_there(session: AsyncSession, row: SQLModel) -> bool:
    """Whether `row` was inserted. False means that one with the same key, or another unique value, is committed."""
    statement = _insertion(type(row), session.get_bind().dialect.name)
    return await write_row(session, statement, row.model_dump()) == 1


@cache
def _insertion(row: type[SQLModel], dialect: str) -> Insert:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return insert(table_of(row)).on_conflict_do_nothing()
