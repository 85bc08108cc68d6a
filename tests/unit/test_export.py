import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from models.domain import export, export_csv
from models.domain.audit import CENTRAL_CHAIN, GENESIS
from models.domain.export import CANONICAL_OFFSET, StoredEntry

DIGEST = "0123456789abcdef" * 4
AT = datetime(2026, 11, 23, 6, 11, 38, 5, tzinfo=UTC)
RECORD: dict[str, Any] = {
    "schema": 1,
    "chain": "town-1",
    "sequence": 7,
    "occurredAt": "2026-11-23T06:11:38.000000Z",
    "actor": "clerk",
    "onBehalfOf": None,
    "credential": "cred-1",
    "action": "OVERRIDE_SET_PUBLISHED",
    "targetType": "override_set",
    "targetId": "3",
    "versionBefore": 2,
    "versionAfter": 3,
    "reason": 'größer, "besser"\nschöner',
    "requestId": "req-1",
    "before": None,
    "after": {"overrides": {"mayor": "größte"}},
    "previousHash": GENESIS,
}


def stored(canonical: bytes, digest: str = DIGEST) -> StoredEntry:
    return StoredEntry(sequence=7, canonical=canonical, hash=digest)


def entry(**fields: object) -> StoredEntry:
    return stored(json.dumps({**RECORD, **fields}).encode())


def rows(*entries: StoredEntry, **names: str | None) -> list[dict[str, str]]:
    """What a reader of the CSV finds in each row."""
    records = [export_csv.read_record("town-1", each) for each in entries]
    text = (export_csv.header_row() + export_csv.entry_rows(records, names)).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


# ---- JSONL


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, b'"since":null,"until":null}\n'),
        (AT, None, b'"since":"2026-11-23T06:11:38.000005Z","until":null}\n'),
        (None, AT, b'"since":null,"until":"2026-11-23T06:11:38.000005Z"}\n'),
        (AT.astimezone(timezone(timedelta(hours=1))), AT, b'"since":"2026-11-23T06:11:38.000005Z","until":"2026-'),
    ],
)
def test_header__of_a_chain__names_it_and_its_ends(
    since: datetime | None, until: datetime | None, expected: bytes
) -> None:
    line = export.header(CENTRAL_CHAIN, since=since, until=until)
    assert line.startswith(b'{"townclerkAuditExport":1,"chain":"@central",' + expected)
    assert line.endswith(b"}\n")


@pytest.mark.parametrize("canonical", [b"{}", '{"a":"größer"}'.encode(), b"", b"\xff}\n{", b'{"a":1}\n{"b":2}'])
def test_entry_line__of_any_stored_bytes__holds_them_as_they_are(canonical: bytes) -> None:
    line = export.entry_line(stored(canonical))
    assert line == b'{"hash":"' + DIGEST.encode() + b'","entry":' + canonical + b"}\n"
    assert line[CANONICAL_OFFSET : line.rindex(b"}")] == canonical


def test_entry_line__of_any_entry__has_the_canonical_bytes_at_83() -> None:
    assert CANONICAL_OFFSET == 83


@pytest.mark.parametrize("digest", ["", "short", 'a"b', "größer", DIGEST * 2])
def test_entry_line__of_a_hash_that_is_none__holds_it_as_it_is(digest: str) -> None:
    assert export.entry_line(stored(b"{}", digest)) == f'{{"hash":"{digest}","entry":{{}}}}\n'.encode()


def test_trailer__of_entries__counts_them_and_names_the_last() -> None:
    line = export.trailer(3, stored(b"{}"))
    assert line == b'{"end":{"entries":3,"head":{"sequence":7,"hash":"' + DIGEST.encode() + b'"}}}\n'


def test_trailer__of_no_entries__has_the_head_that_chains_begin_with() -> None:
    line = export.trailer(0, None)
    assert line == b'{"end":{"entries":0,"head":{"sequence":0,"hash":"' + b"0" * 64 + b'"}}}\n'


