"""Limits on documents over HTTP: a typed answer before any work is done, whichever way a document comes."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import pytest
from graphql import get_introspection_query

from api.schema import documents
from tests.client import Api, Json, serving
from tests.contract.inputs import quiet
from tests.contract.recipes import unique
from tests.databases import Databases
from tests.towns import make_town

GRAPHQL_JSON: Final = "application/graphql-response+json"
EVENT_STREAM: Final = "text/event-stream"
PROTOCOL: Final = "graphql-transport-ws"
LABELS: Final = "{ labels { name } }"
FRAGMENT: Final = "fragment F{} on Query {{ {} }} "


def deep(depth: int) -> str:
    """A valid document of that depth: a town's override set, that set's town, and so on."""
    inner = "{ __typename }"
    for level in range(depth - 1, 1, -1):
        inner = f"{{ {'town' if level % 2 else 'overrideSet'} {inner} }}"
    return f'{{ town(townId: "nowhere") {inner} }}'


def spreading(total: int) -> str:
    """A valid document of so many fields, by fragments that spread each other."""
    return (
        "{ labels { ...A ...A ...A ...A ...A ...A ...A name " + "name " * (total - 702) + "} }"
        " fragment A on LabelInfo { " + "name " * 100 + "}"
    )


def costing(total: int) -> str:
    """A valid document that costs `total`: towns, 200 nodes of fields below them, and some more beside them."""
    per_node, rest = divmod(total - 2, 200)
    below = f"edges {{ node {{ {'name ' * (per_node - 2)} }} }}"
    return f"{{ towns(first: 200) {{ {below} }} labels {{ {'name ' * rest} }} }}"


# By limit: what is allowed, and a valid document that has so many.
DOCUMENTS: Final[Mapping[str, tuple[int, Callable[[int], str]]]] = {
    "operations": (5, lambda n: " ".join(f"query Q{i} {LABELS}" for i in range(n))),
    "fragments": (
        30,
        lambda n: (
            "{ ...F0 } "
            + "".join(FRAGMENT.format(i, f"...F{i + 1}") for i in range(n - 1))
            + FRAGMENT.format(n - 1, "labels { name }")
        ),
    ),
    "depth": (12, deep),
    "root fields": (20, lambda n: "{ " + "labels { name } " * n + "}"),
    "fields": (800, spreading),
    "aliases": (30, lambda n: "{ labels { " + " ".join(f"a{i}: name" for i in range(n)) + " } }"),
    "directives": (30, lambda n: "{ labels { " + "name @include(if: true) " * n + "} }"),
    "cost": (50_000, costing),
}


def asked(api: Api, query: str, accept: str = "application/json", **variables: Any) -> tuple[int, Json]:
    """Status and answer to a document, of which the first operation is to be run where it has several."""
    several = query.startswith("query Q0")
    body = {"query": query, "variables": variables, "operationName": "Q0" if several else None}
    response = api.http.post("/graphql", json=body, headers={"accept": accept})
    if accept == EVENT_STREAM:
        (event,) = (line for line in response.text.splitlines() if line.startswith("data: {"))
        return response.status_code, json.loads(event.removeprefix("data: "))
    return response.status_code, response.json()


def asked_over_socket(api: Api, query: str) -> Json:
    operation = {"query": query, "operationName": "Q0" if query.startswith("query Q0") else None}
    with api.http.websocket_connect("ws://localhost/graphql", subprotocols=[PROTOCOL]) as socket:
        socket.send_json({"type": "connection_init"})
        assert socket.receive_json() == {"type": "connection_ack"}
        socket.send_json({"id": "1", "type": "subscribe", "payload": operation})
        heard: Json = socket.receive_json()
    return heard


def is_refusal(answer: Json, limit: str) -> bool:
    """Whether an answer is a refusal for that limit and nothing else."""
    (error,) = answer["errors"]
    extensions = {"code": "QUERY_LIMIT", "limit": limit, "allowed": DOCUMENTS[limit][0]}
    return "data" not in answer and error["extensions"] == extensions and limit in error["message"]


@pytest.mark.parametrize("limit", DOCUMENTS)
def test_document__at_a_limit__is_answered(shared_api: Api, limit: str) -> None:
    allowed, document = DOCUMENTS[limit]
    status, answer = asked(shared_api, document(allowed), GRAPHQL_JSON)
    assert (status, "errors" in answer, "data" in answer) == (200, False, True)


@pytest.mark.parametrize(("accept", "status"), [("application/json", 200), (GRAPHQL_JSON, 400), (EVENT_STREAM, 200)])
@pytest.mark.parametrize("limit", DOCUMENTS)
def test_document__over_a_limit__is_refused_for_it(shared_api: Api, limit: str, accept: str, status: int) -> None:
    allowed, document = DOCUMENTS[limit]
    got, answer = asked(shared_api, document(allowed + 1), accept)
    assert got == status
    assert is_refusal(answer, limit)
    assert "errors" not in shared_api.execute(LABELS)


@pytest.mark.parametrize("limit", DOCUMENTS)
def test_document__over_a_limit_over_a_socket__is_refused_for_it(shared_api: Api, limit: str) -> None:
    allowed, document = DOCUMENTS[limit]
    assert asked_over_socket(shared_api, document(allowed))["type"] == "next"
    heard = asked_over_socket(shared_api, document(allowed + 1))
    assert (heard["type"], heard["id"]) == ("error", "1")
    assert is_refusal({"errors": heard["payload"]}, limit)


def test_document__under_the_limits_and_asked_again__is_neither_parsed_nor_validated_again(
    shared_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for name in ("parse", "validated"):
        monkeypatch.setattr(documents, name, partial(noted, done, name, getattr(documents, name)))
    query = f"query {unique('Again').replace('-', '_')} {LABELS}"
    for _ in range(3):
        assert "errors" not in shared_api.execute(query)
    assert done == ["parse", "validated"]


def noted(done: list[str], name: str, act: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    done.append(name)
    return act(*args, **kwargs)


def test_document__over_a_limit_and_asked_again__is_refused_again(shared_api: Api) -> None:
    first, second = (asked(shared_api, DOCUMENTS["aliases"][1](31)) for _ in range(2))
    assert first == second


def test_document__over_a_limit_and_invalid__is_refused_before_it_is_validated(shared_api: Api) -> None:
    assert shared_api.codes("{ labels { " + "nope " * 800 + "} }") == ["QUERY_LIMIT"]


def test_document__of_exponential_fragments__is_refused(shared_api: Api) -> None:
    links = "".join(FRAGMENT.format(n, f"...F{n + 1} " * 10) for n in range(29))
    document = "{ ...F0 } " + links + FRAGMENT.format(29, "labels { name }")
    assert shared_api.codes(document) == ["QUERY_LIMIT"]


def test_subscription__over_a_limit__is_refused_before_it_begins(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    names = " ".join(f"a{number}: sequence" for number in range(31))
    query = f'subscription {{ auditFeed(townId: "{town_id}") {{ {names} }} }}'
    assert is_refusal(asked(shared_api, query, EVENT_STREAM)[1], "aliases")
    assert is_refusal({"errors": asked_over_socket(shared_api, query)["payload"]}, "aliases")


def test_mutation__over_a_limit__changes_nothing(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    before = shared_api.entries(town_id)
    rigs = " ".join(
        f'r{number}: registerRig(input: {{townId: "{town_id}", rigId: "r{number}", name: "R"}}) {{ __typename }}'
        for number in range(21)
    )
    assert shared_api.codes(f"mutation {{ {rigs} }}") == ["QUERY_LIMIT"]
    assert shared_api.entries(town_id) == before


def test_cost__of_a_page_in_a_variable__decides(shared_api: Api) -> None:
    fields = "name " * 20
    query = (
        "query ($n: Int) { towns(first: $n) { edges { node { overrideSets(first: 200) { edges { node {"
        f" town {{ {fields} }} }} }} }} }} }} }} }}"
    )
    assert "errors" not in shared_api.execute(query, n=10)
    for variables in ({}, {"n": None}, {"n": 200}):
        assert is_refusal(shared_api.execute(query, **variables), "cost")


@pytest.mark.parametrize(("first", "code"), [(0, "INVALID_INPUT"), (201, "INVALID_INPUT"), ("7", "INVALID_INPUT")])
def test_page__of_an_impossible_size_under_the_limits__is_refused_as_before(
    shared_api: Api, first: object, code: str
) -> None:
    query = "query ($n: Int) { towns(first: $n) { edges { cursor } } }"
    assert shared_api.codes(query, n=first) == [code]


def test_introspection__as_tools_send_it__is_answered(shared_api: Api) -> None:
    query = get_introspection_query(specified_by_url=True, directive_is_repeatable=True, schema_description=True)
    assert len(shared_api.data(query)["__schema"]["types"]) > 50


def test_resolutions__of_a_thousand_beads_with_all_that_decided__are_answered(shared_api: Api) -> None:
    query = """query ($b: [ID!]!) { resolutions(beadIds: $b) { beadId error { code } resolution {
        beadId townId role model smallModel because overrideSetVersion profileName profileVersion fingerprint
        matchedRule { source key title role label rigId model specificity }
        considered { source key title model outcome }
    } } }"""
    found = shared_api.data(query, b=["nowhere"] * 1000)["resolutions"]
    assert len(found) == 1000


def test_limits__that_are_set__are_those_that_count(backend: str, databases: Databases) -> None:
    settings: dict[str, Any] = {
        f"max_query_{name.replace(' ', '_')}": allowed + 1 for name, (allowed, _) in DOCUMENTS.items()
    }
    with quiet(), serving(databases.fresh(backend), **settings, max_query_tokens=2_000) as api:
        for allowed, document in DOCUMENTS.values():
            assert "errors" not in asked(api, document(allowed + 1))[1]
            assert asked(api, document(allowed + 2))[1]["errors"][0]["extensions"]["code"] == "QUERY_LIMIT"
        assert api.codes("{ labels { " + "name " * 2_000 + "} }") == ["GRAPHQL_PARSE_FAILED"]


def test_metrics__of_a_document_over_a_limit__count_its_code(shared_api: Api) -> None:
    shared_api.execute(DOCUMENTS["aliases"][1](31))
    assert 'townclerk_graphql_errors_total{code="QUERY_LIMIT"}' in shared_api.http.get("/metrics").text
