"""What a connection takes in and gives out, between the server and the transport."""

import asyncio
from collections.abc import Collection
from typing import Final

from uvicorn.protocols.http.flow_control import FlowControl

_LENGTH: Final = b"\r\ncontent-length: "


class Flow(FlowControl):
    """Takes in nothing more while requests that are here already wait for others.

    Else each answer would let a whole part of the stream in, which may be thousands of requests.
    """

    def __init__(self, transport: asyncio.Transport, waiting: Collection[object]) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting:
            super().resume_reading()


class Way:
    """A way out of a connection, at whose end nothing more is said; one that is closed would raise."""

    __slots__ = ("_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if not self.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        self._transport.close()


class JoiningWay(Way):
    """One that sends the head of an answer together with the first of its body.

    That is for heads that tell the length of what follows; others may have to wait for it. Answers to HEAD, which have
    no body, do not go this way.
    """

    __slots__ = ("_head",)

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        if self._head:
            head, self._head = self._head, b""
            super().write(head + data)
        elif self._head is None and _LENGTH in data:
            self._head = data
        else:
            super().write(data)

    def close(self) -> None:
        if self._head:
            self.write(b"")
        super().close()
