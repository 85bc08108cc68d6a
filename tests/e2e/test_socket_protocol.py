"""The WebSocket `/graphql` as a protocol: what is spoken on it, and what ends a conversation."""

import json
import time
from collections.abc import Callable, Iterator

import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.client import Api, Json
from tests.databases import Databases
from tests.e2e.process import serving_process
from tests.streams import SECONDS, ClosedByServer, Socket, raw_socket, talking
from tests.towns import make_town

LABELS = "{ labels { name } }"
FEED = 'subscription { auditFeed(townId: "demo") { sequence } }'
LIMIT = 4_000
OPERATIONS = 3


@pytest.fixture(scope="module")
def api(databases: Databases) -> Iterator[Api]:
    """A server with narrow bounds."""
    url = databases.fresh("sqlite")
    with serving_process(
        url, max_body_bytes=LIMIT, max_large_body_bytes=LIMIT, max_stream_operations=OPERATIONS, max_streams=2
    ) as server:
        yield server.api


@pytest.fixture
def talk(api: Api) -> Iterator[Socket]:
    with talking(api) as made:
        yield made


def codes(messages: list[Json]) -> list[tuple[str, list[str]]]:
    """Each message's type with the codes of its errors."""
    found = []
    for message in messages:
        payload = message.get("payload", [])
        errors = payload if isinstance(payload, list) else payload.get("errors", [])
        found.append((message["type"], [error["extensions"]["code"] for error in errors]))
    return found


# ---- operations


def test_query__over_the_socket__is_answered_as_over_post(api: Api, talk: Socket) -> None:
    (answer, complete) = talk.ask(LABELS)
    assert answer["payload"] == api.execute(LABELS)
    assert complete == {"id": "1", "type": "complete"}


def test_mutation__over_the_socket__takes_effect_on_the_account_of_the_handshake(api: Api) -> None:
    town_id = make_town(api)
    query = "mutation ($i: RegisterRigInput!) { registerRig(input: $i) { rig { name } userErrors { code } } }"
    with talking(api, headers={"X-Actor": "joe", "X-Request-Id": "mine-1"}) as made:
        (answer, _) = made.ask(query, i={"townId": town_id, "rigId": "docs", "name": "Docs"})
        assert made.connection.response is not None
        assert made.connection.response.headers["x-request-id"] == "mine-1"
    assert answer["payload"] == {"data": {"registerRig": {"rig": {"name": "Docs"}, "userErrors": []}}}
    (entry, *_) = api.entries(town_id, "requestId actor { displayName }")
    assert entry == {"requestId": "mine-1", "actor": {"displayName": "joe"}}


