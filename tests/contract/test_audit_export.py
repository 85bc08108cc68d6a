"""`GET /audit/export`: what is stored, byte for byte, or as cells that no spreadsheet runs."""

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import httpx2
import pytest
from sqlalchemy import Engine, event

from api.audit_export import Wanted, open_export
from models.domain.tokens import EVERYTHING
from models.store.queries.exports import PAGE, PAGE_BYTES
from models.store.unit import Store
from tests.chains import FIRST, add_chain, add_rows, row_of, with_store
from tests.client import Api
from tests.contract.recipes import unique
from tests.contract.test_audit_entries import stored
from tests.towns import OPUS, SONNET, make_town, publish, rule

REASONS: Final = (
    "=1+1",
    '=HYPERLINK("https://a.example","x")',
    "+x",
    "-x",
    "@x",
    "\tx",
    "\rx",
    "größer, “besser”;\r\nschöner",
    "harmless = fine",
)


def export(api: Api, **parameters: str) -> httpx2.Response:
    return api.http.get("/audit/export", params=parameters)


def exported(api: Api, **parameters: str) -> bytes:
    response = export(api, **parameters)
    assert response.status_code == 200, response.text
    return response.content


def expected(url: str, chain: str, begin: int = 1, end: int | None = None, ends: str = "null|null") -> bytes:
    """The export of the entries from `begin` to before `end`, put together from what the database holds."""
    since, until = ends.split("|")
    head = f'{{"townclerkAuditExport":1,"chain":"{chain}","since":{since},"until":{until}}}\n'
    entries = [each for each in stored(url, chain) if begin <= each[0] and (end is None or each[0] < end)]
    lines = [b'{"hash":"' + digest.encode() + b'","entry":' + canonical + b"}\n" for _, canonical, digest in entries]
    sequence, _, digest = entries[-1] if entries else (0, b"", "0" * 64)
    tail = f'{{"end":{{"entries":{len(entries)},"head":{{"sequence":{sequence},"hash":"{digest}"}}}}}}\n'
    return head.encode() + b"".join(lines) + tail.encode()


def rows(api: Api, town_id: str) -> list[dict[str, str]]:
    text = exported(api, townId=town_id, format="csv").decode()
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


@pytest.fixture(scope="module")
def eventful(untrue_api: Api) -> str:
    """A town with an entry for each of `REASONS`, after that of its making; no test adds to it."""
    town_id = make_town(untrue_api, rigs=())
    for number, reason in enumerate(REASONS):
        untrue_api.done(
            "publishOverrideSet",
            townId=town_id,
            expectedVersion=number + 1,
            draft={"overrides": [rule((OPUS, SONNET)[number % 2], "MAYOR")]},
            reason=reason,
        )
    return town_id


# ---- JSONL


def test_export__of_a_town__is_what_is_stored_byte_for_byte(untrue_api: Api, eventful: str) -> None:
    assert exported(untrue_api, townId=eventful) == expected(untrue_api.url, eventful)


def test_export__without_a_town__is_of_the_central_chain(untrue_api: Api) -> None:
    assert exported(untrue_api) == expected(untrue_api.url, "@central")
    assert exported(untrue_api, format="jsonl") == expected(untrue_api.url, "@central")


def test_export__of_empty_parameters__is_that_of_none(untrue_api: Api) -> None:
    assert exported(untrue_api, townId="", format="", since="", until="") == expected(untrue_api.url, "@central")


def test_export__each_line__is_json(untrue_api: Api, eventful: str) -> None:
    head, *entries, tail = map(json.loads, exported(untrue_api, townId=eventful).decode().splitlines())
    shown = untrue_api.entries(eventful, "hash sequence reason")[::-1]
    assert head == {"townclerkAuditExport": 1, "chain": eventful, "since": None, "until": None}
    assert [{"hash": it["hash"], **{name: it["entry"][name] for name in ("sequence", "reason")}} for it in entries] == (
        shown
    )
    last = {name: shown[-1][name] for name in ("sequence", "hash")}
    assert tail == {"end": {"entries": len(REASONS) + 1, "head": last}}


