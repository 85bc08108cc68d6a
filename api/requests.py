"""What is the same about all requests: each has an id, is counted and timed, and leaves a line in the log."""

import asyncio
import json
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import lru_cache
from typing import ClassVar, Final, NamedTuple, Protocol, TextIO

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.schema.operation import Operation
from api.wire import heads_of

_SOON_SECONDS: Final = 0.01
_SANE: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-")
_LONGEST: Final = 128
REQUEST_ID: Final = b"x-request-id"
_STARTS: Final = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_BODY: Final = "http.response.body"
_SWITCHING_PROTOCOLS: Final = 101
_USUAL_LENGTH: Final = 200  # of a path that is likely to be asked for again
_LOG: Final = structlog.get_logger("townclerk.http")
_HTTP_LOG: Final = logging.getLogger("townclerk.http")


class CutOffError(Exception):
    """An answer is not finished, on purpose: the connection is cut, so that nobody takes what came for all there is."""


class RequestCounts(Protocol):
    """Who counts requests."""

    def begun(self) -> None:
        """One has begun."""

    def ended(self, scope: Scope, status: int, seconds: float) -> None:
        """It has ended: its answer is about to be whole, or never will be."""


class Told(NamedTuple):
    """What a request was, and what came of it."""

    method: str
    path: str | None
    status: int
    operation: str | None = None
    fields: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()


# What is logged of a request: its id, what is the same for many, seconds that it took, when it ended in seconds since
# 1970, and its path where that is too odd to be told as others are.
Line = tuple[str, Told, float, float, str | None]


class Lines:
    """The lines of requests, which go to where all else is logged: those of a moment together, as each takes long.

    They are written by hand, since loggers take longer than answers.
    """

    stream: ClassVar[TextIO] = sys.stderr
    _waiting: ClassVar[list[Line]] = []

    @classmethod
    def add(cls, line: Line) -> None:
        """Have a line written soon, if such are wanted."""
        if not cls._waiting:
            asyncio.get_running_loop().call_later(_SOON_SECONDS, cls.flush)
        cls._waiting.append(line)

    @classmethod
    def flush(cls) -> None:
        """Write what waits."""
        waiting, cls._waiting = cls._waiting, []
        if _HTTP_LOG.isEnabledFor(logging.INFO):
            with suppress(OSError, ValueError):  # nobody reads the log any more: no reason not to answer
                cls.stream.write("".join(map(_spelled, waiting)))


class Requests:
    """Middleware. `broken` answers requests that failed inside, by their ids."""

    def __init__(self, app: ASGIApp, counts: RequestCounts, broken: Callable[[str], ASGIApp]) -> None:
        self.app = app
        self._counts = counts
        self._broken = broken

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            try:
                await self.app(scope, receive, send)
            finally:
                Lines.flush()
            return
        one = _Request(scope, send, self._counts)
        _CURRENT.set(one)
        try:
            await self.app(scope, receive, one.send)
        except CutOffError as cut:
            _LOG.info("answer cut off", why=str(cut))
        except Exception:  # noqa: BLE001  # nobody else catches it, and whoever asked hears that something went wrong
            _LOG.exception("internal error", method=scope.get("method", "GET"), path=scope["path"])
            if one.status == 0 and scope["type"] == "http":
                await self._broken(one.request_id)(scope, receive, one.send)
        finally:
            one.end()
            Lines.add(one.line())


class _Request:
    """One request, from its first moment to its last; of its operations the last is known."""

    __slots__ = ("_begun", "_counts", "_scope", "_send", "_under_way", "operation", "request_id", "status")

    def __init__(self, scope: Scope, send: Send, counts: RequestCounts) -> None:
        heads = heads_of(scope)
        self.request_id = sane_request_id(heads.get(REQUEST_ID))
        self.operation: Operation | None = None
        self.status = 0
        self._scope = scope
        self._send = send
        self._counts = counts
        self._under_way = scope["type"] == "http"
        state = scope.setdefault("state", {})
        state["request_id"], state["heads"] = self.request_id, heads
        if self._under_way:
            counts.begun()
        self._begun = time.perf_counter()

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message on, with the id."""
        step = message["type"]
        if step == _BODY:
            if not message.get("more_body", False):
                self.end()  # before the client has all of the answer, who may ask for the numbers next
        elif step in _STARTS:
            self.status = message.get("status", _SWITCHING_PROTOCOLS)
            message["headers"] = [*message.get("headers", ()), (REQUEST_ID, self.request_id.encode("ascii"))]
        return self._send(message)

    def end(self) -> None:
        """Count it, once."""
        if self._under_way:
            self._under_way = False
            self._counts.ended(self._scope, self.status, time.perf_counter() - self._begun)

    def line(self) -> Line:
        """What is logged of it."""
        scope, operation = self._scope, self.operation
        path = scope["path"]
        usual = path if len(path) < _USUAL_LENGTH else None
        if operation is None or scope["type"] != "http":
            told = Told(scope.get("method", "GET"), usual, self.status)
        else:
            codes = (*operation.codes, *operation.refused_for()) if operation.changes else operation.codes
            told = Told(scope["method"], usual, self.status, operation.kind, operation.fields, codes)
        seconds = time.perf_counter() - self._begun
        return self.request_id, told, seconds, time.time(), path if usual is None else None


_CURRENT: Final[ContextVar[_Request]] = ContextVar("request")


def current_request() -> str | None:
    """The id of the request that is being answered."""
    current = _CURRENT.get(None)
    return None if current is None else current.request_id


def log_operation(operation: Operation) -> None:
    """Have the line of a request say which operation it was and what codes it ended in."""
    current = _CURRENT.get(None)
    if current is not None:
        current.operation = operation


def sane_request_id(given: bytes | None) -> str:
    """The caller's request id where it looks sane (1 to 128 letters, digits and . _ : -), else a new one."""
    if given and len(given) <= _LONGEST and _SANE.issuperset(given):
        return given.decode("ascii")
    return random.randbytes(16).hex()  # noqa: S311  # nobody has to guess it, and it need not be hard to


def _spelled(line: Line) -> str:
    request_id, told, seconds, at, path = line
    whole = int(at)
    odd = "" if path is None else f', "path": {json.dumps(path)}'
    return (
        f'{{"request_id": "{request_id}", {_same_for_many(told)}{odd}, "milliseconds": {1000 * seconds:.1f}, '
        f'"at": "{_to_the_second(whole)}.{int((at - whole) * 1_000_000):06d}Z"}}\n'
    )


@lru_cache(maxsize=4096)
def _same_for_many(told: Told) -> str:
    """What is the same for many requests, as the members of a JSON object."""
    found: dict[str, object] = {"event": "request", "logger": _HTTP_LOG.name, "level": "info", "method": told.method}
    if told.path is not None:
        found["path"] = told.path
    found["status"] = told.status
    if told.operation is not None:
        found |= {"operation": told.operation, "fields": told.fields, "codes": told.codes}
    return json.dumps(found)[1:-1]


@lru_cache(maxsize=2)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
