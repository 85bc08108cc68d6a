"""Bad input gets a clear typed answer, nothing is written, and the next good request works."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from tests.client import Api, Json, serving
from tests.contract.inputs import (
    BAD_IDS,
    BAD_LABELS,
    BAD_MODELS,
    BAD_NAMES,
    BAD_PROFILES,
    BAD_REASONS,
    BAD_RIGS,
    BEAD,
    CYRILLIC_A,
    GOOD,
    LONG,
    NOT_THERE,
    NUL,
    ODDEST,
    OTHER,
    OTHERS_BEAD,
    PUBLISHES,
    REMOVED_RIG,
    RIG,
    SURROGATE,
    TOO_LARGE,
    TOWN,
    VERSION,
    Path,
    failed,
    failed_each,
    furnish,
    nothing_written,
    problems_of,
    quiet,
    refused,
    refused_each,
    unchanged,
)
from tests.towns import HAIKU, OPUS, SONNET, make_town, publish, rule, sync

Found = list[tuple[str, Path]]
Field = tuple[str, str]


@pytest.fixture(scope="module")
def api(shared_api: Api) -> Iterator[Api]:
    with quiet():
        yield furnish(shared_api)


def all_alike(names: Iterable[str], code: str, *path: str) -> dict[str, Found]:
    """That each of `names` has that one problem."""
    return {name: [(code, list(path))] for name in names}


def under(fields: list[Field], *path: str) -> Found:
    """Problems of a rule's fields, seen from the input; sorted."""
    return sorted((code, [*path, field]) for code, field in fields)


# ---- rules

RULES: dict[str, tuple[Json, list[Field]]] = {
    **{
        f"label {name}": (rule(OPUS, "POLECAT", label), [("UNKNOWN_LABEL", "label")])
        for name, label in BAD_LABELS.items()
    },
    **{f"rig {name}": (rule(OPUS, "POLECAT", rig=rig), [("UNKNOWN_RIG", "rigId")]) for name, rig in BAD_RIGS.items()},
    **{f"model {name}": (rule(model, "REFINERY"), [("INVALID_MODEL", "model")]) for name, model in BAD_MODELS.items()},
    "model not registered": (rule("openai/gpt-9", "REFINERY"), [("UNKNOWN_MODEL", "model")]),
    "model registered in other capitals": (rule(OPUS.upper(), "REFINERY"), [("UNKNOWN_MODEL", "model")]),
    "label without role": (rule(OPUS, None, "gt:pr-fixup"), [("LABEL_NEEDS_ROLE", "label")]),
    "unknown label without role": (
        rule(OPUS, None, "gt:nope"),
        [("UNKNOWN_LABEL", "label"), ("LABEL_NEEDS_ROLE", "label")],
    ),
    "mayor with a label": (rule(OPUS, "MAYOR", "gt:triage"), [("MAYOR_IS_TOWN_LEVEL", "label")]),
    "mayor with a rig": (rule(OPUS, "MAYOR", rig=RIG), [("MAYOR_IS_TOWN_LEVEL", "rigId")]),
    "mayor with both": (
        rule(OPUS, "MAYOR", "gt:triage", RIG),
        [("MAYOR_IS_TOWN_LEVEL", "label"), ("MAYOR_IS_TOWN_LEVEL", "rigId")],
    ),
    "label and rig unknown": (
        rule(OPUS, "POLECAT", "gt:nope", "nowhere"),
        [("UNKNOWN_LABEL", "label"), ("UNKNOWN_RIG", "rigId")],
    ),
    "label and model unknown": (
        rule("openai/gpt-9", "POLECAT", "gt:nope"),
        [("UNKNOWN_LABEL", "label"), ("UNKNOWN_MODEL", "model")],
    ),
}
PROFILE_RULES = {name: found for name, found in RULES.items() if "rigId" not in {field for _, field in found[1]}} | {
    "with a rig": (rule(OPUS, "POLECAT", rig=RIG), [("PROFILE_KNOWS_NO_RIGS", "rigId")]),
}
PREVIEW = """query ($townId: ID!, $draft: OverrideSetDraft!) {
    it: preview(townId: $townId, draft: $draft) { userErrors { code path } }
}"""
PREVIEW_PROFILE = (
    "query ($draft: ProfileDraft!) { it: previewProfileVersion(draft: $draft) { userErrors { code path } } }"
)


def told(api: Api, query: str, /, **given: Any) -> Found:
    """(code, path) of each user error in the payload `it`, sorted."""
    return sorted((error["code"], error["path"]) for error in api.data(query, **given)["it"]["userErrors"])


def draft_of(override: Json) -> Json:
    return {"overrides": [rule(SONNET, "MAYOR"), override]}


def test_set_override__with_a_bad_rule__is_refused_at_the_override(api: Api) -> None:
    found = refused_each(api, "setOverride", {name: {"override": override} for name, (override, _) in RULES.items()})
    assert found == {name: under(fields, "override") for name, (_, fields) in RULES.items()}


def test_publish__with_a_bad_rule__is_refused_at_its_place_in_the_draft(api: Api) -> None:
    drafts = {name: {"draft": draft_of(override)} for name, (override, _) in RULES.items()}
    found = refused_each(api, "publishOverrideSet", drafts)
    assert found == {name: under(fields, "draft", "overrides", "1") for name, (_, fields) in RULES.items()}


def test_preview__with_a_bad_rule__tells_what_publishing_would(api: Api) -> None:
    with unchanged(api):
        found = {name: told(api, PREVIEW, townId=TOWN, draft=draft_of(bad)) for name, (bad, _) in RULES.items()}
    assert found == {name: under(fields, "draft", "overrides", "1") for name, (_, fields) in RULES.items()}


def test_remove_override__with_a_key_that_can_not_be__is_refused(api: Api) -> None:
    bad_keys = {f"label {name}": {"role": "POLECAT", "label": label} for name, label in BAD_LABELS.items()}
    found = refused_each(api, "removeOverride", bad_keys)
    assert found == all_alike(bad_keys, "UNKNOWN_LABEL", "label")


def test_profile__with_a_bad_rule__is_refused_at_its_place(api: Api) -> None:
    drafts = {name: {"rules": [rule(OPUS), bad]} for name, (bad, _) in PROFILE_RULES.items()}
    found = refused_each(api, "publishProfileVersion", drafts)
    assert found == {name: under(fields, "rules", "1") for name, (_, fields) in PROFILE_RULES.items()}


def test_profile_preview__with_a_bad_rule__tells_what_publishing_would(api: Api) -> None:
    with unchanged(api):
        found = {
            name: told(
                api, PREVIEW_PROFILE, draft={"name": "balanced", "smallModel": HAIKU, "rules": [rule(OPUS), bad]}
            )
            for name, (bad, _) in PROFILE_RULES.items()
        }
    assert found == {name: under(fields, "draft", "rules", "1") for name, (_, fields) in PROFILE_RULES.items()}


SEVERAL_BAD_RULES = {
    "profile": "nope",
    "overrides": [
        rule(SONNET, "POLECAT"),
        rule(OPUS, "POLECAT"),
        rule("openai/gpt-9", "MAYOR", rig=RIG),
        rule(HAIKU, None, "gt:held"),
        rule("", "REFINERY", rig="nowhere"),
        rule(HAIKU, "REFINERY", "gt:nope"),
        rule(HAIKU, "REFINERY", rig=REMOVED_RIG),
    ],
}
SEVERAL_PROBLEMS: Found = [
    ("DUPLICATE_RULE", ["draft", "overrides", "1"]),
    ("INVALID_MODEL", ["draft", "overrides", "4", "model"]),
    ("LABEL_NEEDS_ROLE", ["draft", "overrides", "3", "label"]),
    ("MAYOR_IS_TOWN_LEVEL", ["draft", "overrides", "2", "rigId"]),
    ("UNKNOWN_LABEL", ["draft", "overrides", "5", "label"]),
    ("UNKNOWN_MODEL", ["draft", "overrides", "2", "model"]),
    ("UNKNOWN_PROFILE", ["draft", "profile"]),
    ("UNKNOWN_RIG", ["draft", "overrides", "4", "rigId"]),
    ("UNKNOWN_RIG", ["draft", "overrides", "6", "rigId"]),
]


