"""Connections without an end: what is taken in of a peer before it is known, and after it was answered, is bounded."""

import select
from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from api import patience
from tests.databases import Databases
from tests.e2e.guarded import guarded, serves
from tests.e2e.process import Server
from tests.raw import CHUNKED, HANDSHAKE, JSON_BODY, chunk, head, request, wire

PROFILES: Final = b'{"query": "{ profiles { name } }"}'
OFFERS: Final = {
    "as Java has it": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ"),
    "in lines apart": ("Connection: Upgrade", "Connection: HTTP2-Settings", "Upgrade: h2c"),
    "before another line": ("Connection: Upgrade", "Upgrade: h2c", "Connection: keep-alive"),
    "by a proxy": ("Proxy-Connection: Upgrade", "Upgrade: h2c"),
    "of a WebSocket by a proxy": ("Proxy-Connection: Upgrade", "Upgrade: websocket"),
    "of several": ("Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"),
    "of several in a line": ("Connection: Upgrade", "Upgrade: websocket, h2c"),
}
MEGABYTE: Final = 1_000_000
MOST_HEAD: Final = 65_536
REQUEST_LINE: Final = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
# How each begins, and what it goes on with for ever.
ENDLESS: Final = {
    "an address": (b"GET /", b"a" * 65_536),
    "a header's name": (REQUEST_LINE, b"a" * 65_536),
    "a header": (REQUEST_LINE + b"X-A: ", b"a" * 65_536),
    "headers": (REQUEST_LINE, b"X-A: aaaaaaaaa\r\n" * 4_000),
    "headers of a handshake": (head(*HANDSHAKE, method="GET")[:-2], b"X-A: aaaaaaaaa\r\n" * 4_000),
    "a chunk's extension": (head(CHUNKED) + b"1;", b"a" * 65_536),
    "trailers": (head(CHUNKED) + b"0\r\n", b"X-A: aaaaaaaaa\r\n" * 4_000),
    "a method": (b"", b"G" * 65_536),
}
NO_HTTP: Final = {
    "a TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a word": b"hello\r\n\r\n",
    "NUL": b"\x00" * 100,
    "an address that is none": b"GET http://[:: HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an address in Latin-1": b"GET /\xe4 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a handshake of such an address": head(*HANDSHAKE, method="GET", path="/\xe4"),
    "a negative length": head("Content-Length: -1"),
    "two lengths": head("Content-Length: 1", "Content-Length: 2"),
    "a length and chunks": head("Content-Length: 5", CHUNKED),
    "a coding that nobody knows": head("Transfer-Encoding: gzip"),
    "a folded header": head("X-Request-Id: a\r\n b", method="GET", path="/healthz"),
    "a header with NUL": head("X-Request-Id: a\x00b", method="GET", path="/healthz"),
    "a header with a carriage return": head("X-Request-Id: a\rb", method="GET", path="/healthz"),
}


@pytest.fixture(scope="module")
def server(backend: str, databases: Databases) -> Iterator[Server]:
    with guarded(databases.fresh(backend)) as running:
        yield running


@pytest.mark.parametrize("endless", ENDLESS)
def test_head__without_an_end__is_cut_off(server: Server, endless: str) -> None:
    begin, more = ENDLESS[endless]
    with server.growing_less_than(20 * MEGABYTE), wire(server.api) as made:
        made.send(begin)
        assert made.floods(more, at_most=60 * MEGABYTE)
    assert serves(server.api)


def test_requests__without_an_end__whose_answers_nobody_reads__are_not_taken_in(server: Server) -> None:
    with server.growing_less_than(40 * MEGABYTE), wire(server.api) as made:
        made.socket.settimeout(1)
        assert made.floods(head(method="GET", path="/") * 200, at_most=20 * MEGABYTE)
    assert serves(server.api)


def test_head__over_the_limit__is_answered(server: Server) -> None:
    begin = b"GET /healthz HTTP/1.1\r\nX-A: "
    with wire(server.api) as made:
        made.send(begin.ljust(MOST_HEAD, b"a"), b"a")
        assert made.answer().refusal == (431, ["HEADER_LIMIT"])


def test_head__as_long_as_may_be__is_taken(server: Server) -> None:
    long = "X-A: " + "a" * 60_000
    assert request(server.api, long, method="GET", path="/healthz").status == 200


