"""The WebSocket `/graphql`: the protocol graphql-transport-ws, and no other.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from strawberry.http.websocket_origin import is_same_origin

from api.addresses import network_of
from api.conversation import ClosedError, Conversation, Json, Received, closing, no_greeting, receive
from api.streams import Streams
from api.wire import BadRequestError, for_now

PROTOCOL: Final = "graphql-transport-ws"
_LONGEST_GREETING: Final = 20_000  # bytes
_MOST_STRANGERS: Final = 32
_MOST_NEIGHBOURS: Final = 16  # of them in one network
_CLOSE_CODES: Final = {"UNAUTHENTICATED": 4401, "FORBIDDEN": 4403, "RATE_LIMIT": 4429}


class GraphQLSocket:
    """The endpoint. Headers of the handshake say who asks, as they do for a POST.

    Browsers can't send any: they may say it in `connection_init`, as its `authorization`. `origins` are those of the
    pages that may, besides our own.
    """

    def __init__(self, streams: Streams, *, origins: Collection[str]) -> None:
        self._streams = streams
        self._origins = origins
        self._strangers: Counter[str] = Counter()  # by network

    async def handle(self, websocket: WebSocket) -> None:
        """Have a conversation; what speaks against it before it begins is told as HTTP."""
        doorkeeper = self._streams.doorkeeper
        try:
            self._refuse_other_origins(websocket)
            if doorkeeper.may_wait(websocket.scope):
                await self._hear_stranger(websocket)
                return
            asker = await doorkeeper.identify(websocket.scope)
            with self._streams.admitted(asker) as over:
                if await _accepted(websocket):
                    await Conversation(websocket, self._streams, asker, over).run()
        except BadRequestError as error:
            with suppress(OSError, WebSocketDisconnect):  # the client may have gone
                await websocket.send_denial_response(error.response())

    async def _hear_stranger(self, websocket: WebSocket) -> None:
        """Let someone who has not said who it is open the connection, to say so first of all and soon."""
        with ExitStack() as stack:
            try:
                with self._place_for_stranger(websocket):
                    greeting = await _greeting(websocket, self._streams) if await _accepted(websocket) else None
                    if greeting is None:
                        return
                    asker = await self._streams.doorkeeper.sign_in(websocket.scope, _authorization(greeting.message))
                over = stack.enter_context(self._streams.admitted(asker))
            except ClosedError as ended:
                await _close_soon(websocket, ended, self._streams.send_seconds)
            except BadRequestError as error:
                if websocket.application_state is WebSocketState.CONNECTING:
                    raise  # nothing was accepted yet
                closed = ClosedError(_CLOSE_CODES.get(error.code, 4500), str(error))
                await _close_soon(websocket, closed, self._streams.send_seconds)
            else:
                await Conversation(websocket, self._streams, asker, over).run(greeting)

    @contextmanager
    def _place_for_stranger(self, websocket: WebSocket) -> Iterator[None]:
        """Take one of the places for those who have not said who they are. Raises `BadRequestError`."""
        network = network_of("" if websocket.client is None else websocket.client.host)
        if self._strangers.total() >= _MOST_STRANGERS or self._strangers[network] >= _MOST_NEIGHBOURS:
            raise for_now("Too many connections have not said who they are yet.", "STREAM_LIMIT")
        self._strangers[network] += 1
        try:
            yield
        finally:
            self._strangers[network] -= 1
            if not self._strangers[network]:
                del self._strangers[network]

    def _refuse_other_origins(self, websocket: WebSocket) -> None:
        """Browsers let any page open a WebSocket to anywhere, so that pages of other origins are kept out here."""
        origin = websocket.headers.get("origin")
        if origin is None or origin in self._origins or is_same_origin(origin, websocket.headers.get("host")):
            return
        raise BadRequestError("Pages of another origin may not open a WebSocket.", status=403, code="FORBIDDEN")


async def _accepted(websocket: WebSocket) -> bool:
    """Accept a connection that speaks our protocol and is still there; close one that does not."""
    speaks = PROTOCOL in websocket.scope["subprotocols"]
    try:
        await websocket.accept(subprotocol=PROTOCOL if speaks else None)
        if not speaks:
            await websocket.close(4406, f"Subprotocol not acceptable: use {PROTOCOL}")
    except (OSError, WebSocketDisconnect):
        return False
    return speaks


async def _greeting(websocket: WebSocket, streams: Streams) -> Received | None:
    """The first message, which has to be `connection_init`; None where the client has gone. Raises `ClosedError`."""
    hearing = asyncio.create_task(receive(websocket, _LONGEST_GREETING))
    away = asyncio.create_task(streams.pubsub.going_away.wait())
    try:
        await asyncio.wait({hearing, away}, timeout=streams.init_seconds, return_when=asyncio.FIRST_COMPLETED)
        if not hearing.done():
            raise ClosedError(1001, "Going away") if away.done() else no_greeting()
        received = hearing.result()
    finally:
        for task in (hearing, away):
            task.cancel()
        await asyncio.gather(hearing, away, return_exceptions=True)
    if received is not None and received.message.get("type") != "connection_init":
        raise ClosedError(4401, "Unauthorized")
    return received


def _authorization(greeting: Json) -> str:
    """What a greeting says in place of the header Authorization."""
    payload = greeting.get("payload")
    named = {name.lower(): value for name, value in payload.items()} if isinstance(payload, dict) else {}
    found = named.get("authorization")
    return found if isinstance(found, str) else ""


async def _close_soon(websocket: WebSocket, why: ClosedError, seconds: float) -> None:
    with suppress(TimeoutError, OSError, WebSocketDisconnect):
        async with asyncio.timeout(seconds):
            await websocket.send(closing(why.code, why.reason))
