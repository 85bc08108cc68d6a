"""The catalogues: labels in their order, models registered and deprecated. Neither changes a resolution."""

from typing import Any, Final

import pytest

from tests.client import Api, Json
from tests.contract.recipes import Call, codes, send, unique
from tests.towns import HAIKU, KILO, OPUS, SONNET, make_town, publish, rule

LABELS: Final = [
    "gt:triage",
    "gt:pr-conflict",
    "gt:rework",
    "gt:pr-feedback",
    "gt:pr-fixup",
    "gt:escalation",
    "gt:merge-request",
    "gt:convoy",
    "gt:molecule",
    "gt:message",
    "gt:held",
]
MODEL: Final = "modelId displayName deprecatedAt replacedBy"


def register(api: Api, *models: Json) -> Json:
    call = Call(town_id="", arguments={"models": list(models)})
    return send(api, "registerModels", call, f"models {{ {MODEL} }}")


def listed(api: Api, *, deprecated: bool) -> dict[str, Json]:
    """The models that the catalogue shows, by id."""
    query = f"query ($all: Boolean!) {{ models(includeDeprecated: $all) {{ {MODEL} }} }}"
    return {model["modelId"]: model for model in api.data(query, all=deprecated)["models"]}


def new_model(api: Api, **fields: Any) -> str:
    model = unique("some/model")
    assert codes(register(api, {"modelId": model, **fields})) == []
    return model


def test_labels__of_the_catalogue__stand_in_order_of_precedence(shared_api: Api) -> None:
    labels = shared_api.data("{ labels { name precedence description } }")["labels"]
    assert [label["name"] for label in labels] == LABELS
    assert [label["precedence"] for label in labels] == sorted({label["precedence"] for label in labels})
    assert all(label["description"] for label in labels)


def test_models__of_a_new_database__are_the_four_seeded(api: Api) -> None:
    models = listed(api, deprecated=True)
    assert set(models) == {OPUS, SONNET, HAIKU, KILO}
    assert all(model["displayName"] and model["deprecatedAt"] is None for model in models.values())


def test_register__of_new_models__answers_with_them_in_the_order_sent(shared_api: Api) -> None:
    named, plain = unique("some/model"), unique("some/model")
    payload = register(shared_api, {"modelId": named, "displayName": "Namé"}, {"modelId": plain}, {"modelId": OPUS})
    assert [model["modelId"] for model in payload["models"]] == [named, plain, OPUS]
    assert (payload["models"][0]["displayName"], codes(payload)) == ("Namé", [])
    assert set(listed(shared_api, deprecated=False)) >= {named, plain}


def test_register__of_one_that_is_there__renames_it_where_a_name_is_given(shared_api: Api) -> None:
    model = new_model(shared_api, displayName="First name")
    given: tuple[Json, ...] = ({}, {"displayName": "Second name"}, {"displayName": None})
    names = [register(shared_api, {"modelId": model, **more})["models"][0]["displayName"] for more in given]
    assert names == ["First name", "Second name", "Second name"]


def test_register__with_one_that_is_wrong__registers_none(shared_api: Api) -> None:
    good = unique("some/model")
    payload = register(shared_api, {"modelId": good}, {"modelId": "two words"}, {"modelId": good})
    assert [(error["code"], error["path"]) for error in payload["userErrors"]] == [
        ("INVALID_MODEL", ["models", "1", "modelId"]),
        ("INVALID_INPUT", ["models", "2", "modelId"]),
    ]
    assert (payload["models"], good in listed(shared_api, deprecated=True)) == ([], False)


def test_deprecate__of_a_model__hides_it_from_the_plain_list(shared_api: Api) -> None:
    model = new_model(shared_api)
    fields = f"models {{ {MODEL} }}"
    payload = shared_api.done("deprecateModel", fields, modelId=model, replacedBy=OPUS, reason="Too old.")
    (told,) = payload["models"]
    assert (told["deprecatedAt"] is None, told["replacedBy"]) == (False, OPUS)
    assert model not in listed(shared_api, deprecated=False)
    assert listed(shared_api, deprecated=True)[model] == told


def test_deprecate__in_favour_of_another_model__keeps_its_instant(shared_api: Api) -> None:
    model = new_model(shared_api)
    shared_api.done("deprecateModel", modelId=model)
    before = listed(shared_api, deprecated=True)[model]
    shared_api.done("deprecateModel", modelId=model, replacedBy=OPUS)
    assert listed(shared_api, deprecated=True)[model] == {**before, "replacedBy": OPUS}


REFUSED: Final[dict[str, tuple[Json, tuple[str, list[str]]]]] = {
    "unknown": ({"modelId": "some/unknown"}, ("UNKNOWN_MODEL", ["modelId"])),
    "malformed": ({"modelId": "two words"}, ("INVALID_MODEL", ["modelId"])),
    "by_an_unknown_one": ({"replacedBy": "some/unknown"}, ("UNKNOWN_MODEL", ["replacedBy"])),
    "by_itself": ({"replacedBy": "SELF"}, ("INVALID_INPUT", ["replacedBy"])),
    "blank_reason": ({"reason": " "}, ("INVALID_INPUT", ["reason"])),
}


@pytest.mark.parametrize(("fields", "refusal"), REFUSED.values(), ids=REFUSED)
def test_deprecate__of_what_can_not_be__is_refused(
    shared_api: Api, fields: Json, refusal: tuple[str, list[str]]
) -> None:
    model = new_model(shared_api)
    given = {"modelId": model, **{name: model if value == "SELF" else value for name, value in fields.items()}}
    assert shared_api.refusals("deprecateModel", **given) == [refusal]
    assert model in listed(shared_api, deprecated=False)


def test_deprecate__twice_alike__is_no_change(shared_api: Api) -> None:
    model = new_model(shared_api)
    shared_api.done("deprecateModel", modelId=model, replacedBy=OPUS)
    refused = shared_api.refusals("deprecateModel", modelId=model, replacedBy=OPUS)
    assert [code for code, _ in refused] == ["NO_CHANGE"]


def test_register__of_a_deprecated_model__brings_it_back(shared_api: Api) -> None:
    model = new_model(shared_api)
    shared_api.done("deprecateModel", modelId=model, replacedBy=OPUS)
    (told,) = register(shared_api, {"modelId": model})["models"]
    assert (told["deprecatedAt"], told["replacedBy"]) == (None, None)
    assert model in listed(shared_api, deprecated=False)


def test_deprecate__of_a_model_in_use__changes_no_resolution_and_no_version(shared_api: Api) -> None:
    model, town_id = new_model(shared_api), make_town(shared_api, rigs=())
    publish(shared_api, town_id, overrides=[rule(model, "MAYOR"), rule(model, "POLECAT")])
    query = """query ($t: ID!) {
        taskResolution(townId: $t, task: {}) { model fingerprint overrideSetVersion considered { key model outcome } }
        town(townId: $t) { mayor { desired { model } restartRequired signal { sequence } } }
    }"""
    before = shared_api.data(query, t=town_id)
    shared_api.done("deprecateModel", modelId=model, replacedBy=OPUS)
    assert shared_api.data(query, t=town_id) == before
