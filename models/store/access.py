"""Tables: who acts, and what came of requests that carried an idempotency key."""

from datetime import datetime

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from models.store.base import Instant, Key


class ActorRow(SQLModel, table=True):
    """The name behind an actor's opaque id, kept apart from the record so that a person can be erased from it."""

    __tablename__ = "actors"

    actor_id: str = Field(primary_key=True, sa_type=Key)
    display_name: str = Field(sa_type=Text)


class IdempotencyRow(SQLModel, table=True):
    """Which versions a request made: `outcome` is JSON, written in the change's own transaction."""

    __tablename__ = "idempotency_results"

    actor_id: str = Field(primary_key=True, sa_type=Key)
    key: str = Field(primary_key=True, sa_type=Key)
    body_hash: str = Field(sa_type=Text)
    outcome: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=Instant)
