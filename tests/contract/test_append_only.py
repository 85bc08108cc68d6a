"""What is only ever inserted: the database refuses anything else, and goes on doing so as it is migrated."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import SQLModel

from models.store.base import APPEND_ONLY
from models.store.engine import Database
from models.store.migrations import config, downgrade, upgrade
from models.store.unit import Store, WriteUnit
from tests.client import Api, serving
from tests.contract.recipes import unique
from tests.contract.test_migrations import look, with_database
from tests.databases import Databases
from tests.towns import HAIKU, OPUS, SONNET, make_town, publish, rule, sync

ADDED: Final = "0003"  # the revision that made the triggers
UPDATE: Final = "UPDATE {table} SET {column} = {column}"
DELETE: Final = "DELETE FROM {table}"
TRUNCATE: Final = "TRUNCATE {table} CASCADE"
INSERT: Final = "INSERT INTO {table} SELECT * FROM {table} WHERE true"
UPSERT: Final = f"{INSERT} ON CONFLICT ({{key}}) DO UPDATE SET {{column}} = excluded.{{column}}"
MERGE: Final = "MERGE INTO {table} AS old USING {table} AS new ON {same_key} WHEN MATCHED THEN"
REPLICA: Final = "SET LOCAL session_replication_role = replica"
# Ways to change or take away rows; the last statement of each is the one to be refused.
COMMON: Final[dict[str, list[str]]] = {
    "update": [UPDATE],
    "update of the key": ["UPDATE {table} SET {last} = {last}"],
    "delete": [DELETE],
    "upsert": [UPSERT],
}
ATTACKS: Final[dict[str, dict[str, list[str]]]] = {
    "sqlite": COMMON
    | {
        "update or replace": ["UPDATE OR REPLACE {table} SET {last} = {last}"],
        "insert or replace": ["INSERT OR REPLACE INTO {table} SELECT * FROM {table}"],
        "replace": ["REPLACE INTO {table} SELECT * FROM {table}"],
        "replace by rowid": ["REPLACE INTO {table} (rowid, {columns}) SELECT rowid, {other_key} FROM {table}"],
        "replace by oid": ["REPLACE INTO {table} (oid, {columns}) SELECT rowid, {other_key} FROM {table}"],
        "rowid that reads as none": ["INSERT INTO {table} (rowid, {columns}) SELECT -1, {other_key} FROM {table}"],
        "triggers that recur": ["PRAGMA recursive_triggers=ON", "REPLACE INTO {table} SELECT * FROM {table}"],
    },
    "postgresql": COMMON
    | {
        "merge that updates": [f"{MERGE} UPDATE SET {{column}} = new.{{column}}"],
        "merge that deletes": [f"{MERGE} DELETE"],
        "truncate": [TRUNCATE],
        "truncate of what it refers to": ["TRUNCATE towns, profiles, audit_entries CASCADE"],
        "update as a replica": [REPLICA, UPDATE],
        "delete as a replica": [REPLICA, DELETE],
        "upsert as a replica": [REPLICA, UPSERT],
        "truncate as a replica": [REPLICA, TRUNCATE],
    },
}
ROWS: Final = {  # with what changes when a row is written anew, even as it was
    "sqlite": "SELECT rowid, * FROM {table}",
    "postgresql": "SELECT ctid, * FROM {table}",
}

Outcome = Literal["refused", "done"]


def populate(api: Api) -> None:
    """At least one row in each of the tables."""
    town_id = make_town(api, rigs=())
    sync(api, town_id, {"beadId": unique("bead")}, {"beadId": unique("bead")})
    publish(api, town_id, overrides=[rule(SONNET, "MAYOR"), rule(OPUS, "POLECAT")])
    api.done("detectMayorChange", townId=town_id, observed={"model": OPUS, "smallModel": HAIKU})


def populated(url: str) -> str:
    with serving(url) as api:
        populate(api)
    return url


@pytest.fixture(scope="module")
def url(backend: str, databases: Databases) -> str:
    return populated(databases.fresh(backend))


def attacks(url: str, table: str) -> dict[str, list[str]]:
    """The attacks of the database's kind, on one table."""
    known = SQLModel.metadata.tables[table]
    columns, key = list(known.columns.keys()), list(known.primary_key.columns.keys())
    names = {
        "table": table,
        "columns": ", ".join(columns),
        "column": next(name for name in columns if name not in key),
        "key": ", ".join(key),
        "last": key[-1],
        "same_key": " AND ".join(f"new.{name} = old.{name}" for name in key),
        "other_key": ", ".join(f"{name} || '9'" if name == key[-1] else name for name in columns),
    }
    return {
        name: [statement.format_map(names) for statement in statements]
        for name, statements in ATTACKS[url.partition(":")[0]].items()
    }


