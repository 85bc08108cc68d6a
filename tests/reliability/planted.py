"""Faults, planted in a serving process before it begins: those that a checker has to find, and sudden death."""

import os
import re
import signal
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import event, text

import api.storage
from models.services import publishing
from models.services.heads import lock_town
from models.services.history import Caller
from models.store.heads import Head
from models.store.tables import CompiledSet, TableCache, TableKey
from models.store.unit import Session, Store, WriteUnit
from tests.chains import with_store

Statement = tuple[str, Any]


def any_base() -> None:
    """The update is not conditional: a publish goes over whatever is in force."""

    async def lock_anyway(unit: WriteUnit, caller: Caller, town_id: str, *, expected: int | None = None) -> Head:  # noqa: ARG001
        return await lock_town(unit, caller, town_id)

    publishing.lock_town = lock_anyway  # type: ignore[attr-defined]  # a name that it imports


def no_lock() -> None:
    """Nobody locks a head, nor looks whether it has moved meanwhile. `without_keys` makes it the database's as well."""
    _rewrite(lambda statement: re.sub(r"heads\.audit_sequence = ", "0 <= ", statement.replace(" FOR UPDATE", "")))


def without_keys(url: str) -> None:
    """Take away what would keep a PostgreSQL database from holding one version twice."""

    async def work(store: Store) -> None:
        async with store.database.writer.begin() as connection:
            for table in ("override_sets", "overrides", "audit_entries"):
                await connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT pk_{table} CASCADE"))

    with_store(url, work)


def plain_begin() -> None:
    """A writer on SQLite reads first, and asks for the lock when it writes."""

    def plain(store: Store) -> Store:
        store.database.writer.dialect.begin = "BEGIN"  # type: ignore[attr-defined]  # SQLite's has it
        return store

    _replace_store(plain)


def cache_by_town() -> None:
    """Compiled tables are kept by town, whatever the version."""
    _replace_store(lambda store: Store(database=store.database, tables=_TownCache()))


class _TownCache(TableCache):
    def __init__(self) -> None:
        super().__init__()
        self._by_town: dict[str, CompiledSet] = {}

    async def get(self, session: Session, keys: Iterable[TableKey]) -> dict[TableKey, CompiledSet]:
        wanted = list(keys)
        missing = [key for key in wanted if key[0] not in self._by_town]
        for (town_id, _), compiled in (await super().get(session, missing)).items():
            self._by_town[town_id] = compiled
        return {key: self._by_town[key[0]] for key in wanted if key[0] in self._by_town}


def death_after(commits: int) -> None:
    """The process kills itself in the middle of the write that comes after that many."""
    committed: list[object] = []

    def on_execute(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if len(committed) >= commits and statement.startswith("INSERT INTO audit_entries"):
            os.kill(os.getpid(), signal.SIGKILL)

    def listening(store: Store) -> Store:
        event.listen(store.database.writer.sync_engine, "commit", committed.append)
        event.listen(store.database.writer.sync_engine, "before_cursor_execute", on_execute)
        return store

    _replace_store(listening)


def _replace_store(replaced: Callable[[Store], Store]) -> None:
    sound = api.storage.open_store
    api.storage.open_store = lambda *arguments: replaced(sound(*arguments))


def _rewrite(rewritten: Callable[[str], str]) -> None:
    """Have the statements of writers rewritten on their way to the database."""

    def on_execute(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any
    ) -> Statement:
        return rewritten(statement), parameters

    def listening(store: Store) -> Store:
        event.listen(store.database.writer.sync_engine, "before_cursor_execute", on_execute, retval=True)
        return store

    _replace_store(listening)
