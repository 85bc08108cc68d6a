"""A client without manners: bytes over TCP as a test has them, and what is answered to them."""

import json
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPMessage, HTTPResponse
from typing import Final

import httpx2

from tests.client import Api, Json

SECONDS: Final = 60
_MOMENT: Final = 0.05
JSON_BODY: Final = "Content-Type: application/json"
CHUNKED: Final = "Transfer-Encoding: chunked"
HANDSHAKE: Final = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Protocol: graphql-transport-ws",
)
CONTINUATION, TEXT, BINARY, CLOSE, PING = 0x0, 0x1, 0x2, 0x8, 0x9
COMPRESSED, LAST = 0x40, 0x80  # bits beside them


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def codes(self) -> list[str]:
        """The codes of its errors."""
        content: Json = json.loads(self.body)
        return [error["extensions"]["code"] for error in content.get("errors", [])]

    @property
    def refusal(self) -> tuple[int, list[str]]:
        """Status and codes of an answer that is JSON and holds nothing but errors."""
        assert self.headers["content-type"] == "application/json"
        assert set(json.loads(self.body)) == {"errors"}
        return self.status, self.codes


class Wire:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def answer(self) -> Answer:
        """What is answered; a 100 before it fails."""
        assert self.socket.recv(12, socket.MSG_PEEK) != b"HTTP/1.1 100"
        response = HTTPResponse(self.socket)
        response.begin()
        return Answer(status=response.status, headers=response.headers, body=response.read())

    def floods(self, part: bytes, *, at_most: int) -> bool:
        """Whether the other end is gone before so many bytes were sent to it, `part` by `part`."""
        try:
            for _ in range(at_most // len(part)):
                self.socket.sendall(part)
        except OSError:
            return True
        return False

    def dribbles(self, part: bytes) -> bool:
        """Send `part` whenever nothing was said for a moment, until something is or the other end is gone."""
        given_up = time.monotonic() + SECONDS
        while time.monotonic() < given_up:
            if select.select([self.socket], [], [], _MOMENT)[0]:
                return True
            try:
                self.socket.sendall(part)
            except OSError:
                return True
        return False

    def goes(self) -> None:
        """Be gone without a word: what is on its way is reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def ended(self) -> bytes:
        """All that is still said until the other end is gone."""
        return b"".join(self._parts())

    def hears(self, words: bytes) -> bool:
        """Whether those bytes are said before the other end is gone."""
        return words in self.said_until(words)

    def said_until(self, words: bytes) -> bytes:
        """All that is said until those bytes are, or the other end is gone."""
        heard = bytearray()
        for part in self._parts():
            heard += part
            if words in heard:
                break
        return bytes(heard)

    def closed(self) -> int:
        """The code that a WebSocket on which nothing else is said is closed with."""
        content = self.socket.recv(4, socket.MSG_WAITALL)
        assert content[0] == CLOSE | LAST, content
        return int.from_bytes(content[2:], "big")

    def _parts(self) -> Iterator[bytes]:
        try:
            while part := self.socket.recv(65_536):
                yield part
        except ConnectionError:
            return


@contextmanager
def wire(api: Api, *, address: str = "127.0.0.1") -> Iterator[Wire]:
    """A connection from an `address` of this machine."""
    url = httpx2.URL(str(api.http.base_url))
    with socket.create_connection((url.host, url.port), SECONDS, (address, 0)) as connection:
        yield Wire(connection)


def head(*lines: str | bytes, method: str = "POST", path: str = "/graphql", api: Api | None = None) -> bytes:
    """The head of a request with those header lines; whoever `api` is says so."""
    named = () if api is None else tuple(f"{name}: {value}" for name, value in api.credential.items())
    first = (f"{method} {path} HTTP/1.1", "Host: localhost", *named)
    return (
        b"\r\n".join([line if isinstance(line, bytes) else line.encode("latin-1") for line in (*first, *lines)])
        + b"\r\n\r\n"
    )


def request(
    api: Api,
    *lines: str | bytes,
    body: bytes = b"",
    method: str = "POST",
    path: str = "/graphql",
    address: str = "127.0.0.1",
) -> Answer:
    """What is answered to one request."""
    with wire(api, address=address) as made:
        made.send(head(f"Content-Length: {len(body)}", *lines, method=method, path=path, api=api), body)
        return made.answer()


def chunk(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)


def frame(opcode: int, content: bytes = b"", *, last: bool = True) -> bytes:
    """A frame as clients send them, masked with zeros (RFC 6455 section 5.2)."""
    first, length = opcode | (LAST if last else 0), len(content)
    if length < 126:
        return struct.pack("!BB4x", first, 0x80 | length) + content
    if length < 65_536:
        return struct.pack("!BBH4x", first, 0xFE, length) + content
    return struct.pack("!BBQ4x", first, 0xFF, length) + content