def outcome(url: str, statements: Sequence[str]) -> Outcome:
    """What comes of statements in one transaction, which is then rolled back."""

    def work(connection: Connection) -> str:
        for statement in statements[:-1]:
            connection.exec_driver_sql(statement)
        try:
            connection.exec_driver_sql(statements[-1])
        except DBAPIError as error:
            return str(error.orig)
        return ""

    async def attack(database: Database) -> str:
        async with database.writer.connect() as connection:
            return await connection.run_sync(work)

    said: str = with_database(url, attack)
    assert said == "" or "append-only" in said, said
    return "refused" if said else "done"


def rows(url: str, table: str) -> list[str]:
    query = ROWS[url.partition(":")[0]].format(table=table)
    return look(url, lambda connection: sorted(map(repr, connection.exec_driver_sql(query))))


def guards(url: str) -> set[str]:
    """The triggers that are there, each with all that is known of it."""
    query = (
        "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
        if url.startswith("sqlite")
        else """
        SELECT pg_get_triggerdef(trigger.oid), tgenabled::text, prosrc
        FROM pg_trigger AS trigger JOIN pg_proc AS function ON function.oid = tgfoid
        WHERE NOT tgisinternal
        """
    )
    return look(url, lambda connection: {json.dumps(list(row)) for row in connection.exec_driver_sql(query)})


def test_append_only_tables__listed__are_those_that_say_so() -> None:
    mapped = [mapper.class_ for mapper in SQLModel._sa_registry.mappers]  # noqa: SLF001  # there is no other way to ask
    said = {row.__tablename__ for row in mapped if "Only ever inserted." in (row.__doc__ or "")}
    assert set(APPEND_ONLY) == said


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_append_only_table__attacked_behind_the_services_back__refuses_and_keeps_every_row(
    url: str, table: str
) -> None:
    before = rows(url, table)
    assert before
    tried = attacks(url, table)
    assert {name: outcome(url, statements) for name, statements in tried.items()} == dict.fromkeys(tried, "refused")
    assert rows(url, table) == before


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_row__there_already__is_a_lost_race_to_the_service(url: str, table: str) -> None:
    attempts = []
    insert = text(f"INSERT INTO {table} SELECT * FROM {table}")  # noqa: S608  # our own names

    async def work(unit: WriteUnit) -> None:
        attempts.append(1)
        if len(attempts) < 3:
            await (await unit.session.connection()).execute(insert)

    write(url, work)
    assert len(attempts) == 3


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("statement", ["UPDATE overrides SET model = model", "DELETE FROM overrides"])
def test_refusal__of_the_database__is_no_lost_race_and_no_outage(url: str, statement: str) -> None:
    attempts = []

    async def work(unit: WriteUnit) -> None:
        attempts.append(1)
        await (await unit.session.connection()).execute(text(statement))

    with pytest.raises(DBAPIError) as refused:
        write(url, work)
    assert not isinstance(refused.value, IntegrityError)
    assert (len(attempts), getattr(refused.value.orig, "sqlstate", None)) == (1, "TC001")


def write(url: str, work: Callable[[WriteUnit], Awaitable[None]]) -> None:
    with_database(url, lambda database: Store(database=database).write(work))


def revisions() -> list[tuple[str, bool]]:
    """Every revision, oldest first, and whether it has the triggers."""
    scripts = ScriptDirectory.from_config(config())
    known = [script.revision for script in scripts.walk_revisions()][::-1]
    return [(revision, known.index(revision) >= known.index(ADDED)) for revision in known]


def bites(url: str) -> set[tuple[str, Outcome]]:
    """What comes of a few attacks on each table."""
    names = ("update", "delete", "upsert", "truncate as a replica", "insert or replace", "replace by rowid")
    tried = [(table, attacks(url, table)) for table in APPEND_ONLY]
    return {(table, outcome(url, known[name])) for table, known in tried for name in names if name in known}


def migrate(url: str, step: Callable[[Database, str], Awaitable[None]], revision: str) -> None:
    with_database(url, lambda database: step(database, revision))


def test_migrations__from_nothing_step_by_step__have_the_triggers_since_they_were_made(
    backend: str, databases: Databases
) -> None:
    url = databases.empty(backend)
    found = {}
    for revision, _ in revisions():
        migrate(url, upgrade, revision)
        found[revision] = guards(url)
    assert len(found[ADDED]) == len(APPEND_ONLY) * {"sqlite": 4, "postgresql": 2}[backend]
    for revision, guarded in revisions():
        assert found[revision] >= found[ADDED] if guarded else not found[revision], revision


def test_migrations__down_and_up_again_over_rows__leave_triggers_that_bite(backend: str, databases: Databases) -> None:
    url = populated(databases.fresh(backend))
    all_refuse = {(table, "refused") for table in APPEND_ONLY}
    bare = [revision for revision, guarded in revisions() if not guarded][-1]
    later = [revision for revision, guarded in revisions() if guarded]
    assert bites(url) == all_refuse
    for revision in later[-2::-1]:
        migrate(url, downgrade, revision)
        assert bites(url) == all_refuse, revision
    migrate(url, downgrade, bare)
    assert guards(url) == set()
    assert outcome(url, attacks(url, "overrides")["update"]) == "done"
    for revision in later:
        migrate(url, upgrade, revision)
        assert bites(url) == all_refuse, revision
