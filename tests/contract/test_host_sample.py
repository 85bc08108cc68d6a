"""The host's own answers, computed by its real code: after an import Townclerk gives the same ones.

Where the host is asked without a role it knows, it falls back to the rig's default and the town's. Townclerk answers
that for a town only (`Town.defaultResolution`), so the rows of such roles in a rig are left out.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.client import Api, Json
from tests.sizes import sized

AT_ONCE = 20  # root fields that a document may have
SAMPLES = Path(__file__).parents[1] / "host_sample"
ROLES = ("mayor", "polecat", "refinery")
LAST_RESORT = {"model": "anthropic/claude-sonnet-4.6", "smallModel": "anthropic/claude-haiku-4.5"}
RIG = "rig"
NUMBERS = itertools.count(1)
EACH = sized("host_rows_apart", quick=3, ci=1)  # every third row is put to the test, or every one


def sample(name: str) -> list[Json]:
    return [json.loads(line) for line in (SAMPLES / name).read_text(encoding="utf-8").splitlines()]


RESOLUTIONS = sample("host_resolutions_sample.jsonl")
RESTARTS = sample("host_mayor_restarts_sample.jsonl")


def rows_to_ask(role: str) -> list[Json]:
    """The rows of a role that Townclerk has an answer for."""
    return [row for row in RESOLUTIONS if row["role"] == role and (role in ROLES or row["rig"] is None)]


@pytest.mark.parametrize(
    ("role", "rows"), [("mayor", 49), ("polecat", 49), ("refinery", 43), ("", 9), ("unknown", 7), ("triage", 6)]
)
def test_import__town_of_the_host__resolves_as_on_the_host(shared_api: Api, role: str, rows: int) -> None:
    assert len(rows_to_ask(role)) == rows
    asked = rows_to_ask(role)[::EACH]
    towns = import_towns(shared_api, [row["town"] for row in asked], [row["rig"] for row in asked])
    if role in ROLES:
        tasks = [{"role": role.upper(), "rigId": None if row["rig"] is None else RIG} for row in asked]
        field = "taskResolution(townId: $town{n}, task: $task{n}) {{ model smallModel }}"
        found = ask(shared_api, field, town=("ID!", towns), task=("TaskInput!", tasks))
    else:
        field = "town(townId: $town{n}) {{ defaultResolution {{ model smallModel }} }}"
        found = [each["defaultResolution"] for each in ask(shared_api, field, town=("ID!", towns))]
    assert found == [{"model": row["model"], "smallModel": row["small_model"]} for row in asked]


def test_sample__of_the_hosts_resolutions__is_asked_but_for_rigs_without_a_known_role() -> None:
    asked = sum(len(rows_to_ask(role)) for role in {row["role"] for row in RESOLUTIONS})
    assert (asked, len(RESOLUTIONS) - asked) == (163, 137)


def test_import__then_other_settings_published__moves_the_mayor_where_its_effective_pair_differs(
    shared_api: Api,
) -> None:
    rows = RESTARTS[::EACH]
    register(shared_api, {model for row in rows for model in models_of(row["after"])})
    towns = import_towns(shared_api, [row["before"] for row in rows])
    assert publish_settings(shared_api, towns, [row["after"] for row in rows]) == [expected_move(row) for row in rows]


def test_sample__of_the_hosts_restarts__restarts_in_six_cases_where_the_effective_pair_stays() -> None:
    assert sum(expected_move(row) is not None for row in RESTARTS) == 57
    unlike_the_host = [row for row in RESTARTS if row["mayor_model_changed"] is not (expected_move(row) is not None)]
    assert len(unlike_the_host) == 6
    for row in unlike_the_host:  # the host restarts where what was the default is spelt out, or no longer is
        assert row["mayor_model_changed"]
        assert mayor_pair(row["before"]) == mayor_pair(row["after"])


def import_towns(api: Api, configs: Sequence[Json], rigs: Sequence[Json | None] = ()) -> list[str]:
    """The ids of the towns made of the host's configurations; each has a rig where one is given."""
    inputs = [
        {
            "townId": f"host-{next(NUMBERS)}",
            "name": "Host",
            "config": config,
            "rigs": [] if rig is None else [{"rigId": RIG, "name": "Rig", "config": rig}],
        }
        for config, rig in itertools.zip_longest(configs, rigs)
    ]
    field = "importTown(input: $input{n}) {{ town {{ townId }} userErrors {{ code path }} }}"
    made = ask(api, field, "mutation", input=("ImportTownInput!", inputs))
    assert [payload["userErrors"] for payload in made] == [[]] * len(made)
    return [payload["town"]["townId"] for payload in made]


