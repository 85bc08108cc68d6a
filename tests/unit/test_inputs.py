"""Inputs are made as Strawberry makes them."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
import strawberry
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLList, GraphQLNonNull
from strawberry.types.arguments import convert_argument

from api.schema import build_schema
from api.schema.inputs import read_plainly
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


@strawberry.input
class Inner:
    number: int = 3
    tags: list[str] = strawberry.field(default_factory=lambda: ["a"])


@strawberry.input
class Outer:
    needed: int
    from_: str | None = strawberry.field(name="from")
    class_: str | None = strawberry.field(name="class", default="some")
    value: str | None = strawberry.UNSET
    made: Inner | None = None
    read0: Inner = strawberry.field(default_factory=Inner)
    default1: list[Inner | None] | None = strawberry.field(default_factory=list)
    it: list[list[Inner]] | None = None


@strawberry.type
class Asked:
    @strawberry.field
    def ask(self, outer: Outer) -> str:
        return repr(outer)


FIELDS: Final[dict[str, list[Any]]] = {
    "from": [None, "b"],
    "class": [None, "c"],
    "value": [None, "d"],
    "made": [None, {}, {"number": 4}],
    "read0": [{"tags": []}],
    "default1": [None, [], [None, {"number": 5}]],
    "it": [None, [], [[], [{}, {"tags": ["e"]}]]],
}
OWN = strawberry.Schema(Asked)
OWN_TYPES = OWN._schema.type_map  # noqa: SLF001  # as above
OWN_INPUTS = {name: OWN_TYPES[name].extensions["strawberry-definition"] for name in ("Outer", "Inner")}


@pytest.fixture
def left_to_strawberry(monkeypatch: pytest.MonkeyPatch) -> None:
    for definition in OWN_INPUTS.values():
        monkeypatch.setattr(definition, "from_input", None)


@pytest.mark.usefixtures("left_to_strawberry")
def test_inputs__of_any_defaults_and_names__are_what_strawberry_makes() -> None:
    """Also where a coerced value lacks what has a default in the schema: it is Strawberry's own then."""
    values = [{"needed": 1}, {"needed": 1} | {name: given[-1] for name, given in FIELDS.items()}]
    values += [{"needed": 1, name: each} for name, given in FIELDS.items() for each in given]
    scalars, config = OWN.schema_converter.scalar_registry, OWN.config
    expected = [convert_argument(value, Outer, scalars, config) for value in values]
    read_plainly(OWN._schema)  # noqa: SLF001  # as above
    assert [OWN_INPUTS["Outer"].from_input(Outer, value, None) for value in values] == expected


@pytest.mark.usefixtures("left_to_strawberry")
def test_inputs__of_the_same_value__share_no_list() -> None:
    read_plainly(OWN._schema)  # noqa: SLF001  # as above
    for value in ({"tags": ["f"]}, {}):
        first, second = (OWN_INPUTS["Inner"].from_input(Inner, value, None) for _ in range(2))
        assert first.tags == second.tags
        assert first.tags is not second.tags
        assert first.tags is not value.get("tags")