def test_publish__with_several_bad_rules__tells_every_problem_at_once(api: Api) -> None:
    assert refused(api, "publishOverrideSet", {"draft": SEVERAL_BAD_RULES}) == SEVERAL_PROBLEMS


def test_preview__with_several_bad_rules__tells_every_problem_at_once(api: Api) -> None:
    with unchanged(api):
        assert told(api, PREVIEW, townId=TOWN, draft=SEVERAL_BAD_RULES) == SEVERAL_PROBLEMS


def test_publish__with_a_key_twice_whose_first_model_is_none__tells_both(api: Api) -> None:
    draft = {"overrides": [rule("", "POLECAT"), rule(OPUS, "POLECAT")]}
    assert refused(api, "publishOverrideSet", {"draft": draft}) == [
        ("DUPLICATE_RULE", ["draft", "overrides", "1"]),
        ("INVALID_MODEL", ["draft", "overrides", "0", "model"]),
    ]


def test_publish__with_the_key_of_any_role_twice__is_a_duplicate(api: Api) -> None:
    draft = {"overrides": [rule(OPUS), rule(HAIKU)]}
    assert refused(api, "publishOverrideSet", {"draft": draft}) == [("DUPLICATE_RULE", ["draft", "overrides", "1"])]


def test_profile__with_bad_rules_and_small_model__tells_every_problem_at_once(api: Api) -> None:
    rules = [rule(OPUS), rule(OPUS), rule("", "POLECAT", rig=RIG)]
    assert refused(api, "publishProfileVersion", {"smallModel": "nope", "rules": rules}) == [
        ("DUPLICATE_RULE", ["rules", "1"]),
        ("INVALID_MODEL", ["rules", "2", "model"]),
        ("PROFILE_KNOWS_NO_RIGS", ["rules", "2", "rigId"]),
        ("UNKNOWN_MODEL", ["smallModel"]),
    ]


# ---- models

MODEL_DOORS: dict[str, tuple[str, Callable[[str], Json], Path]] = {
    "small model of a profile": ("publishProfileVersion", lambda model: {"smallModel": model}, ["smallModel"]),
    "model of a bead": (
        "syncBeads",
        lambda model: {"beads": [{"beadId": "new-bead", "model": model}]},
        ["beads", "0", "model"],
    ),
    "observed model": (
        "detectMayorChange",
        lambda model: {"observed": {"model": model, "smallModel": HAIKU}},
        ["observed", "model"],
    ),
    "observed small model": (
        "detectMayorChange",
        lambda model: {"observed": {"model": OPUS, "smallModel": model}},
        ["observed", "smallModel"],
    ),
    "deprecated model": ("deprecateModel", lambda model: {"modelId": model}, ["modelId"]),
    "model in its place": ("deprecateModel", lambda model: {"replacedBy": model}, ["replacedBy"]),
}
REGISTER = "mutation ($models: [ModelInput!]!) { it: registerModels(models: $models) { userErrors { code path } } }"


@pytest.mark.parametrize(("mutation", "given", "path"), MODEL_DOORS.values(), ids=MODEL_DOORS)
def test_model__that_is_none__is_refused_wherever_one_is_taken(
    api: Api, mutation: str, given: Callable[[str], Json], path: Path
) -> None:
    models = {name: model for name, model in BAD_MODELS.items() if name in ODDEST}
    found = refused_each(api, mutation, {name: given(model) for name, model in models.items()})
    assert found == all_alike(models, "INVALID_MODEL", *path)


@pytest.mark.parametrize("door", ["small model of a profile", "deprecated model", "model in its place"])
def test_model__that_is_not_registered__is_refused_where_it_has_to_be(api: Api, door: str) -> None:
    mutation, given, path = MODEL_DOORS[door]
    assert refused(api, mutation, given("openai/gpt-9")) == [("UNKNOWN_MODEL", path)]


def test_detect_mayor_change__with_two_models_that_are_none__tells_both(api: Api) -> None:
    found = refused(api, "detectMayorChange", {"observed": {"model": "", "smallModel": SURROGATE}})
    assert found == [("INVALID_MODEL", ["observed", "model"]), ("INVALID_MODEL", ["observed", "smallModel"])]


def test_task__with_a_model_that_is_none__is_an_error(api: Api) -> None:
    query = "query ($t: ID!, $m: String) { taskResolution(townId: $t, task: {model: $m}) { model } }"
    found = failed_each(api, query, {name: {"t": TOWN, "m": model} for name, model in BAD_MODELS.items()})
    assert found == all_alike(BAD_MODELS, "INVALID_MODEL", "task", "model")


def test_register_models__with_one_that_is_none__registers_none_of_them(api: Api) -> None:
    with nothing_written(api):
        found = {
            name: told(api, REGISTER, models=[{"modelId": "openai/gpt-9"}, {"modelId": model}])
            for name, model in BAD_MODELS.items()
        }
    assert found == all_alike(BAD_MODELS, "INVALID_MODEL", "models", "1", "modelId")


BAD_CATALOGUES: dict[str, tuple[list[Json], str, Path]] = {
    "1,001 models": ([{"modelId": f"m-{n}"} for n in range(1001)], "TOO_MANY", ["models"]),
    "a model twice": ([{"modelId": "m"}, {"modelId": "m"}], "INVALID_INPUT", ["models", "1", "modelId"]),
    **{
        f"a name {what}": (
            [{"modelId": "m"}, {"modelId": "n", "displayName": name}],
            "INVALID_INPUT",
            ["models", "1", "displayName"],
        )
        for what, name in BAD_NAMES.items()
    },
}


def test_register_models__with_a_bad_list__registers_none_of_them(api: Api) -> None:
    with nothing_written(api):
        found = {name: told(api, REGISTER, models=models) for name, (models, _, _) in BAD_CATALOGUES.items()}
    assert found == {name: [(code, path)] for name, (_, code, path) in BAD_CATALOGUES.items()}


@pytest.mark.parametrize("literal", [r"\u0000", r"anthropic/\u001b", r" "], ids=["NUL", "control character", "blank"])
def test_model__that_is_none_in_a_literal__is_refused_as_in_a_variable(api: Api, literal: str) -> None:
    draft = f'{{overrides: [{{model: "{literal}"}}]}}'
    query = f'{{ it: preview(townId: "{TOWN}", draft: {draft}) {{ userErrors {{ code path }} }} }}'
    assert told(api, query) == [("INVALID_MODEL", ["draft", "overrides", "0", "model"])]


def test_model__that_is_a_lone_surrogate_in_a_literal__does_not_parse(api: Api) -> None:
    query = rf'{{ preview(townId: "{TOWN}", draft: {{overrides: [{{model: "\ud800"}}]}}) {{ baseVersion }} }}'
    assert failed(api, query) == [("GRAPHQL_PARSE_FAILED", None)]


# ---- what every change says: on which version, why, and under which key

