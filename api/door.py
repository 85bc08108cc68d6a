"""`POST /graphql`: who asks, then what; answered at once, or as a stream of events where that is asked for."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from api.auth import Doorkeeper
from api.schema import TownclerkSchema
from api.schema.context import Context
from api.schema.problems import code_of
from api.wire import (
    EVENT_STREAM,
    JSON,
    NO_OPERATION,
    Asked,
    BadRequestError,
    accepts,
    answer_of,
    encode,
    for_now,
    read_operation,
)
from models.domain.permissions import SEND_MUCH, meets
from models.services.access import Asker
from models.store.unit import Store

_GRAPHQL_JSON: Final = "application/graphql-response+json"
_GONE_AWAY: Final = 499
_NEEDS_STREAM: Final = (
    f"A subscription needs a stream: post it with Accept: {EVENT_STREAM}, "
    "or use a WebSocket with the protocol graphql-transport-ws."
)

Streamed = Callable[[Asked, Asker], Response]


class Turnstile:
    """Lets so many requests in at once, half of them of one credential, and sends the others away for nothing."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._most_of_one = max(1, most // 2)
        self._inside: Counter[str | None] = Counter()

    @contextmanager
    def passed(self, asker: Asker) -> Iterator[None]:
        """Be one of those inside. Raises `BadRequestError` where there is no room."""
        whose = asker.counted_as
        if self._inside.total() >= self._most:
            raise for_now(f"This process is at {self._most} requests already, its most.", "BUSY")
        if whose is not None and self._inside[whose] >= self._most_of_one:
            raise for_now(f"This credential has {self._most_of_one} requests under way, its most.", "BUSY")
        self._inside[whose] += 1
        try:
            yield
        finally:
            self._inside[whose] -= 1
            if not self._inside[whose]:
                del self._inside[whose]


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
        schema: TownclerkSchema,
        store: Store,
        doorkeeper: Doorkeeper,
        turnstile: Turnstile,
        streamed: Streamed,
        bounds: Bounds,
    ) -> None:
        self._schema = schema
        self._store = store
        self._doorkeeper = doorkeeper
        self._turnstile = turnstile
        self._streamed = streamed
        self._bounds = bounds

    async def handle(self, request: Request) -> Response:
        """Answer one request; whatever it asks for, with an answer that says what came of it."""
        accept = request.headers.get("accept", "")
        media_type = _GRAPHQL_JSON if accepts(accept, _GRAPHQL_JSON) else JSON
        try:
            asker = await self._doorkeeper.admit(request)
            with self._turnstile.passed(asker):
                body = await self._body(request, asker)
                asked = read_operation(request.headers.get("content-type", ""), body)
                if accepts(accept, EVENT_STREAM):
                    return self._streamed(asked, asker)
                answer, status = await self._answer(asked, asker)
        except BadRequestError as error:
            return error.response(media_type)
        except ClientDisconnect:
            return Response(status_code=_GONE_AWAY)  # which nobody hears but the log
        # Plain JSON says 200 to whatever was understood; the newer media type says 400 to what was not executed.
        return Response(
            encode(answer), status_code=status if media_type == _GRAPHQL_JSON else 200, media_type=media_type
        )

    async def _answer(self, asked: Asked, asker: Asker) -> tuple[dict[str, Any], int]:
        answer_by = asyncio.get_running_loop().time() + self._bounds.answer_seconds / 2
        context = Context(store=self._store, asker=asker, weight=asked.weight, answer_by=answer_by)
        try:
            async with asyncio.timeout(self._bounds.answer_seconds):
                result = await self._schema.execute(
                    asked.query,
                    variable_values=asked.variables,
                    operation_name=asked.operation_name,
                    context_value=context,
                    allowed_operation_types=(OperationType.QUERY, OperationType.MUTATION),
                )
        except InvalidOperationTypeError as error:
            raise BadRequestError(_NEEDS_STREAM, code="NEEDS_STREAM") from error
        except (MissingQueryError, CannotGetOperationTypeError) as error:
            raise BadRequestError(NO_OPERATION) from error
        except TimeoutError as error:
            raise self._too_late(context) from error
        for found in result.errors or ():
            if code_of(found) == "BODY_LIMIT":
                raise BadRequestError(found.message, status=413, code="BODY_LIMIT")
        answer = answer_of(result, asker)
        return answer, 200 if "data" in answer else 400

    def _too_late(self, context: Context) -> BadRequestError:
        seconds = self._bounds.answer_seconds
        message = f"The answer took longer than {seconds:g} seconds. Ask for less, or ask over a stream."
        if context.operation.kind == "mutation":
            message = (
                f"The change took longer than {seconds:g} seconds, and nobody waited to hear whether it was made. Send "
                "the request again with the same idempotency key: it takes effect once. Without a key, read first."
            )
        return for_now(message, "DEADLINE")

    async def _body(self, request: Request, asker: Asker) -> bytes:
        """The body, of which no more is taken in than the limit, whatever was announced, and not for ever."""
        most = self._bounds.large_body_bytes if meets(asker.grant, SEND_MUCH) else self._bounds.body_bytes
        try:
            async with asyncio.timeout(self._bounds.body_seconds):
                return await _read(request, most)
        except TimeoutError as error:
            message = f"The body has to be here within {self._bounds.body_seconds:g} seconds."
            raise BadRequestError(message, status=408, code="DEADLINE", headers={"Connection": "close"}) from error


async def _read(request: Request, most: int) -> bytes:
    too_long = BadRequestError(f"The body may have at most {most} bytes.", status=413, code="BODY_LIMIT")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:18]) > most:
        raise too_long
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise too_long
    return bytes(body)
