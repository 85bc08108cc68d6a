"""Tables: towns, their heads, rigs, beads and the states that beads have had."""

from datetime import datetime

from sqlalchemy import Index, Text
from sqlmodel import Field, SQLModel

from models.domain.vocabulary import BeadStatus, BeadType, Role
from models.store.base import Instant, Key, word

RoleWord = word(Role)
BeadTypeWord = word(BeadType)
BeadStatusWord = word(BeadStatus)


class TownRow(SQLModel, table=True):
    """What never changes about a town; what does is in its head. `search_name` is the name, case folded."""

    __tablename__ = "towns"

    town_id: str = Field(primary_key=True, sa_type=Key)
    name: str = Field(sa_type=Text)
    search_name: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=Instant)


class HeadRow(SQLModel, table=True):
    """The moving end of a chain: a town's, or the central one's. Every writer locks it first.

    `version` is that of the override set in force (0 for the central chain), `instant` the last write's. The counters
    hand out gapless numbers under the lock.
    """

    __tablename__ = "heads"

    chain: str = Field(primary_key=True, sa_type=Key)
    version: int
    instant: datetime = Field(sa_type=Instant)
    audit_sequence: int
    audit_hash: str = Field(sa_type=Text)
    signal_sequence: int
    observation_sequence: int


class RigRow(SQLModel, table=True):
    __tablename__ = "rigs"

    town_id: str = Field(primary_key=True, sa_type=Key, foreign_key="towns.town_id")
    rig_id: str = Field(primary_key=True, sa_type=Key)
    name: str = Field(sa_type=Text)
    registered_at: datetime = Field(sa_type=Instant)
    removed_at: datetime | None = Field(default=None, sa_type=Instant)


class BeadState(SQLModel):
    """What counts for resolution. `labels` is a JSON array of strings; `signature` is `Task.signature`."""

    type: BeadType = Field(sa_type=BeadTypeWord)
    status: BeadStatus = Field(sa_type=BeadStatusWord)
    labels: str = Field(sa_type=Text)
    role: Role | None = Field(default=None, sa_type=RoleWord)
    rig_id: str | None = Field(default=None, sa_type=Key)
    model: str | None = Field(default=None, sa_type=Text)
    active: bool
    signature: str = Field(sa_type=Key)


class BeadRow(BeadState, table=True):
    """A bead as it stands now. `search_title` is the title, case folded; `revision` that of its current state."""

    __tablename__ = "beads"
    __table_args__ = (
        Index("ix_beads_bead_id", "bead_id", unique=True),
        Index("ix_beads_town_id_active_signature_bead_id", "town_id", "active", "signature", "bead_id"),
    )

    town_id: str = Field(primary_key=True, sa_type=Key, foreign_key="towns.town_id")
    bead_id: str = Field(primary_key=True, sa_type=Key)
    title: str = Field(sa_type=Text)
    search_title: str = Field(sa_type=Text)
    effective_role: Role = Field(sa_type=RoleWord)
    revision: int
    updated_at: datetime = Field(sa_type=Instant)


class BeadRevisionRow(BeadState, table=True):
    """A bead as it stood from `at` until its next revision. Only ever inserted."""

    __tablename__ = "bead_revisions"
    __table_args__ = (Index("ix_bead_revisions_town_id_bead_id_at", "town_id", "bead_id", "at"),)

    town_id: str = Field(primary_key=True, sa_type=Key, foreign_key="towns.town_id")
    bead_id: str = Field(primary_key=True, sa_type=Key)
    revision: int = Field(primary_key=True)
    at: datetime = Field(sa_type=Instant)
    actor_id: str = Field(sa_type=Key)
    on_behalf_of: str | None = Field(default=None, sa_type=Key)
