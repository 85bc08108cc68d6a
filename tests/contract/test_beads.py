"""Beads: what a sync replaces, which changes count, how they are found again."""

from typing import Any, Final

import pytest

from tests.client import Api, Json
from tests.contract.recipes import Call, codes, send, unique
from tests.towns import HAIKU, KILO, OPUS, SONNET, make_town, publish, sync

BEAD: Final = """beadId type status title labels role model rig { rigId } updatedAt resolution { role model }
    revisions { edges { node { revision at type status labels role rigId model actor { displayName } } } }"""


def bead(api: Api, bead_id: str, fields: str = BEAD) -> Any:
    """The bead, or None."""
    return api.data(f"query ($id: ID!) {{ bead(beadId: $id) {{ {fields} }} }}", id=bead_id)["bead"]


def revisions(found: Json) -> list[Json]:
    """Newest first."""
    return [edge["node"] for edge in found["revisions"]["edges"]]


FULL: Final[Json] = {
    "rigId": "web",
    "type": "ESCALATION",
    "status": "IN_REVIEW",
    "title": "Payments fail",
    "labels": ["gt:rework", "severity:high"],
    "role": "REFINERY",
    "model": "~some/unregistered@model",
}
DEFAULTS: Final[Json] = {"type": "ISSUE", "status": "OPEN", "title": "", "labels": [], "role": None, "model": None}


def state(found: Json) -> Json:
    rig = found["rig"]
    return {**{name: found[name] for name in DEFAULTS}, "rigId": None if rig is None else rig["rigId"]}


@pytest.fixture(scope="module")
def town(shared_api: Api) -> str:
    """A town for beads that no test looks for among others."""
    return make_town(shared_api)


# ---------------------------------------------------------------- what a sync does


def test_sync__of_a_new_bead__stores_all_that_is_said_of_it(shared_api: Api, town: str) -> None:
    bead_id = unique("bead")
    sync(shared_api, town, {"beadId": bead_id, **FULL})
    assert state(bead(shared_api, bead_id)) == FULL


def test_sync__of_a_bead_that_is_there__replaces_its_whole_state(shared_api: Api, town: str) -> None:
    bead_id = unique("bead")
    sync(shared_api, town, {"beadId": bead_id, **FULL})
    sync(shared_api, town, {"beadId": bead_id})
    assert state(bead(shared_api, bead_id)) == {**DEFAULTS, "rigId": None}


def test_sync__of_several_beads__answers_with_them_in_the_order_sent(shared_api: Api, town: str) -> None:
    first, second = unique("bead"), unique("bead")
    sync(shared_api, town, {"beadId": first})
    beads = [{"beadId": second, "title": "New"}, {"beadId": first}]
    payload = shared_api.done("syncBeads", "synced beads { beadId title }", townId=town, beads=beads)
    assert payload["synced"] == 2
    assert payload["beads"] == [{"beadId": second, "title": "New"}, {"beadId": first, "title": ""}]


def test_sync__of_no_beads__changes_nothing(shared_api: Api, town: str) -> None:
    before = shared_api.entries(town)
    assert shared_api.done("syncBeads", "synced beads { beadId }", townId=town, beads=[])["synced"] == 0
    assert shared_api.entries(town) == before


WRONG: Final[dict[str, tuple[Json, tuple[str, list[str]]]]] = {
    "id": ({"beadId": "no id"}, ("INVALID_INPUT", ["beads", "1", "beadId"])),
    "rig": ({"rigId": "never-there"}, ("UNKNOWN_RIG", ["beads", "1", "rigId"])),
    "removed_rig": ({"rigId": "gone"}, ("UNKNOWN_RIG", ["beads", "1", "rigId"])),
    "model": ({"model": "two words"}, ("INVALID_MODEL", ["beads", "1", "model"])),
    "another_towns_bead": ({"beadId": "ELSEWHERE"}, ("ALREADY_EXISTS", ["beads", "1", "beadId"])),
}


