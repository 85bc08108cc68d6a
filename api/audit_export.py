"""Exports of the audit record: `GET /audit/export`, and the bytes that the console script writes as well."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Final, Self

import structlog
from graphql import GraphQLError
from starlette.requests import Request
from starlette.responses import ContentStream, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from api.auth import forbidden
from api.json_text import encode
from api.requests import CutOffError
from api.schema.scalars import parse_instant
from api.streams import EXPIRED, Streams
from api.wire import BadRequestError
from models.domain import export, export_csv
from models.domain.audit import CENTRAL_CHAIN
from models.domain.errors import Code, InvalidInput, NotFound, Problem, Refused, refuse_if_any
from models.domain.export import StoredEntry
from models.domain.permissions import AUDIT, AUDIT_CENTRE, ForbiddenError, require
from models.domain.tokens import Grant
from models.domain.vocabulary import is_id, is_storable
from models.store.queries import exports, history
from models.store.queries.exports import Span
from models.store.unit import StorageUnavailableError, Store

_PARAMETERS: Final = ("townId", "format", "since", "until")
_LONGEST_SHOWN: Final = 80
_NOT_FOR_FILE_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]")
_LOG: Final = structlog.get_logger("townclerk.export")


class Format(StrEnum):
    """JSONL is lossless and can be verified; CSV is for spreadsheets."""

    JSONL = "jsonl"
    CSV = "csv"

    @property
    def media_type(self) -> str:
        return {Format.JSONL: "application/jsonl", Format.CSV: "text/csv"}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries to export, and how: since <= t < until, where None leaves an end open."""

    chain: str = CENTRAL_CHAIN
    format: Format = Format.JSONL
    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def read(cls, town_id: str | None, form: str | None, since: str | None, until: str | None) -> Self:
        """From texts, of which None leaves the default. Raises `Refused` with every problem, paths as in HTTP."""
        problems: list[Problem] = []
        if town_id is not None and not is_id(town_id):
            problems.append(NotFound(kind="town", name=town_id, path=("townId",)))
        if form is not None and form not in set(Format):
            problems.append(InvalidInput(path=("format",), expected="jsonl or csv"))
        begin, end = (_instant(text, name, problems) for name, text in (("since", since), ("until", until)))
        if begin is not None and end is not None and begin > end:
            problems.append(InvalidInput(path=("since",), expected="an instant that is not after until"))
        refuse_if_any(problems)
        chain = CENTRAL_CHAIN if town_id is None else town_id
        return cls(chain=chain, format=Format(form or Format.JSONL), since=begin, until=end)

    @property
    def file_name(self) -> str:
        return f"townclerk-audit-{_NOT_FOR_FILE_NAMES.sub('_', self.chain.removeprefix('@'))}.{self.format}"


async def open_export(store: Store, grant: Grant, wanted: Wanted) -> AsyncIterator[bytes]:
    """The bytes of an export, once it is sure that there is something to export from.

    Raises `ForbiddenError`, `Refused` with `NOT_FOUND`, and `StorageUnavailableError`; the bytes raise the latter too,
    and then end without a trailer.
    """
    require(grant, AUDIT_CENTRE if wanted.chain == CENTRAL_CHAIN else AUDIT)
    async with store.read() as session:
        span = await exports.span(session, grant.concealed(wanted.chain), since=wanted.since, until=wanted.until)
    if span is None:
        raise Refused(NotFound(kind="town", name=wanted.chain, path=("townId",)))
    return _jsonl(store, wanted, span) if wanted.format is Format.JSONL else _csv(store, span)


