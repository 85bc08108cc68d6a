"""How long the server's own end of a connection bears with a peer that takes nothing, or that never ends."""

import asyncio
import contextlib
import logging
import socket
from typing import Any, Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidMessage
from websockets.frames import Frame

from api.flow import Flow, JoiningWay, Way
from api.json_text import encode
from api.wire import JSON, BadRequestError

_MOST_MILLISECONDS: Final = 120_000  # above all that the application waits by itself
_MOST_HEAD: Final = 65_536  # bytes in a row that are no body: of a head, of trailers, of a chunk's extension
_CONNECTION: Final = (b"connection", b"proxy-connection")  # the parser takes both for the same
_HEAD_SECONDS: Final = 20.0  # for a head, and for the rest of a body that was answered before it was read
_UNREADABLE: Final = "The request is no HTTP that can be read."

_LOG: Final = logging.getLogger("townclerk.connections")
_LOG.setLevel(logging.WARNING)
_LOG.addFilter(lambda record: not str(record.msg).startswith("Invalid UTF-8"))  # logged as if it were a fault of ours


class BoundedHttp(HttpToolsProtocol):
    """Has the kernel cut a connection whose peer takes nothing, WebSockets too.

    Without it, a connection that was closed with something still to send stays for as long as the peer likes. The
    application bounds bodies; what comes before it is asked, and after it has answered, is bounded here.
    """

    _no_body: int = 0
    _in_head: bool = False
    _in_message: bool = False
    _idle: asyncio.TimerHandle | None = None
    _kept: asyncio.TimerHandle | None = None
    _answered_at: float = 0.0
    _is_to_upgrade: bool = False
    _declines: bool = False  # what the request that is being parsed offers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connection = cast("socket.socket | None", transport.get_extra_info("socket"))
        if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _MOST_MILLISECONDS)
        super().connection_made(cast("asyncio.Transport", transport))
        self.flow = Flow(self.transport, self.pipeline)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        if self._kept is not None:
            self._kept.cancel()
            self._kept = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_to_upgrade:
            return  # which nobody may say before the handshake is answered; uvicorn drops what comes along with it, too
        self._no_body += len(data)
        while data:
            data = self._feed(data)
        if self._no_body > _MOST_HEAD and not self.transport.is_closing():
            self._refuse(_too_much_head())
        self._watch()

    def _feed(self, data: bytes) -> bytes:
        """Parse it as uvicorn does; gives what is to be parsed next.

        The parser takes what follows the offer of another protocol for that, although HTTP goes on where it is declined
        (RFC 9110 section 7.8), and HttpClient of Java offers HTTP/2 with each request. So one is parsed anew without.
        """
        try:
            self.parser.feed_data(data)
        except HttpParserError:
            self.send_400_response("")
        except HttpParserUpgrade as offer:
            if self._declines:
                head = self._head_without_offer()
                self.parser = HttpRequestParser(self)
                return head + data[offer.args[0] :]
            if self._should_upgrade():
                self.handle_websocket_upgrade()
        return b""

    def _head_without_offer(self) -> bytes:
        """The head that was just parsed, without what it offers."""
        version = self.parser.get_http_version().encode("ascii")
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name in _CONNECTION:
                lines += [b"connection: close"] if b"close" in value.lower() else []
            elif name != b"upgrade":
                lines.append(name + b": " + value)
        return b"\r\n".join([*lines, b"", b""])

    def _get_upgrade(self) -> bytes | None:
        """The protocol that is offered. uvicorn looks at the last `Connection` alone, and the parser at all of them."""
        said = b",".join(value for name, value in self.headers if name == b"connection").lower().split(b",")
        if b"upgrade" not in map(bytes.strip, said):
            return None
        return next((value.lower() for name, value in reversed(self.headers) if name == b"upgrade"), None)

    def on_message_begin(self) -> None:
        self._in_head = self._in_message = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._no_body, self._in_head = 0, False
        offered = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        self._declines = offered and not self._should_upgrade()
        if self._declines:
            return
        super().on_headers_complete()
        new = cast("RequestResponseCycle | None", self.cycle)
        if new is not None and new.transport is self.transport:
            way = Way if self.scope["method"] == "HEAD" else JoiningWay
            new.transport = way(self.transport)  # type: ignore[assignment]  # as much of one as it takes

    def on_body(self, body: bytes) -> None:
        self._no_body = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        if not self._declines:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """As uvicorn has it, but for the timer of kept connections: setting one for each request takes long."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        following = self.pipeline.pop() if self.pipeline else None
        self.flow.resume_reading()
        if following is not None:
            self._start_asgi_task(*following)
            return
        if self._is_to_upgrade:
            self._is_to_upgrade = False
            super().handle_websocket_upgrade()
            return
        self._keep()
        if self._in_message:  # what is answered before its body is here; nothing more may come of it
            self._watch()

    def _keep(self) -> None:
        """Keep the connection, on which a request was answered just now, for others."""
        self._answered_at = self.loop.time()
        if self._kept is None:
            self._kept = self.loop.call_later(self.timeout_keep_alive, self._close_if_unused)

    def handle_websocket_upgrade(self) -> None:
        """As uvicorn has it, once all that was asked before is answered."""
        if self._under_way is None:
            super().handle_websocket_upgrade()
        else:
            self._is_to_upgrade = True
            self.flow.pause_reading()

    def _close_if_unused(self) -> None:
        """Close a connection that was kept for long enough; look again later at one that was used meanwhile."""
        self._kept = None
        if self._in_message or self._under_way is not None or self.transport.is_closing():
            return  # the end of the next answer sets the timer anew, and what is sent until then is bounded by another
        if self.transport.get_protocol() is not self:
            return  # it is a WebSocket's now
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._kept = self.loop.call_later(left, self._close_if_unused)
        else:
            self.transport.close()

    def send_400_response(self, _msg: str) -> None:
        self._refuse(BadRequestError(_UNREADABLE))

    @property
    def _under_way(self) -> RequestResponseCycle | None:
        """The request that the application is at."""
        last = cast("RequestResponseCycle | None", self.cycle)
        return None if last is None or last.response_complete else last

    def _watch(self) -> None:
        """Give what is no request under way some time to become one; a connection that was kept has less."""
        is_kept = self._kept is not None and not self._in_message
        if is_kept or self._under_way or self.transport.is_closing() or self.transport.get_protocol() is not self:
            self._unwatch()
        elif self._idle is None:
            self._idle = self.loop.call_later(_HEAD_SECONDS, self._give_up)

    def _unwatch(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _give_up(self) -> None:
        if self._in_head:
            message = f"The head of the request has to be here within {_HEAD_SECONDS:g} seconds."
            self._refuse(BadRequestError(message, status=408, code="DEADLINE"))
        self.transport.close()

    def _refuse(self, error: BadRequestError) -> None:
        """Answer in place of the application, and close; amid an answer of its own just close."""
        if self._under_way is None or not self._under_way.response_started:
            self.transport.write(_refusal(error, self.server_state.default_headers))
        self.transport.close()


class PatientSocket(WebSocketsSansIOProtocol):
    """Leaves the last word of a conversation to the application, also when the server ends.

    The application hears of that itself, and the server waits for it as long as it waits for requests.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Addresses would be logged with their queries and, where all is, what is said: credentials stand in both.
        self.logger = self.conn.logger = _LOG
        self.conn.debug = False
        self._continued = bytearray()

    def shutdown(self) -> None:
        if not self.handshake_complete or self.close_sent:
            super().shutdown()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse_handshake(self.conn.handshake_exc)

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # pongs for a peer that does not read are not kept for it

    def handle_cont(self, event: Frame) -> None:
        self._continued += event.data  # fragments can be tiny, and a list of them large
        if event.fin:
            self.frames.append(bytes(self._continued))
            self._continued.clear()
            self.send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        if self.conn.close_sent is None:  # no WebSocket yet, and so nothing to close but the connection
            self.disconnected = True
            self.transport.close()
        else:
            super().handle_parser_exception()

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if self.close_sent:
            self.handshake_complete = True  # or it would be logged as an error that a handshake was denied

    def _refuse_handshake(self, why: Exception) -> None:
        """Tell a peer whose handshake can't be read, for which the server would wait for ever."""
        error = BadRequestError(_UNREADABLE) if isinstance(why, InvalidMessage) else _too_much_head()
        self.transport.write(_refusal(error, self.default_headers))
        self.transport.close()


def _too_much_head() -> BadRequestError:
    return BadRequestError("The head of the request is too long.", status=431, code="HEADER_LIMIT")


def _refusal(error: BadRequestError, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    body = encode(error.answer)
    headers = [
        *default_headers,
        (b"content-type", JSON.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    lines = [name + b": " + value + b"\r\n" for name, value in headers]
    return b"".join([STATUS_LINE[error.status], *lines, b"\r\n", body])
