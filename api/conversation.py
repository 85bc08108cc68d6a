"""A conversation in the protocol graphql-transport-ws.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.json_text import encode
from api.pubsub import Listener
from api.streams import EXPIRED, BlockedError, Outlet, Streams, expired, farewell
from api.wire import Asked, BadRequestError, operation_of, strict_json
from models.services.access import Asker

_LONGEST_REASON: Final = 123  # bytes, by RFC 6455

Json = dict[str, Any]


class ClosedError(Exception):
    """The conversation ends with a code of RFC 6455 or of the protocol."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def no_greeting() -> ClosedError:
    return ClosedError(4408, "Connection initialisation timeout")


class Received(NamedTuple):
    """A message, and how many bytes it had."""

    message: Json
    weight: int


async def receive(websocket: WebSocket, most: int) -> Received | None:
    """The next message, of at most so many bytes; None where the client has gone. Raises `ClosedError`."""
    received = await websocket.receive()
    if received["type"] == "websocket.disconnect":
        return None
    text = received.get("text")
    if text is None:
        raise ClosedError(4400, "Messages must be text")
    body = text.encode("utf-8", "surrogatepass")
    if len(body) > most:
        raise ClosedError(1009, f"A message may have at most {most} bytes")
    try:
        message = strict_json(body)
    except BadRequestError as error:
        raise ClosedError(4400, str(error)) from error
    if not isinstance(message, dict):
        raise ClosedError(4400, "Messages must be JSON objects")
    return Received(message, len(body))


@dataclass(kw_only=True, eq=False)
class _Operation:
    id: str
    asked: Asked
    listener: Listener
    silenced: bool = field(default=False, init=False)

    def leave(self) -> None:
        """The client completed it or has gone: nothing more is said of it."""
        self.silenced = True
        self.listener.leave()


