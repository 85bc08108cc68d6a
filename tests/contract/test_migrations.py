"""Migrations, up and down, and the tables that they make: those of the models, with the town in front of every key."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import TEXT, Connection, Index, PrimaryKeyConstraint, Table, UniqueConstraint, inspect
from sqlmodel import SQLModel

from models.store import access, audit, mayor, policies, towns
from models.store.base import Key
from models.store.engine import Database, open_database
from models.store.migrations import config, downgrade, is_current, newest, upgrade
from tests.client import Api, serving
from tests.databases import Databases
from tests.e2e.process import townclerk

T = TypeVar("T")

MODULES: Final = (access, audit, mayor, policies, towns)  # whose tables make up the metadata
TABLES: Final = SQLModel.metadata.tables
TOWN: Final = ("town_id", "chain", "owner")  # by what a table names the town it belongs to
CENTRAL: Final = {"actors", "idempotency_results", "models", "tokens"}
NOT_BY_TOWN: Final = {"ix_beads_bead_id"}  # bead ids are unique over all towns


def with_database(url: str, work: Callable[[Database], Any]) -> Any:
    """What the coroutine function `work` gives for the database at `url`."""

    async def run() -> Any:
        database = open_database(url)
        try:
            return await work(database)
        finally:
            await database.dispose()

    return asyncio.run(run())


def look(url: str, at: Callable[[Connection], T]) -> T:
    async def work(database: Database) -> T:
        async with database.reader.connect() as connection:
            return await connection.run_sync(at)

    found: T = with_database(url, work)
    return found


def table_names(url: str) -> set[str]:
    return look(url, lambda connection: set(inspect(connection).get_table_names())) - {"alembic_version"}


def test_newest_migration__is_the_one_that_alembic_finds() -> None:
    assert newest() == set(ScriptDirectory.from_config(config()).get_heads())


def test_migrations__up_down_and_up_again__make_the_tables_of_the_models(backend: str, databases: Databases) -> None:
    url = databases.empty(backend)
    with_database(url, upgrade)
    assert with_database(url, is_current)
    assert table_names(url) == TABLES.keys()
    with_database(url, lambda database: downgrade(database, "base"))
    assert not with_database(url, is_current)
    assert table_names(url) == set()
    with_database(url, upgrade)
    assert table_names(url) == TABLES.keys()


def test_migrations__run__leave_no_difference_to_the_models(database_url: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), SQLModel.metadata))

    assert look(database_url, differences) == []


def test_keys__as_migrated__are_those_of_the_models(database_url: str) -> None:
    def keys(connection: Connection) -> dict[str, list[str]]:
        found = inspect(connection)
        return {name: found.get_pk_constraint(name)["constrained_columns"] for name in TABLES}

    assert look(database_url, keys) == {name: list(table.primary_key.columns.keys()) for name, table in TABLES.items()}


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_texts_to_order_by__as_migrated__are_ordered_by_their_bytes(database_url: str) -> None:
    def collations(connection: Connection) -> dict[str, str | None]:
        found = inspect(connection)
        types = {f"{table}.{column['name']}": column["type"] for table in TABLES for column in found.get_columns(table)}
        return {name: kind.collation for name, kind in types.items() if isinstance(kind, TEXT)}

    columns = [column for table in TABLES.values() for column in table.columns]
    keys = {str(column) for column in columns if isinstance(column.type, Key)}
    assert {name for name, collation in look(database_url, collations).items() if collation == "C"} == keys


def test_tables__that_no_town_owns__are_these() -> None:
    assert {name for name, table in TABLES.items() if town_column(table) is None} == CENTRAL


@pytest.mark.parametrize("name", sorted(TABLES.keys() - CENTRAL))
def test_table__of_a_town__leads_its_keys_and_indexes_with_the_town(name: str) -> None:
    table = TABLES[name]
    led = {key: columns[0] for key, columns in keys_of(table).items() if key not in NOT_BY_TOWN}
    assert f"pk_{name}" in led
    assert set(led.values()) == {town_column(table)}


def test_migrate__twice_at_once_on_an_empty_database__succeeds_both_times(backend: str, databases: Databases) -> None:
    url = databases.empty(backend)
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: townclerk(url, "migrate"), range(2)))
    assert [(each.code, each.err) for each in done] == [(0, ""), (0, "")]
    with serving(url) as api:
        assert seeded(api) == {"models": 4, "profiles": 3, "entries": 4}


def seeded(api: Api) -> dict[str, int]:
    found = api.data("{ models { modelId } profiles { name } auditHead { sequence } }")
    return {
        "models": len(found["models"]),
        "profiles": len(found["profiles"]),
        "entries": found["auditHead"]["sequence"],
    }


NAMES_AS_IDS: Final = (("townclerk", "Townclerk"), ("Townclerk", "Townclerk"), ("ann", "ann"))


def test_actors__whose_names_were_their_ids__keep_them_up_and_down(backend: str, databases: Databases) -> None:
    url = databases.empty(backend)
    with_database(url, lambda database: upgrade(database, "0001"))
    with_database(url, insert_actors)
    with_database(url, upgrade)
    assert actors(url) == {"townclerk": "Townclerk", "Townclerk": None, "ann": "ann"}
    with_database(url, lambda database: downgrade(database, "0001"))
    assert actors(url) == dict(NAMES_AS_IDS)


async def insert_actors(database: Database) -> None:
    async with database.writer.begin() as connection:
        for actor_id, name in NAMES_AS_IDS:
            await connection.exec_driver_sql(f"INSERT INTO actors VALUES ('{actor_id}', '{name}')")  # noqa: S608


def actors(url: str) -> dict[str, str | None]:
    """The names by id."""
    query = "SELECT actor_id, display_name FROM actors"
    return look(url, lambda connection: dict(connection.exec_driver_sql(query).all()))


def town_column(table: Table) -> str | None:
    return next((name for name in TOWN if name in table.columns), None)


def keys_of(table: Table) -> dict[str, list[str]]:
    """The columns of the primary key, the indexes and the unique constraints, by name."""
    keyed: list[PrimaryKeyConstraint | UniqueConstraint | Index] = [table.primary_key, *table.indexes]
    keyed += [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    return {str(each.name): list(each.columns.keys()) for each in keyed}
