"""Logs: one JSON object a line, each with the request id where there is a request."""

import logging
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.schema.operation import DONE, Operation

_SANE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-")
_LONGEST: Final = 128
_HEADER: Final = b"x-request-id"
_STARTS: Final = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_SWITCHING_PROTOCOLS: Final = 101
_LOG: Final = structlog.get_logger("townclerk.http")


class CutOffError(Exception):
    """An answer is not finished, on purpose: the connection is cut, so that nobody takes what came for all there is."""


def configure_logging(level: str) -> None:
    """Send what Townclerk and its libraries log to standard error as JSON."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def sane_request_id(given: str | None) -> str:
    """The caller's request id where it looks sane (1 to 128 letters, digits and . _ : -), else a new one."""
    if given and len(given) <= _LONGEST and _SANE.issuperset(given):
        return given
    return uuid.uuid4().hex


@contextmanager
def log_operation(operation: Operation) -> Iterator[None]:
    """Have what is logged of the request from here on say which operation it was and what codes it ended in."""
    yield
    refusals = {outcome for _, outcome in operation.changes} - {DONE}
    structlog.contextvars.bind_contextvars(
        operation=operation.kind, fields=operation.fields, codes=[*operation.codes, *sorted(refusals)]
    )


class RequestLog:
    """Middleware that gives each request its id, echoes it, and logs what came of the request once it has ended."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == _HEADER), None)
        request_id = sane_request_id(given)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        method = scope.get("method", "GET")  # a WebSocket begins as one
        status = 0
        begun = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] in _STARTS:
                status = message.get("status", _SWITCHING_PROTOCOLS)
                message["headers"] = [*message.get("headers", ()), (_HEADER, request_id.encode("ascii"))]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except CutOffError as cut:
            _LOG.info("answer cut off", why=str(cut))
        except Exception:  # noqa: BLE001  # Starlette has answered it already and hands it on to be logged
            _LOG.exception("internal error", method=method, path=scope["path"])
        finally:
            _LOG.info(
                "request",
                method=method,
                path=scope["path"],
                status=status,
                milliseconds=round(1000 * (time.perf_counter() - begun), 1),
            )