@pytest.mark.parametrize("bytes_", NO_HTTP.values(), ids=NO_HTTP)
def test_bytes__that_are_no_http__are_answered(server: Server, bytes_: bytes) -> None:
    with wire(server.api) as made:
        made.send(bytes_)
        assert made.answer().refusal == (400, ["INVALID_INPUT"])
    assert serves(server.api)


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "head and body apart"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_offer_of_another_protocol__is_declined(
    server: Server, offer: Sequence[str], framing: str, *, apart: bool
) -> None:
    """Some clients offer HTTP/2 with each request. What follows is a body then, whatever it looks like."""
    like_a_request = head("Content-Length: 0", method="GET", path="/healthz")
    with wire(server.api) as made:
        for body, status in ((PROFILES, 200), (like_a_request, 400), (PROFILES, 200)):
            sent = body if framing == "length" else chunk(body) + chunk(b"")
            said = f"Content-Length: {len(body)}" if framing == "length" else CHUNKED
            asked = head(*offer, JSON_BODY, said, api=server.api)
            if apart:
                made.send(asked)
                made.send(sent)
            else:
                made.send(asked, sent)
            assert made.answer().status == status
        made.send(head(*offer, "Connection: close", method="GET", path="/healthz"))
        assert made.ended().startswith(b"HTTP/1.1 200")


def test_body__whose_chunks_are_none__is_answered(server: Server) -> None:
    with wire(server.api) as made:
        made.send(head("Content-Type: application/json", CHUNKED, api=server.api), b"nonsense\r\n")
        assert made.answer().refusal == (400, ["INVALID_INPUT"])
    assert serves(server.api)


# ---- in no hurry


HURRIED_SECONDS: Final = 0.5


def hurry() -> None:
    vars(patience)["_HEAD_SECONDS"] = HURRIED_SECONDS


@pytest.fixture(scope="module")
def hurried(backend: str, databases: Databases) -> Iterator[Server]:
    """A server that gives half a second where it would give twenty."""
    with guarded(databases.fresh(backend), plant=hurry) as running:
        yield running


def test_connection__on_which_nothing_is_said__is_ended(hurried: Server) -> None:
    with wire(hurried.api) as made:
        assert serves(hurried.api)
        assert made.ended() == b""


@pytest.mark.parametrize("part", [b"", b"a"], ids=["not", "little by little"])
def test_head__that_does_not_come__is_answered(hurried: Server, part: bytes) -> None:
    with wire(hurried.api) as made:
        made.send(b"GET /healthz HTTP/1.1\r\nX-A: a")
        assert serves(hurried.api)
        assert made.dribbles(part)
        assert made.answer().refusal == (408, ["DEADLINE"])


def test_second_head__that_does_not_come__is_answered(hurried: Server) -> None:
    with wire(hurried.api) as made:
        made.send(head(method="GET", path="/healthz"))
        assert made.answer().status == 200
        made.send(b"GET /healthz HTTP/1.1\r\n")
        assert made.dribbles(b"X")
        assert made.answer().refusal == (408, ["DEADLINE"])


def test_body__that_goes_on_after_the_refusal__is_cut_off(hurried: Server) -> None:
    with wire(hurried.api) as made:
        made.send(head(CHUNKED))
        assert made.answer().refusal == (401, ["UNAUTHENTICATED"])
        assert serves(hurried.api)
        assert made.dribbles(chunk(b"a" * 10_000))
        assert made.ended() == b""


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_body__that_does_not_come_after_the_answer__is_not_waited_for(hurried: Server, method: str) -> None:
    with wire(hurried.api) as made:
        made.send(head("Content-Length: 10", method=method, path="/nowhere"))
        assert made.answer().refusal == (404, ["NOT_FOUND"])
        assert made.ended() == b""


def test_body__that_was_refused_and_still_comes__has_longer_than_a_kept_connection(server: Server) -> None:
    with wire(server.api) as coming, wire(server.api) as kept:
        coming.send(head("Content-Length: 3000000", api=server.api), b"a")
        assert coming.answer().refusal == (413, ["BODY_LIMIT"])
        kept.send(head(method="GET", path="/healthz"))
        assert kept.answer().status == 200
        assert kept.ended() == b""
        assert select.select([coming.socket], [], [], 0)[0] == []  # it is not ended, though it was answered before
