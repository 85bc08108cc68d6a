"""Profiles: central ones for everybody, own ones for one town; versions, and towns that follow."""

from typing import Any, Final

import pytest

from tests.client import Api, Json
from tests.contract.recipes import REASON, followed_profile, own_profile, profile_input, unique
from tests.towns import HAIKU, KILO, OPUS, SONNET, make_town, publish, rule

PAYLOAD: Final = """currentVersion townsFollowing townsUpdated mayorRestartsSignalled
    profileVersion { version townsFollowing townsDue }"""


def next_version(api: Api, name: str, expected_version: int, fields: str = PAYLOAD, **given: Any) -> Json:
    """The payload of publishing a profile's next version, which has to take effect."""
    return api.done("publishProfileVersion", fields, **profile_input(name, expected_version, **given))


def counts(payload: Json) -> tuple[int, int, int]:
    """Towns following, towns updated, and restarts signalled."""
    return payload["townsFollowing"], payload["townsUpdated"], payload["mayorRestartsSignalled"]


def last_set(api: Api, town_id: str) -> Json:
    query = """query ($t: ID!) { town(townId: $t) { overrideSet {
        version cause reason createdBy { displayName } profile { name } profileVersion { version }
        overrides { key model setBy { displayName } }
    } } }"""
    found: Json = api.data(query, t=town_id)["town"]["overrideSet"]
    return found


def standing(api: Api, town_id: str) -> tuple[int, str, int]:
    """The town's version, and the profile and version of it that the set in force lies over."""
    found = last_set(api, town_id)
    return found["version"], found["profile"]["name"], found["profileVersion"]["version"]


# ---------------------------------------------------------------- what there is


def test_profiles__of_a_new_database__are_the_three_shipped_at_version_1(shared_api: Api) -> None:
    profiles = shared_api.data("{ profiles { name town { id } versions { edges { node { version } } } } }")["profiles"]
    shipped = {each["name"]: each for each in profiles if each["name"] in {"frugal", "balanced", "premium"}}
    assert set(shipped) == {"frugal", "balanced", "premium"}
    for each in shipped.values():
        assert (each["town"], each["versions"]["edges"]) == (None, [{"node": {"version": 1}}])


@pytest.mark.parametrize(("name", "town_id"), [("nowhere", None), ("custom", None), ("custom", "nowhere"), ("", None)])
def test_profile__that_is_not_there__is_null(shared_api: Api, name: str, town_id: str | None) -> None:
    query = "query ($n: String!, $t: ID) { profile(name: $n, townId: $t) { id } }"
    assert shared_api.data(query, n=name, t=town_id) == {"profile": None}


def test_publish__of_a_new_central_profile__makes_version_1_for_everybody(shared_api: Api) -> None:
    name = unique("shared")
    fields = """profileVersion { version reason publishedBy { actorId } smallModel rules { key model }
        profile { name title town { id } current { version } } townsFollowing townsDue } townsUpdated"""
    payload = next_version(shared_api, name, 0, fields, title="For tests")
    version = payload["profileVersion"]
    assert (version["version"], version["reason"], version["publishedBy"]) == (1, REASON, {"actorId": "dev"})
    assert version["profile"] == {"name": name, "title": "For tests", "town": None, "current": {"version": 1}}
    rules = [("mayor", OPUS), ("polecat", SONNET), ("*", SONNET)]
    assert (version["smallModel"], [tuple(each.values()) for each in version["rules"]]) == (HAIKU, rules)
    assert (version["townsFollowing"], version["townsDue"], payload["townsUpdated"]) == (0, 0, 0)
    listed = shared_api.data("query ($t: ID) { profiles(townId: $t) { name } }", t=make_town(shared_api, rigs=()))
    assert {"name": name} in listed["profiles"]


@pytest.mark.parametrize(("published", "expected"), [(1, 0), (1, 2), (2, 1), (2, 0)])
def test_publish__of_a_version_over_one_that_is_not_the_latest__conflicts(
    shared_api: Api, published: int, expected: int
) -> None:
    name = unique("shared")
    for version in range(published):
        next_version(shared_api, name, version, mayor=(OPUS, KILO)[version])
    given = profile_input(name, expected, mayor=HAIKU)
    refused = shared_api.change("publishProfileVersion", "currentVersion profileVersion { id }", **given)
    assert [(error["code"], error["path"]) for error in refused["userErrors"]] == [
        ("VERSION_CONFLICT", ["expectedVersion"])
    ]
    assert (refused["currentVersion"], refused["profileVersion"]) == (published, None)


