"""Tables: what mayors were seen to run on, and the signals that they must restart."""

from datetime import datetime

from sqlalchemy import Index, Text, text
from sqlmodel import Field, SQLModel

from models.domain.mayor import SignalCause, SignalClosure
from models.store.base import Instant, Key, word


class MayorObservationRow(SQLModel, table=True):
    """A pair that the host reported, where it differed from the one before. Only ever inserted."""

    __tablename__ = "mayor_observations"

    town_id: str = Field(primary_key=True, sa_type=Key, foreign_key="towns.town_id")
    sequence: int = Field(primary_key=True)
    model: str = Field(sa_type=Text)
    small_model: str = Field(sa_type=Text)
    observed_at: datetime = Field(sa_type=Instant)


class MayorSignalRow(SQLModel, table=True):
    """A restart signal; open while `closed_at` is None, which one at most is in a town."""

    __tablename__ = "mayor_signals"
    __table_args__ = (
        Index(
            "uq_mayor_signals_open",
            "town_id",
            unique=True,
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
    )

    town_id: str = Field(primary_key=True, sa_type=Key, foreign_key="towns.town_id")
    sequence: int = Field(primary_key=True)
    before_model: str = Field(sa_type=Text)
    before_small_model: str = Field(sa_type=Text)
    after_model: str = Field(sa_type=Text)
    after_small_model: str = Field(sa_type=Text)
    cause: SignalCause = Field(sa_type=word(SignalCause))
    override_set_version: int
    raised_at: datetime = Field(sa_type=Instant)
    closed_at: datetime | None = Field(default=None, sa_type=Instant)
    closed_because: SignalClosure | None = Field(default=None, sa_type=word(SignalClosure))
