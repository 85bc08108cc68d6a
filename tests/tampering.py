"""Whoever owns the database, at work behind the service's back: no trigger and no foreign key holds them."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Executable, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel, col

from models.domain.audit import entry_hash
from models.domain.canonical import canonical_bytes
from models.domain.tokens import EVERYTHING
from models.domain.verification import Head, Verification
from models.services.verification import verify_all, verify_one
from models.store.audit import AuditEntryRow
from models.store.engine import Database, open_database
from models.store.towns import HeadRow
from models.store.unit import Store

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Someone with all rights to a database, who can also have it verified."""

    url: str
    _runner: asyncio.Runner
    _store: Store
    _connection: AsyncConnection

    def tamper(self, *statements: Executable) -> None:
        """Carry out statements in one transaction."""

        async def work() -> None:
            async with self._connection.begin():
                for statement in statements:
                    await self._connection.execute(statement)

        self._runner.run(work())

    def rows(self, query: Any) -> list[Row]:
        """What a query finds."""

        async def work() -> list[Row]:
            async with self._connection.begin():
                return [dict(row) for row in (await self._connection.execute(query)).mappings()]

        return self._runner.run(work())

    def stored(self, table: type[SQLModel]) -> list[Row]:
        return self.rows(select(*columns(table)).order_by(*(getattr(table, name) for name in primary_key(table))))

    def entries(self, chain: str) -> list[Row]:
        """The stored entries of a chain, oldest first."""
        return [row for row in self.stored(AuditEntryRow) if row["chain"] == chain]

    def head(self, chain: str) -> Head:
        last = self.entries(chain)[-1]
        return Head(sequence=last["sequence"], hash=last["hash"])

    def rewrite(self, chain: str, sequence: int, change: Callable[[Row], object]) -> None:
        """Forge a chain: change what an entry says, and make all that follows fit, the head too."""
        previous = ""
        statements: list[Executable] = []
        for row in self.entries(chain):
            said = json.loads(row["canonical"])
            if row["sequence"] < sequence:
                previous = row["hash"]
                continue
            if row["sequence"] == sequence:
                change(said)
            said["previousHash"] = previous
            canonical = canonical_bytes(said)
            previous = entry_hash(previous, canonical)
            statements.append(entry_update(chain, row["sequence"], canonical=canonical, hash=previous))
        head = update(HeadRow).where(col(HeadRow.chain) == chain).values(audit_hash=previous)
        self.tamper(*statements, head)

    def verified(self) -> dict[str, Verification]:
        """What came of verifying every chain."""

        async def work() -> dict[str, Verification]:
            return {each.chain: each async for each in verify_all(self._store)}

        return self._runner.run(work())

    def verified_one(self, chain: str, expected: Head | None = None) -> Verification:
        return self._runner.run(verify_one(self._store, EVERYTHING, chain, expected=expected))

    def faults(self) -> dict[str, tuple[str, int | None]]:
        """Code and first bad sequence of each chain that is not as it should be."""
        return self._runner.run(_faults(self._store))

    def finds_a_fault(self) -> bool:
        """Whether any chain is not as it should be; none is looked at after the first such."""

        async def work() -> bool:
            async with aclosing(verify_all(self._store)) as found:
                async for each in found:
                    if not each.ok:
                        return True
            return False

        return self._runner.run(work())


def faults(url: str) -> dict[str, tuple[str, int | None]]:
    """Code and first bad sequence of each chain of the database at `url` that is not as it should be."""
    with asyncio.Runner() as runner:
        store = Store(database=open_database(url))
        try:
            return runner.run(_faults(store))
        finally:
            runner.run(store.dispose())


async def _faults(store: Store) -> dict[str, tuple[str, int | None]]:
    return {
        found.chain: (found.fault.code.name, found.fault.sequence)
        async for found in verify_all(store)
        if found.fault is not None
    }


@contextmanager
def owning(url: str) -> Iterator[Owner]:
    """The owner of the database at `url`, who has switched off all that would hold an honest client."""
    with asyncio.Runner() as runner:
        database = open_database(url)
        with owning_again(runner, database) as owner:
            yield owner


@contextmanager
def owning_again(runner: asyncio.Runner, database: Database) -> Iterator[Owner]:
    """The same for engines that may have been used before, which saves them all that they know of statements.

    In the end nobody is connected.
    """
    url = database.url.set(drivername=database.url.get_backend_name()).render_as_string(hide_password=False)
    try:
        connection = runner.run(_let_go(database))
        try:
            yield Owner(url=url, _runner=runner, _store=Store(database=database), _connection=connection)
        finally:
            runner.run(connection.close())
    finally:
        runner.run(database.dispose())


async def _let_go(database: Database) -> AsyncConnection:
    connection = await database.writer.connect()
    async with connection.begin():
        if database.is_sqlite:
            names = await connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
            for name in names.all():
                await connection.execute(text(f'DROP TRIGGER "{name}"'))
        else:
            held = text(
                "SELECT DISTINCT relname FROM pg_trigger, pg_class c WHERE tgrelid = c.oid AND tgenabled <> 'D'"
            )
            for table in (await connection.scalars(held)).all():
                await connection.execute(text(f'ALTER TABLE "{table}" DISABLE TRIGGER ALL'))
    if database.is_sqlite:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        driver.execute("PRAGMA foreign_keys=OFF")
    return connection


def entry_update(chain: str, sequence: int, **values: Any) -> Executable:
    return update(AuditEntryRow).where(*entry(chain, sequence)).values(**values)


def entry(chain: str, sequence: int) -> list[Any]:
    """The conditions that an entry meets."""
    return [col(AuditEntryRow.chain) == chain, col(AuditEntryRow.sequence) == sequence]


def primary_key(table: type[SQLModel]) -> Sequence[str]:
    return [column.name for column in columns(table) if column.primary_key]


def columns(table: type[SQLModel]) -> Sequence[Any]:
    return list(table.__table__.columns)  # type: ignore[attr-defined]  # a table has one