def test_publish__of_the_rules_and_small_model_in_force__is_no_change(shared_api: Api) -> None:
    name = unique("shared")
    next_version(shared_api, name, 0)
    same = profile_input(name, 1)
    same["rules"].reverse()
    assert [code for code, _ in shared_api.refusals("publishProfileVersion", **same)] == ["NO_CHANGE"]
    assert next_version(shared_api, name, 1, smallModel=KILO)["currentVersion"] == 2


def test_versions__of_a_profile__are_newest_first_and_keep_what_they_said(shared_api: Api) -> None:
    name = unique("shared")
    next_version(shared_api, name, 0)
    next_version(shared_api, name, 1, mayor=KILO)
    next_version(shared_api, name, 2, rules=[rule(KILO, "MAYOR"), rule(HAIKU, "POLECAT", "gt:held")])
    query = """query ($n: String!) { profile(name: $n) {
        current { version }
        none: version(number: 4) { id } zero: version(number: 0) { id }
        first: version(number: 1) { rules { key model } toLatest: diff(against: 3) { key before after } }
        versions { edges { node { version diff { key before after } toFirst: diff(against: 1) { key before after } } } }
    } }"""
    found = shared_api.data(query, n=name)["profile"]
    assert (found["current"], found["none"], found["zero"]) == ({"version": 3}, None, None)
    assert [tuple(each.values()) for each in found["first"]["rules"]] == [
        ("mayor", OPUS),
        ("polecat", SONNET),
        ("*", SONNET),
    ]
    versions = [edge["node"] for edge in found["versions"]["edges"]]
    assert [each["version"] for each in versions] == [3, 2, 1]
    dropped = {("polecat[gt:held]", None, HAIKU), ("polecat", SONNET, None), ("*", SONNET, None)}
    assert [changes(each["diff"]) for each in versions] == [
        dropped,
        {("mayor", OPUS, KILO)},
        {("mayor", None, OPUS), ("polecat", None, SONNET), ("*", None, SONNET)},
    ]
    assert [changes(each["toFirst"]) for each in versions] == [
        dropped | {("mayor", OPUS, KILO)},
        {("mayor", OPUS, KILO)},
        set(),
    ]
    backwards = {(key, after, before) for key, before, after in dropped | {("mayor", OPUS, KILO)}}
    assert changes(found["first"]["toLatest"]) == backwards


def changes(diff: list[Json]) -> set[tuple[str, str | None, str | None]]:
    return {(change["key"], change["before"], change["after"]) for change in diff}


def test_diff__against_a_version_that_was_never_published__is_not_found(shared_api: Api) -> None:
    query = '{ profile(name: "balanced") { current { diff(against: 7) { key } } } }'
    assert shared_api.codes(query) == ["NOT_FOUND"]


# ---------------------------------------------------------------- towns that follow


def test_publish__of_a_central_version__moves_the_towns_that_follow_and_no_other(shared_api: Api) -> None:
    name, town_id = followed_profile(shared_api)
    gone, elsewhere = make_town(shared_api, rigs=(), profile=name), make_town(shared_api, rigs=())
    publish(shared_api, gone, profile="balanced")
    payload = next_version(shared_api, name, 1, mayor=KILO)
    assert counts(payload) == (1, 1, 1)
    assert payload["profileVersion"] == {"version": 2, "townsFollowing": 1, "townsDue": 0}
    assert standing(shared_api, town_id) == (2, name, 2)
    assert standing(shared_api, gone) == (2, "balanced", 1)
    assert standing(shared_api, elsewhere) == (1, "balanced", 1)


def test_update__of_a_town__keeps_its_overrides_and_is_on_the_publishers_account(shared_api: Api) -> None:
    name, town_id = followed_profile(shared_api)
    publish(shared_api, town_id, honorBeadModels=True, overrides=[rule(HAIKU, "MAYOR")])
    given = {"headers": {"X-Actor": "publisher"}, **profile_input(name, 1, mayor=KILO, reason="A better one.")}
    shared_api.done("publishProfileVersion", "__typename", **given)
    moved = last_set(shared_api, town_id)
    assert (moved["version"], moved["cause"], moved["reason"]) == (3, "PROFILE_UPDATED", "A better one.")
    assert (moved["createdBy"]["displayName"], moved["overrides"]) == (
        "publisher",
        [{"key": "mayor", "model": HAIKU, "setBy": {"displayName": "dev"}}],
    )


