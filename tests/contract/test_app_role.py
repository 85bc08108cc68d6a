"""PostgreSQL's app role: with what `migrate --app-role` grants it a Townclerk serves, and can't touch the record."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from typing import Any, Final

import asyncpg
import pytest
from sqlalchemy import make_url
from sqlmodel import SQLModel

from models.store.base import APPEND_ONLY
from tests.client import Api, serving
from tests.contract.recipes import RECIPES, Recipe, codes, send, unique
from tests.contract.test_append_only import populate
from tests.databases import Databases
from tests.e2e.process import Finished, townclerk

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)

ROLE: Final = f'Town clerk\'s "app" 100% {os.getpid()}'  # a role is the server's, and its name may be anything
OTHER: Final = f"townclerk_other_{os.getpid()}"
PASSWORD: Final = "no secret"  # noqa: S105  # of a role that the tests drop again
TABLES: Final = sorted(SQLModel.metadata.tables)
UPDATED: Final = {
    "actors",
    "beads",
    "heads",
    "idempotency_results",
    "mayor_signals",
    "models",
    "profiles",
    "rigs",
    "tokens",
}
TRIED: Final = {
    "update": "UPDATE {table} SET {column} = {column}",
    "lock": "SELECT {column} FROM {table} FOR UPDATE",
    "delete": "DELETE FROM {table}",
    "truncate": "TRUNCATE {table} CASCADE",
    "drop": "DROP TABLE {table} CASCADE",
    "disable triggers": "ALTER TABLE {table} DISABLE TRIGGER ALL",
}
FORBIDDEN: Final = "42501"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def run(url: str, *statements: str) -> None:
    """Carry out statements, each in a transaction of its own."""

    async def work() -> None:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(work())


def state(url: str, statement: str) -> str | None:
    """The SQLSTATE that a statement fails with."""
    try:
        run(url, statement)
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)
    return None


def as_role(url: str, role: str) -> str:
    return make_url(url).set(username=role, password=PASSWORD).render_as_string(hide_password=False)


def migrate(url: str, role: str) -> Finished:
    return townclerk(url, "migrate", "--app-role", role)


def privileges(url: str, role: str) -> dict[str, set[str]]:
    """What was granted to the role itself on tables and their columns, by table."""
    query = """
        SELECT table_name, privilege_type FROM information_schema.table_privileges WHERE grantee = $1
        UNION SELECT table_name, privilege_type FROM information_schema.column_privileges WHERE grantee = $1
    """

    async def read() -> Sequence[Any]:
        connection = await asyncpg.connect(url)
        try:
            found: Sequence[Any] = await connection.fetch(query, role)
            return found
        finally:
            await connection.close()

    granted: dict[str, set[str]] = {}
    for table, privilege in asyncio.run(read()):
        granted.setdefault(table, set()).add(privilege)
    return granted


@pytest.fixture(scope="module")
def url(backend: str, databases: Databases) -> Iterator[str]:
    """The owner's way into a database that is migrated for the app role."""
    made = databases.fresh(backend)
    for role in (ROLE, OTHER):
        run(made, f"CREATE ROLE {quoted(role)} LOGIN PASSWORD '{PASSWORD}'")
    done = migrate(made, ROLE)
    assert (done.code, done.err) == (0, "")
    yield made
    for role in (ROLE, OTHER):
        run(made, f"DROP OWNED BY {quoted(role)}", f"DROP ROLE {quoted(role)}")


@pytest.fixture(scope="module")
def app(url: str) -> Iterator[Api]:
    """A Townclerk that serves as the app role."""
    with serving(as_role(url, ROLE)) as api:
        populate(api)
        yield api


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_app_role__serving__carries_out_every_mutation(app: Api, recipe: Recipe) -> None:
    call = recipe.prepare(app)
    keyed = call.with_input(idempotencyKey=unique("key")) if recipe.takes_key else call
    assert [codes(send(app, recipe.mutation, keyed, recipe.reply))] == [[]]
    if recipe.takes_key:
        assert codes(send(app, recipe.mutation, keyed, recipe.reply)) == []


def test_app_role__serving__is_ready(app: Api) -> None:
    assert app.http.get("/readyz").status_code == 200


