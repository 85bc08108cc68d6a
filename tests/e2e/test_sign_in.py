"""Sign-ins that fail are slowed down by address, and what a credential asks is by the credential."""

import time
from collections.abc import Iterator

import pytest

from models.services.credentials import FRESH_SECONDS
from tests.client import Api
from tests.databases import Databases
from tests.e2e.guarded import guarded, serves
from tests.e2e.process import Server
from tests.raw import HANDSHAKE, JSON_BODY, Answer, request
from tests.streams import event_stream, raw_socket, talking
from tests.tokens import make_token, revoke

MOST = 3
LABELS = "{ labels { name } }"
BODY = b'{"query": "{ labels { name } }"}'


@pytest.fixture(scope="module")
def server(backend: str, databases: Databases) -> Iterator[Server]:
    with guarded(databases.fresh(backend), max_failed_sign_ins=MOST) as running:
        yield running


def asked(api: Api, address: str, *lines: str) -> Answer:
    return request(api, JSON_BODY, *lines, body=BODY, address=address)


def is_too_often(answer: Answer) -> bool:
    """Whether it says so, and when to come again."""
    assert answer.refusal == (429, ["RATE_LIMIT"])
    return 0 < int(answer.headers["retry-after"]) <= 60


def slowed(server: Server, address: str) -> Api:
    """Somebody whose sign-ins from an address have failed too often; each test has an address of its own."""
    stranger = server.api.holding("garbage")
    for _ in range(MOST):
        assert asked(stranger, address).refusal == (401, ["UNAUTHENTICATED"])
    return stranger


def test_sign_ins__that_fail_too_often__are_slowed_down_at_every_door(server: Server) -> None:
    address = "127.0.0.2"
    stranger = slowed(server, address)
    assert is_too_often(asked(stranger, address))
    assert is_too_often(asked(stranger, address, "Accept: text/event-stream"))
    for path in ("/metrics", "/audit/export"):
        assert is_too_often(request(stranger, method="GET", path=path, address=address))
    assert is_too_often(request(stranger, *HANDSHAKE, method="GET", address=address))


def test_sign_ins__that_fail_too_often__slow_down_no_other_address(server: Server) -> None:
    slowed(server, "127.0.0.3")
    other = server.api.holding(make_token(server.api.url, "reader"))
    assert asked(other, "127.0.0.4").status == 200


def test_sign_ins__that_fail_too_often__keep_out_no_token_that_was_in_use(server: Server) -> None:
    address = "127.0.0.5"
    assert asked(server.api, address).status == 200
    stranger = slowed(server, address)
    until = time.monotonic() + 2 * FRESH_SECONDS  # after which what is known of the token is looked up anew
    while time.monotonic() < until:
        assert asked(server.api, address).status == 200
    assert is_too_often(asked(stranger, address))


def test_sign_ins__that_fail_too_often__keep_out_a_token_that_was_revoked_meanwhile(server: Server) -> None:
    address = "127.0.0.6"
    token = make_token(server.api.url, "reader")
    known = server.api.holding(token)
    assert asked(known, address).status == 200
    slowed(server, address)
    revoke(server.api.url, token)
    until = time.monotonic() + 1
    while (answer := asked(known, address)).status == 200:
        assert time.monotonic() < until
    assert is_too_often(answer)


def test_sign_ins__that_fail_too_often__keep_out_a_guess_at_a_token_in_use(server: Server) -> None:
    address = "127.0.0.7"
    token = make_token(server.api.url, "reader")
    assert asked(server.api.holding(token), address).status == 200
    slowed(server, address)
    assert is_too_often(asked(server.api.holding(f"{token[:21]}{'0' * 72}"), address))


def test_sign_ins__that_fail_too_often__keep_out_a_token_that_was_never_in_use(server: Server) -> None:
    address = "127.0.0.9"
    slowed(server, address)
    newcomer = server.api.holding(make_token(server.api.url, "reader"))
    assert is_too_often(asked(newcomer, address))  # or guesses would be told apart
    assert asked(newcomer, "127.0.0.10").status == 200


def test_address__that_a_client_claims__does_not_count(server: Server) -> None:
    address = "127.0.0.8"  # of which the server does not know that it is a proxy
    stranger = slowed(server, address)
    assert is_too_often(asked(stranger, address, "X-Forwarded-For: 203.0.113.7"))


def test_address__that_a_proxy_tells__counts(server: Server) -> None:
    stranger, told = server.api.holding("garbage"), "X-Forwarded-For: 203.0.113.8"
    for _ in range(MOST):
        assert asked(stranger, "127.0.0.1", told).status == 401
    assert is_too_often(asked(stranger, "127.0.0.1", told))
    assert asked(stranger, "127.0.0.1", "X-Forwarded-For: 203.0.113.9").status == 401


def test_greetings__that_fail_too_often__are_slowed_down(backend: str, databases: Databases) -> None:
    with guarded(databases.fresh(backend), max_failed_sign_ins=1) as server:
        codes = []
        for _ in range(2):
            with raw_socket(server.api.holding(None)) as made:
                made.say(type="connection_init", payload={"authorization": "Bearer garbage"})
                codes.append(made.closed())
    assert codes == [4401, 4429]


# ---- what a credential asks


@pytest.fixture(scope="module")
def narrow(backend: str, databases: Databases) -> Iterator[Server]:
    """A server that answers one request of a credential in a hundred seconds."""
    with guarded(databases.fresh(backend), max_requests_per_second=0.01) as running:
        yield running


@pytest.fixture
def eager(narrow: Server) -> Api:
    """Somebody who has asked what may be asked already."""
    api = narrow.api.holding(make_token(narrow.api.url, "admin", "auditor"))
    assert serves(api)
    return api


def test_credential__that_asks_too_often__is_refused_at_every_door(eager: Api) -> None:
    assert is_hundred(request(eager, JSON_BODY, body=BODY))
    assert is_hundred(request(eager, JSON_BODY, "Accept: text/event-stream", body=BODY))
    for path in ("/metrics", "/audit/export"):
        assert is_hundred(request(eager, method="GET", path=path))


def is_hundred(answer: Answer) -> bool:
    assert answer.refusal == (429, ["RATE_LIMIT"])
    return 60 < int(answer.headers["retry-after"]) <= 100


def test_credential__that_asks_too_often_over_a_socket__is_told_so_and_stays(eager: Api) -> None:
    with talking(eager) as made:
        for number in ("1", "2"):
            (message,) = made.ask(LABELS, id=number)
            assert message["type"] == "error"
            assert [error["extensions"]["code"] for error in message["payload"]] == ["RATE_LIMIT"]


def test_credential__that_asks_too_often__keeps_out_no_other(narrow: Server, eager: Api) -> None:
    assert request(eager, JSON_BODY, body=BODY).status == 429
    assert serves(narrow.api.holding(make_token(narrow.api.url, "reader", name="other")))


def test_requests__that_are_refused__do_not_count(narrow: Server) -> None:
    token = make_token(narrow.api.url, "reader")
    for _ in range(3):
        assert request(narrow.api.holding(f"{token}x"), JSON_BODY, body=BODY).status == 401
    with event_stream(narrow.api.holding(token), LABELS) as events:
        assert next(name for name, _ in events if name) == "next"
