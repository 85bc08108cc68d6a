"""Text that hurts, in every place of the schema that takes text. The places are found in the schema itself."""

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLObjectType,
    GraphQLScalarType,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_required_argument,
)

from api.schema import build_schema as build_townclerk_schema
from tests.client import Api, Json
from tests.contract.inputs import BEAD, RIG, TOWN, furnish, quiet
from tests.towns import HAIKU, KILO, OPUS, rule, sync

SCHEMA = build_schema(build_townclerk_schema().as_str())
NO_TEXT = {"Int", "Float", "Boolean"}
ODD = "\u200f\u05e9\u05dc\u05d5\u05dd \U0001f98a e\u0301"
HOSTILE = {"NUL": "a\x00b", "a lone surrogate": "a\ud800b", "10,000 characters": "x" * 10_000}


@pytest.fixture(scope="module")
def api(shared_api: Api) -> Iterator[Api]:
    with quiet():
        yield furnish(shared_api)


# ---- the places that take text

Step = tuple[str, str]  # a type and a field of it


@dataclass(frozen=True)
class Place:
    """An argument, or a field somewhere inside one, that takes text."""

    route: tuple[Step, ...]  # from the root to the field that has the argument
    argument: str
    inside: tuple[str, ...]

    def __str__(self) -> str:
        fields = ".".join(field for _, field in self.route)
        return f"{fields}({'.'.join((self.argument, *self.inside))})"


def field_at(step: Step) -> GraphQLField:
    kind = SCHEMA.get_type(step[0])
    assert isinstance(kind, GraphQLObjectType)
    found: GraphQLField = kind.fields[step[1]]
    return found


def routes() -> Iterator[tuple[Step, ...]]:
    """Every mutation, and the shortest way to every field of every type that a query can reach."""
    assert SCHEMA.query_type
    assert SCHEMA.mutation_type
    for name in SCHEMA.mutation_type.fields:
        yield (("Mutation", name),)
    seen = {"Query"}
    waiting: deque[tuple[GraphQLObjectType, tuple[Step, ...]]] = deque([(SCHEMA.query_type, ())])
    while waiting:
        kind, way = waiting.popleft()
        for name, field in kind.fields.items():
            route = (*way, (kind.name, name))
            yield route
            result = get_named_type(field.type)
            if isinstance(result, GraphQLObjectType) and result.name not in seen:
                seen.add(result.name)
                waiting.append((result, route))


def texts_inside(of: GraphQLInputType) -> Iterator[tuple[str, ...]]:
    """The ways from a value of a type to each text in it: the empty one where it is text itself."""
    kind = get_named_type(of)
    if isinstance(kind, GraphQLInputObjectType):
        for name, field in kind.fields.items():
            yield from ((name, *way) for way in texts_inside(field.type))
    elif isinstance(kind, GraphQLScalarType) and kind.name not in NO_TEXT:
        yield ()


PLACES = {
    str(place): place
    for route in routes()
    for argument, of in field_at(route[-1]).args.items()
    for place in (Place(route, argument, inside) for inside in texts_inside(of.type))
}


# ---- valid values for everything else that a place's request asks for

_NUMBERS = itertools.count(1)


def new(_api: Api) -> str:
    return f"new-{next(_NUMBERS)}"


def version(api: Api) -> int:
    return api.version(TOWN)


def version_before(api: Api) -> int:
    return api.version(TOWN) - 1


def registered_model(api: Api) -> str:
    """One that nothing uses yet."""
    model_id = new(api)
    api.data(f'mutation {{ registerModels(models: [{{modelId: "{model_id}"}}]) {{ __typename }} }}')
    return model_id


def new_override(api: Api) -> Json:
    return rule(registered_model(api), "POLECAT", "gt:held", RIG)


def version_with_an_override(api: Api) -> int:
    """The version in force once there is an override to be removed."""
    given = {"townId": TOWN, "expectedVersion": version(api), "reason": "To be removed."}
    api.done("setOverride", **given, override=new_override(api))
    return version(api)


