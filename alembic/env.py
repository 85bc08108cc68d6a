"""Alembic's entry: migrations run on the connection they are handed, or on the database of the settings."""

import asyncio
import os
from typing import Literal

from alembic import context
from sqlalchemy import Connection
from sqlmodel import SQLModel

from models.store import access, audit, mayor, policies, towns
from models.store.base import Instant, Key, Word
from models.store.engine import open_database

TABLES = (access, audit, mayor, policies, towns)  # imported so that the metadata is whole


def render_type(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Our column types as plain ones, so that a migration says the same for ever."""
    if kind != "type":
        return False
    if isinstance(item, Key):
        return "KEY"
    if isinstance(item, Instant):
        return "INSTANT"
    return "sa.Text()" if isinstance(item, Word) else False


def run(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_server_default=True,
        transactional_ddl=True,
        render_item=render_type,
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_on_settings() -> None:
    database = open_database(os.environ.get("TOWNCLERK_DATABASE_URL", "sqlite:///townclerk.db"))
    try:
        async with database.writer.begin() as connection:
            await connection.run_sync(run)
    finally:
        await database.dispose()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    asyncio.run(run_on_settings())