@pytest.fixture(scope="module")
def lost(shared_api: Api, town: str) -> str:
    """A bead of another town; and the rig `gone` of the town at hand is registered and removed again."""
    bead_id = unique("bead")
    sync(shared_api, make_town(shared_api, rigs=()), {"beadId": bead_id})
    shared_api.done("registerRig", townId=town, rigId="gone", name="Gone")
    shared_api.done("removeRig", townId=town, rigId="gone")
    return bead_id


@pytest.mark.parametrize(("fields", "refusal"), WRONG.values(), ids=WRONG)
def test_sync__with_one_bead_that_is_wrong__writes_none(
    shared_api: Api, town: str, lost: str, fields: Json, refusal: tuple[str, list[str]]
) -> None:
    good, wrong, there = unique("bead"), unique("bead"), unique("bead")
    sync(shared_api, town, {"beadId": there, "title": "As it was"})
    broken = {"beadId": wrong, **{name: lost if value == "ELSEWHERE" else value for name, value in fields.items()}}
    beads = [{"beadId": good}, broken, {"beadId": there, "title": "Not written"}]
    assert shared_api.refusals("syncBeads", townId=town, beads=beads) == [refusal]
    assert (bead(shared_api, good), bead(shared_api, there)["title"]) == (None, "As it was")
    sync(shared_api, town, {"beadId": good})


def test_sync__with_several_beads_that_are_wrong__names_each(shared_api: Api, town: str) -> None:
    beads = [{"beadId": "no id"}, {"beadId": unique("bead")}, {"beadId": unique("bead"), "model": ""}]
    assert shared_api.refusals("syncBeads", townId=town, beads=beads) == [
        ("INVALID_INPUT", ["beads", "0", "beadId"]),
        ("INVALID_MODEL", ["beads", "2", "model"]),
    ]


def test_sync__into_an_unknown_town__is_not_found(shared_api: Api) -> None:
    refused = shared_api.refusals("syncBeads", townId="nowhere", beads=[{"beadId": unique("bead")}])
    assert refused == [("NOT_FOUND", ["townId"])]


def test_bead__whose_rig_was_removed__resolves_as_before_and_is_synced_there_once_it_is_back(shared_api: Api) -> None:
    town_id, bead_id = make_town(shared_api, rigs=("web",)), unique("bead")
    override = {"role": "POLECAT", "rigId": "web", "model": KILO}
    sync(shared_api, town_id, {"beadId": bead_id, "rigId": "web"})
    publish(shared_api, town_id, overrides=[override])
    shared_api.done("removeRig", townId=town_id, rigId="web")
    found = bead(shared_api, bead_id)
    assert (found["resolution"]["model"], found["rig"]) == (KILO, {"rigId": "web"})
    again = {"townId": town_id, "beads": [{"beadId": bead_id, "rigId": "web"}]}
    assert shared_api.refusals("syncBeads", **again) == [("UNKNOWN_RIG", ["beads", "0", "rigId"])]
    sync(shared_api, town_id, {"beadId": bead_id})
    assert bead(shared_api, bead_id)["resolution"]["model"] == SONNET
    shared_api.done("registerRig", townId=town_id, rigId="web", name="Web")
    sync(shared_api, town_id, {"beadId": bead_id, "rigId": "web"})
    assert bead(shared_api, bead_id)["resolution"]["model"] == KILO


# ---------------------------------------------------------------- revisions

COUNTS: Final[dict[str, Json]] = {
    "rig": {"rigId": "api"},
    "no_rig": {"rigId": None},
    "type": {"type": "CONVOY"},
    "status": {"status": "CLOSED"},
    "label_more": {"labels": ["gt:rework", "severity:high", "other"]},
    "label_less": {"labels": ["severity:high"]},
    "role": {"role": "POLECAT"},
    "no_role": {"role": None},
    "model": {"model": KILO},
    "no_model": {"model": None},
}


def test_revision__when_what_counts_differs__is_made_each_time(shared_api: Api, town: str) -> None:
    """One bead goes through all of it, each time from the same state and back again."""
    bead_id = unique("bead")
    base = {"beadId": bead_id, **FULL}
    sync(shared_api, town, base)
    for number, change in enumerate(COUNTS.values(), start=1):
        sync(shared_api, town, {**base, **change})
        newest, before, *_ = revisions(bead(shared_api, bead_id))
        assert (newest["revision"], before["revision"]) == (2 * number, 2 * number - 1)
        (name,) = change
        assert (newest[name], before[name]) == (change[name], FULL[name])
        sync(shared_api, town, base)