def rig_to_remove(api: Api) -> str:
    rig_id = new(api)
    api.done("registerRig", townId=TOWN, rigId=rig_id, name="Soon gone")
    return rig_id


def other_profile(api: Api) -> str:
    query = "query ($t: ID!) { town(townId: $t) { overrideSet { profile { name } } } }"
    return "frugal" if api.data(query, t=TOWN)["town"]["overrideSet"]["profile"]["name"] == "balanced" else "balanced"


def new_own_profile(api: Api) -> str:
    return f"custom-{new(api)}"


# A field or an argument that wants a value of its own has it here; others have one by their name, or by their type.
VALUES: dict[str, Any] = {
    "Query.profile.name": "balanced",
    "Query.profile.townId": None,
    "CreateTownInput.townId": new,
    "CreateTownInput.profile": "balanced",
    "ImportTownInput.townId": new,
    "RegisterRigInput.rigId": new,
    "RemoveRigInput.rigId": rig_to_remove,
    "BeadInput.beadId": new,
    "OverrideSetDraft.profile": other_profile,
    "SelectProfileInput.profile": other_profile,
    "SetOverrideInput.override": new_override,
    "RemoveOverrideInput.expectedVersion": version_with_an_override,
    "RevertOverrideSetInput.toVersion": version_before,
    "PublishProfileVersionInput.name": new_own_profile,
    "PublishProfileVersionInput.expectedVersion": 0,
    "PublishProfileVersionInput.rules": [rule(OPUS, "POLECAT", "gt:held")],
    "ProfileDraft.name": new_own_profile,
    "ProfileDraft.rules": [rule(OPUS, "POLECAT", "gt:held")],
    "ModelInput.modelId": new,
    "DeprecateModelInput.modelId": registered_model,
    "townId": TOWN,
    "rigId": RIG,
    "beadId": BEAD,
    "role": "POLECAT",
    "label": "gt:held",
    "labels": ["gt:held"],
    "model": OPUS,
    "smallModel": HAIKU,
    "replacedBy": KILO,
    "idempotencyKey": new,
    "expectedVersion": version,
    "after": None,
    "Int": 1,
    "Boolean": False,
    "String": "Some text",
    "ID": "some-id",
    "DateTime": "2026-01-01T00:00:00Z",
    "JSON": {},
}


def value_of(api: Api, of: GraphQLInputType, coordinate: str) -> Any:
    """A valid value for a field or an argument like `BeadInput.title` or `Query.town.townId`."""
    kind = get_named_type(of)
    name = coordinate.rpartition(".")[2]
    for key in (coordinate, name, kind.name):
        if key in VALUES:
            value = VALUES[key](api) if callable(VALUES[key]) else VALUES[key]
            break
    else:
        if isinstance(kind, GraphQLInputObjectType):
            fields = list(kind.fields.items())[: 1 if kind.is_one_of else None]
            value = {name: value_of(api, field.type, f"{kind.name}.{name}") for name, field in fields}
        else:
            assert isinstance(kind, GraphQLEnumType), f"{kind.name} needs a value in VALUES"
            value = next(iter(kind.values))
    is_a_list = isinstance(get_nullable_type(of), GraphQLList)
    return [value] if is_a_list and not isinstance(value, list) else value


def put(of: GraphQLInputType, value: Any, inside: tuple[str, ...], text: str) -> Any:
    """`value` with `text` at the end of the way `inside`."""
    nullable, kind = get_nullable_type(of), get_named_type(of)
    if isinstance(nullable, GraphQLList):
        return [put(nullable.of_type, value[0], inside, text)]
    if not inside:
        return {text: text, "role_models": {text: OPUS, "polecat": OPUS}} if kind.name == "JSON" else text
    assert isinstance(kind, GraphQLInputObjectType)
    name, *further = inside
    part = put(kind.fields[name].type, value.get(name), tuple(further), text)
    return {name: part} if kind.is_one_of else {**value, name: part}


