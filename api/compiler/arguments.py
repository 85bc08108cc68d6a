"""The arguments of a compiled operation, read from variables."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final, NamedTuple

import strawberry
from graphql import (
    GraphQLError,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLType,
    get_argument_values,
    get_variable_values,
)
from graphql.language import (
    FieldNode,
    NamedTypeNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    TypeNode,
    VariableNode,
)
from strawberry.types.arguments import convert_arguments

from api.compiler.reading import Bail, strawberry_field

_LONGEST: Final = 500  # characters of variables, as JSON, whose arguments are remembered
_MOST: Final = 1000  # of those, of all operations
_TEXTS: Final = frozenset({"ID", "String"})

Variables = Mapping[str, Any]


class Call(NamedTuple):
    """A field of the root that is asked for: its name in the schema, and what its resolver would be given."""

    field: str
    arguments: dict[str, Any]


class Asked(NamedTuple):
    """A field of the root as a document asks for it."""

    name: str
    definition: GraphQLField
    node: FieldNode


def calls_of(
    schema: strawberry.Schema, operation: OperationDefinitionNode, asked: Sequence[Asked]
) -> Callable[[Variables], list[Call]]:
    """What reads the arguments of the root's fields from variables."""
    texts = _text_variables(operation)
    plain = [_plain_arguments(each) for each in asked]
    wanted = [(each.name, names) for each, names in zip(asked, plain, strict=True) if names is not None]
    if texts is None or len(wanted) < len(asked):
        return _by_coercion(schema, operation, asked)

    # Of the document it holds nothing but names, as literals.
    lines = ["def calls(variables):"]
    for number, (name, is_list) in enumerate(texts):
        test = f"type(v{number}) is not list or not TEXT.issuperset(map(type, v{number}))"
        lines += [
            f" v{number} = variables.get({name!r})",
            f" if {test if is_list else f'type(v{number}) is not str'}: raise Bail",
        ]
    numbers = {name: number for number, (name, _) in enumerate(texts)}
    made = [
        f"Call({field!r}, {{{', '.join(f'{argument!r}: v{numbers[name]}' for argument, name in names)}}})"
        for field, names in wanted
    ]
    lines.append(f" return [{', '.join(made)}]")
    scope: dict[str, Any] = {"Call": Call, "Bail": Bail, "TEXT": frozenset({str})}
    exec(compile("\n".join(lines), "<compiled arguments>", "exec"), scope)  # noqa: S102  # as dataclasses are made
    calls: Callable[[Variables], list[Call]] = scope["calls"]
    return calls


def _text_variables(operation: OperationDefinitionNode) -> list[tuple[str, bool]] | None:
    """The variables that are no conditions, and whether each is a list; None where any is not simply text."""
    found = []
    for each in operation.variable_definitions or ():
        named = named_type(each.type)
        if each.default_value is not None or named is None:
            return None
        kind, is_list = named
        if kind in _TEXTS:
            found.append((each.variable.name.value, is_list))
        elif named != ("Boolean", False):
            return None
    return found


def named_type(node: TypeNode) -> tuple[str, bool] | None:
    """The name in `Name!`, with False, and in `[Name!]!`, with True; None for any other type."""
    if not isinstance(node, NonNullTypeNode):
        return None
    inner = node.type
    if isinstance(inner, NamedTypeNode):
        return inner.name.value, False
    if isinstance(inner.type, NonNullTypeNode):  # a list
        item = inner.type.type
        return (item.name.value, True) if isinstance(item, NamedTypeNode) else None
    return None


def _plain_arguments(asked: Asked) -> list[tuple[str, str]] | None:
    """The Python names of a field's arguments, with the variables that stand for them.

    None where one is anything but text from a variable, or has a default that is not overridden.
    """
    given = {each.name.value: each.value for each in asked.node.arguments or ()}
    python_names = dict(zip(asked.definition.args, strawberry_field(asked.definition).arguments, strict=True))
    found = []
    for name, definition in asked.definition.args.items():
        value = given.get(name)
        if isinstance(value, VariableNode) and _is_text(definition.type):
            found.append((python_names[name].python_name, value.name.value))
        elif value is not None or definition.default is not None:
            return None
    return found


def _is_text(kind: GraphQLType) -> bool:
    while isinstance(kind, GraphQLNonNull | GraphQLList):
        kind = kind.of_type
    return getattr(kind, "name", None) in _TEXTS


_REMEMBERED: Final[dict[tuple[int, str], list[Call]]] = {}  # by numbers, as functions keep documents
_NUMBERS: Final = count()


def _by_coercion(
    schema: strawberry.Schema, operation: OperationDefinitionNode, asked: Sequence[Asked]
) -> Callable[[Variables], list[Call]]:
    """As an executor reads them, and Strawberry after it: literals, defaults, inputs, enums.

    What was read of short variables is remembered: dispatchers ask about the same few kinds of work all day.
    """
    scalars, config = schema.schema_converter.scalar_registry, schema.config
    number = next(_NUMBERS)

    def calls(variables: Variables) -> list[Call]:
        spelling = json.dumps(variables, sort_keys=True)
        if len(spelling) > _LONGEST:
            return coerced(variables)
        found = _REMEMBERED.get((number, spelling))
        if found is None:
            if len(_REMEMBERED) >= _MOST:
                _REMEMBERED.clear()
            found = _REMEMBERED[number, spelling] = coerced(variables)
        return found

    def coerced(variables: Variables) -> list[Call]:
        core = schema._schema  # noqa: SLF001  # it has no other way to its types
        values = get_variable_values(core, operation.variable_definitions or (), dict(variables))
        if isinstance(values, list):
            raise Bail
        calls = []
        for name, definition, node in asked:
            try:
                given = get_argument_values(definition, node, values)
            except GraphQLError as error:
                raise Bail from error
            arguments = convert_arguments(given, strawberry_field(definition).arguments, scalars, config)
            calls.append(Call(name, arguments))
        return calls

    return calls
