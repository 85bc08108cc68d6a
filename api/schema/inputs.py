"""Inputs made of what a client sent, by readers made once: Strawberry looks at the type of each value anew."""

from collections.abc import Callable
from dataclasses import MISSING
from functools import cache
from typing import Any, Final

from graphql import GraphQLInputObjectType, GraphQLInputType, GraphQLList, GraphQLNonNull, GraphQLSchema, get_named_type
from strawberry.types.base import StrawberryMaybe, StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

Reading = Callable[[Any], Any]  # of a value that is coerced, and not null

_DEFINITION: Final = "strawberry-definition"


def read_plainly(schema: GraphQLSchema) -> None:
    """Have all inputs read by readers, but those that tell what is null from what is left out."""
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLInputObjectType) and _is_plain(kind):
            read = _input_reading(kind)
            _definition(kind).from_input = lambda _made, value, _context, read=read: read(value)


def _is_plain(kind: GraphQLInputObjectType) -> bool:
    within = [get_named_type(field.type) for field in kind.fields.values()]
    return not any(isinstance(field.type, StrawberryMaybe) for field in _definition(kind).fields) and all(
        _is_plain(each) for each in within if isinstance(each, GraphQLInputObjectType)
    )


def _reading(kind: GraphQLInputType) -> Reading | None:
    """What reads values of a type; None where they are taken as they are."""
    if isinstance(kind, GraphQLNonNull):
        return _reading(kind.of_type)
    if isinstance(kind, GraphQLList):
        read = _reading(kind.of_type)
        if read is None:
            return list  # a copy: a default is one for all requests
        return lambda items: [None if item is None else read(item) for item in items]
    return _input_reading(kind) if isinstance(kind, GraphQLInputObjectType) else None


@cache
def _input_reading(kind: GraphQLInputObjectType) -> Reading:
    """What makes inputs of their fields. Of those that are left out, and have no default, it makes nulls."""
    scope: dict[str, Any] = {"made": _definition(kind).origin}
    given = []
    for number, (name, definition) in enumerate(kind.fields.items()):
        field, item, absent = _field(definition), f"value[{name!r}]", "None"
        if (reading := _reading(definition.type)) is not None:
            scope[f"read{number}"] = reading
            item = f"None if (it := {item}) is None else read{number}(it)"
        if field.default_factory is not MISSING:
            scope[f"default{number}"], absent = field.default_factory, f"default{number}()"
        elif field.default is not MISSING:
            scope[f"default{number}"], absent = field.default, f"default{number}"
        given.append(f"{field.python_name}=({item}) if {name!r} in value else {absent}")
    # Of the schema it holds nothing but the names of fields, as literals, and those that their class has for them.
    source = f"lambda value: made({', '.join(given)})"
    read: Reading = eval(compile(source, "<compiled inputs>", "eval"), scope)  # noqa: S307  # as dataclasses are made
    return read


def _definition(kind: GraphQLInputObjectType) -> StrawberryObjectDefinition:
    found: StrawberryObjectDefinition = kind.extensions[_DEFINITION]
    return found


def _field(field: Any) -> StrawberryField:
    found: StrawberryField = field.extensions[_DEFINITION]
    return found
