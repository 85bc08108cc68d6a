"""Bodies that are no honest ones: too long, without an end, too slow; and ids that are to be seen in the log."""

import gzip
import json
from collections.abc import Iterator
from typing import Final

import pytest

from tests.client import Api
from tests.databases import Databases
from tests.e2e.guarded import guarded, serves
from tests.e2e.process import Server
from tests.raw import CHUNKED, HANDSHAKE, JSON_BODY, Answer, chunk, head, request, wire
from tests.streams import event_stream, raw_socket, talking
from tests.tokens import make_token
from tests.towns import make_town

MEGABYTE: Final = 1_000_000
LABELS: Final = "{ labels { name } }"
BODY_LIMIT: Final = (413, ["BODY_LIMIT"])
FORGED: Final = "forged-by-a-client"
SYNC: Final = "mutation ($s: SyncBeadsInput!) { syncBeads(input: $s) { synced } }"
IMPORT: Final = "mutation ($i: ImportTownInput!) { importTown(input: $i) { userErrors { code path } } }"
NOT_FOR_MUCH: Final = ["reader", "auditor"]
FOR_MUCH: Final = ["dispatcher", "editor", "admin"]


@pytest.fixture(scope="module")
def server(backend: str, databases: Databases) -> Iterator[Server]:
    """One whose log never holds what nobody but a client has said."""
    with guarded(databases.fresh(backend)) as running:
        yield running
    assert [line for line in running.log if FORGED in line] == []


def holding(server: Server, *scopes: str) -> Api:
    return server.api.holding(make_token(server.api.url, *scopes))


def posted(api: Api, body: bytes) -> Answer:
    return request(api, JSON_BODY, body=body)


def document(query: str, *, size: int, **others: object) -> bytes:
    return json.dumps({"query": query, **others}).encode().ljust(size)


# ---- how long


@pytest.mark.parametrize("scope", ["reader", "editor", None])
def test_bodies__of_ten_megabytes__take_no_room(server: Server, scope: str | None) -> None:
    api = server.api.holding(None) if scope is None else holding(server, scope)
    with server.growing_less_than(20 * MEGABYTE):
        for _ in range(20):
            answer = posted(api, b" " * (10 * MEGABYTE))
            assert answer.refusal == ((401, ["UNAUTHENTICATED"]) if scope is None else BODY_LIMIT)
    assert serves(server.api)