def audit_export(store: Store, streams: Streams) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint. What is wrong shows before the first byte; a failure after that cuts the connection."""

    async def handle(request: Request) -> Response:
        with ExitStack() as until_answered:
            try:
                asker = await streams.doorkeeper.admit(request.scope)
                over = until_answered.enter_context(streams.admitted(asker))
                wanted = _read_query(request.query_params.multi_items())
                chunks = await open_export(store, asker.grant, wanted)
            except BadRequestError as error:
                return error.response()
            except ForbiddenError as error:
                return forbidden(error).response()
            except Refused as refused:
                not_found = all(problem.code is Code.NOT_FOUND for problem in refused.problems)
                return _refusal(404 if not_found else 400, [_presented(problem) for problem in refused.problems])
            except StorageUnavailableError as error:
                _LOG.warning("storage unavailable", exc_info=error)
                message = "The database can't be reached. Try again later."
                return _refusal(503, [{"message": message, "extensions": {"code": "STORAGE_UNAVAILABLE"}}])
            headers = {
                "Content-Disposition": f'attachment; filename="{wanted.file_name}"',
                "Cache-Control": "no-store",
            }
            content = () if request.method == "HEAD" else _while_wanted(request, chunks)
            delivery = _Delivery(until_answered.pop_all(), over, streams.send_seconds)
            return _Download(delivery, content, headers, wanted.format.media_type)

    return handle


@dataclass(frozen=True, slots=True)
class _Delivery:
    """How patiently a download is handed out, and until when: `over` is set once nobody may have it any more."""

    answered: ExitStack
    over: asyncio.Event
    seconds: float

    async def send(self, send: Send, message: Message) -> None:
        """Send `message`. Raises `CutOffError` where the client does not take it, or may not have it any more."""
        sending, over = asyncio.ensure_future(send(message)), asyncio.create_task(self.over.wait())
        try:
            await asyncio.wait({sending, over}, timeout=self.seconds, return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                raise CutOffError(EXPIRED)
            if not sending.done():
                raise CutOffError("The client did not read")
            sending.result()
        finally:
            sending.cancel()
            over.cancel()


class _Download(StreamingResponse):
    """Ends after the page under way once whoever asked has gone.

    Starlette's own is cancelled at once, which tears a connection to the database off in the middle of a statement.
    """

    def __init__(self, delivery: _Delivery, content: ContentStream, headers: dict[str, str], media_type: str) -> None:
        super().__init__(content, headers=headers, media_type=media_type)
        self._delivery = delivery

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        with self._delivery.answered:
            await self.stream_response(partial(self._delivery.send, send))


async def _while_wanted(request: Request, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk
        if await request.is_disconnected():
            return


async def _jsonl(store: Store, wanted: Wanted, span: Span) -> AsyncIterator[bytes]:
    yield export.header(wanted.chain, since=wanted.since, until=wanted.until)
    written, last = 0, None
    async for page in exports.pages(store, span):
        yield b"".join(map(export.entry_line, page))
        written += len(page)
        last = page[-1]
    yield export.trailer(written, last)


async def _csv(store: Store, span: Span) -> AsyncIterator[bytes]:
    yield export_csv.header_row()
    async for page in exports.pages(store, span):
        yield await _csv_rows(store, span.chain, page)


async def _csv_rows(store: Store, chain: str, page: Iterable[StoredEntry]) -> bytes:
    records = [export_csv.read_record(chain, entry) for entry in page]
    async with store.read() as session:
        actors = await history.actors(session, filter(is_storable, export_csv.actor_ids(records)))
    names: dict[str, str | None] = {actor_id: row.display_name for actor_id, row in actors.items()}
    return export_csv.entry_rows(records, names)


def _read_query(given: Iterable[tuple[str, str]]) -> Wanted:
    """What a query string asks for; an empty value is one that was not given. Raises `Refused`."""
    problems: list[Problem] = []
    values: dict[str, str] = {}
    for name, value in given:
        if name not in _PARAMETERS:
            expected = f"left out; the parameters are {', '.join(_PARAMETERS)}"
            problems.append(InvalidInput(path=(name[:_LONGEST_SHOWN],), expected=expected))
        elif name in values:
            problems.append(InvalidInput(path=(name,), expected="given once"))
        values[name] = value
    refuse_if_any(problems)
    town_id, form, since, until = (values.get(name) or None for name in _PARAMETERS)
    return Wanted.read(town_id, form, since, until)


def _instant(text: str | None, name: str, problems: list[Problem]) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_instant(text)
    except GraphQLError:
        expected = "an ISO 8601 instant with a time zone and at most microseconds, like 2026-11-23T09:30:00Z"
        if " " in text:  # what a query string makes of it
            expected += " (a + in an address is written %2B)"
        problems.append(InvalidInput(path=(name,), expected=expected))
        return None


def _presented(problem: Problem) -> dict[str, object]:
    extensions = {"code": problem.code.value, "path": list(problem.path)}
    return {"message": problem.message, "extensions": extensions}


def _refusal(status: int, errors: list[dict[str, object]]) -> Response:
    return Response(encode({"errors": errors}), status_code=status, media_type="application/json")