@dataclass(frozen=True)
class Request:
    """A document that is valid in all but the text at one place, and its variables."""

    query: str
    variables: Json
    variable: str
    place: Place

    def with_text(self, text: str) -> Json:
        """The variables with `text` at the place."""
        of = field_at(self.place.route[-1]).args[self.place.argument].type
        return {**self.variables, self.variable: put(of, self.variables[self.variable], self.place.inside, text)}


def request(api: Api, name: str) -> Request:
    """The request for a place."""
    place = PLACES[name]
    declared: list[str] = []
    variables: Json = {}
    selection = selection_of(field_at(place.route[-1]))
    the_variable = ""
    for step in reversed(place.route):
        given = []
        for argument_name, argument in field_at(step).args.items():
            is_the_place = (step, argument_name) == (place.route[-1], place.argument)
            if is_the_place or is_required_argument(argument):
                variable = f"v{len(variables)}"
                variables[variable] = value_of(api, argument.type, f"{'.'.join(step)}.{argument_name}")
                declared.append(f"${variable}: {argument.type}")
                given.append(f"{argument_name}: ${variable}")
                the_variable = variable if is_the_place else the_variable
        arguments = f"({', '.join(given)})" if given else ""
        selection = f"{{ {step[1]}{arguments} {selection} }}"
    query = f"{place.route[0][0].lower()} ({', '.join(declared)}) {selection}"
    return Request(query, variables, the_variable, place)


def selection_of(field: GraphQLField) -> str:
    kind = get_named_type(field.type)
    if isinstance(kind, GraphQLObjectType) and "userErrors" in kind.fields:
        return "{ userErrors { code path } }"
    return "{ __typename }" if is_composite_type(kind) else ""


# ---- what becomes of it

