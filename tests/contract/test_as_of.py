"""Time: the set in force then and the bead as it stood then, by version and by instant; instants never repeat."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import pytest

from tests.client import Api, Json, SteppingClock, serving
from tests.contract.recipes import profile_input
from tests.databases import Databases
from tests.towns import HAIKU, KILO, OPUS, SONNET, make_town, publish, rule, sync

HOUR: Final = timedelta(hours=1)
TICK: Final = timedelta(microseconds=1)
FIXUP: Final = "gt:pr-fixup"
RESOLUTION: Final = "{ model overrideSetVersion matchedRule { key } considered { key outcome } }"
LOOK: Final = f"""query ($id: ID!, $t: ID!, $task: TaskInput!, $asOf: AsOf!) {{
    town(townId: $t) {{ set: overrideSetAt(asOf: $asOf) {{ version }} }}
    resolution(beadId: $id, asOf: $asOf) {RESOLUTION}
    bead(beadId: $id) {{ resolution(asOf: $asOf) {RESOLUTION} }}
    task: taskResolution(townId: $t, task: $task, asOf: $asOf) {{ model }}
}}"""


@dataclass(frozen=True)
class Timeline:
    """A town with a bead, and the instants of its writes, by name. No test writes to it."""

    api: Api
    clock: SteppingClock
    town_id: str
    bead_id: str
    instants: dict[str, datetime]

    def at(self, when: str, shift: timedelta = timedelta()) -> Json:
        """An `AsOf` at, or somewhat off, the instant of a write."""
        return {"at": (self.instants[when] + shift).isoformat()}

    def look(self, as_of: Json) -> tuple[int | None, str | None, str | None]:
        """The version that was in force, and what the bead and a polecat's fixup resolved to.

        None where there is nothing but an error NOT_FOUND. All doors to the bead have to agree.
        """
        answer = self.api.execute(LOOK, id=self.bead_id, t=self.town_id, task={"labels": [FIXUP]}, asOf=as_of)
        found = answer["data"]
        looks = (found["town"]["set"], found["resolution"], found["bead"]["resolution"], found["task"])
        codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
        assert codes == ["NOT_FOUND"] * looks.count(None)
        assert looks[1] == looks[2]
        return (
            None if looks[0] is None else looks[0]["version"],
            None if looks[1] is None else looks[1]["model"],
            None if looks[3] is None else looks[3]["model"],
        )


@pytest.fixture(scope="module")
def timeline(backend: str, databases: Databases) -> Iterator[Timeline]:
    """Writes an hour apart: a town, its bead, an override, a label, a new profile version, another role."""
    clock, profile, bead_id = SteppingClock(), "tidal", "tidal-bead"
    with serving(databases.fresh(backend), clock=clock, rollout_interval_seconds=3600) as api:
        fixup = rule(HAIKU, "POLECAT", FIXUP)
        given = profile_input(profile, 0, rules=[rule(SONNET), fixup])
        api.done("publishProfileVersion", **given)
        clock.now += HOUR
        town_id = make_town(api, rigs=(), profile=profile)
        instants = {"made": last_write(api, town_id)}

        def note(what: str) -> None:
            instants[what] = last_write(api, town_id)
            clock.now += HOUR

        clock.now += HOUR
        sync(api, town_id, {"beadId": bead_id})
        note("synced")
        publish(api, town_id, overrides=[rule(OPUS, "POLECAT")])
        note("overridden")
        sync(api, town_id, {"beadId": bead_id, "labels": [FIXUP]})
        note("labelled")
        given = profile_input(profile, 1, rules=[rule(SONNET), rule(KILO, "POLECAT", FIXUP)])
        api.done("publishProfileVersion", **given)
        note("updated")
        sync(api, town_id, {"beadId": bead_id, "labels": ["other"], "role": "REFINERY", "status": "CLOSED"})
        note("handed_over")
        yield Timeline(api, clock, town_id, bead_id, instants)


def last_write(api: Api, town_id: str) -> datetime:
    return datetime.fromisoformat(api.entries(town_id, "occurredAt")[0]["occurredAt"])


# What holds from each write on, until the next: version, bead, fixup task.
COURSE: Final[dict[str, tuple[int, str | None, str]]] = {
    "made": (1, None, HAIKU),
    "synced": (1, SONNET, HAIKU),
    "overridden": (2, OPUS, HAIKU),
    "labelled": (2, HAIKU, HAIKU),
    "updated": (3, KILO, KILO),
    "handed_over": (3, SONNET, KILO),
}
BEFORE: Final = dict(zip(list(COURSE)[1:], COURSE, strict=False))


@pytest.mark.parametrize("when", COURSE)
@pytest.mark.parametrize("shift", [timedelta(), HOUR / 2], ids=["that_instant", "half_an_hour_later"])
def test_as_of__an_instant_from_a_write_on__sees_it(timeline: Timeline, when: str, shift: timedelta) -> None:
    assert timeline.look(timeline.at(when, shift)) == COURSE[when]


@pytest.mark.parametrize("when", BEFORE)
def test_as_of__the_instant_before_a_write__does_not_see_it(timeline: Timeline, when: str) -> None:
    assert timeline.look(timeline.at(when, -TICK)) == COURSE[BEFORE[when]]


def test_as_of__an_instant_before_the_town_was_made__is_not_found(timeline: Timeline) -> None:
    for as_of in (timeline.at("made", -TICK), timeline.at("made", -10 * HOUR)):
        assert timeline.look(as_of) == (None, None, None)


@pytest.mark.parametrize(
    ("version", "bead", "fixup"),
    [(1, None, HAIKU), (2, OPUS, HAIKU), (3, KILO, KILO)],
)
def test_as_of__a_version__is_the_instant_it_came_into_force(
    timeline: Timeline, version: int, bead: str | None, fixup: str
) -> None:
    assert timeline.look({"version": version}) == (version, bead, fixup)


@pytest.mark.parametrize("version", [0, 4, -1, 2**31 - 1])
def test_as_of__a_version_that_was_never_made__is_not_found(timeline: Timeline, version: int) -> None:
    assert timeline.look({"version": version}) == (None, None, None)


def test_as_of__nothing__is_now(timeline: Timeline) -> None:
    query = "query ($id: ID!) { resolution(beadId: $id) { model overrideSetVersion } }"
    now = timeline.api.data(query, id=timeline.bead_id)["resolution"]
    assert now == {"model": SONNET, "overrideSetVersion": 3}
    assert timeline.look({"at": timeline.clock.now.isoformat()})[:2] == (3, now["model"])


@pytest.mark.parametrize("ahead", [timedelta(minutes=1), timedelta(days=4000)], ids=["a_minute", "years"])
def test_as_of__an_instant_in_the_future__is_invalid(timeline: Timeline, ahead: timedelta) -> None:
    query = """query ($id: ID!, $t: ID!, $asOf: AsOf!) {
        resolution(beadId: $id, asOf: $asOf) { model }
        bead(beadId: $id) { resolution(asOf: $asOf) { model } }
        taskResolution(townId: $t, task: {}, asOf: $asOf) { model }
        town(townId: $t) { overrideSetAt(asOf: $asOf) { version } }
    }"""
    as_of = {"at": (timeline.clock.now + ahead).isoformat()}
    codes = timeline.api.codes(query, id=timeline.bead_id, t=timeline.town_id, asOf=as_of)
    assert codes == ["INVALID_INPUT"] * 4


def test_as_of__one_instant_in_two_zones__is_the_same(timeline: Timeline) -> None:
    at = timeline.instants["overridden"]
    elsewhere = (at.replace(tzinfo=None) + 2 * HOUR).isoformat() + "+02:00"
    expected = COURSE["overridden"]
    assert timeline.look({"at": elsewhere}) == expected
    assert timeline.look({"at": at.isoformat().replace("+00:00", "Z")}) == expected


def test_as_of__an_unknown_bead_or_town__is_not_found(timeline: Timeline) -> None:
    query = """{
        resolution(beadId: "nothing", asOf: {version: 1}) { model }
        taskResolution(townId: "nowhere", task: {}, asOf: {version: 1}) { model }
    }"""
    assert timeline.api.codes(query) == ["NOT_FOUND", "NOT_FOUND"]


def test_revisions__of_the_bead__tell_its_states_newest_first(timeline: Timeline) -> None:
    query = "query ($id: ID!) { bead(beadId: $id) { revisions { edges { node { at revision labels role } } } } }"
    edges = timeline.api.data(query, id=timeline.bead_id)["bead"]["revisions"]["edges"]
    found = [tuple(edge["node"].values()) for edge in edges]
    assert [(datetime.fromisoformat(at), *state) for at, *state in found] == [
        (timeline.instants["handed_over"], 3, ["other"], "REFINERY"),
        (timeline.instants["labelled"], 2, [FIXUP], None),
        (timeline.instants["synced"], 1, [], None),
    ]


# ---------------------------------------------------------------- instants


@pytest.mark.parametrize("back", [timedelta(), 400 * timedelta(days=1)], ids=["standing_still", "set_back"])
def test_instants__of_a_town_whose_clock_does_not_advance__increase_all_the_same(
    database_url: str, back: timedelta
) -> None:
    class StoppedClock(SteppingClock):
        def __call__(self) -> datetime:
            return self.now

    clock = StoppedClock()
    with serving(database_url, clock=clock) as api:
        town_id = make_town(api, rigs=())
        clock.now -= back
        sync(api, town_id, {"beadId": "stopped"})
        publish(api, town_id, overrides=[rule(OPUS, "POLECAT")])
        publish(api, town_id, overrides=[rule(KILO, "POLECAT")])
        sync(api, town_id, {"beadId": "stopped", "status": "CLOSED"})
        instants = [entry["occurredAt"] for entry in api.entries(town_id, "occurredAt")][::-1]
        assert len(instants) == 5
        assert all(before < after for before, after in pairwise(instants))
        query = """query ($at: DateTime!) { resolution(beadId: "stopped", asOf: {at: $at}) { model } }"""
        answers = [api.data(query, at=at)["resolution"]["model"] for at in instants[1:]]
        assert answers == [SONNET, OPUS, KILO, KILO]
