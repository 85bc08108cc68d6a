"""Fields whose descriptions in the SDL are their resolvers' docstrings: one text, read in both places."""

import functools
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar, cast

import strawberry

from api.compiler import READER
from api.schema.context import Info
from models.domain.permissions import Need, require

F = TypeVar("F", bound=Callable[..., Any])

NEED: Final = "need"  # under which a field's metadata hold what it takes
MADE_ONCE: Final = "made_once"  # an attribute of resolvers that make nothing twice for a request


def field(resolver: F) -> F:
    """A field of a type, resolved by the method it decorates, that takes no more than what it is a field of."""
    return cast("F", strawberry.field(resolver=resolver, description=_description(resolver)))


def field_read_by(reader: Callable[[Any], Any]) -> Callable[[F], F]:
    """A field that compiled operations read by `reader`, a function of what it is a field of."""

    def read(resolver: F) -> F:
        made = strawberry.field(resolver=resolver, description=_description(resolver), metadata={READER: reader})
        return cast("F", made)

    return read


def field_for(need: Need) -> Callable[[F], F]:
    """A field that takes a credential of its own kind; every field of a root is one, whatever it is made by."""
    return partial(_guarded, strawberry.field, need)


def mutation(need: Need) -> Callable[[F], F]:
    """A field of the root of mutations, whose resolver is never run twice for one request."""

    def made(resolver: F) -> F:
        if not getattr(resolver, MADE_ONCE, False):
            raise TypeError(f"{resolver.__qualname__} has to stand under answers")
        return _guarded(strawberry.mutation, need, resolver)

    return made


def subscription(need: Need) -> Callable[[F], F]:
    """A field of the root of subscriptions."""
    return partial(_guarded, strawberry.subscription, need)


def field_named(name: str) -> Callable[[F], F]:
    """A field whose name can't be a method's."""

    def named(resolver: F) -> F:
        return cast("F", strawberry.field(resolver=resolver, name=name, description=_description(resolver)))

    return named


def _guarded(make: Callable[..., Any], need: Need, resolver: F) -> F:
    """A field whose resolver is not called for those who lack what it takes."""
    if "info" not in inspect.signature(resolver).parameters:
        raise TypeError(f"{resolver.__qualname__} has to take info: it tells whose request it is")

    @functools.wraps(resolver)
    def checked(*args: Any, **kwargs: Any) -> Any:
        info: Info = kwargs["info"]
        require(info.context.asker.grant, need)
        return resolver(*args, **kwargs)

    return cast("F", make(resolver=checked, description=_description(resolver), metadata={NEED: need}))


def _description(resolver: Callable[..., Any]) -> str | None:
    text = inspect.getdoc(resolver)
    return None if text is None else " ".join(text.split())