def test_revision__of_the_same_state_or_another_title__is_not_made(shared_api: Api, town: str) -> None:
    bead_id = unique("bead")
    sync(shared_api, town, {"beadId": bead_id, **FULL})
    before = bead(shared_api, bead_id)
    sync(shared_api, town, {"beadId": bead_id, **FULL})
    assert bead(shared_api, bead_id) == before
    sync(shared_api, town, {"beadId": bead_id, **FULL, "title": "Payments still fail"})
    after = bead(shared_api, bead_id)
    assert (after["title"], revisions(after)) == ("Payments still fail", revisions(before))


def test_revision__of_each_state__tells_who_made_it_and_when(shared_api: Api, town: str) -> None:
    bead_id = unique("bead")
    for actor, status in (("ann", "OPEN"), ("ben", "IN_PROGRESS")):
        beads = [{"beadId": bead_id, "status": status}]
        call = Call(town_id=town, arguments={"input": {"townId": town, "beads": beads}})
        assert codes(send(shared_api, "syncBeads", call, headers={"X-Actor": actor})) == []
    found = bead(shared_api, bead_id)
    told = [(each["revision"], each["status"], each["actor"]["displayName"]) for each in revisions(found)]
    assert told == [(2, "IN_PROGRESS", "ben"), (1, "OPEN", "ann")]
    assert revisions(found)[0]["at"] == found["updatedAt"]


# ---------------------------------------------------------------- roles


@pytest.mark.parametrize(
    ("fields", "role", "model"),
    [
        ({}, "POLECAT", SONNET),
        ({"type": "MERGE_REQUEST"}, "REFINERY", SONNET),
        ({"type": "MERGE_REQUEST", "role": "POLECAT"}, "POLECAT", SONNET),
        ({"role": "MAYOR"}, "MAYOR", OPUS),
        ({"labels": ["gt:triage"]}, "POLECAT", HAIKU),
        ({"labels": ["gt:triage"], "role": "MAYOR"}, "MAYOR", OPUS),
        ({"labels": ["gt:merge-request"]}, "POLECAT", SONNET),
        ({"type": "AGENT"}, "POLECAT", SONNET),
    ],
)
def test_bead__of_a_type_and_role__is_worked_on_by(
    shared_api: Api, town: str, fields: Json, role: str, model: str
) -> None:
    bead_id = unique("bead")
    payload = {"townId": town, "beads": [{"beadId": bead_id, **fields}]}
    (found,) = shared_api.done("syncBeads", "beads { role resolution { role model } }", **payload)["beads"]
    assert (found["role"], found["resolution"]) == (fields.get("role"), {"role": role, "model": model})


# ---------------------------------------------------------------- filters

SHELF: Final[dict[str, Json]] = {
    "a-plain": {"title": "Straße reparieren"},
    "b-web": {"rigId": "web", "title": "100% done"},
    "c-merge": {"type": "MERGE_REQUEST", "rigId": "web", "status": "IN_REVIEW", "title": "ÉCOLE"},
    "d-labels": {"labels": ["gt:rework", "gt:held"], "status": "CLOSED", "title": "under_score"},
    "e-unknown": {"labels": ["Severity:high"], "role": "REFINERY", "title": "a\\b"},
    "f-mayor": {"role": "MAYOR", "rigId": "api", "labels": ["gt:held"]},
    "g-convoy": {"type": "CONVOY", "status": "FAILED", "role": "POLECAT", "title": "İstanbul"},
}


@pytest.fixture(scope="module")
def shelf(shared_api: Api) -> str:
    """A town with these beads, whose ids are prefixed by the town's, and no others."""
    town_id = make_town(shared_api)
    sync(shared_api, town_id, *({"beadId": f"{town_id}.{name}", **fields} for name, fields in SHELF.items()))
    return town_id


