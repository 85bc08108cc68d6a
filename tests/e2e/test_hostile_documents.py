"""Documents that are no honest ones, over TCP and by somebody with a token: refused before they cost anything."""

import json
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest

from models.domain.tokens import Scope
from tests.client import Api, Json
from tests.contract.test_door import (  # noqa: F401  # run once more, with `shared_api` as it is here
    test_body__that_does_not_say_which_operation__is_a_bad_request,
    test_body__that_holds_no_operation__is_a_bad_request,
    test_content_type__other_than_json__is_refused,
    test_content_type__that_is_missing__is_refused,
    test_document__that_is_not_executed__is_told_in_both_media_types,
    test_graphql__by_another_method_than_post__is_refused,
)
from tests.contract.test_limits import (  # noqa: F401
    DOCUMENTS,
    test_document__at_a_limit__is_answered,
    test_document__of_exponential_fragments__is_refused,
    test_document__over_a_limit__is_refused_for_it,
)
from tests.databases import Databases
from tests.e2e.guarded import guarded, serves
from tests.raw import JSON_BODY, Answer, request
from tests.streams import event_stream, talking
from tests.tokens import make_token

TRIES: Final = 5
MOST_TIMES_AS_LONG: Final = 10
LINK: Final = "fragment F{} on Query {{ {} }} "


@pytest.fixture(scope="module")
def shared_api(backend: str, databases: Databases) -> Iterator[Api]:
    """A server asked with a token that may do everything."""
    with guarded(databases.fresh(backend)) as server:
        server.api.http.headers.update(server.api.credential)
        yield server.api


@pytest.fixture(scope="module")
def reader(shared_api: Api) -> Api:
    return shared_api.holding(make_token(shared_api.url, "reader"))


def asked(api: Api, query: str, **variables: Any) -> Answer:
    content = {"query": query, "variables": variables}
    return request(api, JSON_BODY, body=json.dumps(content, separators=(",", ":")).encode("ascii"))


# ---- fragments

EXPONENTIAL: Final = "".join(LINK.format(n, f"...F{n + 1} " * 10) for n in range(29)) + LINK.format(
    29, "labels { name }"
)


def quickest(api: Api, document: str, expected: list[str]) -> float:
    """Seconds that the quickest of several answers took, none of which is known from an earlier one."""
    took = []
    for number in range(TRIES):
        begun = time.perf_counter()
        assert asked(api, f"query Q{number} {document}").codes == expected
        took.append(time.perf_counter() - begun)
    return min(took)


