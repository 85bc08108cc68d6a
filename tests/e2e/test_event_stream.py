"""GraphQL over server-sent events: one operation a request, in distinct connections."""

from collections.abc import Iterator

import pytest

from tests.client import Api, Json
from tests.databases import Databases
from tests.e2e.process import serving_process
from tests.streams import event_stream
from tests.towns import make_town

LABELS = "{ labels { name } }"
FEED = 'subscription { auditFeed(townId: "demo") { sequence } }'
ACCEPT = {"accept": "text/event-stream"}


@pytest.fixture(scope="module")
def api(databases: Databases) -> Iterator[Api]:
    with serving_process(databases.fresh("sqlite"), stream_keep_alive_seconds=0.05) as server:
        yield server.api


def told(api: Api, query: str) -> list[tuple[str, Json | None]]:
    """The events of an operation that ends by itself, without the comments between them."""
    with event_stream(api, query) as events:
        return [event for event in events if event[0]]


def test_query__as_a_stream__is_one_answer_and_its_end(api: Api) -> None:
    assert told(api, LABELS) == [("next", api.execute(LABELS)), ("complete", None)]


def test_mutation__as_a_stream__takes_effect_once(api: Api) -> None:
    town_id = make_town(api)
    rig = f'{{ townId: "{town_id}", rigId: "docs", name: "Docs" }}'
    query = f"mutation {{ registerRig(input: {rig}) {{ userErrors {{ code }} }} }}"
    answer: Json = {"data": {"registerRig": {"userErrors": []}}}
    assert told(api, query) == [("next", answer), ("complete", None)]
    (entry, *_) = api.entries(town_id)
    assert entry == {"sequence": 4, "action": "RIG_REGISTERED"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { labels { name } } query B { labels { name } }", "INVALID_INPUT"),
        ('subscription { auditFeed(townId: "nope") { sequence } }', "NOT_FOUND"),
        ('subscription { auditFeed(townId: "demo", after: 9) { sequence } }', "INVALID_INPUT"),
    ],
)
def test_operation__that_can_not_begin__tells_so_in_its_stream(api: Api, query: str, code: str) -> None:
    first, end = told(api, query)
    assert first[0] == "next"
    assert first[1] is not None
    assert [error["extensions"]["code"] for error in first[1]["errors"]] == [code]
    assert end == ("complete", None)


def test_feed__with_nothing_to_tell__shows_that_it_lives(api: Api) -> None:
    with event_stream(api, FEED.replace('"demo"', '"demo", after: 5')) as events:
        assert [next(events) for _ in range(3)] == [("", None)] * 3


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"[]", 400), (b'{"query": " "}', 400), (b'{"query": "' + b"x" * 2_000_000, 413)]
)
def test_body__that_holds_no_operation__is_refused_as_over_post(api: Api, body: bytes, status: int) -> None:
    refusal = api.http.post("/graphql", content=body, headers={"content-type": "application/json", **ACCEPT})
    assert (refusal.status_code, refusal.headers["content-type"]) == (status, "application/json")
    assert refusal.json()["errors"][0]["extensions"]["code"]


def test_answer__as_a_stream__echoes_the_request_id(api: Api) -> None:
    response = api.http.post("/graphql", json={"query": LABELS}, headers={"x-request-id": "mine-2", **ACCEPT})
    assert response.headers["x-request-id"] == "mine-2"
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("accept", ["application/json", "*/*", "application/graphql-response+json"])
def test_subscription__over_plain_post__is_refused_with_a_code(api: Api, accept: str) -> None:
    response = api.http.post("/graphql", json={"query": FEED}, headers={"accept": accept})
    assert response.status_code == 400
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["NEEDS_STREAM"]
