"""The server's own end of a connection whose requests are offered to the hatch before the application hears of them."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, cast

from httptools import HttpRequestParser
from starlette.types import Scope
from uvicorn._types import ASGI3Application, HTTPScope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.flow import JoiningWay
from api.hatch import HATCH, Hatch, Places, Reply
from api.patience import BoundedHttp

_OK: Final = STATUS_LINE[200]
_HEAD_END: Final = b"\r\n\r\n"
_LONGEST_HEAD: Final = 2000  # bytes; one that is longer is not looked for
_NO_STATE: Final[Mapping[str, Any]] = {}


class HatchedHttp(BoundedHttp):
    """Offers each request to the path of the hatch, once it is all here.

    One that is here in one piece, and has a head that the hatch knows, is not even parsed: the same text meant the same
    before, also to the application. One that waits at the hatch in vain is parsed like any other. What comes while a
    request waits there for its answer waits too.
    """

    _hatch: Hatch | None = None
    _in_headers: bool = False
    _held: tuple[RequestResponseCycle, ASGI3Application] | None = None  # a request whose body is not all here yet
    _piece: bytes = b""  # what is being parsed, if it begins with a request
    _was_offered: Mapping[str, Any] | None = None  # what is being parsed, to whose state this is to be added
    _waits: bool = False  # a request that was not parsed
    _later: bytes = b""  # what came meanwhile
    _is_last: bool = False  # the server ends

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._hatch = self.app_state.get(HATCH)

    def data_received(self, data: bytes) -> None:
        if self._waits:
            self._later += data
            self.flow.pause_reading()
        elif not self._answers(data):
            self._parse(data)

    def shutdown(self) -> None:
        if self._waits:
            self._is_last = True
        else:
            super().shutdown()

    def on_headers_complete(self) -> None:
        self._in_headers = True
        super().on_headers_complete()
        self._in_headers = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        held, self._held = self._held, None
        if held is not None:
            self._offer(*held)

    # ---- without being parsed

    def _answers(self, data: bytes) -> bool:
        """Whether it is a whole request, with a head that is known, which the hatch or the application has taken."""
        hatch = self._hatch
        if hatch is None or self._in_message or self._under_way is not None or self.flow.write_paused:
            return False
        end = _end_of_head(data)
        head = hatch.known(data[:end])
        if head is None or len(data) != end + head.length:
            return False
        self._waits, self._no_body = True, 0
        self._unwatch()
        state = hatch.offer(head, data[end:], Reply(self._answer, partial(self._pass_on, data)))
        if state is None:
            return True
        self._waits = False
        if head.places:
            self._begin_as_before(head.places, data, end, state)
            return True
        self._was_offered = state
        return False

    def _begin_as_before(self, places: Places, data: bytes, end: int, state: Mapping[str, Any]) -> None:
        """Have the application answer a request that is all here, whose head was parsed before."""
        HttpToolsProtocol.on_message_begin(self)
        path = self.app_state[HATCH].path
        target = {"method": "POST", "path": path, "raw_path": path.encode("ascii"), "query_string": b""}
        cast("dict[str, Any]", self.scope).update(target)
        self.headers.extend((name, data[begin:stop]) for name, begin, stop in places)
        message_event = asyncio.Event()
        message_event.set()
        self.cycle = cycle = RequestResponseCycle(
            scope=self.scope,
            transport=cast("asyncio.Transport", JoiningWay(self.transport)),
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=message_event,
            expect_100_continue=False,
            keep_alive=True,
            on_response=self.on_response_complete,
        )
        cycle.body, cycle.more_body = bytearray(data[end:]), False
        self._begin(cycle, self.app, state)

    def _answer(self, lines: bytes, body: bytes) -> None:
        """Answer the request that waits."""
        self._waits = False
        if self.transport.is_closing():
            return
        self._send(lines, body, keep_alive=not self._is_last)
        self.server_state.total_requests += 1
        self._keep()
        self._go_on()

    def _pass_on(self, data: bytes, state: Mapping[str, Any]) -> None:
        """Have the application answer the request that waits, or note that its client has gone."""
        self._waits = False
        self._was_offered = state
        if self not in self.connections:  # it is lost, and its parser with it
            self.parser = HttpRequestParser(self)
            self._parse(data)
            self.cycle.disconnected = True
            return
        self._parse(data)
        if self._is_last:
            super().shutdown()
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Take what has come meanwhile."""
        if self._later and not self.transport.is_closing():
            later, self._later = self._later, b""
            self.flow.resume_reading()
            self.data_received(later)

    def _close_if_unused(self) -> None:
        if self._waits:
            self._kept = None  # the end of the answer sets it anew
        else:
            super()._close_if_unused()

    # ---- once it is parsed

    def _parse(self, data: bytes) -> None:
        self._piece = b"" if self._in_message or self._under_way is not None else data
        super().data_received(data)
        self._piece, self._was_offered = b"", None
        held, self._held = self._held, None
        if held is not None:
            self._begin(*held)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """As uvicorn has it, but for what the hatch may have an answer to, once it is all here."""
        hatch = self._hatch
        if hatch is not None and self._in_headers and cycle.keep_alive and not cycle.waiting_for_100_continue:
            scope = self.scope
            if scope["path"] == hatch.path and scope["method"] == "POST":
                self._held = (cycle, app)
                return
        self._begin(cycle, app)

    def _offer(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        state = self._was_offered
        if state is None:
            state = self._unless_taken(cycle, app)
        if state is not None:
            self._begin(cycle, app, state)

    def _unless_taken(self, cycle: RequestResponseCycle, app: ASGI3Application) -> Mapping[str, Any] | None:
        """What the application is to know of a request; None where the hatch has taken it.

        Its head is known from now on if whoever asks was.
        """
        hatch, length = self._hatch, len(cycle.body)
        if hatch is None or self.flow.write_paused:
            return _NO_STATE
        head = hatch.head_of(cast("Scope", cycle.scope), length)
        if head is None:
            return _NO_STATE
        reply = Reply(partial(self._answer_to, cycle), partial(self._begin, cycle, app))
        state = hatch.offer(head, bytes(cycle.body), reply)
        end = _end_of_head(self._piece)
        if (state is None or "asked" in state) and len(self._piece) == end + length:
            text = self._piece[:end]
            hatch.learn(text, head._replace(places=_places(text, cycle.scope)))
        return state

    def _begin(self, cycle: RequestResponseCycle, app: ASGI3Application, state: Mapping[str, Any] = _NO_STATE) -> None:
        """Have the application answer a request that was parsed."""
        cycle.scope["state"].update(state)
        super()._start_asgi_task(cycle, app)

    def _answer_to(self, cycle: RequestResponseCycle, lines: bytes, body: bytes) -> None:
        """Answer a request that was parsed."""
        if cycle.disconnected or self.transport.is_closing():
            return  # for the latter, uvicorn tells only the last of requests that were sent at once
        cycle.response_started = cycle.response_complete = True
        self._send(lines, body, keep_alive=cycle.keep_alive)
        self.on_response_complete()

    def _send(self, lines: bytes, body: bytes, *, keep_alive: bool) -> None:
        end = b"\r\n" if keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join((_OK, _as_lines(self.server_state.default_headers), lines, end, body)))
        if not keep_alive:
            self.transport.close()


def _places(text: bytes, scope: HTTPScope) -> Places:
    """Where in the text of a head to find what its headers hold, of which nothing is kept; none if it can't be told.

    Any place that reads so will do: whatever is known by this text reads the same there.
    """
    if scope["http_version"] != "1.1" or scope["query_string"] or scope["raw_path"] != scope["path"].encode():
        return ()
    begins = [(name, text.find(value), len(value)) for name, value in scope["headers"]]
    if any(begin < 0 for _, begin, _ in begins):
        return ()
    return tuple((name, begin, begin + length) for name, begin, length in begins)


_spelled: tuple[object, bytes] = (None, b"")


def _as_lines(headers: list[tuple[bytes, bytes]]) -> bytes:
    """Headers that are the same for all answers of a second, spelled once."""
    global _spelled  # noqa: PLW0603  # one a process
    if _spelled[0] is not headers:
        _spelled = (headers, b"".join(name + b": " + value + b"\r\n" for name, value in headers))
    return _spelled[1]


def _end_of_head(data: bytes) -> int:
    """Where a body would begin; 0 where no head ends."""
    at = data.find(_HEAD_END, 0, _LONGEST_HEAD)
    return 0 if at < 0 else at + len(_HEAD_END)
