"""Rollouts: a central profile's version reaches every following town once, also when its process dies on the way."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from models.domain.rules import DraftRule
from models.services.access import COMMAND_LINE, built_in
from models.services.profiles import ProfileDraft
from models.services.rollout import (
    BATCH,
    ProfilePublication,
    publish_profile_version,
    roll_out,
    roll_out_all,
    unfinished,
)
from models.store.engine import open_database
from models.store.turns import take_turn
from models.store.unit import Store, WriteUnit
from tests.bulk import add_towns
from tests.chains import with_store
from tests.client import Api, Json, serving
from tests.contract.recipes import REASON, profile_input, unique
from tests.databases import Databases
from tests.towns import HAIKU, KILO, OPUS, make_town, publish, rule

TOWNS: Final = 102  # two full batches of 50, and two more
OVERRIDING: Final = 6  # of them, with a mayor of their own
NEVER: Final = 3600.0  # seconds between two looks of the watch: none within a test


class PowerCutError(OSError):
    """The database is out of reach, in the middle of something; what was committed until then stands."""


@dataclass
class FailingClock:
    """A clock that cuts its process off from the database after a number of looks."""

    looks_left: int | None = None

    def __call__(self) -> datetime:
        if self.looks_left is not None:
            self.looks_left -= 1
            if self.looks_left < 0:
                raise PowerCutError
        return datetime.now(UTC)


@dataclass(frozen=True)
class Dying:
    """An application that can be made to break off a rollout."""

    api: Api
    clock: FailingClock

    def publish(self, after_towns: int, name: str, expected_version: int, **given: Any) -> list[str]:
        """The errors of publishing a profile's next version, if it breaks off once it has moved that many towns."""
        query = """mutation ($input: PublishProfileVersionInput!) {
            publishProfileVersion(input: $input) { userErrors { code } }
        }"""
        headers = {"X-Actor": "publisher", "X-Request-Id": f"rollout-of-{name}"}
        self.clock.looks_left = 1 + after_towns  # the first look is for the version itself
        answer = self.api.execute(query, headers=headers, input=profile_input(name, expected_version, **given))
        self.clock.looks_left = None
        return [error["extensions"]["code"] for error in answer.get("errors", [])]


@pytest.fixture(scope="module")
def quiet(backend: str, databases: Databases) -> Iterator[Api]:
    """An application that looks for unfinished rollouts only when it starts."""
    with serving(databases.fresh(backend), rollout_interval_seconds=NEVER) as running:
        yield running


def next_version(api: Api, name: str, expected_version: int, fields: str = "__typename", **given: Any) -> Json:
    return api.done("publishProfileVersion", fields, **profile_input(name, expected_version, **given))


@pytest.fixture(scope="module")
def dying(quiet: Api) -> Iterator[Dying]:
    clock = FailingClock()
    with serving(quiet.url, clock=clock, rollout_interval_seconds=NEVER) as running:
        yield Dying(running, clock)


def due(api: Api, name: str) -> int:
    query = "query ($n: String!) { profile(name: $n) { current { townsDue } } }"
    found: int = api.data(query, n=name)["profile"]["current"]["townsDue"]
    return found


def wait_until_none_is_due(api: Api, name: str) -> None:
    deadline = time.monotonic() + 30
    while due(api, name):
        assert time.monotonic() < deadline, f"{due(api, name)} towns are still due"


def restarted(api: Api) -> AbstractContextManager[Api]:
    """Another process over the same database, as it comes up."""
    return serving(api.url, rollout_interval_seconds=NEVER)


# ---------------------------------------------------------------- many towns


@dataclass(frozen=True)
class Crowd:
    """Many towns that follow one profile, and nobody else does. Each test publishes further versions of it."""

    api: Api
    profile: str

    def version(self) -> int:
        query = "query ($n: String!) { profile(name: $n) { current { version } } }"
        found: int = self.api.data(query, n=self.profile)["profile"]["current"]["version"]
        return found

    def mayor(self, version: int) -> str:
        """The mayor's model in a version of the profile: never that of the version before."""
        return (KILO, OPUS)[version % 2]

    def sets(self) -> dict[str, Json]:
        """The override set in force in each town."""
        query = """{ towns(nameContains: "crowd", first: 200) { edges { node {
            townId overrideSet {
                version cause reason createdBy { displayName } profileVersion { version } overrides { key model }
            }
        } } } }"""
        towns = [edge["node"] for edge in self.api.data(query)["towns"]["edges"]]
        assert len(towns) == TOWNS
        return {town["townId"]: town["overrideSet"] for town in towns}


