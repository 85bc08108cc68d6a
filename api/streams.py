"""What WebSockets and streams of events have in common: answers one after the other, to clients that may not read."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

import structlog
from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types import ExecutionResult

from api.auth import Doorkeeper
from api.pubsub import Listener, PubSub
from api.schema import TownclerkSchema
from api.schema.context import Context
from api.schema.live import resume
from api.schema.problems import present
from api.wire import NO_OPERATION, Asked, BadRequestError, Texts, answer_of, for_now
from models.services.access import Asker
from models.store.unit import Store

EXPIRED: Final = "The credential has expired or was revoked: sign in again."
FAREWELL_SECONDS: Final = 30.0  # for a client that did not read to start to, and to hear why it is left
_LOG: Final = structlog.get_logger("townclerk.streams")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of an operation. `final` where the operation failed as a whole: there is none after it."""

    shown: dict[str, Any]
    final: bool


@dataclass(kw_only=True)
class Streams:
    """One a process: what operations that stream are run with, and within which bounds.

    Times are in seconds. `send_seconds` is how long a client may take to take an answer; `max_streams` counts
    connections, `max_per_credential` those of one credential, `max_operations` what is under way on one WebSocket.
    """

    schema: TownclerkSchema
    texts: Texts
    store: Store
    pubsub: PubSub
    doorkeeper: Doorkeeper
    send_seconds: float
    keep_alive_seconds: float
    init_seconds: float
    max_streams: int
    max_per_credential: int
    max_operations: int
    max_message_bytes: int
    _open: Counter[str | None] = field(default_factory=Counter, init=False)  # by credential

    @contextmanager
    def admitted(self, asker: Asker) -> Iterator[asyncio.Event]:
        """Take one of the places for connections; gives an event that is set once the asker has to leave it.

        Raises `BadRequestError` where there is no place.
        """
        whose = asker.counted_as
        if self._open.total() >= self.max_streams:
            raise for_now(f"This process serves {self.max_streams} streams already, its most.", "STREAM_LIMIT")
        if whose is not None and self._open[whose] >= self.max_per_credential:
            raise for_now(f"This credential has {self.max_per_credential} streams, its most: end one.", "STREAM_LIMIT")
        with self.doorkeeper.until_over(asker) as over:
            self._open[whose] += 1
            try:
                yield over
            finally:
                self._open[whose] -= 1
                if not self._open[whose]:
                    del self._open[whose]

    async def answers(self, asked: Asked, asker: Asker, listener: Listener) -> AsyncGenerator[Answer, None]:
        """Run an operation: a query's or mutation's one answer, a subscription's as they come."""
        stream = await self.schema.stream(
            asked.query,
            variable_values=asked.variables,
            operation_name=asked.operation_name,
            context_value=Context(store=self.store, asker=asker, listener=listener, weight=asked.weight),
        )
        try:
            async with aclosing(stream):
                async for result in stream:
                    found = cast("ExecutionResult", result)  # nothing is deferred in this schema
                    shown = _no_operation(found) or answer_of(found, asker)
                    yield Answer(shown=shown, final="data" not in shown)
        except Exception as error:  # noqa: BLE001  # what extensions raise, as execute() would give it
            failed = GraphQLError(str(error), original_error=error)
            shown = present(error if isinstance(error, GraphQLError) else failed, asker)
            yield Answer(shown={"errors": [shown]}, final=True)


def farewell(listener: Listener, asker: Asker) -> list[dict[str, Any]]:
    """The errors that end a feed whose client did not read."""
    _LOG.warning("a client did not read; its feed ends", given=listener.given)
    return [present(resume(listener), asker)]


def expired(asker: Asker) -> list[dict[str, Any]]:
    """The errors that end a feed whose asker may not have it any more."""
    _LOG.info("a credential is worth nothing any more; its feed ends", credential=asker.credential_id)
    errors: list[dict[str, Any]] = BadRequestError(EXPIRED, code="UNAUTHENTICATED").answer["errors"]
    return errors


def _no_operation(result: ExecutionResult) -> dict[str, Any] | None:
    causes = (error.original_error for error in result.errors or ())
    if any(isinstance(cause, MissingQueryError | CannotGetOperationTypeError) for cause in causes):
        return BadRequestError(NO_OPERATION).answer
    return None


class BlockedError(Exception):
    """The client took nothing for as long as it may."""


class Outlet:
    """A way out that is used by several, one at a time, and by none for ever.

    What could not be sent in time was not sent at all: servers wait for room before they write.
    """

    def __init__(self, send: Callable[[Any], Awaitable[None]], *, seconds: float) -> None:
        self._send = send
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._ended = False
        self.blocked = False

    async def send(self, message: object, *, last: bool = False) -> None:
        """Send `message`. Raises `BlockedError`, also where an earlier one was not taken.

        Raises `OSError` where the client has gone, or was sent its `last` message.
        """
        async with self._turn:
            if self.blocked:
                raise BlockedError
            if self._ended:
                raise ConnectionResetError
            self._ended = last
            try:
                async with asyncio.timeout(self._seconds):
                    await self._send(message)
            except TimeoutError as error:
                self.blocked = True
                raise BlockedError from error

    async def send_last(self, *messages: object) -> bool:
        """Send `messages` to a client that did not read, should it start to in time."""
        async with self._turn:
            try:
                async with asyncio.timeout(FAREWELL_SECONDS):
                    for message in messages:
                        await self._send(message)
            except (TimeoutError, OSError):
                return False
        return True
