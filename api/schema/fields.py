"""Fields whose descriptions in the SDL are their resolvers' docstrings: one text, read in both places."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import strawberry

F = TypeVar("F", bound=Callable[..., Any])


def field(resolver: F) -> F:
    """A field of a type, resolved by the method it decorates."""
    return cast("F", strawberry.field(resolver=resolver, description=_description(resolver)))


def field_named(name: str) -> Callable[[F], F]:
    """A field whose name can't be a method's."""

    def named(resolver: F) -> F:
        return cast("F", strawberry.field(resolver=resolver, name=name, description=_description(resolver)))

    return named


def mutation(resolver: F) -> F:
    return cast("F", strawberry.mutation(resolver=resolver, description=_description(resolver)))


def subscription(resolver: F) -> F:
    return cast("F", strawberry.subscription(resolver=resolver, description=_description(resolver)))


def _description(resolver: Callable[..., Any]) -> str | None:
    text = inspect.getdoc(resolver)
    return None if text is None else " ".join(text.split())
