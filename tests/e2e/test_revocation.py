"""A token that is revoked, or expires, while something is under way with it: that ends, soon, and nothing else does."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from tests.chains import add_chain
from tests.client import Api, Json
from tests.databases import Databases
from tests.e2e.guarded import guarded
from tests.e2e.process import Server
from tests.raw import JSON_BODY, Wire, head, request
from tests.streams import AUDIT_FEED, event_stream, raw_socket, small_socket, talking
from tests.tokens import make_token, revoke
from tests.towns import make_town

SOON: Final = 10.0  # seconds on a busy machine; it is one at most
FEED: Final = AUDIT_FEED.format("sequence")
ENTRIES, SIZE = 120, 200_000  # more than any buffers on the way hold


@pytest.fixture(scope="module")
def chain(backend: str, databases: Databases) -> tuple[str, str]:
    """The URL of a database, and a chain in it that takes a while to download."""
    url = databases.fresh(backend)
    return url, add_chain(url, ENTRIES, size=SIZE)


@pytest.fixture(scope="module")
def server(chain: tuple[str, str]) -> Iterator[Server]:
    with guarded(chain[0], stream_keep_alive_seconds=1) as running:
        yield running


@pytest.fixture(scope="module")
def town_id(server: Server) -> str:
    return make_town(server.api, rigs=())


@pytest.fixture
def token(server: Server) -> str:
    return make_token(server.api.url, "auditor")


@pytest.fixture
def api(server: Server, token: str) -> Api:
    """Somebody whose token is going to be revoked."""
    return server.api.holding(token)


class Soon:
    """That something happens soon after it was begun."""

    def __enter__(self) -> None:
        self._begun = time.monotonic()

    def __exit__(self, *_: object) -> None:
        assert time.monotonic() - self._begun < SOON


def test_socket__of_a_token_that_is_revoked__is_closed(server: Server, api: Api, token: str, town_id: str) -> None:
    with talking(api) as made, talking(server.api) as other:
        for each in (made, other):
            each.subscribe(FEED, t=town_id)
            assert each.hear()["payload"]["data"] == {"auditFeed": {"sequence": 1}}
        with Soon():
            revoke(server.api.url, token)
            assert made.closed() == 4403
        assert [message["type"] for message in other.ask("{ labels { name } }", id="2")] == ["next", "complete"]


def test_socket__whose_greeting_held_a_token_that_is_revoked__is_closed(server: Server, api: Api, token: str) -> None:
    with raw_socket(api.holding(None)) as made:
        made.say(type="connection_init", payload=api.credential)
        assert made.hear() == {"type": "connection_ack"}
        with Soon():
            revoke(server.api.url, token)
            assert made.closed() == 4403


def test_events__of_a_token_that_is_revoked__end_in_an_error(
    server: Server, api: Api, token: str, town_id: str
) -> None:
    with event_stream(api, FEED, t=town_id) as events:
        assert next(event for event in events if event[0]) == ("next", {"data": {"auditFeed": {"sequence": 1}}})
        with Soon():
            revoke(server.api.url, token)
            told = rest(events)
    assert [(name, codes(answer)) for name, answer in told] == [("next", ["UNAUTHENTICATED"]), ("complete", [])]


def rest(events: Iterator[tuple[str, Json | None]]) -> list[tuple[str, Json | None]]:
    """All that is told until a stream ends, which shows that it lives for as long as it does not."""
    until = time.monotonic() + SOON
    told = []
    for event in events:
        assert time.monotonic() < until
        told.append(event)
    return [event for event in told if event[0]]


def codes(answer: Json | None) -> list[str]:
    return [] if answer is None else [error["extensions"]["code"] for error in answer["errors"]]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_download__with_a_token_that_is_revoked__is_cut_off(
    server: Server, api: Api, token: str, chain: tuple[str, str], form: str
) -> None:
    with closing(small_socket(api)) as connection, talking(api) as beside:
        made = Wire(connection)
        made.send(head(method="GET", path=f"/audit/export?townId={chain[1]}&format={form}", api=api))
        assert connection.recv(12) == b"HTTP/1.1 200"
        with Soon():
            revoke(server.api.url, token)
            assert beside.closed() == 4403  # by now it is known
        received = made.ended()
    assert len(received) < ENTRIES * SIZE
    assert not received.endswith(b"\r\n0\r\n\r\n")  # the last chunk; a line of CSV may well end in a 0


def test_request__with_a_token_that_is_revoked__is_refused(server: Server, api: Api, token: str) -> None:
    body = b'{"query": "{ labels { name } }"}'
    assert request(api, JSON_BODY, body=body).status == 200
    revoke(server.api.url, token)
    with Soon():
        while (answer := request(api, JSON_BODY, body=body)).status == 200:
            pass
    assert answer.refusal == (401, ["UNAUTHENTICATED"])


def test_streams__of_a_token_that_expires__end(server: Server, town_id: str) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=3)
    api = server.api.holding(make_token(server.api.url, "auditor", expires_at=soon))
    with talking(api) as made, event_stream(api, FEED, t=town_id) as events:
        made.subscribe(FEED, t=town_id)
        assert made.hear()["payload"]["data"] == {"auditFeed": {"sequence": 1}}
        assert made.closed() == 4403
        told = rest(events)
    assert [(name, codes(answer)) for name, answer in told[-2:]] == [("next", ["UNAUTHENTICATED"]), ("complete", [])]
    assert datetime.now(UTC) >= soon
