"""Many writers at once: one winner for each version and each id, nobody gets a malfunction for an answer.

Every request goes through `Api.data`, which fails the test on any GraphQL error; so nothing here may end in one.
"""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import pytest

from tests.client import Api, Json, serving
from tests.contract.recipes import (
    REASON,
    RECIPES,
    Call,
    at_once,
    codes,
    followed_profile,
    profile_input,
    send,
    unique,
)
from tests.databases import Databases
from tests.sizes import sized
from tests.towns import HAIKU, KILO, OPUS, SONNET, make_town, rule

WRITERS: Final = 32


@pytest.fixture(scope="module")
def apis(backend: str, databases: Databases) -> Iterator[list[Api]]:
    """Two applications over one database."""
    url = databases.fresh(backend)
    with serving(url) as one, serving(url) as other:
        yield [one, other]


def reads_back(api: Api, town_id: str) -> tuple[list[int], list[int], set[str]]:
    """Versions and sequences of a town, oldest first, and what its entries after the first say was done."""
    query = """query ($t: ID!) { town(townId: $t) {
        overrideSets(first: 200) { edges { node { version } } }
        auditEntries(first: 200) { edges { node { sequence action } } }
    } }"""
    town = api.data(query, t=town_id)["town"]
    sets = [edge["node"]["version"] for edge in town["overrideSets"]["edges"]][::-1]
    entries = [edge["node"] for edge in town["auditEntries"]["edges"]][::-1]
    return sets, [entry["sequence"] for entry in entries], {entry["action"] for entry in entries[1:]}


def test_publishes__on_one_expected_version__have_one_winner_a_round(shared_api: Api) -> None:
    race(shared_api, shared_api, rounds=sized("races", quick=2, ci=10))


def test_publishes__on_one_expected_version_to_two_processes__have_one_winner_a_round(apis: list[Api]) -> None:
    race(*apis, rounds=sized("races_of_two", quick=1, ci=2))


def race(*apis: Api, rounds: int) -> None:
    """Let writers loose on the version in force, again and again: each round has to have one winner."""
    town_id = make_town(apis[0], rigs=())

    def publish(api: Api, expected_version: int) -> Json:
        draft = {"overrides": [rule((SONNET, KILO)[expected_version % 2], "MAYOR")]}
        given: Json = {"townId": town_id, "expectedVersion": expected_version, "draft": draft, "reason": REASON}
        return api.change("publishOverrideSet", "currentVersion overrideSet { version }", **given)

    for version in range(1, rounds + 1):
        answers = at_once([partial(publish, apis[writer % 2], version) for writer in range(WRITERS)])
        winners = [answer for answer in answers if not answer["userErrors"]]
        losers = [answer for answer in answers if answer["userErrors"]]
        assert [answer["overrideSet"]["version"] for answer in winners] == [version + 1]
        assert {tuple(codes(answer)) for answer in losers} == {("VERSION_CONFLICT",)}
        assert {answer["currentVersion"] for answer in losers} == {version + 1}
    sets, sequences, actions = reads_back(apis[0], town_id)
    assert sets == sequences == list(range(1, rounds + 2))
    assert actions == {"OVERRIDE_SET_PUBLISHED"}


def test_syncs__of_one_bead_id_from_two_towns__have_one_winner(apis: list[Api]) -> None:
    towns = [make_town(api, rigs=()) for api in apis]
    for _ in range(4):
        bead_id, others = unique("bead"), [unique("bead"), unique("bead")]

        def sync(side: int, bead_id: str = bead_id, others: list[str] = others) -> list[tuple[str, list[str]]]:
            beads = [{"beadId": others[side]}, {"beadId": bead_id}]
            return apis[side].refusals("syncBeads", townId=towns[side], beads=beads)

        answers = at_once([partial(sync, 0), partial(sync, 1)])
        assert sorted(answers) == [[], [("ALREADY_EXISTS", ["beads", "1", "beadId"])]]
        winner = answers.index([])
        query = """query ($id: ID!, $a: ID!, $b: ID!) {
            contested: bead(beadId: $id) { town { townId } } a: bead(beadId: $a) { id } b: bead(beadId: $b) { id }
        }"""
        found = apis[0].data(query, id=bead_id, a=others[0], b=others[1])
        assert found["contested"] == {"town": {"townId": towns[winner]}}
        assert [found["a"] is not None, found["b"] is not None] == [winner == 0, winner == 1]