# Where odd but harmless text is taken and kept. A place that is new and takes it has to be named here.
KEPT = (
    "createTown(input.name)",
    "importTown(input.name)",
    "importTown(input.rigs.name)",
    "importTown(input.reason)",
    "registerRig(input.name)",
    "syncBeads(input.beads.title)",
    "syncBeads(input.beads.labels)",
    "publishOverrideSet(input.reason)",
    "selectProfile(input.reason)",
    "setOverride(input.reason)",
    "removeOverride(input.reason)",
    "revertOverrideSet(input.reason)",
    "publishProfileVersion(input.title)",
    "publishProfileVersion(input.reason)",
    "registerModels(models.displayName)",
    "deprecateModel(input.reason)",
)
READS = [name for name, place in PLACES.items() if place.route[0][0] == "Query"]
NOT_KEPT = [name for name in PLACES if name.endswith("(input.idempotencyKey)") or ".config)" in name]
REFUSED = [name for name in PLACES if name not in {*READS, *KEPT, *NOT_KEPT}]
# The service's own faults, and those of a document, which is always right here.
FAULTS = {"INTERNAL_ERROR", "STORAGE_UNAVAILABLE", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"}
NEWEST = "edges { node { reason targetId before after } }"
NEWEST_ENTRIES = f"""query ($t: ID) {{
    auditEntries(townId: $t, first: 1) {{ {NEWEST} }} central: auditEntries(first: 1) {{ {NEWEST} }}
}}"""


def codes(answer: Json) -> set[str]:
    return {error["extensions"]["code"] for error in answer.get("errors", [])}


def refusals(answer: Json) -> list[Json]:
    """What a change was refused for: GraphQL errors, or user errors."""
    errors: list[Json] = answer["errors"] if "errors" in answer else next(iter(answer["data"].values()))["userErrors"]
    return errors


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from texts_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts_of(part)


def changed(api: Api, name: str, text: str) -> tuple[Json, set[str]]:
    """What a change with `text` at a place answers, and every text in the newest entries after it."""
    asked = request(api, name)
    variables = asked.with_text(text)
    answer = api.execute(asked.query, **variables)
    (given,) = variables.values()
    town_id = given.get("townId") if isinstance(given, dict) else None
    return answer, set(texts_of(api.data(NEWEST_ENTRIES, t=town_id)))


@pytest.mark.parametrize("name", PLACES)
def test_text__that_hurts__gets_a_typed_answer_wherever_text_is_taken(api: Api, name: str) -> None:
    asked = request(api, name)
    found = {what: codes(api.execute(asked.query, **asked.with_text(text))) for what, text in HOSTILE.items()}
    assert {what for what, of in found.items() if of & FAULTS} == set()


@pytest.mark.parametrize("name", READS)
def test_read__with_odd_text__gets_a_typed_answer(api: Api, name: str) -> None:
    asked = request(api, name)
    assert codes(api.execute(asked.query, **asked.with_text(ODD))) & FAULTS == set()


@pytest.mark.parametrize("name", KEPT)
def test_change__with_odd_text_that_is_kept__keeps_every_character(api: Api, name: str) -> None:
    text = f"{ODD} {new(api)}"
    answer, told = changed(api, name, text)
    assert refusals(answer) == []
    assert text in told


@pytest.mark.parametrize("name", NOT_KEPT)
def test_change__with_odd_text_that_is_not_kept__takes_effect(api: Api, name: str) -> None:
    answer, told = changed(api, name, text := f"{ODD} {new(api)}")
    assert refusals(answer) == []
    assert text not in told


@pytest.mark.parametrize("name", REFUSED)
def test_change__with_odd_text_in_another_place__is_refused_at_that_place(api: Api, name: str) -> None:
    asked = request(api, name)
    found = refusals(api.execute(asked.query, **asked.with_text(ODD)))
    at = {tuple(part for part in refusal["path"] if not part.isdecimal()) for refusal in found}
    assert at == {(*(() if asked.place.argument == "input" else (asked.place.argument,)), *asked.place.inside)}


# ---- reading it back

TEXTS = {
    "right to left": ODD,
    "a direction turned": "\u202eevil\u202c",
    "an emoji of several": "\U0001f469\u200d\U0001f4bb",
    "not normalised": "e\u0301 is not \u00e9",
    "control characters": "a\x01b\x1b[31m\x7f",
    "line ends": "a\nb\r\nc\u2028d",
    "noncharacters": "\ufeffa\uffff\U0010ffff",
    "markup and quotes": "<b>&amp;'\";--",
    "wildcards": "100% _ \\ %s {0}",
}
WRITTEN = """query ($t: ID!, $text: String!) {
  town(townId: $t) {
    name
    rigs { name }
    beads(filter: {labels: [$text], titleContains: $text}) { edges { node { title labels } } }
    overrideSet { reason }
    auditEntries(first: 1) { edges { node { reason } } }
  }
  profile(name: "custom", townId: $t) { title current { reason } }
  towns(nameContains: $text) { edges { node { townId } } }
}"""


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text__however_odd__is_read_and_found_as_it_was_written(api: Api, text: str) -> None:
    town_id = new(api)
    text = f"{text} {town_id}"
    api.done("createTown", townId=town_id, name=text)
    api.done("registerRig", townId=town_id, rigId="web", name=text)
    sync(api, town_id, {"beadId": town_id, "title": text, "labels": [text]}, {"beadId": f"{town_id}-other"})
    table = {"name": "custom", "title": text, "smallModel": HAIKU, "rules": [rule(OPUS)]}
    api.done("publishProfileVersion", townId=town_id, expectedVersion=0, reason=text, **table)
    api.done("selectProfile", townId=town_id, expectedVersion=1, profile="custom", reason=text)
    assert api.data(WRITTEN, t=town_id, text=text) == {
        "town": {
            "name": text,
            "rigs": [{"name": text}],
            "beads": {"edges": [{"node": {"title": text, "labels": [text]}}]},
            "overrideSet": {"reason": text},
            "auditEntries": {"edges": [{"node": {"reason": text}}]},
        },
        "profile": {"title": text, "current": {"reason": text}},
        "towns": {"edges": [{"node": {"townId": town_id}}]},
    }
