"""GraphQL over server-sent events, each operation on a connection of its own ("distinct connections mode")."""

import asyncio
from contextlib import aclosing, suppress
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.json_text import encode
from api.streams import BlockedError, Outlet, Streams, expired, farewell
from api.wire import Asked, BadRequestError
from models.services.access import Asker

_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # proxies that would wait for more
]
_COMPLETE: Final = b"event: complete\ndata:\n\n"
_COMMENT: Final = b":\n\n"


class EventStream(Response):
    """The answers of one operation as they come, then that it is complete."""

    def __init__(self, streams: Streams, asked: Asked, asker: Asker) -> None:
        super().__init__()
        self._streams = streams
        self._asked = asked
        self._asker = asker
        self._listener = streams.pubsub.listener()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._streams.admitted(self._asker) as over:
                await self._run(receive, send, over)
        except BadRequestError as error:
            await error.response()(scope, receive, send)

    async def _run(self, receive: Receive, send: Send, over: asyncio.Event) -> None:
        outlet = Outlet(send, seconds=self._streams.send_seconds)
        beside: list[asyncio.Task[None]] = []
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            beside += [
                asyncio.create_task(self._watch(receive)),
                asyncio.create_task(self._keep_alive(outlet)),
                asyncio.create_task(self._leave_once(over)),
            ]
            await self._answer(outlet, over)
            if outlet.blocked:
                errors = {"errors": farewell(self._listener, self._asker)}
                await outlet.send_last(_chunk(_next(errors)), _chunk(_COMPLETE, more=False))
        except OSError:
            pass  # the client has gone
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _answer(self, outlet: Outlet, over: asyncio.Event) -> None:
        with suppress(BlockedError):
            # Closed, not cancelled: a read of the database that is under way comes to its end.
            async with aclosing(self._streams.answers(self._asked, self._asker, self._listener)) as answers:
                async for answer in answers:
                    if over.is_set():
                        break
                    await outlet.send(_chunk(_next(answer.shown)))
            if over.is_set():
                await outlet.send(_chunk(_next({"errors": expired(self._asker)})))
            await outlet.send(_chunk(_COMPLETE, more=False))

    async def _watch(self, receive: Receive) -> None:
        """Leave once the client has gone."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._listener.leave()

    async def _leave_once(self, over: asyncio.Event) -> None:
        await over.wait()
        self._listener.leave()

    async def _keep_alive(self, outlet: Outlet) -> None:
        try:
            while True:
                await outlet.send(_chunk(_COMMENT))
                await asyncio.sleep(self._streams.keep_alive_seconds)
        except (BlockedError, OSError):
            self._listener.leave()


def _next(answer: dict[str, Any]) -> bytes:
    return b"event: next\ndata: " + encode(answer) + b"\n\n"


def _chunk(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}