def test_syncs__of_one_bead_in_one_town__all_succeed_and_leave_gapless_revisions(apis: list[Api]) -> None:
    town_id, bead_id = make_town(apis[0], rigs=()), unique("bead")
    labels = [["gt:held"], ["gt:rework"], ["gt:triage"], [], ["gt:pr-fixup"], ["other"]]

    def sync(number: int) -> list[tuple[str, list[str]]]:
        beads = [{"beadId": bead_id, "labels": labels[number]}]
        return apis[number % 2].refusals("syncBeads", townId=town_id, beads=beads)

    assert at_once([partial(sync, number) for number in range(len(labels))]) == [[]] * len(labels)
    query = "query ($id: ID!) { bead(beadId: $id) { labels revisions { edges { node { revision labels } } } } }"
    bead = apis[0].data(query, id=bead_id)["bead"]
    revisions = [edge["node"] for edge in bead["revisions"]["edges"]]
    assert [each["revision"] for each in revisions] == list(range(len(labels), 0, -1))
    assert bead["labels"] == revisions[0]["labels"]
    assert sorted(each["labels"] for each in revisions) == sorted(labels)


def test_create_town__with_one_id__has_one_winner(apis: list[Api]) -> None:
    town_id = unique("made")
    given: Json = {"townId": town_id, "name": "A town"}
    answers = at_once([partial(apis[side % 2].refusals, "createTown", **given) for side in range(8)])
    assert sorted(answers) == [[], *[[("ALREADY_EXISTS", ["townId"])]] * 7]
    assert reads_back(apis[0], town_id) == ([1], [1], set())


def test_register_rig__with_one_id__has_one_winner(apis: list[Api]) -> None:
    town_id = make_town(apis[0], rigs=())
    given: Json = {"townId": town_id, "rigId": "web", "name": "Web"}
    answers = at_once([partial(apis[side % 2].refusals, "registerRig", **given) for side in range(6)])
    assert sorted(answers) == [[], *[[("ALREADY_EXISTS", ["rigId"])]] * 5]


def profile_call(api: Api, name: str, expected_version: int, mayor: str) -> Json:
    given = profile_input(name, expected_version, mayor=mayor)
    return api.change("publishProfileVersion", "currentVersion profileVersion { version }", **given)


@pytest.mark.parametrize("latest", [0, 1], ids=["new_profile", "next_version"])
def test_profile_versions__on_one_expected_version__have_one_winner(apis: list[Api], latest: int) -> None:
    name = unique("shared") if latest == 0 else followed_profile(apis[0])[0]
    mayors = (KILO, HAIKU, SONNET)
    answers = at_once([partial(profile_call, apis[side % 2], name, latest, mayors[side % 3]) for side in range(6)])
    winners = [answer for answer in answers if not answer["userErrors"]]
    assert [answer["profileVersion"]["version"] for answer in winners] == [latest + 1]
    lost = [(codes(answer), answer["currentVersion"]) for answer in answers if answer["userErrors"]]
    assert lost == [(["VERSION_CONFLICT"], latest + 1)] * 5


def test_publishes__of_towns_racing_a_rollout__end_over_the_latest_version(apis: list[Api]) -> None:
    name, first = followed_profile(apis[0])
    towns = [first, *(make_town(apis[0], rigs=(), profile=name) for _ in range(5))]
    leaver, joiner, newcomer = make_town(apis[0], rigs=(), profile=name), make_town(apis[0], rigs=()), unique("made")
    published = threading.Event()

    def keep_publishing(number: int) -> set[str]:
        """Publish until the rollout is through, on the version seen last; what it was refused for meanwhile."""
        api, town_id, version, flag = apis[number % 2], towns[number], 1, False
        seen: set[str] = set()
        while not published.is_set():
            given: Json = {"townId": town_id, "expectedVersion": version, "reason": REASON}
            draft = {"honorBeadModels": not flag}
            answer = api.change("publishOverrideSet", "currentVersion", **given, draft=draft)
            seen.update(codes(answer))
            flag = flag if answer["userErrors"] else not flag
            version = answer["currentVersion"]
        return seen

    def roll_out() -> set[str]:
        try:
            answers = [profile_call(apis[1], name, version, (OPUS, KILO)[version % 2]) for version in (1, 2)]
        finally:
            published.set()
        return {code for answer in answers for code in codes(answer)}

    def select(api: Api, town_id: str, profile: str) -> set[str]:
        given: Json = {"townId": town_id, "expectedVersion": api.version(town_id), "reason": REASON, "profile": profile}
        return set(codes(api.change("selectProfile", "currentVersion", **given)))

    def create() -> set[str]:
        given: Json = {"townId": newcomer, "name": "A town", "profile": name}
        return set(codes(apis[0].change("createTown", "town { id }", **given)))

    calls: list[Callable[[], set[str]]] = [roll_out, create]
    calls += [partial(keep_publishing, number) for number in range(len(towns))]
    calls += [partial(select, apis[1], leaver, "balanced"), partial(select, apis[0], joiner, name)]
    refused = at_once(calls)
    assert refused[0] == set(), "the rollout"
    assert set().union(*refused) <= {"VERSION_CONFLICT"}
    assert {standing(apis[0], town_id) for town_id in (*towns, joiner, newcomer)} == {(name, 3)}
    for town_id in towns:
        sets, sequences, _ = reads_back(apis[0], town_id)
        assert sets == sequences == list(range(1, len(sets) + 1))