REASONED = (*PUBLISHES, "publishProfileVersion", "importTown", "deprecateModel")
KEYED = (*PUBLISHES, "publishProfileVersion", "importTown", "createTown")
EXPECTED_VERSIONS = {
    "stale": (VERSION - 1, "VERSION_CONFLICT"),
    "zero": (0, "VERSION_CONFLICT"),
    "in the future": (VERSION + 1, "VERSION_CONFLICT"),
    "the largest there is": (TOO_LARGE - 1, "VERSION_CONFLICT"),
    "negative": (-1, "INVALID_INPUT"),
    "the smallest there is": (-TOO_LARGE, "INVALID_INPUT"),
}
NO_VERSIONS = {
    "a float": 1.5,
    "over 2^31": TOO_LARGE,
    "under -2^31": -TOO_LARGE - 1,
    "text": "3",
    "a boolean": True,
    "null": None,
    "a list": [VERSION],
    "an object": {"version": VERSION},
}


@pytest.mark.parametrize("mutation", REASONED)
def test_reason__that_is_none__is_refused(api: Api, mutation: str) -> None:
    found = refused_each(api, mutation, {name: {"reason": reason} for name, reason in BAD_REASONS.items()})
    assert found == all_alike(BAD_REASONS, "INVALID_INPUT", "reason")


@pytest.mark.parametrize("mutation", KEYED)
def test_idempotency_key__that_is_none__is_refused(api: Api, mutation: str) -> None:
    found = refused_each(api, mutation, {name: {"idempotencyKey": key} for name, key in BAD_NAMES.items()})
    assert found == all_alike(BAD_NAMES, "INVALID_INPUT", "idempotencyKey")


@pytest.mark.parametrize("mutation", PUBLISHES)
def test_publish__expecting_a_version_that_is_not_in_force__is_refused(api: Api, mutation: str) -> None:
    givens = {name: {"expectedVersion": version} for name, (version, _) in EXPECTED_VERSIONS.items()}
    expected = {name: [(code, ["expectedVersion"])] for name, (_, code) in EXPECTED_VERSIONS.items()}
    assert refused_each(api, mutation, givens) == expected


@pytest.mark.parametrize(("version", "code"), [(0, "VERSION_CONFLICT"), (2, "VERSION_CONFLICT"), (-1, "INVALID_INPUT")])
def test_profile__expecting_a_version_that_is_not_the_latest__is_refused(api: Api, version: int, code: str) -> None:
    assert refused(api, "publishProfileVersion", {"expectedVersion": version}) == [(code, ["expectedVersion"])]


@pytest.mark.parametrize("mutation", [*PUBLISHES, "publishProfileVersion"])
def test_version_conflict__of_any_publish__tells_the_version_in_force(api: Api, mutation: str) -> None:
    there = 1 if mutation == "publishProfileVersion" else VERSION
    given = {**GOOD[mutation], "expectedVersion": there + 5}
    assert api.change(mutation, "currentVersion", **given)["currentVersion"] == there


@pytest.mark.parametrize("mutation", [*PUBLISHES, "publishProfileVersion"])
def test_expected_version__of_another_type__is_an_error(api: Api, mutation: str) -> None:
    kind = mutation[0].upper() + mutation[1:] + "Input"
    query = f"mutation ($input: {kind}!) {{ {mutation}(input: $input) {{ currentVersion }} }}"
    inputs = {name: {"input": {**GOOD[mutation], "expectedVersion": version}} for name, version in NO_VERSIONS.items()}
    assert failed_each(api, query, inputs) == {name: [("INVALID_INPUT", None)] for name in NO_VERSIONS}


@pytest.mark.parametrize(
    "version", ["1.5", "2147483648", "-2147483649", '"3"', "1e400", "1" * 5000], ids=lambda text: text[:12]
)
def test_expected_version__of_another_type_in_a_literal__is_an_error(api: Api, version: str) -> None:
    given = f'townId: "{TOWN}", expectedVersion: {version}, reason: "A test says so.", toVersion: 1'
    query = f"mutation {{ revertOverrideSet(input: {{{given}}}) {{ currentVersion }} }}"
    assert failed(api, query) == [("INVALID_INPUT", None)]


# ---- words of closed vocabularies

SET_OVERRIDE = "mutation ($input: SetOverrideInput!) { setOverride(input: $input) { currentVersion } }"
SYNC_BEADS = "mutation ($input: SyncBeadsInput!) { syncBeads(input: $input) { synced } }"


NO_ROLES = {role: role for role in ("TRIAGE", "triage", "polecat", "Mayor", "", SURROGATE)}


def test_role__that_is_none_in_a_variable__is_an_error(api: Api) -> None:
    overrides = {
        name: {"input": {**GOOD["setOverride"], "override": {"role": role, "model": OPUS}}}
        for name, role in NO_ROLES.items()
    }
    assert failed_each(api, SET_OVERRIDE, overrides) == {name: [("INVALID_INPUT", None)] for name in NO_ROLES}


def test_role_of_a_bead__that_is_none_in_a_variable__is_an_error(api: Api) -> None:
    beads = {
        name: {"input": {"townId": TOWN, "beads": [{"beadId": "new-bead", "role": role}]}}
        for name, role in NO_ROLES.items()
    }
    assert failed_each(api, SYNC_BEADS, beads) == {name: [("INVALID_INPUT", None)] for name in NO_ROLES}


@pytest.mark.parametrize("role", ["TRIAGE", "polecat", '"POLECAT"', "1"])
def test_role__that_is_none_in_a_literal__is_an_error(api: Api, role: str) -> None:
    draft = f'{{overrides: [{{role: {role}, model: "{OPUS}"}}]}}'
    query = f'{{ preview(townId: "{TOWN}", draft: {draft}) {{ baseVersion }} }}'
    assert failed(api, query) == [("INVALID_INPUT", None)]


@pytest.mark.parametrize(
    ("field", "value"),
    [("type", "TASK"), ("status", "open"), ("labels", [None]), ("labels", None), ("title", None), ("beadId", None)],
)
def test_sync_beads__with_a_field_of_another_type__is_an_error(api: Api, field: str, value: object) -> None:
    given = {"townId": TOWN, "beads": [{"beadId": "new-bead", field: value}]}
    assert failed(api, SYNC_BEADS, input=given) == [("INVALID_INPUT", None)]


# ---- what is not there

OF_A_TOWN = (*PUBLISHES, "registerRig", "removeRig", "syncBeads", "detectMayorChange")
READS_OF_A_TOWN = {
    "auditHead": "query ($t: ID!) { auditHead(townId: $t) { sequence } }",
    "auditEntries": "query ($t: ID!) { auditEntries(townId: $t) { edges { cursor } } }",
    "profiles": "query ($t: ID!) { profiles(townId: $t) { name } }",
    "taskResolution": "query ($t: ID!) { taskResolution(townId: $t, task: {}) { model } }",
}


@pytest.mark.parametrize("mutation", OF_A_TOWN)
def test_change__of_a_town_that_is_not_there__is_not_found(api: Api, mutation: str) -> None:
    found = refused_each(api, mutation, {name: {"townId": NOT_THERE[name]} for name in ODDEST})
    assert found == all_alike(ODDEST, "NOT_FOUND", "townId")


@pytest.mark.parametrize("query", READS_OF_A_TOWN.values(), ids=READS_OF_A_TOWN)
def test_read__of_a_town_that_is_not_there__is_not_found(api: Api, query: str) -> None:
    found = failed_each(api, query, {name: {"t": NOT_THERE[name]} for name in ODDEST})
    assert found == all_alike(ODDEST, "NOT_FOUND", "townId")


def test_preview__of_a_town_that_is_not_there__is_not_found(api: Api) -> None:
    found = {name: told(api, PREVIEW, townId=NOT_THERE[name], draft={}) for name in ODDEST}
    assert found == all_alike(ODDEST, "NOT_FOUND", "townId")


