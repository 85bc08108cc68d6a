"""Indexes by which a page of audit entries is found at the same cost whatever it is narrowed by.

Revision: 0004, after: 0003

A migration runs in one transaction on both databases. On PostgreSQL it waits at most ten seconds for a lock. On SQLite
batch mode rebuilds tables and drops their triggers on the way: make them again in the same migration.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_audit_entries_chain_action_sequence": ["chain", "action", "sequence"],
    "ix_audit_entries_chain_actor_id_action_sequence": ["chain", "actor_id", "action", "sequence"],
    "ix_audit_entries_chain_occurred_at": ["chain", "occurred_at"],
    "ix_audit_entries_chain_request_id_sequence": ["chain", "request_id", "sequence"],
    "ix_audit_entries_chain_target_id_action_sequence": ["chain", "target_id", "action", "sequence"],
}


def upgrade() -> None:
    for name, columns in INDEXES.items():
        op.create_index(name, "audit_entries", columns, unique=False)


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, table_name="audit_entries")
