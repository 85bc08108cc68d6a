"""Tables: who acts, by which tokens, and what came of requests that carried an idempotency key."""

from datetime import datetime

from sqlalchemy import Index, Text
from sqlmodel import Field, SQLModel

from models.store.base import Instant, Key


class ActorRow(SQLModel, table=True):
    """The name behind an actor's opaque id, kept apart from the record so that a person can be erased from it.

    Without a name the id stands for itself, or the name was erased at `forgotten_at`.
    """

    __tablename__ = "actors"
    __table_args__ = (Index("uq_actors_display_name", "display_name", unique=True),)

    actor_id: str = Field(primary_key=True, sa_type=Key)
    display_name: str | None = Field(default=None, sa_type=Text)
    forgotten_at: datetime | None = Field(default=None, sa_type=Instant)


class TokenRow(SQLModel, table=True):
    """An API token. `scopes` and `towns` are JSON arrays of strings, ascending; no towns are all of them.

    `last_used_at` is coarse, and no part of the record.
    """

    __tablename__ = "tokens"

    token_id: str = Field(primary_key=True, sa_type=Key)
    actor_id: str = Field(sa_type=Key)
    scopes: str = Field(sa_type=Text)
    towns: str | None = Field(default=None, sa_type=Text)
    may_act_for: bool
    secret_hash: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=Instant)
    expires_at: datetime | None = Field(default=None, sa_type=Instant)
    revoked_at: datetime | None = Field(default=None, sa_type=Instant)
    last_used_at: datetime | None = Field(default=None, sa_type=Instant)


class IdempotencyRow(SQLModel, table=True):
    """Which versions a request made: `outcome` is JSON, written in the change's own transaction.

    `actor_id` is whose key it is; where a client acts for someone, ``CLIENT/PERSON``.
    """

    __tablename__ = "idempotency_results"

    actor_id: str = Field(primary_key=True, sa_type=Key)
    key: str = Field(primary_key=True, sa_type=Key)
    body_hash: str = Field(sa_type=Text)
    outcome: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=Instant)