REFUSED = {
    "a syntax error": ("{", "GRAPHQL_PARSE_FAILED"),
    "an unknown field": ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
    "no operation": ("fragment A on Query { labels { name } }", "INVALID_INPUT"),
    "two operations": ("query A { labels { name } } query B { labels { name } }", "INVALID_INPUT"),
    "two fields of a subscription": (
        FEED.replace("} }", '} b: auditFeed(townId: "demo") { sequence } }'),
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "a town that is not there": ('subscription { auditFeed(townId: "nope") { sequence } }', "NOT_FOUND"),
    "the central chain": ('subscription { auditFeed(townId: "@central") { sequence } }', "NOT_FOUND"),
    "a town id no database could hold": ('subscription { auditFeed(townId: "a\\u0000") { sequence } }', "NOT_FOUND"),
    "signals of no town": ('subscription { mayorRestartSignals(townId: "nope") { sequence } }', "NOT_FOUND"),
    "after a negative": ('subscription { auditFeed(townId: "demo", after: -1) { sequence } }', "INVALID_INPUT"),
    "after the head": ('subscription { auditFeed(townId: "demo", after: 6) { sequence } }', "INVALID_INPUT"),
    "after no number": ('subscription { auditFeed(townId: "demo", after: "x") { sequence } }', "INVALID_INPUT"),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_operation__that_can_not_begin__ends_in_one_error_with_its_code(talk: Socket, case: str) -> None:
    query, code = REFUSED[case]
    assert codes(talk.ask(query)) == [("error", [code])]
    assert [message["type"] for message in talk.ask(LABELS)] == ["next", "complete"]


@pytest.mark.parametrize(
    "payload",
    [{}, {"query": 5}, {"query": " "}, {"query": LABELS, "variables": []}, {"query": LABELS, "extensions": 1}],
)
def test_operation__of_a_payload_that_holds_none__ends_in_an_error(talk: Socket, payload: Json) -> None:
    talk.say(id="1", type="subscribe", payload=payload)
    assert codes([talk.hear()]) == [("error", ["INVALID_INPUT"])]


def test_variables__that_were_left_out__are_an_error_with_data_or_none(talk: Socket) -> None:
    assert codes(talk.ask("query ($t: ID!) { town(townId: $t) { name } }")) == [("error", ["INVALID_INPUT"])]
    assert codes(talk.ask('{ resolution(beadId: "nope") { model } }')) == [("next", ["NOT_FOUND"]), ("complete", [])]


def test_operations__beyond_the_most__are_refused_until_one_is_completed(talk: Socket) -> None:
    for number in range(OPERATIONS):
        talk.subscribe(FEED, id=f"feed-{number}")
    talk.subscribe(LABELS, id="more")
    heard = [talk.hear()]
    while heard[-1]["id"] != "more":
        heard.append(talk.hear())
    assert codes(heard[-1:]) == [("error", ["OPERATION_LIMIT"])]
    talk.say(id="feed-0", type="complete")
    assert any(answer_to(talk, "more")["type"] == "next" for _ in in_time())  # its end takes a moment


def answer_to(talk: Socket, operation_id: str) -> Json:
    """The first message that answers to a query, among what feeds tell."""
    talk.subscribe(LABELS, id=operation_id)
    return next(message for message in iter(talk.hear, None) if message["id"] == operation_id)


def test_complete__of_a_feed__silences_it_and_frees_its_id(talk: Socket) -> None:
    talk.subscribe(FEED)
    assert talk.hear()["payload"] == {"data": {"auditFeed": {"sequence": 1}}}
    talk.say(id="1", type="complete")
    talk.say(id="never-begun", type="complete")
    talk.say(type="ping", payload={})
    while talk.hear()["type"] != "pong":  # what was on its way already
        pass
    talk.subscribe(FEED.replace('"demo"', '"demo", after: 3'))
    assert talk.hear()["payload"] == {"data": {"auditFeed": {"sequence": 4}}}


# ---- what ends a conversation

TEXTS: dict[str, tuple[str | bytes, int]] = {
    "no JSON": ("{", 4400),
    "a list": ("[]", 4400),
    "a key twice": ('{"type": "ping", "type": "ping"}', 4400),
    "NaN": ('{"type": "ping", "payload": {"a": NaN}}', 4400),
    "bytes": (b'{"type": "ping"}', 4400),
    "no type": ("{}", 4400),
    "a type that is no text": ('{"type": []}', 4400),
    "an unknown type": ('{"type": "start"}', 4400),
    "a ping with a text": ('{"type": "ping", "payload": "x"}', 4400),
    "an operation without an id": ('{"type": "subscribe", "payload": {"query": "{ labels { name } }"}}', 4400),
    "an id that is a list": ('{"id": [], "type": "subscribe", "payload": {"query": "{ labels { name } }"}}', 4400),
    "an empty id": ('{"id": "", "type": "complete"}', 4400),
    "a payload that is a list": ('{"id": "1", "type": "subscribe", "payload": []}', 4400),
    "a second initialisation": ('{"type": "connection_init"}', 4429),
    "too long a message": (json.dumps({"type": "ping", "payload": {"a": "x" * LIMIT}}), 1009),
}


@pytest.mark.parametrize("case", sorted(TEXTS))
def test_message__that_breaks_the_protocol__ends_the_conversation(talk: Socket, case: str) -> None:
    message, code = TEXTS[case]
    talk.connection.send(message)
    assert talk.closed() == code


def test_operation__with_the_id_of_one_under_way__ends_the_conversation(talk: Socket) -> None:
    talk.subscribe(FEED)
    talk.subscribe(FEED)
    assert talk.closed() == 4409


BEFORE_INIT: dict[str, tuple[Callable[[Socket], None], int]] = {
    "an operation": (lambda made: made.subscribe(LABELS), 4401),
    "an initialisation with a text": (lambda made: made.say(type="connection_init", payload="x"), 4400),
    "an initialisation with a list": (lambda made: made.say(type="connection_init", payload=[]), 4400),
}


@pytest.mark.parametrize("case", sorted(BEFORE_INIT))
def test_conversation__begun_wrongly__is_ended(api: Api, case: str) -> None:
    begin, code = BEFORE_INIT[case]
    with raw_socket(api) as made:
        begin(made)
        assert made.closed() == code


def test_ping__before_the_initialisation__is_answered(api: Api) -> None:
    with raw_socket(api) as made:
        made.say(type="ping")
        assert made.hear() == {"type": "pong"}
        made.say(type="pong")
        made.say(type="connection_init", payload={})
        assert made.hear() == {"type": "connection_ack"}


def test_conversation__never_begun__is_ended(databases: Databases) -> None:
    with serving_process(databases.fresh("sqlite"), stream_init_seconds=0.2) as server, raw_socket(server.api) as made:
        made.say(type="ping")
        assert made.closed() == 4408


@pytest.mark.parametrize("protocols", [["graphql-ws"], None])
def test_handshake__without_the_protocol__is_ended_at_once(api: Api, protocols: list[str] | None) -> None:
    named = None if protocols is None else [Subprotocol(name) for name in protocols]
    with raw_socket(api, subprotocols=named) as made:
        assert made.connection.subprotocol is None
        assert made.closed() == 4406


def test_handshake__with_both_protocols__speaks_the_newer_one(api: Api) -> None:
    both = [Subprotocol("graphql-ws"), Subprotocol("graphql-transport-ws")]
    with talking(api, subprotocols=both) as made:
        assert made.connection.subprotocol == "graphql-transport-ws"


# ---- what is refused before a conversation, in HTTP


def refused(api: Api, **headers: str) -> tuple[int, str]:
    """Status and code of a handshake that is refused."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with pytest.raises(InvalidStatus) as refusal, raw_socket(api, headers=named):
        pass
    response = refusal.value.response
    assert response.body is not None
    return response.status_code, json.loads(response.body)["errors"][0]["extensions"]["code"]


def test_handshake__of_an_impossible_actor__is_refused(api: Api) -> None:
    assert refused(api, x_actor="x" * 129) == (400, "INVALID_INPUT")


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://127.0.0.1:1"])
def test_handshake__of_a_page_of_another_origin__is_refused(api: Api, origin: str) -> None:
    assert refused(api, origin=origin) == (403, "FORBIDDEN")


def test_handshake__of_a_page_of_the_same_origin__is_welcome(api: Api) -> None:
    with talking(api, headers={"origin": str(api.http.base_url).rstrip("/")}) as made:
        assert [message["type"] for message in made.ask(LABELS)] == ["next", "complete"]


def test_streams__beyond_the_most__are_refused_until_one_has_ended(api: Api) -> None:
    with talking(api):
        with talking(api):
            assert refused(api) == (503, "STREAM_LIMIT")
            headers = {"accept": "text/event-stream"}
            events = api.http.post("/graphql", json={"query": LABELS}, headers=headers)
            assert (events.status_code, events.json()["errors"][0]["extensions"]["code"]) == (503, "STREAM_LIMIT")
            assert api.data(LABELS)
        assert is_welcome_again(api)


def is_welcome_again(api: Api) -> bool:
    """Whether there is room for a stream, once the server has seen that another has ended."""
    headers = {"accept": "text/event-stream"}
    tries = (api.http.post("/graphql", json={"query": LABELS}, headers=headers) for _ in in_time())
    return any(response.status_code == 200 for response in tries)


def in_time() -> Iterator[None]:
    """Tries, for as long as a test may wait."""
    given_up = time.monotonic() + SECONDS
    while time.monotonic() < given_up:
        yield


def test_client__gone_without_a_word__takes_no_place(api: Api) -> None:
    for _ in range(6):  # three times the places there are
        assert is_welcome_again(api)
        try:
            with raw_socket(api) as made:
                made.connection.socket.close()
        except (InvalidStatus, ClosedByServer, OSError):
            pass  # the server may not have seen yet that the one before has gone
    assert is_welcome_again(api)
