"""Tables: the model catalogue, profiles and their versions, override sets and their rules."""

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index, Text
from sqlmodel import Field, SQLModel

from models.domain.vocabulary import OverrideSetCause
from models.store.base import Instant, Key, word
from models.store.towns import RoleWord


class ModelRow(SQLModel, table=True):
    __tablename__ = "models"

    model_id: str = Field(primary_key=True, sa_type=Key)
    display_name: str = Field(sa_type=Text)
    deprecated_at: datetime | None = Field(default=None, sa_type=Instant)
    replaced_by: str | None = Field(default=None, sa_type=Key)


class ProfileRow(SQLModel, table=True):
    """A profile, by its owner: a town's id, or `CENTRAL_CHAIN`. `version` is the latest."""

    __tablename__ = "profiles"

    owner: str = Field(primary_key=True, sa_type=Key)
    name: str = Field(primary_key=True, sa_type=Key)
    title: str = Field(sa_type=Text)
    version: int


class ProfileVersionRow(SQLModel, table=True):
    """One version of a profile. Only ever inserted. Who published it and in which request goes on to its rollout."""

    __tablename__ = "profile_versions"
    __table_args__ = (ForeignKeyConstraint(["owner", "name"], ["profiles.owner", "profiles.name"]),)

    owner: str = Field(primary_key=True, sa_type=Key)
    name: str = Field(primary_key=True, sa_type=Key)
    version: int = Field(primary_key=True)
    small_model: str = Field(sa_type=Text)
    content_hash: str = Field(sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    published_at: datetime = Field(sa_type=Instant)
    actor_id: str = Field(sa_type=Key)
    on_behalf_of: str | None = Field(default=None, sa_type=Key)
    credential_id: str | None = Field(default=None, sa_type=Text)
    request_id: str = Field(sa_type=Text)


class RuleColumns(SQLModel):
    """The parts of a rule's key that every table knows, and its model."""

    role: str | None = Field(default=None, sa_type=RoleWord)
    label: str | None = Field(default=None, sa_type=Text)
    model: str = Field(sa_type=Text)


class ProfileRuleRow(RuleColumns, table=True):
    """One rule of a profile's version. Only ever inserted."""

    __tablename__ = "profile_rules"
    __table_args__ = (
        ForeignKeyConstraint(
            ["owner", "name", "version"],
            ["profile_versions.owner", "profile_versions.name", "profile_versions.version"],
        ),
    )

    owner: str = Field(primary_key=True, sa_type=Key)
    name: str = Field(primary_key=True, sa_type=Key)
    version: int = Field(primary_key=True)
    key: str = Field(primary_key=True, sa_type=Key)


class OverrideSetRow(SQLModel, table=True):
    """One version of a town's choices. Only ever inserted."""

    __tablename__ = "override_sets"
    __table_args__ = (
        ForeignKeyConstraint(
            ["profile_owner", "profile_name", "profile_version"],
            ["profile_versions.owner", "profile_versions.name", "profile_versions.version"],
        ),
        Index("ix_override_sets_town_id_created_at", "town_id", "created_at"),
    )

    town_id: str = Field(primary_key=True, sa_type=Key, foreign_key="towns.town_id")
    version: int = Field(primary_key=True)
    profile_owner: str = Field(sa_type=Key)
    profile_name: str = Field(sa_type=Key)
    profile_version: int
    honor_bead_models: bool
    content_hash: str = Field(sa_type=Text)
    cause: OverrideSetCause = Field(sa_type=word(OverrideSetCause))
    revert_of: int | None = None
    reason: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=Instant)
    actor_id: str = Field(sa_type=Key)
    on_behalf_of: str | None = Field(default=None, sa_type=Key)


class OverrideRow(RuleColumns, table=True):
    """One rule of an override set. Only ever inserted."""

    __tablename__ = "overrides"
    __table_args__ = (ForeignKeyConstraint(["town_id", "version"], ["override_sets.town_id", "override_sets.version"]),)

    town_id: str = Field(primary_key=True, sa_type=Key)
    version: int = Field(primary_key=True)
    key: str = Field(primary_key=True, sa_type=Key)
    rig_id: str | None = Field(default=None, sa_type=Key)
    profile_model_when_set: str | None = Field(default=None, sa_type=Text)
    set_at: datetime = Field(sa_type=Instant)
    actor_id: str = Field(sa_type=Key)
    on_behalf_of: str | None = Field(default=None, sa_type=Key)
