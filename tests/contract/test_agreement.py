"""Over the API: a resolution reads the same whichever way it is asked for, and changes come and go with their rules.

The core's own properties are in `test_core.py`, with many more examples; these go through HTTP and a database.
"""

import itertools
import json
from random import Random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.client import Api, Json
from tests.property.strategies import RIGS, override_rule, questions, tasks
from tests.reference import ProfileJson, Question, RuleJson, TaskJson, fits
from tests.sizes import sized
from tests.towns import configure, make_own_profile, make_town, sync

FEW: Final = settings(
    max_examples=sized("examples", quick=3, ci=6, full=50), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
NUMBERS: Final = itertools.count(1)
RESOLUTION: Final = """
fragment resolution on Resolution {
  townId beadId role model smallModel because overrideSetVersion profileName profileVersion fingerprint
  matchedRule { source key title role label rigId model specificity }
  considered { source key title model outcome }
}
"""
CHANGES: Final = """
fragment changes on ChangeDetection {
  mayorChanged mayorRestartRequired mayorBefore { model smallModel } mayorAfter { model smallModel } changedBeadCount
  changedBeads(first: 200) { edges { node { bead { beadId } before { ...answer } after { ...answer } } } }
}
fragment answer on Resolution { model overrideSetVersion matchedRule { source key } }
"""
PREVIEW: Final = f"""
query ($town: ID!, $bead: ID!, $task: TaskInput!, $draft: OverrideSetDraft!) {{
  preview(townId: $town, draft: $draft) {{
    userErrors {{ code }} warnings {{ code key message }}
    effectiveRules {{ source rule {{ key model }} replaces {{ key model }} }}
    changeDetection {{ ...changes }}
    resolution(beadId: $bead) {{ ...resolution }}
    taskResolution(task: $task) {{ ...resolution }}
  }}
}}
{CHANGES}{RESOLUTION}
"""
NOW: Final = f"""
query ($town: ID!, $bead: ID!, $task: TaskInput!) {{
  town(townId: $town) {{
    warnings {{ code key message }}
    effectiveRules {{ source rule {{ key model }} replaces {{ key model }} }}
    overrideSet {{ version changeDetection {{ ...changes }} }}
  }}
  resolution(beadId: $bead) {{ ...resolution }}
  taskResolution(townId: $town, task: $task) {{ ...resolution }}
}}
{CHANGES}{RESOLUTION}
"""
EVERY_WAY: Final = f"""
query ($town: ID!, $bead: ID!, $task: TaskInput!) {{
  resolution(beadId: $bead) {{ ...resolution }}
  resolutions(beadIds: [$bead]) {{ resolution {{ ...resolution }} }}
  taskResolution(townId: $town, task: $task) {{ ...resolution }}
  bead(beadId: $bead) {{ resolution {{ ...resolution }} }}
  preview(townId: $town, draft: {{}}) {{
    resolution(beadId: $bead) {{ ...resolution }}
    taskResolution(task: $task) {{ ...resolution }}
  }}
}}
{RESOLUTION}
"""

shipped_questions = questions.filter(lambda question: isinstance(question["profile"], str))
some_tasks = st.lists(tasks, min_size=3, max_size=3)


@pytest.fixture(scope="module")
def town(shared_api: Api) -> str:
    """A town that takes on one configuration after another; all rigs of the strategies are there."""
    return make_town(shared_api, rigs=(*RIGS, "docs"))


@pytest.fixture(scope="module")
def other_town(shared_api: Api) -> str:
    return make_town(shared_api, rigs=(*RIGS, "docs"))


@FEW
@given(questions, some_tasks)
def test_resolution__asked_for_in_every_way__reads_the_same(
    shared_api: Api, town: str, question: Question, work: list[TaskJson]
) -> None:
    set_up(shared_api, town, question)
    for task in work:
        bead = make_bead(shared_api, town, task)
        found = shared_api.data(EVERY_WAY, town=town, bead=bead, task=task)
        of_the_bead = [
            found["resolution"],
            found["resolutions"][0]["resolution"],
            found["bead"]["resolution"],
            found["preview"]["resolution"],
        ]
        of_the_task = [found["taskResolution"], found["preview"]["taskResolution"]]
        assert {answer.pop("beadId") for answer in of_the_bead} == {bead}
        assert {answer.pop("beadId") for answer in of_the_task} == {None}
        assert len({json.dumps(answer) for answer in (*of_the_bead, *of_the_task)}) == 1


@FEW
@given(questions, questions, tasks)
def test_preview__of_any_draft__tells_what_publishing_it_does(
    shared_api: Api, town: str, question: Question, other: Question, task: TaskJson
) -> None:
    set_up(shared_api, town, question)
    bead = make_bead(shared_api, town, task)
    base = shared_api.version(town)
    other = ready(shared_api, town, other)
    previewed = shared_api.data(PREVIEW, town=town, bead=bead, task=task, draft=draft_of(other))["preview"]
    configure(shared_api, town, other)
    found = shared_api.data(NOW, town=town, bead=bead, task=task)
    override_set = found["town"].pop("overrideSet")
    if override_set["version"] == base:  # the draft said what stood already
        assert not previewed["changeDetection"]["mayorChanged"]
        assert previewed["changeDetection"]["changedBeadCount"] == 0
    else:
        assert json.dumps(previewed["changeDetection"]) == json.dumps(override_set["changeDetection"])
    del previewed["changeDetection"]
    asked = {"resolution": found["resolution"], "taskResolution": found["taskResolution"]}
    assert previewed == {"userErrors": [], **found["town"], **asked}


@FEW
@given(shipped_questions, st.randoms(use_true_random=False), tasks)
def test_overrides__published_in_another_order__make_the_same_set(
    shared_api: Api, town: str, other_town: str, question: Question, random: Random, task: TaskJson
) -> None:
    shuffled = list(question["overrides"])
    random.shuffle(shuffled)
    configure(shared_api, town, question)
    configure(shared_api, other_town, {**question, "overrides": shuffled})
    assert content_hash(shared_api, town) == content_hash(shared_api, other_town)
    as_given, as_shuffled = (answers(shared_api, it, [task], leave_out=("townId",)) for it in (town, other_town))
    assert as_given == as_shuffled


@FEW
@given(questions, override_rule, some_tasks)
def test_override__set_and_removed__leaves_the_old_answers(
    shared_api: Api, town: str, question: Question, rule: RuleJson, work: list[TaskJson]
) -> None:
    set_up(shared_api, town, without(question, rule))
    hash_before, before = content_hash(shared_api, town), answers(shared_api, town, work)
    change(shared_api, "setOverride", town, override=rule)
    assert content_hash(shared_api, town) != hash_before
    change(shared_api, "removeOverride", town, **key_of(rule))
    assert content_hash(shared_api, town) == hash_before
    assert answers(shared_api, town, work) == before


@FEW
@given(questions, questions, some_tasks)
def test_revert__after_any_publish__brings_back_the_old_rules(
    shared_api: Api, town: str, question: Question, other: Question, work: list[TaskJson]
) -> None:
    set_up(shared_api, town, question)
    version, hash_before, before = (
        shared_api.version(town),
        content_hash(shared_api, town),
        answers(shared_api, town, work),
    )
    set_up(shared_api, town, {**other, "honorBeadModels": not question["honorBeadModels"]})
    change(shared_api, "revertOverrideSet", town, toVersion=version)
    assert content_hash(shared_api, town) == hash_before
    assert answers(shared_api, town, work) == before


@FEW
@given(questions, override_rule, tasks)
def test_override__that_does_not_fit_a_task__leaves_its_answer(
    shared_api: Api, town: str, question: Question, rule: RuleJson, task: TaskJson
) -> None:
    assume(not fits(rule, task))
    set_up(shared_api, town, without(question, rule))
    account = ("considered",)
    before = answers(shared_api, town, [task], leave_out=account)
    change(shared_api, "setOverride", town, override=rule)
    assert answers(shared_api, town, [task], leave_out=account) == before


@FEW
@given(questions, some_tasks)
def test_mayor__whatever_is_known_of_its_task__runs_on_the_same_pair(
    shared_api: Api, town: str, question: Question, work: list[TaskJson]
) -> None:
    set_up(shared_api, town, question)
    mayors: list[TaskJson] = [{**task, "role": "MAYOR"} for task in work]
    query = "query ($t: ID!) { town(townId: $t) { mayor { desired { model smallModel fingerprint } } } }"
    desired = shared_api.data(query, t=town)["town"]["mayor"]["desired"]
    beads = [make_bead(shared_api, town, task) for task in mayors]
    query = "query ($ids: [ID!]!) { resolutions(beadIds: $ids) { resolution { model smallModel fingerprint } } }"
    of_beads = shared_api.data(query, ids=beads)["resolutions"]
    of_tasks = answers(shared_api, town, mayors)
    assert [answer["resolution"] for answer in of_beads] == [desired] * len(beads)
    assert [{name: answer[name] for name in desired} for answer in of_tasks] == [desired] * len(mayors)
    assert len({json.dumps(answer["matchedRule"]) for answer in of_tasks}) == 1


def ready(api: Api, town_id: str, question: Question) -> Question:
    """The question with its profile made in the town, under a name of its own, where none is shipped."""
    profile = question["profile"]
    if isinstance(profile, str):
        return question
    named: ProfileJson = {**profile, "name": f"custom-{next(NUMBERS)}"}
    make_own_profile(api, town_id, named)
    return {**question, "profile": named}


def set_up(api: Api, town_id: str, question: Question) -> None:
    configure(api, town_id, ready(api, town_id, question))


def draft_of(question: Question) -> Json:
    profile = question["profile"]
    name = profile if isinstance(profile, str) else profile["name"]
    return {"profile": name, "honorBeadModels": question["honorBeadModels"], "overrides": question["overrides"]}


def make_bead(api: Api, town_id: str, task: TaskJson) -> str:
    bead_id = f"{town_id}-bead-{next(NUMBERS)}"
    sync(api, town_id, {"beadId": bead_id, **task})
    return bead_id


def change(api: Api, mutation: str, town_id: str, **given_fields: Any) -> None:
    version = api.version(town_id)
    api.done(mutation, townId=town_id, expectedVersion=version, reason="A test says so.", **given_fields)


def key_of(rule: RuleJson) -> Json:
    return {"role": rule["role"], "label": rule["label"], "rigId": rule["rigId"]}


def without(question: Question, rule: RuleJson) -> Question:
    """The question without an override for the key of `rule`."""
    return {**question, "overrides": [each for each in question["overrides"] if key_of(each) != key_of(rule)]}


def content_hash(api: Api, town_id: str) -> str:
    query = "query ($t: ID!) { town(townId: $t) { overrideSet { contentHash } } }"
    found: str = api.data(query, t=town_id)["town"]["overrideSet"]["contentHash"]
    return found


def answers(api: Api, town_id: str, work: list[TaskJson], leave_out: tuple[str, ...] = ()) -> list[Json]:
    """What the town answers to each task, whichever version of its set says so."""
    query = "query ($t: ID!, $task: TaskInput!) { it: taskResolution(townId: $t, task: $task) { ...resolution } }"
    found: list[Json] = [api.data(query + RESOLUTION, t=town_id, task=task)["it"] for task in work]
    hidden = {"overrideSetVersion", *leave_out}
    return [{name: value for name, value in answer.items() if name not in hidden} for answer in found]
