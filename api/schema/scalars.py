"""The contract's scalars."""

import re
from datetime import UTC, datetime
from typing import Final, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from models.domain.audit import instant_text
from models.domain.errors import Code

ModelId = NewType("ModelId", str)
Label = NewType("Label", str)

_INSTANT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}([.,]\d{1,6})?)?(Z|[+-]\d{2}:\d{2})", re.ASCII | re.IGNORECASE
)


def parse_instant(value: object) -> datetime:
    """An aware UTC datetime from ISO 8601 text. Raises `GraphQLError` where it is none or leaves the zone open."""
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper().replace(",", ".")).astimezone(UTC)
        except (ValueError, OverflowError):
            pass  # a 13th month, or a zone that leads out of the calendar
    shown = value[:80] if isinstance(value, str) else type(value).__name__
    raise _wrong(
        f"DateTime must be ISO 8601 with a time zone and at most microseconds, like 2026-11-23T09:30:00Z, not: {shown}"
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong(f"must be a string, not {type(value).__name__}")
    return value


def _wrong(message: str) -> GraphQLError:
    """An error that says INVALID_INPUT, whether the value stood in the document or among the variables."""
    return GraphQLError(message, extensions={"code": Code.INVALID_INPUT.value})


SCALARS: Final[dict[object, ScalarDefinition]] = {
    ModelId: strawberry.scalar(
        name="ModelId",
        description="An opaque model id, as the gateway knows it: `anthropic/claude-sonnet-4.6`.",
        serialize=str,
        parse_value=_text,
    ),
    Label: strawberry.scalar(name="Label", description="A known gt:* label.", serialize=str, parse_value=_text),
    datetime: strawberry.scalar(
        name="DateTime",
        description="ISO 8601 instant in UTC, microseconds at most: `2026-11-23T09:30:00.000000Z`.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=instant_text,
        parse_value=parse_instant,
    ),
}
