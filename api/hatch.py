"""The hatch in the door: what is answered by one look at the database is handed out through it, without a task.

A server that knows of it (`api.hatched`) offers it every request to the door that is all there, before it has the
application begin. What is not taken, or turns out to be more than it seemed, goes through the door as if nothing had
been. What is, has passed by the same: who asks, how often and how much at once, what the body says, the limits, the
lane; and it leaves the same line in the log and the same numbers.
"""

import time
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple, Protocol

from starlette.types import Scope

from api.auth import Doorkeeper
from api.requests import REQUEST_ID, Lines, Told, sane_request_id
from api.schema.lane import Lane, Planned
from api.schema.operation import Ready, Summary
from api.turnstile import Turnstile
from api.wire import BadRequestError, Texts, Wanted, heads_of, read_operation, wanted_of
from models.services.credentials import mark_of
from models.store.kept import Kept
from models.store.strict import Rows, StrictReads
from models.store.unit import StorageUnavailableError

# What asks for more than an answer: leave for pages of elsewhere, and acting for somebody else.
_MORE: Final = frozenset({b"origin", b"x-on-behalf-of"})
# What is another with each request, and what says how the connection or the body goes on: of those with the latter none
# should get as far as being learned.
_ONCE: Final = frozenset({REQUEST_ID, b"traceparent", b"expect", b"transfer-encoding", b"upgrade"})
_HEADS: Final = 1024  # that are known; those of one client differ by how long its bodies are
_NOTHING: Final[Mapping[str, Any]] = {}
_PASSED_ON: Final = {"spent": True}  # it was counted under its credential
_WAITED: Final = {**_PASSED_ON, "looked": True}  # and the database did not answer

_LINES: Final = b"content-length: %d\r\ncontent-type: %b\r\n" + REQUEST_ID + b": %b\r\n"

HATCH: Final = "hatch"  # under which servers find it in the state of the lifespan


class Reply(NamedTuple):
    """The server's end of one request, which hears of one of them.

    `send` answers it, with status 200, given headers as HTTP/1.1 spells them, each with its end of line, and the body.
    `pass_on` has the application answer, for whom what it is given is added to the request's state.
    """

    send: Callable[[bytes, bytes], None]
    pass_on: Callable[[Mapping[str, Any]], None]


# Headers by their names, with where in the text of the head their values begin and end.
Places = tuple[tuple[bytes, int, int], ...]


class Head(NamedTuple):
    """What matters of a request's head: `mark` is its credential's, `length` that of the body.

    `recurs` says that others are likely to have the same, to the byte. `places` are where their values are found.
    """

    mark: bytes
    content_type: bytes
    wanted: Wanted
    request_id: bytes | None
    length: int
    recurs: bool
    places: Places = ()


class Counts(Protocol):
    """Who counts requests."""

    def taken(self) -> None:
        """One is under way that may be answered soon."""

    def passed_on(self) -> None:
        """It is not, but will be counted as others are."""

    def answered(self, summary: Summary, seconds: float) -> None:
        """It is answered, with status 200."""


class Hatch:
    """One a process. `path` is that of the door, `body_bytes` the most that bodies have."""

    def __init__(
        self,
        path: str,
        body_bytes: int,
        doorkeeper: Doorkeeper,
        turnstile: Turnstile,
        texts: Texts,
        lane: Lane,
        strict: StrictReads,
        counts: Counts,
    ) -> None:
        self.path = path
        self._body_bytes = body_bytes
        self._doorkeeper = doorkeeper
        self._turnstile = turnstile
        self._texts = texts
        self._lane = lane
        self._strict = strict
        self._counts = counts
        self._tellings: dict[tuple[str, ...], Told] = {}  # by the fields of roots, of which there are few
        self._known: Kept[bytes, Head] = Kept(_HEADS)  # by digests, as secrets are not kept

    def known(self, text: bytes) -> Head | None:
        """A head that was learned, by its text."""
        return self._known.get(_digest(text))

    def learn(self, text: bytes, head: Head) -> None:
        """Know from now on what the text of a head says, if it is likely to come again."""
        if head.recurs:
            self._known.keep(_digest(text), head)

    def head_of(self, scope: Scope, length: int) -> Head | None:
        """The head of a request with a body of that length; None for those that are none for the hatch."""
        heads = heads_of(scope)
        wanted = wanted_of(heads.get(b"accept", b""))
        authorization = heads.get(b"authorization")
        if authorization is None or length > self._body_bytes or wanted.streams or not _MORE.isdisjoint(heads):
            return None
        return Head(
            mark=mark_of(authorization),
            content_type=heads.get(b"content-type", b""),
            wanted=wanted,
            request_id=heads.get(REQUEST_ID),
            length=length,
            recurs=_ONCE.isdisjoint(heads),
        )

    def offer(self, head: Head, body: bytes, reply: Reply) -> Mapping[str, Any] | None:
        """Have it answered, of which `reply` hears more, at once or later: None then.

        What is not taken, nothing has come of; the application is to have what is given then in the request's state.
        """
        begun = time.perf_counter()
        holder = self._doorkeeper.known(head.mark)
        if holder is None:
            return _NOTHING
        whose, asked = holder.token_id, None
        try:
            asked = read_operation(head.content_type, body, self._texts)
            planned = self._lane.planned(asked, holder.grant)
            if planned is None or len(planned.looks) != 1:
                return {"asked": asked, "holder": holder}
            self._enter(whose)
        except Exception:  # noqa: BLE001  # whatever it is, the door comes upon it as well, and tells
            return _NOTHING if asked is None else {"asked": asked}
        self._counts.taken()

        def found(rows: Rows | StorageUnavailableError) -> None:
            self._turnstile.leave(whose)
            ready = None if isinstance(rows, StorageUnavailableError) else self._ready(planned, rows)
            if ready is None:
                self._counts.passed_on()
                reply.pass_on(_WAITED if isinstance(rows, StorageUnavailableError) else _PASSED_ON)
                return
            request_id = sane_request_id(head.request_id)
            self._note(ready.summary, request_id, time.perf_counter() - begun)  # before the client can ask for it
            lines = _LINES % (len(ready.body), head.wanted.header[1], request_id.encode("ascii"))
            reply.send(lines, ready.body)

        [look] = planned.looks
        self._strict.ask(look.statement, look.keys, found)
        return None

    def _enter(self, whose: str) -> None:
        """Be one of those under way, who have to leave. Raises `BadRequestError`."""
        self._turnstile.enter(whose)
        try:
            self._doorkeeper.spend(whose)
        except BadRequestError:
            self._turnstile.leave(whose)
            raise

    def _ready(self, planned: Planned, rows: Rows) -> Ready | None:
        try:
            return self._lane.ready(planned, (rows,))
        except Exception:  # noqa: BLE001  # as above
            return None

    def _note(self, summary: Summary, request_id: str, seconds: float) -> None:
        self._counts.answered(summary, seconds)
        fields = summary.fields
        told = self._tellings.get(fields)
        if told is None:
            told = self._tellings[fields] = Told("POST", self.path, 200, "query", fields)
        Lines.add((request_id, told, seconds, time.time(), None))


def _digest(text: bytes) -> bytes:
    return blake2b(text, digest_size=32).digest()