def test_profile_preview__of_a_town_that_is_not_there__is_not_found(api: Api) -> None:
    draft = {"name": "custom", "smallModel": HAIKU, "rules": []}
    found = {name: told(api, PREVIEW_PROFILE, draft={**draft, "townId": NOT_THERE[name]}) for name in ODDEST}
    assert found == all_alike(ODDEST, "NOT_FOUND", "draft", "townId")


def test_single_reads__of_what_is_not_there__give_null(api: Api) -> None:
    query = """query ($id: ID!, $name: String!) {
        town(townId: $id) { name } bead(beadId: $id) { title } node(id: $id) { id }
        profile(name: $name) { title } own: profile(name: $name, townId: $id) { title }
    }"""
    nothing = {"town": None, "bead": None, "node": None, "profile": None, "own": None}
    found = {name: api.data(query, id=some_id, name=some_id) for name, some_id in NOT_THERE.items()}
    assert found == dict.fromkeys(NOT_THERE, nothing)


@pytest.mark.parametrize("mutation", ["selectProfile", "createTown"])
def test_profile__that_the_town_can_not_follow__is_unknown(api: Api, mutation: str) -> None:
    found = refused_each(api, mutation, {name: {"profile": profile} for name, profile in BAD_PROFILES.items()})
    assert found == all_alike(BAD_PROFILES, "UNKNOWN_PROFILE", "profile")


def test_draft__of_a_profile_that_the_town_can_not_follow__is_unknown(api: Api) -> None:
    drafts = {name: {"draft": {"profile": profile}} for name, profile in BAD_PROFILES.items()}
    expected = all_alike(BAD_PROFILES, "UNKNOWN_PROFILE", "draft", "profile")
    assert refused_each(api, "publishOverrideSet", drafts) == expected
    assert {name: told(api, PREVIEW, townId=TOWN, **given) for name, given in drafts.items()} == expected


BAD_PROFILE_NAMES: dict[str, tuple[Json, str, Path]] = {
    "not made yet": ({"name": "nope", "expectedVersion": 1}, "UNKNOWN_PROFILE", ["name"]),
    "a central one with a town's name": ({"name": "custom"}, "INVALID_INPUT", ["name"]),
    "a town's with a central name": ({"townId": TOWN}, "INVALID_INPUT", ["name"]),
    "an empty name": ({"name": "", "expectedVersion": 0}, "INVALID_INPUT", ["name"]),
    "a name with NUL": ({"name": NUL, "expectedVersion": 0}, "INVALID_INPUT", ["name"]),
    "a name of 10,000 characters": ({"name": LONG, "expectedVersion": 0}, "INVALID_INPUT", ["name"]),
    "a blank title": ({"title": " "}, "INVALID_INPUT", ["title"]),
    "a title with a lone surrogate": ({"title": SURROGATE}, "INVALID_INPUT", ["title"]),
    "of a town that is not there": ({"name": "custom", "townId": "nowhere"}, "NOT_FOUND", ["townId"]),
    "of a town with NUL": ({"name": "custom", "townId": NUL}, "NOT_FOUND", ["townId"]),
}


def test_profile__under_a_bad_name__is_refused(api: Api) -> None:
    givens = {name: given for name, (given, _, _) in BAD_PROFILE_NAMES.items()}
    expected = {name: [(code, path)] for name, (_, code, path) in BAD_PROFILE_NAMES.items()}
    assert refused_each(api, "publishProfileVersion", givens) == expected


@pytest.mark.parametrize(("to_version", "code"), [(0, "NOT_FOUND"), (VERSION + 1, "NOT_FOUND"), (-1, "INVALID_INPUT")])
def test_revert__to_a_version_that_never_was__is_refused(api: Api, to_version: int, code: str) -> None:
    assert refused(api, "revertOverrideSet", {"toVersion": to_version}) == [(code, ["toVersion"])]


def test_sync_beads__into_a_rig_that_is_not_there__takes_none_of_them(api: Api) -> None:
    found = refused_each(
        api,
        "syncBeads",
        {
            name: {"beads": [{"beadId": BEAD, "status": "CLOSED"}, {"beadId": "new-bead", "rigId": rig_id}]}
            for name, rig_id in BAD_RIGS.items()
        },
    )
    assert found == all_alike(BAD_RIGS, "UNKNOWN_RIG", "beads", "1", "rigId")


def test_remove_rig__that_is_not_there__is_unknown(api: Api) -> None:
    found = refused_each(api, "removeRig", {name: {"rigId": rig_id} for name, rig_id in BAD_RIGS.items()})
    assert found == all_alike(BAD_RIGS, "UNKNOWN_RIG", "rigId")


TASK_IN_RIG = "query ($t: ID!, $r: ID) { taskResolution(townId: $t, task: {rigId: $r}) { model } }"


def test_task__in_a_rig_that_never_was__is_an_error(api: Api) -> None:
    rigs = {name: rig_id for name, rig_id in BAD_RIGS.items() if rig_id != REMOVED_RIG}
    found = failed_each(api, TASK_IN_RIG, {name: {"t": TOWN, "r": rig_id} for name, rig_id in rigs.items()})
    assert found == all_alike(rigs, "UNKNOWN_RIG", "task", "rigId")


def test_task__in_a_removed_rig__still_resolves(api: Api) -> None:
    assert api.data(TASK_IN_RIG, t=TOWN, r=REMOVED_RIG)["taskResolution"] == {"model": OPUS}


def test_resolution__of_a_bead_that_is_not_there__is_an_error(api: Api) -> None:
    query = "query ($b: ID!) { resolution(beadId: $b) { model } }"
    found = failed_each(api, query, {name: {"b": bead_id} for name, bead_id in NOT_THERE.items()})
    assert found == all_alike(NOT_THERE, "NOT_FOUND", "beadId")


def test_resolutions__of_some_beads_that_are_not_there__answer_the_rest(api: Api) -> None:
    query = "query ($b: [ID!]!) { it: resolutions(beadIds: $b) { beadId resolution { model } error { code path } } }"
    asked = [*NOT_THERE.values(), BEAD]
    *missing, here = api.data(query, b=asked)["it"]
    assert here == {"beadId": BEAD, "resolution": {"model": OPUS}, "error": None}
    assert missing == [
        {"beadId": bead_id, "resolution": None, "error": {"code": "NOT_FOUND", "path": ["beadIds", str(index)]}}
        for index, bead_id in enumerate(NOT_THERE.values())
    ]


@pytest.mark.parametrize("bead_id", ["nowhere", OTHERS_BEAD, NUL, SURROGATE], ids=ascii)
def test_preview__of_a_bead_that_the_town_has_not__is_not_found(api: Api, bead_id: str) -> None:
    query = "query ($t: ID!, $b: ID!) { preview(townId: $t, draft: {}) { resolution(beadId: $b) { model } } }"
    assert failed(api, query, t=TOWN, b=bead_id) == [("NOT_FOUND", ["beadId"])]


NO_OVERRIDES: dict[str, Json] = {
    "of a role": {"role": "REFINERY"},
    "of any role": {"role": None},
    "of a label": {"role": "POLECAT", "label": "gt:held"},
    "of a rig": {"role": "POLECAT", "rigId": RIG},
    "of a removed rig": {"role": "POLECAT", "rigId": REMOVED_RIG},
    "of a rig that never was": {"role": "POLECAT", "rigId": "nowhere"},
}


def test_remove_override__that_is_not_there__is_not_found(api: Api) -> None:
    found = refused_each(api, "removeOverride", NO_OVERRIDES)
    assert {name: [code for code, _ in problems] for name, problems in found.items()} == {
        name: ["NOT_FOUND"] for name in NO_OVERRIDES
    }


