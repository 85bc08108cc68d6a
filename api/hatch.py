"""The hatch in the door: what is answered by one look at the database is handed out through it, without a task.

A server that knows of it (`api.patience`) offers it every request to the door that is all there, before it has the
application begin. What is not taken, or turns out to be more than it seemed, goes through the door as if nothing had
been. What is, has passed by the same: who asks, how often and how much at once, what the body says, the limits, the
lane; and it leaves the same line in the log and the same numbers.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

from starlette.types import Scope

from api.auth import Doorkeeper
from api.requests import REQUEST_ID, Line, Lines, Told, logs_requests, sane_request_id
from api.schema.lane import Lane, Planned
from api.schema.operation import Ready, Summary
from api.turnstile import Turnstile
from api.wire import BadRequestError, Texts, heads_of, read_operation, wanted_of
from models.store.strict import Rows, StrictReads
from models.store.unit import StorageUnavailableError

# What asks for more than an answer: leave for pages of elsewhere, and acting for somebody else.
_MORE: Final = frozenset({b"origin", b"x-on-behalf-of"})

HATCH: Final = "hatch"  # under which servers find it in the state of the lifespan

Headers = Sequence[tuple[bytes, bytes]]


class Reply(Protocol):
    """The server's end of one request."""

    def send(self, headers: Headers, body: bytes) -> None:
        """Answer, with status 200."""

    def pass_on(self) -> None:
        """Have the application answer."""


class Counts(Protocol):
    """Who counts requests."""

    def taken(self) -> None:
        """One is under way that may be answered soon."""

    def passed_on(self) -> None:
        """It is not, but will be counted as others are."""

    def answered(self, summary: Summary, seconds: float) -> None:
        """It is answered, with status 200."""


class _Taken(NamedTuple):
    """A request that waits for its rows; `whose` is under what it is counted."""

    begun: float
    scope: Scope
    request_id: str
    whose: str
    content_type: tuple[bytes, bytes]
    planned: Planned
    reply: Reply


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
        self.body_bytes = body_bytes
        self._doorkeeper = doorkeeper
        self._turnstile = turnstile
        self._texts = texts
        self._lane = lane
        self._strict = strict
        self._counts = counts
        self._told = partial(Told, "POST", path, 200, "query")

    def takes(self, scope: Scope, body: bytes, reply: Reply) -> bool:
        """Whether it is taken, which `reply` hears more of, at once or later. Where not, nothing has come of it."""
        begun = time.perf_counter()
        heads = heads_of(scope)
        wanted = wanted_of(heads.get(b"accept", b""))
        holder = self._doorkeeper.known(heads)
        if holder is None or wanted.streams or not _MORE.isdisjoint(heads):
            return False
        try:
            asked = read_operation(heads.get(b"content-type", b""), body, self._texts)
            planned = self._lane.planned(asked, holder.grant)
            if planned is None or len(planned.looks) != 1:
                return False
            whose = holder.token_id
            self._turnstile.enter(whose)
            try:
                self._doorkeeper.spend(whose)
            except BadRequestError:
                self._turnstile.leave(whose)
                return False
        except Exception:  # noqa: BLE001  # whatever it is, the door comes upon it as well, and tells
            return False
        self._counts.taken()
        request_id = sane_request_id(heads.get(REQUEST_ID))
        taken = _Taken(begun, scope, request_id, whose, wanted.header, planned, reply)
        [look] = planned.looks
        self._strict.ask(look.statement, look.keys, partial(self._found, taken))
        return True

    def _found(self, taken: _Taken, found: Rows | StorageUnavailableError) -> None:
        self._turnstile.leave(taken.whose)
        ready = None if isinstance(found, StorageUnavailableError) else self._ready(taken.planned, found)
        if ready is None:
            self._counts.passed_on()
            taken.scope["state"]["spent"] = True
            taken.reply.pass_on()
            return
        seconds = time.perf_counter() - taken.begun
        self._counts.answered(
            ready.summary, seconds
        )  # before the client has the answer, who may ask for the numbers next
        if logs_requests():
            Lines.add(Line(taken.request_id, self._told(ready.summary.fields), seconds, time.time()))
        length = b"%d" % len(ready.body)
        headers = ((b"content-length", length), taken.content_type, (REQUEST_ID, taken.request_id.encode("ascii")))
        taken.reply.send(headers, ready.body)

    def _ready(self, planned: Planned, rows: Rows) -> Ready | None:
        try:
            return self._lane.ready(planned, (rows,))
        except Exception:  # noqa: BLE001  # as above
            return None