class Conversation:
    """One connection of someone who is known, from its acceptance to its end."""

    def __init__(self, websocket: WebSocket, streams: Streams, asker: Asker, over: asyncio.Event) -> None:
        self._websocket = websocket
        self._streams = streams
        self._asker = asker
        self._over = over
        self._outlet = Outlet(self._send, seconds=streams.send_seconds)
        self._operations: dict[str, _Operation] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._initialised = False
        self._blocked = asyncio.Event()

    async def run(self, first: Received | None = None) -> None:
        """Have it; `first` is a message that was taken already."""
        reading = asyncio.create_task(self._read(first))
        blocked = asyncio.create_task(self._blocked.wait())
        away = asyncio.create_task(self._streams.pubsub.going_away.wait())
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait({reading, blocked, away, over}, return_when=asyncio.FIRST_COMPLETED)
            if self._blocked.is_set():
                await self._part()
            elif self._over.is_set():
                await self._turn_out()
            elif reading.done():
                await self._close(reading.result())
            else:
                await self._finish()
                await self._close(ClosedError(1001, "Going away"))
        except OSError:
            pass  # the client has gone
        finally:
            for task in (reading, blocked, away, over):
                task.cancel()
            for operation in self._operations.values():
                operation.leave()
            await asyncio.gather(reading, *self._working, return_exceptions=True)

    async def _finish(self) -> None:
        """Wait for operations to end by themselves, for as long as a client may take to take an answer."""
        if self._working:
            await asyncio.wait(self._working, timeout=self._streams.send_seconds)

    async def _turn_out(self) -> None:
        """End the conversation with a client that may not have it any more."""
        for operation in self._operations.values():
            operation.leave()
        expired(self._asker)
        await self._close(ClosedError(4403, EXPIRED))

    async def _part(self) -> None:
        """End the conversation with a client that does not read: should it start to, it hears how to resume."""
        left = list(self._operations.values())
        for operation in left:
            operation.leave()
        await self._finish()
        errors = [
            _text({"id": each.id, "type": "error", "payload": farewell(each.listener, self._asker)})
            for each in left
            if each.listener.chain is not None
        ]
        await self._outlet.send_last(*errors, closing(1013, "The client did not read"))

    async def _close(self, why: ClosedError | None) -> None:
        if why is not None:
            with suppress(BlockedError):
                await self._outlet.send(closing(why.code, why.reason), last=True)

    async def _send(self, message: Message) -> None:
        try:
            await self._websocket.send(message)
        except WebSocketDisconnect as error:
            raise ConnectionResetError from error

    async def _read(self, first: Received | None) -> ClosedError | None:
        """Take messages until the conversation is to end, for the reason given; None where the client has gone."""
        try:
            if first is not None:
                await self._do(first)
            async with asyncio.timeout(self._streams.init_seconds):
                while not self._initialised:
                    if not await self._take():
                        return None
            while await self._take():
                pass
        except TimeoutError:
            return no_greeting()
        except ClosedError as closed:
            return closed
        except BlockedError:
            self._blocked.set()
        except OSError:
            pass
        return None

    async def _take(self) -> bool:
        """Take one message; False where the client has gone. Raises `ClosedError`."""
        received = await receive(self._websocket, self._streams.max_message_bytes)
        if received is None:
            return False
        await self._do(received)
        return True

    async def _do(self, received: Received) -> None:
        message = received.message
        kind = message.get("type")
        if kind in ("connection_init", "ping", "pong") and not isinstance(message.get("payload"), dict | None):
            raise ClosedError(4400, f"The payload of {kind} must be an object")
        match kind:
            case "connection_init":
                if self._initialised:
                    raise ClosedError(4429, "Too many initialisation requests")
                self._initialised = True
                await self._outlet.send(_text({"type": "connection_ack"}))
            case "ping":
                await self._outlet.send(_text({"type": "pong"}))
            case "pong":
                pass
            case "subscribe":
                await self._subscribe(_id_of(message), message.get("payload"), received.weight)
            case "complete":
                if operation := self._operations.pop(_id_of(message), None):
                    operation.leave()
            case _:
                raise ClosedError(4400, "Unknown message type")

    async def _subscribe(self, operation_id: str, payload: object, weight: int) -> None:
        if not self._initialised:
            raise ClosedError(4401, "Unauthorized")
        if operation_id in self._operations:
            raise ClosedError(4409, f"Subscriber for {operation_id} already exists")
        if not isinstance(payload, dict):
            raise ClosedError(4400, "The payload of subscribe must be an object")
        try:
            asked = operation_of(payload, self._streams.texts, weight=weight)
            self._streams.doorkeeper.spend(self._asker.counted_as)
            self._refuse_too_many()
        except BadRequestError as error:
            errors = error.answer["errors"]
            await self._outlet.send(_text({"id": operation_id, "type": "error", "payload": errors}))
            return
        operation = _Operation(id=operation_id, asked=asked, listener=self._streams.pubsub.listener())
        self._operations[operation_id] = operation
        task = asyncio.create_task(self._operate(operation))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def _refuse_too_many(self) -> None:
        most = self._streams.max_operations
        if len(self._working) >= most:
            raise BadRequestError(
                f"{most} operations are under way on this connection, its most.", code="OPERATION_LIMIT"
            )

    async def _operate(self, operation: _Operation) -> None:
        """Run an operation to its end. It is never cancelled: a read or write under way comes to its end."""
        try:
            answers = self._streams.answers(operation.asked, self._asker, operation.listener)
            async with aclosing(answers):
                async for answer in answers:
                    if answer.final:
                        await self._tell(operation, "error", answer.shown["errors"])
                        return
                    await self._tell(operation, "next", answer.shown)
                    if operation.silenced:
                        return  # to ask for the next answer would say that this one was taken
            await self._tell(operation, "complete")
        except BlockedError:
            self._blocked.set()
        except OSError:
            pass  # the client has gone, which the reader hears of

    async def _tell(self, operation: _Operation, kind: str, payload: object = None) -> None:
        if operation.silenced:
            return
        if kind != "next":  # the last that is said of it, after which its id is free again
            operation.silenced = True
            del self._operations[operation.id]
        message = {"id": operation.id, "type": kind}
        await self._outlet.send(_text(message if payload is None else {**message, "payload": payload}))


def _id_of(message: Json) -> str:
    found = message.get("id")
    if not isinstance(found, str) or not found:
        raise ClosedError(4400, "id must be a string that is not empty")
    return found


def _text(message: Json) -> Message:
    return {"type": "websocket.send", "text": encode(message).decode("utf-8")}


def closing(code: int, reason: str) -> Message:
    short = reason.encode("utf-8", "replace")[:_LONGEST_REASON].decode("utf-8", "ignore")
    return {"type": "websocket.close", "code": code, "reason": short}
