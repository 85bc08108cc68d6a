"""The arguments of a compiled operation, read from variables."""

from collections.abc import Callable, Container, Sequence
from itertools import count
from typing import Any, Final, NamedTuple, cast

import strawberry
from graphql import (
    GraphQLError,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLType,
    OperationType,
    Undefined,
    get_argument_values,
)
from graphql.execution.values import VariableValues
from graphql.language import (
    FieldNode,
    NamedTypeNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    TypeNode,
    VariableNode,
    Visitor,
    visit,
)
from graphql.utilities.coerce_input_value import coerce_default_value
from strawberry.types.arguments import InputContext, StrawberryArgument, convert_argument
from strawberry.types.base import StrawberryOptional, get_object_definition

from api.compiler.inputs import Variables, coercion_of_variables
from api.compiler.reading import Bail, strawberry_field

_LONGEST: Final = 500  # characters of variables, as Python spells them, whose arguments are remembered
_MOST: Final = 1000  # of those, of all operations
_TEXTS: Final = frozenset({"ID", "String"})
_TEXT: Final = frozenset({str})
_TESTS: Final = {  # by a type as `named_type` has it, whether a value is none of it, in Python
    **{(name, False): "type({0}) is not str" for name in _TEXTS},
    **{(name, True): "type({0}) is not list or not TEXT.issuperset(map(type, {0}))" for name in _TEXTS},
    ("Boolean", False): "type({0}) is not bool",
}


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
    known = _known_variables(operation)
    plain = [_plain_arguments(each) for each in asked]
    wanted = [(each.name, names) for each, names in zip(asked, plain, strict=True) if names is not None]
    if known is None or len(wanted) < len(asked):
        return _Coercion(schema, operation, asked).calls

    # Of the document it holds nothing but names, as literals.
    lines = ["def calls(variables):"]
    for number, (name, kind) in enumerate(known):
        lines += [f" v{number} = variables.get({name!r})", f" if {_TESTS[kind].format(f'v{number}')}: raise Bail"]
    numbers = {name: number for number, (name, _) in enumerate(known)}
    made = [
        f"Call({field!r}, {{{', '.join(f'{argument!r}: v{numbers[name]}' for argument, name in names)}}})"
        for field, names in wanted
    ]
    lines.append(f" return [{', '.join(made)}]")
    scope: dict[str, Any] = {"Call": Call, "Bail": Bail, "TEXT": _TEXT}
    exec(compile("\n".join(lines), "<compiled arguments>", "exec"), scope)  # noqa: S102  # as dataclasses are made
    calls: Callable[[Variables], list[Call]] = scope["calls"]
    return calls


def _known_variables(operation: OperationDefinitionNode) -> list[tuple[str, tuple[str, bool]]] | None:
    """The variables and their types; None where one may be anything but text, texts, or a condition."""
    found = []
    for each in operation.variable_definitions or ():
        named = named_type(each.type)
        if each.default_value is not None or named not in _TESTS:
            return None
        found.append((each.variable.name.value, named))
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


_REMEMBERED: Final[dict[tuple[int, str], list[dict[str, Any]]]] = {}  # by numbers, as what reads them keeps documents
_NUMBERS: Final = count()


class _Coercion:
    """Reads arguments as an executor does, and Strawberry after it: literals, defaults, inputs, enums.

    Text that is an argument by itself is passed on. What was read of other short variables is remembered, but for those
    of mutations: dispatchers ask about the same few kinds of work all day.
    """

    def __init__(self, schema: strawberry.Schema, operation: OperationDefinitionNode, asked: Sequence[Asked]) -> None:
        self._number = next(_NUMBERS)
        self._remembers = operation.operation is not OperationType.MUTATION
        self._texts = _texts_passed_on(operation, asked)
        self._asked = asked
        self._passed = [_passed_on(each, self._texts) for each in asked]
        self._others = [_others(schema, each, self._texts) for each in asked]
        declared = operation.variable_definitions or ()
        others = [each for each in declared if each.variable.name.value not in self._texts]
        self._names = [each.variable.name.value for each in others]
        self._values = coercion_of_variables(schema._schema, others)  # noqa: SLF001  # as elsewhere

    def calls(self, variables: Variables) -> list[Call]:
        """What the fields of the root are asked with. Raises `Bail`."""
        for name, is_list in self._texts.items():
            value = variables.get(name)
            if type(value) is not (list if is_list else str) or (is_list and not _TEXT.issuperset(map(type, value))):
                raise Bail
        return [
            Call(each.name, {**others, **{name: variables[variable] for name, variable in passed.items()}})
            for each, passed, others in zip(self._asked, self._passed, self._remembered(variables), strict=True)
        ]

    def _remembered(self, variables: Variables) -> list[dict[str, Any]]:
        if not self._remembers:
            return self._coerced(variables)
        own = {name: variables[name] for name in self._names if name in variables}
        spelling = repr(own)  # which tells 1 from true, as no dict's keys would
        if len(spelling) > _LONGEST:
            return self._coerced(own)
        found = _REMEMBERED.get((self._number, spelling))
        if found is None:
            if len(_REMEMBERED) >= _MOST:
                _REMEMBERED.clear()
            found = _REMEMBERED[self._number, spelling] = self._coerced(own)
        return found

    def _coerced(self, variables: Variables) -> list[dict[str, Any]]:
        """All arguments but those that are passed on."""
        values = self._values(variables)
        return [others(values) for others in self._others]


