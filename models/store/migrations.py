"""Bringing a database to the newest migration, and telling whether it is there.

Alembic is loaded once something has to be migrated: a database that a server starts on seldom has to be.
"""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.store.engine import Database

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK: Final = 0x746F776E636C6B  # "townclk": migrations of one PostgreSQL database take turns
_REVISION: Final = re.compile(r'^revision = "(\w+)"$', re.MULTILINE)
_THE_ONE_BEFORE: Final = re.compile(r'^down_revision = "(\w+)"$', re.MULTILINE)


def scripts() -> Path:
    """Where the migrations are: beside the packages in a checkout, inside `api` where installed from a wheel."""
    root = Path(__file__).parents[2]
    installed = root / "api" / "migrations"
    return installed if installed.is_dir() else root / "alembic"


def config(connection: Connection | None = None) -> "Config":
    from alembic.config import Config  # noqa: PLC0415  # see above

    made = Config()
    made.set_main_option("script_location", str(scripts()))
    made.attributes["connection"] = connection
    return made


async def upgrade(database: Database, revision: str = "head") -> None:
    """Run the migrations that are missing up to `revision`, all in one transaction."""
    from alembic import command  # noqa: PLC0415  # see above

    async with database.writer.begin() as connection:
        await _take_turn(connection, database)
        await connection.run_sync(lambda sync: command.upgrade(config(sync), revision))


async def downgrade(database: Database, revision: str) -> None:
    from alembic import command  # noqa: PLC0415  # see above

    async with database.writer.begin() as connection:
        await _take_turn(connection, database)
        await connection.run_sync(lambda sync: command.downgrade(config(sync), revision))


async def is_current(database: Database) -> bool:
    """Whether the database is at the newest migration. Raises the driver's errors where it can't be reached."""
    async with database.reader.connect() as connection:
        if not await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
            return False
        stored = await connection.execute(text("SELECT version_num FROM alembic_version"))
        return frozenset(stored.scalars()) == newest()


@cache
def newest() -> frozenset[str]:
    """The migrations that no other one comes after."""
    texts = [file.read_text(encoding="utf-8") for file in (scripts() / "versions").glob("*.py")]
    all_of_them, followed = (
        {name for each in texts for name in pattern.findall(each)} for pattern in (_REVISION, _THE_ONE_BEFORE)
    )
    return frozenset(all_of_them - followed)


async def _take_turn(connection: AsyncConnection, database: Database) -> None:
    """Wait until no one else migrates; from here on a statement may take as long as it takes."""
    if not database.is_sqlite:
        for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            await connection.execute(text(f"SET LOCAL {limit} = 0"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