def test_deprecate_model__in_favour_of_itself__is_refused(api: Api) -> None:
    found = refused(api, "deprecateModel", {"modelId": OPUS, "replacedBy": OPUS})
    assert found == [("INVALID_INPUT", ["replacedBy"])]


# ---- too many

MANY_RULES = [rule(OPUS, "POLECAT", rig=f"rig-{number}") for number in range(501)]
MANY_BEADS = [{"beadId": f"bead-{number}"} for number in range(1001)]
FILTERED_BEADS = "query ($of: [%s!], $t: ID!) { town(townId: $t) { beads(filter: {%s: $of}) { edges { cursor } } } }"
FILTERED_ENTRIES = "query ($of: [%s!], $t: ID!) { auditEntries(townId: $t, filter: {%s: $of}) { edges { cursor } } }"
LONG_FILTERS = {
    "labels": (FILTERED_BEADS % ("String", "labels"), "gt:held"),
    "types": (FILTERED_BEADS % ("BeadType", "types"), "ISSUE"),
    "actors": (FILTERED_ENTRIES % ("ID", "actorIds"), "dev"),
}


def test_publish_and_preview__of_501_overrides__are_too_many(api: Api) -> None:
    expected = [("TOO_MANY", ["draft", "overrides"])]
    assert refused(api, "publishOverrideSet", {"draft": {"overrides": MANY_RULES}}) == expected
    assert told(api, PREVIEW, townId=TOWN, draft={"overrides": MANY_RULES}) == expected


def test_profile__of_501_rules__is_too_many(api: Api) -> None:
    assert refused(api, "publishProfileVersion", {"rules": MANY_RULES}) == [("TOO_MANY", ["rules"])]


def test_sync_beads__of_1001_beads__is_too_many(api: Api) -> None:
    assert refused(api, "syncBeads", {"beads": MANY_BEADS}) == [("TOO_MANY", ["beads"])]


def test_resolutions__of_1001_beads__are_too_many(api: Api) -> None:
    query = "query ($b: [ID!]!) { resolutions(beadIds: $b) { beadId } }"
    assert failed(api, query, b=[BEAD] * 1001) == [("TOO_MANY", ["beadIds"])]


def test_resolutions__of_1000_beads__are_answered_each(api: Api) -> None:
    query = "query ($b: [ID!]!) { it: resolutions(beadIds: $b) { resolution { model } } }"
    assert api.data(query, b=[BEAD] * 1000)["it"] == [{"resolution": {"model": OPUS}}] * 1000


def test_import__of_rigs_with_501_overrides__is_too_many(api: Api) -> None:
    rigs = [{"rigId": f"rig-{n}", "name": "R", "config": {"default_model": OPUS}} for n in range(501)]
    assert refused(api, "importTown", {"rigs": rigs}) == [("TOO_MANY", ["rigs"])]


@pytest.mark.parametrize(("query", "item"), LONG_FILTERS.values(), ids=LONG_FILTERS)
def test_filter__of_33_000_items__is_answered_or_refused_as_too_many(api: Api, query: str, item: str) -> None:
    with serving(api.url, max_body_bytes=2_000_000) as roomy:
        found = failed(roomy, query, t=TOWN, of=[item] * 33_000)
    assert [code for code, _ in found] in ([], ["TOO_MANY"])


# ---- pages


def listed(name: str, filters: str = "") -> str:
    return f"it: {name}({filters} first: $first, after: $after) {{ edges {{ cursor }} }}"


HERE = f'town(townId: "{TOWN}")'
LISTS = {
    "towns": listed("towns"),
    "towns by name": listed("towns", 'nameContains: "e"'),
    "beads": f"{HERE} {{ {listed('beads')} }}",
    "beads by status": f"{HERE} {{ {listed('beads', 'filter: {statuses: [OPEN, IN_PROGRESS]}')} }}",
    "another town's beads": f'town(townId: "{OTHER}") {{ {listed("beads")} }}',
    "override sets": f"{HERE} {{ {listed('overrideSets')} }}",
    "changed beads": f"{HERE} {{ overrideSet {{ changeDetection {{ {listed('changedBeads')} }} }} }}",
    "changed beads of a preview": (
        f'preview(townId: "{TOWN}", draft: {{overrides: []}}) {{ changeDetection {{ {listed("changedBeads")} }} }}'
    ),
    "signals": f"{HERE} {{ mayor {{ {listed('signals')} }} }}",
    "revisions": f'bead(beadId: "{BEAD}") {{ {listed("revisions")} }}',
    "versions of a profile": f'profile(name: "balanced") {{ {listed("versions")} }}',
    "central entries": listed("auditEntries"),
    "entries of a town": f"{HERE} {{ {listed('auditEntries')} }}",
    "entries of a kind": f"{HERE} {{ {listed('auditEntries', 'filter: {actions: [BEADS_SYNCED]}')} }}",
}
GARBAGE = {
    "empty": "",
    "blank": " ",
    "no base64": "!!!",
    "not ASCII": CYRILLIC_A,
    "NUL": NUL,
    "a lone surrogate": SURROGATE,
    "10,000 characters": LONG,
    "base64 of nothing in particular": "AAAA",
    "an empty array": base64.urlsafe_b64encode(b"[]").decode(),
    "deep": base64.urlsafe_b64encode(b"[" * 50_000).decode(),
    "a number of 5,000 digits": base64.urlsafe_b64encode(b"[" + b"1" * 5000 + b"]").decode(),
}


def page_query(name: str) -> str:
    return f"query ($first: Int, $after: String) {{ {LISTS[name]} }}"


def cursor_of(api: Api, name: str) -> str:
    """The first cursor that a list gives out."""
    (node,) = api.data(page_query(name), first=1).values()
    while "edges" not in node:
        (node,) = node.values()
    cursor: str = node["edges"][0]["cursor"]
    return cursor


@pytest.fixture(scope="module")
def cursors(api: Api) -> dict[str, str]:
    return {name: cursor_of(api, name) for name in LISTS}


@pytest.mark.parametrize("name", LISTS)
def test_page__of_a_size_out_of_range__is_refused(api: Api, name: str) -> None:
    pages = {str(first): {"first": first} for first in (0, -1, 201, 10**9)}
    assert failed_each(api, page_query(name), pages) == all_alike(pages, "INVALID_INPUT", "first")


@pytest.mark.parametrize("first", [TOO_LARGE, 1.5, "1", True], ids=["over 2^31", "a float", "text", "a boolean"])
def test_page__of_a_size_of_another_type__is_an_error(api: Api, first: object) -> None:
    assert failed(api, page_query("beads"), first=first) == [("INVALID_INPUT", None)]


def test_page__of_any_size_in_range__is_given(api: Api) -> None:
    pages: dict[str, Json] = {"1": {"first": 1}, "200": {"first": 200}, "null": {"first": None, "after": None}, "-": {}}
    assert failed_each(api, page_query("beads"), pages) == {name: [] for name in pages}


@pytest.mark.parametrize("name", LISTS)
def test_page__after_the_cursor_of_another_list__is_refused(api: Api, cursors: dict[str, str], name: str) -> None:
    others = [*LISTS, *LISTS][list(LISTS).index(name) + 1 :][:4]
    pages = {other: {"after": cursors[other]} for other in others}
    assert failed_each(api, page_query(name), pages) == all_alike(pages, "INVALID_INPUT", "after")


@pytest.mark.parametrize("name", ["beads", "override sets", "changed beads"])
def test_page__after_garbage__is_refused(api: Api, name: str) -> None:
    pages = {what: {"after": after} for what, after in GARBAGE.items()}
    assert failed_each(api, page_query(name), pages) == all_alike(GARBAGE, "INVALID_INPUT", "after")


