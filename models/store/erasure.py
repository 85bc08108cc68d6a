"""Getting rid of the bytes of what was erased, once the erasing is committed."""

import asyncio
import sqlite3
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from models.store.engine import Database


async def drop_erased(database: Database, table: str) -> bool:
    """Have the database drop the versions of a table's rows that nobody can see any more.

    False where it did not: on SQLite another connection still reads an older state, on PostgreSQL the role may not,
    or others are at the table.
    """
    async with database.writer.connect() as connection:
        return await (_empty_log(connection) if database.is_sqlite else _vacuum(connection, table))


async def _empty_log(connection: AsyncConnection) -> bool:
    """Move all of the write-ahead log into the file, in which deleted bytes are overwritten, and cut it to nothing."""
    driver: sqlite3.Connection = await _driver(connection)
    (busy, _, _) = await asyncio.to_thread(lambda: driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
    return not busy


async def _vacuum(connection: AsyncConnection, table: str) -> bool:
    driver = await _driver(connection)
    refusals: list[object] = []

    def listen(_connection: object, message: object) -> None:
        refusals.append(message)  # a warning is all that a role gets that may not

    driver.add_log_listener(listen)
    try:
        await driver.execute(f"VACUUM {table}")
    except asyncpg.PostgresError:
        return False  # others are at the table for longer than the limits allow
    finally:
        driver.remove_log_listener(listen)
    return not refusals


async def _driver(connection: AsyncConnection) -> Any:
    """The driver's own connection, on which nothing begins a transaction."""
    return (await connection.get_raw_connection()).driver_connection
