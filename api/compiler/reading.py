"""How a field of a compiled operation is read from its parent."""

import inspect
from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

from graphql import GraphQLField, GraphQLObjectType
from strawberry.types.base import StrawberryObjectDefinition
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


def class_of(kind: GraphQLObjectType) -> type:
    """The class of a type's objects. Raises `Bail`."""
    made_from = kind.extensions.get(_MADE_FROM)
    if not isinstance(made_from, StrawberryObjectDefinition) or made_from.type_var_map:
        raise Bail
    return made_from.origin


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


class Resolver(NamedTuple):
    """What resolves a field: called with its parent, `info` by that name where it takes it, and the field's arguments.

    Where it `waits`, what it gives has to be awaited.
    """

    call: Callable[..., Any]
    takes_info: bool
    waits: bool


def resolver_of(definition: GraphQLField) -> Resolver | str:
    """What resolves a field: a function, or the name of its parent's attribute. Raises `Bail`."""
    made_from = strawberry_field(definition)
    if made_from.extensions or made_from.permission_classes:
        raise Bail
    resolver = made_from.base_resolver
    if resolver is None:
        return made_from.python_name
    if resolver.self_parameter is None or resolver.parent_parameter is not None or resolver.root_parameter is not None:
        raise Bail
    if resolver.info_parameter is not None and resolver.info_parameter.name != "info":
        raise Bail
    call = cast("Callable[..., Any]", resolver.wrapped_func)
    waits = inspect.iscoroutinefunction(inspect.unwrap(call))
    return Resolver(call=call, takes_info=resolver.info_parameter is not None, waits=waits)
