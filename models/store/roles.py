"""The app role of PostgreSQL: one that serves and does not own the tables, with the rights that serving takes."""

from typing import Final

from sqlalchemy import Connection, text
from sqlmodel import SQLModel

from models.domain.vocabulary import is_storable
from models.store import access, audit, mayor, policies, towns
from models.store.access import ActorRow, IdempotencyRow, TokenRow
from models.store.engine import Database
from models.store.mayor import MayorSignalRow
from models.store.policies import ModelRow, ProfileRow
from models.store.towns import BeadRow, HeadRow, RigRow

TABLES: Final = (access, audit, mayor, policies, towns)  # imported so that the metadata is whole
_UPDATED: Final = frozenset(  # or locked, which takes the same right; all others are only ever inserted into
    str(row.__tablename__)
    for row in (ActorRow, BeadRow, HeadRow, IdempotencyRow, MayorSignalRow, ModelRow, ProfileRow, RigRow, TokenRow)
)
_MIGRATION_STATE: Final = "alembic_version"
_PRIVILEGES: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")

_ROLE: Final = text("SELECT oid, rolsuper FROM pg_roles WHERE CAST(rolname AS text) = :role")
# Who may do as they like with the tables: their owners, that of the schema, who is migrating, and superusers.
_MASTERS: Final = text("""
    SELECT rolname FROM pg_roles AS master
    WHERE pg_has_role(CAST(:role AS oid), master.oid, 'MEMBER') AND (
        master.rolsuper OR master.rolname = current_user
        OR master.oid IN (SELECT nspowner FROM pg_namespace WHERE nspname = current_schema())
        OR master.oid IN (
            SELECT relowner FROM pg_class
            WHERE relnamespace = CAST(current_schema() AS regnamespace) AND relname = ANY(CAST(:tables AS text[]))
        )
    )
    ORDER BY rolname
    LIMIT 1
""")
_HELD: Final = text("""
    SELECT privilege FROM unnest(CAST(:privileges AS text[])) AS privilege
    WHERE has_table_privilege(CAST(:role AS oid), CAST(:table AS regclass), privilege)
""")


class UnfitRoleError(ValueError):
    """A role that can't be the app role; the message says why."""


async def check_app_role(database: Database, name: str) -> None:
    """Whether `name` can serve without being able to do more. Raises `UnfitRoleError`. Nothing is changed."""
    if database.is_sqlite:
        raise UnfitRoleError("SQLite knows no roles: --app-role is for PostgreSQL")
    if not name.strip():
        raise UnfitRoleError("--app-role takes the name of a role, which is not blank")
    async with database.reader.connect() as connection:
        await connection.run_sync(lambda sync: _fit_role(sync, name))


async def grant_to_app_role(database: Database, name: str) -> None:
    """Give the role what serving takes, and take away what else it has on our tables.

    The database has to be migrated. Raises `UnfitRoleError`, also where the role would keep more by another way.
    """
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda sync: _grant(sync, name))


def _fit_role(connection: Connection, name: str) -> int:
    """The id of a role that is fit to be the app role."""
    found = connection.execute(_ROLE, {"role": name}).one_or_none() if is_storable(name) else None
    if found is None:
        raise UnfitRoleError(f"there is no role {name!r}: create it first, as docs/postgresql.md says")
    if found.rolsuper:
        raise UnfitRoleError(f"the role {name!r} is a superuser: no trigger and no missing right would hold it")
    master = connection.execute(_MASTERS, {"role": found.oid, "tables": list(_tables())}).scalar_one_or_none()
    if master == name:
        raise UnfitRoleError(
            f"the role {name!r} owns the tables: the app role has to be another than the one that migrates"
        )
    if master is not None:
        raise UnfitRoleError(f"the role {name!r} is a member of {master}, which may do as it likes with the tables")
    oid: int = found.oid
    return oid


def _grant(connection: Connection, name: str) -> None:
    oid = _fit_role(connection, name)
    quote = connection.dialect.identifier_preparer.quote_identifier
    role, schema = quote(name), quote(connection.execute(text("SELECT current_schema()")).scalar_one())
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    for table in _tables():
        wanted = _wanted(table)
        connection.exec_driver_sql(f"REVOKE ALL ON TABLE {schema}.{quote(table)} FROM {role} CASCADE")
        connection.exec_driver_sql(f"GRANT {', '.join(wanted)} ON TABLE {schema}.{quote(table)} TO {role}")
        held = connection.execute(
            _HELD, {"privileges": list(_PRIVILEGES), "role": oid, "table": quote(table)}
        ).scalars()
        if excess := sorted(set(held) - set(wanted)):
            raise UnfitRoleError(
                f"the role {name!r} may still {', '.join(excess)} on {table}, by PUBLIC or by a role it is a member of"
            )


def _tables() -> tuple[str, ...]:
    return (*SQLModel.metadata.tables, _MIGRATION_STATE)


def _wanted(table: str) -> tuple[str, ...]:
    if table == _MIGRATION_STATE:
        return ("SELECT",)
    return ("SELECT", "INSERT", "UPDATE") if table in _UPDATED else ("SELECT", "INSERT")
