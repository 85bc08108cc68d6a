"""Time travel: what was answered once is answered again by `asOf`, to the byte, after whatever has happened since.

A random history of two towns is recorded live, step by step; then every recorded answer is asked for again, through
every door, by instants and by versions, and held against a fold of the audit entries that knows nothing of the service.
"""

import json
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import pytest

from models.domain.audit import instant_text
from tests.client import Api, Json, SteppingClock, serving
from tests.contract.test_agreement import RESOLUTION
from tests.databases import Databases
from tests.fold import EntryJson, Profiles, changes, fold
from tests.random_history import CREATED, IMPORTED, OWN, SHARED, TOWNS, RandomHistory, bead_ids
from tests.reference import TaskJson
from tests.sizes import sized
from tests.tampering import faults
from tests.towns import KILO

SEED: Final = 20261123
STEPS: Final = sized("steps", quick=34, ci=60)
TICK: Final = timedelta(microseconds=1)
BY_COMMAND: Final = {"ACTOR_FORGOTTEN", "TOKEN_CREATED", "TOKEN_REVOKED"}  # and by no mutation


def tasks_of(town_id: str) -> dict[str, TaskJson]:
    """Work to ask about, in a rig where the town has had one from the beginning."""
    rig = "web" if town_id == IMPORTED else None
    plain: TaskJson = {"role": None, "type": "ISSUE", "labels": [], "rigId": rig, "model": None}
    return {
        "mayor": {**plain, "role": "MAYOR", "model": KILO},
        "plain": plain,
        "labelled": {**plain, "labels": ["gt:pr-fixup", "gt:rework"], "model": KILO},
        "review": {**plain, "type": "MERGE_REQUEST"},
    }


AT_ONCE: Final[dict[str, Any]] = {"max_query_root_fields": 500, "max_query_aliases": 500, "max_query_fields": 20_000}
TASKS: Final = tuple(tasks_of(CREATED))
SET: Final = """
fragment set on OverrideSet {
  id version cause revertOf reason createdAt contentHash honorBeadModels createdBy { actorId displayName }
  profile { name } profileVersion { version smallModel rules { key model } }
  overrides { key model profileModelWhenSet profileModelNow stale setAt setBy { actorId } }
  effectiveRules { source rule { key model } replaces { key model } }
}
"""
_DECLARED: Final = ", ".join(f"${name}: TaskInput!" for name in TASKS)


def _tasks(as_of: str = "") -> str:
    return " ".join(f"{it}: taskResolution(townId: $town, task: ${it}{as_of}) {{ ...resolution }}" for it in TASKS)


NOW: Final = f"""
query ($town: ID!, $beads: [ID!]!, {_DECLARED}) {{
  resolutions(beadIds: $beads) {{ beadId resolution {{ ...resolution }} }}
  {_tasks()}
  town(townId: $town) {{
    set: overrideSet {{ ...set }}
    auditEntries(first: 1) {{ edges {{ node {{ sequence occurredAt }} }} }}
  }}
}}
{SET}{RESOLUTION}
"""
DOORS: Final = (  # both to the answer `resolution` about a bead
    'b{number}: resolution(beadId: "{bead_id}", asOf: $asOf) {{ ...resolution }}',
    'b{number}: bead(beadId: "{bead_id}") {{ resolution(asOf: $asOf) {{ ...resolution }} }}',
)
ENTRY: Final = "sequence action occurredAt before after"


def text(part: object) -> str:
    """A part of an answer in the very bytes that the server sent, see `ask`."""
    return json.dumps(part, ensure_ascii=False, separators=(",", ":"))


def ask(api: Api, query: str, **variables: object) -> Json:
    """An answer whose parts, spelt by `text`, are cut out of what was sent."""
    _, sent = api.post(text({"query": query, "variables": variables}).encode())
    answer: Json = json.loads(sent)
    assert text(answer).encode() == sent
    return answer


@dataclass(frozen=True, kw_only=True)
class Live:
    """What a town said from an instant on, until its next write: JSON texts by what was asked; None for no bead."""

    at: datetime
    version: int
    said: dict[str, str | None]


