"""Whether a request is parsed or not, at the hatch or by the application, it is answered once, and in its turn."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Final

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from api.hatch import HATCH, Head, Reply
from api.hatched import HatchedHttp
from api.wire import wanted_of

PATH: Final = "/graphql"
SECONDS: Final = 3
# What bodies begin with: who answers them, and whether it is known at once.
SOON, LATER, MORE_SOON, MORE_LATER, NOT_TAKEN = b"soon ", b"later ", b"more soon ", b"more later ", b"not taken "
UNKNOWN: Final = b"unknown "  # whoever asks
KINDS: Final = (SOON, LATER, MORE_SOON, MORE_LATER, NOT_TAKEN, UNKNOWN)
ANSWER: Final = re.compile(rb"HTTP/1\.1 200 OK\r\n(?:[a-z-]+: [^\r]*\r\n)*\r\n(hatch|app[ a-z]*):(.*?)!", re.DOTALL)


@dataclass
class Transport:
    """What the other end was sent, and whether the connection is closed."""

    sent: bytearray = field(default_factory=bytearray)
    closed: bool = False
    reads: bool = True

    def get_extra_info(self, _name: str) -> None:
        return None

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def get_protocol(self) -> object:
        return self.protocol

    protocol: object = None


class Hatch:
    """Takes what its body says, and gives it back."""

    path = PATH

    def __init__(self) -> None:
        self.heads: dict[bytes, Head] = {}
        self.offered: list[bytes] = []
        self.scopes: list[dict[str, object]] = []  # those that the application was given
        self.known = self.heads.get

    def learn(self, text: bytes, head: Head) -> None:
        self.heads[text] = head

    @staticmethod
    def head_of(scope: Scope, length: int) -> Head | None:
        names = dict(scope["headers"])
        return None if b"origin" in names else Head(b"", b"", wanted_of(b""), None, length, recurs=True)

    def offer(self, _head: Head, body: bytes, reply: Reply) -> dict[str, bool] | None:
        self.offered.append(body)
        if body.startswith(NOT_TAKEN):
            return {"not taken": True, "asked": True}
        if body.startswith(UNKNOWN):
            return {"unknown": True}

        def tell() -> None:
            if body.startswith((MORE_SOON, MORE_LATER)):
                reply.pass_on({"spent": True})
            else:
                reply.send(b"", b"hatch:" + body + b"!")

        if body.startswith((LATER, MORE_LATER)):
            asyncio.get_running_loop().call_soon(tell)
        else:
            tell()
        return None


class Connection(HatchedHttp):
    """Counts the requests that are parsed."""

    parsed = 0

    @property
    def offered(self) -> list[bytes]:
        """The bodies that were offered to the hatch."""
        hatch: Hatch = self.app_state[HATCH]
        return hatch.offered

    def is_at_rest(self) -> bool:
        return not (self.tasks or self._waits or self._under_way)

    def expire(self) -> None:
        """What its timer does once it was kept for long enough."""
        self.timeout_keep_alive = -1
        self._close_if_unused()

    def on_message_begin(self) -> None:
        self.parsed += 1
        super().on_message_begin()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        body, more = body + message["body"], message["more_body"]
    scope["state"][HATCH].scopes.append(dict(scope))
    said = [word for word in ("spent", "not taken", "unknown") if word in scope["state"]]
    answer = " ".join(["app", *said]).encode() + b":" + body + b"!"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})


def request(body: bytes, *lines: bytes) -> bytes:
    first = (b"POST /graphql HTTP/1.1", b"Host: here", *lines, b"Content-Length: %d" % len(body))
    return b"\r\n".join(first) + b"\r\n\r\n" + body


Work = Callable[[Connection, Transport], Awaitable[None]]


def connected(work: Work) -> tuple[Connection, Transport]:
    """A connection that `work` has made something of, once all came of it that there was to come."""

    async def run() -> tuple[Connection, Transport]:
        config = uvicorn.Config(app, http=Connection, lifespan="off", log_config=None)
        config.load()
        connection = Connection(config=config, server_state=ServerState(), app_state={HATCH: Hatch()})
        transport = Transport(protocol=connection)
        connection.connection_made(transport)  # type: ignore[arg-type]
        await work(connection, transport)
        await until(connection.is_at_rest)
        return connection, transport

    return asyncio.run(run())


def fed(pieces: Sequence[bytes | None]) -> tuple[Connection, Transport]:
    return connected(partial(feed, pieces=pieces))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110  # what it waits for tells nobody
            await asyncio.sleep(0)


async def feed(connection: Connection, transport: Transport, pieces: Sequence[bytes | None]) -> None:
    """Give a connection piece after piece, when it is willing to take one; None is a moment without any."""
    for piece in pieces:
        if piece is None:
            await asyncio.sleep(0)
        else:
            await until(lambda: transport.reads)
            connection.data_received(piece)


async def feed_slowly(connection: Connection, _transport: Transport, requests: Sequence[bytes]) -> None:
    """Give it each once the one before is answered."""
    for one in requests:
        connection.data_received(one)
        await until(connection.is_at_rest)


def answers(transport: Transport) -> list[tuple[bytes, bytes]]:
    assert ANSWER.sub(b"", transport.sent) == b""
    return ANSWER.findall(bytes(transport.sent))


bodies = st.builds(
    lambda kind, number, inner: b"%b%d%b" % (kind, number, inner),
    st.sampled_from(KINDS),
    st.integers(0, 999),
    st.sampled_from([b"", b"", b" " + request(b"soon 1"), b"\r\n\r\n"]),
)
asked = st.lists(st.tuples(bodies, st.sampled_from([(), (), (), (b"Origin: elsewhere",)])), min_size=1, max_size=8)


@settings(max_examples=500)
@given(asked, st.data())
def test_requests__in_whatever_pieces__are_answered_once_and_in_their_order(
    sent: list[tuple[bytes, tuple[bytes, ...]]], data: st.DataObject
) -> None:
    texts = [request(body, *lines) for body, lines in sent]
    ends = [sum(map(len, texts[: number + 1])) for number in range(len(texts))]
    whole = b"".join(texts)
    torn = data.draw(st.lists(st.integers(0, len(whole)), max_size=4))
    apart = data.draw(st.lists(st.sampled_from(ends), max_size=8))
    cuts = sorted({0, len(whole), *torn, *apart})
    moments = [None] * data.draw(st.integers(0, 3))
    pieces = [it for start, end in pairwise(cuts) for it in (whole[start:end], *moments)]
    _, transport = fed(pieces)
    assert [body for _, body in answers(transport)] == [body for body, _ in sent]
    assert not transport.closed


def test_request__that_was_passed_on__says_so_to_the_application() -> None:
    said = {MORE_SOON: b"app spent", MORE_LATER: b"app spent", NOT_TAKEN: b"app not taken", UNKNOWN: b"app unknown"}
    for kind, answered in said.items():
        known = request(SOON.ljust(len(kind), b"0"))
        connection, transport = connected(partial(feed_slowly, requests=[known, request(kind)]))
        assert connection.offered[1:] == [kind]
        assert answers(transport)[1] == (answered, kind)


def test_request__with_a_head_that_was_parsed_before__is_not_parsed() -> None:
    sent = [SOON + b"1", SOON + b"2", LATER + b"2", LATER + b"3"]
    connection, transport = connected(partial(feed_slowly, requests=list(map(request, sent))))
    assert [body for _, body in answers(transport)] == sent
    assert connection.parsed == 2


ODD_LINES: Final = (
    (),
    (b"X-Padded: \t between \t ", b"X-Close:to", b"X-Empty:", b"X-Blank: "),
    (b"X-Twice: 1", b"x-twice: 2", b"X-TWICE: 1"),
    (b"Colons: a:b: c", b"X-Host: X-Host"),
    (b"X-Latin: \xe9\xff", b"Accept: */*"),
)


@pytest.mark.parametrize("lines", ODD_LINES)
def test_application__of_a_request_that_is_not_parsed__hears_what_it_would_of_a_parsed_one(
    lines: tuple[bytes, ...],
) -> None:
    sent = [NOT_TAKEN + b"1", NOT_TAKEN + b"2"]
    requests = [request(body, *lines) for body in sent]
    connection, transport = connected(partial(feed_slowly, requests=requests))
    assert [body for _, body in answers(transport)] == sent
    assert connection.parsed == 1
    parsed, unparsed = connection.app_state[HATCH].scopes
    assert parsed == unparsed
    assert parsed["headers"] is not unparsed["headers"]


@pytest.mark.parametrize(
    "first",
    [b"POST /graphql?a=b HTTP/1.1", b"POST /%67raphql HTTP/1.1", b"POST /graphql HTTP/2.0\r\nConnection: keep-alive"],
)
def test_request__whose_head_says_more_than_its_lines__is_parsed_each_time(first: bytes) -> None:
    odd = request(NOT_TAKEN + b"1").replace(b"POST /graphql HTTP/1.1", first)
    connection, transport = connected(partial(feed_slowly, requests=[odd, odd]))
    assert len(answers(transport)) == connection.parsed == 2
    parsed, again = connection.app_state[HATCH].scopes
    assert parsed == again


def test_head__of_somebody_unknown__is_not_learned() -> None:
    connection, _ = connected(partial(feed_slowly, requests=[request(UNKNOWN + b"1")] * 2))
    assert connection.app_state[HATCH].heads == {}
    assert connection.parsed == 2


def test_head__in_a_piece_of_a_body__begins_no_request() -> None:
    inner = request(SOON + b"1")
    outer = request(NOT_TAKEN + inner)
    cut = len(outer) - len(inner)
    pieces = [inner, outer[:cut], outer[cut:]]
    _, transport = fed(pieces)
    assert answers(transport) == [(b"hatch", SOON + b"1"), (b"app", NOT_TAKEN + inner)]


def test_head__in_a_piece_of_a_head__begins_no_request() -> None:
    inner = request(SOON + b"1")
    _, transport = fed([inner, b"POST /graphql HTTP/1.1\r\nOrigin: ", inner])
    assert answers(transport) == [(b"hatch", SOON + b"1"), (b"app", SOON + b"1")]


def test_request__that_need_not_be_parsed__waits_for_one_that_had_to_be() -> None:
    sent = [SOON + b"1", LATER + b"22", SOON + b"2"]
    _, transport = fed(list(map(request, sent)))
    assert [body for _, body in answers(transport)] == sent


def test_what_comes_while_one_waits__is_not_taken_in() -> None:
    later, other = request(LATER + b"1"), request(LATER + b"2")

    async def work(connection: Connection, transport: Transport) -> None:
        await feed_slowly(connection, transport, [later])
        connection.data_received(other)
        assert transport.reads
        connection.data_received(later)
        assert not transport.reads

    _, transport = connected(work)
    assert [body for _, body in answers(transport)] == [LATER + b"1", LATER + b"2", LATER + b"1"]
    assert transport.reads


def ended(body: bytes) -> Transport:
    """What comes of a request that is not parsed, where the server ends while it waits; nothing comes of another."""

    async def work(connection: Connection, transport: Transport) -> None:
        connection.data_received(request(SOON + b"0" * (len(body) - len(SOON))))
        connection.data_received(request(body))
        connection.data_received(request(body))
        connection.shutdown()
        assert not transport.closed

    connection, transport = connected(work)
    assert connection.offered[1:] == [body]
    return transport


def test_server__that_ends_while_one_waits__answers_it_and_closes() -> None:
    for body in (LATER + b"1", MORE_LATER + b"1"):
        transport = ended(body)
        assert [told for _, told in answers(transport)][1:] == [body]
        assert b"\r\nconnection: close\r\n" in transport.sent
        assert transport.closed


def test_client__that_goes_while_one_waits__is_sent_nothing() -> None:
    for body in (LATER + b"1", MORE_LATER + b"1"):

        async def work(connection: Connection, transport: Transport, body: bytes = body) -> None:
            connection.data_received(request(SOON + b"0" * (len(body) - len(SOON))))
            connection.data_received(request(body))
            transport.close()

        _, transport = connected(work)
        assert len(answers(transport)) == 1


def test_connection__while_one_waits__is_not_unused() -> None:
    async def work(connection: Connection, transport: Transport) -> None:
        connection.data_received(request(SOON + b"1000"))
        connection.data_received(request(LATER + b"100"))
        connection.expire()
        assert not transport.closed

    connection, transport = connected(work)
    assert len(answers(transport)) == 2
    assert connection.parsed == 1
