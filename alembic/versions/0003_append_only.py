"""The database itself refuses to change or take away what is only ever inserted.

Revision: 0003, after: 0002

A migration runs in one transaction on both databases. On PostgreSQL it waits at most ten seconds for a lock. On SQLite
batch mode rebuilds tables and drops their triggers on the way: make them again in the same migration.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEYS = {
    "audit_entries": ("chain", "sequence"),
    "bead_revisions": ("town_id", "bead_id", "revision"),
    "mayor_observations": ("town_id", "sequence"),
    "override_sets": ("town_id", "version"),
    "overrides": ("town_id", "version", "key"),
    "profile_rules": ("owner", "name", "version", "key"),
    "profile_versions": ("owner", "name", "version"),
}

# The state is of a class of our own: in one that the service knows, it would run the work anew or call it an outage.
# ALWAYS, as a trigger that fires on the origin only is silent where session_replication_role is replica.
POSTGRESQL_FUNCTION = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'TC001',
        MESSAGE = format('%s is append-only: %s is refused', TG_TABLE_NAME, TG_OP);
END
$$
"""
POSTGRESQL = (
    "CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER append_only_table BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    "ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only_row",
    "ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only_table",
)

# A REPLACE deletes without a DELETE trigger, so it has to be stopped before: by the key, and by the rowid. One that is
# not given reads as -1 before the insert; were there a row with that one, every insert would be refused.
SQLITE = (
    """
    CREATE TRIGGER {table}_update BEFORE UPDATE ON {table}
    BEGIN SELECT RAISE(ABORT, '{table} is append-only: UPDATE is refused'); END
    """,
    """
    CREATE TRIGGER {table}_delete BEFORE DELETE ON {table}
    BEGIN SELECT RAISE(ABORT, '{table} is append-only: DELETE is refused'); END
    """,
    """
    CREATE TRIGGER {table}_replace BEFORE INSERT ON {table}
    WHEN EXISTS (SELECT 1 FROM {table} WHERE {same_key})
      OR EXISTS (SELECT 1 FROM {table} WHERE rowid = NEW.rowid)
    BEGIN SELECT RAISE(ABORT, '{table} is append-only: this row is there already'); END
    """,
    """
    CREATE TRIGGER {table}_rowid AFTER INSERT ON {table} WHEN NEW.rowid < 1
    BEGIN SELECT RAISE(ABORT, '{table} is append-only: a rowid below 1 is refused'); END
    """,
)


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    if is_postgresql:
        op.execute(POSTGRESQL_FUNCTION)
    for table, key in KEYS.items():
        same_key = " AND ".join(f"{column} = NEW.{column}" for column in key)
        for statement in POSTGRESQL if is_postgresql else SQLITE:
            op.execute(statement.format(table=table, same_key=same_key))


def downgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for table in KEYS:
        if is_postgresql:
            op.execute(f"DROP TRIGGER append_only_row ON {table}")
            op.execute(f"DROP TRIGGER append_only_table ON {table}")
        else:
            for event in ("update", "delete", "replace", "rowid"):
                op.execute(f"DROP TRIGGER {table}_{event}")
    if is_postgresql:
        op.execute("DROP FUNCTION refuse_change()")