@dataclass(kw_only=True)
class Recording:
    """A history that is over, as it was seen live. No test adds to it."""

    api: Api
    clock: SteppingClock
    live: dict[str, list[Live]] = field(default_factory=lambda: {town_id: [] for town_id in TOWNS})
    between: dict[str, list[datetime]] = field(default_factory=lambda: {town_id: [] for town_id in TOWNS})
    sequences: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOWNS, 0))

    def note(self, town_id: str) -> None:
        """Ask the town for everything. Where nothing was written to it since, it has to say what it said last."""
        answer = ask(self.api, NOW, town=town_id, beads=bead_ids(town_id), **tasks_of(town_id))
        assert "errors" not in answer
        found = answer["data"]
        town = found["town"]
        (last,) = (edge["node"] for edge in town["auditEntries"]["edges"])
        said = {
            **{each["beadId"]: said_of(each["resolution"]) for each in found["resolutions"]},
            **{name: text(found[name]) for name in TASKS},
            "set": text(town["set"]),
        }
        live = Live(at=datetime.fromisoformat(last["occurredAt"]), version=town["set"]["version"], said=said)
        if last["sequence"] == self.sequences[town_id]:
            assert live == self.live[town_id][-1]
        else:
            assert last["sequence"] == self.sequences[town_id] + 1
            self.sequences[town_id] += 1
            self.live[town_id].append(live)
        if self.clock.now > live.at:  # it is not, for a while, once the clock was set back
            self.between[town_id].append(self.clock.now)

    def said_at(self, town_id: str, at: datetime) -> dict[str, str | None]:
        """What the town said last before or at an instant; nothing, where it was not there."""
        live = self.live[town_id]
        index = bisect_right(live, at, key=lambda each: each.at)
        return live[index - 1].said if index else dict.fromkeys(live[0].said)

    def said_again(self, town_id: str, as_of: Json, turn: int) -> dict[str, str | None]:
        """What the town says today of then. All that is missing has to be an error that says so.

        Every other bead is asked about by the other door, and by turns: whoever asks again asks by the other one.
        """
        numbered = list(enumerate(bead_ids(town_id)))
        asked = " ".join(
            DOORS[(number + turn) % len(DOORS)].format(number=number, bead_id=bead_id) for number, bead_id in numbered
        )
        query = f"""query ($town: ID!, $asOf: AsOf!, {_DECLARED}) {{
            {asked} {_tasks(", asOf: $asOf")} town(townId: $town) {{ set: overrideSetAt(asOf: $asOf) {{ ...set }} }}
        }} {SET}{RESOLUTION}"""
        answer = ask(self.api, query, town=town_id, asOf=as_of, **tasks_of(town_id))
        found = answer["data"]
        beads = {bead_id: found[f"b{number}"] for number, bead_id in numbered}
        for number, bead_id in numbered:
            if (number + turn) % len(DOORS):
                beads[bead_id] = beads[bead_id]["resolution"]
        parts = {**beads, **{name: found[name] for name in TASKS}, "set": found["town"]["set"]}
        codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
        assert codes == ["NOT_FOUND"] * list(parts.values()).count(None)
        return {name: said_of(part) for name, part in parts.items()}

    def instants(self, town_id: str) -> list[datetime]:
        """All instants at which something was seen live, and those just before and after each write."""
        written = [each.at for each in self.live[town_id]]
        near = [at + shift for at in written for shift in (-TICK, TICK)]
        return sorted({*written, *near, *self.between[town_id]})

    def versions(self, town_id: str) -> dict[int, datetime]:
        """The instant at which each version came into force."""
        return {each.version: each.at for each in reversed(self.live[town_id])}

    def entries(self, town_id: str | None) -> list[EntryJson]:
        """The whole chain, oldest first."""
        entries = self.api.entries(town_id, ENTRY)[::-1]
        assert [entry["sequence"] for entry in entries] == list(range(1, len(entries) + 1))
        return [
            {name: entry[name] for name in ("action", "occurredAt", "before", "after")}  # type: ignore[misc]
            for entry in entries
        ]

    def profiles(self) -> Profiles:
        return Profiles(self.entries(None), map(self.entries, TOWNS))


def said_of(part: object) -> str | None:
    return None if part is None else text(part)


@pytest.fixture(scope="module")
def recording(backend: str, databases: Databases) -> Iterator[Recording]:
    url, clock = databases.fresh(backend), SteppingClock()
    with serving(url, clock=clock, rollout_interval_seconds=3600, **AT_ONCE) as api:
        made = Recording(api=api, clock=clock)
        history = RandomHistory(api, clock, SEED)
        for _ in history.steps(STEPS):
            for town_id in history.begun:
                made.note(town_id)
        clock.now += timedelta(days=1)
        yield made
    assert faults(url) == {}


every_town = pytest.mark.parametrize("town_id", TOWNS)


def words(api: Api, enum: str) -> set[str]:
    """All that an enum of the schema can say."""
    query = "query ($name: String!) { __type(name: $name) { enumValues { name } } }"
    return {value["name"] for value in api.data(query, name=enum)["__type"]["enumValues"]}