def standing(api: Api, town_id: str) -> tuple[str, int]:
    """The profile that a town follows, and the version of it that its set lies over."""
    query = "query ($t: ID!) { town(townId: $t) { overrideSet { profile { name } profileVersion { version } } } }"
    found = api.data(query, t=town_id)["town"]["overrideSet"]
    return found["profile"]["name"], found["profileVersion"]["version"]


def test_reports__of_one_mayor_by_many__leave_one_observation_and_at_most_one_open_signal(apis: list[Api]) -> None:
    town_id = make_town(apis[0], rigs=())

    def report(number: int) -> Json:
        observed = {"model": SONNET, "smallModel": HAIKU}
        return apis[number % 2].done("detectMayorChange", "restartRequired", townId=town_id, observed=observed)

    answers = at_once([partial(report, number) for number in range(8)])
    assert [answer["restartRequired"] for answer in answers] == [True] * 8
    assert reads_back(apis[0], town_id) == ([1], [1, 2], {"MAYOR_OBSERVED"})


def test_mutations__of_every_kind_at_once__all_take_effect(apis: list[Api]) -> None:
    """Their locks are taken in one order, and a new actor's name is written by whoever comes first."""
    calls = [recipe.prepare(apis[0]) for recipe in RECIPES]
    actor = {"X-Actor": unique("newcomer")}
    sends = [
        partial(send, apis[number % 2], recipe.mutation, call, "__typename", actor)
        for number, (recipe, call) in enumerate(zip(RECIPES, calls, strict=True))
    ]
    answers = at_once(sends)
    assert {str(recipe): codes(answer) for recipe, answer in zip(RECIPES, answers, strict=True)} == {
        str(recipe): [] for recipe in RECIPES
    }
    central = [entry["sequence"] for entry in apis[0].entries(None, "sequence")]
    assert central == list(range(len(central), 0, -1))


def test_reads__while_towns_are_written__never_belie_themselves(apis: list[Api]) -> None:
    """A resolution's version and rules are of one set, whatever is published meanwhile."""
    town_id, bead_id = make_town(apis[0], rigs=()), unique("bead")
    apis[0].done("syncBeads", townId=town_id, beads=[{"beadId": bead_id}])
    done = threading.Event()
    says = {1: SONNET}

    def write() -> set[tuple[int, str]]:
        try:
            for version in range(1, 6):
                says[version + 1] = (KILO, HAIKU)[version % 2]
                override = rule(says[version + 1], "POLECAT")
                given: Json = {"townId": town_id, "expectedVersion": version, "reason": REASON}
                apis[0].done("setOverride", "__typename", **given, override=override)
        finally:
            done.set()
        return set()

    def read(api: Api) -> set[tuple[int, str]]:
        query = """query ($id: ID!) {
            resolution(beadId: $id) { overrideSetVersion model }
            resolutions(beadIds: [$id]) { resolution { overrideSetVersion model } }
        }"""
        seen: set[tuple[int, str]] = set()
        while not done.is_set():
            found = api.data(query, id=bead_id)
            pairs = (found["resolution"], found["resolutions"][0]["resolution"])
            seen.update((pair["overrideSetVersion"], pair["model"]) for pair in pairs)
        return seen

    calls: list[Callable[[], set[tuple[int, str]]]] = [write, partial(read, apis[0]), partial(read, apis[1])]
    seen = set().union(*at_once(calls))
    assert seen <= set(says.items())
    assert len(seen) > 1


def test_call__of_the_losing_writer__can_be_sent_again_on_the_version_it_was_told(apis: list[Api]) -> None:
    town_id = make_town(apis[0], rigs=())

    def insist(number: int) -> int:
        """Set an override, as often as it takes; gives the version made."""
        override = rule(KILO, "POLECAT", ("gt:held", "gt:rework", "gt:triage", "gt:pr-fixup")[number])
        call = Call(town_id=town_id, arguments={"input": {"townId": town_id, "reason": REASON, "override": override}})
        expected_version = 1
        for _ in range(4):
            attempt = call.with_input(expectedVersion=expected_version)
            answer = send(apis[number % 2], "setOverride", attempt, "currentVersion")
            expected_version = int(answer["currentVersion"])
            if not answer["userErrors"]:
                return expected_version
        raise AssertionError("others were quicker more often than there are others")

    assert sorted(at_once([partial(insist, number) for number in range(4)])) == [2, 3, 4, 5]
    query = "query ($t: ID!) { town(townId: $t) { overrideSet { overrides { key } } } }"
    assert len(apis[0].data(query, t=town_id)["town"]["overrideSet"]["overrides"]) == 4
