import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import pytest

from models.domain.audit import (
    CENTRAL_CHAIN,
    GENESIS,
    TARGET_TYPES,
    AuditAction,
    Change,
    Entry,
    TargetType,
    entry_hash,
    instant_text,
    read_entry,
)
from models.domain.canonical import canonical_bytes
from models.domain.vocabulary import Actor, is_id
from tests.reference import OPUS

ENTRY = Entry(
    chain="town-1",
    sequence=7,
    occurred_at=datetime(2026, 11, 23, 6, 11, 38, tzinfo=UTC),
    actor=Actor(actor_id="clerk", on_behalf_of="anna"),
    credential_id="cred-1",
    request_id="req-1",
    change=Change(
        action=AuditAction.OVERRIDE_SET_PUBLISHED,
        target_type=TargetType.OVERRIDE_SET,
        target_id="town-1",
        reason="größer",
        version_before=1,
        version_after=2,
        before={"overrides": {}},
        after={"overrides": {"polecat": OPUS}},
    ),
    previous_hash=GENESIS,
)
CANONICAL = (
    '{"action":"OVERRIDE_SET_PUBLISHED","actor":"clerk","after":{"overrides":{"polecat":"anthropic/claude-opus-4.7"}},'
    '"before":{"overrides":{}},"chain":"town-1","credential":"cred-1","occurredAt":"2026-11-23T06:11:38.000000Z",'
    '"onBehalfOf":"anna","previousHash":"' + "0" * 64 + '","reason":"größer","requestId":"req-1","schema":1,'
    '"sequence":7,"targetId":"town-1","targetType":"override_set","versionAfter":2,"versionBefore":1}'
).encode()


def test_entry__in_canonical_bytes__is_every_field_in_order_of_its_name() -> None:
    assert ENTRY.canonical() == CANONICAL


def test_entry__with_as_little_as_there_can_be__has_nulls() -> None:
    change = Change(action=AuditAction.TOWN_CREATED, target_type=TargetType.TOWN, target_id="town-1")
    bare = replace(ENTRY, actor=Actor(actor_id="clerk"), credential_id=None, change=change)
    assert bare.canonical().count(b":null") == 7


@pytest.mark.parametrize(
    "other",
    [
        replace(ENTRY, chain="town-2"),
        replace(ENTRY, sequence=8),
        replace(ENTRY, occurred_at=ENTRY.occurred_at + timedelta(microseconds=1)),
        replace(ENTRY, actor=Actor(actor_id="clerk")),
        replace(ENTRY, actor=Actor(actor_id="anna", on_behalf_of="anna")),
        replace(ENTRY, credential_id=None),
        replace(ENTRY, request_id="req-2"),
        replace(ENTRY, previous_hash="1" * 64),
        replace(ENTRY, change=replace(ENTRY.change, action=AuditAction.OVERRIDE_SET_REVERTED)),
        replace(ENTRY, change=replace(ENTRY.change, target_type=TargetType.TOWN)),
        replace(ENTRY, change=replace(ENTRY.change, target_id="town-2")),
        replace(ENTRY, change=replace(ENTRY.change, reason=None)),
        replace(ENTRY, change=replace(ENTRY.change, version_before=0)),
        replace(ENTRY, change=replace(ENTRY.change, version_after=3)),
        replace(ENTRY, change=replace(ENTRY.change, before=None)),
        replace(ENTRY, change=replace(ENTRY.change, after={})),
    ],
)
def test_entry_hash__any_field_altered__differs(other: Entry) -> None:
    assert entry_hash(other.previous_hash, other.canonical()) != entry_hash(GENESIS, CANONICAL)


def test_entry_hash__of_an_entry__covers_tag_previous_hash_and_canonical_bytes() -> None:
    expected = hashlib.sha256(b"townclerk-audit-v1\n" + bytes(32) + CANONICAL).hexdigest()
    assert entry_hash(GENESIS, CANONICAL) == expected


def test_entry_hash__same_bytes_after_another_entry__differs() -> None:
    after_another = entry_hash(entry_hash(GENESIS, CANONICAL), CANONICAL)
    assert after_another != entry_hash(GENESIS, CANONICAL)


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(2026, 11, 23, 6, 11, 38, tzinfo=UTC), "2026-11-23T06:11:38.000000Z"),
        (datetime(2026, 11, 23, 6, 11, 38, 1, tzinfo=UTC), "2026-11-23T06:11:38.000001Z"),
        (datetime(2026, 11, 23, 6, 11, 38, 120000, tzinfo=UTC), "2026-11-23T06:11:38.120000Z"),
        (datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2025-12-31T23:30:00.000000Z"),
    ],
)
def test_instant__in_any_zone__is_written_in_utc_with_six_digits(instant: datetime, text: str) -> None:
    assert instant_text(instant) == text