def publish_settings(api: Api, towns: Sequence[str], configs: Sequence[Json]) -> list[tuple[Json, Json] | None]:
    """What each town's mayor moved from and to with its new settings; None where it did not move."""
    inputs = [
        {
            "name": "custom",
            "townId": town_id,
            "expectedVersion": 1,
            "smallModel": config.get("small_model") or LAST_RESORT["smallModel"],
            "rules": rules_of(config),
            "reason": "The host's settings changed.",
        }
        for town_id, config in zip(towns, configs, strict=True)
    ]
    field = "publishProfileVersion(input: $input{n}) {{ mayorRestartsSignalled userErrors {{ code }} }}"
    published = ask(api, field, "mutation", input=("PublishProfileVersionInput!", inputs))
    pair = "{{ model smallModel }}"
    detection = f"mayorChanged mayorBefore {pair} mayorAfter {pair} signal {{{{ sequence }}}}"
    field = f"town(townId: $town{{n}}) {{{{ overrideSet {{{{ version changeDetection {{{{ {detection} }}}} }}}} }}}}"
    moves: list[tuple[Json, Json] | None] = []
    for payload, town in zip(published, ask(api, field, town=("ID!", towns)), strict=True):
        detected = town["overrideSet"]["changeDetection"]
        if detected is None:  # the settings came to the same rules
            assert payload["userErrors"] == [{"code": "NO_CHANGE"}]
            moves.append(None)
            continue
        assert payload == {"mayorRestartsSignalled": int(detected["mayorChanged"]), "userErrors": []}
        assert detected["signal"] == ({"sequence": 1} if detected["mayorChanged"] else None)
        moves.append((detected["mayorBefore"], detected["mayorAfter"]) if detected["mayorChanged"] else None)
    return moves


def ask(api: Api, field: str, operation: str = "query", **variables: tuple[str, Sequence[Any]]) -> list[Any]:
    """`field` for each value of the variables (by name: type and values), as many a request as it may hold."""
    found: list[Any] = []
    count = len(next(iter(variables.values()))[1])
    for begin in range(0, count, AT_ONCE):
        numbers = range(begin, min(begin + AT_ONCE, count))
        declared = ", ".join(f"${name}{n}: {kind}" for name, (kind, _) in variables.items() for n in numbers)
        fields = " ".join(f"it{n}: {field.format(n=n)}" for n in numbers)
        given = {f"{name}{n}": values[n] for name, (_, values) in variables.items() for n in numbers}
        answer = api.data(f"{operation} ({declared}) {{ {fields} }}", **given)
        found += [answer[f"it{n}"] for n in numbers]
    return found


def expected_move(row: Mapping[str, Any]) -> tuple[Json, Json] | None:
    before, after = mayor_pair(row["before"]), mayor_pair(row["after"])
    return None if before == after else (before, after)


def mayor_pair(config: Mapping[str, Any]) -> Json:
    """What the host's mayor runs on: its role's model, else the town's default, else the built-in one."""
    model = config.get("role_models", {}).get("mayor") or config.get("default_model") or LAST_RESORT["model"]
    return {"model": model, "smallModel": config.get("small_model") or LAST_RESORT["smallModel"]}


def rules_of(config: Mapping[str, Any]) -> list[Json]:
    """A host's settings as the rules of a profile."""
    models = {None: config.get("default_model")} | {role: config.get("role_models", {}).get(role) for role in ROLES}
    return [{"role": role and role.upper(), "model": model} for role, model in models.items() if model]


def models_of(config: Mapping[str, Any]) -> Iterator[str]:
    yield from (rule["model"] for rule in rules_of(config))
    yield config.get("small_model") or LAST_RESORT["smallModel"]


def register(api: Api, models: set[str]) -> None:
    drafts = [{"modelId": model} for model in sorted(models)]
    query = "mutation ($m: [ModelInput!]!) { registerModels(models: $m) { userErrors { code } } }"
    assert api.data(query, m=drafts)["registerModels"]["userErrors"] == []
