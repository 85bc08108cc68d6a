"""Strangers at each door: sent away at once, before anything else that they send is read."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final

import pytest

from models.domain.tokens import Token, read_token
from tests.client import Api
from tests.databases import Databases
from tests.e2e.guarded import guarded
from tests.e2e.process import Server
from tests.raw import HANDSHAKE, JSON_BODY, SECONDS, TEXT, frame, head, wire
from tests.streams import Socket, raw_socket
from tests.tokens import make_token, revoke

Lines = Sequence[str | bytes]

UNSENT: Final = ("Content-Length: 1000000", "Expect: 100-continue")  # of which nothing follows
DOORS: Final[dict[str, tuple[str, str, Lines]]] = {
    "POST": ("POST", "/graphql", (JSON_BODY, *UNSENT)),
    "POST in chunks": ("POST", "/graphql", (JSON_BODY, "Transfer-Encoding: chunked")),
    "a stream of events": ("POST", "/graphql", (JSON_BODY, "Accept: text/event-stream", *UNSENT)),
    "a WebSocket": ("GET", "/graphql", HANDSHAKE),
    "an export": ("GET", "/audit/export", UNSENT),
    "a town's export": ("GET", "/audit/export?townId=demo", UNSENT),
    "metrics": ("GET", "/metrics", UNSENT),
}
JWT: Final = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInNjb3BlcyI6WyJhZG1pbiJdfQ."


def with_another_secret(token: str) -> str:
    known = read_token(token)
    assert known is not None
    return str(Token(token_id=known.token_id, secret=known.secret[::-1]))


SILENT: Final[dict[str, Callable[[str], Lines]]] = {
    "nobody": lambda _: (),
    "a token in a cookie": lambda token: (f"Cookie: authorization=Bearer {token}",),
    "a token for a proxy": lambda token: (f"Proxy-Authorization: Bearer {token}",),
    "a name in dev mode": lambda _: ("X-Actor: admin",),
}
STRANGERS: Final[dict[str, Callable[[str], Lines]]] = {
    "an empty header": lambda _: ("Authorization:",),
    "garbage": lambda _: ("Authorization: Bearer garbage",),
    "bytes": lambda _: (b"Authorization: Bearer \xff\x80\xa0",),
    "no credential": lambda _: ("Authorization: Bearer",),
    "8 kB": lambda _: (f"Authorization: Bearer {'x' * 8_000}",),
    "a token without a scheme": lambda token: (f"Authorization: {token}",),
    "a token after a tab": lambda token: (f"Authorization: Bearer\t{token}",),
    "a token by another scheme": lambda token: (f"Authorization: Token {token}",),
    "a name and a password": lambda _: ("Authorization: Basic YWRtaW46YWRtaW4=",),
    "a wrong checksum": lambda token: (f"Authorization: Bearer {token[:-1]}{'0' if token[-1] != '0' else '1'}",),
    "another secret": lambda token: (f"Authorization: Bearer {with_another_secret(token)}",),
    "an id that nobody has": lambda _: (f"Authorization: Bearer {Token(token_id='0' * 16, secret='0' * 64)}",),
    "a token in capitals": lambda token: (f"Authorization: Bearer {token.upper()}",),
    "a token and a letter": lambda token: (f"Authorization: Bearer {token}x",),
    "a token and a word": lambda token: (f"Authorization: Bearer {token} admin",),
    "two tokens": lambda token: (f"Authorization: Bearer {token}, Bearer {token}",),
    "two headers": lambda token: (f"Authorization: Bearer {token}",) * 2,
    "two headers, one of them empty": lambda token: ("Authorization:", f"Authorization: Bearer {token}"),
    "a JWT where there is no issuer": lambda _: (f"Authorization: Bearer {JWT}",),
}
CASES: Final = [
    *((door, who) for door in DOORS for who in STRANGERS),
    *((door, who) for door in DOORS for who in SILENT if door != "a WebSocket"),  # where it may still be said
]


@pytest.fixture(scope="module")
def server(backend: str, databases: Databases) -> Iterator[Server]:
    """One that logs all there is to log, in which no credential may stand."""
    settings = {"max_failed_sign_ins": 10_000, "stream_init_seconds": SECONDS, "log_level": "DEBUG"}
    with guarded(databases.fresh(backend), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    return make_token(server.api.url, "reader")


def sent_away(api: Api, door: str, lines: Lines, query: str = "") -> bool:
    """Whether someone who sends those lines, and then waits, is answered as a stranger."""
    method, path, more = DOORS[door]
    with wire(api) as made:
        made.send(head(*more, *lines, method=method, path=path + query))
        answer = made.answer()
    assert answer.headers["www-authenticate"] == 'Bearer realm="townclerk"'
    return answer.refusal == (401, ["UNAUTHENTICATED"])


@pytest.mark.parametrize(("door", "who"), CASES)
def test_stranger__at_any_door__is_sent_away_before_the_body_is_read(
    server: Server, token: str, door: str, who: str
) -> None:
    assert sent_away(server.api, door, {**STRANGERS, **SILENT}[who](token))


@pytest.mark.parametrize("door", sorted(set(DOORS) - {"a WebSocket"}))
def test_token__in_the_address__is_worth_nothing(server: Server, token: str, door: str) -> None:
    query = "&" if "?" in DOORS[door][1] else "?"
    assert sent_away(server.api, door, (), f"{query}authorization=Bearer%20{token}&access_token={token}")


@pytest.mark.parametrize("door", DOORS)
def test_token__once_it_is_revoked__is_worth_nothing_at_any_door(server: Server, door: str) -> None:
    token = make_token(server.api.url, "admin")
    revoke(server.api.url, token)
    assert sent_away(server.api, door, (f"Authorization: Bearer {token}",))


@pytest.mark.parametrize("spelling", ["bearer", "BEARER", "Bearer "])
def test_token__however_its_scheme_is_spelt__is_good(server: Server, token: str, spelling: str) -> None:
    answer = server.api.http.get("/metrics", headers={"authorization": f"{spelling} {token}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("who", ["nobody", "garbage"])
def test_probe__by_a_stranger__is_answered(server: Server, path: str, who: str) -> None:
    with wire(server.api) as made:
        made.send(head(*{**STRANGERS, **SILENT}[who](""), method="GET", path=path))
        assert made.answer().status == 200


# ---- WebSockets, on which it can be said who is there a moment later


def greeted(made: Socket, **payload: object) -> None:
    made.say(type="connection_init", payload=payload)


@pytest.mark.parametrize("name", ["authorization", "Authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_greeting__that_holds_a_token__is_good(server: Server, token: str, name: str, scheme: str) -> None:
    with raw_socket(server.api.holding(None)) as made:
        greeted(made, **{name: f"{scheme} {token}"})
        assert made.hear() == {"type": "connection_ack"}
        assert [message["type"] for message in made.ask("{ labels { name } }")] == ["next", "complete"]


GREETINGS: Final[dict[str, Callable[[str], object]]] = {
    "nothing": lambda _: None,
    "an empty object": lambda _: {},
    "no token": lambda _: {"authorization": ""},
    "garbage": lambda _: {"authorization": "Bearer garbage"},
    "a null": lambda _: {"authorization": None},
    "a list": lambda token: {"authorization": [f"Bearer {token}"]},
    "an object": lambda token: {"authorization": {"Bearer": token}},
    "a token without a scheme": lambda token: {"authorization": token},
    "a token under another name": lambda token: {"token": f"Bearer {token}", "headers": {"authorization": token}},
    "another secret": lambda token: {"authorization": f"Bearer {with_another_secret(token)}"},
    "two tokens": lambda token: {"authorization": f"Bearer {token}, Bearer {token}"},
    "a lone surrogate": lambda token: {"authorization": f"Bearer {token}\ud800"},
    "a text for a payload": lambda token: f"Bearer {token}",
    "a list for a payload": lambda token: [f"Bearer {token}"],
}


@pytest.mark.parametrize("greeting", GREETINGS)
def test_greeting__of_a_stranger__ends_the_connection(server: Server, token: str, greeting: str) -> None:
    with raw_socket(server.api.holding(None)) as made:
        made.say(type="connection_init", payload=GREETINGS[greeting](token))
        assert made.closed() == 4401


def test_greeting__after_a_header__does_not_replace_it(server: Server, token: str) -> None:
    introspection = "{ __schema { queryType { name } } }"
    with raw_socket(server.api.holding(token)) as made:
        greeted(made, **server.api.credential)
        assert made.hear() == {"type": "connection_ack"}
        (message,) = made.ask(introspection)
        assert message["payload"][0]["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize("kind", ["subscribe", "ping", "pong", "complete", "start", None])
def test_first_message__of_a_stranger__has_to_be_a_greeting(server: Server, kind: str | None) -> None:
    with raw_socket(server.api.holding(None)) as made:
        made.say(id="1", type=kind, payload={"query": "{ labels { name } }"})
        assert made.closed() == 4401


@pytest.mark.parametrize(("length", "code"), [(20_001, 1009), (100_000, 1009), (2_100_000, 1009)])
def test_greeting__of_a_stranger__that_is_too_long__ends_the_connection(server: Server, length: int, code: int) -> None:
    with raw_socket(server.api.holding(None)) as made:
        with suppress(OSError):  # it may have heard enough before all was sent
            made.connection.send('{"type": "connection_init"}'.ljust(length))
        assert made.closed() == code


def test_greeting__as_long_as_may_be__is_read(server: Server, token: str) -> None:
    with raw_socket(server.api.holding(None)) as made:
        greeting = f'{{"type": "connection_init", "payload": {{"authorization": "Bearer {token}"}}}}'
        made.connection.send(greeting.ljust(20_000))
        assert made.hear() == {"type": "connection_ack"}


def test_token__in_the_address_of_a_websocket__is_worth_nothing(server: Server, token: str) -> None:
    with wire(server.api) as made:
        made.send(head(*HANDSHAKE, method="GET", path=f"/graphql?authorization=Bearer%20{token}&token={token}"))
        assert made.answer().status == 101
        made.send(frame(TEXT, b'{"type": "connection_init"}'))
        assert made.closed() == 4401