@pytest.mark.parametrize("name", LISTS)
def test_page__after_a_cursor_of_its_own_tampered_with__is_refused(
    api: Api, cursors: dict[str, str], name: str
) -> None:
    cursor = cursors[name]
    mark, key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    tampered = ([mark, 5 if isinstance(key, str) else "x"], [mark, None], [mark, [key]], [mark, key, key], [key, mark])
    pages = {str(parts): {"after": base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()} for parts in tampered}
    pages["cut short"] = {"after": cursor[:-4]}
    assert failed_each(api, page_query(name), pages) == all_alike(pages, "INVALID_INPUT", "after")


def test_page__with_both_size_and_cursor_wrong__tells_both(api: Api) -> None:
    (error,) = api.execute(page_query("beads"), first=0, after="x")["errors"]
    assert [problem["path"] for problem in error["extensions"]["problems"]] == [["first"], ["after"]]


# ---- as of

BEFORE_ANY_TOWN, FUTURE = "2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
ILL_FORMED_AS_OF: dict[str, Any] = {
    "neither": {},
    "both": {"version": 1, "at": BEFORE_ANY_TOWN},
    "both, one of them null": {"version": 1, "at": None},
    "a null version": {"version": None},
    "a null instant": {"at": None},
    "no object": BEFORE_ANY_TOWN,
    "a version as text": {"version": "1"},
    "a version as a float": {"version": 1.5},
    "a version over 2^31": {"version": TOO_LARGE},
    "an instant as a number": {"at": 1767225600},
    "an empty instant": {"at": ""},
    "without time zone": {"at": "2026-01-01T00:00:00"},
    "7 fractional digits": {"at": "2026-01-01T00:00:00.0000001Z"},
    "a date alone": {"at": "2026-01-01"},
    "a 13th month": {"at": "2026-13-01T00:00:00Z"},
    "the 30th of February": {"at": "2026-02-30T00:00:00Z"},
    "a zone out of the calendar": {"at": "0001-01-01T00:00:00+14:00"},
    "a leap second": {"at": "2016-12-31T23:59:60Z"},
    "with NUL": {"at": f"{BEFORE_ANY_TOWN}{NUL}"},
    "digits of another script": {"at": "\u0662\u0660\u0662\u0666-01-01T00:00:00Z"},
    "10,000 characters": {"at": LONG},
}
NOT_IN_FORCE: dict[str, tuple[Json, str, str]] = {
    "before the town was made": ({"at": BEFORE_ANY_TOWN}, "NOT_FOUND", "at"),
    "the first instant there is": ({"at": "0001-01-01T00:00:00Z"}, "NOT_FOUND", "at"),
    "in the future": ({"at": FUTURE}, "INVALID_INPUT", "at"),
    "the last instant there is": ({"at": "9999-12-31T23:59:59.999999Z"}, "INVALID_INPUT", "at"),
    "version 0": ({"version": 0}, "NOT_FOUND", "version"),
    "a version to come": ({"version": VERSION + 1}, "NOT_FOUND", "version"),
    "the last version there is": ({"version": TOO_LARGE - 1}, "NOT_FOUND", "version"),
    "a negative version": ({"version": -1}, "NOT_FOUND", "version"),
}
AS_OF_FIELDS = {
    "resolution": f'resolution(beadId: "{BEAD}", asOf: %s) {{ model }}',
    "Bead.resolution": f'bead(beadId: "{BEAD}") {{ resolution(asOf: %s) {{ model }} }}',
    "taskResolution": f'taskResolution(townId: "{TOWN}", task: {{}}, asOf: %s) {{ model }}',
    "Town.overrideSetAt": f"{HERE} {{ overrideSetAt(asOf: %s) {{ version }} }}",
}


def as_of_query(field: str) -> str:
    return f"query ($asOf: AsOf!) {{ {AS_OF_FIELDS[field] % '$asOf'} }}"