# ---- CSV


def test_rows__of_an_entry__hold_every_field_of_it_and_the_names() -> None:
    assert rows(entry(onBehalfOf="anna"), clerk="The clerk", anna="Anna") == [
        {
            "chain": "town-1",
            "sequence": "7",
            "occurredAt": "2026-11-23T06:11:38.000000Z",
            "actor": "clerk",
            "actorName": "The clerk",
            "onBehalfOf": "anna",
            "onBehalfOfName": "Anna",
            "credential": "cred-1",
            "action": "OVERRIDE_SET_PUBLISHED",
            "targetType": "override_set",
            "targetId": "3",
            "versionBefore": "2",
            "versionAfter": "3",
            "reason": 'größer, "besser"\nschöner',
            "requestId": "req-1",
            "before": "",
            "after": '{"overrides":{"mayor":"größte"}}',
            "previousHash": GENESIS,
            "hash": DIGEST,
        }
    ]


def test_rows__of_someone_erased_for_someone_without_a_name__say_so() -> None:
    (row,) = rows(entry(onBehalfOf="anna"), clerk=None)
    assert (row["actor"], row["actorName"], row["onBehalfOfName"]) == ("clerk", "(erased)", "anna")


def test_rows__of_nobody_else__leave_the_second_name_empty() -> None:
    (row,) = rows(entry())
    assert (row["actorName"], row["onBehalfOf"], row["onBehalfOfName"]) == ("clerk", "", "")


def test_rows__each__end_as_rfc_4180_wants() -> None:
    records = [export_csv.read_record("town-1", entry(reason="plain"))] * 2
    lines = export_csv.header_row() + export_csv.entry_rows(records, {})
    assert lines.count(b"\r\n") == lines.count(b"\n") == 3


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
@pytest.mark.parametrize("rest", ["", "1+1", 'cmd|" /C calc"!A0', "\r\n=2"])
def test_cell__that_a_spreadsheet_would_run__is_led_by_an_apostrophe(begin: str, rest: str) -> None:
    (row,) = rows(entry(reason=begin + rest, actor=begin + rest, requestId=begin + rest), **{begin + rest: begin})
    assert {row["reason"], row["actor"], row["requestId"]} == {f"'{begin}{rest}"}
    assert row["actorName"] == f"'{begin}"


@pytest.mark.parametrize("text", ["1-1", " =1", "a@b", "'=1", "", "\n=1", "\u20131"])
def test_cell__that_no_spreadsheet_would_run__stays_as_it_is(text: str) -> None:
    (row,) = rows(entry(reason=text))
    assert row["reason"] == text


@pytest.mark.parametrize(
    "canonical", [b"", b"\xff", b"nonsense", b"[1]", b'"text"', b"null", b"[" * 100_000, b'{"a":' + b"9" * 5_000 + b"}"]
)
def test_rows__of_bytes_that_are_no_record__hold_what_stands_beside_them(canonical: bytes) -> None:
    (row,) = rows(stored(canonical))
    assert {name: cell for name, cell in row.items() if cell} == {"chain": "town-1", "sequence": "7", "hash": DIGEST}


@pytest.mark.parametrize("actor", [None, 5, True, ["clerk"], {"a": "b"}])
def test_actor__that_is_none__has_no_name(actor: object) -> None:
    (row,) = rows(entry(actor=actor))
    assert row["actorName"] == ""


def test_actor_ids__of_records__are_those_of_actors_and_of_whom_they_acted_for() -> None:
    found = [entry(), entry(onBehalfOf="anna"), entry(actor=5), stored(b"")]
    assert export_csv.actor_ids(export_csv.read_record("town-1", each) for each in found) == {"clerk", "anna"}


def test_rows__of_a_lone_surrogate__spell_it() -> None:
    (row,) = rows(stored(b'{"reason":"a\\ud800b"}'))
    assert row["reason"] == "a\\ud800b"
