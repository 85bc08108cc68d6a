"""An index by which a bead's state at an instant is found at the same cost however many revisions it has.

Revision: 0005, after: 0004

A migration runs in one transaction on both databases. On PostgreSQL it waits at most ten seconds for a lock. On SQLite
batch mode rebuilds tables and drops their triggers on the way: make them again in the same migration.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEX = "ix_bead_revisions_town_id_bead_id_at"


def upgrade() -> None:
    op.create_index(INDEX, "bead_revisions", ["town_id", "bead_id", "at"], unique=False)


def downgrade() -> None:
    op.drop_index(INDEX, table_name="bead_revisions")
