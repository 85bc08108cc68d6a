"""Import of a host town: settings become a profile of the town's own and overrides, and nothing resolves otherwise."""

from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.client import Api, Json
from tests.contract.recipes import unique
from tests.towns import HAIKU, KILO, OPUS, SONNET

IMPORTED: Final = """notes town {
    overrideSet { version cause honorBeadModels profile { name town { townId } } overrides { key model }
        profileVersion { version smallModel rules { key model } } }
    rigs { rigId name removedAt }
}"""


def import_town(api: Api, config: Any, rigs: dict[str, Any] | None = None, **more: Any) -> Json:
    """The payload of an import that has to succeed; rigs are given by id, with their configuration."""
    listed = [{"rigId": rig_id, "name": rig_id.title(), "config": each} for rig_id, each in (rigs or {}).items()]
    given_ = {"townId": unique("imported"), "name": "A host town", "config": config, "rigs": listed, **more}
    return api.done("importTown", f"{IMPORTED} town {{ townId }}", **given_)


def table(rules: list[Json]) -> dict[str, str]:
    return {each["key"]: each["model"] for each in rules}


def test_import__of_a_full_configuration__makes_a_profile_and_overrides_of_it(shared_api: Api) -> None:
    config = {
        "default_model": SONNET,
        "small_model": KILO,
        "role_models": {"mayor": OPUS, "polecat": KILO, "refinery": HAIKU},
        "max_polecats": 7,
        "theme": {"dark": True},
    }
    rigs = {
        "web": {"default_model": HAIKU, "role_models": {"polecat": OPUS, "refinery": SONNET}, "path": "/srv/web"},
        "api": {"default_model": OPUS},
        "docs": None,
    }
    payload = import_town(shared_api, config, rigs)
    town, made = payload["town"], payload["town"]["overrideSet"]
    assert (made["version"], made["cause"], made["honorBeadModels"]) == (1, "TOWN_CREATED", False)
    assert made["profile"] == {"name": "custom", "town": {"townId": town["townId"]}}
    version = made["profileVersion"]
    assert (version["version"], version["smallModel"]) == (1, KILO)
    assert table(version["rules"]) == {"*": SONNET, "mayor": OPUS, "polecat": KILO, "refinery": HAIKU}
    assert table(made["overrides"]) == {"*@web": HAIKU, "polecat@web": OPUS, "refinery@web": SONNET, "*@api": OPUS}
    assert town["rigs"] == [
        {"rigId": rig_id, "name": rig_id.title(), "removedAt": None} for rig_id in ("api", "docs", "web")
    ]
    assert payload["notes"] == []


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"role_models": None, "default_model": None, "small_model": None},
        {"role_models": {}, "default_model": "", "small_model": "  "},
        {"role_models": {"mayor": "", "polecat": "\t", "refinery": None}},
        {"models": {"mayor": KILO}, "Default_Model": KILO},
    ],
    ids=["empty", "nulls", "blanks", "blank_roles", "other_keys"],
)
def test_import__of_a_configuration_that_sets_nothing__leaves_the_last_resort(shared_api: Api, config: Json) -> None:
    payload = import_town(shared_api, config, {"web": config})
    made = payload["town"]["overrideSet"]
    assert (made["profileVersion"]["rules"], made["profileVersion"]["smallModel"], made["overrides"]) == ([], HAIKU, [])
    query = """query ($t: ID!) {
        taskResolution(townId: $t, task: {rigId: "web"}) { model smallModel matchedRule { source } }
    }"""
    assert shared_api.data(query, t=payload["town"]["townId"])["taskResolution"] == {
        "model": SONNET,
        "smallModel": HAIKU,
        "matchedRule": {"source": "SYSTEM_DEFAULT"},
    }


NOTED: Final[dict[str, tuple[Json, dict[str, Json], int]]] = {
    "mayor_of_a_rig": ({}, {"web": {"role_models": {"mayor": OPUS}}}, 1),
    "unknown_role_of_the_town": ({"role_models": {"triage": OPUS, "polecat": KILO}}, {}, 1),
    "unknown_role_of_a_rig": ({}, {"web": {"role_models": {"Polecat": OPUS}}}, 1),
    "each_of_several": (
        {"role_models": {"witness": OPUS}},
        {"web": {"role_models": {"mayor": OPUS, "deacon": KILO}}, "api": {"role_models": {"mayor": KILO}}},
        4,
    ),
}


@pytest.mark.parametrize(("config", "rigs", "notes"), NOTED.values(), ids=NOTED)
def test_import__of_what_has_no_place_here__is_told_in_notes(
    shared_api: Api, config: Json, rigs: dict[str, Json], notes: int
) -> None:
    payload = import_town(shared_api, config, rigs)
    assert len(set(payload["notes"])) == notes
    made = payload["town"]["overrideSet"]
    assert OPUS not in {*table(made["overrides"]).values(), *table(made["profileVersion"]["rules"]).values()}


def test_import__of_models_that_are_not_registered__registers_them(shared_api: Api) -> None:
    small, own, of_rig = (unique("imported/model") for _ in range(3))
    config = {"small_model": small, "role_models": {"mayor": own, "polecat": OPUS}}
    import_town(shared_api, config, {"web": {"default_model": of_rig}})
    registered = {each["modelId"] for each in shared_api.data("{ models { modelId } }")["models"]}
    assert {small, own, of_rig} <= registered
    entry = shared_api.entries(None, "action after")[0]
    assert (entry["action"], set(entry["after"])) == ("MODELS_REGISTERED", {small, own, of_rig})


