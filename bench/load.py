"""The load: a process of its own that posts ready-made requests over connections it keeps, and checks each answer.

It takes orders from its standard input, a line of JSON each, and tells of them on its standard output: `ready` once all
connections stand and each has had an answer, then, from `go` on, what the time brought. Plain asyncio protocols over
uvloop, so that the client costs little beside what it measures.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Final, cast

import uvloop

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"
_OK: Final = b"HTTP/1.1 200"
_SOUND: Final = re.compile(rb'"data":\{|"toggles":\[\{')  # of GraphQL, and of Unleash
_UNSOUND: Final = re.compile(rb'"errors":|"resolution":null')
_PATIENCE: Final = 60.0  # seconds, for an answer that does not come


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to do: the requests in the file `requests`, in turns, over so many connections to `port` for `seconds`."""

    port: int
    requests: str
    connections: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an order: how many answers, in how many seconds, and of how many bytes of body each on average."""

    answers: int
    wall: float
    body_bytes: float


class WrongAnswerError(Exception):
    """An answer that is none: another status than 200, no data, or errors."""


class Caller(asyncio.Protocol):
    """A connection that has one request on its way at a time."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._received = b""
        self._until = 0.0
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answers = 0
        self.body_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or WrongAnswerError("the server closed the connection"))

    async def ask(self, until: float) -> None:
        """Ask until the clock says so, at least once."""
        self._until = until
        self._done = asyncio.get_running_loop().create_future()
        self._send()
        await asyncio.wait_for(self._done, _PATIENCE)

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def _send(self) -> None:
        assert self._transport is not None
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data if self._received else data
        head_end = received.find(_HEAD_END)
        if head_end < 0:
            return
        length = _body_length(received, head_end)
        if length is None:
            return
        if not received.startswith(_OK) or not _SOUND.search(received) or _UNSOUND.search(received):
            self._done.set_exception(WrongAnswerError(received[:2000].decode(errors="replace")))
            return
        self._received = b""
        self.answers += 1
        self.body_bytes += length
        if time.perf_counter() < self._until:
            self._send()
        else:
            self._done.set_result(None)


def _body_length(received: bytes, head_end: int) -> int | None:
    """How long the body is, by its header or by its last chunk; None where it is not all there."""
    head, body_at = received[:head_end].lower(), head_end + len(_HEAD_END)
    at = head.find(_LENGTH)
    if at < 0:
        return len(received) - body_at if received.endswith(_LAST_CHUNK) else None
    length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
    return length if len(received) >= body_at + length else None


async def carry_out(order: Order, requests: Iterator[bytes]) -> Outcome:
    """Connect, say `ready`, wait for `go`, ask for the time that was ordered."""
    loop = asyncio.get_running_loop()
    callers = [
        (await loop.create_connection(lambda: Caller(requests), "127.0.0.1", order.port))[1]
        for _ in range(order.connections)
    ]
    await asyncio.gather(*(caller.ask(0.0) for caller in callers))
    for caller in callers:
        caller.answers = caller.body_bytes = 0
    print("ready", flush=True)
    sys.stdin.readline()  # nothing else is under way
    began = time.perf_counter()
    await asyncio.gather(*(caller.ask(began + order.seconds) for caller in callers))
    wall = time.perf_counter() - began
    for caller in callers:
        caller.close()
    answers = sum(caller.answers for caller in callers)
    return Outcome(
        answers=answers, wall=wall, body_bytes=sum(caller.body_bytes for caller in callers) / max(answers, 1)
    )


def read_requests(path: str) -> list[bytes]:
    """The requests in a file: a JSON list of strings, each the bytes of one, which are ASCII."""
    return [text.encode("ascii") for text in json.loads(Path(path).read_text(encoding="ascii"))]


def main() -> None:
    """Carry out orders until there are no more."""
    files: dict[str, Iterator[bytes]] = {}  # each goes on where the order before left off
    for line in iter(sys.stdin.readline, ""):
        order = Order(**json.loads(line))
        if order.requests not in files:
            files[order.requests] = cycle(read_requests(order.requests))
        try:
            outcome = asdict(uvloop.run(carry_out(order, files[order.requests])))
        except (OSError, TimeoutError, WrongAnswerError) as error:
            outcome = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main()
