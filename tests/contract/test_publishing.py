"""One timeline for a town: what each publish makes, keeps, warns of and changes."""

from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.client import Api, Json
from tests.contract.recipes import REASON, Call, codes, own_profile, profile_input, send, unique
from tests.towns import HAIKU, KILO, OPUS, SONNET, make_town, publish, rule, sync

MAYOR: Final = rule(SONNET, "MAYOR")
POLECAT: Final = rule(OPUS, "POLECAT")
SET: Final = """version cause revertOf profile { name } profileVersion { version } honorBeadModels reason
    createdBy { displayName } createdAt contentHash overrides { key model }"""


def override_sets(api: Api, town_id: str, fields: str = SET) -> list[Json]:
    """The town's override sets, oldest first."""
    query = f"query ($t: ID!) {{ town(townId: $t) {{ overrideSets {{ edges {{ node {{ {fields} }} }} }} }} }}"
    return [edge["node"] for edge in api.data(query, t=town_id)["town"]["overrideSets"]["edges"]][::-1]


def town(api: Api, town_id: str, fields: str) -> Json:
    found: Json = api.data(f"query ($t: ID!) {{ town(townId: $t) {{ {fields} }} }}", t=town_id)["town"]
    return found


def change(
    api: Api, mutation: str, town_id: str, expected_version: int, fields: str, *, actor: str = "dev", **given: Any
) -> Json:
    """The payload of a publish that has to take effect, by an actor."""
    arguments = {"townId": town_id, "expectedVersion": expected_version, "reason": REASON, **given}
    call = Call(town_id=town_id, arguments={"input": arguments})
    payload = send(api, mutation, call, fields, {"X-Actor": actor})
    assert codes(payload) == [], payload
    return payload


def draft(api: Api, town_id: str, expected_version: int, fields: str = "__typename", **fields_of_draft: Any) -> Json:
    """The payload of publishing a draft, which has to take effect."""
    return change(api, "publishOverrideSet", town_id, expected_version, fields, draft=fields_of_draft)


def models(override_set: Json) -> dict[str, str]:
    return {override["key"]: override["model"] for override in override_set["overrides"]}


# ---------------------------------------------------------------- versions and causes


def test_town__just_made__is_at_version_1_over_the_latest_of_its_profile(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=(), profile="frugal")
    (first,) = override_sets(shared_api, town_id)
    assert (first["version"], first["cause"], first["revertOf"]) == (1, "TOWN_CREATED", None)
    assert (first["profile"], first["profileVersion"]) == ({"name": "frugal"}, {"version": 1})
    assert (first["honorBeadModels"], first["overrides"]) == (False, [])


PUBLISHES: Final[dict[str, tuple[Json, str, int | None]]] = {
    "publishOverrideSet": ({"draft": {"honorBeadModels": True}}, "PUBLISHED", None),
    "setOverride": ({"override": POLECAT}, "PUBLISHED", None),
    "removeOverride": ({"role": "MAYOR"}, "PUBLISHED", None),
    "selectProfile": ({"profile": "premium"}, "PROFILE_SELECTED", None),
    "revertOverrideSet": ({"toVersion": 1}, "REVERTED", 1),
}


@pytest.mark.parametrize("mutation", PUBLISHES)
def test_publish__of_each_kind__makes_the_next_version_and_leaves_earlier_ones_alone(
    shared_api: Api, mutation: str
) -> None:
    given, cause, revert_of = PUBLISHES[mutation]
    town_id = make_town(shared_api, rigs=())
    before = draft(shared_api, town_id, 1, f"overrideSet {{ {SET} }}", overrides=[MAYOR])["overrideSet"]
    fields = f"currentVersion overrideSet {{ {SET} }}"
    payload = change(shared_api, mutation, town_id, 2, fields, actor="ann", **given)
    made = payload["overrideSet"]
    assert (payload["currentVersion"], made["version"], made["cause"], made["revertOf"]) == (3, 3, cause, revert_of)
    assert (made["reason"], made["createdBy"]) == (REASON, {"displayName": "ann"})
    assert override_sets(shared_api, town_id)[1:] == [before, made]


@pytest.mark.parametrize("mutation", PUBLISHES)
@pytest.mark.parametrize("expected_version", [1, 3], ids=["stale", "in_the_future"])
def test_publish__of_each_kind__over_a_base_that_is_not_in_force__conflicts(
    shared_api: Api, at_version_2: str, mutation: str, expected_version: int
) -> None:
    given = {"townId": at_version_2, "expectedVersion": expected_version, "reason": REASON, **PUBLISHES[mutation][0]}
    payload = shared_api.change(mutation, "currentVersion overrideSet { id }", **given)
    assert (codes(payload), payload["currentVersion"], payload["overrideSet"]) == (["VERSION_CONFLICT"], 2, None)
    assert payload["userErrors"][0]["path"] == ["expectedVersion"]


