"""How long the server's own end of a connection waits for a peer that takes nothing."""

import asyncio
import contextlib
import socket
from typing import Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_MOST_MILLISECONDS: Final = 120_000  # above all that the application waits by itself


class BoundedHttp(HttpToolsProtocol):
    """Has the kernel cut a connection whose peer takes nothing, WebSockets too.

    Without it, a connection that was closed with something still to send stays for as long as the peer likes.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connection = cast("socket.socket | None", transport.get_extra_info("socket"))
        if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _MOST_MILLISECONDS)
        super().connection_made(cast("asyncio.Transport", transport))


class PatientSocket(WebSocketsSansIOProtocol):
    """Leaves the last word of a conversation to the application, also when the server ends.

    The application hears of that itself, and the server waits for it as long as it waits for requests.
    """

    def shutdown(self) -> None:
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
