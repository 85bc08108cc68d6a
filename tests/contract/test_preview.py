"""Previews: the same answers as publishing gives, and nothing written."""

from typing import Any, Final

import pytest

from tests.client import Api, Json
from tests.contract.recipes import REASON, chain_lengths, unique
from tests.towns import HAIKU, KILO, OPUS, SONNET, make_town, publish, rule, sync

PAIR: Final = "{ model smallModel fingerprint }"
RESOLUTION: Final = "{ model smallModel because matchedRule { key source } considered { key outcome } fingerprint }"
DETECTION: Final = f"""changeDetection {{ mayorChanged mayorRestartRequired mayorBefore {PAIR} mayorAfter {PAIR}
    changedBeadCount changedBeads {{ edges {{ node {{
        bead {{ beadId }} before {RESOLUTION} after {RESOLUTION}
    }} }} }}
}}"""
RULES: Final = "effectiveRules { rule { key model } source replaces { key model } }"
WARNINGS: Final = "warnings { code key message }"


def preview(api: Api, town_id: str, fields: str, **draft: Any) -> Json:
    query = f"""query ($t: ID!, $draft: OverrideSetDraft!) {{
        preview(townId: $t, draft: $draft) {{ baseVersion {fields} userErrors {{ code path }} }}
    }}"""
    found: Json = api.data(query, t=town_id, draft=draft)["preview"]
    return found


@pytest.fixture(scope="module")
def town(shared_api: Api) -> str:
    """A town at version 2 with a bead of most kinds. No test publishes in it."""
    town_id = make_town(shared_api)
    sync(
        shared_api,
        town_id,
        {"beadId": f"{town_id}.plain"},
        {"beadId": f"{town_id}.fixup", "labels": ["gt:pr-fixup"], "rigId": "web"},
        {"beadId": f"{town_id}.own", "model": KILO},
        {"beadId": f"{town_id}.merge", "type": "MERGE_REQUEST", "rigId": "web"},
        {"beadId": f"{town_id}.mayor", "role": "MAYOR"},
        {"beadId": f"{town_id}.closed", "status": "CLOSED"},
    )
    publish(shared_api, town_id, overrides=[rule(OPUS, "POLECAT")])
    return town_id


DRAFTS: Final[dict[str, Json]] = {
    "flag": {"honorBeadModels": True},
    "profile": {"profile": "frugal"},
    "overrides": {
        "overrides": [rule(KILO, "POLECAT"), rule(OPUS, "POLECAT", "gt:pr-fixup", "web"), rule(KILO, rig="web")]
    },
    "mayor": {"overrides": [rule(SONNET, "MAYOR")]},
    "all": {"profile": "premium", "honorBeadModels": True, "overrides": [rule(HAIKU)]},
}


@pytest.mark.parametrize("draft", DRAFTS.values(), ids=DRAFTS)
def test_preview__of_a_draft__tells_what_publishing_it_then_does(shared_api: Api, draft: Json) -> None:
    town_id = make_town(shared_api, rigs=("web",))
    beads: list[Json] = [
        {"beadId": unique("bead")},
        {"beadId": unique("bead"), "labels": ["gt:pr-fixup"], "rigId": "web"},
        {"beadId": unique("bead"), "model": KILO},
        {"beadId": unique("bead"), "type": "MERGE_REQUEST"},
        {"beadId": unique("bead"), "role": "MAYOR"},
        {"beadId": unique("bead"), "status": "FAILED"},
    ]
    sync(shared_api, town_id, *beads)
    resolutions = " ".join(f'b{n}: resolution(beadId: "{each["beadId"]}") {RESOLUTION}' for n, each in enumerate(beads))
    told = preview(shared_api, town_id, f"{DETECTION} {RULES} {WARNINGS} {resolutions}", **draft)
    given = {"townId": town_id, "expectedVersion": told["baseVersion"], "reason": REASON}
    made = shared_api.done(
        "publishOverrideSet", f"{DETECTION} {WARNINGS} overrideSet {{ {RULES} }}", draft=draft, **given
    )
    now = shared_api.data(f"{{ {resolutions} }}")
    assert told["changeDetection"]["changedBeads"]["edges"] != [] or draft is DRAFTS["flag"]
    assert told["changeDetection"] == made["changeDetection"]
    assert (told["effectiveRules"], told["warnings"]) == (made["overrideSet"]["effectiveRules"], made["warnings"])
    assert {name: told[name] for name in now} == now


def test_preview__of_any_draft__writes_nothing(shared_api: Api, town: str) -> None:
    before = chain_lengths(shared_api, town), shared_api.version(town)
    for draft in DRAFTS.values():
        assert preview(shared_api, town, DETECTION, **draft)["userErrors"] == []
    assert (chain_lengths(shared_api, town), shared_api.version(town)) == before