def test_fragments__that_spread_each_other_10_to_the_29_times__take_no_time(reader: Api) -> None:
    """Under 50 ms, it should be. No clock of a busy machine can tell, so that an honest document is the measure."""
    hostile = f"{{ ...F0 }} {EXPONENTIAL}"
    honest = "{ labels { " + "name " * ((len(hostile) - 15) // 5) + "} }"
    assert abs(len(honest) - len(hostile)) <= 5
    ratio = quickest(reader, hostile, ["QUERY_LIMIT"]) / quickest(reader, honest, [])
    assert ratio < MOST_TIMES_AS_LONG
    assert serves(reader)


CIRCLES: Final = {
    "one": "{ ...A } fragment A on Query { ...A }",
    "two": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "one that nobody spreads": "{ labels { name } } fragment A on Query { ...A }",
    "below a field": '{ town(townId: "a") { ...A } } fragment A on Town { overrideSet { town { ...A } } }',
    "30": "{ ...F0 } " + "".join(LINK.format(n, f"...F{(n + 1) % 30}") for n in range(30)),
    "30, each spread by each": "{ ...F0 } "
    + "".join(LINK.format(n, " ".join(f"...F{to}" for to in range(30))) for n in range(30)),
}


@pytest.mark.parametrize("circle", CIRCLES)
def test_fragments__in_a_circle__are_refused(reader: Api, circle: str) -> None:
    answer = asked(reader, CIRCLES[circle])
    assert (answer.status, answer.codes) == (200, ["GRAPHQL_VALIDATION_FAILED"])
    assert serves(reader)


# ---- bombs

BOMBS: Final = {limit: document(allowed + 1) for limit, (allowed, document) in DOCUMENTS.items()} | {
    "3,000 aliases": "{ labels { " + " ".join(f"a{n}: name" for n in range(3_000)) + " } }",
    "9,000 times a field": "{ labels { " + "name " * 9_000 + "} }",
    "directives on one field": "{ labels " + "@include(if: true) " * 1_500 + "{ name } }",
    "brackets": '{ town(townId: "a") ' + "{ overrideSet { town " * 1_000 + "{ name } " + "} }" * 1_000 + " }",
    "500 operations": " ".join(f"query Q{n} {{ labels {{ name }} }}" for n in range(500)),
    "unknown fragments": "{ " + " ".join(f"...U{n}" for n in range(2_000)) + " }",
    "unknown fields": "{ labels { " + " ".join(f"u{n}" for n in range(800)) + " } }",
    "unknown variables": "{ " + " ".join(f"town(townId: $v{n}) {{ name }}" for n in range(19)) + " }",
    "digits": '{ profile(name: "balanced") { version(number: ' + "9" * 5_000 + ") { version } } }",
    "digits of a float": '{ profile(name: "balanced") { version(number: 1.' + "9" * 5_000 + ") { version } } }",
    "an exponent": '{ profile(name: "balanced") { version(number: 1e' + "9" * 5_000 + ") { version } } }",
    "a long name": "{ " + "a" * 90_000 + " }",
    "a long comment": "# " + "a" * 90_000,
    "lists": "{ town(townId: " + "[" * 4_000 + "]" * 4_000 + ") { name } }",
    "objects": "{ town(townId: " + "{a: " * 2_000 + "1" + "}" * 2_000 + ") { name } }",
}
REFUSED: Final = {"QUERY_LIMIT", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "INVALID_INPUT"}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bomb__by_post__is_refused(reader: Api, bomb: str) -> None:
    answer = asked(reader, BOMBS[bomb])
    assert answer.status in {200, 400}
    assert set(answer.codes) <= REFUSED
    assert len(answer.codes) >= 1
    assert len(answer.body) < 100_000
    assert serves(reader)


def test_bombs__over_a_socket__are_refused_one_after_the_other(reader: Api) -> None:
    with talking(reader) as made:
        for number, bomb in enumerate(BOMBS.values()):
            (message,) = made.ask(bomb, id=str(number))
            assert message["type"] == "error"
            assert {error["extensions"]["code"] for error in message["payload"]} <= REFUSED
        assert [message["type"] for message in made.ask("{ labels { name } }")] == ["next", "complete"]


VARIABLES: Final[dict[str, tuple[str, Any]]] = {
    "20,000 ids": ("[ID!]!", ["a"] * 20_000),
    "15,000 nulls": ("[ID!]!", [None] * 15_000),
    "20,000 objects": ("[ID!]!", [{}] * 20_000),
    "a text of 90,000 characters": ("[ID!]!", "a" * 90_000),
    "an integer of 4,000 digits": ("[ID!]!", 10**3_999),
    "4,000 floats": ("[ID!]!", [1e308] * 4_000),
    "5,000 names": ("[ID!]!", {f"name{n}": n for n in range(5_000)}),
    "a list for a list of lists": ("[[ID!]]", [["a"]]),
}


@pytest.mark.parametrize("case", VARIABLES)
def test_variables__that_are_huge__are_refused(reader: Api, case: str) -> None:
    kind, value = VARIABLES[case]
    answer = asked(reader, f"query ($b: {kind}) {{ resolutions(beadIds: $b) {{ beadId error {{ code }} }} }}", b=value)
    assert answer.status == 200
    assert set(answer.codes) <= {"INVALID_INPUT", "TOO_MANY", "GRAPHQL_VALIDATION_FAILED"}
    assert len(answer.body) < 200_000
    assert serves(reader)


@pytest.mark.parametrize("depth", [100, 800, 950, 2_000, 10_000])
def test_variables__of_any_depth__are_taken_or_refused(shared_api: Api, depth: int) -> None:
    config = '{"a":' * depth + "1" + "}" * depth
    town = f'{{"townId": "no id", "name": "A town", "config": {config}}}'
    query = "mutation ($i: ImportTownInput!) { importTown(input: $i) { userErrors { code } } }"
    body = f'{{"query": "{query}", "variables": {{"i": {town}}}}}'.encode()
    answer = request(shared_api, JSON_BODY, body=body)
    if depth <= 800:
        told: Json = json.loads(answer.body)["data"]["importTown"]
        assert [error["code"] for error in told["userErrors"]] == ["INVALID_INPUT"]
    else:
        assert answer.status in {200, 400}
        assert set(answer.codes) <= {"INVALID_INPUT"}
    assert serves(shared_api)


# ---- what the schema is

INTROSPECTIONS: Final = {
    "the schema": "{ __schema { queryType { name } } }",
    "a type": '{ __type(name: "Town") { name } }',
    "by another name": "{ labels { name } x: __schema { types { name } } }",
    "in a fragment": "{ ...A } fragment A on Query { ...B } fragment B on Query { __schema { types { name } } }",
    "inline": '{ ... on Query { ... { __type(name: "Town") { name } } } }',
    "in a mutation": 'mutation { __typename ... on Mutation { __schema: __type(name: "Town") { name } } }',
    "left out by a directive": "{ labels { name } __schema @skip(if: true) { types { name } } }",
    "in an operation that is not run": "query A { labels { name } } query B { __schema { types { name } } }",
}
EVERYONE: Final = [scope for scope in Scope if scope is not Scope.ADMIN]
MISSPELT: Final[dict[str, tuple[str, Json]]] = {
    "a field": ("{ labls { name } }", {}),
    "a field below": ("{ labels { nam } }", {}),
    "an argument": ('{ town(townID: "a") { name } }', {}),
    "a type": ("query ($d: OverrideSetDraf!) { preview(townId: 1, draft: $d) { baseVersion } }", {}),
    "a type of a fragment": ("{ ... on Queri { labels { name } } }", {}),
    "an enum in a literal": (
        '{ preview(townId: "a", draft: {overrides: [{role: POLCAT, model: "m"}]}) { baseVersion } }',
        {},
    ),
    "an enum in a variable": (
        "query ($d: OverrideSetDraft!) { preview(townId: 1, draft: $d) { baseVersion } }",
        {"d": {"overrides": [{"role": "POLCAT", "model": "m"}]}},
    ),
    "a field of an input in a literal": ('{ preview(townId: "a", draft: {overides: []}) { baseVersion } }', {}),
    "a field of an input in a variable": (
        "query ($d: OverrideSetDraft!) { preview(townId: 1, draft: $d) { baseVersion } }",
        {"d": {"overides": []}},
    ),
}


@pytest.mark.parametrize("scope", EVERYONE)
def test_introspection__by_anyone_but_an_admin__is_forbidden(shared_api: Api, scope: Scope) -> None:
    api = shared_api.holding(make_token(shared_api.url, scope))
    body = [
        json.dumps({"query": query, "operationName": "A" if " query B" in query else None}).encode()
        for query in INTROSPECTIONS.values()
    ]
    assert [request(api, JSON_BODY, body=each).codes for each in body] == [["FORBIDDEN"]] * len(body)


def test_introspection__by_an_admin__is_answered(shared_api: Api) -> None:
    admin = shared_api.holding(make_token(shared_api.url, "admin"))
    assert asked(admin, INTROSPECTIONS["the schema"]).codes == []


@pytest.mark.parametrize("case", MISSPELT)
def test_name__that_is_misspelt__is_put_right_for_an_admin_alone(shared_api: Api, reader: Api, case: str) -> None:
    query, variables = MISSPELT[case]
    assert b"Did you mean" in asked(shared_api, query, **variables).body
    answer = asked(reader, query, **variables)
    assert len(answer.codes) >= 1
    assert b"Did you mean" not in answer.body


def test_name__that_is_misspelt_over_a_stream__is_put_right_for_an_admin_alone(reader: Api) -> None:
    told = []
    with talking(reader) as made:
        for query, variables in MISSPELT.values():
            told += made.ask(query, **variables)
    for query, variables in MISSPELT.values():
        with event_stream(reader, query, **variables) as events:
            told += [answer for name, answer in events if name == "next" and answer]
    assert len(told) == 2 * len(MISSPELT)
    assert "Did you mean" not in json.dumps(told)