@pytest.fixture(scope="module")
def at_version_2(shared_api: Api) -> str:
    """A town at version 2, over balanced with an override of the mayor; what is tried on it is refused."""
    town_id = make_town(shared_api)
    draft(shared_api, town_id, 1, overrides=[MAYOR])
    return town_id


UNCHANGED: Final[dict[str, tuple[str, Json]]] = {
    "empty_draft": ("publishOverrideSet", {"draft": {}}),
    "same_flag": ("publishOverrideSet", {"draft": {"honorBeadModels": False}}),
    "same_profile": ("publishOverrideSet", {"draft": {"profile": "balanced"}}),
    "same_overrides": ("publishOverrideSet", {"draft": {"overrides": [MAYOR]}}),
    "same_override": ("setOverride", {"override": MAYOR}),
    "selected_again": ("selectProfile", {"profile": "balanced"}),
    "reverted_to_itself": ("revertOverrideSet", {"toVersion": 2}),
}


@pytest.mark.parametrize(("mutation", "given"), UNCHANGED.values(), ids=UNCHANGED)
def test_publish__of_what_is_in_force__is_no_change(
    shared_api: Api, at_version_2: str, mutation: str, given: Json
) -> None:
    common = {"townId": at_version_2, "expectedVersion": 2, "reason": REASON}
    assert [code for code, _ in shared_api.refusals(mutation, **common, **given)] == ["NO_CHANGE"]


@pytest.mark.parametrize(
    "key", [{"role": "POLECAT"}, {}, {"role": "POLECAT", "rigId": "web"}], ids=["role", "any", "rig"]
)
def test_remove__of_an_override_that_is_not_there__is_not_found(shared_api: Api, at_version_2: str, key: Json) -> None:
    common = {"townId": at_version_2, "expectedVersion": 2, "reason": REASON}
    assert [code for code, _ in shared_api.refusals("removeOverride", **common, **key)] == ["NOT_FOUND"]


@pytest.mark.parametrize("to_version", [0, 3])
def test_revert__to_a_version_that_was_never_made__is_not_found(
    shared_api: Api, at_version_2: str, to_version: int
) -> None:
    common = {"townId": at_version_2, "expectedVersion": 2, "reason": REASON}
    refused = shared_api.refusals("revertOverrideSet", **common, toVersion=to_version)
    assert refused == [("NOT_FOUND", ["toVersion"])]


# ---------------------------------------------------------------- what a draft leaves out

BASE: Final[Json] = {"profile": "frugal", "honorBeadModels": True, "overrides": [MAYOR]}
DRAFTS: Final[dict[str, tuple[Json, tuple[str, bool, dict[str, str]]]]] = {
    "flag": ({"honorBeadModels": False}, ("frugal", False, {"mayor": SONNET})),
    "flag_beside_nulls": (
        {"profile": None, "honorBeadModels": False, "overrides": None},
        ("frugal", False, {"mayor": SONNET}),
    ),
    "profile_beside_nulls": (
        {"profile": "premium", "honorBeadModels": None, "overrides": None},
        ("premium", True, {"mayor": SONNET}),
    ),
    "profile": ({"profile": "premium"}, ("premium", True, {"mayor": SONNET})),
    "overrides": ({"overrides": [POLECAT]}, ("frugal", True, {"polecat": OPUS})),
    "no_overrides": ({"overrides": []}, ("frugal", True, {})),
    "all": ({"profile": "balanced", "honorBeadModels": False, "overrides": []}, ("balanced", False, {})),
}


@pytest.mark.parametrize(("given", "expected"), DRAFTS.values(), ids=DRAFTS)
def test_draft__fields_left_out_or_null__stay_as_they_are(
    shared_api: Api, given: Json, expected: tuple[str, bool, dict[str, str]]
) -> None:
    town_id = make_town(shared_api, rigs=())
    draft(shared_api, town_id, 1, **BASE)
    made = draft(shared_api, town_id, 2, f"overrideSet {{ {SET} }}", **given)["overrideSet"]
    assert (made["profile"]["name"], made["honorBeadModels"], models(made)) == expected


def test_set_and_remove__of_one_override__leave_the_others(shared_api: Api) -> None:
    town_id = make_town(shared_api)
    draft(shared_api, town_id, 1, honorBeadModels=True, overrides=[MAYOR, POLECAT, rule(HAIKU, "POLECAT", rig="web")])
    fields = "overrideSet { honorBeadModels overrides { key model } }"
    replaced = change(shared_api, "setOverride", town_id, 2, fields, override=rule(KILO, "POLECAT"))["overrideSet"]
    assert models(replaced) == {"mayor": SONNET, "polecat": KILO, "polecat@web": HAIKU}
    removed = change(shared_api, "removeOverride", town_id, 3, fields, role="POLECAT", rigId="web")["overrideSet"]
    assert models(removed) == {"mayor": SONNET, "polecat": KILO}
    assert (replaced["honorBeadModels"], removed["honorBeadModels"]) == (True, True)


