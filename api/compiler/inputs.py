"""What variables hold, coerced by what is made once of a type: an executor looks at types anew for each value."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    Undefined,
    get_variable_values,
    is_required_input_field,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource
from graphql.language import VariableDefinitionNode
from graphql.type import GraphQLNullableInputType
from graphql.utilities.coerce_input_value import coerce_default_value

from api.compiler.reading import Bail

Variables = Mapping[str, Any]
Coercion = Callable[[Any], Any]

_TEXTS: Final = frozenset({GraphQLID, GraphQLString})
_INTS: Final = range(-(2**31), 2**31)
_AS_THEY_ARE: Final[dict[Any, str]] = {  # other scalars, with a test for a value that is of them as it is
    GraphQLInt: "type({0}) is int and {0} in INTS",
    GraphQLBoolean: "type({0}) is bool",
}


def coercion_of_variables(
    schema: GraphQLSchema, declared: Sequence[VariableDefinitionNode]
) -> Callable[[Variables], VariableValues]:
    """What gives the values of variables as `get_variable_values` does, and raises `Bail` where that tells errors."""
    try:
        known = [_known(schema, each) for each in declared]
    except Bail:
        return lambda variables: _as_executed(schema, declared, variables)

    def coerced(variables: Variables) -> VariableValues:
        sources, values = {}, {}
        for name, signature, coerce in known:
            if name in variables:
                value = variables[name]
                sources[name] = VariableValueSource(signature, value)
                values[name] = coerce(value)
            elif isinstance(signature.type, GraphQLNonNull):
                raise Bail
            else:
                sources[name] = VariableValueSource(signature)
        return VariableValues(sources, values)

    return coerced


class _Known(NamedTuple):
    """A variable without a default, and what coerces its values."""

    name: str
    signature: GraphQLVariableSignature
    coerce: Coercion


def _known(schema: GraphQLSchema, declared: VariableDefinitionNode) -> _Known:
    signature = get_variable_signature(schema, declared)
    if isinstance(signature, GraphQLError) or signature.default is not None:
        raise Bail
    return _Known(signature.name, signature, _Coercions().of(signature.type))


def _as_executed(
    schema: GraphQLSchema, declared: Sequence[VariableDefinitionNode], variables: Variables
) -> VariableValues:
    values = get_variable_values(schema, declared, {**variables})
    if isinstance(values, list):
        raise Bail
    return values


_OF_OBJECTS: Final = WeakKeyDictionary[GraphQLInputObjectType, Coercion]()  # which know nothing of those types


class _Coercions:
    """Python that coerces values to types as `coerce_input_value` does: for each type of objects a function, made once.

    It raises `Bail` for values that are not of the type, and for what clients seldom send: numbers as ids, an item in
    place of a list. There is none for types that hold themselves.
    """

    def __init__(self) -> None:
        self._scope: dict[str, Any] = {"Bail": Bail, "bail": _bail, "INTS": _INTS}
        self._numbers = count()
        self._around: set[str] = set()

    def of(self, kind: GraphQLInputType) -> Coercion:
        if isinstance(kind, GraphQLNonNull) and isinstance(kind.of_type, GraphQLInputObjectType):
            return self._of_objects(kind.of_type)
        return self._function([f"return {self._coerced(kind, 'value')}"])

    def _coerced(self, kind: GraphQLInputType, value: str) -> str:
        """An expression for what is made of the value of that name."""
        if isinstance(kind, GraphQLNonNull):
            return self._present(kind.of_type, value)
        return f"(None if {value} is None else {self._present(kind, value)})"

    def _present(self, kind: GraphQLNullableInputType, value: str) -> str:
        """The same where the value may not be null."""
        if isinstance(kind, GraphQLList):
            item = f"{value}_"
            items = f"[{self._coerced(kind.of_type, item)} for {item} in {value}]"
            return f"({items} if type({value}) is list else bail())"
        if isinstance(kind, GraphQLInputObjectType):
            return f"{self._named(self._of_objects(kind))}({value})"
        if isinstance(kind, GraphQLEnumType):
            names = self._named({name: kind.coerce_input_value(name) for name in kind.values})
            return f"({names}[{value}] if type({value}) is str and {value} in {names} else bail())"
        if kind in _TEXTS:
            return f"({value} if type({value}) is str else bail())"
        coerced = f"{self._named(_of_scalar(kind))}({value})"
        return f"({value} if {_AS_THEY_ARE[kind].format(value)} else {coerced})" if kind in _AS_THEY_ARE else coerced

    def _of_objects(self, kind: GraphQLInputObjectType) -> Coercion:
        found = _OF_OBJECTS.get(kind)
        if found is None:
            found = _OF_OBJECTS[kind] = self._made_of_objects(kind)
        return found

    def _made_of_objects(self, kind: GraphQLInputObjectType) -> Coercion:
        if kind.name in self._around or kind.is_one_of or kind.out_type is not GraphQLInputObjectType.out_type:
            raise Bail
        self._around.add(kind.name)
        lines = ["if type(value) is not dict: raise Bail", "coerced, known = {}, 0"]
        for name, field in kind.fields.items():
            place, default = f"coerced[{field.out_name or name!r}]", coerce_default_value(field)
            lines.append(f"if {name!r} in value:")
            lines.append(f" it, known = value[{name!r}], known + 1")
            lines.append(f" {place} = {self._coerced(field.type, 'it')}")
            if is_required_input_field(field):
                lines.append("else: raise Bail")
            elif default is not Undefined:
                lines.append(f"else: {place} = {self._named(default)}")
        self._around.remove(kind.name)
        return self._function([*lines, "if known < len(value): raise Bail", "return coerced"])

    def _function(self, lines: Sequence[str]) -> Coercion:
        # Of the schema it holds nothing but the names of fields, as literals.
        source = "\n ".join(["def coerce(value):", *lines])
        exec(compile(source, "<compiled inputs>", "exec"), self._scope)  # noqa: S102  # as dataclasses are made
        made: Coercion = self._scope.pop("coerce")
        return made

    def _named(self, it: Any) -> str:
        name = f"k{next(self._numbers)}"
        self._scope[name] = it
        return name


def _of_scalar(kind: GraphQLScalarType) -> Coercion:
    def coerce(value: Any) -> Any:
        try:
            coerced = Undefined if value is None else kind.coerce_input_value(value)
        except Exception as error:  # as the executor has it: the value is not of the type
            raise Bail from error
        return _bail() if coerced is Undefined else coerced

    return coerce


def _bail() -> Any:
    raise Bail