@pytest.mark.parametrize(("form", "media_type"), [("jsonl", "application/jsonl"), ("csv", "text/csv; charset=utf-8")])
def test_export__its_headers__say_what_it_is(untrue_api: Api, form: str, media_type: str) -> None:
    town_id = make_town(untrue_api, rigs=())
    response = export(untrue_api, townId=town_id, format=form)
    assert response.headers["content-type"] == media_type
    assert response.headers["content-disposition"] == f'attachment; filename="townclerk-audit-{town_id}.{form}"'
    asked = untrue_api.http.head("/audit/export", params={"townId": town_id, "format": form})
    names = ("content-type", "content-disposition")
    assert [asked.headers[name] for name in names] == [response.headers[name] for name in names]
    assert (asked.status_code, asked.content) == (200, b"")


def test_export__its_file_name__is_one_on_any_system(untrue_api: Api) -> None:
    town_id = f"{unique('a')}:b.c_d-e"
    untrue_api.done("createTown", townId=town_id, name="A town")
    safe = town_id.replace(":", "_")
    found = [export(untrue_api, **asked).headers["content-disposition"] for asked in ({}, {"townId": town_id})]
    assert found == [f'attachment; filename="townclerk-audit-{name}.jsonl"' for name in ("central", safe)]


def instants(api: Api, town_id: str) -> dict[int, str]:
    return {entry["sequence"]: entry["occurredAt"] for entry in api.entries(town_id, "sequence occurredAt")}


def test_export__since_and_until__take_in_the_first_instant_and_leave_out_the_last(
    untrue_api: Api, eventful: str
) -> None:
    at = instants(untrue_api, eventful)

    def between(begin: int, end: int | None, ends: str, **given: str) -> None:
        found = exported(untrue_api, townId=eventful, **given)
        assert found == expected(untrue_api.url, eventful, begin, end, ends)

    between(3, None, f'"{at[3]}"|null', since=at[3])
    between(1, 3, f'null|"{at[3]}"', until=at[3])
    between(3, 5, f'"{at[3]}"|"{at[5]}"', since=at[3], until=at[5])
    between(3, 3, f'"{at[3]}"|"{at[3]}"', since=at[3], until=at[3])


def test_export__of_a_time_without_entries__has_none(untrue_api: Api, eventful: str) -> None:
    for since, until in (("2001-01-01T00:00:00Z", "2002-01-01T00:00:00Z"), ("2999-01-01T00:00:00Z", None)):
        given = {"since": since} | ({} if until is None else {"until": until})
        (head, tail) = exported(untrue_api, townId=eventful, **given).decode().splitlines()
        assert json.loads(head)["since"] == since.replace("Z", ".000000Z")
        assert json.loads(tail) == {"end": {"entries": 0, "head": {"sequence": 0, "hash": "0" * 64}}}


def test_export__since_an_instant_of_another_zone__is_since_that_instant(untrue_api: Api, eventful: str) -> None:
    at = instants(untrue_api, eventful)[3]
    there = (datetime.fromisoformat(at) + timedelta(hours=1)).isoformat().replace("+00:00", "+01:00")
    assert exported(untrue_api, townId=eventful, since=there) == exported(untrue_api, townId=eventful, since=at)


# ---- CSV


def test_csv__of_a_town__tells_what_the_jsonl_tells(untrue_api: Api, eventful: str) -> None:
    entries = [json.loads(line) for line in exported(untrue_api, townId=eventful).splitlines()[1:-1]]
    found = rows(untrue_api, eventful)
    for row, line in zip(found, entries, strict=True):
        entry, digest = line["entry"], line["hash"]
        for name in ("chain", "occurredAt", "actor", "action", "targetType", "targetId", "requestId", "previousHash"):
            assert row[name] == entry[name]
        for name in ("sequence", "versionBefore", "versionAfter"):
            assert row[name] == ("" if entry[name] is None else str(entry[name]))
        for name in ("before", "after"):
            assert (json.loads(row[name]) if row[name] else None) == entry[name]
        assert (row["hash"], row["actorName"], row["onBehalfOf"], row["credential"]) == (digest, "dev", "", "")