def test_update__of_a_town__is_a_conflict_for_whoever_saw_the_version_before(shared_api: Api) -> None:
    name, town_id = followed_profile(shared_api)
    next_version(shared_api, name, 1, mayor=KILO)
    given: Json = {"townId": town_id, "expectedVersion": 1, "draft": {"honorBeadModels": True}, "reason": REASON}
    payload = shared_api.change("publishOverrideSet", "currentVersion", **given)
    assert ([error["code"] for error in payload["userErrors"]], payload["currentVersion"]) == (["VERSION_CONFLICT"], 2)


def test_update__of_a_town__undoes_nothing_that_a_revert_would_bring_back(shared_api: Api) -> None:
    name, town_id = followed_profile(shared_api)
    next_version(shared_api, name, 1, mayor=KILO)
    given = {"townId": town_id, "expectedVersion": 2, "toVersion": 1, "reason": REASON}
    assert [code for code, _ in shared_api.refusals("revertOverrideSet", **given)] == ["NO_CHANGE"]


def test_new_town__after_an_update__lies_over_the_latest_version(shared_api: Api) -> None:
    name, _ = followed_profile(shared_api)
    next_version(shared_api, name, 1, mayor=KILO)
    assert standing(shared_api, make_town(shared_api, rigs=(), profile=name)) == (1, name, 2)


# ---------------------------------------------------------------- profiles of a town's own


@pytest.mark.parametrize(("name", "own"), [("mine", True), ("custom", False), ("custom-2", False), ("balanced", True)])
def test_publish__under_a_name_of_the_other_kind__is_refused(shared_api: Api, name: str, own: bool) -> None:  # noqa: FBT001  # a parameter
    town_id = make_town(shared_api, rigs=()) if own else None
    refused = shared_api.refusals("publishProfileVersion", **profile_input(name, 0, townId=town_id))
    assert refused == [("INVALID_INPUT", ["name"])]


def test_publish__of_an_own_profile_for_an_unknown_town__is_not_found(shared_api: Api) -> None:
    refused = shared_api.refusals("publishProfileVersion", **profile_input("custom", 0, townId="nowhere"))
    assert refused == [("NOT_FOUND", ["townId"])]


def test_own_profile__once_published__is_seen_by_its_town_only(shared_api: Api) -> None:
    town_id, other = make_town(shared_api, rigs=()), make_town(shared_api, rigs=())
    next_version(shared_api, "custom", 0, townId=town_id)
    query = """query ($t: ID!, $other: ID!) {
        own: profile(name: "custom", townId: $t) { name town { townId } }
        others: profile(name: "custom", townId: $other) { name }
        nobodys: profile(name: "custom") { name }
        listed: profiles(townId: $t) { name }
        listedForOther: profiles(townId: $other) { name }
        central: profiles { name }
    }"""
    found = shared_api.data(query, t=town_id, other=other)
    assert found["own"] == {"name": "custom", "town": {"townId": town_id}}
    assert (found["others"], found["nobodys"]) == (None, None)
    assert found["listedForOther"] == found["central"]
    assert {"name": "custom"} in found["listed"]
    assert {"name": "custom"} not in found["central"]


def test_own_profile__of_another_town__can_not_be_followed(shared_api: Api) -> None:
    town_id, other = make_town(shared_api, rigs=()), make_town(shared_api, rigs=())
    next_version(shared_api, "custom", 0, townId=town_id)
    common = {"townId": other, "expectedVersion": 1, "reason": REASON}
    selected = shared_api.refusals("selectProfile", **common, profile="custom")
    drafted = shared_api.refusals("publishOverrideSet", **common, draft={"profile": "custom"})
    made = shared_api.refusals("createTown", townId=unique("made"), name="A town", profile="custom")
    assert (selected, drafted, made) == (
        [("UNKNOWN_PROFILE", ["profile"])],
        [("UNKNOWN_PROFILE", ["draft", "profile"])],
        [("UNKNOWN_PROFILE", ["profile"])],
    )


def test_own_profiles__of_two_towns_under_one_name__are_apart(shared_api: Api) -> None:
    one, two = make_town(shared_api, rigs=()), make_town(shared_api, rigs=())
    own_profile(shared_api, one)
    own_profile(shared_api, two, mayor=KILO)
    next_version(shared_api, "custom", 1, townId=one, mayor=HAIKU)
    assert standing(shared_api, one) == (3, "custom", 2)
    assert standing(shared_api, two) == (2, "custom", 1)
    query = "query ($t: ID!) { town(townId: $t) { mayor { desired { model } } } }"
    desired = [shared_api.data(query, t=each)["town"]["mayor"]["desired"]["model"] for each in (one, two)]
    assert desired == [HAIKU, KILO]