FILTERS: Final[dict[str, tuple[Json | None, str]]] = {
    "none": (None, "abcdefg"),
    "empty": ({}, "abcdefg"),
    "all_null": (dict.fromkeys(("rigId", "types", "statuses", "labels", "roles", "titleContains")), "abcdefg"),
    "rig": ({"rigId": "web"}, "bc"),
    "unknown_rig": ({"rigId": "never-there"}, ""),
    "type": ({"types": ["MERGE_REQUEST"]}, "c"),
    "types": ({"types": ["MERGE_REQUEST", "CONVOY"]}, "cg"),
    "no_type": ({"types": []}, ""),
    "statuses": ({"statuses": ["IN_REVIEW", "FAILED", "CLOSED"]}, "cdg"),
    "label": ({"labels": ["gt:rework"]}, "d"),
    "any_of_labels": ({"labels": ["gt:held", "gt:triage"]}, "df"),
    "unknown_label": ({"labels": ["Severity:high"]}, "e"),
    "unknown_label_in_another_case": ({"labels": ["severity:high"]}, ""),
    "beginning_of_a_label": ({"labels": ["gt:re"]}, ""),
    "derived_roles": ({"roles": ["POLECAT"]}, "abdg"),
    "derived_and_said": ({"roles": ["REFINERY"]}, "ce"),
    "roles": ({"roles": ["MAYOR", "REFINERY"]}, "cef"),
    "title": ({"titleContains": "DONE"}, "b"),
    "title_with_sharp_s": ({"titleContains": "STRASSE"}, "a"),
    "title_with_accent": ({"titleContains": "école"}, "c"),
    "title_percent": ({"titleContains": "0%"}, "b"),
    "title_wildcard_percent": ({"titleContains": "1%done"}, ""),
    "title_underscore": ({"titleContains": "r_s"}, "d"),
    "title_wildcard_underscore": ({"titleContains": "und_r"}, ""),
    "title_backslash": ({"titleContains": "A\\B"}, "e"),
    "combined": ({"rigId": "web", "roles": ["REFINERY"], "statuses": ["IN_REVIEW"], "titleContains": "col"}, "c"),
    "combined_to_nothing": ({"rigId": "web", "labels": ["gt:held"]}, ""),
    "label_and_role": ({"labels": ["gt:held"], "roles": ["MAYOR"]}, "f"),
}


@pytest.mark.parametrize(("narrowed", "expected"), FILTERS.values(), ids=FILTERS)
def test_filter__of_beads__finds_those_that_meet_all_of_it(
    shared_api: Api, shelf: str, narrowed: Json | None, expected: str
) -> None:
    query = """query ($t: ID!, $f: BeadFilter) {
        town(townId: $t) { beads(filter: $f) { edges { node { beadId } } } }
    }"""
    edges = shared_api.data(query, t=shelf, f=narrowed)["town"]["beads"]["edges"]
    assert "".join(edge["node"]["beadId"].removeprefix(f"{shelf}.")[0] for edge in edges) == expected


def test_resolutions__of_many_beads__come_in_the_order_asked(shared_api: Api, shelf: str) -> None:
    asked = [f"{shelf}.f-mayor", "nothing", f"{shelf}.a-plain", f"{shelf}.f-mayor", "no id \u2603"]
    query = """query ($ids: [ID!]!) { resolutions(beadIds: $ids) {
        beadId resolution { beadId model } error { code path }
    } }"""
    mayor = {"beadId": asked[0], "resolution": {"beadId": asked[0], "model": OPUS}, "error": None}
    assert shared_api.data(query, ids=asked)["resolutions"] == [
        mayor,
        {"beadId": "nothing", "resolution": None, "error": {"code": "NOT_FOUND", "path": ["beadIds", "1"]}},
        {"beadId": asked[2], "resolution": {"beadId": asked[2], "model": SONNET}, "error": None},
        mayor,
        {"beadId": asked[4], "resolution": None, "error": {"code": "NOT_FOUND", "path": ["beadIds", "4"]}},
    ]


def test_bead__that_is_not_there__is_null_and_its_resolution_not_found(shared_api: Api) -> None:
    assert shared_api.data('{ bead(beadId: "nothing") { id } }') == {"bead": None}
    assert shared_api.codes('{ resolution(beadId: "nothing") { model } }') == ["NOT_FOUND"]
