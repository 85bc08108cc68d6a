"""The first tables.

Revision: 0001, after: none

A migration runs in one transaction on both databases. On PostgreSQL it waits at most ten seconds for a lock. On SQLite
batch mode rebuilds tables and drops their triggers on the way: make them again in the same migration.
"""

import sqlalchemy as sa
from alembic import op

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.DateTime().with_variant(sa.DateTime(timezone=True), "postgresql")

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "actors",
        sa.Column("actor_id", KEY, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("actor_id", name=op.f("pk_actors")),
    )
    op.create_table(
        "audit_entries",
        sa.Column("chain", KEY, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("occurred_at", INSTANT, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor_id", KEY, nullable=False),
        sa.Column("target_type", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("canonical", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "sequence", name=op.f("pk_audit_entries")),
    )
    op.create_table(
        "heads",
        sa.Column("chain", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("instant", INSTANT, nullable=False),
        sa.Column("audit_sequence", sa.Integer(), nullable=False),
        sa.Column("audit_hash", sa.Text(), nullable=False),
        sa.Column("signal_sequence", sa.Integer(), nullable=False),
        sa.Column("observation_sequence", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_heads")),
    )
    op.create_table(
        "idempotency_results",
        sa.Column("actor_id", KEY, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("actor_id", "key", name=op.f("pk_idempotency_results")),
    )
    op.create_table(
        "models",
        sa.Column("model_id", KEY, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("deprecated_at", INSTANT, nullable=True),
        sa.Column("replaced_by", KEY, nullable=True),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_models")),
    )
    op.create_table(
        "profiles",
        sa.Column("owner", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "name", name=op.f("pk_profiles")),
    )
    op.create_table(
        "towns",
        sa.Column("town_id", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("search_name", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("town_id", name=op.f("pk_towns")),
    )
    op.create_table(
        "bead_revisions",
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("rig_id", KEY, nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("signature", KEY, nullable=False),
        sa.Column("town_id", KEY, nullable=False),
        sa.Column("bead_id", KEY, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor_id", KEY, nullable=False),
        sa.Column("on_behalf_of", KEY, nullable=True),
        sa.ForeignKeyConstraint(["town_id"], ["towns.town_id"], name=op.f("fk_bead_revisions_town_id")),
        sa.PrimaryKeyConstraint("town_id", "bead_id", "revision", name=op.f("pk_bead_revisions")),
    )
    op.create_table(
        "beads",
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("rig_id", KEY, nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("signature", KEY, nullable=False),
        sa.Column("town_id", KEY, nullable=False),
        sa.Column("bead_id", KEY, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("search_title", sa.Text(), nullable=False),
        sa.Column("effective_role", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["town_id"], ["towns.town_id"], name=op.f("fk_beads_town_id")),
        sa.PrimaryKeyConstraint("town_id", "bead_id", name=op.f("pk_beads")),
    )
    op.create_index("ix_beads_bead_id", "beads", ["bead_id"], unique=True)
    op.create_index(
        "ix_beads_town_id_active_signature_bead_id",
        "beads",
        ["town_id", "active", "signature", "bead_id"],
        unique=False,
    )

    op.create_table(
        "mayor_observations",
        sa.Column("town_id", KEY, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("small_model", sa.Text(), nullable=False),
        sa.Column("observed_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["town_id"], ["towns.town_id"], name=op.f("fk_mayor_observations_town_id")),
        sa.PrimaryKeyConstraint("town_id", "sequence", name=op.f("pk_mayor_observations")),
    )
    op.create_table(
        "mayor_signals",
        sa.Column("town_id", KEY, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("before_model", sa.Text(), nullable=False),
        sa.Column("before_small_model", sa.Text(), nullable=False),
        sa.Column("after_model", sa.Text(), nullable=False),
        sa.Column("after_small_model", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("override_set_version", sa.Integer(), nullable=False),
        sa.Column("raised_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.Column("closed_because", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["town_id"], ["towns.town_id"], name=op.f("fk_mayor_signals_town_id")),
        sa.PrimaryKeyConstraint("town_id", "sequence", name=op.f("pk_mayor_signals")),
    )
    op.create_index(
        "uq_mayor_signals_open",
        "mayor_signals",
        ["town_id"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )

    op.create_table(
        "profile_versions",
        sa.Column("owner", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("small_model", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("published_at", INSTANT, nullable=False),
        sa.Column("actor_id", KEY, nullable=False),
        sa.Column("on_behalf_of", KEY, nullable=True),
        sa.Column("credential_id", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner", "name"], ["profiles.owner", "profiles.name"], name=op.f("fk_profile_versions_owner_name")
        ),
        sa.PrimaryKeyConstraint("owner", "name", "version", name=op.f("pk_profile_versions")),
    )
    op.create_table(
        "rigs",
        sa.Column("town_id", KEY, nullable=False),
        sa.Column("rig_id", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("registered_at", INSTANT, nullable=False),
        sa.Column("removed_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["town_id"], ["towns.town_id"], name=op.f("fk_rigs_town_id")),
        sa.PrimaryKeyConstraint("town_id", "rig_id", name=op.f("pk_rigs")),
    )
    op.create_table(
        "override_sets",
        sa.Column("town_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("profile_owner", KEY, nullable=False),
        sa.Column("profile_name", KEY, nullable=False),
        sa.Column("profile_version", sa.Integer(), nullable=False),
        sa.Column("honor_bead_models", sa.Boolean(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("revert_of", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("actor_id", KEY, nullable=False),
        sa.Column("on_behalf_of", KEY, nullable=True),
        sa.ForeignKeyConstraint(
            ["profile_owner", "profile_name", "profile_version"],
            ["profile_versions.owner", "profile_versions.name", "profile_versions.version"],
            name=op.f("fk_override_sets_profile_owner_profile_name_profile_version"),
        ),
        sa.ForeignKeyConstraint(["town_id"], ["towns.town_id"], name=op.f("fk_override_sets_town_id")),
        sa.PrimaryKeyConstraint("town_id", "version", name=op.f("pk_override_sets")),
    )
    op.create_index("ix_override_sets_town_id_created_at", "override_sets", ["town_id", "created_at"], unique=False)

    op.create_table(
        "profile_rules",
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("owner", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["owner", "name", "version"],
            ["profile_versions.owner", "profile_versions.name", "profile_versions.version"],
            name=op.f("fk_profile_rules_owner_name_version"),
        ),
        sa.PrimaryKeyConstraint("owner", "name", "version", "key", name=op.f("pk_profile_rules")),
    )
    op.create_table(
        "overrides",
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("town_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("rig_id", KEY, nullable=True),
        sa.Column("profile_model_when_set", sa.Text(), nullable=True),
        sa.Column("set_at", INSTANT, nullable=False),
        sa.Column("actor_id", KEY, nullable=False),
        sa.Column("on_behalf_of", KEY, nullable=True),
        sa.ForeignKeyConstraint(
            ["town_id", "version"],
            ["override_sets.town_id", "override_sets.version"],
            name=op.f("fk_overrides_town_id_version"),
        ),
        sa.PrimaryKeyConstraint("town_id", "version", "key", name=op.f("pk_overrides")),
    )


def downgrade() -> None:
    op.drop_table("overrides")
    op.drop_table("profile_rules")
    op.drop_index("ix_override_sets_town_id_created_at", table_name="override_sets")

    op.drop_table("override_sets")
    op.drop_table("rigs")
    op.drop_table("profile_versions")
    op.drop_index("uq_mayor_signals_open", table_name="mayor_signals")

    op.drop_table("mayor_signals")
    op.drop_table("mayor_observations")
    op.drop_index("ix_beads_town_id_active_signature_bead_id", table_name="beads")
    op.drop_index("ix_beads_bead_id", table_name="beads")

    op.drop_table("beads")
    op.drop_table("bead_revisions")
    op.drop_table("towns")
    op.drop_table("profiles")
    op.drop_table("models")
    op.drop_table("idempotency_results")
    op.drop_table("heads")
    op.drop_table("audit_entries")
    op.drop_table("actors")
