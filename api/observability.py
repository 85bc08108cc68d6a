"""Logs: one JSON object a line, each with the request id where there is a request."""

import json
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol, TextIO

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.schema.operation import Operation
from api.wire import heads_of

_SANE: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-")
_LONGEST: Final = 128
_HEADER: Final = b"x-request-id"
_STARTS: Final = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_BODY: Final = "http.response.body"
_SWITCHING_PROTOCOLS: Final = 101
_USUAL_LENGTH: Final = 200  # of a path that is likely to be asked for again
_LOG: Final = structlog.get_logger("townclerk.http")
_HTTP_LOG: Final = logging.getLogger("townclerk.http")


@dataclass(slots=True)
class _Noted:
    """What is logged of a request besides what came of it; of one that has several operations, the last."""

    request_id: str | None = None
    operation: Operation | None = None


_REQUEST: Final[ContextVar[_Noted]] = ContextVar("request")
_NONE: Final = _Noted()


class RequestCounts(Protocol):
    """Who counts requests."""

    def begun(self) -> None:
        """One has begun."""

    def ended(self, scope: Scope, status: int, seconds: float) -> None:
        """It has ended: its answer is about to be whole, or never will be."""


class CutOffError(Exception):
    """An answer is not finished, on purpose: the connection is cut, so that nobody takes what came for all there is."""


class _Handlers:
    """Where lines go, those of loggers and those that are written by hand."""

    current: logging.StreamHandler[TextIO] = logging.StreamHandler(sys.stderr)


def configure_logging(level: str) -> None:
    """Send what Townclerk and its libraries log to standard error as JSON."""
    shared: list[structlog.typing.Processor] = [
        _merge_request,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = _Handlers.current = logging.StreamHandler(sys.stderr)
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


def _merge_request(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    request_id = current_request()
    return event if request_id is None else {"request_id": request_id, **event}


def current_request() -> str | None:
    """The id of the request that is being answered."""
    return _REQUEST.get(_NONE).request_id


def sane_request_id(given: bytes | None) -> str:
    """The caller's request id where it looks sane (1 to 128 letters, digits and . _ : -), else a new one."""
    if given and len(given) <= _LONGEST and _SANE.issuperset(given):
        return given.decode("ascii")
    return f"{random.getrandbits(128):032x}"  # nobody has to guess it, and it need not be hard to


def log_operation(operation: Operation) -> None:
    """Have the line of a request say which operation it was and what codes it ended in."""
    _REQUEST.get(_Noted()).operation = operation


class Requests:
    """Middleware that gives each request its id, echoes it, counts and times it, and logs what came of it.

    `broken` answers those that failed inside.
    """

    def __init__(self, app: ASGIApp, counts: RequestCounts, broken: Callable[[str], ASGIApp]) -> None:
        self.app = app
        self._counts = counts
        self._broken = broken

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self.app(scope, receive, send)
            return
        heads = heads_of(scope)
        request_id = sane_request_id(heads.get(_HEADER))
        state = scope.setdefault("state", {})
        state["request_id"], state["heads"] = request_id, heads
        noted = _Noted(request_id)
        _REQUEST.set(noted)
        status = 0
        begun = time.perf_counter()
        under_way = kind == "http"
        if under_way:
            self._counts.begun()

        def send_and_note(message: Message) -> Awaitable[None]:
            nonlocal status, under_way
            step = message["type"]
            if step == _BODY:
                if under_way and not message.get("more_body", False):
                    under_way = False  # before the client has all of the answer, who may ask for the numbers next
                    self._counts.ended(scope, status, time.perf_counter() - begun)
            elif step in _STARTS:
                status = message.get("status", _SWITCHING_PROTOCOLS)
                message["headers"] = [*message.get("headers", ()), (_HEADER, request_id.encode("ascii"))]
            return send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except CutOffError as cut:
            _LOG.info("answer cut off", why=str(cut))
        except Exception:  # noqa: BLE001  # nobody else catches it, and whoever asked hears that something went wrong
            _LOG.exception("internal error", method=scope.get("method", "GET"), path=scope["path"])
            if status == 0 and kind == "http":
                await self._broken(request_id)(scope, receive, send_and_note)
        finally:
            if under_way:
                self._counts.ended(scope, status, time.perf_counter() - begun)
            _log_request(scope, noted, status, time.perf_counter() - begun)


# ---- the line of a request, which is written often: by hand, since loggers take longer than answers


def _log_request(scope: Scope, noted: _Noted, status: int, seconds: float) -> None:
    if not _HTTP_LOG.isEnabledFor(logging.INFO):
        return
    operation = noted.operation if scope["type"] == "http" else None
    path, now = scope["path"], time.time()
    told = _told(
        scope.get("method", "GET"),
        path if len(path) < _USUAL_LENGTH else None,
        status,
        None if operation is None else operation.kind,
        () if operation is None else operation.fields,
        () if operation is None else (*operation.codes, *operation.refused_for()),
    )
    if len(path) >= _USUAL_LENGTH:
        told += f', "path": {json.dumps(path)}'
    whole = int(now)
    line = (
        f'{{"request_id": "{noted.request_id}", {told}, "milliseconds": {1000 * seconds:.1f}, '
        f'"at": "{_to_the_second(whole)}.{int((now - whole) * 1_000_000):06d}Z"}}\n'
    )
    with suppress(OSError, ValueError):  # nobody reads the log any more: no reason not to answer
        _Handlers.current.stream.write(line)


@lru_cache(maxsize=4096)
def _told(
    method: str, path: str | None, status: int, operation: str | None, fields: tuple[str, ...], codes: tuple[str, ...]
) -> str:
    """What is the same for many requests."""
    told: dict[str, object] = {"event": "request", "logger": _HTTP_LOG.name, "level": "info", "method": method}
    if path is not None:
        told["path"] = path
    told["status"] = status
    if operation is not None:
        told |= {"operation": operation, "fields": fields, "codes": codes}
    return json.dumps(told)[1:-1]


@lru_cache(maxsize=2)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