def test_preview__of_a_draft_that_changes_nothing__shows_no_change(shared_api: Api, town: str) -> None:
    for draft in ({}, {"profile": "balanced"}, {"overrides": [rule(OPUS, "POLECAT")]}):
        told = preview(shared_api, town, f"changeDetection {{ mayorChanged changedBeadCount }} {RULES}", **draft)
        assert (told["baseVersion"], told["userErrors"]) == (2, [])
        assert told["changeDetection"] == {"mayorChanged": False, "changedBeadCount": 0}
        query = f"query ($t: ID!) {{ town(townId: $t) {{ {RULES} }} }}"
        assert told["effectiveRules"] == shared_api.data(query, t=town)["town"]["effectiveRules"]


def test_preview__of_a_task__resolves_under_the_draft(shared_api: Api, town: str) -> None:
    task = '(task: {labels: ["gt:rework"], rigId: "api"}) { model overrideSetVersion matchedRule { key } }'
    override = rule(KILO, "POLECAT", "gt:rework", "api")
    told = preview(shared_api, town, f"taskResolution{task}", overrides=[override])["taskResolution"]
    assert (told["model"], told["matchedRule"]) == (KILO, {"key": "polecat[gt:rework]@api"})


def test_preview__of_what_is_not_there__is_an_error_beside_the_rest(shared_api: Api, town: str) -> None:
    others = unique("bead")
    sync(shared_api, make_town(shared_api, rigs=()), {"beadId": others})
    query = """query ($t: ID!, $others: ID!) { preview(townId: $t, draft: {honorBeadModels: true}) {
        baseVersion
        none: resolution(beadId: "nothing") { model }
        others: resolution(beadId: $others) { model }
        rig: taskResolution(task: {rigId: "never-there"}) { model }
    } }"""
    answer = shared_api.execute(query, t=town, others=others)
    found = {error["path"][-1]: error["extensions"]["code"] for error in answer["errors"]}
    assert found == {"none": "NOT_FOUND", "others": "NOT_FOUND", "rig": "UNKNOWN_RIG"}
    assert answer["data"]["preview"] == {"baseVersion": 2, "none": None, "others": None, "rig": None}


REFUSED: Final[dict[str, tuple[Json, list[tuple[str, list[str]]]]]] = {
    "profile": ({"profile": "nowhere"}, [("UNKNOWN_PROFILE", ["draft", "profile"])]),
    "several": (
        {
            "profile": "nowhere",
            "overrides": [rule("some/unknown"), rule(OPUS, "MAYOR", rig="web"), rule(KILO, rig="x")],
        },
        [
            ("MAYOR_IS_TOWN_LEVEL", ["draft", "overrides", "1", "rigId"]),
            ("UNKNOWN_MODEL", ["draft", "overrides", "0", "model"]),
            ("UNKNOWN_PROFILE", ["draft", "profile"]),
            ("UNKNOWN_RIG", ["draft", "overrides", "2", "rigId"]),
        ],
    ),
}


@pytest.mark.parametrize(("draft", "expected"), REFUSED.values(), ids=REFUSED)
def test_preview__of_an_illegal_draft__is_refused_as_publishing_it_is(
    shared_api: Api, town: str, draft: Json, expected: list[tuple[str, list[str]]]
) -> None:
    bead = f'resolution(beadId: "{town}.plain") {{ model }}'
    told = preview(shared_api, town, f"changeDetection {{ mayorChanged }} {RULES} {bead}", **draft)
    assert sorted((error["code"], error["path"]) for error in told.pop("userErrors")) == expected
    assert told == {"baseVersion": None, "changeDetection": None, "effectiveRules": [], "resolution": None}
    common = {"townId": town, "expectedVersion": 2, "reason": REASON}
    assert sorted(shared_api.refusals("publishOverrideSet", **common, draft=draft)) == expected


def test_preview__in_an_unknown_town__is_not_found(shared_api: Api) -> None:
    told = preview(shared_api, "nowhere", "changeDetection { mayorChanged }")
    assert (told["baseVersion"], told["userErrors"]) == (None, [{"code": "NOT_FOUND", "path": ["townId"]}])


@pytest.mark.parametrize(
    ("observed", "drafted", "required"),
    [
        (None, OPUS, False),
        (None, SONNET, True),
        (OPUS, SONNET, True),
        (SONNET, SONNET, False),
        (SONNET, KILO, True),
        (SONNET, OPUS, True),
    ],
)
def test_preview__of_the_mayor__tells_whether_he_would_have_to_restart(
    shared_api: Api,
    observed: str | None,
    drafted: str,
    required: bool,  # noqa: FBT001  # a parameter
) -> None:
    town_id = make_town(shared_api, rigs=())
    if observed is not None:
        pair = {"model": observed, "smallModel": HAIKU}
        shared_api.done("detectMayorChange", townId=town_id, observed=pair)
    fields = "changeDetection { mayorRestartRequired signal { sequence } }"
    told = preview(shared_api, town_id, fields, overrides=[rule(drafted, "MAYOR")])
    assert told["changeDetection"] == {"mayorRestartRequired": required, "signal": None}