@pytest.fixture(scope="module")
def crowd(quiet: Api) -> Crowd:
    towns = [f"crowd-{number:03}" for number in range(TOWNS)]
    add_towns(quiet.url, towns)
    for town_id in towns[:: TOWNS // OVERRIDING]:
        publish(quiet, town_id, overrides=[rule(HAIKU, "MAYOR")])
    return Crowd(quiet, "balanced")


def test_rollout__over_more_than_two_batches__moves_each_town_once_and_reports_it(crowd: Crowd) -> None:
    before, latest = crowd.sets(), crowd.version()
    published = profile_input(crowd.profile, latest, mayor=crowd.mayor(latest + 1))
    draft = {name: published[name] for name in ("name", "smallModel", "rules")}
    query = "query ($d: ProfileDraft!) { previewProfileVersion(draft: $d) { townsFollowing mayorsMoved } }"
    told = crowd.api.data(query, d=draft)["previewProfileVersion"]
    fields = "townsFollowing townsUpdated mayorRestartsSignalled profileVersion { townsDue }"
    payload = next_version(crowd.api, crowd.profile, latest, fields, mayor=crowd.mayor(latest + 1))
    moved = TOWNS - OVERRIDING
    assert told == {"townsFollowing": TOWNS, "mayorsMoved": moved}
    assert payload == {
        "townsFollowing": TOWNS,
        "townsUpdated": TOWNS,
        "mayorRestartsSignalled": moved,
        "profileVersion": {"townsDue": 0},
        "userErrors": [],
    }
    after = crowd.sets()
    assert versions(after) == {town_id: version + 1 for town_id, version in versions(before).items()}
    assert {town_id: each["overrides"] for town_id, each in after.items()} == {
        town_id: each["overrides"] for town_id, each in before.items()
    }
    assert accounts(after) == {("PROFILE_UPDATED", REASON, "dev", latest + 1)}


def versions(sets: dict[str, Json]) -> dict[str, int]:
    return {town_id: each["version"] for town_id, each in sets.items()}


def accounts(sets: dict[str, Json]) -> set[tuple[str, str, str, int]]:
    """Cause, reason, actor and profile version of sets."""
    return {
        (each["cause"], each["reason"], each["createdBy"]["displayName"], each["profileVersion"]["version"])
        for each in sets.values()
    }


def test_rollout__cut_off_in_the_middle__is_finished_by_the_next_process_that_starts(
    crowd: Crowd, dying: Dying
) -> None:
    before, latest = crowd.sets(), crowd.version()
    reason = unique("Cut off")
    codes = dying.publish(70, crowd.profile, latest, mayor=crowd.mayor(latest + 1), reason=reason)
    assert codes == [], "the version is published, whatever becomes of the rollout"
    assert crowd.version() == latest + 1, "the version was published before the rollout began"
    assert due(crowd.api, crowd.profile) == TOWNS - 50, "the batch under way came to nothing"
    with restarted(crowd.api) as another:
        wait_until_none_is_due(another, crowd.profile)
    after = crowd.sets()
    assert versions(after) == {town_id: version + 1 for town_id, version in versions(before).items()}
    assert accounts(after) == {("PROFILE_UPDATED", reason, "publisher", latest + 1)}
    for town_id in (min(after), max(after)):
        entry = crowd.api.entries(town_id, "action reason requestId actor { displayName }")[0]
        assert entry == {
            "action": "PROFILE_VERSION_ADOPTED",
            "reason": reason,
            "requestId": f"rollout-of-{crowd.profile}",
            "actor": {"displayName": "publisher"},
        }


# ---------------------------------------------------------------- a town that is due


@dataclass(frozen=True)
class Due:
    """A town that lies over version 1 of a profile whose version 2 has not reached it."""

    api: Api
    profile: str
    town_id: str

    def standing(self) -> tuple[int, str, int]:
        """The town's version, and the profile and version of it that it lies over."""
        query = """query ($t: ID!) { town(townId: $t) {
            overrideSet { version profile { name } profileVersion { version } }
        } }"""
        found = self.api.data(query, t=self.town_id)["town"]["overrideSet"]
        return found["version"], found["profile"]["name"], found["profileVersion"]["version"]

    def change(self, mutation: str, expected_version: int, **given: Any) -> None:
        self.api.done(mutation, townId=self.town_id, expectedVersion=expected_version, reason=REASON, **given)


@pytest.fixture
def late(quiet: Api, dying: Dying) -> Due:
    name = unique("late")
    next_version(quiet, name, 0)
    town_id = make_town(quiet, rigs=(), profile=name)
    assert dying.publish(0, name, 1, mayor=KILO) == []
    return Due(quiet, name, town_id)


def test_due_town__is_counted_and_resolves_by_the_version_it_lies_over(late: Due) -> None:
    query = """query ($n: String!, $t: ID!) {
        profile(name: $n) { current { version townsFollowing townsDue }
                            version(number: 1) { townsFollowing townsDue } }
        town(townId: $t) { mayor { desired { model } restartRequired } }
    }"""
    assert late.api.data(query, n=late.profile, t=late.town_id) == {
        "profile": {
            "current": {"version": 2, "townsFollowing": 1, "townsDue": 1},
            "version": {"townsFollowing": 1, "townsDue": 0},
        },
        "town": {"mayor": {"desired": {"model": OPUS}, "restartRequired": False}},
    }


PUBLISHES: Final[dict[str, tuple[str, Json]]] = {
    "draft": ("publishOverrideSet", {"draft": {"honorBeadModels": True}}),
    "draft_that_names_its_profile": ("publishOverrideSet", {"draft": {"honorBeadModels": True, "profile": "PROFILE"}}),
    "set": ("setOverride", {"override": rule(HAIKU, "POLECAT")}),
}


@pytest.mark.parametrize(("mutation", "given"), PUBLISHES.values(), ids=PUBLISHES)
def test_publish__in_a_due_town__keeps_the_profile_version_and_leaves_it_due(
    late: Due, mutation: str, given: Json
) -> None:
    named: Json = json.loads(json.dumps(given).replace("PROFILE", late.profile))
    late.change(mutation, 1, **named)
    assert (late.standing(), due(late.api, late.profile)) == ((2, late.profile, 1), 1)


def test_select_profile__in_a_due_town__takes_the_latest_version(late: Due) -> None:
    late.change("selectProfile", 1, profile=late.profile)
    assert (late.standing(), due(late.api, late.profile)) == ((2, late.profile, 2), 0)


def test_revert__in_a_due_town__takes_the_latest_version(late: Due) -> None:
    late.change("setOverride", 1, override=rule(HAIKU, "POLECAT"))
    late.change("revertOverrideSet", 2, toVersion=1)
    assert (late.standing(), due(late.api, late.profile)) == ((3, late.profile, 2), 0)


def test_preview__in_a_due_town__is_laid_over_the_profile_version_that_is_kept(late: Due) -> None:
    query = """query ($t: ID!) { preview(townId: $t, draft: {honorBeadModels: true}) {
        effectiveRules { rule { key model } } changeDetection { mayorChanged }
    } }"""
    found = late.api.data(query, t=late.town_id)["preview"]
    assert {"rule": {"key": "mayor", "model": OPUS}} in found["effectiveRules"]
    assert found["changeDetection"] == {"mayorChanged": False}


def test_due_town__published_in_before_the_rollout__is_moved_from_where_it_is(late: Due) -> None:
    late.change("setOverride", 1, override=rule(HAIKU, "POLECAT"))
    with restarted(late.api) as another:
        wait_until_none_is_due(another, late.profile)
    assert late.standing() == (3, late.profile, 2)


def test_due_town__that_leaves_the_profile__is_not_moved(late: Due) -> None:
    late.change("selectProfile", 1, profile="frugal")
    next_version(late.api, late.profile, 2, mayor=HAIKU)
    assert late.standing() == (2, "frugal", 1)


def test_due_town__when_the_next_version_comes__goes_straight_to_it(late: Due) -> None:
    fields = "townsUpdated mayorRestartsSignalled"
    payload = next_version(late.api, late.profile, 2, fields, mayor=HAIKU)
    assert (payload["townsUpdated"], payload["mayorRestartsSignalled"]) == (1, 1)
    assert late.standing() == (2, late.profile, 3)


def test_rollout__left_unfinished_by_another_process__is_finished_once_however_many_watch(
    quiet: Api, dying: Dying
) -> None:
    name = unique("late")
    next_version(quiet, name, 0)
    towns = sorted(make_town(quiet, rigs=(), profile=name) for _ in range(8))
    with watching(quiet) as one, watching(quiet):
        dying.publish(0, name, 1, mayor=KILO)  # breaks off, unless it finds that the others were quicker
        wait_until_none_is_due(one, name)
        # Whoever has locked the first town by now is waited for, so that nobody is stopped on the way.
        Due(quiet, name, towns[0]).change("setOverride", 2, override=rule(HAIKU, "POLECAT"))
    standings = [Due(quiet, name, town_id).standing() for town_id in towns]
    assert standings == [(3, name, 2), *[(2, name, 2)] * 7]


def test_rollout__while_another_process_has_its_turn__waits_or_is_left_to_that_one(late: Due) -> None:
    def still_due() -> int:
        return due(late.api, late.profile)

    async def run() -> None:
        one, other = (Store(database=open_database(late.api.url)) for _ in range(2))
        entered, leave = asyncio.Event(), asyncio.Event()

        async def hold(unit: WriteUnit) -> None:
            assert await take_turn(unit.session, f"rollout of {late.profile}")
            entered.set()
            await leave.wait()

        try:
            holding = asyncio.create_task(one.write(hold))
            await entered.wait()
            if not one.database.is_sqlite:  # where whoever writes has the whole database to itself
                await roll_out(other, late.profile)
                assert await asyncio.to_thread(still_due) == 1
            patient = asyncio.create_task(roll_out(other, late.profile, patience=30))
            leave.set()
            await asyncio.gather(holding, patient)
        finally:
            await one.dispose()
            await other.dispose()

    asyncio.run(run())
    assert still_due() == 0


def test_rollout__that_is_to_stop__ends_between_two_batches_and_is_finished_later(crowd: Crowd, dying: Dying) -> None:
    latest = crowd.version()
    dying.publish(0, crowd.profile, latest, mayor=crowd.mayor(latest + 1))
    stops = iter((False, True))

    async def run() -> None:
        store = Store(database=open_database(crowd.api.url))
        try:
            await roll_out(store, crowd.profile, stopping=lambda: next(stops))
            assert await unfinished(store) == {crowd.profile: TOWNS - BATCH}
            await roll_out_all(store)
        finally:
            await store.dispose()

    asyncio.run(run())
    assert due(crowd.api, crowd.profile) == 0


def test_publish__that_is_to_be_answered__leaves_the_rest_of_the_rollout_to_others(quiet: Api) -> None:
    name = unique("late")
    next_version(quiet, name, 0)
    town_id = make_town(quiet, rigs=(), profile=name)
    draft = ProfileDraft(name=name, town_id=None, small_model=HAIKU, rules=(DraftRule(model=KILO),))
    publication = ProfilePublication(draft=draft, title=None, expected_version=1, reason="It is late.")
    caller = built_in(COMMAND_LINE, request_id="late")

    async def publish(store: Store) -> None:
        outcome = await publish_profile_version(store, caller, publication, stopping=lambda: True)
        assert outcome.version == 2
        assert (await unfinished(store))[name] == 1
        await roll_out_all(store)

    with_store(quiet.url, publish)
    assert Due(quiet, name, town_id).standing() == (2, name, 2)


def watching(api: Api) -> AbstractContextManager[Api]:
    """Another process over the same database, which looks for unfinished rollouts all the time."""
    return serving(api.url, rollout_interval_seconds=0.05)


def test_rollout__where_the_mayor_runs_on_the_new_pair_already__signals_no_restart(quiet: Api) -> None:
    name = unique("shared")
    next_version(quiet, name, 0)
    restarted_already, waiting = (make_town(quiet, rigs=(), profile=name) for _ in range(2))
    pair = {"model": KILO, "smallModel": HAIKU}
    quiet.done("detectMayorChange", townId=restarted_already, observed=pair)
    payload = next_version(quiet, name, 1, "townsUpdated mayorRestartsSignalled", mayor=KILO)
    assert (payload["townsUpdated"], payload["mayorRestartsSignalled"]) == (2, 1)
    query = "query ($t: ID!) { town(townId: $t) { mayor { restartRequired } } }"
    required = [quiet.data(query, t=each)["town"]["mayor"]["restartRequired"] for each in (restarted_already, waiting)]
    assert required == [False, True]