def test_instants__in_order__are_written_in_that_order() -> None:
    steps = [timedelta(microseconds=step) for step in (0, 1, 9, 10, 999_999, 1_000_000, 86_400_000_000)]
    texts = [instant_text(ENTRY.occurred_at + step) for step in steps]
    assert texts == sorted(texts)


def test_central_chain__name__can_be_no_town() -> None:
    assert not is_id(CENTRAL_CHAIN)


def test_instant__without_a_time_zone__is_refused() -> None:
    naive = datetime(2026, 11, 23, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        instant_text(naive)


def test_instant__long_ago__is_as_wide_as_any() -> None:
    assert instant_text(datetime(7, 1, 2, tzinfo=UTC)) == "0007-01-02T00:00:00.000000Z"


def test_target_types__of_all_actions__are_all_types() -> None:
    assert set(TARGET_TYPES) == set(AuditAction)
    assert set(TARGET_TYPES.values()) == set(TargetType)


BARE: Final = replace(
    ENTRY,
    actor=Actor(actor_id="clerk"),
    credential_id=None,
    change=Change(action=AuditAction.TOWN_CREATED, target_type=TargetType.TOWN, target_id="town-1"),
)


@pytest.mark.parametrize("entry", [ENTRY, BARE])
def test_entry__from_its_canonical_bytes__is_read_as_it_was(entry: Entry) -> None:
    assert read_entry(entry.canonical()) == entry


def fields(**changed: object) -> bytes:
    """Canonical bytes of the entry with some fields changed."""
    return canonical_bytes({**json.loads(CANONICAL), **changed})


@pytest.mark.parametrize(
    "others",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        CANONICAL[:-1],
        CANONICAL + b"\n",
        b" " + CANONICAL,
        CANONICAL.replace(b'":', b'": '),
        CANONICAL.replace(b'"schema":1', b'"schema":1.0'),
        CANONICAL.replace(b'"schema":1', b'"schema":1,"schema":1'),
        CANONICAL.replace("ö".encode(), b"\\u00f6"),
        CANONICAL.replace("ö".encode(), b"\xf6"),
        CANONICAL.replace(b"38.000000Z", b"38Z"),
        CANONICAL.replace(b"38.000000Z", b"38.000000+00:00"),
        json.dumps(json.loads(CANONICAL)).encode(),
        CANONICAL.replace(b'"before":{"overrides":{}}', b'"before":' + b'{"a":' * 900 + b"null" + b"}" * 900),
        fields(schema=2),
        fields(more=None),
        fields(sequence=0),
        fields(sequence=-1),
        fields(sequence=True),
        fields(sequence="7"),
        fields(chain=None),
        fields(actor=5),
        fields(onBehalfOf=5),
        fields(credential=[]),
        fields(requestId=None),
        fields(reason={}),
        fields(targetId=None),
        fields(targetType="planet"),
        fields(targetType=["town"]),
        fields(action="TOWN_MOVED"),
        fields(action="town_created"),
        fields(action=["TOWN_CREATED"]),
        fields(versionAfter=True),
        fields(versionBefore="1"),
        fields(before=[]),
        fields(after="text"),
        fields(occurredAt=None),
        fields(occurredAt="yesterday"),
        fields(occurredAt="2026-11-23T06:11:38.000000"),
        fields(occurredAt="0001-01-01T00:00:00.000000+14:00"),
        fields(previousHash=None),
        fields(previousHash=GENESIS[1:]),
        fields(previousHash="AB" * 32),
    ],
    ids=len,
)
def test_entry__from_any_other_bytes__is_refused(others: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_entry(others)


@pytest.mark.parametrize("missing", json.loads(CANONICAL))
def test_entry__without_one_of_its_fields__is_refused(missing: str) -> None:
    rest = {name: value for name, value in json.loads(CANONICAL).items() if name != missing}
    with pytest.raises(ValueError, match="schema 1"):
        read_entry(canonical_bytes(rest))
