"""WebSockets that are no honest ones: handshakes nobody can read, silence, floods, and frames without an end."""

import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

import pytest

from tests.client import Api
from tests.databases import Databases
from tests.e2e.guarded import guarded, serves
from tests.e2e.process import Server
from tests.issuer import issuer
from tests.raw import (
    BINARY,
    CHUNKED,
    COMPRESSED,
    CONTINUATION,
    HANDSHAKE,
    JSON_BODY,
    LAST,
    PING,
    SECONDS,
    TEXT,
    Answer,
    Wire,
    frame,
    head,
    request,
    wire,
)
from tests.streams import Socket, event_stream, raw_socket, talking
from tests.tokens import make_token

MEGABYTE: Final = 1_000_000
MOST_SILENT: Final = {"127.0.0.1": 16, "127.0.0.2": 16}  # by address, and in all
MOST_STREAMS: Final = 3
OPERATIONS: Final = 5
LABELS: Final = "{ labels { name } }"
FEED: Final = 'subscription { auditFeed(townId: "nowhere") { sequence } }'
LONG_HANDSHAKES: Final = {
    "a long header": [f"X-A: {'a' * 8_192}"],
    "many headers": [f"X-{number}: a" for number in range(129)],
    "a long token": [f"Authorization: Bearer {'a' * 16_000}"],
}


@pytest.fixture(scope="module")
def server(backend: str, databases: Databases) -> Iterator[Server]:
    settings = {
        "max_stream_operations": OPERATIONS,
        "max_streams_per_credential": MOST_STREAMS,
        "max_failed_sign_ins": 1_000,
    }
    with guarded(databases.fresh(backend), stream_init_seconds=SECONDS, **settings) as running:
        yield running


@contextmanager
def opened(api: Api, *lines: str, address: str = "127.0.0.1") -> Iterator[Wire]:
    """A WebSocket on which nobody has said who is there."""
    with wire(api, address=address) as made:
        made.send(head(*HANDSHAKE, *lines, method="GET"))
        assert made.answer().status == 101
        yield made


# ---- handshakes


@pytest.mark.parametrize("lines", LONG_HANDSHAKES.values(), ids=LONG_HANDSHAKES)
def test_handshake__that_is_too_long_to_be_read__is_answered(server: Server, lines: Sequence[str]) -> None:
    assert request(server.api.holding(None), *HANDSHAKE, *lines, method="GET").refusal == (431, ["HEADER_LIMIT"])


def test_handshake__whose_connection_header_is_several__is_one(server: Server) -> None:
    with opened(server.api, "Connection: keep-alive"):
        pass


@pytest.mark.parametrize("line", ["Content-Length: 5", CHUNKED])
def test_handshake__with_a_body__is_answered(server: Server, line: str) -> None:
    with wire(server.api) as made:
        made.send(head(*HANDSHAKE, line, method="GET"))
        assert made.answer().refusal == (400, ["INVALID_INPUT"])


def test_handshake__of_clients_that_are_gone_or_send_garbage__is_no_failure(server: Server) -> None:
    for number in range(60):
        who = (server.api, server.api.holding(None), server.api.holding("garbage"))[number % 3]
        with wire(server.api) as made:
            made.send(head(*HANDSHAKE, method="GET", api=who))
            if number % 2:
                made.send(b"\xff" * 40)
            else:
                made.goes()
    assert serves(server.api)


def test_frame__that_can_not_be_before_the_handshake_is_answered__ends_the_connection(databases: Databases) -> None:
    with issuer() as it:
        settings = {"oidc_issuer": it.url, "oidc_audience": it.audience}
        with guarded(databases.fresh("sqlite"), **settings) as server, wire(server.api) as made:
            it.hold()
            made.send(head(*HANDSHAKE, method="GET", api=server.api.holding(it.token())))
            assert it.asked.wait(SECONDS)
            made.send(b"\xff" * 40)
            assert made.ended() == b""
            it.let_go()
            assert serves(server.api)