def _others(
    schema: strawberry.Schema, asked: Asked, passed: Container[str]
) -> Callable[[VariableValues], dict[str, Any]]:
    """What gives the arguments of a field that are not passed on. It raises `Bail` where an executor tells errors.

    Those that are variables by themselves are taken from their values; the others are left to `get_argument_values`.
    """
    given = {each.name.value: each.value for each in asked.node.arguments or ()}
    by_variables, by_literals = [], []
    for name, made, convert in _conversions(schema, asked):
        value, argument = given.get(name), asked.definition.args[name]
        if not isinstance(value, VariableNode):
            by_literals.append((name, made, convert))
        elif (variable := value.name.value) not in passed:
            is_needed = isinstance(argument.type, GraphQLNonNull)
            by_variables.append((made, variable, coerce_default_value(argument), is_needed, convert))
    definition, node = _only(asked, [name for name, _, _ in by_literals])

    def others(values: VariableValues) -> dict[str, Any]:
        found = {}
        if by_literals:
            try:
                literals = get_argument_values(definition, node, values)
            except GraphQLError as error:
                raise Bail from error
            found = {made: convert(literals[name]) for name, made, convert in by_literals if name in literals}
        for made, variable, default, is_needed, convert in by_variables:
            value = values.coerced.get(variable, default)
            if is_needed and (value is None or value is Undefined):
                raise Bail
            if value is not Undefined:
                found[made] = convert(value)
        return found

    return others


def _conversions(schema: strawberry.Schema, asked: Asked) -> list[tuple[str, str, Callable[[Any], Any]]]:
    """For each argument of a field its name, its Python name, and what makes of a coerced value what resolvers take."""
    made_from = zip(asked.definition.args, strawberry_field(asked.definition).arguments, strict=True)
    return [(name, argument.python_name, _conversion(schema, name, argument)) for name, argument in made_from]


def _conversion(schema: strawberry.Schema, name: str, argument: StrawberryArgument) -> Callable[[Any], Any]:
    """What `convert_argument` does; of inputs that say how they are made it does nothing else."""
    kind, scalars, config = argument.type, schema.schema_converter.scalar_registry, schema.config
    made = kind.of_type if type(kind) is StrawberryOptional else kind
    definition = get_object_definition(made) if isinstance(made, type) else None
    if definition is not None and (read := definition.from_input) is not None:
        kept, context = cast("type", made), InputContext(None, config, scalars, (name,))
        return lambda value: value if value is None or value is strawberry.UNSET else read(kept, value, context)
    return lambda value: convert_argument(value, kind, scalars, config, path=(name,))


def _texts_passed_on(operation: OperationDefinitionNode, asked: Sequence[Asked]) -> dict[str, bool]:
    """The variables of text, and whether each is a list, that stand nowhere but as arguments by themselves."""
    inside = _Variables()
    for each in asked:
        for argument in each.node.arguments or ():
            by_itself = isinstance(argument.value, VariableNode)
            if not by_itself or not _is_text(each.definition.args[argument.name.value].type):
                visit(argument.value, inside)
    found = {}
    for declared in operation.variable_definitions or ():
        name, named = declared.variable.name.value, named_type(declared.type)
        if declared.default_value is None and named is not None and named[0] in _TEXTS and name not in inside.names:
            found[name] = named[1]
    return found


def _passed_on(asked: Asked, texts: Container[str]) -> dict[str, str]:
    """The Python names of a field's arguments that are text passed on, with the variables that stand for them."""
    python_names = dict(zip(asked.definition.args, strawberry_field(asked.definition).arguments, strict=True))
    return {
        python_names[each.name.value].python_name: each.value.name.value
        for each in asked.node.arguments or ()
        if isinstance(each.value, VariableNode) and each.value.name.value in texts
    }


def _only(asked: Asked, names: Container[str]) -> tuple[GraphQLField, FieldNode]:
    """A field, and how it is asked for, as if it had no arguments but those."""
    args = {name: argument for name, argument in asked.definition.args.items() if name in names}
    arguments = tuple(each for each in asked.node.arguments or () if each.name.value in args)
    return GraphQLField(asked.definition.type, args=args), FieldNode(name=asked.node.name, arguments=arguments)


class _Variables(Visitor):
    """Finds the names of variables."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.add(node.name.value)