@pytest.mark.parametrize(("scope", "most"), [("reader", 100_000), ("editor", 2_000_000)])
@pytest.mark.parametrize("size", [1_000, 60_000])
def test_body__in_chunks_without_an_end__is_refused_at_the_limit(
    server: Server, scope: str, most: int, size: int
) -> None:
    part = chunk(b" " * size)
    with server.growing_less_than(20 * MEGABYTE), wire(holding(server, scope)) as made:
        made.send(head(JSON_BODY, CHUNKED, api=holding(server, scope)), part * (most // size))
        assert serves(server.api)
        made.send(part)
        assert made.answer().refusal == BODY_LIMIT
        made.floods(part * 10, at_most=20 * MEGABYTE)
    assert serves(server.api)


@pytest.mark.parametrize("scope", NOT_FOR_MUCH)
def test_body__longer_than_its_sender_may_send__is_refused_before_it_comes(server: Server, scope: str) -> None:
    with wire(server.api) as made:
        made.send(head(JSON_BODY, "Content-Length: 100001", api=holding(server, scope)))
        assert made.answer().refusal == BODY_LIMIT


@pytest.mark.parametrize("scope", FOR_MUCH)
def test_body__longer_than_anybody_may_send__is_refused_before_it_comes(server: Server, scope: str) -> None:
    with wire(server.api) as made:
        made.send(head(JSON_BODY, "Content-Length: 2000001", "Expect: 100-continue", api=holding(server, scope)))
        assert made.answer().refusal == BODY_LIMIT


LARGE: Final = {
    "a query": (LABELS, None),
    "a query by the name of a sync": ("{ syncBeads: labels { name } }", None),
    "a sync beside another mutation": (SYNC.replace("{ synced }", "{ synced } __typename"), None),
    "a sync beside another in a fragment": (
        SYNC.replace("{ synced }", "{ synced } ...A")
        + " fragment A on Mutation { removeRig(input: {}) { __typename } }",
        None,
    ),
    "a sync that is not run": (f"query A {LABELS} {SYNC.replace('mutation', 'mutation B')}", "A"),
    "an operation that is not there": (SYNC.replace("mutation", "mutation B"), "C"),
    "several of which none is named": (f"query A {LABELS} {SYNC.replace('mutation', 'mutation B')}", None),
    "no GraphQL": ("syncBeads", None),
}


@pytest.mark.parametrize("large", sorted(set(LARGE) - {"no GraphQL"}))
def test_body__that_is_long_and_neither_imports_nor_syncs__is_refused(server: Server, large: str) -> None:
    query, name = LARGE[large]
    assert posted(server.api, document(query, size=150_000, operationName=name)).refusal == BODY_LIMIT


def test_body__that_is_long_and_no_graphql__is_refused(server: Server) -> None:
    assert posted(server.api, document("syncBeads", size=150_000)).codes == ["GRAPHQL_PARSE_FAILED"]


@pytest.mark.parametrize("scope", ["editor", "dispatcher"])
def test_sync__of_a_megabyte__is_taken(server: Server, scope: str) -> None:
    town_id = make_town(server.api, rigs=())
    beads = [{"beadId": f"{town_id}-{number}", "title": "x" * 950} for number in range(1_000)]
    body = document(SYNC, size=MEGABYTE, variables={"s": {"townId": town_id, "beads": beads}})
    assert json.loads(posted(holding(server, scope), body).body) == {"data": {"syncBeads": {"synced": 1_000}}}


def test_import__of_a_megabyte__is_taken(server: Server) -> None:
    config = {"notes": ["x" * 1_000] * 1_000}
    town = {"townId": "no id", "name": "A town", "config": config}
    answer = posted(server.api, document(IMPORT, size=MEGABYTE, variables={"i": town}))
    assert json.loads(answer.body)["data"]["importTown"]["userErrors"] == [
        {"code": "INVALID_INPUT", "path": ["townId"]}
    ]


def test_operation__that_is_long__is_refused_over_streams_too(server: Server) -> None:
    query = LABELS.ljust(150_000)
    with event_stream(server.api, query) as events:
        told = [answer for name, answer in events if name == "next" and answer]
    assert [error["extensions"]["code"] for each in told for error in each["errors"]] == ["BODY_LIMIT"]
    with talking(server.api) as made:
        (message,) = made.ask(query)
        assert [error["extensions"]["code"] for error in message["payload"]] == ["BODY_LIMIT"]


def test_message__longer_than_anything_may_be__ends_the_conversation(server: Server) -> None:
    with raw_socket(server.api) as made:
        made.say(type="connection_init", payload={"x": "x" * 2_100_000})
        assert made.closed() == 1009


def test_body__that_is_packed__is_not_unpacked(server: Server) -> None:
    body = gzip.compress(b" " * (50 * MEGABYTE))
    with server.growing_less_than(20 * MEGABYTE):
        answer = request(server.api, JSON_BODY, "Content-Encoding: gzip", body=body)
        assert answer.refusal == (400, ["INVALID_INPUT"])


# ---- how slow


@pytest.fixture(scope="module")
def hurried(backend: str, databases: Databases) -> Iterator[Server]:
    with guarded(databases.fresh(backend), body_seconds=0.5) as running:
        yield running


@pytest.mark.parametrize("part", [b"", b" "], ids=["not", "little by little"])
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_body__that_does_not_come__is_answered(hurried: Server, part: bytes, accept: str) -> None:
    with wire(hurried.api) as made:
        made.send(head(JSON_BODY, "Content-Length: 1000", f"Accept: {accept}", api=hurried.api))
        assert serves(hurried.api)
        assert made.dribbles(part)
        answer = made.answer()
        assert answer.refusal == (408, ["DEADLINE"])
        assert answer.headers["connection"] == "close"
        assert made.ended() == b""


def test_bodies__that_do_not_come__keep_nobody_out(hurried: Server) -> None:
    with hurried.growing_less_than(20 * MEGABYTE):
        for _ in range(50):
            with wire(hurried.api) as made:
                made.send(head(JSON_BODY, "Content-Length: 90000", api=hurried.api), b" " * 80_000)
                made.goes()
    assert serves(hurried.api)


# ---- what is said of requests in the log

ODD_IDS: Final = {
    "a space": f"{FORGED} x",
    "markup": f"<b>{FORGED}</b>",
    "JSON": f'","level":"error","event":"{FORGED}',
    "129 characters": FORGED.ljust(129, "x"),
    "30,000 characters": FORGED.ljust(30_000, "x"),
    "Latin-1": f"{FORGED}\xe4",
    "an escape": f"{FORGED}%0d%0aSet-Cookie: a",
    "a tab": f"{FORGED}\tx",
    "a semicolon": f"{FORGED};x",
}
SPLIT_IDS: Final = {
    "a line feed": f"a\nX-{FORGED}: 1",
    "a carriage return": f"a\r{FORGED}",
    "both": f"a\r\nX-{FORGED}: 1",
    "a header more": f"a\r\nX-Request-Id: {FORGED}",
    "a folded line": f"a\r\n {FORGED}",
    "NUL": f"a\x00{FORGED}",
    "an escape sequence": f"a\x1b[31m{FORGED}",
}
ASKED: Final = {
    "an answer": ("POST", "/graphql", (JSON_BODY,)),
    "a refusal": ("POST", "/graphql", ()),
    "a handshake": ("GET", "/graphql", (*HANDSHAKE, "Origin: http://elsewhere.example")),
    "nothing": ("GET", "/nowhere", ()),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("odd", sorted({*ODD_IDS, *SPLIT_IDS} - {"30,000 characters"}))
def test_request_id__that_is_odd__is_not_echoed(server: Server, odd: str, asked: str) -> None:
    method, path, lines = ASKED[asked]
    given = {**ODD_IDS, **SPLIT_IDS}[odd]
    body = json.dumps({"query": LABELS}).encode() if method == "POST" else b""
    length = () if method == "GET" else (f"Content-Length: {len(body)}",)
    with wire(server.api) as made:
        made.send(head(*lines, *length, f"X-Request-Id: {given}", method=method, path=path, api=server.api), body)
        answer = made.answer()
    assert FORGED not in f"{answer.headers}{answer.body!r}"
    if answer.status != 400:  # for what is no HTTP at all
        assert all(each == "a" or each.isalnum() for each in answer.headers.get_all("x-request-id", []))


def test_request_id__that_is_long__is_not_echoed(server: Server) -> None:
    answer = request(
        server.api, f"X-Request-Id: {ODD_IDS['30,000 characters']}", JSON_BODY, method="GET", path="/healthz"
    )
    assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize("asked", ASKED)
def test_request_id__that_is_sane__is_echoed(server: Server, asked: str) -> None:
    method, path, lines = ASKED[asked]
    with wire(server.api) as made:
        made.send(head(*lines, "X-Request-Id: mine:1.2_3-4", method=method, path=path, api=server.api))
        assert made.answer().headers.get_all("x-request-id") == ["mine:1.2_3-4"]