def test_csv__of_reasons_that_a_spreadsheet_would_run__has_them_led_by_an_apostrophe(
    untrue_api: Api, eventful: str
) -> None:
    found = [row["reason"] for row in rows(untrue_api, eventful)]
    assert found == ["", *(f"'{reason}" for reason in REASONS[:7]), *REASONS[7:]]
    assert [entry["reason"] for entry in untrue_api.entries(eventful, "reason")][::-1] == [None, *REASONS]


def test_csv__of_the_central_chain__has_the_name_of_who_made_it(untrue_api: Api) -> None:
    row = next(csv.DictReader(io.StringIO(exported(untrue_api, format="csv").decode(), newline="")))
    assert (row["chain"], row["actor"], row["actorName"]) == ("'@central", "townclerk", "Townclerk")


def test_csv__of_any_cell__begins_with_nothing_that_a_spreadsheet_would_run(untrue_api: Api, eventful: str) -> None:
    untrue_api.done("createTown", townId=(town_id := unique("made")), name="=1+1")
    publish(untrue_api, town_id, honorBeadModels=True)
    for text in (exported(untrue_api, format="csv"), exported(untrue_api, townId=eventful, format="csv")):
        cells = [cell for row in csv.reader(io.StringIO(text.decode(), newline="")) for cell in row]
        assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []
        assert "'@central" in cells or eventful in cells


# ---- many entries, and large ones


@contextmanager
def reads_of_records() -> Iterator[list[str]]:
    """The statements about entries' bytes that are sent meanwhile: two a page, of which one measures."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, text: str, *_: object) -> None:
        if re.search(r"canonical.*FROM audit_entries", text, re.DOTALL):
            sent.append(text)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    ("length", "size", "pages"),
    [(2 * PAGE, 0, 2), (2 * PAGE + 50, 0, 3), (6, PAGE_BYTES // 3, 3), (3, PAGE_BYTES + 1, 3)],
    ids=["whole pages", "a page begun", "large entries", "entries larger than a page"],
)
def test_export__of_many_or_large_entries__reads_them_page_by_page(
    untrue_api: Api, length: int, size: int, pages: int
) -> None:
    chain = add_chain(untrue_api.url, length, size=size)
    with reads_of_records() as sent:
        found = exported(untrue_api, townId=chain)
    assert found == expected(untrue_api.url, chain)
    assert len(sent) == 2 * pages


def test_export__of_entries_added_meanwhile__ends_where_the_chain_ended_at_its_start(untrue_api: Api) -> None:
    url, town_id = untrue_api.url, make_town(untrue_api, rigs=())
    before = expected(url, town_id)

    async def work(store: Store) -> bytes:
        chunks: AsyncIterator[bytes] = await open_export(store, EVERYTHING, Wanted(chain=town_id))
        first = await anext(chunks)
        await asyncio.to_thread(publish, untrue_api, town_id, honorBeadModels=True)
        return first + b"".join([chunk async for chunk in chunks])

    assert with_store(url, work) == before != expected(url, town_id)


# ---- what was tampered with


@pytest.mark.parametrize("canonical", [b'{"a":1}\n{"b":2}', b"\n", b"", b"nonsense", b"\xff\x00", b'{"a":1}}'])
def test_export__of_bytes_that_are_no_record__is_what_is_stored(untrue_api: Api, canonical: bytes) -> None:
    chain = add_chain(untrue_api.url, 2)
    add_rows(untrue_api.url, row_of(replace(FIRST, chain=chain, sequence=3), canonical))
    found = exported(untrue_api, townId=chain)
    assert found == expected(untrue_api.url, chain)
    assert json.loads(found.splitlines()[-1])["end"]["entries"] == 3
    assert [row["sequence"] for row in rows(untrue_api, chain)] == ["1", "2", "3"]


def test_export__of_entries_beyond_the_head_and_after_a_gap__has_them(untrue_api: Api) -> None:
    town_id = make_town(untrue_api, rigs=())
    add_rows(untrue_api.url, row_of(replace(FIRST, chain=town_id, sequence=99)))
    found = exported(untrue_api, townId=town_id)
    assert found == expected(untrue_api.url, town_id)
    assert json.loads(found.splitlines()[-1])["end"]["head"]["sequence"] == 99