def test_history__at_random__has_changes_and_outcomes_of_every_kind(recording: Recording) -> None:
    happened = {entry["action"] for chain in (None, *TOWNS) for entry in recording.entries(chain)}
    assert happened == words(recording.api, "AuditAction") - BY_COMMAND
    said = {
        live.said[bead_id] for town_id in TOWNS for live in recording.live[town_id] for bead_id in bead_ids(town_id)
    }
    answers = [json.loads(answer) for answer in said if answer is not None]
    sources = {answer["matchedRule"]["source"] for answer in answers}
    outcomes = {considered["outcome"] for answer in answers for considered in answer["considered"]}
    assert sources == words(recording.api, "RuleSource")
    assert outcomes == words(recording.api, "RuleOutcome")


@every_town
def test_history__though_the_clock_was_set_back__has_instants_in_order(recording: Recording, town_id: str) -> None:
    instants = [entry["occurredAt"] for entry in recording.entries(town_id)]
    assert all(before < after for before, after in pairwise(instants))
    assert TICK in {after.at - before.at for before, after in pairwise(recording.live[town_id])}


@every_town
def test_answers__as_of_any_instant__are_those_given_then(recording: Recording, town_id: str) -> None:
    for turn, at in enumerate(recording.instants(town_id)):
        assert recording.said_again(town_id, {"at": instant_text(at)}, turn) == recording.said_at(town_id, at), at


@every_town
def test_answers__as_of_a_version__are_those_given_when_it_came_into_force(recording: Recording, town_id: str) -> None:
    versions = recording.versions(town_id)
    assert sorted(versions) == list(range(1, len(versions) + 1))
    for version, at in versions.items():
        again = recording.said_again(town_id, {"version": version}, turn=version)
        assert again == recording.said_at(town_id, at), version


@every_town
def test_answers__folded_out_of_the_audit_entries__are_those_given_then(recording: Recording, town_id: str) -> None:
    entries, profiles = recording.entries(town_id), recording.profiles()
    for at in [at for at in recording.instants(town_id) if at >= recording.live[town_id][0].at]:
        town = fold(town_id, entries, profiles, instant_text(at))
        folded = {
            **{bead_id: town.bead(bead_id) for bead_id in bead_ids(town_id)},
            **{name: town.task(task) for name, task in tasks_of(town_id).items()},
        }
        said = recording.said_at(town_id, at)
        assert folded == {name: json.loads(said[name] or "null") for name in folded}, at
        assert len(town.sets) == json.loads(said["set"] or "")["version"]


@every_town
def test_diff__between_any_two_override_sets__is_what_the_fold_says(recording: Recording, town_id: str) -> None:
    query = """query ($town: ID!, $against: Int!) { town(townId: $town) { overrideSets(first: 200) { edges { node {
        version
        diff(against: $against) {
          from to profileBefore profileAfter profileVersionBefore profileVersionAfter
          honorBeadModelsBefore honorBeadModelsAfter changes { key before after }
        }
    } } } } }"""
    town = fold(town_id, recording.entries(town_id), recording.profiles(), "9999")
    numbers = range(1, len(town.sets) + 1)
    for against in numbers:
        edges = recording.api.data(query, town=town_id, against=against)["town"]["overrideSets"]["edges"]
        diffs = {edge["node"]["version"]: edge["node"]["diff"] for edge in edges}
        assert diffs == {number: town.diff(number, against) for number in numbers}


@pytest.mark.parametrize(("name", "town_id"), [(SHARED, None), (OWN, CREATED), (OWN, IMPORTED), ("frugal", None)])
def test_diff__between_any_two_versions_of_a_profile__is_what_the_fold_says(
    recording: Recording, name: str, town_id: str | None
) -> None:
    query = """query ($name: String!, $town: ID, $against: Int) { profile(name: $name, townId: $town) {
        versions(first: 200) { edges { node { version diff(against: $against) { key before after } } } }
    } }"""
    rules = [{}, *(record["rules"] for record in recording.profiles().versions(name, town_id or ""))]
    numbers = range(1, len(rules))
    for against in (None, *range(len(rules))):
        edges = recording.api.data(query, name=name, town=town_id, against=against)["profile"]["versions"]["edges"]
        diffs = {edge["node"]["version"]: edge["node"]["diff"] for edge in edges}
        bases = {number: number - 1 if against is None else against for number in numbers}
        assert diffs == {number: changes(rules[base], rules[number]) for number, base in bases.items()}
