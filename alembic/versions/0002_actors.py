"""Names of people apart from their ids, to be erased when need be.

Revision: 0002, after: 0001

A migration runs in one transaction on both databases. On PostgreSQL it waits at most ten seconds for a lock. On SQLite
batch mode rebuilds tables and drops their triggers on the way: make them again in the same migration.
"""

import sqlalchemy as sa
from alembic import op

INSTANT = sa.DateTime().with_variant(sa.DateTime(timezone=True), "postgresql")

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("actors") as actors:
        actors.alter_column("display_name", existing_type=sa.Text(), nullable=True)
        actors.add_column(sa.Column("forgotten_at", INSTANT, nullable=True))
    # Ids were names until now, so one may be the name of another actor. Its row says the same without a name.
    op.execute(
        "UPDATE actors SET display_name = NULL WHERE display_name = actor_id AND EXISTS ("
        "SELECT 1 FROM actors AS others"
        " WHERE others.display_name = actors.display_name AND others.actor_id <> actors.actor_id)"
    )
    op.create_index("uq_actors_display_name", "actors", ["display_name"], unique=True)


def downgrade() -> None:
    op.drop_index("uq_actors_display_name", table_name="actors")
    op.execute("UPDATE actors SET display_name = actor_id WHERE display_name IS NULL")  # what was erased stays so
    with op.batch_alter_table("actors") as actors:
        actors.drop_column("forgotten_at")
        actors.alter_column("display_name", existing_type=sa.Text(), nullable=False)
