"""Every decision of the corpus, asked over GraphQL; `tests/unit/test_corpus.py` asks the core."""

import json
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import pytest

from tests.client import Api
from tests.corpus import cases_by_id
from tests.reference import Answer, Case, ProfileJson
from tests.towns import configure, make_own_profile, make_town

AT_ONCE = 19  # with the default of the town as many as the root fields that an operation may ask for
ANSWER = """
fragment answer on Resolution {
  role model smallModel because
  matchedRule { source key title role label rigId model specificity }
  considered { source key title model outcome }
  fingerprint
}
"""


def by_configuration() -> dict[str, dict[str, Case]]:
    """The cases, those with the same configuration together: they are asked of one town."""
    groups: dict[str, dict[str, Case]] = {}
    for name, case in cases_by_id().items():
        configuration = json.dumps([case["profile"], case["honorBeadModels"], case["overrides"]], sort_keys=True)
        groups.setdefault(configuration, {})[name] = case
    return {f"{next(iter(group))} (+{len(group) - 1})": group for group in groups.values()}


GROUPS = by_configuration()


@pytest.fixture(scope="module")
def town_for(shared_api: Api) -> Callable[[ProfileJson | str], str]:
    """Gives the town that serves a profile; each configuration over it becomes the town's next version."""
    towns: dict[str, str] = {}

    def town(profile: ProfileJson | str) -> str:
        key = json.dumps(profile, sort_keys=True)
        if key not in towns:
            towns[key] = make_town(shared_api)
            if not isinstance(profile, str):
                make_own_profile(shared_api, towns[key], profile)
        return towns[key]

    return town


@pytest.mark.parametrize("group", GROUPS.values(), ids=GROUPS.keys())
def test_town__configured_as_cases_of_the_corpus__gives_their_answers(
    shared_api: Api, town_for: Callable[[ProfileJson | str], str], group: dict[str, Case]
) -> None:
    configuration = next(iter(group.values()))
    town_id = town_for(configuration["profile"])
    configure(shared_api, town_id, configuration)
    assert answers(shared_api, town_id, group) == {name: case["expected"] for name, case in group.items()}


def test_corpus__grouped__is_all_there() -> None:
    assert sum(len(group) for group in GROUPS.values()) == len(cases_by_id())


def answers(api: Api, town_id: str, cases: Mapping[str, Case]) -> dict[str, Answer]:
    """What the town answers to each case, as many a request as it may hold."""
    begins = range(0, len(cases), AT_ONCE)
    parts = [dict(islice(cases.items(), begin, begin + AT_ONCE)) for begin in begins]
    return {name: answer for part in parts for name, answer in answers_at_once(api, town_id, part).items()}


def answers_at_once(api: Api, town_id: str, cases: Mapping[str, Case]) -> dict[str, Answer]:
    """What the town answers to each case: to its task, or where it has none as the dispatch-agnostic default."""
    tasks = {f"task{number}": case["task"] for number, case in enumerate(cases.values())}
    asked: dict[str, Any] = {alias: task for alias, task in tasks.items() if task is not None}
    declared = "".join(f", ${alias}: TaskInput!" for alias in asked)
    fields = "".join(f" {alias}: taskResolution(townId: $town, task: ${alias}) {{ ...answer }}" for alias in asked)
    default = "town(townId: $town) { defaultResolution { ...answer } }"
    found = api.data(f"query ($town: ID!{declared}) {{ {default}{fields} }}{ANSWER}", town=town_id, **asked)
    return {
        name: found.get(alias, found["town"]["defaultResolution"]) for name, alias in zip(cases, tasks, strict=True)
    }