def test_own_profile__that_its_town_follows__moves_it_in_the_same_mutation(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    own_profile(shared_api, town_id)
    fields = f"{PAYLOAD} profileVersion {{ publishedAt profile {{ town {{ overrideSet {{ version cause }} }} }} }}"
    payload = next_version(shared_api, "custom", 1, fields, townId=town_id, mayor=KILO)
    assert payload["profileVersion"]["profile"]["town"]["overrideSet"] == {"version": 3, "cause": "PROFILE_UPDATED"}
    assert counts(payload) == (1, 1, 1)


def test_own_profile__that_its_town_does_not_follow__moves_nothing(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    assert counts(next_version(shared_api, "custom-2", 0, townId=town_id)) == (0, 0, 0)
    assert standing(shared_api, town_id) == (1, "balanced", 1)


# ---------------------------------------------------------------- previews

PREVIEW: Final = """query ($draft: ProfileDraft!) { previewProfileVersion(draft: $draft) {
    baseVersion townsFollowing mayorsMoved changes { key before after } userErrors { code path }
} }"""


def preview(api: Api, name: str, **given: Any) -> Json:
    """What publishing the profile's next version would do."""
    draft = profile_input(name, 0, **given)
    draft = {field: draft[field] for field in ("name", "townId", "smallModel", "rules") if field in draft}
    found: Json = api.data(PREVIEW, draft=draft)["previewProfileVersion"]
    return found


@pytest.mark.parametrize(
    ("given", "moved"), [({"mayor": KILO}, 2), ({"smallModel": KILO}, 3), ({"rules": [rule(OPUS, "MAYOR")]}, 0)]
)
def test_preview__of_a_central_version__counts_what_publishing_then_reports(
    shared_api: Api, given: Json, moved: int
) -> None:
    name, _ = followed_profile(shared_api)
    make_town(shared_api, rigs=(), profile=name)
    publish(shared_api, make_town(shared_api, rigs=(), profile=name), overrides=[rule(HAIKU, "MAYOR")])
    told = preview(shared_api, name, **given)
    payload = next_version(shared_api, name, 1, f"{PAYLOAD} profileVersion {{ diff {{ key before after }} }}", **given)
    assert (told["baseVersion"], told["townsFollowing"], told["mayorsMoved"]) == (1, 3, moved)
    assert counts(payload) == (3, 3, moved)
    assert told["changes"] == payload["profileVersion"]["diff"]


def test_preview__of_an_own_version__counts_its_town(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    own_profile(shared_api, town_id)
    told = preview(shared_api, "custom", townId=town_id, mayor=KILO)
    assert (told["baseVersion"], told["townsFollowing"], told["mayorsMoved"]) == (1, 1, 1)
    assert standing(shared_api, town_id) == (2, "custom", 1)


def test_preview__of_a_new_profile__stands_against_nothing(shared_api: Api) -> None:
    told = preview(shared_api, unique("shared"), rules=[rule(OPUS, "MAYOR")])
    assert (told["baseVersion"], told["townsFollowing"], told["mayorsMoved"]) == (0, 0, 0)
    assert told["changes"] == [{"key": "mayor", "before": None, "after": OPUS}]


REFUSED: Final[dict[str, tuple[Json, list[tuple[str, list[str]]]]]] = {
    "rig": ({"rules": [rule(OPUS, "POLECAT", rig="web")]}, [("PROFILE_KNOWS_NO_RIGS", ["rules", "0", "rigId"])]),
    "two_problems": (
        {"rules": [rule("some/unknown"), rule(OPUS, "MAYOR", "gt:held")], "smallModel": "some/unknown"},
        [
            ("MAYOR_IS_TOWN_LEVEL", ["rules", "1", "label"]),
            ("UNKNOWN_MODEL", ["rules", "0", "model"]),
            ("UNKNOWN_MODEL", ["smallModel"]),
        ],
    ),
    "duplicate": ({"rules": [rule(OPUS), rule(KILO)]}, [("DUPLICATE_RULE", ["rules", "1"])]),
}


@pytest.mark.parametrize(("given", "expected"), REFUSED.values(), ids=REFUSED)
def test_profile_draft__that_is_illegal__is_refused_alike_when_previewed_and_published(
    shared_api: Api, given: Json, expected: list[tuple[str, list[str]]]
) -> None:
    name = unique("shared")
    told = preview(shared_api, name, **given)["userErrors"]
    assert sorted((error["code"], error["path"]) for error in told) == [
        (code, ["draft", *path]) for code, path in expected
    ]
    assert sorted(shared_api.refusals("publishProfileVersion", **profile_input(name, 0, **given))) == expected