@pytest.mark.parametrize("table", [*TABLES, "alembic_version"])
def test_app_role__on_a_table__may_do_no_more_than_serving_takes(app: Api, url: str, table: str) -> None:
    column = "version_num" if table == "alembic_version" else SQLModel.metadata.tables[table].columns.keys()[0]
    found = {
        name: state(as_role(url, ROLE), statement.format(table=table, column=column))
        for name, statement in TRIED.items()
    }
    allowed = {"update", "lock"} if table in UPDATED else set()
    assert found == {name: None if name in allowed else FORBIDDEN for name in TRIED}
    granted = {"SELECT", "INSERT", "UPDATE"} if table in UPDATED else {"SELECT", "INSERT"}
    assert privileges(url, ROLE)[table] == ({"SELECT"} if table == "alembic_version" else granted)
    assert app.http.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "statement",
    [
        "SET session_replication_role = replica",
        "INSERT INTO alembic_version VALUES ('9999')",
        "CREATE TRIGGER own BEFORE INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "DROP FUNCTION refuse_change() CASCADE",
        *(f"DROP TRIGGER append_only_row ON {table}" for table in APPEND_ONLY),
    ],
)
def test_app_role__at_what_guards_the_record__is_refused(url: str, statement: str) -> None:
    assert state(as_role(url, ROLE), statement) == FORBIDDEN


def test_migrate__again_for_a_role_that_was_given_more__takes_it_away(url: str) -> None:
    before = privileges(url, ROLE)
    role = quoted(ROLE)
    run(
        url,
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role} WITH GRANT OPTION",
        f"GRANT UPDATE (reason), REFERENCES (reason) ON override_sets TO {role}",
    )
    run(as_role(url, ROLE), f"GRANT DELETE ON audit_entries TO {quoted(OTHER)}")
    done = migrate(url, ROLE)
    assert (done.code, done.out.splitlines()[-1]) == (0, f"The role {ROLE!r} may serve it.")
    assert privileges(url, ROLE) == before
    assert privileges(url, OTHER) == {}


def refused(url: str, role: str) -> str:
    """The one line that says why a role can't be the app role."""
    done = migrate(url, role)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done
    return done.err


def test_migrate__for_a_role_that_has_more_by_another_way__is_refused_and_grants_nothing(url: str) -> None:
    run(url, "GRANT DELETE ON beads TO PUBLIC")
    try:
        assert "DELETE on beads" in refused(url, OTHER)
        assert "DELETE on beads" in refused(url, ROLE)
    finally:
        run(url, "REVOKE DELETE ON beads FROM PUBLIC")
    assert privileges(url, OTHER) == {}


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        ("ALTER ROLE {other} SUPERUSER; -- ALTER ROLE {other} NOSUPERUSER", "is a superuser"),
        ("GRANT {owner} TO {other}; -- REVOKE {owner} FROM {other}", "is a member of"),
        ("ALTER TABLE beads OWNER TO {other}; -- ALTER TABLE beads OWNER TO {owner}", "owns the tables"),
    ],
    ids=["superuser", "member of the owner", "owner"],
)
def test_migrate__for_a_role_above_the_guards__is_refused(url: str, attribute: str, reason: str) -> None:
    names = {"other": quoted(OTHER), "owner": quoted(make_url(url).username or "postgres")}
    given, taken = attribute.format_map(names).split("; -- ")
    run(url, given)
    try:
        assert reason in refused(url, OTHER)
    finally:
        run(url, taken)
    assert privileges(url, OTHER) == {}


@pytest.mark.parametrize("role", ["nobody_of_that_name", "x" * 300, "new\nline", "\udcff"])
def test_migrate__for_a_role_that_is_not_there__is_refused(url: str, role: str) -> None:
    assert "there is no role" in refused(url, role)


@pytest.mark.parametrize("role", ["", "  "])
def test_migrate__for_a_blank_role__is_refused(url: str, role: str) -> None:
    assert "not blank" in refused(url, role)


@pytest.mark.usefixtures("url")  # which makes the role
def test_migrate__for_a_role_on_an_empty_database__leaves_it_empty_if_refused_and_serves_if_not(
    backend: str, databases: Databases
) -> None:
    empty = databases.empty(backend)
    assert "there is no role" in refused(empty, "nobody_of_that_name")
    assert state(empty, "SELECT 1 FROM alembic_version") == "42P01"
    assert migrate(empty, ROLE).code == 0
    with serving(as_role(empty, ROLE)) as api:
        populate(api)
    run(empty, f"DROP OWNED BY {quoted(ROLE)}")


@pytest.mark.usefixtures("backend")
def test_migrate__for_a_role_on_sqlite__is_refused(databases: Databases) -> None:
    assert "SQLite knows no roles" in refused(databases.empty("sqlite"), ROLE)
