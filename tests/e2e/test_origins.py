"""Pages of other origins: none may use the API unless the settings name it."""

import json
from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from tests.client import Api
from tests.databases import Databases
from tests.e2e.guarded import guarded
from tests.e2e.process import Server
from tests.raw import HANDSHAKE, JSON_BODY, Answer, request
from tests.streams import raw_socket
from tests.tokens import make_token

OURS: Final = "https://ui.example"
OTHERS: Final = [
    "https://evil.example",
    "http://ui.example",
    "https://ui.example.evil.example",
    "https://evil-ui.example",
    "https://ui.example:444",
    "https://UI.EXAMPLE",
    "https://ui.example/",
    "https://ui.example@evil.example",
    "null",
    "*",
    "",
    "https://[",
]
BODY: Final = b'{"query": "{ labels { name } }"}'
PREFLIGHT: Final = (
    "Access-Control-Request-Method: POST",
    "Access-Control-Request-Headers: authorization, content-type, x-on-behalf-of, x-request-id",
)


@pytest.fixture(scope="module")
def server(backend: str, databases: Databases) -> Iterator[Server]:
    """A server that no origin is named to."""
    with guarded(databases.fresh(backend)) as running:
        yield running


@pytest.fixture(scope="module")
def named(backend: str, databases: Databases) -> Iterator[Server]:
    with guarded(databases.fresh(backend), cors_origins=json.dumps([OURS])) as running:
        yield running


def access(answer: Answer) -> dict[str, str]:
    """What an answer says that pages may do."""
    return {name.lower(): value for name, value in answer.headers.items() if name.lower().startswith("access-control")}


def preflight(api: Api, origin: str) -> Answer:
    return request(api.holding(None), f"Origin: {origin}", *PREFLIGHT, method="OPTIONS")


ASKED: Final[dict[str, tuple[str, str, Sequence[str], bytes]]] = {
    "POST": ("POST", "/graphql", (JSON_BODY,), BODY),
    "a stream of events": ("POST", "/graphql", (JSON_BODY, "Accept: text/event-stream", "Connection: close"), BODY),
    "a refusal": ("POST", "/graphql", (), BODY),
    "an export": ("GET", "/audit/export", (), b""),
    "metrics": ("GET", "/metrics", (), b""),
    "no path": ("GET", "/nowhere", (), b""),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("known", [True, False], ids=["someone", "a stranger"])
def test_answer__where_no_origin_is_named__is_for_no_page(server: Server, asked: str, known: bool) -> None:  # noqa: FBT001
    method, path, lines, body = ASKED[asked]
    api = server.api if known else server.api.holding(None)
    assert access(request(api, f"Origin: {OURS}", *lines, method=method, path=path, body=body)) == {}


def test_preflight__where_no_origin_is_named__is_refused(server: Server) -> None:
    answer = preflight(server.api, OURS)
    assert (answer.refusal, access(answer)) == ((405, ["METHOD_NOT_ALLOWED"]), {})


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("known", [True, False], ids=["someone", "a stranger"])
def test_answer__to_a_page_of_the_origin_named__is_for_it(named: Server, asked: str, known: bool) -> None:  # noqa: FBT001
    method, path, lines, body = ASKED[asked]
    api = named.api if known else named.api.holding(None)
    answer = request(api, f"Origin: {OURS}", *lines, method=method, path=path, body=body)
    found = access(answer)
    assert found.pop("access-control-expose-headers")
    assert found == {"access-control-allow-origin": OURS}  # and no credentials that a browser sends by itself
    assert "origin" in answer.headers["vary"].lower()


def test_preflight__of_a_page_of_the_origin_named__lets_it_send_a_token(named: Server) -> None:
    answer = preflight(named.api, OURS)
    found = access(answer)
    assert (answer.status, found["access-control-allow-origin"]) == (200, OURS)
    assert "POST" in found["access-control-allow-methods"]
    assert "authorization" in found["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in found


@pytest.mark.parametrize("origin", OTHERS)
def test_page__of_an_origin_that_is_not_named__is_not_let_in(named: Server, origin: str) -> None:
    told = preflight(named.api, origin)
    assert told.status >= 400
    assert "access-control-allow-origin" not in access(told)
    answer = request(named.api, f"Origin: {origin}", JSON_BODY, body=BODY)
    assert "access-control-allow-origin" not in access(answer)


@pytest.mark.parametrize("origin", OTHERS)
def test_socket__of_a_page_of_an_origin_that_is_not_named__is_refused(named: Server, origin: str) -> None:
    for api in (named.api, named.api.holding(None)):
        answer = request(api, f"Origin: {origin}", *HANDSHAKE, method="GET")
        assert answer.refusal == (403, ["FORBIDDEN"])


def test_socket__of_a_page_of_an_origin__is_refused_where_none_is_named(server: Server) -> None:
    assert request(server.api, f"Origin: {OURS}", *HANDSHAKE, method="GET").refusal == (403, ["FORBIDDEN"])


def test_socket__of_a_page_of_the_origin_named__is_welcome(named: Server) -> None:
    token = make_token(named.api.url, "reader")
    with raw_socket(named.api.holding(None), headers={"origin": OURS}) as made:
        made.say(type="connection_init", payload={"authorization": f"Bearer {token}"})
        assert made.hear() == {"type": "connection_ack"}