# ---- silence


def test_silent_sockets__beyond_the_most__are_refused_and_honest_ones_let_in(server: Server) -> None:
    with ExitStack() as stack:
        for address, most in MOST_SILENT.items():
            for _ in range(most):
                stack.enter_context(opened(server.api, address=address))
            assert is_full(request(server.api.holding(None), *HANDSHAKE, method="GET", address=address))
        assert is_full(request(server.api.holding(None), *HANDSHAKE, method="GET", address="127.0.0.3"))
        with talking(server.api) as made:
            assert [message["type"] for message in made.ask(LABELS)] == ["next", "complete"]
        assert serves(server.api)
    assert is_let_in(server)


def is_full(answer: Answer) -> bool:
    assert int(answer.headers["retry-after"]) > 0
    return answer.refusal == (503, ["STREAM_LIMIT"])


def is_let_in(server: Server) -> bool:
    """Whether someone who says a moment later who it is may come in, once the server has seen that others have gone."""
    token = make_token(server.api.url, "reader")
    while (answer := request(server.api.holding(None), *HANDSHAKE, method="GET")).status != 101:
        assert is_full(answer)
    with raw_socket(server.api.holding(None)) as made:
        made.say(type="connection_init", payload={"authorization": f"Bearer {token}"})
        return made.hear() == {"type": "connection_ack"}


def test_silent_sockets__200_of_them__take_little_room(server: Server) -> None:
    with server.growing_less_than(20 * MEGABYTE), ExitStack() as stack:
        for _ in range(200):
            made = stack.enter_context(wire(server.api))
            made.send(head(*HANDSHAKE, method="GET"), frame(TEXT, b"a" * 20_000, last=False))
        assert serves(server.api)
    assert is_let_in(server)


@pytest.fixture(scope="module")
def hurried(backend: str, databases: Databases) -> Iterator[Server]:
    with guarded(databases.fresh(backend), stream_init_seconds=0.3) as running:
        yield running


@pytest.mark.parametrize("part", [b"", frame(PING), frame(TEXT, b"{", last=False)], ids=["nothing", "pings", "a part"])
def test_socket__on_which_no_greeting_is_said__is_closed(hurried: Server, part: bytes) -> None:
    with opened(hurried.api) as made:
        made.send(part)
        assert serves(hurried.api)
        if part == frame(PING):
            assert made.socket.recv(2) == frame(0xA)[:1] + b"\x00"
        assert made.closed() == 4408


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)  # a matter of connections alone
def test_socket__on_a_connection_that_was_asked_before__lives_as_long_as_any(
    backend: str, databases: Databases
) -> None:
    with guarded(databases.fresh(backend), stream_init_seconds=6.0) as running, wire(running.api) as made:
        made.send(head("Content-Length: 2", "Content-Type: application/json", api=running.api), b"{}")
        assert made.answer().status == 400
        made.send(head(*HANDSHAKE, method="GET"))
        assert made.answer().status == 101
        assert made.closed() == 4408  # and not cut once the connection was kept for five seconds, as others are


def test_socket__of_somebody_known_on_which_no_greeting_is_said__is_closed(hurried: Server) -> None:
    with raw_socket(hurried.api) as made:
        made.say(type="ping")
        assert made.closed() == 4408


# ---- floods


def test_pings__of_a_client_that_reads_nothing__are_not_answered_for_ever(server: Server) -> None:
    with server.growing_less_than(10 * MEGABYTE), opened(server.api) as made:
        assert not made.floods(frame(PING, b"a" * 125) * 500, at_most=30 * MEGABYTE)
        assert serves(server.api)


def test_message__in_tiny_pieces__takes_no_more_room_than_a_whole_one(server: Server) -> None:
    with server.growing_less_than(10 * MEGABYTE), opened(server.api) as made:
        made.send(frame(TEXT, b"aa", last=False))
        made.send(frame(CONTINUATION, b"aa", last=False) * 300_000)
        assert serves(server.api)
        made.send(frame(CONTINUATION))
        assert made.closed() == 1009


