"""What variables hold, coerced by what is made once of a type: an executor looks at types anew for each value."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
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

_TEXTS: Final = frozenset({"ID", "String"})


def coercion_of_variables(
    schema: GraphQLSchema, declared: Sequence[VariableDefinitionNode]
) -> Callable[[dict[str, Any]], VariableValues]:
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
    schema: GraphQLSchema, declared: Sequence[VariableDefinitionNode], variables: dict[str, Any]
) -> VariableValues:
    values = get_variable_values(schema, declared, variables)
    if isinstance(values, list):
        raise Bail
    return values


class _Coercions:
    """What coerces values to types as `coerce_input_value` does.

    They raise `Bail` for values that are not of the type, and for what clients seldom send: numbers as ids, an item in
    place of a list. There are none for types that hold themselves.
    """

    def __init__(self) -> None:
        self._around: set[str] = set()

    def of(self, kind: GraphQLInputType) -> Coercion:
        if isinstance(kind, GraphQLNonNull):
            return _unless_null(self._of_values(kind.of_type), kind.of_type)
        coerce = self._of_values(kind)
        return lambda value: None if value is None else coerce(value)

    def _of_values(self, kind: GraphQLNullableInputType) -> Coercion:
        """Of a type's values but null."""
        if isinstance(kind, GraphQLList):
            return _of_list(self.of(kind.of_type))
        if isinstance(kind, GraphQLInputObjectType):
            if kind.name in self._around:
                raise Bail
            self._around.add(kind.name)
            try:
                return self._of_object(kind)
            finally:
                self._around.remove(kind.name)
        if isinstance(kind, GraphQLEnumType):
            return _of_enum(kind)
        return _text if kind.name in _TEXTS else _of_scalar(kind)

    def _of_object(self, kind: GraphQLInputObjectType) -> Coercion:
        if kind.is_one_of or kind.out_type is not GraphQLInputObjectType.out_type:
            raise Bail
        fields = [
            (name, field.out_name or name, self.of(field.type), coerce_default_value(field))
            for name, field in kind.fields.items()
        ]
        required = {name for name, field in kind.fields.items() if is_required_input_field(field)}

        def coerce(value: Any) -> dict[str, Any]:
            if type(value) is not dict or not required <= value.keys():
                raise Bail
            coerced, known = {}, 0
            for name, out_name, of_field, default in fields:
                if name in value:
                    coerced[out_name] = of_field(value[name])
                    known += 1
                elif default is not Undefined:
                    coerced[out_name] = default
            if known < len(value):
                raise Bail
            return coerced

        return coerce


def _unless_null(coerce: Coercion, kind: GraphQLNullableInputType) -> Coercion:
    """Of a type that has no null. Only scalars may take one for a value; all else takes it for none of its own."""
    if not isinstance(kind, GraphQLScalarType) or kind.name in _TEXTS:
        return coerce

    def coerce_any(value: Any) -> Any:
        if value is None:
            raise Bail
        return coerce(value)

    return coerce_any


def _of_list(of_item: Coercion) -> Coercion:
    def coerce(value: Any) -> list[Any]:
        if type(value) is not list:
            raise Bail
        return list(map(of_item, value))

    return coerce


def _of_enum(kind: GraphQLEnumType) -> Coercion:
    values = {name: kind.coerce_input_value(name) for name in kind.values}

    def coerce(value: Any) -> Any:
        if type(value) is not str or value not in values:
            raise Bail
        return values[value]

    return coerce


def _of_scalar(kind: GraphQLScalarType) -> Coercion:
    def coerce(value: Any) -> Any:
        try:
            coerced = kind.coerce_input_value(value)
        except Exception as error:  # as the executor has it: the value is not of the type
            raise Bail from error
        if coerced is Undefined:
            raise Bail
        return coerced

    return coerce


def _text(value: Any) -> str:
    if type(value) is not str:
        raise Bail
    return value
