"""Column types that mean the same on SQLite and PostgreSQL, and the naming of constraints."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# The record and what it explains: tables that the service only inserts into, and that the database keeps so.
APPEND_ONLY: Final = (
    "audit_entries",
    "bead_revisions",
    "mayor_observations",
    "override_sets",
    "overrides",
    "profile_rules",
    "profile_versions",
)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime to the microsecond. SQLite holds it as text of fixed width, which sorts by time."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # the base class names it
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Key(TypeDecorator[str]):
    """Text that is compared and ordered by its bytes on both databases, whatever the locale of the server."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return Text(collation="C") if dialect.name == "postgresql" else Text()


class Word(TypeDecorator[StrEnum]):
    """A member of a closed vocabulary, stored as its value: readable, and no type to migrate when it grows."""

    impl = Text
    cache_ok = True
    words: type[StrEnum]

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:  # noqa: ARG002  # the base class names it
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:  # noqa: ARG002  # the base class names it
        return None if value is None else self.words(value)


def word(words: type[StrEnum]) -> type[TypeDecorator[StrEnum]]:
    """The column type for members of `words`."""
    return type(f"{words.__name__}Word", (Word,), {"words": words, "cache_ok": True})