def test_message__that_unpacks_to_a_hundred_megabytes__is_too_long(server: Server) -> None:
    packer = zlib.compressobj(9, wbits=-12)
    packed = packer.compress(b" " * (100 * MEGABYTE)) + packer.flush(zlib.Z_SYNC_FLUSH)
    with server.growing_less_than(20 * MEGABYTE):
        with opened(server.api, "Sec-WebSocket-Extensions: permessage-deflate") as made:
            made.send(frame(TEXT | COMPRESSED, packed.removesuffix(b"\x00\x00\xff\xff")))
            assert made.closed() == 1009
        assert serves(server.api)


FRAMES: Final = {
    "no mask": (bytes([TEXT | LAST, 2]) + b"{}", 1002),
    "an opcode that nobody knows": (frame(0x3), 1002),
    "a continuation of nothing": (frame(CONTINUATION), 1002),
    "a long ping": (frame(PING, b"a" * 126), 1002),
    "a ping in parts": (frame(PING, last=False), 1002),
    "no UTF-8": (frame(TEXT, b"\xff\xfe"), 1007),
    "bytes": (frame(BINARY, b"{}"), 4400),
    "a length of 2^64 - 1": (bytes([TEXT | LAST, 0xFF]) + b"\xff" * 8 + b"\x00" * 4, 1009),
    "a length of a gigabyte": (bytes([TEXT | LAST, 0xFF]) + (10**9).to_bytes(8, "big") + b"\x00" * 4, 1009),
}


@pytest.mark.parametrize(("bytes_", "code"), FRAMES.values(), ids=FRAMES)
def test_frame__that_can_not_be__ends_the_connection(server: Server, bytes_: bytes, code: int) -> None:
    with opened(server.api) as made:
        made.send(bytes_)
        assert made.closed() == code
    assert serves(server.api)


def codes(message: dict[str, object]) -> list[str]:
    assert message["type"] == "error", message
    payload = message["payload"]
    assert isinstance(payload, list)
    return [error["extensions"]["code"] for error in payload]


def test_subscriptions__by_the_thousand__are_refused_one_by_one(server: Server) -> None:
    with server.growing_less_than(20 * MEGABYTE), talking(server.api) as made:
        made.connection.send(flood(made, 1_000))
        heard = [made.hear() for _ in range(1_000)]
        assert serves(server.api)
    assert {message["id"] for message in heard} == {str(number) for number in range(1_000)}
    refused = [codes(message) for message in heard]
    assert all(each in (["OPERATION_LIMIT"], ["NOT_FOUND"]) for each in refused)


def flood(made: Socket, number: int) -> str:
    """Subscribe so many times, but for the last, which is given."""
    for each in range(number - 1):
        made.subscribe(FEED, id=str(each))
    return json.dumps({"id": str(number - 1), "type": "subscribe", "payload": {"query": FEED}})


# ---- places


def test_streams__of_one_credential_beyond_its_most__are_refused_until_one_has_ended(server: Server) -> None:
    api = server.api.holding(make_token(server.api.url, "reader"))
    with ExitStack() as stack:
        for _ in range(MOST_STREAMS):
            stack.enter_context(talking(api))
        assert is_full(request(api, *HANDSHAKE, method="GET"))
        assert is_full(
            request(api, JSON_BODY, "Accept: text/event-stream", body=json.dumps({"query": LABELS}).encode())
        )
        with raw_socket(api.holding(None)) as made:
            made.say(type="connection_init", payload=api.credential)
            assert made.closed() == 4500
        assert serves(api)
        with talking(server.api) as made:  # whose credential is another
            assert [message["type"] for message in made.ask(LABELS)] == ["next", "complete"]
    while (answer := request(api, *HANDSHAKE, method="GET")).status != 101:
        assert is_full(answer)
    with event_stream(api, LABELS) as events:
        assert next(name for name, _ in events if name) == "next"