def as_literal(value: Any) -> str:
    """A JSON value as GraphQL writes it in a document."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {as_literal(part)}" for name, part in value.items()) + "}"
    return json.dumps(value)


@pytest.mark.parametrize("as_of", ILL_FORMED_AS_OF.values(), ids=ILL_FORMED_AS_OF)
def test_as_of__ill_formed_in_a_variable__is_an_error(api: Api, as_of: Any) -> None:
    found = problems_of(api.execute(as_of_query("resolution"), asOf=as_of))
    assert {code for code, _ in found} == {"INVALID_INPUT"}


@pytest.mark.parametrize("as_of", ILL_FORMED_AS_OF.values(), ids=ILL_FORMED_AS_OF)
def test_as_of__ill_formed_in_a_literal__is_an_error(api: Api, as_of: Any) -> None:
    found = problems_of(api.execute("{ " + AS_OF_FIELDS["resolution"] % as_literal(as_of) + " }"))
    assert {code for code, _ in found} == {"INVALID_INPUT"}


@pytest.mark.parametrize("field", AS_OF_FIELDS)
def test_as_of__when_nothing_was_in_force__is_an_error(api: Api, field: str) -> None:
    found = failed_each(
        api, as_of_query(field), {name: {"asOf": as_of} for name, (as_of, _, _) in NOT_IN_FORCE.items()}
    )
    assert found == {name: [(code, ["asOf", part])] for name, (_, code, part) in NOT_IN_FORCE.items()}


@pytest.mark.parametrize("field", ["resolution", "Bead.resolution"])
def test_as_of__when_the_town_was_there_but_not_the_bead__is_not_found(api: Api, field: str) -> None:
    assert failed(api, as_of_query(field), asOf={"version": 1}) == [("NOT_FOUND", ["asOf"])]


@pytest.mark.parametrize("field", ["Bead.resolution", "Town.overrideSetAt"])
def test_as_of__when_nothing_was_in_force__leaves_the_rest_of_the_answer(api: Api, field: str) -> None:
    (parent,) = api.execute(as_of_query(field), asOf={"at": BEFORE_ANY_TOWN})["data"].values()
    assert list(parent.values()) == [None]


@pytest.mark.parametrize("against", [0, -1, VERSION + 1, TOO_LARGE - 1])
def test_diff__against_a_version_that_never_was__is_not_found(api: Api, against: int) -> None:
    query = f"query ($n: Int!) {{ {HERE} {{ overrideSet {{ diff(against: $n) {{ to }} }} }} }}"
    assert failed(api, query, n=against) == [("NOT_FOUND", ["against"])]


# ---- importing a host town

NO_OBJECTS = {"a number": 5, "text": "x", "a list": [{"default_model": OPUS}], "a boolean": True, "an empty list": []}
NO_TEXTS: dict[str, Any] = {"a number": 5, "zero": 0, "false": False, "an object": {}, "a list": [OPUS]}
NO_MODELS = {
    "NUL": NUL,
    "a lone surrogate": SURROGATE,
    "10,000 characters": LONG,
    "a space before": f" {OPUS}",
    "a line feed after": f"{OPUS}\n",
}
CONFIG_MODELS: dict[str, tuple[Callable[[Any], Json], Path]] = {
    "the town's default": (lambda value: {"default_model": value}, ["default_model"]),
    "the town's small model": (lambda value: {"small_model": value}, ["small_model"]),
    "the town's mayor": (lambda value: {"role_models": {"mayor": value}}, ["role_models", "mayor"]),
    "the town's polecats": (lambda value: {"role_models": {"polecat": value}}, ["role_models", "polecat"]),
}
IMPORT = """mutation ($input: ImportTownInput!) {
    it: importTown(input: $input) { town { effectiveRules { rule { key model } } } notes userErrors { code path } }
}"""


def test_import__of_a_configuration_that_is_no_object__is_refused(api: Api) -> None:
    found = refused_each(api, "importTown", {name: {"config": config} for name, config in NO_OBJECTS.items()})
    assert found == all_alike(NO_OBJECTS, "INVALID_INPUT", "config")


def test_import__of_role_models_that_are_no_object__is_refused(api: Api) -> None:
    configs = {name: {"config": {"role_models": config}} for name, config in NO_OBJECTS.items()}
    assert refused_each(api, "importTown", configs) == all_alike(configs, "INVALID_INPUT", "config", "role_models")


def test_import__of_a_rigs_configuration_that_is_no_object__is_refused(api: Api) -> None:
    rigs = {
        name: {
            "rigs": [{"rigId": "web", "name": "Web", "config": {}}, {"rigId": "api", "name": "Api", "config": config}]
        }
        for name, config in NO_OBJECTS.items()
    }
    assert refused_each(api, "importTown", rigs) == all_alike(rigs, "INVALID_INPUT", "rigs", "1", "config")


def test_import__of_a_configuration_that_is_null__is_an_error(api: Api) -> None:
    assert failed(api, IMPORT, input={**GOOD["importTown"], "config": None}) == [("INVALID_INPUT", None)]


@pytest.mark.parametrize(("config", "path"), CONFIG_MODELS.values(), ids=CONFIG_MODELS)
def test_import__of_a_model_of_another_json_type__is_refused(
    api: Api, config: Callable[[Any], Json], path: Path
) -> None:
    found = refused_each(api, "importTown", {name: {"config": config(value)} for name, value in NO_TEXTS.items()})
    assert found == all_alike(NO_TEXTS, "INVALID_INPUT", "config", *path)


@pytest.mark.parametrize(("config", "path"), CONFIG_MODELS.values(), ids=CONFIG_MODELS)
def test_import__of_a_model_that_is_none__is_refused(api: Api, config: Callable[[Any], Json], path: Path) -> None:
    found = refused_each(api, "importTown", {name: {"config": config(value)} for name, value in NO_MODELS.items()})
    assert found == all_alike(NO_MODELS, "INVALID_MODEL", "config", *path)


def test_import__with_several_things_wrong__tells_every_problem_at_once(api: Api) -> None:
    given = {
        "townId": "no id",
        "name": " ",
        "reason": "",
        "config": {"default_model": "/", "role_models": {"mayor": 5}},
        "rigs": [
            {"rigId": "-", "name": "", "config": {"default_model": "/"}},
            {"rigId": "web", "name": "Web", "config": {"role_models": {"polecat": [], "refinery": NUL}}},
            {"rigId": "web", "name": "Web"},
        ],
    }
    assert refused(api, "importTown", given) == [
        ("INVALID_INPUT", ["config", "role_models", "mayor"]),
        ("INVALID_INPUT", ["name"]),
        ("INVALID_INPUT", ["reason"]),
        ("INVALID_INPUT", ["rigs", "0", "name"]),
        ("INVALID_INPUT", ["rigs", "0", "rigId"]),
        ("INVALID_INPUT", ["rigs", "1", "config", "role_models", "polecat"]),
        ("INVALID_INPUT", ["rigs", "2", "rigId"]),
        ("INVALID_INPUT", ["townId"]),
        ("INVALID_MODEL", ["config", "default_model"]),
        ("INVALID_MODEL", ["rigs", "0", "config", "default_model"]),
        ("INVALID_MODEL", ["rigs", "1", "config", "role_models", "refinery"]),
    ]


@pytest.mark.parametrize("place", ["town", "rig"])
def test_import__of_a_deep_configuration__is_taken_or_refused_for_it(api: Api, place: str) -> None:
    config: Json = {}
    for _ in range(800):
        config = {"other": config}
    rigs = [{"rigId": "web", "name": "Web", "config": config}]
    given = {"config": config} if place == "town" else {"rigs": rigs}
    new = {**GOOD["importTown"], "townId": f"deep-{place}", **given}
    assert problems_of(api.execute(IMPORT, input=new)) == []


def imported(api: Api, town_id: str, config: Json, rig: Json | None = None) -> tuple[dict[str, str], list[str]]:
    """Key -> model of the effective rules of an imported town with one rig `web`, and the notes."""
    rigs = [{"rigId": "web", "name": "Web", "config": rig}]
    payload = api.data(IMPORT, input={"townId": town_id, "name": town_id, "config": config, "rigs": rigs})["it"]
    assert payload["userErrors"] == []
    rules = (each["rule"] for each in payload["town"]["effectiveRules"])
    return {each["key"]: each["model"] for each in rules}, payload["notes"]


def test_import__of_blank_strings__counts_them_as_not_set(api: Api) -> None:
    blank = {"default_model": " ", "small_model": "", "role_models": {"mayor": "\t", "polecat": "", "refinery": OPUS}}
    rig = {"default_model": "", "role_models": {"polecat": "  ", "refinery": HAIKU}}
    assert imported(api, "blanks", blank, rig) == ({"refinery": OPUS, "refinery@web": HAIKU}, [])


def test_import__of_a_rigs_mayor__leaves_it_out_and_says_so(api: Api) -> None:
    rules, notes = imported(api, "rig-mayor", {"default_model": OPUS}, {"role_models": {"mayor": HAIKU}})
    assert rules == {"*": OPUS}
    assert len(notes) == 1


def test_import__of_unknown_roles__leaves_them_out_and_says_so(api: Api) -> None:
    roles = {"triage": HAIKU, "Polecat": HAIKU, f"odd{NUL}{SURROGATE}": HAIKU, "": HAIKU, LONG: HAIKU}
    rules, notes = imported(api, "odd-roles", {"role_models": {**roles, "polecat": OPUS}}, {"role_models": roles})
    assert rules == {"polecat": OPUS}
    assert len(notes) == 2 * len(roles)


# ---- ids, names and beads

MADE: dict[str, tuple[str, Callable[[str], Json], Path]] = {
    "a town": ("createTown", lambda bad_id: {"townId": bad_id}, ["townId"]),
    "an imported town": ("importTown", lambda bad_id: {"townId": bad_id}, ["townId"]),
    "an imported rig": (
        "importTown",
        lambda bad_id: {"rigs": [{"rigId": bad_id, "name": "R"}]},
        ["rigs", "0", "rigId"],
    ),
    "a rig": ("registerRig", lambda bad_id: {"rigId": bad_id}, ["rigId"]),
    "a bead": ("syncBeads", lambda bad_id: {"beads": [{"beadId": bad_id}]}, ["beads", "0", "beadId"]),
}
BAD_BEADS: dict[str, tuple[Json, str, Path]] = {
    "a title of 1,001 characters": ({"title": "t" * 1001}, "INVALID_INPUT", ["title"]),
    "a title with NUL": ({"title": NUL}, "INVALID_INPUT", ["title"]),
    "a title with a lone surrogate": ({"title": SURROGATE}, "INVALID_INPUT", ["title"]),
    "an empty label": ({"labels": ["gt:held", ""]}, "INVALID_INPUT", ["labels", "1"]),
    "a label with NUL": ({"labels": [NUL]}, "INVALID_INPUT", ["labels", "0"]),
    "a label with a lone surrogate": ({"labels": [SURROGATE]}, "INVALID_INPUT", ["labels", "0"]),
    "a label of 10,000 characters": ({"labels": [LONG]}, "INVALID_INPUT", ["labels", "0"]),
    "101 labels": ({"labels": [f"l-{n}" for n in range(101)]}, "TOO_MANY", ["labels"]),
}


@pytest.mark.parametrize("mutation", ["createTown", "importTown"])
def test_town__made_twice__already_exists(api: Api, mutation: str) -> None:
    assert refused(api, mutation, {"townId": TOWN}) == [("ALREADY_EXISTS", ["townId"])]


def test_rig__made_twice__already_exists(api: Api) -> None:
    assert refused(api, "registerRig", {"rigId": RIG}) == [("ALREADY_EXISTS", ["rigId"])]


def test_bead__twice_in_a_sync__is_refused(api: Api) -> None:
    beads = [{"beadId": "new-bead"}, {"beadId": "other-bead"}, {"beadId": "new-bead"}]
    assert refused(api, "syncBeads", {"beads": beads}) == [("INVALID_INPUT", ["beads", "2", "beadId"])]


def test_bead__of_another_town__already_exists(api: Api) -> None:
    beads = [{"beadId": "new-bead"}, {"beadId": OTHERS_BEAD}]
    assert refused(api, "syncBeads", {"beads": beads}) == [("ALREADY_EXISTS", ["beads", "1", "beadId"])]


@pytest.mark.parametrize(("mutation", "given", "path"), MADE.values(), ids=MADE)
def test_id__that_is_ill_formed__is_refused_wherever_something_is_made(
    api: Api, mutation: str, given: Callable[[str], Json], path: Path
) -> None:
    found = refused_each(api, mutation, {name: given(bad_id) for name, bad_id in BAD_IDS.items()})
    assert found == all_alike(BAD_IDS, "INVALID_INPUT", *path)


@pytest.mark.parametrize("mutation", ["createTown", "importTown", "registerRig"])
def test_name__that_is_none__is_refused(api: Api, mutation: str) -> None:
    found = refused_each(api, mutation, {what: {"name": name} for what, name in BAD_NAMES.items()})
    assert found == all_alike(BAD_NAMES, "INVALID_INPUT", "name")


def test_sync_beads__with_one_bad_bead__takes_none_of_them(api: Api) -> None:
    good = {"beadId": BEAD, "status": "CLOSED"}
    syncs = {name: {"beads": [good, {"beadId": "new-bead", **bad}]} for name, (bad, _, _) in BAD_BEADS.items()}
    found = refused_each(api, "syncBeads", syncs)
    assert found == {name: [(code, ["beads", "1", *path])] for name, (_, code, path) in BAD_BEADS.items()}


def test_sync_beads__with_several_bad_beads__tells_every_problem_at_once(api: Api) -> None:
    beads = [{"beadId": "no id", "title": NUL}, {"beadId": BEAD}, {"beadId": "new-bead", "model": "", "labels": [""]}]
    assert refused(api, "syncBeads", {"beads": beads}) == [
        ("INVALID_INPUT", ["beads", "0", "beadId"]),
        ("INVALID_INPUT", ["beads", "0", "title"]),
        ("INVALID_INPUT", ["beads", "2", "labels", "0"]),
        ("INVALID_MODEL", ["beads", "2", "model"]),
    ]


@pytest.mark.parametrize(
    ("labels", "code", "path"),
    [
        pytest.param(["gt:held", NUL], "INVALID_INPUT", ["task", "labels", "1"], id="NUL"),
        pytest.param([SURROGATE], "INVALID_INPUT", ["task", "labels", "0"], id="a lone surrogate"),
        pytest.param([LONG], "INVALID_INPUT", ["task", "labels", "0"], id="10,000 characters"),
        pytest.param(["gt:held"] * 101, "TOO_MANY", ["task", "labels"], id="101 of them"),
    ],
)
def test_task__with_bad_labels__is_an_error(api: Api, labels: list[str], code: str, path: Path) -> None:
    query = "query ($t: ID!, $l: [String!]!) { taskResolution(townId: $t, task: {labels: $l}) { model } }"
    assert failed(api, query, t=TOWN, l=labels) == [(code, path)]


# ---- nothing to change


@pytest.mark.parametrize(
    ("mutation", "given", "path"),
    [
        pytest.param("publishOverrideSet", {"draft": {}}, ["draft"], id="an empty draft"),
        pytest.param("publishOverrideSet", {"draft": {"profile": None, "overrides": None}}, ["draft"], id="nulls"),
        pytest.param(
            "publishOverrideSet",
            {"draft": {"profile": "balanced", "honorBeadModels": False, "overrides": [rule(OPUS, "POLECAT")]}},
            ["draft"],
            id="what stands, spelt out",
        ),
        pytest.param("selectProfile", {"profile": "balanced"}, ["profile"], id="the profile it follows"),
        pytest.param("setOverride", {"override": rule(OPUS, "POLECAT")}, ["override"], id="an override that is set"),
        pytest.param("revertOverrideSet", {"toVersion": VERSION}, ["toVersion"], id="the version in force"),
    ],
)
def test_publish__of_what_stands_already__changes_nothing(api: Api, mutation: str, given: Json, path: Path) -> None:
    assert refused(api, mutation, given) == [("NO_CHANGE", path)]


def test_profile__of_what_it_says_already__changes_nothing(api: Api) -> None:
    query = '{ profile(name: "balanced") { current { smallModel rules { role label model } } } }'
    current = api.data(query)["profile"]["current"]
    assert refused(api, "publishProfileVersion", current) == [("NO_CHANGE", ["rules"])]


# ---- what stays legal


def test_override__of_a_removed_rig__is_carried_with_a_warning(api: Api) -> None:
    town_id = make_town(api)
    there = rule(OPUS, "POLECAT", rig="web")
    publish(api, town_id, overrides=[there])
    api.done("removeRig", townId=town_id, rigId="web")
    carried = publish(api, town_id, "warnings { code key }", overrides=[there, rule(OPUS, "MAYOR")])
    assert {"code": "RIG_REMOVED", "key": "polecat@web"} in carried["warnings"]


def test_override__of_a_removed_rig__is_not_set_anew(api: Api) -> None:
    town_id = make_town(api)
    there = rule(OPUS, "POLECAT", rig="web")
    publish(api, town_id, overrides=[there])
    api.done("removeRig", townId=town_id, rigId="web")
    base = {"townId": town_id, "expectedVersion": 2}
    anew = {"overrides": [there, rule(HAIKU, "REFINERY", rig="web")]}
    assert refused(api, "publishOverrideSet", {**base, "draft": anew}) == [
        ("UNKNOWN_RIG", ["draft", "overrides", "1", "rigId"])
    ]
    changed = {**there, "model": HAIKU}
    assert refused(api, "setOverride", {**base, "override": changed}) == [("UNKNOWN_RIG", ["override", "rigId"])]
    assert api.version(town_id) == 2


def test_revert__to_a_set_that_names_a_removed_rig__works_with_a_warning(api: Api) -> None:
    town_id = make_town(api)
    publish(api, town_id, overrides=[rule(OPUS, "POLECAT", rig="web")])
    publish(api, town_id, overrides=[])
    api.done("removeRig", townId=town_id, rigId="web")
    given = {**GOOD["revertOverrideSet"], "townId": town_id, "expectedVersion": 3, "toVersion": 2}
    payload = api.done("revertOverrideSet", "warnings { code key } overrideSet { overrides { key } }", **given)
    assert payload["warnings"] == [{"code": "RIG_REMOVED", "key": "polecat@web"}]
    assert payload["overrideSet"]["overrides"] == [{"key": "polecat@web"}]


def test_bead__in_a_rig_that_is_back__is_taken(api: Api) -> None:
    town_id = make_town(api)
    api.done("removeRig", townId=town_id, rigId="web")
    api.done("registerRig", townId=town_id, rigId="web", name="Web again")
    sync(api, town_id, {"beadId": f"{town_id}-bead", "rigId": "web"})
    query = "query ($b: ID!) { bead(beadId: $b) { rig { rigId removedAt } } }"
    assert api.data(query, b=f"{town_id}-bead")["bead"]["rig"] == {"rigId": "web", "removedAt": None}