def test_import__of_a_town_that_goes_on__is_published_in_like_any_other(shared_api: Api) -> None:
    payload = import_town(shared_api, {"role_models": {"mayor": OPUS}}, {"web": {"default_model": KILO}})
    town_id = payload["town"]["townId"]
    given_ = {"townId": town_id, "name": "custom", "expectedVersion": 1, "smallModel": HAIKU, "reason": "A test."}
    rules = [{"role": "MAYOR", "model": KILO}]
    shared_api.done("publishProfileVersion", **given_, rules=rules)
    query = """query ($t: ID!) { town(townId: $t) {
        overrideSet { version cause overrides { key model } } mayor { desired { model } }
    } }"""
    assert shared_api.data(query, t=town_id)["town"] == {
        "overrideSet": {"version": 2, "cause": "PROFILE_UPDATED", "overrides": [{"key": "*@web", "model": KILO}]},
        "mayor": {"desired": {"model": KILO}},
    }


REFUSED: Final[dict[str, tuple[Json, list[tuple[str, list[str]]]]]] = {
    "list": ({"config": []}, [("INVALID_INPUT", ["config"])]),
    "roles": ({"config": {"role_models": [OPUS]}}, [("INVALID_INPUT", ["config", "role_models"])]),
    "number": ({"config": {"default_model": 4.7}}, [("INVALID_INPUT", ["config", "default_model"])]),
    "model": ({"config": {"small_model": "two words"}}, [("INVALID_MODEL", ["config", "small_model"])]),
    "several": (
        {
            "config": {"role_models": {"mayor": "two words", "polecat": True}},
            "rigs": [{"rigId": "web", "name": "Web", "config": "none"}, {"rigId": "web", "name": " "}],
        },
        [
            ("INVALID_INPUT", ["config", "role_models", "polecat"]),
            ("INVALID_INPUT", ["rigs", "0", "config"]),
            ("INVALID_INPUT", ["rigs", "1", "name"]),
            ("INVALID_INPUT", ["rigs", "1", "rigId"]),
            ("INVALID_MODEL", ["config", "role_models", "mayor"]),
        ],
    ),
}


@pytest.mark.parametrize(("given_", "expected"), REFUSED.values(), ids=REFUSED)
def test_import__of_what_is_no_configuration__is_refused_and_makes_no_town(
    shared_api: Api, given_: Json, expected: list[tuple[str, list[str]]]
) -> None:
    town_id = unique("imported")
    refused = shared_api.refusals("importTown", **{"townId": town_id, "name": "A host town", "rigs": [], **given_})
    assert sorted(refused) == expected
    assert shared_api.data("query ($t: ID!) { town(townId: $t) { id } }", t=town_id) == {"town": None}


def test_import__over_a_town_that_is_there__is_refused(shared_api: Api) -> None:
    town_id = import_town(shared_api, {})["town"]["townId"]
    refused = shared_api.refusals("importTown", townId=town_id, name="Again", config={}, rigs=[])
    assert refused == [("ALREADY_EXISTS", ["townId"])]


# ---------------------------------------------------------------- any configuration

ROLES: Final = ("MAYOR", "POLECAT", "REFINERY")
choices = st.sampled_from([None, "", "  ", OPUS, SONNET, HAIKU, KILO, "qwen/qwen3-coder:free"])
role_choices = st.dictionaries(st.sampled_from(["mayor", "polecat", "refinery", "triage"]), choices, max_size=4)
configs = st.fixed_dictionaries(
    {}, optional={"default_model": choices, "small_model": choices, "role_models": role_choices}
)


def first_set(*models: str | None) -> str:
    """The first of the models that is set, else the host's built-in one."""
    return next((model for model in models if model is not None and model.strip()), SONNET)


def host_resolves(town: Json, rig: Json, role: str) -> str:
    """The host's own order. Its mayor works for the town and knows no rigs."""
    name = role.lower()
    of_town, of_rig = town.get("role_models", {}).get(name), rig.get("role_models", {}).get(name)
    if role == "MAYOR":
        return first_set(of_town, town.get("default_model"))
    return first_set(of_rig, of_town, rig.get("default_model"), town.get("default_model"))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(config=configs, rigs=st.fixed_dictionaries({"web": configs, "api": configs}))
def test_import__of_any_configuration__resolves_every_role_in_every_rig_as_the_host(
    shared_api: Api, config: Json, rigs: dict[str, Json]
) -> None:
    town_id = import_town(shared_api, config, rigs)["town"]["townId"]
    tasks = [(rig_id, role) for rig_id in (None, *rigs) for role in ROLES]
    inputs: Json = {f"t{number}": {"rigId": rig_id, "role": role} for number, (rig_id, role) in enumerate(tasks)}
    declared = "".join(f", ${alias}: TaskInput!" for alias in inputs)
    asked = " ".join(f"{alias}: taskResolution(townId: $t, task: ${alias}) {{ model smallModel }}" for alias in inputs)
    query = f"query ($t: ID!{declared}) {{ {asked} town(townId: $t) {{ mayor {{ desired {{ model smallModel }} }} }} }}"
    found = shared_api.data(query, t=town_id, **inputs)
    small_model = config.get("small_model")
    small = small_model if small_model is not None and small_model.strip() else HAIKU
    expected = [
        {"model": host_resolves(config, {} if rig_id is None else rigs[rig_id], role), "smallModel": small}
        for rig_id, role in tasks
    ]
    assert [found[alias] for alias in inputs] == expected
    assert found["town"]["mayor"]["desired"] == expected[0]