def test_revert__to_an_earlier_version__brings_back_profile_flag_and_overrides(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    draft(shared_api, town_id, 1, **BASE)
    draft(shared_api, town_id, 2, profile="premium", honorBeadModels=False, overrides=[POLECAT])
    change(shared_api, "revertOverrideSet", town_id, 3, "__typename", toVersion=2)
    _, second, third, fourth = override_sets(shared_api, town_id)
    alike = ("profile", "profileVersion", "honorBeadModels", "overrides", "contentHash")
    assert [fourth[name] for name in alike] == [second[name] for name in alike]
    assert fourth["contentHash"] != third["contentHash"]


def test_revert__where_the_profile_moved_meanwhile__lies_over_its_latest_version(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    name = own_profile(shared_api, town_id)
    draft(shared_api, town_id, 2, profile="balanced")
    shared_api.done("publishProfileVersion", **profile_input(name, 1, mayor=HAIKU, townId=town_id))
    assert shared_api.version(town_id) == 3, "a town that does not follow the profile is left alone"
    change(shared_api, "revertOverrideSet", town_id, 3, "__typename", toVersion=2)
    last = override_sets(shared_api, town_id)[-1]
    assert (last["profile"], last["profileVersion"]) == ({"name": name}, {"version": 2})
    assert (last["cause"], last["revertOf"]) == ("REVERTED", 2)


# ---------------------------------------------------------------- content

ALIKE: Final = [rule(SONNET, "MAYOR"), rule(OPUS, "POLECAT", "gt:rework"), rule(HAIKU, rig="web")]


def test_content_hash__of_equal_content__is_equal_whatever_the_order_town_and_version(shared_api: Api) -> None:
    hashes = set()
    for versions in ([ALIKE], [[POLECAT], ALIKE[::-1]]):
        town_id = make_town(shared_api, rigs=("web",))
        for version, overrides in enumerate(versions, start=1):
            draft(shared_api, town_id, version, overrides=overrides)
        hashes.add(override_sets(shared_api, town_id)[-1]["contentHash"])
    assert len(hashes) == 1


def test_content_hash__of_other_content__differs(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    steps: tuple[Json, ...] = (
        {"honorBeadModels": True},
        {"profile": "frugal"},
        {"overrides": [MAYOR]},
        {"overrides": [POLECAT]},
    )
    for version, step in enumerate(steps, start=1):
        draft(shared_api, town_id, version, **step)
    assert len({each["contentHash"] for each in override_sets(shared_api, town_id)}) == 5


@dataclass(frozen=True)
class Course:
    """A town that has gone through several versions; no test adds to it."""

    town_id: str
    versions: list[Json]


@pytest.fixture(scope="module")
def course(shared_api: Api) -> Course:
    town_id = make_town(shared_api)
    draft(shared_api, town_id, 1, overrides=[MAYOR, rule(HAIKU, "POLECAT", rig="web")])
    draft(shared_api, town_id, 2, honorBeadModels=True, overrides=[rule(KILO, "MAYOR"), rule(OPUS, "REFINERY")])
    draft(shared_api, town_id, 3, profile="frugal")
    return Course(town_id, override_sets(shared_api, town_id, f"id {SET}"))


CHANGES: Final[dict[tuple[int, int | None], tuple[int, dict[str, tuple[str | None, str | None]]]]] = {
    (2, None): (1, {"mayor": (None, SONNET), "polecat@web": (None, HAIKU)}),
    (3, None): (2, {"mayor": (SONNET, KILO), "polecat@web": (HAIKU, None), "refinery": (None, OPUS)}),
    (4, None): (3, {}),
    (4, 1): (1, {"mayor": (None, KILO), "refinery": (None, OPUS)}),
    (4, 2): (2, {"mayor": (SONNET, KILO), "polecat@web": (HAIKU, None), "refinery": (None, OPUS)}),
    (1, 3): (3, {"mayor": (KILO, None), "refinery": (OPUS, None)}),
    (2, 2): (2, {}),
}
DIFF: Final = """query ($id: ID!, $against: Int) { node(id: $id) { ... on OverrideSet { diff(against: $against) {
    from to profileBefore profileAfter profileVersionBefore profileVersionAfter
    honorBeadModelsBefore honorBeadModelsAfter changes { key before after }
} } } }"""


@pytest.mark.parametrize(("of", "against"), CHANGES)
def test_diff__between_any_two_versions__names_what_differs(
    shared_api: Api, course: Course, of: int, against: int | None
) -> None:
    base, expected = CHANGES[of, against]
    before, after = course.versions[base - 1], course.versions[of - 1]
    diff = shared_api.data(DIFF, id=after["id"], against=against)["node"]["diff"]
    changes = {change["key"]: (change["before"], change["after"]) for change in diff.pop("changes")}
    assert changes == expected
    assert diff == {
        "from": base,
        "to": of,
        "profileBefore": before["profile"]["name"],
        "profileAfter": after["profile"]["name"],
        "profileVersionBefore": before["profileVersion"]["version"],
        "profileVersionAfter": after["profileVersion"]["version"],
        "honorBeadModelsBefore": before["honorBeadModels"],
        "honorBeadModelsAfter": after["honorBeadModels"],
    }


@pytest.mark.parametrize("against", [0, 5, -1])
def test_diff__against_a_version_that_was_never_made__is_not_found(
    shared_api: Api, course: Course, against: int
) -> None:
    assert shared_api.codes(DIFF, id=course.versions[1]["id"], against=against) == ["NOT_FOUND"]


def test_effective_rules__of_a_town__lay_the_overrides_over_the_profile(shared_api: Api) -> None:
    town_id = make_town(shared_api)
    draft(shared_api, town_id, 1, overrides=[MAYOR, rule(OPUS, "POLECAT", "gt:pr-fixup", "web"), rule(KILO, rig="web")])
    fields = "effectiveRules { rule { key model specificity } source replaces { key model } }"
    found = town(shared_api, town_id, f"{fields} overrideSet {{ {fields} }}")
    expected = [
        ("polecat[gt:pr-fixup]@web", OPUS, 7, "OVERRIDE", None),
        ("polecat[gt:triage]", HAIKU, 6, "PROFILE", None),
        ("polecat[gt:pr-fixup]", HAIKU, 6, "PROFILE", None),
        ("mayor", SONNET, 4, "OVERRIDE", {"key": "mayor", "model": OPUS}),
        ("polecat", SONNET, 4, "PROFILE", None),
        ("refinery", SONNET, 4, "PROFILE", None),
        ("*@web", KILO, 1, "OVERRIDE", None),
        ("*", SONNET, 0, "PROFILE", None),
    ]
    assert [(*row["rule"].values(), row["source"], row["replaces"]) for row in found["effectiveRules"]] == expected
    assert found["overrideSet"]["effectiveRules"] == found["effectiveRules"]


# ---------------------------------------------------------------- what overrides carry along

CARRIED: Final = (
    "createdAt overrides { key model setAt setBy { displayName } profileModelWhenSet profileModelNow stale }"
)


def carried(payload: Json) -> dict[str, tuple[str, str, str | None]]:
    """Who set each override, when (`now`: with this version), and what the profile said then."""
    made = payload["overrideSet"]
    return {
        override["key"]: (
            override["setBy"]["displayName"],
            "now" if override["setAt"] == made["createdAt"] else "before",
            override["profileModelWhenSet"],
        )
        for override in made["overrides"]
    }


def set_by_ann(api: Api) -> str:
    """A town at version 2, over balanced, where ann has overridden the mayor and the polecats."""
    town_id = make_town(api, rigs=())
    draft = {"overrides": [MAYOR, POLECAT]}
    change(api, "publishOverrideSet", town_id, 1, "__typename", actor="ann", draft=draft)
    return town_id


CARRY_OVER: Final[dict[str, tuple[str, Json, dict[str, tuple[str, str, str | None]]]]] = {
    "unrelated_change": (
        "publishOverrideSet",
        {"draft": {"honorBeadModels": True}},
        {"mayor": ("ann", "before", OPUS), "polecat": ("ann", "before", SONNET)},
    ),
    "one_changed_one_added_one_kept": (
        "publishOverrideSet",
        {"draft": {"overrides": [MAYOR, rule(KILO, "POLECAT"), rule(KILO, "REFINERY", "gt:held")]}},
        {
            "mayor": ("ann", "before", OPUS),
            "polecat": ("ben", "now", SONNET),
            "refinery[gt:held]": ("ben", "now", None),
        },
    ),
    "one_set": (
        "setOverride",
        {"override": rule(KILO, "MAYOR")},
        {"mayor": ("ben", "now", OPUS), "polecat": ("ann", "before", SONNET)},
    ),
    "one_removed": ("removeOverride", {"role": "MAYOR"}, {"polecat": ("ann", "before", SONNET)}),
    "another_profile_selected": (
        "selectProfile",
        {"profile": "frugal"},
        {"mayor": ("ann", "before", SONNET), "polecat": ("ann", "before", SONNET)},
    ),
    "another_profile_in_a_draft": (
        "publishOverrideSet",
        {"draft": {"profile": "premium", "overrides": [MAYOR, rule(KILO, "POLECAT")]}},
        {"mayor": ("ann", "before", OPUS), "polecat": ("ben", "now", OPUS)},
    ),
}


@pytest.mark.parametrize(("mutation", "given", "expected"), CARRY_OVER.values(), ids=CARRY_OVER)
def test_override__over_the_next_version__keeps_its_origin_where_key_and_model_stay(
    shared_api: Api, mutation: str, given: Json, expected: dict[str, tuple[str, str, str | None]]
) -> None:
    town_id = set_by_ann(shared_api)
    payload = change(shared_api, mutation, town_id, 2, f"overrideSet {{ {CARRIED} }}", actor="ben", **given)
    assert carried(payload) == expected


def test_override__removed_and_set_again__is_new(shared_api: Api) -> None:
    town_id = set_by_ann(shared_api)
    change(shared_api, "removeOverride", town_id, 2, "__typename", role="MAYOR")
    payload = change(shared_api, "setOverride", town_id, 3, f"overrideSet {{ {CARRIED} }}", actor="ben", override=MAYOR)
    assert carried(payload) == {"mayor": ("ben", "now", OPUS), "polecat": ("ann", "before", SONNET)}


def test_override__kept_by_a_revert_to_another_profile__asks_that_profile(shared_api: Api) -> None:
    town_id = set_by_ann(shared_api)
    change(shared_api, "selectProfile", town_id, 2, "__typename", actor="ben", profile="frugal")
    fields = f"overrideSet {{ {CARRIED} }}"
    payload = change(shared_api, "revertOverrideSet", town_id, 3, fields, actor="ben", toVersion=2)
    assert carried(payload) == {"mayor": ("ann", "before", OPUS), "polecat": ("ann", "before", SONNET)}


def test_override__brought_back_by_a_revert__is_new_where_the_current_set_lacks_it(shared_api: Api) -> None:
    town_id = set_by_ann(shared_api)
    change(shared_api, "removeOverride", town_id, 2, "__typename", role="MAYOR")
    payload = change(
        shared_api, "revertOverrideSet", town_id, 3, f"overrideSet {{ {CARRIED} }}", actor="ben", toVersion=2
    )
    assert carried(payload) == {"mayor": ("ben", "now", OPUS), "polecat": ("ann", "before", SONNET)}


@pytest.fixture
def stale(shared_api: Api) -> str:
    """A town at version 4, over version 2 of its own profile; ann overrode the mayor while version 1 held."""
    town_id = make_town(shared_api, rigs=())
    own_profile(shared_api, town_id)
    change(shared_api, "setOverride", town_id, 2, "__typename", actor="ann", override=MAYOR)
    update(shared_api, town_id, 1, mayor=HAIKU)
    return town_id


def update(api: Api, town_id: str, expected_version: int, **fields: Any) -> None:
    """Publish the next version of the town's own profile, which moves the town."""
    api.done("publishProfileVersion", **profile_input("custom", expected_version, townId=town_id, **fields))


def mayor_override(api: Api, town_id: str) -> tuple[Any, ...]:
    """What the profile said when the mayor was overridden, what it says now, staleness, by whom; and a warning."""
    found = town(api, town_id, f"overrideSet {{ {CARRIED} }} warnings {{ code key }}")
    (override,) = found["overrideSet"]["overrides"]
    has_warning = {"code": "STALE_OVERRIDE", "key": "mayor"} in found["warnings"]
    names = ("profileModelWhenSet", "profileModelNow", "stale")
    return (*(override[name] for name in names), override["setBy"]["displayName"], has_warning)


def test_override__as_its_profile_moves__is_stale_while_that_says_something_else(shared_api: Api, stale: str) -> None:
    assert mayor_override(shared_api, stale) == (OPUS, HAIKU, True, "ann", True)
    update(shared_api, stale, 2, rules=[rule(HAIKU)])
    assert mayor_override(shared_api, stale) == (OPUS, None, True, "ann", True)
    update(shared_api, stale, 3, mayor=OPUS)
    assert mayor_override(shared_api, stale) == (OPUS, OPUS, False, "ann", False)


def test_set_override__of_a_stale_one_as_it_is__renews_it_once(shared_api: Api, stale: str) -> None:
    content = "overrideSet { contentHash diff { changes { key } } }"
    payload = change(shared_api, "setOverride", stale, 4, content, actor="ben", override=MAYOR)
    assert mayor_override(shared_api, stale) == (HAIKU, HAIKU, False, "ben", False)
    assert payload["overrideSet"]["diff"]["changes"] == []
    assert payload["overrideSet"]["contentHash"] == override_sets(shared_api, stale)[-2]["contentHash"]
    again = {"townId": stale, "expectedVersion": 5, "override": MAYOR, "reason": REASON}
    assert [code for code, _ in shared_api.refusals("setOverride", **again)] == ["NO_CHANGE"]


def test_stale_override__in_any_other_publish__stays_stale(shared_api: Api, stale: str) -> None:
    common = {"townId": stale, "expectedVersion": 4, "reason": REASON}
    refused = shared_api.refusals("publishOverrideSet", **common, draft={"overrides": [MAYOR]})
    assert [code for code, _ in refused] == ["NO_CHANGE"]
    change(shared_api, "setOverride", stale, 4, "__typename", actor="ben", override=POLECAT)
    change(shared_api, "removeOverride", stale, 5, "__typename", actor="ben", role="POLECAT")
    assert mayor_override(shared_api, stale) == (OPUS, HAIKU, True, "ann", True)


def test_select_profile__with_a_stale_override__asks_the_new_profile(shared_api: Api, stale: str) -> None:
    change(shared_api, "selectProfile", stale, 4, "__typename", actor="ben", profile="balanced")
    assert mayor_override(shared_api, stale) == (OPUS, OPUS, False, "ann", False)


# ---------------------------------------------------------------- warnings


def warned(api: Api, town_id: str) -> set[tuple[str, str | None]]:
    """Code and key of each warning; all of them have something to say."""
    warnings = town(api, town_id, "warnings { code key message }")["warnings"]
    assert all(warning["message"] for warning in warnings)
    return {(warning["code"], warning["key"]) for warning in warnings}


def test_warnings__of_a_town_without_overrides__are_none(shared_api: Api) -> None:
    assert warned(shared_api, make_town(shared_api)) == set()


WARNED: Final[dict[str, tuple[Json, set[tuple[str, str]]]]] = {
    "same_as_profile": ({"overrides": [rule(OPUS, "MAYOR")]}, {("SAME_AS_PROFILE", "mayor")}),
    "same_model_but_another_key": ({"overrides": [rule(SONNET, "POLECAT", "gt:rework")]}, set()),
    "never_matches": ({"overrides": [rule(KILO, rig="web")]}, {("NEVER_MATCHES", "*@web")}),
    "any_role_is_still_reached": ({"overrides": [rule(KILO)]}, set()),
    "two_at_once": (
        {"overrides": [rule(SONNET, "POLECAT"), rule(KILO, rig="api")]},
        {("SAME_AS_PROFILE", "polecat"), ("NEVER_MATCHES", "*@api")},
    ),
}


@pytest.fixture(scope="module")
def rigged(shared_api: Api) -> str:
    """A town with two rigs, on which each test publishes a whole list of overrides."""
    return make_town(shared_api)


@pytest.mark.parametrize(("given", "expected"), WARNED.values(), ids=WARNED)
def test_publish__with_a_remarkable_override__warns(
    shared_api: Api, rigged: str, given: Json, expected: set[tuple[str, str]]
) -> None:
    payload = publish(shared_api, rigged, "warnings { code key }", **given)
    assert {(warning["code"], warning["key"]) for warning in payload["warnings"]} == expected
    assert warned(shared_api, rigged) == expected


def test_rig_rule__until_polecats_and_refineries_both_have_rules_of_their_own__is_reached(shared_api: Api) -> None:
    town_id = make_town(shared_api)
    own_profile(shared_api, town_id, rules=[rule(SONNET, "POLECAT"), rule(SONNET, "REFINERY", "gt:rework")])
    draft(shared_api, town_id, 2, overrides=[rule(KILO, rig="web"), rule(KILO, "REFINERY", rig="api")])
    assert warned(shared_api, town_id) == set()
    change(shared_api, "setOverride", town_id, 3, "__typename", override=rule(KILO, "REFINERY", rig="web"))
    assert warned(shared_api, town_id) == {("NEVER_MATCHES", "*@web")}


def test_removed_rig__named_by_overrides__is_warned_of_until_it_is_back(shared_api: Api) -> None:
    town_id = make_town(shared_api)
    draft(shared_api, town_id, 1, overrides=[rule(KILO, "POLECAT", rig="web"), rule(KILO, "POLECAT", rig="api")])
    shared_api.done("removeRig", townId=town_id, rigId="web")
    assert warned(shared_api, town_id) == {("RIG_REMOVED", "polecat@web")}
    shared_api.done("registerRig", townId=town_id, rigId="web", name="Web")
    assert warned(shared_api, town_id) == set()


def register(api: Api, model: str) -> None:
    call = Call(town_id="", arguments={"models": [{"modelId": model}]})
    assert codes(send(api, "registerModels", call)) == []


def test_deprecated_model__in_an_override__is_warned_of_until_it_is_back(shared_api: Api) -> None:
    town_id, model = make_town(shared_api, rigs=()), unique("some/model")
    register(shared_api, model)
    draft(shared_api, town_id, 1, overrides=[rule(model, "MAYOR")])
    shared_api.done("deprecateModel", modelId=model)
    assert warned(shared_api, town_id) == {("DEPRECATED_MODEL", "mayor")}
    register(shared_api, model)
    assert warned(shared_api, town_id) == set()


def test_deprecated_model__set_anew__is_taken_with_a_warning(shared_api: Api) -> None:
    town_id, model = make_town(shared_api, rigs=()), unique("some/model")
    register(shared_api, model)
    shared_api.done("deprecateModel", modelId=model)
    payload = draft(shared_api, town_id, 1, "warnings { code key }", overrides=[rule(model, "MAYOR")])
    assert payload["warnings"] == [{"code": "DEPRECATED_MODEL", "key": "mayor"}]


# ---------------------------------------------------------------- removed rigs


@pytest.fixture
def rig_gone(shared_api: Api) -> str:
    """A town at version 2 with overrides for two rigs, of which `web` has been removed."""
    town_id = make_town(shared_api)
    draft(shared_api, town_id, 1, overrides=[rule(KILO, "POLECAT", rig="web"), rule(KILO, "POLECAT", rig="api")])
    shared_api.done("removeRig", townId=town_id, rigId="web")
    return town_id


def test_override__of_a_removed_rig__may_be_carried_along(shared_api: Api, rig_gone: str) -> None:
    kept = [rule(KILO, "POLECAT", rig="web"), MAYOR]
    payload = draft(shared_api, rig_gone, 2, "overrideSet { overrides { key } } warnings { code key }", overrides=kept)
    assert [each["key"] for each in payload["overrideSet"]["overrides"]] == ["polecat@web", "mayor"]
    assert payload["warnings"] == [{"code": "RIG_REMOVED", "key": "polecat@web"}]


def test_override__of_a_removed_rig__may_be_reverted_to(shared_api: Api, rig_gone: str) -> None:
    draft(shared_api, rig_gone, 2, overrides=[])
    fields = "overrideSet { overrides { key } } warnings { code key }"
    payload = change(shared_api, "revertOverrideSet", rig_gone, 3, fields, toVersion=2)
    assert {each["key"] for each in payload["overrideSet"]["overrides"]} == {"polecat@web", "polecat@api"}
    assert payload["warnings"] == [{"code": "RIG_REMOVED", "key": "polecat@web"}]


REMOVED_RIG: Final = {
    "another_key": rule(KILO, "REFINERY", rig="web"),
    "another_model": rule(HAIKU, "POLECAT", rig="web"),
}


@pytest.mark.parametrize("override", REMOVED_RIG.values(), ids=REMOVED_RIG)
def test_override__new_and_of_a_removed_rig__is_refused(shared_api: Api, rig_gone: str, override: Json) -> None:
    common = {"townId": rig_gone, "expectedVersion": 2, "reason": REASON}
    alone = shared_api.refusals("setOverride", **common, override=override)
    listed = shared_api.refusals("publishOverrideSet", **common, draft={"overrides": [MAYOR, override]})
    assert alone == [("UNKNOWN_RIG", ["override", "rigId"])]
    assert listed == [("UNKNOWN_RIG", ["draft", "overrides", "1", "rigId"])]


def test_remove_rig__that_overrides_name__changes_no_resolution(shared_api: Api, rig_gone: str) -> None:
    query = """query ($t: ID!, $task: TaskInput!) { taskResolution(townId: $t, task: $task) {
        model matchedRule { key }
    } }"""
    found = shared_api.data(query, t=rig_gone, task={"role": "POLECAT", "rigId": "web"})["taskResolution"]
    assert found == {"model": KILO, "matchedRule": {"key": "polecat@web"}}


# ---------------------------------------------------------------- changed beads

DETECTION: Final = """changeDetection { changedBeadCount changedBeads { edges { node {
    bead { beadId } before { model matchedRule { key source } } after { model matchedRule { key source } }
} } } }"""


def changed(found: Json) -> dict[str, tuple[str, str]] | None:
    """Model before and after of each changed bead; None where there is nothing to compare with."""
    detection = found["changeDetection"]
    if detection is None:
        return None
    nodes = [edge["node"] for edge in detection["changedBeads"]["edges"]]
    assert detection["changedBeadCount"] == len(nodes)
    return {node["bead"]["beadId"]: (node["before"]["model"], node["after"]["model"]) for node in nodes}


def test_change_detection__of_each_version__goes_over_the_beads_as_they_stood_then(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    first, second, third = (unique("bead") for _ in range(3))
    sync(shared_api, town_id, {"beadId": first}, {"beadId": second, "type": "MERGE_REQUEST"})
    told = [changed(draft(shared_api, town_id, 1, DETECTION, overrides=[POLECAT]))]
    sync(shared_api, town_id, {"beadId": first, "status": "CLOSED"}, {"beadId": third}, {"beadId": second})
    told.append(changed(draft(shared_api, town_id, 2, DETECTION, overrides=[rule(KILO, "POLECAT")])))
    sync(shared_api, town_id, {"beadId": first}, {"beadId": third, "role": "REFINERY"})
    told.append(changed(draft(shared_api, town_id, 3, DETECTION, honorBeadModels=True)))
    expected = [{first: (SONNET, OPUS)}, {second: (OPUS, KILO), third: (OPUS, KILO)}, {}]
    assert told == expected
    assert [changed(found) for found in override_sets(shared_api, town_id, DETECTION)] == [None, *expected]


COUNTED: Final[dict[str, tuple[Json, bool]]] = {
    **{f"status_{status}": ({"status": status}, True) for status in ("OPEN", "IN_PROGRESS", "IN_REVIEW")},
    **{f"status_{status}": ({"status": status}, False) for status in ("CLOSED", "FAILED")},
    "another_role": ({"role": "REFINERY"}, False),
    "mayor": ({"role": "MAYOR"}, False),
    "a_label_of_its_own": ({"labels": ["gt:pr-fixup"]}, False),
    "an_unknown_label": ({"labels": ["severity:high"]}, True),
    "a_model_that_is_not_honoured": ({"model": KILO}, True),
}


def test_change_detection__of_an_override_for_polecats__counts_the_active_beads_it_reaches(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    names = {unique(name): reached for name, (_, reached) in COUNTED.items()}
    beads = [{"beadId": bead_id, **state} for bead_id, (state, _) in zip(names, COUNTED.values(), strict=True)]
    sync(shared_api, town_id, *beads)
    found = changed(draft(shared_api, town_id, 1, DETECTION, overrides=[POLECAT]))
    assert found == {bead_id: (SONNET, OPUS) for bead_id, reached in names.items() if reached}


def test_change_detection__where_only_the_rule_differs__counts_the_bead(shared_api: Api) -> None:
    town_id, bead_id = make_town(shared_api), unique("bead")
    sync(shared_api, town_id, {"beadId": bead_id, "rigId": "web"})
    source = draft(shared_api, town_id, 1, DETECTION, overrides=[rule(SONNET, "POLECAT")])
    key = draft(shared_api, town_id, 2, DETECTION, overrides=[rule(SONNET, "POLECAT", rig="web")])
    assert changed(source) == changed(key) == {bead_id: (SONNET, SONNET)}
    (edge,) = key["changeDetection"]["changedBeads"]["edges"]
    rules = [edge["node"][side]["matchedRule"] for side in ("before", "after")]
    assert rules == [{"key": "polecat", "source": "OVERRIDE"}, {"key": "polecat@web", "source": "OVERRIDE"}]


def test_change_detection__of_the_flag__counts_beads_with_models_of_their_own(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    plain, own, own_mayor = (unique("bead") for _ in range(3))
    beads = ({"beadId": plain}, {"beadId": own, "model": KILO}, {"beadId": own_mayor, "role": "MAYOR", "model": KILO})
    sync(shared_api, town_id, *beads)
    assert changed(draft(shared_api, town_id, 1, DETECTION, honorBeadModels=True)) == {own: (SONNET, KILO)}


def test_change_detection__of_another_small_model__counts_every_active_bead(shared_api: Api) -> None:
    town_id, bead_id, mayor = make_town(shared_api, rigs=()), unique("bead"), unique("bead")
    name = own_profile(shared_api, town_id)
    sync(shared_api, town_id, {"beadId": bead_id}, {"beadId": mayor, "role": "MAYOR"})
    given = profile_input(name, 1, townId=town_id, smallModel=KILO)
    shared_api.done("publishProfileVersion", **given)
    last = override_sets(shared_api, town_id, DETECTION)[-1]
    assert changed(last) == {bead_id: (SONNET, SONNET), mayor: (OPUS, OPUS)}


def test_model_spread__of_each_version__counts_the_active_beads_as_they_stood_then(shared_api: Api) -> None:
    town_id = make_town(shared_api, rigs=())
    worker, reviewer, planner = (unique("bead") for _ in range(3))
    reviewing = {"beadId": reviewer, "type": "MERGE_REQUEST"}
    sync(shared_api, town_id, {"beadId": worker}, reviewing, {"beadId": planner, "role": "MAYOR"})
    draft(shared_api, town_id, 1, overrides=[rule(HAIKU, "POLECAT")])
    sync(shared_api, town_id, {"beadId": worker, "status": "FAILED"}, {"beadId": unique("bead")})
    draft(shared_api, town_id, 2, overrides=[])
    found = override_sets(shared_api, town_id, "modelSpread { model beads }")
    spreads = [{count["model"]: count["beads"] for count in each["modelSpread"]} for each in found]
    assert spreads == [{}, {HAIKU: 1, SONNET: 1, OPUS: 1}, {SONNET: 2, OPUS: 1}]
