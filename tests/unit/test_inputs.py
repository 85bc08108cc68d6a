"""Inputs are made as Strawberry makes them."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLList, GraphQLNonNull
from strawberry.types.arguments import convert_argument

from api.schema import build_schema
from models.domain.vocabulary import MAX_VERSION

SCHEMA = build_schema()
TYPES = SCHEMA._schema.type_map  # noqa: SLF001  # it has no other way to its types
INPUTS = [kind for kind in TYPES.values() if isinstance(kind, GraphQLInputObjectType)]
READ = [kind for kind in INPUTS if kind.extensions["strawberry-definition"].from_input is not None]


def filled(kind: Any) -> Any:
    """A coerced value of a type, of which nothing is left out."""
    if isinstance(kind, GraphQLNonNull):
        return filled(kind.of_type)
    if isinstance(kind, GraphQLList):
        return [filled(kind.of_type), filled(kind.of_type)]
    if isinstance(kind, GraphQLInputObjectType):
        return {name: filled(field.type) for name, field in kind.fields.items()}
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values.values())).value
    return {"Int": MAX_VERSION, "Boolean": True}.get(kind.name, f"some {kind.name}")


def values(kind: GraphQLInputObjectType) -> Iterator[dict[str, Any]]:
    whole = filled(kind)
    needed = {name: whole[name] for name, field in kind.fields.items() if isinstance(field.type, GraphQLNonNull)}
    nulls = {name: None for name in kind.fields if name not in needed}
    yield from (whole, needed, needed | nulls)


def as_strawberry_makes(kind: GraphQLInputObjectType, value: dict[str, Any], patch: pytest.MonkeyPatch) -> object:
    with patch.context() as left_to_itself:
        for each in READ:
            left_to_itself.setattr(each.extensions["strawberry-definition"], "from_input", None)
        return converted(kind, value)


def converted(kind: GraphQLInputObjectType, value: dict[str, Any]) -> object:
    made = kind.extensions["strawberry-definition"].origin
    return convert_argument(value, made, SCHEMA.schema_converter.scalar_registry, SCHEMA.config)


@pytest.mark.parametrize("kind", READ, ids=lambda kind: kind.name)
def test_input__of_all_its_fields_of_few_and_of_nulls__is_what_strawberry_makes(
    kind: GraphQLInputObjectType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in values(kind):
        assert converted(kind, value) == as_strawberry_makes(kind, value, monkeypatch)


def test_inputs__but_those_that_tell_null_from_nothing__are_read_plainly() -> None:
    assert {kind.name for kind in INPUTS} - {kind.name for kind in READ} == {"AsOf"}
