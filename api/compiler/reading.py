"""How a field of a compiled operation is read from its parent."""

import inspect
from collections.abc import Callable
from typing import Any, Final, cast

from graphql import GraphQLField
from strawberry.types.field import StrawberryField

READER: Final = "reader"  # in a field's metadata: a function of the parent that gives what its resolver would give
_MADE_FROM: Final = "strawberry-definition"  # under which Strawberry leaves what it made a field from

Reader = Callable[[Any], Any]


class Bail(Exception):  # noqa: N818  # nothing is wrong: the executor answers
    """It can't be compiled, or not be answered by compiled code."""


def strawberry_field(definition: GraphQLField) -> StrawberryField:
    """What a field was made from. Raises `Bail`."""
    made_from = definition.extensions.get(_MADE_FROM)
    if not isinstance(made_from, StrawberryField):
        raise Bail
    return made_from


def reader_of(definition: GraphQLField) -> Reader | str:
    """What reads a field: a function of the parent, or the name of its attribute. Raises `Bail`."""
    made_from = strawberry_field(definition)
    named: Reader | None = made_from.metadata.get(READER)
    if named is not None:
        return named
    if made_from.extensions or made_from.permission_classes:
        raise Bail
    if made_from.base_resolver is None:
        return made_from.python_name
    resolver = cast("Reader", made_from.base_resolver.wrapped_func)
    if inspect.iscoroutinefunction(resolver) or list(inspect.signature(resolver).parameters) != ["self"]:
        raise Bail
    return resolver
