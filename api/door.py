"""`POST /graphql`: who asks, then what; answered at once, or as a stream of events where that is asked for."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from api.auth import Doorkeeper
from api.json_text import encode
from api.schema.context import Context
from api.schema.executor import Executor
from api.schema.lane import Lane
from api.schema.problems import code_of
from api.turnstile import Turnstile
from api.waiting import within
from api.wire import (
    EVENT_STREAM,
    JSON,
    NO_OPERATION,
    Asked,
    BadRequestError,
    Texts,
    answer_of,
    for_now,
    read_operation,
    wanted_of,
)
from models.domain.permissions import SEND_MUCH, meets
from models.services.access import Asker
from models.store.unit import Store

_GONE_AWAY: Final = 499  # which nobody hears but the log
_NEEDS_STREAM: Final = (
    f"A subscription needs a stream: post it with Accept: {EVENT_STREAM}, "
    "or use a WebSocket with the protocol graphql-transport-ws."
)

Streamed = Callable[[Asked, Asker], ASGIApp]


class _GoneError(Exception):
    """Whoever asked has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a request may take: the bytes of its body, of one that imports or syncs, and seconds."""

    body_bytes: int
    large_body_bytes: int
    body_seconds: float
    answer_seconds: float


class GraphQLDoor:
    """The endpoint. `streamed` answers those who accept a stream of events."""

    def __init__(
        self,
        executor: Executor,
        texts: Texts,
        store: Store,
        lane: Lane,
        doorkeeper: Doorkeeper,
        turnstile: Turnstile,
        streamed: Streamed,
        bounds: Bounds,
    ) -> None:
        self._executor = executor
        self._texts = texts
        self._store = store
        self._lane = lane
        self._doorkeeper = doorkeeper
        self._turnstile = turnstile
        self._streamed = streamed
        self._bounds = bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever it asks for, with an answer that says what came of it."""
        heads: dict[bytes, bytes] = scope["state"]["heads"]
        wanted = wanted_of(heads.get(b"accept", b""))
        try:
            asker = self._doorkeeper.recalled(scope, heads) or await self._doorkeeper.identify(scope)
            whose = asker.counted_as
            if "spent" not in scope["state"]:  # at the hatch
                self._doorkeeper.spend(whose)
            self._turnstile.enter(whose)
            try:
                asked: Asked | None = scope["state"].get("asked")  # at the hatch
                if asked is None:
                    sent = await self._body(receive, heads, asker)
                    asked = read_operation(heads.get(b"content-type", b""), sent, self._texts)
                streamed = self._streamed(asked, asker) if wanted.streams else None
                # who has waited at the hatch for a database that said nothing does not wait as long once more
                is_short = streamed is None and "looked" not in scope["state"]
                ready = await self._lane.answer(asked, asker.grant) if is_short else None
                if ready is not None:
                    body, executed = ready.body, True
                elif streamed is None:
                    answer, executed = await self._executed(asked, asker)
                    body = encode(answer)
            finally:
                self._turnstile.leave(whose)
        except BadRequestError as error:
            await error.response(wanted.media_type)(scope, receive, send)
        except TimeoutError:
            await self._too_late("query").response(wanted.media_type)(scope, receive, send)
        except _GoneError:
            await Response(status_code=_GONE_AWAY)(scope, receive, send)
        else:
            if streamed is not None:
                await streamed(scope, receive, send)
                return
            length = (b"content-length", b"%d" % len(body))
            status = 200 if executed or wanted.media_type == JSON else 400
            await send({"type": "http.response.start", "status": status, "headers": [length, wanted.header]})
            await send({"type": "http.response.body", "body": body})

    async def _executed(self, asked: Asked, asker: Asker) -> tuple[dict[str, Any], bool]:
        """The executor's answer, and whether anything was executed."""
        answer_by = asyncio.get_running_loop().time() + self._bounds.answer_seconds / 2
        context = Context(store=self._store, asker=asker, weight=asked.weight, answer_by=answer_by)
        try:
            result = await within(self._bounds.answer_seconds, self._executor.execute(asked, context))
        except InvalidOperationTypeError as error:
            raise BadRequestError(_NEEDS_STREAM, code="NEEDS_STREAM") from error
        except (MissingQueryError, CannotGetOperationTypeError) as error:
            raise BadRequestError(NO_OPERATION) from error
        except TimeoutError as error:
            raise self._too_late(context.operation.kind) from error
        for found in result.errors or ():
            if code_of(found) == "BODY_LIMIT":
                raise BadRequestError(found.message, status=413, code="BODY_LIMIT")
        answer = answer_of(result, asker)
        return answer, "data" in answer

    def _too_late(self, kind: str) -> BadRequestError:
        seconds = self._bounds.answer_seconds
        message = f"The answer took longer than {seconds:g} seconds. Ask for less, or ask over a stream."
        if kind == "mutation":
            message = (
                f"The change took longer than {seconds:g} seconds, and nobody waited to hear whether it was made. Send "
                "the request again with the same idempotency key: it takes effect once. Without a key, read first."
            )
        return for_now(message, "DEADLINE")

    async def _body(self, receive: Receive, heads: Mapping[bytes, bytes], asker: Asker) -> bytes:
        """The body, of which no more is taken in than the limit, whatever was announced, and not for ever."""
        most = self._bounds.body_bytes
        announced = heads.get(b"content-length", b"")
        length = int(announced[:18]) if announced.isdigit() else None
        if (length is None or length > most) and meets(asker.grant, SEND_MUCH):
            most = self._bounds.large_body_bytes
        if length is not None and length > most:
            raise _too_long(most)
        try:
            return await within(self._bounds.body_seconds, _read(receive, most))
        except TimeoutError as error:
            message = f"The body has to be here within {self._bounds.body_seconds:g} seconds."
            raise BadRequestError(message, status=408, code="DEADLINE", headers={"Connection": "close"}) from error


async def _read(receive: Receive, most: int) -> bytes:
    body: bytes | bytearray = b""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise _GoneError
        part, more = message.get("body", b""), message.get("more_body", False)
        if len(body) + len(part) > most:
            raise _too_long(most)
        if not body:
            body = bytearray(part) if more else part
        else:
            body += part
    return bytes(body)


def _too_long(most: int) -> BadRequestError:
    return BadRequestError(f"The body may have at most {most} bytes.", status=413, code="BODY_LIMIT")
