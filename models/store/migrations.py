"""Bringing a database to the newest migration, and telling whether it is there."""

from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.store.engine import Database

_LOCK: Final = 0x746F776E636C6B  # "townclk": migrations of one PostgreSQL database take turns


def scripts() -> Path:
    """Where the migrations are: beside the packages in a checkout, inside `api` where installed from a wheel."""
    root = Path(__file__).parents[2]
    installed = root / "api" / "migrations"
    return installed if installed.is_dir() else root / "alembic"


def config(connection: Connection | None = None) -> Config:
    made = Config()
    made.set_main_option("script_location", str(scripts()))
    made.attributes["connection"] = connection
    return made


async def upgrade(database: Database, revision: str = "head") -> None:
    """Run the migrations that are missing up to `revision`, all in one transaction."""
    async with database.writer.begin() as connection:
        await _take_turn(connection, database)
        await connection.run_sync(lambda sync: command.upgrade(config(sync), revision))


async def downgrade(database: Database, revision: str) -> None:
    async with database.writer.begin() as connection:
        await _take_turn(connection, database)
        await connection.run_sync(lambda sync: command.downgrade(config(sync), revision))


async def is_current(database: Database) -> bool:
    """Whether the database is at the newest migration. Raises the driver's errors where it can't be reached."""
    async with database.reader.connect() as connection:
        heads = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_heads())
    return set(heads) == _newest()


@cache
def _newest() -> frozenset[str]:
    return frozenset(ScriptDirectory.from_config(config()).get_heads())


async def _take_turn(connection: AsyncConnection, database: Database) -> None:
    """Wait until no one else migrates; from here on a statement may take as long as it takes."""
    if not database.is_sqlite:
        for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            await connection.execute(text(f"SET LOCAL {limit} = 0"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
