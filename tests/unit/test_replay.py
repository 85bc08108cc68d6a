"""Entries that contradict each other; what is found where a single field is changed is in test_forgeries."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from models.domain.audit import CENTRAL_CHAIN, AuditAction, Entry, TargetType
from models.domain.replay import Replay
from models.domain.verification import ChainBrokenError, FaultCode
from tests.histories import (
    HISTORIES,
    TOKEN,
    TOWN,
    Fields,
    Teller,
    bead,
    model,
    override_set,
    pair,
    profile,
    rig,
    token,
)
from tests.reference import HAIKU, OPUS, SONNET

EMPTY: Final = override_set({})
OTHER: Final = override_set({"mayor": OPUS})
CREATED: Final[tuple[Any, ...]] = (
    AuditAction.TOWN_CREATED,
    TOWN,
    None,
    {"name": "Lindau", "overrideSet": EMPTY},
    (None, 1),
)
IMPORT: Final[Fields] = {
    "name": "Importiert",
    "rigs": {},
    "profile": profile("custom", 1, {"*": SONNET}, town_id=TOWN),
    "overrideSet": override_set({}, profile="custom"),
    "notes": [],
}


def told_by(*changes: tuple[Any, ...], chain: str = TOWN) -> list[Entry]:
    teller = Teller(chain)
    for change in changes:
        teller.tell(*change)
    return teller.entries


def replay(entries: Sequence[Entry], chain: str | None = None) -> Replay:
    """The entries, taken one after the other; each has to follow."""
    fold = Replay(chain or entries[0].chain)
    for entry in entries:
        fold.apply(entry)
    return fold


def assert_contradicts(entries: Sequence[Entry]) -> None:
    """The last of the entries, and none before it, does not follow."""
    before = replay(entries[:-1], entries[0].chain)
    with pytest.raises(ChainBrokenError) as caught:
        before.apply(entries[-1])
    assert (caught.value.fault.code, caught.value.fault.sequence) == (FaultCode.CONTRADICTION, entries[-1].sequence)


def later(entries: Sequence[Entry]) -> list[Entry]:
    """The same entries as a part of a chain that began long before."""
    return [replace(entry, sequence=entry.sequence + 100) for entry in entries]


# ---- what does not follow

PUBLISHED: Final = AuditAction.OVERRIDE_SET_PUBLISHED
REGISTERED: Final = AuditAction.RIG_REGISTERED
REMOVED: Final = AuditAction.RIG_REMOVED
SYNCED: Final = AuditAction.BEADS_SYNCED
OBSERVED: Final = AuditAction.MAYOR_OBSERVED


@pytest.mark.parametrize(
    "change",
    [
        CREATED,
        (AuditAction.TOWN_IMPORTED, TOWN, None, IMPORT, (None, 1)),
        (AuditAction.MODEL_DEPRECATED, OPUS, model("Opus"), model("Opus", deprecated=True)),
        (PUBLISHED, "2", EMPTY, EMPTY, (1, 2)),
        (PUBLISHED, "2", None, OTHER, (1, 2)),
        (PUBLISHED, "2", {**EMPTY, "honorBeadModels": 0}, OTHER, (1, 2)),
        (PUBLISHED, "2", OTHER, override_set({"mayor": HAIKU}), (1, 2)),
        (PUBLISHED, "3", EMPTY, OTHER, (1, 3)),
        (PUBLISHED, "3", EMPTY, OTHER, (2, 3)),
        (PUBLISHED, "1", EMPTY, OTHER, (None, 1)),
        (PUBLISHED, "None", EMPTY, OTHER, (1, None)),
        (PUBLISHED, "1", EMPTY, OTHER, (1, 2)),
        (PUBLISHED, "2", EMPTY, None, (1, 2)),
        (PUBLISHED, "2", EMPTY, {**OTHER, "contentHash": EMPTY["contentHash"]}, (1, 2)),
        (PUBLISHED, "2", EMPTY, {**OTHER, "renewed": ["gt:rework"]}, (1, 2)),
        (PUBLISHED, "2", EMPTY, {**OTHER, "renewed": "mayor"}, (1, 2)),
        (PUBLISHED, "2", EMPTY, {**OTHER, "revertOf": 1}, (1, 2)),
        (PUBLISHED, "2", EMPTY, override_set({"mayor[gt:rework]": OPUS}), (1, 2)),
        (PUBLISHED, "2", EMPTY, override_set({"mayor": "no model"}), (1, 2)),
        (PUBLISHED, "2", EMPTY, override_set({}, version=0), (1, 2)),
        (PUBLISHED, "2", EMPTY, override_set({}, version=2**31), (1, 2)),
        (PUBLISHED, "2", EMPTY, override_set({}, profile="\x00"), (1, 2)),
        (AuditAction.OVERRIDE_SET_REVERTED, "2", EMPTY, OTHER, (1, 2)),
        (AuditAction.OVERRIDE_SET_REVERTED, "2", EMPTY, {**OTHER, "revertOf": 0}, (1, 2)),
        (AuditAction.OVERRIDE_SET_REVERTED, "2", EMPTY, {**OTHER, "revertOf": 2}, (1, 2)),
        (REGISTERED, "web", None, rig("Web", removed=True)),
        (REGISTERED, "web", rig("Web", removed=True), rig("Web")),
        (REGISTERED, "web", None, rig("Web"), (1, 2)),
        (REMOVED, "web", None, rig("Web", removed=True)),
        (REMOVED, "web", rig("Web"), rig("Web", removed=True)),
        (SYNCED, TOWN, {}, {}),
        (SYNCED, TOWN, None, {"b-1": bead("Title")}),
        (SYNCED, TOWN, {"b-2": None}, {"b-1": bead("Title")}),
        (SYNCED, TOWN, {"b-1": bead("Title")}, {"b-1": bead("Title")}),
        (SYNCED, TOWN, {"b-1": None}, {"b-1": {**bead("Title"), "type": "issue"}}),
        (SYNCED, TOWN, {"b-1": None}, {"b-1": {**bead("Title"), "status": "GONE"}}),
        (SYNCED, TOWN, {"b-1": None}, {"b-1": {**bead("Title"), "role": "MAYORESS"}}),
        (SYNCED, TOWN, {"b-1": None}, {"b-1": {**bead("Title"), "labels": [5]}}),
        (SYNCED, "another", {"b-1": None}, {"b-1": bead("Title")}),
        (OBSERVED, TOWN, pair(OPUS), pair(SONNET)),
        (OBSERVED, TOWN, None, pair("no model")),
        (OBSERVED, "another", None, pair(SONNET)),
    ],
)
def test_change__that_does_not_follow_a_towns_beginning__contradicts_it(change: tuple[Any, ...]) -> None:
    assert_contradicts(told_by(CREATED, change))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((REGISTERED, "web", None, rig("Web")), (REGISTERED, "web", None, rig("Web"))),
        ((REGISTERED, "web", None, rig("Web")), (REGISTERED, "web", rig("Web"), rig("Netz"))),
        ((REGISTERED, "web", None, rig("Web")), (REMOVED, "web", rig("Netz"), rig("Netz", removed=True))),
        ((REGISTERED, "web", None, rig("Web")), (REMOVED, "web", rig("Web"), rig("Netz", removed=True))),
        ((REGISTERED, "web", None, rig("Web")), (REMOVED, "web", rig("Web"), rig("Web"))),
        ((OBSERVED, TOWN, None, pair(SONNET)), (OBSERVED, TOWN, pair(SONNET), pair(SONNET))),
        ((OBSERVED, TOWN, None, pair(SONNET)), (OBSERVED, TOWN, None, pair(OPUS))),
    ],
)
def test_change__that_does_not_follow_the_one_before__contradicts_it(
    first: tuple[Any, ...], second: tuple[Any, ...]
) -> None:
    assert_contradicts(told_by(CREATED, first, second))


@pytest.mark.parametrize(
    "change",
    [
        (REGISTERED, "web", None, rig("Web")),
        (AuditAction.TOWN_CREATED, TOWN, {}, {"name": "Lindau", "overrideSet": EMPTY}, (None, 1)),
        (AuditAction.TOWN_CREATED, TOWN, None, {"name": "Lindau", "overrideSet": EMPTY}, (0, 1)),
        (AuditAction.TOWN_CREATED, TOWN, None, {"name": "Lindau", "overrideSet": EMPTY}, (None, 2)),
        (AuditAction.TOWN_CREATED, TOWN, None, {"name": "Lindau", "overrideSet": {**EMPTY, "renewed": []}}, (None, 1)),
        (AuditAction.TOWN_CREATED, "another", None, {"name": "Lindau", "overrideSet": EMPTY}, (None, 1)),
        (AuditAction.TOWN_IMPORTED, TOWN, None, {**IMPORT, "overrideSet": EMPTY}, (None, 1)),
        (AuditAction.TOWN_IMPORTED, TOWN, None, {**IMPORT, "profile": profile("custom", 1, {})}, (None, 1)),
        (
            AuditAction.TOWN_IMPORTED,
            TOWN,
            None,
            {**IMPORT, "profile": profile("custom", 2, {}, town_id=TOWN)},
            (None, 1),
        ),
    ],
)
def test_town__that_begins_in_no_true_way__contradicts_itself(change: tuple[Any, ...]) -> None:
    assert_contradicts(told_by(change))


TIDY: Final = profile("tidy", 1, {"*": SONNET})
OWN: Final = profile("custom", 1, {"*": SONNET}, town_id=TOWN)
PROFILE: Final = AuditAction.PROFILE_VERSION_PUBLISHED
MODELS: Final = AuditAction.MODELS_REGISTERED
DEPRECATED: Final = AuditAction.MODEL_DEPRECATED


@pytest.mark.parametrize(
    "change",
    [
        CREATED,
        (PROFILE, "tidy", TIDY, profile("tidy", 2, {}), (1, 2)),
        (PROFILE, "tidy", None, profile("tidy", 2, {}), (1, 2)),
        (PROFILE, "tidy", None, TIDY, (None, 1)),
        (PROFILE, "tidy", None, TIDY, (1, 2)),
        (PROFILE, "untidy", None, TIDY, (0, 1)),
        (PROFILE, "tidy", None, {**TIDY, "smallModel": OPUS}, (0, 1)),
        (PROFILE, "tidy", None, profile("tidy", 1, {"*@web": OPUS}), (0, 1)),
        (PROFILE, "custom", None, OWN, (0, 1)),
        (PROFILE, "tidy", None, {**TIDY, "townId": CENTRAL_CHAIN}, (0, 1)),
        (PROFILE, "tidy", None, {**TIDY, "townId": ""}, (0, 1)),
        (PROFILE, f"{TOWN}/custom", OWN, {**OWN, "version": 3}, (2, 3)),
        (PROFILE, f"{TOWN}/custom", None, {**OWN, "version": 2}, (1, 2)),
        (PROFILE, f"{TOWN}/custom", {**OWN, "name": "custom-2"}, {**OWN, "version": 2}, (1, 2)),
        (PROFILE, f"{TOWN}/custom", {**OWN, "townId": "another"}, {**OWN, "version": 2}, (1, 2)),
        (PROFILE, f"{TOWN}/custom", {**OWN, "smallModel": OPUS}, {**OWN, "version": 2}, (1, 2)),
        (MODELS, "catalogue", {}, {}),
        (MODELS, "catalogue", {OPUS: model("Opus")}, {OPUS: model("Opus 4.7")}),
        (MODELS, "catalogue", {OPUS: None}, {OPUS: model("Opus", deprecated=True)}),
        (MODELS, "catalogue", {OPUS: None}, {OPUS: model("Opus", SONNET)}),
        (MODELS, "another", {OPUS: None}, {OPUS: model("Opus")}),
        (DEPRECATED, OPUS, None, model("Opus", deprecated=True)),
        (DEPRECATED, OPUS, model("Opus"), model("Opus", deprecated=True)),
    ],
)
def test_change__that_does_not_follow_in_the_centre__contradicts_it(change: tuple[Any, ...]) -> None:
    assert_contradicts(told_by(change, chain=CENTRAL_CHAIN))


FORGOTTEN: Final[tuple[Any, ...]] = (
    AuditAction.ACTOR_FORGOTTEN,
    "anna",
    {"forgotten": False},
    {"forgotten": True},
)


@pytest.mark.parametrize(
    "changes",
    [
        [FORGOTTEN, FORGOTTEN],
        [(*FORGOTTEN[:2], None, {"forgotten": True})],
        [(*FORGOTTEN[:2], {"forgotten": True}, {"forgotten": True})],
        [(*FORGOTTEN[:2], {"forgotten": False}, {"forgotten": False})],
        [(*FORGOTTEN[:2], {"forgotten": 0}, {"forgotten": 1})],
    ],
)
def test_actor__forgotten_in_no_true_way__contradicts_the_centre(changes: list[tuple[Any, ...]]) -> None:
    assert_contradicts(told_by(*changes, chain=CENTRAL_CHAIN))


MADE: Final[tuple[Any, ...]] = (AuditAction.TOKEN_CREATED, TOKEN, None, token())
REVOKED: Final[tuple[Any, ...]] = (AuditAction.TOKEN_REVOKED, TOKEN, token(), token(revoked=True))


@pytest.mark.parametrize(
    "changes",
    [
        [MADE, MADE],
        [REVOKED],
        [MADE, REVOKED, REVOKED],
        [MADE, REVOKED, MADE],
        [(*MADE[:2], token(), token())],
        [(*MADE[:2], None, token(revoked=True))],
        [(*MADE[:2], None, {**token(), "towns": "town-1"})],
        [(*MADE[:2], None, {name: value for name, value in token().items() if name != "secretHash"})],
        [MADE, (*REVOKED[:2], token(), token())],
        [MADE, (*REVOKED[:2], token(), {**token(revoked=True), "scopes": ["admin"]})],
        [MADE, (*REVOKED[:2], {**token(), "towns": None}, {**token(revoked=True), "towns": None})],
        [MADE, (AuditAction.TOKEN_REVOKED, "another", token(), token(revoked=True))],
    ],
)
def test_token__made_or_revoked_in_no_true_way__contradicts_the_centre(changes: list[tuple[Any, ...]]) -> None:
    assert_contradicts(told_by(*changes, chain=CENTRAL_CHAIN))


@pytest.mark.parametrize(
    ("text", "instant"), [(None, None), ("2027-01-01T00:00:00.000000Z", datetime(2027, 1, 1, tzinfo=UTC))]
)
def test_token__that_is_made__expires_as_its_entry_says(text: str | None, instant: datetime | None) -> None:
    told = Replay(CENTRAL_CHAIN)
    for entry in told_by((*MADE[:3], {**token(), "expiresAt": text}), chain=CENTRAL_CHAIN):
        told.apply(entry)
    assert told.tokens[TOKEN].expires_at == instant


@pytest.mark.parametrize("after", [model("Opus"), model("Opus 4.7"), {**model("Opus"), "deprecated": 1}])
def test_model__deprecated_and_not_so_afterwards__contradicts_itself(after: Fields) -> None:
    registered = (MODELS, "catalogue", {OPUS: None}, {OPUS: model("Opus")})
    assert_contradicts(told_by(registered, (DEPRECATED, OPUS, model("Opus"), after), chain=CENTRAL_CHAIN))


def test_profile_of_a_town__first_published_by_the_centre__follows() -> None:
    second = (PROFILE, f"{TOWN}/custom", OWN, {**OWN, "version": 2}, (1, 2))
    replay(told_by((PROFILE, f"{TOWN}/custom", None, OWN, (0, 1)), second, chain=CENTRAL_CHAIN))


@pytest.mark.parametrize("target_type", [TargetType.RIG, TargetType.OVERRIDE_SET])
def test_target__of_another_type_than_the_action_has__contradicts_it(target_type: TargetType) -> None:
    [created] = told_by(CREATED)
    assert_contradicts([replace(created, change=replace(created.change, target_type=target_type))])


# ---- parts: what came before is not known


@pytest.mark.parametrize("chain", HISTORIES)
def test_part__of_a_true_history__follows_wherever_it_begins(chain: str) -> None:
    for start in range(len(HISTORIES[chain])):
        replay(HISTORIES[chain][start:])


@pytest.mark.parametrize(
    "changes",
    [
        [CREATED],
        [(PUBLISHED, "7", OTHER, EMPTY, (5, 7))],
        [(PUBLISHED, "1", OTHER, EMPTY, (None, 1))],
        [(PUBLISHED, "7", {**OTHER, "honorBeadModels": True}, EMPTY, (6, 7))],
        [(PUBLISHED, "7", None, EMPTY, (6, 7))],
        [(PUBLISHED, "7", EMPTY, EMPTY, (6, 7))],
        [(PUBLISHED, "7", OTHER, EMPTY, (6, 7)), (PUBLISHED, "9", EMPTY, OTHER, (8, 9))],
        [(PUBLISHED, "7", OTHER, EMPTY, (6, 7)), (PUBLISHED, "8", OTHER, EMPTY, (7, 8))],
        [(OBSERVED, TOWN, pair(OPUS), pair(OPUS))],
        [(OBSERVED, TOWN, pair(OPUS), pair(SONNET)), (OBSERVED, TOWN, pair(OPUS), pair(SONNET))],
        [(REMOVED, "web", rig("Web"), rig("Web", removed=True)), (REGISTERED, "web", None, rig("Web"))],
        [
            (REMOVED, "web", rig("Web"), rig("Web", removed=True)),
            (REMOVED, "web", rig("Web"), rig("Web", removed=True)),
        ],
        [(REGISTERED, "web", rig("Web"), rig("Web"))],
    ],
)
def test_part__whose_entries_contradict_each_other__is_found(changes: list[tuple[Any, ...]]) -> None:
    assert_contradicts(later(told_by(*changes)))
